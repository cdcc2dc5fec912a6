"""Predictions and labels in, one score a clip, metric and condition out.

All frames of all clips are measured in one batch; what belongs to a clip is found by summing over it. A frame
that the protocol skips is not counted. A frame where a metric is undefined is left out and counted, so that
broken predictions show in the table instead of flattering it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moviestrip.errors import FatalError
from moviestrip.evaluation import metrics
from moviestrip.evaluation.protocols import Protocol
from moviestrip.skeleton import COMMON_14
from moviestrip.tables import SCORES, empty, stack

MM = 1000.0
PERCENT = 100.0
ROOTS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "hip_midpoint": metrics.center_on_hips,
    "as_given": lambda joints: joints,
}


@dataclass(frozen=True)
class Frames:
    """The labelled frames of every clip, one after the other, beside what was predicted for them."""

    clip: np.ndarray  # (N,) position of the frame's clip
    number: np.ndarray  # (N,) index in the clip
    burst: np.ndarray  # (N,) an occlusion or blur burst is on the frame
    has_3d: np.ndarray  # (N,)
    visible: np.ndarray  # (N, 25)
    predicted_px: np.ndarray  # (N, 25, 2) in the crop's scale
    target_px: np.ndarray  # (N, 25, 2)
    predicted_m: np.ndarray  # (N, 14, 3) wherever its origin is
    target_m: np.ndarray  # (N, 14, 3)


@dataclass(frozen=True)
class Measure:
    """One metric on frames (or triplets of frames): values and which of them the protocol counts."""

    metric: str
    unit: str
    clip: np.ndarray
    burst: np.ndarray
    counted: np.ndarray
    values: np.ndarray


def score_predictions(
    predictions: pd.DataFrame, labels: pd.DataFrame, clips: pd.DataFrame, protocol: Protocol, variant: str, seed: int
) -> pd.DataFrame:
    """SCORES of every clip in `clips`, each of whose labelled frames must have been predicted."""
    if len(clips) == 0:
        return empty(SCORES)
    clips = clips.sort_values("clip_id", ignore_index=True)
    frames = join_frames(predictions, labels, clips)
    parts = [part for measure in measures(frames, protocol) for part in _scores_of(measure, clips)]
    table = pd.concat(parts, ignore_index=True).assign(variant=variant, seed=seed, horizon=0, dtw=False)
    order = ["dataset", "metric", "condition", "clip_id"]
    return table[[column.name for column in SCORES.columns]].sort_values(order, ignore_index=True)


def join_frames(predictions: pd.DataFrame, labels: pd.DataFrame, clips: pd.DataFrame) -> Frames:
    """Pair predictions with labels on (clip, frame), in the order of `clips`."""
    labels = labels[labels["clip_id"].isin(clips["clip_id"])]
    joined = labels.merge(
        predictions[["clip_id", "frame", "joints_3d_m", "keypoints_2d"]],
        on=["clip_id", "frame"],
        how="left",
        suffixes=("", "_predicted"),
        indicator=True,
        validate="one_to_one",
    )
    _require_complete(joined, clips)
    position = pd.Series(np.arange(len(clips)), index=clips["clip_id"])
    joined = joined.assign(position=joined["clip_id"].map(position)).sort_values(["position", "frame"])
    keypoints = stack(joined["keypoints_2d"], 25, 3)
    scale = joined["box_scale"].to_numpy(np.float32)[:, None, None]
    return Frames(
        clip=joined["position"].to_numpy(np.int64),
        number=joined["frame"].to_numpy(np.int64),
        burst=joined["burst"].to_numpy(object) != "none",
        has_3d=joined["has_3d"].to_numpy(bool),
        visible=keypoints[..., 2] > 0,
        predicted_px=stack(joined["keypoints_2d_predicted"], 25, 2) * scale,
        target_px=keypoints[..., :2] * scale,
        predicted_m=stack(joined["joints_3d_m_predicted"], 14, 3),
        target_m=stack(joined["joints_3d_m"], 14, 3),
    )


def _require_complete(joined: pd.DataFrame, clips: pd.DataFrame) -> None:
    missing = joined.loc[joined["_merge"] == "left_only"]
    if len(missing):
        first = missing.iloc[0]
        raise FatalError(
            f"predictions: {len(missing):,} of {len(joined):,} labelled frames have none, the first is frame "
            f"{first['frame']} of clip {first['clip_id']}; run predict again on these clips"
        )
    unlabelled = sorted(set(clips["clip_id"]) - set(joined["clip_id"]))
    if unlabelled:
        raise FatalError(
            f"labels: {len(unlabelled):,} of {len(clips):,} clips have none, the first is {unlabelled[0]}; "
            f"run the stage that makes 'labels' again"
        )


def measures(frames: Frames, protocol: Protocol) -> Iterator[Measure]:
    """Every metric that the labels allow, on every frame at once."""
    enough_2d = frames.visible.sum(-1) >= protocol.minimum_visible_2d
    share = metrics.pck_after_optimal_camera(
        frames.predicted_px, frames.target_px, frames.visible, protocol.pck_threshold_px, protocol.minimum_visible_2d
    )
    yield Measure("pck", "%", frames.clip, frames.burst, enough_2d, share * PERCENT)

    in_3d = frames.has_3d & (frames.visible[:, : len(COMMON_14)].sum(-1) >= protocol.minimum_visible_3d)
    predicted_m, target_m = (ROOTS[protocol.root](joints) for joints in (frames.predicted_m, frames.target_m))
    for name, function in (("mpjpe", metrics.mpjpe), ("pa_mpjpe", metrics.pa_mpjpe)):
        values = function(predicted_m, target_m) * MM
        yield Measure(name, "mm", frames.clip, frames.burst, in_3d, values)

    whole, clip, burst = _triplets(frames)
    unit, root = protocol.acceleration_unit, ROOTS[protocol.acceleration_root]
    predicted_m, target_m = root(frames.predicted_m), root(frames.target_m)
    accelerations = metrics.acceleration(predicted_m) * MM
    yield Measure("accel", unit, clip, burst, whole, accelerations)
    errors = metrics.acceleration_error(predicted_m, target_m) * MM
    yield Measure("accel_error", unit, clip, burst, whole & _all_three(in_3d), errors)


def _triplets(frames: Frames) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each three neighbouring rows: whether they are three frames in a row of one clip, the clip, any burst."""
    steady = (np.diff(frames.number) == 1) & (np.diff(frames.clip) == 0)
    whole = steady[:-1] & steady[1:]
    burst = frames.burst[:-2] | frames.burst[1:-1] | frames.burst[2:]
    return whole, frames.clip[1:-1], burst


def _all_three(flags: np.ndarray) -> np.ndarray:
    return flags[:-2] & flags[1:-1] & flags[2:]


def _scores_of(measure: Measure, clips: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """One row for each clip and condition that has counted frames; the mean is NaN when all are degenerate."""
    conditions = {"all": measure.counted}
    if (measure.counted & measure.burst).any():  # without bursts 'clean' would only repeat 'all'
        conditions["burst"] = measure.counted & measure.burst
        conditions["clean"] = measure.counted & ~measure.burst
    for condition, chosen in conditions.items():
        finite = chosen & np.isfinite(measure.values)
        counted = np.bincount(measure.clip[chosen], minlength=len(clips))
        used = np.bincount(measure.clip[finite], minlength=len(clips))
        sums = np.bincount(measure.clip[finite], measure.values[finite].astype(np.float64), minlength=len(clips))
        means = np.divide(sums, used, out=np.full(len(clips), np.nan), where=used > 0)
        scores = clips[["dataset", "clip_id", "action"]].assign(
            metric=measure.metric,
            condition=condition,
            value=means,
            unit=measure.unit,
            frames=used,
            degenerate_frames=counted - used,
        )
        yield scores[counted > 0]
