"""PHD's "statue" moments: the frame after which the future becomes most predictable (its section 4.3, Figures 5 and 7).

Classical sculptors chose the instant in which an action becomes clear. The paper finds it thus, and we with it:

1. Each window of 15 frames conditions a forecast. Its accuracy is the mean PCK of the 15 frames that follow, each
   against the truth of its own time, without dynamic time warping ("raw"). A window has none when the protocol
   counts fewer than 8 of these frames.
2. "The per-frame change in accuracy using a low-pass difference filter" is the derivative of a Gaussian: the
   accuracies, one a frame, are correlated with the derivative of a Gaussian of standard deviation 2 frames, cut off
   at 8 frames (`scipy.ndimage.gaussian_filter1d`, order 1). It is the slope of the accuracy smoothed by that Gaussian,
   in points a frame. Beyond a clip's ends the last value goes on, which only weakens the change there: no moment comes
   from the edge. A window without an accuracy gets its neighbours', linearly, and is never chosen. The paper names no
   filter; this one is ours.
3. The window of the largest change is chosen, the first of equals, if the accuracy rises there at all. The statue is
   the frame after the window's last.

A clip needs 8 windows that have an accuracy, half of what the filter spans: under PHD's protocol, 37 frames.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d

from moviestrip.errors import FatalError
from moviestrip.evaluation.forecasts import direct_measures, join_moments
from moviestrip.evaluation.protocols import Protocol

FUTURE_FRAMES = 15
LEAST_COUNTED = 8  # of the future frames
SMOOTHING_FRAMES = 2.0
REACH_FRAMES = 8
LEAST_WINDOWS = 8


@dataclass(frozen=True)
class Predictability:
    """How well one clip's future is forecast from each of its conditioning windows."""

    last_seen: Int[np.ndarray, " windows"]  # frame of the clip with which the window ends
    accuracy_percent: Float[np.ndarray, " windows"]
    smoothed_percent: Float[np.ndarray, " windows"]
    change_percent: Float[np.ndarray, " windows"]  # points a frame
    window: int | None  # position of the chosen one

    @property
    def statue_frame(self) -> int | None:
        """The first frame after the best conditioning, in the clip."""
        return None if self.window is None else int(self.last_seen[self.window]) + 1


def predictability(
    forecasts: pd.DataFrame, labels: pd.DataFrame, clip: pd.DataFrame, protocol: Protocol
) -> Predictability:
    """Of the forecasts (FORECASTS) of one clip, a start at each frame; `clip` is its row of CLIPS."""
    (clip_id,) = clip["clip_id"]
    future = forecasts[forecasts["horizon"].between(1, FUTURE_FRAMES) & (forecasts["clip_id"] == clip_id)]
    last_seen = np.unique(future["start_frame"].to_numpy(np.int64))
    if not len(last_seen) or (np.diff(last_seen) != 1).any() or future["horizon"].max() < FUTURE_FRAMES:
        raise FatalError(
            f"statue of clip {clip_id}: forecasts start at frames {last_seen.tolist()}; it needs one of "
            f"{FUTURE_FRAMES} frames from each frame on: forecast again with every_frames 1"
        )
    measures = direct_measures(join_moments(future, labels, clip), protocol)
    pck = next(measure for measure in measures if measure.metric == "pck")
    accuracy = future_accuracy(pck.values, pck.counted)
    if np.isfinite(accuracy).sum() < LEAST_WINDOWS:
        unknown = np.full(accuracy.shape, np.nan)
        return Predictability(last_seen, accuracy, unknown, unknown, None)
    change = accuracy_change(accuracy)
    return Predictability(last_seen, accuracy, smoothed(accuracy), change, best_window(accuracy, change))


def future_accuracy(
    values: Float[np.ndarray, "*batch frames"], counted: Bool[np.ndarray, "*batch frames"]
) -> Float[np.ndarray, "*batch"]:
    """Mean over the future frames that count; NaN with fewer than `LEAST_COUNTED` of them."""
    used = counted & np.isfinite(values)
    sums, counts = np.where(used, values, 0).sum(-1), used.sum(-1)
    return np.where(counts >= LEAST_COUNTED, sums / counts.clip(1), np.nan)


def smoothed(accuracy: Float[np.ndarray, " windows"]) -> Float[np.ndarray, " windows"]:
    """The accuracy under the Gaussian whose derivative `accuracy_change` is; gaps are filled."""
    return _filtered(accuracy, 0)


def accuracy_change(accuracy: Float[np.ndarray, " windows"]) -> Float[np.ndarray, " windows"]:
    """The low-pass difference filter: slope of the smoothed accuracy at each window, in its unit a frame."""
    return _filtered(accuracy, 1)


def best_window(accuracy: Float[np.ndarray, " windows"], change: Float[np.ndarray, " windows"]) -> int | None:
    """The window at which accuracy rises most, among those that have one; None where it never rises."""
    known = np.where(np.isfinite(accuracy), change, -np.inf)
    best = int(np.argmax(known))
    return best if known[best] > 0 else None


def _filtered(accuracy: np.ndarray, order: int) -> np.ndarray:
    known = np.isfinite(accuracy)
    if accuracy.ndim != 1 or not known.any():
        raise FatalError(
            f"accuracy of shape {accuracy.shape} with {known.sum()} known values; the filter needs one clip's windows "
            f"and at least one that has an accuracy"
        )
    at = np.arange(len(accuracy))
    filled = np.interp(at, at[known], accuracy[known].astype(np.float64))
    return gaussian_filter1d(filled, SMOOTHING_FRAMES, order=order, mode="nearest", radius=REACH_FRAMES)
