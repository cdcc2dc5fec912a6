"""Predictions that need no model: what a learned one has to beat.

Smoothing over time is the baseline that catches temporal models out, so its only parameter is chosen as
carefully as theirs: on validation clips, never on the test.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np

from moviestrip.errors import FatalError


def choose_sigma(candidates: Iterable[float], score: Callable[[float], float]) -> tuple[float, dict[float, float]]:
    """The Gaussian's sigma in frames whose validation score (an error) is lowest, and the score of each.

    Of equal scores the smallest sigma wins; a candidate scored NaN is never chosen.
    """
    scores = {sigma: float(score(sigma)) for sigma in sorted(set(candidates))}
    usable = {sigma: value for sigma, value in scores.items() if math.isfinite(value)}
    if not usable:
        raise FatalError(
            f"gaussian smoothing: no sigma of {list(scores)} frames has a validation score; score some clips"
        )
    return min(usable, key=lambda sigma: (usable[sigma], sigma)), scores


def constant_pose(joints: np.ndarray, current: int) -> np.ndarray:
    """The current frame's pose for every frame, past and future: (..., T, J, 3) -> the same shape."""
    return np.broadcast_to(joints[..., current : current + 1, :, :], joints.shape).copy()


def mean_pose(training_joints: np.ndarray, frames: int) -> np.ndarray:
    """The mean of the training poses (N, J, 3), repeated: (frames, J, 3)."""
    return np.broadcast_to(training_joints.mean(0), (frames, *training_joints.shape[1:])).copy()
