"""Forecasts and labels in, one score a clip, metric and horizon out, with and without dynamic time warping.

Without warping, the prediction for frame start + h is compared with that frame. With it (PHD), the whole forecast is
aligned in time with what happened first, so that the right motion at the wrong tempo is not punished; see `dtw`.
A clip's score is the mean over its starts. How far the truth and the prediction have moved by each horizon is told
beside the errors: a small error is worth little where nobody moves.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moviestrip.errors import ConfigError, FatalError
from moviestrip.evaluation import metrics
from moviestrip.evaluation.dtw import DEFAULT, DtwOptions, dtw_errors, mean_up_to_horizon
from moviestrip.evaluation.protocols import UP_TO_HORIZON, Protocol
from moviestrip.evaluation.score import GENDERS, MM, PERCENT, groups_of
from moviestrip.skeleton import COMMON_14
from moviestrip.tables import CLIPS, LABELS, SCORES, empty, stack, with_defaults

MEASURED = ("pck", "pa_mpjpe")
KINDS = ("forecast", "dynamics")  # what FORECASTS hold, and the `condition` of their scores


@dataclass(frozen=True)
class Moments:
    """What was forecast from each start, at each horizon, beside what the labels say of that frame."""

    clip: np.ndarray  # (N,) position of the start's clip
    horizons: np.ndarray  # (H,) in frames, ascending
    has_3d: np.ndarray  # (N, H)
    confidence: np.ndarray  # (N, H, 25)
    predicted_m: np.ndarray  # (N, H, 14, 3) wherever its origin is
    target_m: np.ndarray  # (N, H, 14, 3)
    points_m: np.ndarray  # (N, H, 25, 3) predicted too
    target_px: np.ndarray  # (N, H, 25, 2) in the crop's scale
    trusted: np.ndarray | None = None  # (N, H) the dataset itself counts the frame; None where it says nothing


@dataclass(frozen=True)
class HorizonMeasure:
    """One metric of every start at some horizons: values and which of them the protocol counts."""

    metric: str
    unit: str
    dtw: bool
    horizons: np.ndarray  # (H,)
    counted: np.ndarray  # (N, H)
    values: np.ndarray  # (N, H)


def score_forecasts(
    forecasts: pd.DataFrame,
    labels: pd.DataFrame,
    clips: pd.DataFrame,
    protocol: Protocol,
    variant: str,
    seed: int,
    options: DtwOptions = DEFAULT,
) -> pd.DataFrame:
    """SCORES of the forecasts (FORECASTS) of some clips; their `condition` is the forecasts' kind.

    A clip too short for a start has no forecasts and no score. Every frame that was forecast must have a label.
    """
    clips, labels = with_defaults(clips, CLIPS), with_defaults(labels, LABELS)
    filmed = clips["camera"].map(protocol.counts_camera).to_numpy(bool)
    clips = clips[filmed].sort_values("clip_id", ignore_index=True)
    _require_stored_truth(labels[labels["clip_id"].isin(clips["clip_id"])], protocol)
    parts = []
    for kind in KINDS:
        chosen = forecasts[(forecasts["kind"] == kind) & forecasts["clip_id"].isin(clips["clip_id"])]
        if len(chosen):
            moments = join_moments(chosen, labels, clips)
            direct = list(direct_measures(moments, protocol))
            measured = [*direct, *motion_measures(moments, protocol)]
            if kind == "forecast":
                measured += [*map(averaged_up_to_horizon, direct), *warped_measures(moments, protocol, options)]
            parts += [scores_of(measure, moments.clip, clips).assign(condition=kind) for measure in measured]
    if not parts:
        return empty(SCORES)
    table = pd.concat(parts, ignore_index=True).assign(variant=variant, seed=seed, protocol=protocol.name)
    order = ["dataset", "metric", "condition", "dtw", "horizon", "clip_id"]
    return table[[column.name for column in SCORES.columns]].sort_values(order, ignore_index=True)


def join_moments(forecasts: pd.DataFrame, labels: pd.DataFrame, clips: pd.DataFrame) -> Moments:
    """Pair forecasts of one kind with the labels of the frames they speak of."""
    labels = with_defaults(labels, LABELS)
    position = pd.Series(np.arange(len(clips)), index=clips["clip_id"])
    joined = forecasts.assign(
        position=forecasts["clip_id"].map(position), frame=forecasts["start_frame"] + forecasts["horizon"]
    ).merge(
        labels[["clip_id", "frame", "box_scale", "has_3d", "trusted", "joints_3d_m", "keypoints_2d"]],
        on=["clip_id", "frame"],
        how="left",
        suffixes=("", "_true"),
        indicator=True,
        validate="many_to_one",
    )
    _require_labels(joined)
    joined = joined.sort_values(["position", "start_frame", "horizon"])
    horizons = np.unique(joined["horizon"].to_numpy(np.int64))
    _require_same_horizons(joined, horizons)
    shape = (-1, len(horizons))
    keypoints = stack(joined["keypoints_2d"], 25, 3).reshape(*shape, 25, 3)
    scale = joined["box_scale"].to_numpy(np.float32).reshape(*shape, 1, 1)
    return Moments(
        clip=joined["position"].to_numpy(np.int64).reshape(shape)[:, 0],
        horizons=horizons,
        has_3d=joined["has_3d"].to_numpy(bool).reshape(shape),
        confidence=keypoints[..., 2],
        predicted_m=stack(joined["joints_3d_m"], 14, 3).reshape(*shape, 14, 3),
        target_m=stack(joined["joints_3d_m_true"], 14, 3).reshape(*shape, 14, 3),
        points_m=stack(joined["points_3d_m"], 25, 3).reshape(*shape, 25, 3),
        target_px=keypoints[..., :2] * scale,
        trusted=joined["trusted"].to_numpy(bool).reshape(shape),
    )


def _require_stored_truth(labels: pd.DataFrame, protocol: Protocol) -> None:
    """Forecasts are compared with the stored joints, which are of the body of the person's sex."""
    if protocol.truth_body == "neutral" and (labels["has_body"] & labels["gender"].isin(GENDERS)).any():
        raise ConfigError(
            f"evaluation.protocol: '{protocol.name}' poses the truth with the neutral body, which is not done for "
            f"forecasts, and the labels hold men's or women's bodies; choose phd or hmmr"
        )


def _require_labels(joined: pd.DataFrame) -> None:
    missing = joined.loc[joined["_merge"] == "left_only"]
    if len(missing):
        first = missing.iloc[0]
        raise FatalError(
            f"labels: {len(missing):,} of {len(joined):,} forecast frames have none, the first is frame "
            f"{first['frame']} of clip {first['clip_id']}; forecast again on these clips"
        )


def _require_same_horizons(joined: pd.DataFrame, horizons: np.ndarray) -> None:
    count = joined.groupby(["clip_id", "start_frame"], sort=False)["horizon"].nunique()
    short = count[count != len(horizons)]
    if len(short):
        clip_id, start = short.index[0]
        raise FatalError(
            f"forecasts: of {len(horizons)} horizons, {short.iloc[0]} are there from frame {start} of clip {clip_id}; "
            f"every start needs all of them"
        )


def direct_measures(
    moments: Moments, protocol: Protocol, measured: Collection[str] = MEASURED
) -> Iterator[HorizonMeasure]:
    """The error at horizon h is that of frame start + h."""
    if "pck" in measured:
        share = metrics.pck_after_optimal_camera(
            moments.points_m[..., :2],
            moments.target_px,
            moments.confidence > protocol.visible_above,
            protocol.pck_threshold_px,
            protocol.minimum_visible_2d,
        )
        yield HorizonMeasure("pck", "%", False, moments.horizons, counted_in_2d(moments, protocol), share * PERCENT)
    if "pa_mpjpe" in measured:
        values = metrics.pa_mpjpe(moments.predicted_m, moments.target_m) * MM
        yield HorizonMeasure("pa_mpjpe", "mm", False, moments.horizons, counted_in_3d(moments, protocol), values)


def warped_measures(
    moments: Moments, protocol: Protocol, options: DtwOptions, measured: Collection[str] = MEASURED
) -> Iterator[HorizonMeasure]:
    """The error at horizon h is what the best alignment in time leaves there; frames that do not count take no part."""
    future = moments.horizons > 0
    horizons, seen = moments.horizons[future], moments.confidence[:, future] > protocol.visible_above
    if "pck" in measured:
        share = dtw_errors(
            moments.points_m[:, future, :, :2],
            moments.target_px[:, future],
            "pck",
            options,
            seen,
            protocol.pck_threshold_px,
            protocol.minimum_visible_2d,
        )
        yield HorizonMeasure("pck", "%", True, horizons, counted_in_2d(moments, protocol)[:, future], share * PERCENT)
    if "pa_mpjpe" not in measured:
        return
    in_3d = counted_in_3d(moments, protocol)[:, future]
    known = np.flatnonzero(in_3d.any(1))
    errors_m = np.full(in_3d.shape, np.nan)
    predicted_m, target_m = moments.predicted_m[known][:, future], moments.target_m[known][:, future]
    errors_m[known] = dtw_errors(predicted_m, target_m, "pa_mpjpe", options, in_3d[known])
    yield HorizonMeasure("pa_mpjpe", "mm", True, horizons, in_3d, errors_m * MM)


def averaged_up_to_horizon(measure: HorizonMeasure) -> HorizonMeasure:
    """The same at 1 to h, averaged: what time warping averages over too, and so what to compare it with."""
    future = measure.horizons > 0
    counted = measure.counted[:, future]
    averages = mean_up_to_horizon(np.where(counted, measure.values[:, future], np.nan))
    name = measure.metric + UP_TO_HORIZON
    return HorizonMeasure(name, measure.unit, False, measure.horizons[future], counted, averages)


def motion_measures(moments: Moments, protocol: Protocol) -> Iterator[HorizonMeasure]:
    """How far the joints are from where they were at horizon 0, the hips held in place: truth and prediction."""
    if 0 not in moments.horizons:
        return
    now = int(np.searchsorted(moments.horizons, 0))
    everywhere = np.ones(moments.has_3d.shape, bool)
    in_3d = counted_in_3d(moments, protocol)
    for name, joints_m, counted in (
        ("motion_true", moments.target_m, in_3d & in_3d[:, now : now + 1]),
        ("motion_predicted", moments.predicted_m, everywhere),
    ):
        centred = metrics.center_on_hips(joints_m)
        values = metrics.mpjpe(centred, np.broadcast_to(centred[:, now : now + 1], centred.shape)) * MM
        yield HorizonMeasure(name, "mm", False, moments.horizons, counted, values)


def counted_in_2d(moments: Moments, protocol: Protocol) -> np.ndarray:
    seen = (moments.confidence > protocol.visible_above).sum(-1)
    return _trusted(moments, protocol) & (seen >= protocol.minimum_visible_2d)


def counted_in_3d(moments: Moments, protocol: Protocol) -> np.ndarray:
    seen = (moments.confidence[..., : len(COMMON_14)] > protocol.visible_above).sum(-1)
    return moments.has_3d & _trusted(moments, protocol) & (seen >= protocol.minimum_visible_3d)


def _trusted(moments: Moments, protocol: Protocol) -> np.ndarray:
    if moments.trusted is None or protocol.trusted == "ignored":
        return np.ones(moments.has_3d.shape, bool)
    return moments.trusted


def scores_of(measure: HorizonMeasure, clip: np.ndarray, clips: pd.DataFrame) -> pd.DataFrame:
    """One row for each clip and horizon with counted starts; the mean is NaN when all are degenerate."""
    finite = measure.counted & np.isfinite(measure.values)
    counted, used, sums = (np.zeros((len(clips), len(measure.horizons))) for _ in range(3))
    for total, values in ((counted, measure.counted), (used, finite), (sums, np.where(finite, measure.values, 0))):
        np.add.at(total, clip, values)
    means = np.divide(sums, used, out=np.full(sums.shape, np.nan), where=used > 0)
    row, column = np.nonzero(counted > 0)
    return (
        clips.assign(group=groups_of(clips))
        .iloc[row][["dataset", "clip_id", "group", "action"]]
        .assign(
            metric=measure.metric,
            horizon=measure.horizons[column],
            dtw=measure.dtw,
            value=means[row, column],
            unit=measure.unit,
            frames=used[row, column].astype(np.int64),
            degenerate_frames=(counted - used)[row, column].astype(np.int64),
        )
    )
