"""Features of a shard's clips, and the crops they were taken from.

Each video is decoded once; every clip frame in it is cropped round the person's box and goes through the
backbone. A training clip is also taken from jittered boxes: the papers bake augmentation into stored
features. Such a copy is a clip of its own, `<clip_id>~1`, with the labels of the original; the table of crops
holds the box of every row, so that training can express keypoints in the crop the feature saw. Copies with
objects pasted over them, `<clip_id>~o1`, are in files of their own, made only where a variant learns from them.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import cv2
import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8

from moviestrip.config import FeatureSettings
from moviestrip.errors import FatalError
from moviestrip.features.backbones import Backbone
from moviestrip.features.copies import jittered_id, occluded_id
from moviestrip.features.occlusion import Crop, Occluder, occlude_frame
from moviestrip.progress import track
from moviestrip.tables import CROPS, empty, stack, unstack

FramesOf = Callable[[str], Iterator[UInt8[np.ndarray, "height width 3"]]]
Change = Callable[[Crop, str, int], Crop]  # of a crop, given its clip's id and its frame
Extracted = tuple[Float[np.ndarray, "frames dimension"], pd.DataFrame, pd.DataFrame]
CROP_PX = 224
CROPS_AT_ONCE = 64  # of one video, so that a frame's phi does not depend on what else is in the shard


@dataclass(frozen=True)
class Tube:
    """The boxes of one clip, or of one copy, in order of its frames."""

    clip_id: str
    video_id: str
    video_frames: np.ndarray
    box_center_px: Float[np.ndarray, "frames 2"]
    box_scale: Float[np.ndarray, " frames"]
    mirrored: bool = False


def extract_shard(
    frames_of: FramesOf,
    clips: pd.DataFrame,
    labels: pd.DataFrame,
    backbone: Backbone,
    settings: FeatureSettings,
    seed: int,
) -> Extracted:
    """(phi, its FEATURE_INDEX, the CROPS of every row); `frames_of` gives a video's RGB frames by its id."""
    tubes = [copy for tube in clip_tubes(clips, labels) for copy in with_copies(tube, clips, settings, seed)]
    return extract_tubes(frames_of, tubes, backbone)


def extract_occluded(
    frames_of: FramesOf,
    clips: pd.DataFrame,
    labels: pd.DataFrame,
    backbone: Backbone,
    settings: FeatureSettings,
    occluders: Sequence[Occluder],
    seed: int,
) -> Extracted:
    """As `extract_shard`, of nothing but the occluded copies of its training clips."""
    numbers = range(1, settings.occluded_copies + 1)
    training = clip_tubes(clips[clips["split"] == "train"], labels)
    tubes = [replace(tube, clip_id=occluded_id(tube.clip_id, number)) for tube in training for number in numbers]

    def covered(crop: Crop, clip_id: str, frame: int) -> Crop:
        return occlude_frame(crop, occluders, clip_id, frame, seed)

    return extract_tubes(frames_of, tubes, backbone, covered)


def extract_tubes(
    frames_of: FramesOf, tubes: list[Tube], backbone: Backbone, change: Change | None = None
) -> Extracted:
    """phi, index and crops of some tubes; `change` is applied to each crop before the backbone sees it."""
    index = index_table(tubes)
    phi = np.empty((int(index["n_frames"].sum()), backbone.dimension), np.float32)
    starts = dict(zip(index["clip_id"], index["start"], strict=True))
    for video_id in track(sorted({tube.video_id for tube in tubes}), "features"):
        inside = [tube for tube in tubes if tube.video_id == video_id]
        crops = video_crops(frames_of(video_id), inside, backbone)
        while some := list(islice(crops, CROPS_AT_ONCE)):
            rows = [starts[clip_id] + frame for clip_id, frame, _ in some]
            seen = [crop if change is None else change(crop, clip_id, frame) for clip_id, frame, crop in some]
            phi[rows] = backbone(np.stack(seen))
    if not np.isfinite(phi).all():
        raise FatalError(f"{backbone.name}: features are not finite; is its checkpoint damaged?")
    return phi, index, crops_table(tubes)


def clip_tubes(clips: pd.DataFrame, labels: pd.DataFrame) -> list[Tube]:
    """The labelled boxes of every clip, by clip id."""
    by_clip = {str(clip_id): rows.sort_values("frame") for clip_id, rows in labels.groupby("clip_id")}
    ordered = clips.sort_values("clip_id")
    return [
        clip_tube(clip_id, video_id, n_frames, by_clip.get(clip_id, labels.iloc[:0]))
        for clip_id, video_id, n_frames in zip(
            ordered["clip_id"], ordered["video_id"], ordered["n_frames"], strict=True
        )
    ]


def clip_tube(clip_id: str, video_id: str, n_frames: int, rows: pd.DataFrame) -> Tube:
    """One clip's labelled boxes; a frame without one, or with an impossible one, is an error."""
    if len(rows) != n_frames:
        raise FatalError(f"clip {clip_id}: {len(rows)} frames are labelled, its n_frames is {n_frames}")
    centres = stack(rows["box_center_px"], 2).astype(np.float64)
    scales = rows["box_scale"].to_numpy(np.float64)
    if not (np.isfinite(centres).all() and np.isfinite(scales).all() and (scales > 0).all()):
        raise FatalError(f"clip {clip_id}: its labels hold a box that is not finite or has no size")
    return Tube(clip_id, video_id, rows["video_frame"].to_numpy(np.int64), centres, scales)


def with_copies(tube: Tube, clips: pd.DataFrame, settings: FeatureSettings, seed: int) -> list[Tube]:
    """The tube, and for a training clip its jittered copies."""
    split = clips.loc[clips["clip_id"] == tube.clip_id, "split"].item()
    copies = settings.augmented_copies if split == "train" else 0
    return [tube, *(jittered(tube, number, settings, seed) for number in range(1, copies + 1))]


def jittered(tube: Tube, number: int, settings: FeatureSettings, seed: int) -> Tube:
    """A copy whose box moves and grows at random in each frame, every other copy mirrored: as HMMR trains."""
    clip_id = jittered_id(tube.clip_id, number)
    random = np.random.default_rng([seed, zlib.crc32(clip_id.encode())])
    shift_px, octaves = settings.jitter_translation_px, settings.jitter_scale_octaves
    moved_px = random.uniform(-shift_px, shift_px, tube.box_center_px.shape)
    grown = 2 ** random.uniform(-octaves, octaves, tube.box_scale.shape)
    centres = tube.box_center_px + moved_px / tube.box_scale[:, None]
    mirrored = number % 2 == 1
    return Tube(clip_id, tube.video_id, tube.video_frames, centres, tube.box_scale * grown, mirrored)


def video_crops(
    frames: Iterator[np.ndarray], tubes: list[Tube], backbone: Backbone
) -> Iterator[tuple[str, int, UInt8[np.ndarray, "side side 3"]]]:
    """(clip_id, frame of the clip, crop) of every clip frame in one video, in the order of the video."""
    wanted: dict[int, list[tuple[Tube, int]]] = {}
    for tube in tubes:
        for frame, video_frame in enumerate(tube.video_frames):
            wanted.setdefault(int(video_frame), []).append((tube, frame))
    last = max(wanted)
    seen = -1
    for seen, picture in enumerate(frames):
        for tube, frame in wanted.get(seen, ()):
            centre, scale = tube.box_center_px[frame], float(tube.box_scale[frame])
            crop = crop_person(picture, centre, scale, backbone.input_px, backbone.crop_share)
            yield tube.clip_id, frame, np.ascontiguousarray(crop[:, ::-1]) if tube.mirrored else crop
        if seen == last:
            return
    raise FatalError(f"video {tubes[0].video_id}: has {seen + 1} frames, but its clips reach frame {last}")


def crop_person(
    frame: UInt8[np.ndarray, "height width 3"],
    box_center_px: Float[np.ndarray, "2"],
    box_scale: float,
    side_px: int = CROP_PX,
    crop_share: float = 1.0,
) -> UInt8[np.ndarray, "side side 3"]:
    """The middle `crop_share` of the 224 px crop round a box, resampled to `side_px`; black outside the frame."""
    zoom = box_scale * side_px / (CROP_PX * crop_share)
    shift = side_px / 2 - zoom * np.asarray(box_center_px, np.float64)
    to_crop = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    if zoom >= 1:
        return cv2.warpAffine(frame, to_crop, (side_px, side_px), flags=cv2.INTER_LINEAR)
    return _shrunk_crop(frame, to_crop, side_px)


def _shrunk_crop(frame: np.ndarray, to_crop: np.ndarray, side_px: int) -> np.ndarray:
    """As warpAffine, first shrinking by a whole factor with area averaging, so that detail does not alias."""
    factor = max(1, int(1 / to_crop[0, 0]))
    crop_px = side_px * factor
    crop = cv2.warpAffine(frame, to_crop * factor, (crop_px, crop_px), flags=cv2.INTER_LINEAR)
    return crop if factor == 1 else cv2.resize(crop, (side_px, side_px), interpolation=cv2.INTER_AREA)


def index_table(tubes: list[Tube]) -> pd.DataFrame:
    counts = np.array([len(tube.video_frames) for tube in tubes], np.int32)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32) if len(tubes) else counts
    return pd.DataFrame({"clip_id": [tube.clip_id for tube in tubes], "start": starts, "n_frames": counts})


def crops_table(tubes: list[Tube]) -> pd.DataFrame:
    """The crop of every row of phi: its box, and whether it was mirrored."""
    parts = [
        pd.DataFrame(
            {
                "clip_id": tube.clip_id,
                "frame": np.arange(len(tube.video_frames), dtype=np.int32),
                "box_center_px": unstack(tube.box_center_px),
                "box_scale": tube.box_scale.astype(np.float32),
                "mirrored": tube.mirrored,
            }
        )
        for tube in tubes
    ]
    return pd.concat(parts, ignore_index=True) if parts else empty(CROPS)
