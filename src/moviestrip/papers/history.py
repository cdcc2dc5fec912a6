"""How one cell of a table came about: the scores it is a mean of, the clips they are of, and every file behind them.

The cell is read from the table's CSV, and everything else from what was recorded beside the files, so that it holds
for the run that made them, whatever the configuration says now.
"""

import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from moviestrip import tables
from moviestrip.errors import FatalError
from moviestrip.evaluation.protocols import protocol_named
from moviestrip.layout import RunFolder
from moviestrip.papers.cells import column_name, find_cell, read_cells
from moviestrip.papers.layout import layout
from moviestrip.papers.table import INPUT_FRAMES, metric_in_scores, our_cell, protocol_in, scores_of
from moviestrip.papers.worlds import PAPER_DATASETS, Setting, stand_in, variant_of
from moviestrip.provenance import (
    DIGEST_LETTERS,
    LINE_COLUMNS,
    Follow,
    Link,
    chain,
    flat_settings,
    links_as_json,
    one_of_each_kind,
    read_record,
    recorded_digest,
    settings_lines,
    verdict_line,
)
from moviestrip.settings import StageSettings
from moviestrip.storage import digest_of

SCORE_KINDS = ("scores", "forecast scores")  # of a table's inputs
OF_TEST_CLIPS = ("scores", "forecast_scores", "predictions", "forecasts")  # folders of a run
AGREEMENT = 1e-4  # relative; a table keeps four decimals, scores are float32
SHOWN_CLIPS = 12
TRAINING = "train"  # the stage that makes a checkpoint
FIELD_COLUMNS = 10
INSET = " " * 14


@dataclass(frozen=True)
class ClipScore:
    """What one clip scored under one training seed, and the video that it was cut from."""

    clip_id: str
    seed: int
    action: str
    value: float
    frames: int
    video: str


@dataclass(frozen=True)
class CellHistory:
    """One cell and all behind it.

    Attributes:
        cell: the row of the table's CSV.
        column: the shortest name of its column.
        selection: what the scores have in common that it is a mean of; empty where it is counted or has no number.
        score_files: relative to the run's folder.
        pooled: whether longer clips weigh more.
        again: its mean from the score files as they are now, NaN where they cannot tell.
        links: from the table back, only what is behind this cell.
    """

    table: Path
    heading: str
    cell: Mapping[str, str]
    column: str
    dataset: str
    interval_percent: float
    selection: Mapping[str, str]
    score_files: tuple[str, ...]
    pooled: bool
    again: float
    clips: tuple[ClipScore, ...]
    links: tuple[Link, ...]

    @property
    def run(self) -> Path:
        return self.table.parent.parent

    def as_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return {
            "table": str(self.table),
            "title": self.heading,
            "cell": dict(self.cell),
            "column": self.column,
            "dataset": self.dataset,
            "interval_percent": self.interval_percent,
            "selection": dict(self.selection),
            "score_files": list(self.score_files),
            "clips_weigh": "by frames" if self.pooled else "equally",
            "now": None if math.isnan(self.again) else self.again,
            "scores": [asdict(clip) for clip in self.clips],
            "files": links_as_json(self.links),
            "as_recorded": all(link.intact for link in self.links),
        }

    def lines(self, with_settings: bool = False) -> list[str]:
        """Everything, for a terminal of 80 columns."""
        lines = [*wrap(self.heading, LINE_COLUMNS), "", *self._cell_lines()]
        if self.selection:
            lines += ["", *self._score_lines()]
        own, learned = _in_reading_order(self.links)
        titles = (f"Files behind it, from the table back, in {_from_here(self.run)}:", "What its models learned from:")
        for title, files in zip(titles, (own, learned), strict=True):
            lines += ["", title] if files else []
            for link in files:
                lines += _file_lines(link, self.run, with_settings)
        versions = ", ".join(dict.fromkeys(link.code_version for link in self.links if link.code_version))
        return [*lines, "", f"{verdict_line(self.links)}; made by moviestrip {versions}"]

    def _cell_lines(self) -> list[str]:
        cell = self.cell
        plays = f", here {self.dataset}" if self.dataset not in ("", cell["dataset"]) else ""
        dataset = PAPER_DATASETS[cell["dataset"]].title + plays if cell["dataset"] else ""
        what = [dataset, cell["metric"], f"at {int(cell['horizon']):+d} frames" if cell["horizon"] else ""]
        what += [cell["action"], {"true": "with dtw", "false": "without dtw"}.get(cell["dtw"], "")]
        counts = [f"{cell[name]} {name if cell[name] != '1' else name[:-1]}" for name in _COUNTED if cell[name]]
        ours = f"{cell['ours']} {cell['unit']}" if cell["ours"] else "none"
        if cell["low"]:
            ours += f" [{cell['low']}, {cell['high']}] ({self.interval_percent:g} % interval)"
        return [
            *_field("cell", f"--row {cell['row_id']} --column {self.column}"),
            *_field("", f"{cell['row']}: {', '.join(part for part in what if part)}"),
            *_field("printed", f"{cell['printed']} {cell['unit']}" if cell["printed"] else "nothing"),
            *_field("ours", ours),
            *_field("", ", ".join(counts)),
            *_field("note", cell["note"]),
        ]

    def _score_lines(self) -> list[str]:
        weights = "clips weigh by their frames" if self.pooled else "every clip weighs the same"
        rows = ", ".join(f"{name} {value}" for name, value in self.selection.items())
        lines = [*_field("mean of", f"{len(self.clips)} scores; {weights}"), *_field("rows", rows)]
        for file in self.score_files:
            lines += _field("in", file)
        lines += _field("now", self._now())
        shown = self.clips[:SHOWN_CLIPS]
        width = max((len(clip.action) for clip in shown), default=0)
        lines += ["", f"{self.cell['unit']:>10}  frames  seed  {'action':<{width}}  clip"] if shown else []
        for clip in shown:
            action = f"{clip.action:<{max(width, 6)}}"
            lines.append(f"{clip.value:10.2f}  {clip.frames:6d}  {clip.seed:4d}  {action}  {clip.clip_id}")
            lines += [f"{'':{FIELD_COLUMNS}}  from {clip.video}"] if clip.video else []
        left = len(self.clips) - len(shown)
        return [*lines, *([f"{'':{FIELD_COLUMNS}}  and {left} more: --json lists all"] if left else [])]

    def _now(self) -> str:
        if math.isnan(self.again):
            return "the score files do not give this cell any more"
        same = np.isclose(self.again, float(self.cell["ours"]), rtol=AGREEMENT, atol=AGREEMENT)
        return f"these scores give {self.again:.4f}: " + ("as in the table" if same else "NOT as in the table")


_COUNTED = ("clips", "frames", "seeds")


def cell_history(table: Path, row: str | None, column: str | None) -> CellHistory:
    """The history of the cell of a finished table that `papers.cells` finds by row and column."""
    table = Path(os.path.normpath(Path.cwd() / table))
    cells = read_cells(table)
    cell = find_cell(cells, row, column)
    record = read_record(table)
    if record is None:
        raise FatalError(f"{table}: nothing is recorded beside it; make the table again")
    setting, run = _setting_of(table, record), RunFolder(table.parent.parent)
    dataset = stand_in(cell["dataset"], setting.world)
    inputs = {name: Path(os.path.normpath(table.parent / found["path"])) for name, found in record["inputs"].items()}
    chosen, scores = _scores_behind(cell, inputs, setting) if _is_measured(cell) else ({}, None)
    if cell["ours"] and not cell["kind"]:
        chosen = {name: path for name, path in inputs.items() if path.parent.name == dataset}
    found = _videos_of(run, dataset, [] if scores is None else scores["clip_id"].unique())
    selection = _selection(cell, dataset, setting) if _is_measured(cell) else {}
    return CellHistory(
        table,
        layout(cell["paper"], cell["table"]).heading,
        {name: cell[name] for name in cells.columns if name != "kind"},
        column_name(cell, cells),
        dataset,
        setting.interval_percent,
        selection,
        tuple(os.path.relpath(path, run.root) for path in chosen.values()) if selection else (),
        bool(selection) and protocol_named(selection["protocol"]).video_weights == "frames",
        our_cell(cell, scores, None, setting).ours if scores is not None and len(scores) else math.nan,
        () if scores is None else _clip_scores(scores, found),
        tuple(chain(table, _behind(table, run, list(chosen), {shard for shard, _ in found.values()}))),
    )


def _is_measured(cell: pd.Series) -> bool:
    """Whether scores are behind ours: not where it is counted, or a number of the model."""
    return bool(cell["ours"] and cell["kind"]) and cell["metric"] != INPUT_FRAMES


def _setting_of(table: Path, record: Mapping[str, Any]) -> Setting:
    try:
        return Setting.of(StageSettings(record["settings"]).config())
    except ValidationError as error:
        raise FatalError(
            f"{table}: version {record['code_version']} made it with settings that are no longer known; make it again"
        ) from error


def _selection(cell: pd.Series, dataset: str, setting: Setting) -> dict[str, str]:
    """The values of SCORES that a cell's scores have in common."""
    return {
        "variant": str(variant_of(cell["paper"], cell["row_id"], cell["kind"])),
        "dataset": dataset,
        "protocol": protocol_in(cell, setting),
        "metric": metric_in_scores(cell, setting.forecast_reading),
        "horizon": cell["horizon"] or "0",
        "dtw": cell["dtw"] or "false",
    }


def _scores_behind(
    cell: pd.Series, inputs: Mapping[str, Path], setting: Setting
) -> tuple[dict[str, Path], pd.DataFrame | None]:
    """The inputs of a table that hold a cell's scores, and those scores; a file that went or changed has none."""
    wanted = _selection(cell, stand_in(cell["dataset"], setting.world), setting)
    place = (wanted["variant"], wanted["dataset"])
    chosen: dict[str, Path] = {}
    parts = []
    for name, path in inputs.items():
        kind, _, key = name.partition(":")
        variant, *_, dataset = key.split("/")
        if kind not in SCORE_KINDS or (variant, dataset) != place:
            continue
        found = None
        if _is_as_made(path):
            scores = tables.read_table(path, tables.SCORES)
            place_in_scores = (wanted["variant"], wanted["dataset"], wanted["protocol"])
            found = scores_of(cell, scores, *place_in_scores, setting.forecast_reading)
            parts.append(found)
        if found is None or len(found):
            chosen[name] = path
    return chosen, pd.concat(parts, ignore_index=True) if parts else None


def _videos_of(run: RunFolder, dataset: str, clips: Collection[str]) -> dict[str, tuple[str, str]]:
    """The shard and the video file of each clip, as far as the tables are still what was made."""
    found: dict[str, tuple[str, str]] = {}
    for shard in run.shards(dataset) if dataset and len(clips) else ():
        if not _is_as_made(run.clips(dataset, shard)):
            continue
        rows = tables.read_table(run.clips(dataset, shard), tables.CLIPS, ["clip_id", "video_id"])
        rows = rows[rows["clip_id"].isin(clips)]
        paths: Mapping[str, str] = {}
        if _is_as_made(run.videos(dataset, shard)):
            videos = tables.read_table(run.videos(dataset, shard), tables.VIDEOS, ["video_id", "path"])
            paths = dict(zip(videos["video_id"], videos["path"], strict=True))
        found |= {clip: (shard, paths.get(video, "")) for clip, video in rows.itertuples(index=False)}
    return found


def _is_as_made(path: Path) -> bool:
    """Whether a table may be read; the chain tells of one that went or changed."""
    return path.is_file() and digest_of(path) == recorded_digest(path)


def _clip_scores(scores: pd.DataFrame, videos: Mapping[str, tuple[str, str]]) -> tuple[ClipScore, ...]:
    columns = ["clip_id", "seed", "action", "value", "frames"]
    rows = scores.sort_values(["clip_id", "seed"])[columns].itertuples(index=False, name=None)
    return tuple(
        ClipScore(clip, int(seed), action, float(value), int(frames), videos.get(clip, ("", ""))[1])
        for clip, seed, action, value, frames in rows
    )


def _behind(table: Path, run: RunFolder, chosen: Sequence[str], shards: Collection[str]) -> Follow:
    """Follows what is behind a cell: of the table its own scores, and of those its clips' shards."""

    def follow(path: Path, names: Sequence[str]) -> Mapping[str, Sequence[str]]:
        if path == table:
            return {name: [] for name in chosen}
        parts = path.relative_to(run.root).parts if path.is_relative_to(run.root) else ("",)
        if parts[0] not in OF_TEST_CLIPS:
            return one_of_each_kind(path, names)
        followed: dict[str, Sequence[str]] = {}
        for first, others in one_of_each_kind(path, names).items():
            kind = [first, *others]
            own = [name for name in kind if name.partition(":")[2] in shards] or [first]
            followed |= {own[0]: [name for name in kind if name not in own]} | {name: [] for name in own[1:]}
        return followed

    return follow


def _in_reading_order(links: Iterable[Link]) -> tuple[list[Link], list[Link]]:
    """Each file once and before all that it was made from; last, apart, those that only a training read.

    Of a file that stands in the chain several times, the first that is not as recorded counts.
    """
    files: dict[Path, Link] = {}
    readers: dict[Path, set[Path]] = {}
    for link in links:
        known = files.setdefault(link.path, link)
        if known.intact and (not link.intact or link.more > known.more):
            files[link.path] = link
        readers.setdefault(link.path, set()).update([link.read_by] if link.read_by else [])
    own: dict[Path, None] = {}
    order = list(TopologicalSorter(readers).static_order())
    for path in order:
        if not readers[path] or any(reader in own and files[reader].stage != TRAINING for reader in readers[path]):
            own[path] = None
    return [files[path] for path in own], [files[path] for path in order if path not in own]


def _from_here(folder: Path) -> str:
    return str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)


def _file_lines(link: Link, run: Path, with_settings: bool) -> list[str]:
    name = str(link.path.relative_to(run) if link.path.is_relative_to(run) else link.path)
    first = f"{link.stage:<{len(INSET)}}{name}"
    rest = [link.sha256[:DIGEST_LETTERS]]
    rest += [f"+ {link.more} like it"] if link.more else []
    rest += [] if link.intact else [f"! {link.state}"]
    lines = [first]
    for part in rest:
        if len(lines[-1]) + 2 + len(part) <= LINE_COLUMNS:
            lines[-1] += f"  {part}"
        else:
            lines.append(INSET + part)
    if with_settings and link.code_version:
        return lines + settings_lines(link, f"{'':12}| ")
    keys = ", ".join(_short_keys(link.settings))
    return lines + wrap(f"keys: {keys}" if keys else "", LINE_COLUMNS, initial_indent=INSET, subsequent_indent=INSET)


def _short_keys(settings: Mapping[str, Any]) -> list[str]:
    """The keys that a stage read; of a section with many, how many."""
    names = []
    for key, value in settings.items():
        inner = [name for name, _ in flat_settings({key: value})]
        names += inner if len(inner) <= 2 else [f"{key} ({len(inner)})"]
    return names


def _field(name: str, text: str) -> list[str]:
    """A name and a text beside it, wrapped; nothing where there is no text."""
    lines = wrap(text, LINE_COLUMNS - FIELD_COLUMNS)
    return [f"{name if index == 0 else '':<{FIELD_COLUMNS}}{line}" for index, line in enumerate(lines)]
