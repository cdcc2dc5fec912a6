"""The curation filters: pure functions of one clip's keypoints, each a value, a threshold and a verdict.

A filter never removes anything. Its verdict becomes a row of the attributes table and the list of used
clips is a query over those rows, so a threshold can be changed, or a clip taken down, without touching video.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from moviestrip.config import CurationSettings
from moviestrip.curate.tube import corners, visible
from moviestrip.skeleton import indices_of

COUNT_MEDIAN_FRAMES = 5  # HMMR's filter of the visible count: one or two bad frames neither start nor end a clip
FACE_AND_SHOULDERS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top", "neck", "left_shoulder", "right_shoulder",
)  # fmt: skip

Keypoints = Float[np.ndarray, "frames joints 3"]


@dataclass(frozen=True)
class Verdict:
    """What a filter measured, what it compared that with, and whether the clip passed."""

    value: float
    threshold: float
    passed: bool


def visible_count(keypoints: Keypoints, settings: CurationSettings) -> Int[np.ndarray, " frames"]:
    """Visible keypoints in each frame, after the median filter."""
    counts = visible(keypoints, settings.minimum_confidence).sum(axis=1)
    return ndimage.median_filter(counts, size=COUNT_MEDIAN_FRAMES, mode="nearest")


def visible_runs(counts: Int[np.ndarray, " frames"], start_above: int, end_at: int) -> list[tuple[int, int]]:
    """Stretches [first, end) that start when the count rises above one level and end when it falls to another."""
    runs, first = [], None
    for frame, count in enumerate(counts):
        if first is None and count > start_above:
            first = frame
        elif first is not None and count <= end_at:
            runs.append((first, frame))
            first = None
    return runs if first is None else [*runs, (first, len(counts))]


def length(keypoints: Keypoints, joints: Sequence[str], settings: CurationSettings) -> Verdict:
    return Verdict(len(keypoints), settings.minimum_frames, len(keypoints) >= settings.minimum_frames)


def visible_keypoints(keypoints: Keypoints, joints: Sequence[str], settings: CurationSettings) -> Verdict:
    """Whether enough of the body was ever seen: the highest filtered count."""
    most = int(visible_count(keypoints, settings).max(initial=0))
    return Verdict(most, settings.start_above_keypoints, most > settings.start_above_keypoints)


def face_only(keypoints: Keypoints, joints: Sequence[str], settings: CurationSettings) -> Verdict:
    """Share of the frames with a person in which nothing below the shoulders is seen, nor an arm."""
    seen = visible(keypoints, settings.minimum_confidence)
    upper = indices_of([name for name in FACE_AND_SHOULDERS if name in joints], joints)
    elsewhere = np.delete(seen, upper, axis=1).any(axis=1)
    present = seen.any(axis=1)
    fraction = float((present & ~elsewhere).sum() / max(present.sum(), 1))
    return Verdict(fraction, settings.maximum_face_only_fraction, fraction < settings.maximum_face_only_fraction)


def person_height(keypoints: Keypoints, joints: Sequence[str], settings: CurationSettings) -> Verdict:
    """Median height, in source pixels, of the box around the visible keypoints."""
    top_left, bottom_right = corners(keypoints, settings.minimum_confidence)
    present = np.isfinite(top_left[:, 1])
    height_px = float(np.median(bottom_right[present, 1] - top_left[present, 1])) if present.any() else 0.0
    return Verdict(height_px, settings.minimum_person_height_px, height_px >= settings.minimum_person_height_px)


def mean_confidence(keypoints: Keypoints, joints: Sequence[str], settings: CurationSettings) -> Verdict:
    """Mean confidence of the visible keypoints."""
    seen = visible(keypoints, settings.minimum_confidence)
    mean = float(keypoints[..., 2][seen].mean(dtype=np.float64)) if seen.any() else 0.0
    return Verdict(mean, settings.minimum_mean_confidence, mean >= settings.minimum_mean_confidence)


Filter = Callable[[Keypoints, Sequence[str], CurationSettings], Verdict]

# In the order of the report's funnel.
FILTERS: dict[str, Filter] = {
    "length": length,
    "visible_keypoints": visible_keypoints,
    "face_only": face_only,
    "person_height": person_height,
    "mean_confidence": mean_confidence,
}
