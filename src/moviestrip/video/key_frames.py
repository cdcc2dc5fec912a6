"""What a few frames of each clip look like: how sharp the person is, and a hash by which a picture is known again.

Sharpness is 1 minus the blur of Crété and others, "The blur effect" (2007), in scikit-image's form: the share of
the differences between neighbouring pixels that a strong blur would take away. It does not depend on brightness or
contrast, and, measured at the size at which models see the person, not on the video's size. A hash is PDQ's 256
bits: equal pictures differ in none, re-encoded or resized ones in few, others in about half.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pdqhash
from jaxtyping import Float, Int, UInt8
from scipy import ndimage

from moviestrip.config import CurationSettings
from moviestrip.errors import FatalError
from moviestrip.progress import track
from moviestrip.tables import KEY_FRAMES, empty
from moviestrip.video.decode import Image

PERSON_DIAGONAL_PX = 150  # of a person in the crops that models see
MARGIN = 0.1  # of the diagonal, round the box: keypoints lie inside the body
BLUR_PX = 11  # width of the mean filter that blurs (scikit-image's)
BORDER_PX = (2, 1)  # left out at either end, where the filters see beyond the picture (scikit-image's)
MINIMUM_SIDE_PX = BLUR_PX + sum(BORDER_PX)  # of a picture that can be judged
BAR_SPREAD = 32  # grey levels by which compression moves a bar's colour
HASHED_SIDE_PX = 512  # PDQ's reference program shrinks larger pictures to this first

Row = Mapping[Any, Any]
FramesOf = Callable[[str], Iterator[Image]]  # from a video's id
Box = Float[np.ndarray, "4"]  # left, top, right, bottom in pixels
BoxesOf = Callable[[Row], Float[np.ndarray, "frames 4"]]  # from a row of CLIPS


def key_frames_of(
    clips: pd.DataFrame, boxes_of: BoxesOf, frames_of: FramesOf, settings: CurationSettings
) -> pd.DataFrame:
    """Some frames of each clip, spread evenly over it: (tables.KEY_FRAMES), by clip. A video is decoded once.

    `boxes_of` gives the person's box in each frame of a clip: left, top, right and bottom in pixels, NaN or
    without any area where nobody is seen. `frames_of` gives a video's frames by its id.
    """
    rows: list[dict[str, Any]] = []
    for video_id, inside in track(list(clips.groupby("video_id", sort=True)), "key frames"):
        rows += _of_video(str(video_id), inside.to_dict("records"), boxes_of, frames_of, settings.key_frames)
    table = pd.DataFrame(rows, columns=empty(KEY_FRAMES).columns)
    return table.sort_values(["clip_id", "frame"], ignore_index=True)


def _of_video(
    video_id: str, clips: Sequence[Row], boxes_of: BoxesOf, frames_of: FramesOf, count: int
) -> list[dict[str, Any]]:
    """Of all clips of a video in one pass, in which a frame that several people share is hashed once."""
    wanted: dict[int, list[tuple[str, int, Box]]] = {}
    for clip in clips:
        boxes = boxes_of(clip)
        first = clip["first_frame"]
        for frame in spread(first, clip["n_frames"], count):
            wanted.setdefault(first + int(frame), []).append((clip["clip_id"], int(frame), boxes[frame]))
    rows: list[dict[str, Any]] = []
    last = max(wanted)
    for index, image in enumerate(frames_of(video_id)):
        if index in wanted:
            known, quality = picture_hash(image)
            rows += [
                {"clip_id": clip_id, "video_id": video_id, "frame": frame, "sharpness": sharpness(image, box),
                 "hash": known, "quality": quality}
                for clip_id, frame, box in wanted.pop(index)
            ]  # fmt: skip
        if index == last:
            return rows
    raise FatalError(
        f"video {video_id}: ends before frame {last}, which a clip holds; fetch its shard again, and all that follows"
    )


def spread(first_frame: int, n_frames: int, count: int) -> Int[np.ndarray, " chosen"]:
    """At least `count` frames of a clip that begins at a frame of its video, at most all and fewer than twice as many.

    They are even in the video, not in the clip: a copy of the video, in which the tracker begins or ends somewhat
    earlier, is looked at in the same pictures.
    """
    step = 1 << max(1, n_frames // count).bit_length() - 1  # a power of two: clips of about one length agree on it
    return np.arange(-first_frame % step, n_frames, step)


def within_bars(image: Image) -> Image:
    """A frame without the bars that fill it up at top and bottom, left and right, so that a repost is known again.

    Bars are of one colour, and as much is taken off on both sides: the sky at one edge alone is part of the picture.
    """
    for axis in (0, 1):
        lines = image if axis == 0 else image.swapaxes(0, 1)
        colour = np.median(np.concatenate([lines[0], lines[-1]]), axis=0)
        plain = np.abs(lines - colour).max(axis=(1, 2)) <= BAR_SPREAD
        width_px = min(int(np.argmin(plain)), int(np.argmin(plain[::-1])))
        if width_px > 0 and not plain.all():
            lines = lines[width_px : len(lines) - width_px]
            image = lines if axis == 0 else lines.swapaxes(0, 1)
    return np.ascontiguousarray(image)


def picture_hash(image: Image) -> tuple[str, int]:
    """PDQ of a whole frame within its bars: 64 hexadecimal digits, and its quality from 0 (plain) to 100."""
    image = within_bars(image)
    height_px, width_px = image.shape[:2]
    if max(height_px, width_px) > HASHED_SIDE_PX:
        size = (min(width_px, HASHED_SIDE_PX), min(height_px, HASHED_SIDE_PX))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    bits, quality = pdqhash.compute(image)
    return np.packbits(bits.astype(np.uint8)).tobytes().hex(), int(quality)


def sharpness(image: Image, box: Box) -> float:
    """Of the person in a box (left, top, right, bottom), from 0 to 1; NaN where nobody is seen."""
    picture = _person(image, np.asarray(box, np.float64))
    return math.nan if picture is None else 1 - blur(picture)


def _person(image: Image, box: Box) -> UInt8[np.ndarray, "height width"] | None:
    """The person in shades of grey, its diagonal as long as in a model's crop; none where too little is seen."""
    diagonal_px = float(np.linalg.norm(box[2:] - box[:2])) if np.isfinite(box).all() else 0.0
    if diagonal_px == 0 or (box[2:] < box[:2]).any():
        return None
    margin_px, zoom = MARGIN * diagonal_px, PERSON_DIAGONAL_PX / diagonal_px
    limits = np.array(image.shape[1::-1])
    left, top = np.clip(np.floor(box[:2] - margin_px), 0, limits).astype(int)
    right, bottom = np.clip(np.ceil(box[2:] + margin_px), 0, limits).astype(int)
    size = round((right - left) * zoom), round((bottom - top) * zoom)
    if min(size) < MINIMUM_SIDE_PX:
        return None
    grey = cv2.cvtColor(np.ascontiguousarray(image[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)


def blur(picture: UInt8[np.ndarray, "height width"]) -> float:
    """0 of a sharp picture to 1 of one that a further blur would not change: the worse of both directions."""
    return max(_blur_along(axis, picture.astype(np.float64)) for axis in (0, 1))


def _blur_along(axis: int, picture: Float[np.ndarray, "height width"]) -> float:
    inside = (slice(BORDER_PX[0], -BORDER_PX[1]),) * 2
    blurred = ndimage.uniform_filter1d(picture, BLUR_PX, axis)
    sharp, smooth = (np.abs(ndimage.sobel(each, axis))[inside] for each in (picture, blurred))
    whole = sharp.sum()
    lost = np.maximum(sharp - smooth, 0).sum()
    return float((whole - lost) / whole) if whole > 0 else 1.0
