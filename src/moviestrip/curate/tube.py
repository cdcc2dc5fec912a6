"""The tube: one person's square crop in every frame of a clip, smooth over time.

As in HMMR, a box is measured by the diagonal around the visible keypoints, so that it hardly changes when
a person turns or stretches an arm; the scale takes that diagonal to 150 px of the 224 px crop. Frames
without a person are filled in linearly, then a median removes jumps and a Gaussian the jitter. The constants
of the releases have names (`PRESETS`).
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from moviestrip.config import CurationSettings
from moviestrip.errors import FatalError

PERSON_DIAGONAL_PX = 150  # of a person in the 224 px crop
MINIMUM_DIAGONAL_PX = 0.5  # a single visible keypoint says nothing about size

Keypoints = Float[np.ndarray, "frames joints 3"]
Boxes = Float[np.ndarray, "frames 3"]
Edges = Literal["nearest", "zeros"]


@dataclass(frozen=True)
class BoxConstants:
    """How a box is measured and smoothed; without a confidence of its own, by the keypoints that count elsewhere."""

    median_frames: int
    gaussian_sigma_frames: float
    edges: Edges
    minimum_confidence: float | None


PRESETS: dict[str, BoxConstants] = {
    "moviestrip": BoxConstants(11, 3, "nearest", None),
    "hmmr": BoxConstants(11, 3, "zeros", 0.1),
    "vibe": BoxConstants(11, 8, "zeros", 0.3),  # of 3DPW: elsewhere it takes the boxes that come with the data
}


def box_constants(settings: CurationSettings) -> BoxConstants:
    """The constants of the preset, but for those that the configuration sets."""
    own: dict[str, Any] = {
        "median_frames": settings.box_median_frames,
        "gaussian_sigma_frames": settings.box_gaussian_sigma_frames,
        "edges": settings.box_edges,
        "minimum_confidence": settings.box_minimum_confidence,
    }
    return replace(PRESETS[settings.box], **{name: value for name, value in own.items() if value is not None})


def visible(keypoints: Float[np.ndarray, "*frames joints 3"], minimum_confidence: float) -> Bool[np.ndarray, "..."]:
    """Which keypoints count as seen: finite, with some confidence, and at least the minimum."""
    confidence = keypoints[..., 2]
    return (confidence > 0) & (confidence >= minimum_confidence) & np.isfinite(keypoints[..., :2]).all(axis=-1)


def corners(
    keypoints: Float[np.ndarray, "frames joints 3"], minimum_confidence: float
) -> tuple[Float[np.ndarray, "frames 2"], Float[np.ndarray, "frames 2"]]:
    """Top left and bottom right of the visible keypoints; infinite and reversed where none is visible."""
    seen = visible(keypoints, minimum_confidence)[..., None]
    points = keypoints[..., :2].astype(np.float64)
    return np.where(seen, points, np.inf).min(axis=1), np.where(seen, points, -np.inf).max(axis=1)


def frame_boxes(keypoints: Keypoints, minimum_confidence: float) -> Boxes:
    """Centre x, centre y and scale of each frame on its own; NaN where no person can be measured."""
    top_left, bottom_right = corners(keypoints, minimum_confidence)
    boxes = np.full((len(keypoints), 3), np.nan)
    seen = np.isfinite(top_left).all(axis=1)
    diagonal = np.linalg.norm(bottom_right[seen] - top_left[seen], axis=1)
    measured = diagonal > MINIMUM_DIAGONAL_PX
    rows = np.flatnonzero(seen)[measured]
    boxes[rows, :2] = (top_left[rows] + bottom_right[rows]) / 2
    boxes[rows, 2] = PERSON_DIAGONAL_PX / diagonal[measured]
    return boxes


def fill_gaps(boxes: Boxes) -> Boxes:
    """Linear between the nearest measured frames; constant before the first and after the last."""
    measured = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    if len(measured) == 0:
        raise FatalError(f"a clip of {len(boxes)} frames shows no person at all; label selected clips only")
    everywhere = np.arange(len(boxes))
    return np.stack([np.interp(everywhere, measured, boxes[measured, axis]) for axis in range(3)], axis=1)


def smooth_boxes(boxes: Boxes, median_frames: int, gaussian_sigma_frames: float, edges: Edges = "nearest") -> Boxes:
    """Median, then Gaussian, over time. `edges` is what the median sees outside the clip."""
    from scipy import ndimage  # who only asks which clips passed does without

    mode = "constant" if edges == "zeros" else "nearest"
    steady = ndimage.median_filter(boxes, size=(median_frames, 1), mode=mode, cval=0.0)
    return ndimage.gaussian_filter1d(steady, gaussian_sigma_frames, axis=0)


def person_tube(keypoints: Keypoints, settings: CurationSettings) -> Boxes:
    """The smooth box (centre x, centre y in source pixels, scale) of every frame of a clip."""
    constants = box_constants(settings)
    confidence = settings.minimum_confidence if constants.minimum_confidence is None else constants.minimum_confidence
    boxes = fill_gaps(frame_boxes(keypoints, confidence))
    return smooth_boxes(boxes, constants.median_frames, constants.gaussian_sigma_frames, constants.edges)
