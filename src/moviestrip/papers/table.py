"""Builds a paper's table: every printed cell, with our number and its interval beside it, or why there is none.

The result is long, one row a cell, so that it can be joined, tested and judged; `render` lays it out.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moviestrip.config import DatasetSettings, ForecastReading
from moviestrip.evaluation.protocols import PROTOCOLS, protocol_named
from moviestrip.evaluation.statistics import interval
from moviestrip.papers.audit import notes_of_cell
from moviestrip.papers.forecasts import metric_of_forecasts
from moviestrip.papers.printed import printed
from moviestrip.papers.protocols import protocol_of
from moviestrip.papers.worlds import (
    BASELINES,
    EXTRA_ROWS,
    MOTIONS,
    PAPER_DATASETS,
    Setting,
    can_be_made,
    kind_of,
    stand_in,
    variant_of,
)

COLUMNS = (
    "paper table row row_id dataset metric horizon action dtw printed ours low high clips frames seeds unit better note"
).split()
SCORED_METRICS = tuple(dict.fromkeys(metric for protocol in PROTOCOLS.values() for metric in protocol.metrics))
PCK_IN_3D = ("mpi_inf_3dhp",)  # where the papers' PCK is of 3D joints, within 150 mm
INPUT_FRAMES = "input_frames"  # a number of the model, not a measurement
KINDS = ("forecast", "dynamics")  # `condition` of the scores of what speaks of other frames than those looked at
SAME_ACTION = {
    "photo": "takingphoto",
    "walkingtogether": "walktogether",
    "walkdog": "walkingdog",
    "pullups": "pullup",
    "pushups": "pushup",
    "situps": "situp",
    "squats": "squat",
}
FRAMES_A_UNIT = {"k_frames": 1e3, "M_frames": 1e6}
PRINTED_UNITS = {"mm/s^2": "mm/frame^2"}  # what the papers print, and what it is


@dataclass(frozen=True)
class OurCell:
    """Our side of one cell."""

    ours: float = np.nan
    low: float = np.nan
    high: float = np.nan
    clips: int | None = None
    frames: int | None = None
    seeds: int | None = None
    note: str = ""


def dataset_statistics(clips: pd.DataFrame, datasets: Mapping[str, DatasetSettings]) -> pd.DataFrame:
    """Size and annotation of each dataset, (dataset, frames, minutes, seconds, gt_3d, gt_2d, in_the_wild, clips).

    `clips` are all clips of all splits; `seconds` is the mean length of a clip.
    """
    lengths = clips.assign(seconds=clips["n_frames"] / clips["fps"]).groupby("dataset", sort=True)
    statistics = lengths.agg(frames=("n_frames", "sum"), total=("seconds", "sum"), seconds=("seconds", "mean"))
    statistics = statistics.assign(minutes=statistics.pop("total") / 60, clips=lengths.size()).reset_index()
    settings = [datasets[name] for name in statistics["dataset"]]
    return statistics.assign(
        gt_3d=[dataset.supervision == "full_3d" for dataset in settings],
        gt_2d=[dataset.supervision != "pseudo_2d" for dataset in settings],
        in_the_wild=[dataset.role not in ("mocap3d", "lab3d", "motions") for dataset in settings],
    )


def prints_input_frames(paper: str, number: str) -> bool:
    """Whether a table says how many frames its models are shown: it needs their settings."""
    return bool((printed(paper, number)["metric"] == INPUT_FRAMES).any())


def build_table(
    paper: str,
    number: str,
    scores: pd.DataFrame | None,
    statistics: pd.DataFrame | None,
    setting: Setting,
) -> pd.DataFrame:
    """One row a cell with `COLUMNS`; `printed` keeps the printed text, empty where the paper prints nothing.

    Args:
        scores: SCORES of every variant, seed and dataset at hand, or None.
        statistics: what `dataset_statistics` returned, or None.
        setting: the run; `Setting.of(config)`.
    """
    cells = cells_of(paper, number)
    scores_by_variant = {} if scores is None else dict(iter(scores.groupby("variant", sort=False)))
    ours = []
    for _, cell in cells.iterrows():
        variant = variant_of(cell["paper"], cell["row_id"], cell["kind"])
        of_variant = None if scores is None else scores_by_variant.get(str(variant), scores[:0])
        ours.append(our_cell(cell, of_variant, statistics, setting))
    table = cells.assign(
        printed=cells["value"],
        unit=cells["unit"].replace(PRINTED_UNITS),
        ours=[cell.ours for cell in ours],
        low=[cell.low for cell in ours],
        high=[cell.high for cell in ours],
        clips=pd.array([cell.clips for cell in ours], dtype="Int64"),
        frames=pd.array([cell.frames for cell in ours], dtype="Int64"),
        seeds=pd.array([cell.seeds for cell in ours], dtype="Int64"),
        note=[_join_notes(cell, our.note) for (_, cell), our in zip(cells.iterrows(), ours, strict=True)],
    )
    return table[COLUMNS].reset_index(drop=True)


def cells_of(paper: str, number: str) -> pd.DataFrame:
    """The printed cells of a table with the rows that we add to it."""
    cells = printed(paper, number)
    for extra in EXTRA_ROWS.get((paper, number), ()):
        like = cells[cells["row_id"] == extra.after]
        added = like.assign(row=extra.label, row_id=extra.row_id, kind="ours", note="not printed")
        added = added.assign(value="", number=np.nan)
        position = like.index[-1] + 1
        cells = pd.concat([cells.iloc[:position], added, cells.iloc[position:]], ignore_index=True)
    return cells


def _join_notes(cell: pd.Series, ours: str) -> str:
    unit = f"printed as {cell['unit']}" if cell["unit"] in PRINTED_UNITS and cell["value"] else ""
    audits = [f"docs/audit.md: {found.note.name}" for found in notes_of_cell(cell)] if cell["value"] else []
    return "; ".join(note for note in (cell["note"], unit, *audits, ours) if note)


def our_cell(
    cell: pd.Series, scores: pd.DataFrame | None, statistics: pd.DataFrame | None, setting: Setting
) -> OurCell:
    """Our number for one of `cells_of`, or the reason for none."""
    missing = why_missing(cell, setting)
    if missing:
        return OurCell(note=missing)
    if not cell["kind"]:
        return _statistic(cell, statistics, setting)
    if cell["metric"] == INPUT_FRAMES:
        return _input_frames(cell, setting)
    return _score(cell, scores, setting)


def why_missing(cell: pd.Series, setting: Setting) -> str:
    """Why this run cannot fill a cell, or nothing when it can."""
    dataset = stand_in(cell["dataset"], setting.world)
    known = dataset in (*setting.datasets, MOTIONS)
    absent = "" if known else f"pending: dataset {dataset} is not in this run"
    if not cell["kind"]:  # a row of dataset statistics
        return absent
    variant = variant_of(cell["paper"], cell["row_id"], cell["kind"])
    if variant is None:
        return "cited by the paper; not a model of this project"
    if not can_be_made(variant, (*setting.variants, *setting.motion_priors)):
        return f"pending: {kind_of(variant)} {BASELINES.get(variant, variant)} is not trained"
    if cell["metric"] == INPUT_FRAMES:
        return ""
    if scored_metric(cell) not in SCORED_METRICS:
        return f"pending: metric {cell['metric']} is not scored"
    if scored_metric(cell) not in protocol_named(protocol := protocol_in(cell, setting)).metrics:
        return f"pending: metric {scored_metric(cell)} is not measured by protocol {protocol}"
    return absent


def scored_metric(cell: pd.Series) -> str:
    """The metric that fills a cell, by its name in SCORES."""
    return "pck_3d" if cell["metric"] == "pck" and cell["dataset"] in PCK_IN_3D else str(cell["metric"])


def metric_in_scores(cell: pd.Series, reading: ForecastReading) -> str:
    """As `scored_metric`, of forecasts under a run's reading of them."""
    return metric_of_forecasts(f"{cell['paper']}-{cell['table']}", scored_metric(cell), reading)


def protocol_in(cell: pd.Series, setting: Setting) -> str:
    """The protocol that a cell is measured by."""
    return protocol_of(f"{cell['paper']}-{cell['table']}", str(cell["dataset"]), setting.protocol)


def summary_of(reasons: Iterable[str]) -> str:
    """Several reasons of `why_missing` in one line: 'variants a, b are not trained; metric c is not scored'."""
    names: dict[tuple[str, str], dict[str, None]] = {}
    others: dict[str, None] = {}
    for reason in reasons:
        plain = reason.removeprefix("pending: ")
        match = re.fullmatch(r"(variant|motion prior|metric|dataset) (\S+) is (.+)", plain)
        if match:
            names.setdefault((match[1], match[3]), {})[match[2]] = None
        elif plain:
            others[plain] = None
    lines = [
        f"{kind}s {', '.join(known)} are {what}" if len(known) > 1 else f"{kind} {next(iter(known))} is {what}"
        for (kind, what), known in names.items()
    ]
    return "; ".join([*lines, *others])


def _input_frames(cell: pd.Series, setting: Setting) -> OurCell:
    """How many frames a model is shown at once; known as soon as it is defined, and without an interval."""
    variant = str(variant_of(cell["paper"], cell["row_id"], cell["kind"]))
    if variant not in setting.input_frames:
        return OurCell(note=f"pending: {variant} has not said how many frames it is shown")
    return OurCell(setting.input_frames[variant], note="frames of a training window; a number of the model")


def _statistic(cell: pd.Series, statistics: pd.DataFrame | None, setting: Setting) -> OurCell:
    dataset = stand_in(cell["dataset"], setting.world)
    row = None if statistics is None else statistics[statistics["dataset"] == dataset]
    if row is None or row.empty:
        return OurCell(note=f"pending: {dataset} has no clips yet")
    value = float(row[cell["metric"]].iloc[0]) / FRAMES_A_UNIT.get(cell["unit"], 1)
    clips, frames = int(row["clips"].iloc[0]), int(row["frames"].iloc[0])
    return OurCell(value, clips=clips, frames=frames, note=_played(cell["dataset"], setting))


def _score(cell: pd.Series, scores: pd.DataFrame | None, setting: Setting) -> OurCell:
    variant = variant_of(cell["paper"], cell["row_id"], cell["kind"])
    dataset = stand_in(cell["dataset"], setting.world)
    protocol = protocol_in(cell, setting)
    reading = setting.forecast_reading
    chosen = None if scores is None else scores_of(cell, scores, str(variant), dataset, protocol, reading)
    if chosen is None or chosen.empty:
        return OurCell(note=_why_no_score(cell, scores, str(variant), dataset, protocol, reading))
    by_seed = chosen.pivot(index="seed", columns="clip_id", values="value").sort_index()
    by_clip = chosen.groupby("clip_id").agg(frames=("frames", "max"), group=("group", "first")).loc[by_seed.columns]
    pooled = protocol_named(protocol).video_weights == "frames"
    found = interval(
        by_seed.to_numpy(np.float64),
        weights=by_clip["frames"].to_numpy(np.float64) if pooled else None,
        groups=by_clip["group"].to_numpy(),
        samples=setting.bootstrap_samples,
        percent=setting.interval_percent,
        seed=setting.seed,
    ).of_scores(str(chosen["unit"].iloc[0]))
    degenerate = int(chosen["degenerate_frames"].sum())
    notes = [_played(cell["dataset"], setting), f"{degenerate} degenerate frames left out" if degenerate else ""]
    if by_clip["group"].nunique() == 1:
        notes.append("one clip: no interval" if len(by_clip) == 1 else "clips of one motion: no interval")
    return OurCell(
        *found,
        clips=int(by_seed.notna().any().sum()),
        frames=int(chosen.groupby("seed")["frames"].sum().max()),
        seeds=len(by_seed),
        note="; ".join(note for note in notes if note),
    )


def _why_no_score(
    cell: pd.Series,
    scores: pd.DataFrame | None,
    variant: str,
    dataset: str,
    protocol: str,
    reading: ForecastReading,
) -> str:
    any_action = pd.Series({**cell, "action": ""})
    everywhere = None if scores is None else scores_of(any_action, scores, variant, dataset, protocol, reading)
    if cell["action"] and everywhere is not None and len(everywhere):
        return f"no test clip of {dataset} shows {cell['action']} long enough"
    return f"pending: {variant} has no scores on {dataset} yet"


def scores_of(
    cell: pd.Series,
    scores: pd.DataFrame,
    variant: str,
    dataset: str,
    protocol: str,
    reading: ForecastReading,
) -> pd.DataFrame:
    """The rows of SCORES that a cell is a mean of; `reading` is the run's `evaluation.forecast_reading`."""
    horizon = int(cell["horizon"] or 0)
    chosen = scores[
        (scores["variant"] == variant)
        & (scores["dataset"] == dataset)
        & (scores["protocol"] == protocol)
        & (scores["metric"] == metric_in_scores(cell, reading))
        & (scores["condition"].isin(KINDS) if cell["horizon"] else scores["condition"] == "all")
        & (scores["horizon"] == horizon)
        & (scores["dtw"] == (cell["dtw"] == "true"))
    ]
    if cell["action"] in ("", "All"):
        return chosen
    return chosen[chosen["action"].map(plain_action) == plain_action(cell["action"])]


def plain_action(name: str) -> str:
    """An action's name without case, spaces, hyphens and underscores, in PHD's words: 'sitting_down', 'push_ups'."""
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    return SAME_ACTION.get(plain, plain)


def _played(paper_dataset: str, setting: Setting) -> str:
    if setting.world != "miniature":
        return ""
    return f"ours: {stand_in(paper_dataset, setting.world)} plays {PAPER_DATASETS[paper_dataset].title}"
