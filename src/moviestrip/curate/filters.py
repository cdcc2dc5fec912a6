"""The curation filters: pure functions of one candidate clip, each a value, a threshold and a verdict.

A filter never removes anything. Its verdict becomes a row of the attributes table and the list of used
clips is a query over those rows, so a threshold can be changed, or a clip taken down, without touching video.
What looks at pictures, blur and near-duplicates, is in `duplicates`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import sliding_window_view

from moviestrip.config import CurationSettings
from moviestrip.curate.tube import corners, visible
from moviestrip.skeleton import indices_of

COUNT_MEDIAN_FRAMES = 5  # HMMR's filter of the visible count: one or two bad frames neither start nor end a clip
MOTION_STEP_S = 0.2  # long enough for a limb to outrun the detector's jitter, short for the body's own rhythm
FACE_AND_SHOULDERS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top", "neck", "left_shoulder", "right_shoulder",
)  # fmt: skip

Keypoints = Float[np.ndarray, "frames joints 3"]


@dataclass(frozen=True)
class Candidate:
    """What the filters know of one candidate clip; a frame without a person has confidence 0 throughout."""

    keypoints: Keypoints
    joints: Sequence[str]
    fps: float
    cuts: int | None = None  # shots that begin within the clip; None where nobody looked for shots


@dataclass(frozen=True)
class Verdict:
    """What a filter measured, what it compared that with, and whether the clip passed; NaN where nothing was measured.

    What was not measured passes: a filter tells what is wrong with a clip, not what is unknown.
    """

    value: float
    threshold: float
    passed: bool


def visible_count(keypoints: Keypoints, settings: CurationSettings) -> Int[np.ndarray, " frames"]:
    """Visible keypoints in each frame, after the median filter."""
    from scipy import ndimage  # who only asks which clips passed does without

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


def length(clip: Candidate, settings: CurationSettings) -> Verdict:
    n_frames = len(clip.keypoints)
    return Verdict(n_frames, settings.minimum_frames, n_frames >= settings.minimum_frames)


def visible_keypoints(clip: Candidate, settings: CurationSettings) -> Verdict:
    """Whether enough of the body was ever seen: the highest filtered count."""
    most = int(visible_count(clip.keypoints, settings).max(initial=0))
    return Verdict(most, settings.start_above_keypoints, most > settings.start_above_keypoints)


def detected_fraction(clip: Candidate, settings: CurationSettings) -> Verdict:
    """Share of the frames in which the detector fired: a keypoint is visible; the others a tracker bridged."""
    fired = int(visible(clip.keypoints, settings.minimum_confidence).any(axis=1).sum())
    fraction = fired / max(len(clip.keypoints), 1)
    return Verdict(fraction, settings.minimum_detected_fraction, fraction >= settings.minimum_detected_fraction)


def face_only(clip: Candidate, settings: CurationSettings) -> Verdict:
    """Share of the frames with a person in which nothing below the shoulders is seen, nor an arm."""
    seen = visible(clip.keypoints, settings.minimum_confidence)
    upper = indices_of([name for name in FACE_AND_SHOULDERS if name in clip.joints], clip.joints)
    elsewhere = np.delete(seen, upper, axis=1).any(axis=1)
    present = seen.any(axis=1)
    fraction = float((present & ~elsewhere).sum() / max(present.sum(), 1))
    return Verdict(fraction, settings.maximum_face_only_fraction, fraction < settings.maximum_face_only_fraction)


def person_height(clip: Candidate, settings: CurationSettings) -> Verdict:
    """Median height, in source pixels, of the box around the visible keypoints."""
    height_px = _median_side(clip.keypoints, settings.minimum_confidence, lambda sides: sides[:, 1])
    return Verdict(height_px, settings.minimum_person_height_px, height_px >= settings.minimum_person_height_px)


def mean_confidence(clip: Candidate, settings: CurationSettings) -> Verdict:
    """Mean confidence of the visible keypoints."""
    seen = visible(clip.keypoints, settings.minimum_confidence)
    mean = float(clip.keypoints[..., 2][seen].mean(dtype=np.float64)) if seen.any() else 0.0
    return Verdict(mean, settings.minimum_mean_confidence, mean >= settings.minimum_mean_confidence)


def motion(clip: Candidate, settings: CurationSettings) -> Verdict:
    """Mean speed of the joints relative to the body, in heights of the person a second.

    A height is the diagonal of the box, as in the tube. Each joint is smoothed by a running median, which a frame or
    two of false keypoints do not move, and its step is taken over MOTION_STEP_S, against which jitter of a pixel is
    little. The median step of all joints is the body's own path, or the camera's, and is taken off.
    """
    size_px = _median_side(clip.keypoints, settings.minimum_confidence, lambda sides: np.hypot(*sides.T))
    steps_px, step_s = _relative_steps(clip, settings.minimum_confidence)
    known = np.isfinite(steps_px)
    value = float(steps_px[known].mean() / (size_px * step_s)) if known.any() and size_px > 0 else math.nan
    return Verdict(value, settings.minimum_motion, not value < settings.minimum_motion)


def _median_side(
    keypoints: Keypoints, minimum_confidence: float, side: Callable[[np.ndarray], Float[np.ndarray, " frames"]]
) -> float:
    """Median over the frames with a person of something of their box's width and height; 0 without any."""
    top_left, bottom_right = corners(keypoints, minimum_confidence)
    present = np.isfinite(top_left[:, 1])
    return float(np.median(side(bottom_right[present] - top_left[present]))) if present.any() else 0.0


def _relative_steps(clip: Candidate, minimum_confidence: float) -> tuple[Float[np.ndarray, "steps joints"], float]:
    """How far each joint goes beyond the body in a step, NaN where it is unseen, and how long a step is."""
    step = max(1, round(MOTION_STEP_S * clip.fps))
    seen = visible(clip.keypoints, minimum_confidence)[..., None]
    places = np.where(seen, clip.keypoints[..., :2].astype(np.float64), np.nan)
    if len(places) <= step:
        return np.full((0, places.shape[1]), np.nan), step / clip.fps
    window = 2 * (step // 2) + 1
    padded = np.pad(places, ((window // 2, window // 2), (0, 0), (0, 0)), constant_values=np.nan)
    steady = np.where(seen, _nan_median(sliding_window_view(padded, window, axis=0), axis=-1), np.nan)
    steps = steady[step:] - steady[:-step]
    return np.linalg.norm(steps - _nan_median(steps, axis=1)[:, None], axis=-1), step / clip.fps


def _nan_median(values: np.ndarray, axis: int) -> np.ndarray:
    """As `np.nanmedian`, without a warning where there is nothing to take it of."""
    ordered = np.sort(values, axis=axis)  # NaN comes last
    known = np.isfinite(ordered).sum(axis=axis, keepdims=True)
    low, high = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, values.shape[axis] - 1)
    middle = np.take_along_axis(ordered, low, axis) + np.take_along_axis(ordered, high, axis)
    return np.squeeze(middle, axis) / 2


def shot_cuts(clip: Candidate, settings: CurationSettings) -> Verdict:
    """Cuts within the clip: a tracker that stops at cuts leaves none."""
    value = math.nan if clip.cuts is None else clip.cuts
    return Verdict(value, settings.maximum_shot_cuts, not value > settings.maximum_shot_cuts)


Filter = Callable[[Candidate, CurationSettings], Verdict]

# In the order of the report's funnel.
FILTERS: dict[str, Filter] = {
    "length": length,
    "shot_cuts": shot_cuts,
    "visible_keypoints": visible_keypoints,
    "detected_fraction": detected_fraction,
    "face_only": face_only,
    "person_height": person_height,
    "mean_confidence": mean_confidence,
    "motion": motion,
}

# What `duplicates` says of the pictures of found videos; next in the funnel.
APPEARANCE = ("sharpness", "near_duplicate")
