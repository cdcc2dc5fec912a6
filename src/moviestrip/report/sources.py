"""What the report reads, and how each kind of file becomes a part of the page.

All of it lies under results/<name> and all of it is optional, because a report of half a run is useful too:

- `tables/*.html`: one fragment a table, made by `papers`; `claims.csv`: the ledger of claims
- `clips/`, `attributes/`: what was curated, for the overview
- `plan/`, `videos/`, `answers/`, `tracks/` and what was curated, for the funnel
- `models/<variant>/seed-<seed>/log.parquet`: training logs
- `figures/papers/<name>/`: the papers' figures, each a picture and its `caption.json`
- `figures/{datasets,people}/*.png`: contact sheets; `figures/overlays/`: overlay clips and `overlays.json`
- `.*.provenance.json` beside every output
"""

import csv
import html
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from moviestrip import tables
from moviestrip.config import DatasetSettings
from moviestrip.curate.clips import selected
from moviestrip.datasets.funnel import funnels_of, shards_of, verdicts_of
from moviestrip.errors import StorageError
from moviestrip.figures.curves import training_curves
from moviestrip.figures.funnel import funnel_figure
from moviestrip.layout import RunFolder
from moviestrip.papers.figures import FIGURES
from moviestrip.papers.worlds import Setting
from moviestrip.report.media import Embedded, embed_picture, embed_video, read_svg

VERDICTS = ("holds", "fails", "undecided", "pending", "not applicable")
CLAIM_COLUMNS = (
    "claim_id", "paper", "where", "statement", "verdict_printed", "values_printed", "verdict", "effect", "low", "high",
    "unit", "values", "tables", "cells", "reason", "note",
)  # fmt: skip
ROWS_A_STAGE = 250
FIGURE_KEYS = ("title", "source", "caption", "note", "picture")  # of caption.json
FIGURE_WIDTH_PX, FIGURE_QUALITY = 2000, 88  # wide strips of small bodies with thin lines


@dataclass(frozen=True)
class TableFragment:
    name: str
    title: str
    html: str


@dataclass(frozen=True)
class ClaimNumber:
    """A number that a claim's check reads: the cell's name, its value, and its address if it is on the page."""

    place: str
    value: str
    address: str


@dataclass(frozen=True)
class FigureCard:
    """One of the papers' figures as remade by the run: `svg` or `picture` is there, and `data` names its numbers."""

    name: str
    title: str
    source: str
    caption: str
    note: str
    svg: str
    picture: Embedded | None
    data: str

    @property
    def n_bytes(self) -> int:
        return len(self.svg.encode()) if self.picture is None else self.picture.n_bytes


@dataclass(frozen=True)
class MissingFigure:
    """A figure that is not on the page, and why."""

    title: str
    source: str
    reason: str


@dataclass(frozen=True)
class OverlayClip:
    """The same clip as predicted by every variant."""

    clip_id: str
    dataset: str
    action: str
    overlays: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Stage:
    """Outputs of one stage; `left_out` of them are not listed."""

    name: str
    rows: tuple[dict[str, Any], ...]
    total: int
    left_out: int = field(default=0)


def read_table_fragments(run: RunFolder, order: Sequence[str]) -> list[TableFragment]:
    """Every table made, those of the configuration first and in its order."""
    found = {path.stem: path for path in sorted((run.root / "tables").glob("*.html"))}
    names = [name for name in order if name in found] + [name for name in found if name not in order]
    return [table_fragment(name, found[name].read_text(encoding="utf-8")) for name in names]


def table_fragment(name: str, text: str) -> TableFragment:
    """A fragment without its own style, which serves it alone, and with its heading taken out as the title."""
    text = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    heading = re.search(r"<figcaption><strong>(.*?)</strong>\s*", text, flags=re.DOTALL)
    if heading is None:
        return TableFragment(name, name, text)
    text = text.replace(heading.group(0), "<figcaption>", 1)
    return TableFragment(name, html.unescape(heading.group(1)), text)


def read_claims(run: RunFolder) -> dict[str, Any] | None:
    """The ledger of claims and how many of each verdict there are, or nothing when there is no ledger."""
    path = run.claims
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in CLAIM_COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise StorageError(f"{path}: the ledger of claims lacks the columns {missing}; make the claims again")
        records = [{name: record[name] or "" for name in CLAIM_COLUMNS} for record in reader]
    shown = _cells_on_page(run)
    rows = [record | _claim_numbers(record, shown) for record in records]
    counts = Counter(row["verdict"] for row in rows)
    order = [name for name in VERDICTS if name in counts] + sorted(set(counts) - set(VERDICTS))
    return {"rows": rows, "verdicts": [{"name": name, "count": counts[name]} for name in order]}


def _cells_on_page(run: RunFolder) -> set[str]:
    """Addresses of the cells in every table made."""
    texts = [path.read_text(encoding="utf-8") for path in (run.root / "tables").glob("*.html")]
    return {html.unescape(found) for text in texts for found in re.findall(r'id="(cell-[^"]+)"', text)}


def _claim_numbers(record: Mapping[str, str], shown: Set[str]) -> dict[str, list[ClaimNumber]]:
    """The numbers of both sides of a claim, apart."""
    addresses = dict(_places(record["cells"]))
    return {
        f"numbers_{side}": [
            ClaimNumber(place, value, address if (address := addresses.get(place, "")) in shown else "")
            for place, value in _places(record[column])
        ]
        for side, column in (("printed", "values_printed"), ("ours", "values"))
    }


def _places(text: str) -> list[tuple[str, str]]:
    """Pairs such as 'mpjpe(contextual)[3dpw]=80.1'; a place may hold '=' itself."""
    parts = [part.rpartition("=") for part in text.split(", ") if part]
    return [(place, value) for place, _, value in parts]


def read_figures(run: RunFolder, setting: Setting, maximum_bytes: int) -> tuple[list[FigureCard], list[MissingFigure]]:
    """The papers' figures that were drawn, in their order, as many as fit in `maximum_bytes`; and those that are not
    on the page."""
    cards: list[FigureCard] = []
    missing: list[MissingFigure] = []
    used = 0
    for figure in FIGURES:
        reason = figure.missing_in(setting) or "not drawn yet"
        if run.figure(figure.name).is_dir():
            card = _figure_card(run, figure.name)
            if used + card.n_bytes <= maximum_bytes:
                used += card.n_bytes
                cards.append(card)
                continue
            reason = f"no room on this page; it lies in figures/papers/{figure.name}"
        missing.append(MissingFigure(figure.title, figure.source, reason))
    return cards, missing


def _figure_card(run: RunFolder, name: str) -> FigureCard:
    folder = run.figure(name)
    caption = _figure_caption(folder / "caption.json")
    path = folder / caption["picture"]
    is_plot = path.suffix == ".svg"
    svg = read_svg(path) if is_plot else ""
    picture = None if is_plot else embed_picture(path, FIGURE_WIDTH_PX, FIGURE_QUALITY)
    data = folder / "data.csv"
    words = {key: caption[key] for key in FIGURE_KEYS if key != "picture"}
    numbers = data.relative_to(run.root).as_posix() if data.is_file() else ""
    return FigureCard(name=name, svg=svg, picture=picture, data=numbers, **words)


def _figure_caption(path: Path) -> dict[str, str]:
    remedy = "delete the figure's folder and draw it again"
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file; {remedy}")
    try:
        caption = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StorageError(f"{path}: not JSON ({error}); {remedy}") from error
    missing = [key for key in FIGURE_KEYS if not isinstance(caption.get(key), str)]
    if missing:
        raise StorageError(f"{path}: lacks {', '.join(missing)}; {remedy}")
    return caption


def read_curves(run: RunFolder, variants: Sequence[str]) -> str:
    """The training curves of every log, drawn; empty when nothing was trained."""
    logs = {}
    for path in sorted((run.root / "models").glob("*/seed-*/log.parquet")):
        variant, seed = path.parts[-3], int(path.parts[-2].removeprefix("seed-"))
        logs[variant, seed] = tables.read_table(path, tables.TRAINING_LOG)
    known = {key: log for key, log in logs.items() if key[0] in variants}
    return training_curves(known) if known else ""


def read_clips(run: RunFolder, datasets: Sequence[str]) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Clips and verdicts of each dataset that has been curated, of the shards that are planned."""
    found = {}
    for dataset in datasets:
        paths = [run.clips(dataset, shard) for shard in shards_of(run, dataset)]
        clips = [path for path in paths if path.is_file()]
        if clips:
            found[dataset] = tables.read_tables(clips, tables.CLIPS), verdicts_of(run, dataset)
    return found


def draw_funnels(run: RunFolder, datasets: Sequence[str]) -> list[str]:
    """The funnel twice, wide and narrow; nothing before anything is planned."""
    funnels = funnels_of(run, datasets)
    return [funnel_figure(funnels, f"funnel-{name}", name == "narrow") for name in ("wide", "narrow") if funnels]


def dataset_rows(
    curated: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], settings: Mapping[str, DatasetSettings]
) -> list[dict[str, Any]]:
    """One row a dataset for the overview: whose place it takes, what supervises, clips a split, frames in all."""
    rows = []
    for dataset, (clips, attributes) in curated.items():
        used = selected(clips, attributes)
        known = settings.get(dataset)
        splits = Counter(used.split)
        rows.append(
            {
                "title": known.title if known else dataset,
                "plays": (known.plays if known else "") or "–",
                "supervision": ", ".join(sorted({str(name) for name in used.supervision})).replace("_", " "),
                **{name: splits.get(name, 0) for name in ("train", "validation", "test")},
                "clips": len(used),
                "frames": int(used.n_frames.sum()),
            }
        )
    return rows


def read_sheets(run: RunFolder, datasets: Mapping[str, DatasetSettings]) -> list[dict[str, Any]]:
    """Labels on the people of each dataset, and everyone that is tracked in found videos."""
    sheets = []
    for folder, shown in (("datasets", "with its labels"), ("people", "with everyone that is tracked")):
        for path in sorted((run.figures / folder).glob("*.png")):
            title = datasets[path.stem].title if path.stem in datasets else path.stem
            name = path.stem if folder == "datasets" else f"{path.stem}-people"
            sheets.append({"name": name, "title": title, "shown": shown, "picture": embed_picture(path)})
    return sheets


def read_overlays(run: RunFolder, titles: Mapping[str, str], maximum_bytes: int) -> tuple[list[OverlayClip], int]:
    """Overlay clips in their order, grouped by clip, as many as fit in `maximum_bytes`; and how many did not."""
    path = run.figures / "overlays" / "overlays.json"
    if not path.is_file():
        return [], 0
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in json.loads(path.read_text(encoding="utf-8")):
        groups[entry["clip_id"]].append(entry)
    clips: list[OverlayClip] = []
    used = 0
    for clip_id, entries in groups.items():
        videos = [embed_video(path.parent / entry["file"]) for entry in entries]
        used += sum(video.n_bytes for video in videos)
        if used > maximum_bytes:
            break
        overlays = tuple(_overlay(entry, video, titles) for entry, video in zip(entries, videos, strict=True))
        clips.append(OverlayClip(clip_id, entries[0]["dataset"], entries[0]["action"].replace("_", " "), overlays))
    return clips, len(groups) - len(clips)


def _overlay(entry: Mapping[str, Any], video: Embedded, titles: Mapping[str, str]) -> dict[str, Any]:
    title = titles.get(entry["variant"], entry["variant"])
    what = " ".join(filter(None, (entry["dataset"], entry["action"].replace("_", " "))))
    return {
        "name": entry["variant"],
        "title": title,
        "dataset": entry["dataset"],
        "action": entry["action"].replace("_", " "),
        "video": video,
        "description": f"{what}: input, 2D keypoints, and the body predicted by {title} from two sides",
    }


def read_provenance(run: RunFolder) -> list[Stage]:
    """Every recorded output but the report's own, by stage."""
    by_stage: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in sorted(run.root.rglob(".*.provenance.json")):
        if run.report.parent in path.parents:
            continue
        record = json.loads(path.read_text(encoding="utf-8"))
        output = (path.parent / record["output"]).relative_to(run.root).as_posix()
        by_stage[record["stage"]].append({"path": output, "sha256": record["sha256"], "inputs": len(record["inputs"])})
    return [
        Stage(name, tuple(rows[:ROWS_A_STAGE]), len(rows), max(0, len(rows) - ROWS_A_STAGE))
        for name, rows in sorted(by_stage.items())
    ]
