"""Labels of every frame of every clip, as far as a dataset's supervision allows.

`full_3d` keeps the annotation whole. `truth_2d` throws its 3D away, so that nothing downstream can use it
by accident. `pseudo_2d` has no annotation: the tracked keypoints stand in, each joint taken over by name
with the detector's confidence, below a minimum as not visible. (HMMR's release writes OpenPose's ankles into
the joints it calls heels; here both the detector and the body know heels, so a heel is a heel.)
"""

import numpy as np
import pandas as pd
from jaxtyping import Float

from moviestrip.config import CurationSettings, DatasetSettings, Supervision
from moviestrip.curate.clips import Person, people_of, rows_of_person
from moviestrip.curate.tube import person_tube, visible
from moviestrip.errors import FatalError
from moviestrip.skeleton import BODY_25, HMMR_25, convert
from moviestrip.tables import LABELS, empty, stack, unstack

JOINTS_3D = {"joints_3d_m": 42, "trunk_3d_m": 9}
BODY = {"pose": 72, "betas": 10, "translation_m": 3}
CAMERA = {"intrinsics_px": 4}


def label_shard(
    dataset: DatasetSettings, clips: pd.DataFrame, people: pd.DataFrame, settings: CurationSettings
) -> pd.DataFrame:
    """Labels of the given clips: (tables.LABELS), clip by clip in the order of `clips`.

    `people` is the truth table where the dataset's tubes are annotated, else the tracks table.
    """
    annotated = dataset.tube == "truth"
    found = {(person.video_id, person.track): person for person in people_of(dataset, people)}
    parts = []
    for clip in clips.to_dict("records"):
        person = found.get((clip["video_id"], clip["track"]))
        if person is None:
            raise FatalError(
                f"clip {clip['clip_id']}: person {clip['track']} of video {clip['video_id']} is not in the table of "
                f"people; curate the shard again"
            )
        truth = rows_of_person(people, clip["video_id"], clip["track"]) if annotated else None
        parts.append(_clip_labels(clip, person, truth, dataset.supervision, settings))
    return pd.concat(parts, ignore_index=True) if parts else empty(LABELS)


def pseudo_keypoints(
    keypoints: Float[np.ndarray, "frames 25 3"], minimum_confidence: float
) -> Float[np.ndarray, "frames 25 3"]:
    """BODY_25 detections as HMMR_25 labels; what is not visible has confidence 0 and lies at the origin."""
    return seen_keypoints(convert(keypoints, BODY_25, HMMR_25), minimum_confidence)


def seen_keypoints(
    keypoints: Float[np.ndarray, "frames 25 3"], minimum_confidence: float
) -> Float[np.ndarray, "frames 25 3"]:
    return np.where(visible(keypoints, minimum_confidence)[..., None], keypoints, 0).astype(np.float32)


def _clip_labels(
    clip: dict, person: Person, truth: pd.DataFrame | None, supervision: Supervision, settings: CurationSettings
) -> pd.DataFrame:
    first = clip["first_frame"] - person.first_frame
    keypoints = person.keypoints[first : first + clip["n_frames"]]
    if len(keypoints) != clip["n_frames"]:
        raise FatalError(
            f"clip {clip['clip_id']}: its {clip['n_frames']} frames are not all in the table of people, "
            f"{len(keypoints)} are; curate the shard again"
        )
    boxes = person_tube(keypoints, settings)
    frames = np.arange(clip["n_frames"])
    columns = {
        "clip_id": clip["clip_id"],
        "frame": frames,
        "video_frame": frames + clip["first_frame"],
        "box_center_px": unstack(boxes[:, :2]),
        "box_scale": boxes[:, 2].astype(np.float32),
        "keypoints_2d": unstack(_keypoints(keypoints, truth is not None, supervision, settings)),
        **_annotation(frames + clip["first_frame"], truth, supervision),
    }
    return pd.DataFrame(columns, columns=empty(LABELS).columns)


def _keypoints(
    keypoints: Float[np.ndarray, "frames 25 3"], annotated: bool, supervision: Supervision, settings: CurationSettings
) -> Float[np.ndarray, "frames 25 3"]:
    """Annotation as it is, and detections as far as they are seen, be they ours or a release's."""
    if not annotated:
        return pseudo_keypoints(keypoints, settings.minimum_confidence)
    return seen_keypoints(keypoints, settings.minimum_confidence) if supervision == "pseudo_2d" else keypoints


def _annotation(video_frames: np.ndarray, truth: pd.DataFrame | None, supervision: Supervision) -> dict:
    """The 3D columns, zero (the trunk NaN) where not known or not to be used, and what else is said of frames."""
    sizes = JOINTS_3D | BODY | CAMERA
    values = {name: np.zeros((len(video_frames), size), np.float32) for name, size in sizes.items()}
    values["trunk_3d_m"][:] = np.nan
    flags = {name: np.zeros(len(video_frames), bool) for name in ("has_3d", "has_body")}
    said = {
        "burst": np.full(len(video_frames), "none", dtype=object),
        "gender": np.full(len(video_frames), "unknown", dtype=object),
        "trusted": np.ones(len(video_frames), bool),
    }
    if truth is not None:
        rows = truth.set_index("frame").reindex(video_frames)
        there = rows["burst"].notna().to_numpy()
        for name, value in said.items():
            value[there] = rows[name].to_numpy()[there]
        if supervision == "full_3d":
            for flag, names in (("has_3d", JOINTS_3D), ("has_body", BODY)):
                flags[flag][there] = rows[flag].to_numpy()[there].astype(bool)
                for name in names:
                    values[name][flags[flag]] = stack(rows[name][flags[flag]], sizes[name])
            values["intrinsics_px"][there] = stack(rows["intrinsics_px"][there], 4)
    return {name: unstack(value) for name, value in values.items()} | flags | said
