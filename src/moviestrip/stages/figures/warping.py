"""PHD's Figure 8: forecasts beside what happened, and the frames that dynamic time warping matches."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from moviestrip import tables
from moviestrip.config import EvaluationSettings
from moviestrip.errors import ConfigError
from moviestrip.evaluation.dtw import DtwMetric, DtwOptions, dtw_path, pair_costs
from moviestrip.evaluation.forecasts import (
    Moments,
    counted_in_2d,
    counted_in_3d,
    direct_measures,
    join_moments,
    warped_measures,
)
from moviestrip.evaluation.protocols import Protocol
from moviestrip.evaluation.score import groups_of
from moviestrip.evaluation.statistics import Interval, interval
from moviestrip.figures.alignment import alignment_picture, alignment_sheet
from moviestrip.figures.drawn import Drawn
from moviestrip.papers.figures import PaperFigure
from moviestrip.papers.forecasts import forecast_protocols
from moviestrip.papers.worlds import Setting
from moviestrip.skeleton import COMMON_14, HMMR_25
from moviestrip.stages.job import Job, labels_of, selected_clips
from moviestrip.tables import read_table

SHOWN = {"median": 0.5, "90th percentile": 0.9}  # of the gains of a dataset's clips
EVERY_FRAMES, CELL_PX, GAP_PX, TEXT_PX = 3, (108, 190), 120, 22
GAIN_DIGITS = 3  # a micrometre
TITLES: dict[DtwMetric, str] = {"pa_mpjpe": "PA-MPJPE", "pck": "PCK"}


class _Gains(NamedTuple):
    """Of every forecast of a dataset: its place in `moments` and what warping does to the mean over its frames."""

    moments: Moments
    metric: DtwMetric
    table: pd.DataFrame


class _Pair(NamedTuple):
    """Arguments of `alignment_picture`."""

    target: Float[np.ndarray, "frames joints axes"]
    predicted: Float[np.ndarray, "frames joints axes"]
    matches: Int[np.ndarray, "matches 2"]
    names: Sequence[str]


def draw_warping(job: Job, figure: PaperFigure, setting: Setting) -> Drawn:
    """On each dataset the clips whose gain by warping is the median and the 90th percentile."""
    row, seed = figure.rows_in(setting)[0], setting.seeds[0]
    options = whole_path(DtwOptions.of(job.settings.section(EvaluationSettings).dtw))
    parts, notes, numbers = [], [], []
    for dataset in figure.datasets_in(setting):
        protocol = forecast_protocols(row, dataset, setting.world, setting.protocol)[0]
        clips = selected_clips(job, [dataset], ["test"]).sort_values("clip_id", ignore_index=True)
        forecasts = read_table(job.run.forecasts(row, seed, dataset), tables.FORECASTS)
        gains = warping_gains(forecasts, labels_of(job, dataset), clips, protocol, options)
        table = gains.table.assign(dataset=dataset, seed=seed, protocol=protocol.name)
        for index, name in shown(table).items():
            table.loc[index, "shown"] = name
            pair = matched(gains.moments, int(table["position"].to_numpy()[index]), gains.metric, protocol, options)
            picture = alignment_picture(*pair, CELL_PX, GAP_PX, EVERY_FRAMES, TEXT_PX)
            parts.append((_heading(table.iloc[index], pair.matches), picture))
        notes.append(_note(table, forecasts, clips, gains.metric, setting))
        numbers.append(table.drop(columns="position"))
    note = (
        f"{row} (training seed {seed}), {setting.world} world, protocol {protocol.name}; one of {EVERY_FRAMES} frames "
        f"is drawn, all are matched. {' '.join(notes)} Rule: of forecasts whose every frame counts, each test clip "
        f"stands by that of median gain; shown are the clips at the median and the 90th percentile of these gains "
        f"(nearest rank, equal ones by id)."
    )
    return Drawn(alignment_sheet(parts, TEXT_PX), note, pd.concat(numbers, ignore_index=True))


def whole_path(options: DtwOptions) -> DtwOptions:
    """The same costs, read so that the last horizon is the mean over the whole path: what the picture shows."""
    return replace(options, reading="prefix")


def warping_gains(
    forecasts: pd.DataFrame, labels: pd.DataFrame, clips: pd.DataFrame, protocol: Protocol, options: DtwOptions
) -> _Gains:
    """Errors of every forecast (FORECASTS) before and after warping: PA-MPJPE where the truth is 3D, or PCK.

    A forecast some of whose frames do not count is left out; `clips` are sorted by id.
    """
    future = forecasts[(forecasts["kind"] == "forecast") & (forecasts["horizon"] > 0)]
    future = future[future["clip_id"].isin(clips["clip_id"])].sort_values(["clip_id", "start_frame"])
    moments = join_moments(future, labels, clips)
    starts = future[["clip_id", "start_frame"]].drop_duplicates(ignore_index=True)
    in_3d = counted_in_3d(moments, protocol).all(1)
    metric: DtwMetric = "pa_mpjpe" if in_3d.any() else "pck"
    counted = in_3d if metric == "pa_mpjpe" else counted_in_2d(moments, protocol).all(1)
    (before,) = (m for m in direct_measures(moments, protocol) if m.metric == metric)
    (after,) = (m for m in warped_measures(moments, protocol, options) if m.metric == metric)
    table = starts.assign(
        position=np.arange(len(starts)), metric=metric, unit=before.unit, before=before.values.mean(1),
        after=after.values[:, -1], shown="",
    )  # fmt: skip
    gain = (table["after"] - table["before"]) * (1 if metric == "pck" else -1)
    table["gain"] = gain.round(GAIN_DIGITS) + 0.0  # no ranking by what rounding leaves, and no -0
    known = counted & np.isfinite(table["gain"].to_numpy())
    if not known.any():
        raise ConfigError(
            f"phd-8: of {len(table)} forecasts none has {len(moments.horizons)} frames that all count; make longer or "
            f"better labelled clips, or drop the figure"
        )
    action = table["clip_id"].map(clips.set_index("clip_id")["action"])
    return _Gains(moments, metric, table.assign(action=action)[known].reset_index(drop=True))


def shown(table: pd.DataFrame) -> dict[int, str]:
    """Index of the forecasts to draw, and why: each clip stands by its forecast of median gain."""
    typical = [at_quantile(of_clip, 0.5) for _, of_clip in table.groupby("clip_id")]
    found: dict[int, str] = {}
    for name, quantile in SHOWN.items():
        index = at_quantile(table.loc[typical], quantile)
        found[index] = f"{found[index]} and {name}" if index in found else name
    return found


def at_quantile(table: pd.DataFrame, quantile: float) -> int:
    """Index of the row whose `gain` is nearest in rank to a quantile; of equal gains, the first by clip and start."""
    order = table.sort_values(["gain", "clip_id", "start_frame"]).index
    return int(order[round(quantile * (len(order) - 1))])


def matched(moments: Moments, position: int, metric: DtwMetric, protocol: Protocol, options: DtwOptions) -> _Pair:
    """One forecast and its whole path; keypoints that nobody sees are NaN."""
    if metric == "pa_mpjpe":
        predicted, target = moments.predicted_m[position], moments.target_m[position]
        return _Pair(target, predicted, dtw_path(pair_costs(predicted, target, metric, options).cost), COMMON_14)
    predicted, target = moments.points_m[position, ..., :2], moments.target_px[position]
    seen = moments.confidence[position] > protocol.visible_above
    costs = pair_costs(predicted, target, metric, options, seen, protocol.pck_threshold_px, protocol.minimum_visible_2d)
    return _Pair(np.where(seen[..., None], target, np.nan), predicted, dtw_path(costs.cost), HMMR_25)


def _heading(row: pd.Series, matches: np.ndarray) -> tuple[str, str]:
    action, unit = str(row["action"]).replace("_", " "), row["unit"]
    before, after = f"{row['before']:.1f} {unit} frame by frame", f"{row['after']:.1f} {unit} warped"
    shifted = int((matches[:, 0] != matches[:, 1]).sum())
    return (
        " · ".join(filter(None, (row["dataset"], action, f"clip {row['clip_id']} after frame {row['start_frame']}"))),
        f"{row['shown']} gain: {TITLES[row['metric']]} {before}, {after}; {shifted} of {len(matches)} matches shifted",
    )


def _note(
    table: pd.DataFrame, forecasts: pd.DataFrame, clips: pd.DataFrame, metric: DtwMetric, setting: Setting
) -> str:
    dataset, unit = table["dataset"].iloc[0], "points" if metric == "pck" else table["unit"].iloc[0]
    asked = forecasts.loc[forecasts["clip_id"].isin(clips["clip_id"]), ["clip_id", "start_frame"]].drop_duplicates()
    mean = mean_gain(table, clips, setting)
    sure = f" [{mean.low:.1f}, {mean.high:.1f}]" if np.isfinite(mean.low) else ""
    left_out = len(asked) - len(table)
    return (
        f"{dataset}: {TITLES[metric]}, {len(table)} forecasts of {table['clip_id'].nunique()} test clips"
        f"{f' ({left_out} left out)' if left_out else ''}, mean gain {mean.mean:.1f} {unit}{sure}."
    )


def mean_gain(table: pd.DataFrame, clips: pd.DataFrame, setting: Setting) -> Interval:
    """Mean over clips of the mean gain of their forecasts, with its interval."""
    by_clip = table.groupby("clip_id")["gain"].mean()
    known = clips[clips["clip_id"].isin(by_clip.index)]
    values = by_clip.loc[known["clip_id"]].to_numpy()[None]
    groups = np.asarray(groups_of(known))
    return interval(values, None, setting.bootstrap_samples, setting.interval_percent, setting.seed, groups)
