"""What the report reads, and how each kind of file becomes a part of the page.

All of it lies under results/<name> and all of it is optional, because a report of half a run is useful too:

- `tables/*.html`: one fragment a table, made by `papers`; `claims.csv`: the ledger of claims
- `clips/`, `attributes/`: what was curated, for the overview
- `plan/`, `videos/`, `answers/`, `tracks/` and what was curated, for the funnel
- `models/<variant>/seed-<seed>/log.parquet`: training logs
- `figures/papers/<name>/`: the papers' figures, each a picture and its `caption.json`
- `figures/difficulty/<name>/`: plots of what makes the world hard, in the same form
- `figures/{datasets,people}/*.png`: contact sheets; `figures/overlays/`: overlay clips and `overlays.json`
- what `findings.py` and `record.py` read
"""

import csv
import html
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pandas as pd

from moviestrip import tables
from moviestrip.config import DatasetSettings, VariantSettings
from moviestrip.curate.clips import selected
from moviestrip.datasets.funnel import funnels_of, shards_of, verdicts_of
from moviestrip.errors import StorageError
from moviestrip.figures.curves import TRAINING_LOSS, SharedAxes, shared_axes, training_panel
from moviestrip.figures.funnel import funnel_figure
from moviestrip.layout import RunFolder
from moviestrip.papers.causes import CAUSES
from moviestrip.papers.figures import FIGURES
from moviestrip.papers.printed import PAPER_TITLES, PAPERS
from moviestrip.papers.worlds import Setting
from moviestrip.report.media import Embedded, embed_picture, embed_video, read_svg

VERDICTS = ("holds", "fails", "undecided", "pending", "not applicable", "not in tables")
CLAIM_COLUMNS = (
    "claim_id", "paper", "where", "statement", "verdict_printed", "values_printed", "verdict", "effect", "low", "high",
    "unit", "values", "tables", "cells", "reason", "note", "cause", "evidence",
)  # fmt: skip
INVESTIGATION = "investigation"  # of a claim that does not hold: why not, and what was tried
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
class TrainedModel:
    """A model's training: its panel, and what its logs say of each seed."""

    name: str
    title: str
    paper: str
    panel: str
    steps: int
    seeds: int
    first: float | None
    last: float | None


def read_table_fragments(run: RunFolder, order: Sequence[str]) -> list[TableFragment]:
    """Every table made, those of the configuration first and in its order."""
    found = {path.stem: path for path in sorted((run.root / "tables").glob("*.html"))}
    names = [name for name in order if name in found] + [name for name in found if name not in order]
    return [table_fragment(name, found[name].read_text(encoding="utf-8")) for name in names]


def table_fragment(name: str, text: str) -> TableFragment:
    """A fragment without its own style, which serves it alone, its heading taken out as the title, in a frame that
    scrolls."""
    text = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    heading = re.search(r"<figcaption><strong>(.*?)</strong>\s*", text, flags=re.DOTALL)
    title = html.unescape(heading.group(1)) if heading else name
    text = text.replace(heading.group(0), "<figcaption>", 1) if heading else text
    frame = f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(title)}"><table>'
    text = text.replace("<table>", frame, 1).replace("</table>", "</table></div>", 1)
    return TableFragment(name, title, text)


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
        records = [{name: record.get(name) or "" for name in (*CLAIM_COLUMNS, INVESTIGATION)} for record in reader]
    shown = cells_on_page(run)
    rows = [record | _claim_numbers(record, shown) for record in records]
    return {
        "rows": rows,
        "verdict_options": options_of(rows, "verdict", VERDICTS),
        "cause_options": options_of([row for row in rows if row["cause"]], "cause", CAUSES),
        "paper_options": options_of(rows, "paper", PAPERS, lambda paper: PAPER_TITLES.get(paper, paper)),
    }


def options_of(
    rows: Sequence[Mapping[str, Any]], key: str, order: Sequence[str] = (), title: Callable[[str], str] = str
) -> list[dict[str, Any]]:
    """What rows can be filtered by: each value of a column with how often it is there, those of `order` first."""
    counts = Counter(row[key] for row in rows)
    names = [name for name in order if name in counts] + [name for name in counts if name not in order]
    return [{"name": name, "title": title(name), "count": counts[name]} for name in names]


def cells_on_page(run: RunFolder) -> set[str]:
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
            card = _figure_card(run, run.figure(figure.name))
            if used + card.n_bytes <= maximum_bytes:
                used += card.n_bytes
                cards.append(card)
                continue
            reason = f"no room on this page; it lies in figures/papers/{figure.name}"
        missing.append(MissingFigure(figure.title, figure.source, reason))
    return cards, missing


def read_difficulty_figures(run: RunFolder) -> list[FigureCard]:
    """Plots of what makes the world hard."""
    return [_figure_card(run, path.parent) for path in sorted(run.difficulty_figures.glob("*/caption.json"))]


def _figure_card(run: RunFolder, folder: Path) -> FigureCard:
    caption = _figure_caption(folder / "caption.json")
    path = folder / caption["picture"]
    is_plot = path.suffix == ".svg"
    svg = read_svg(path) if is_plot else ""
    picture = None if is_plot else embed_picture(path, FIGURE_WIDTH_PX, FIGURE_QUALITY)
    data = folder / "data.csv"
    words = {key: caption[key] for key in FIGURE_KEYS if key != "picture"}
    numbers = data.relative_to(run.root).as_posix() if data.is_file() else ""
    return FigureCard(name=folder.name, svg=svg, picture=picture, data=numbers, **words)


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


def read_training(
    run: RunFolder, variants: Sequence[str], settings: Mapping[str, VariantSettings]
) -> list[TrainedModel]:
    """Every model that was trained, in the order asked for, each drawn on axes that all share."""
    logs: dict[str, list[pd.DataFrame]] = {name: [] for name in variants}
    for path in sorted((run.root / "models").glob("*/seed-*/log.parquet")):
        if path.parts[-3] in logs:
            logs[path.parts[-3]].append(tables.read_table(path, tables.TRAINING_LOG))
    trained = {name: found for name, found in logs.items() if found}
    if not trained:
        return []
    axes = shared_axes([log for found in trained.values() for log in found])
    return [_trained_model(name, found, axes, settings.get(name)) for name, found in trained.items()]


def _trained_model(
    name: str, logs: Sequence[pd.DataFrame], axes: SharedAxes, settings: VariantSettings | None
) -> TrainedModel:
    title = settings.title if settings else name
    validated = next((quantity for quantity in axes.spans if quantity != TRAINING_LOSS), "")
    errors = [log[log.loss == validated].sort_values("step").value.tolist() for log in logs]
    known = [values for values in errors if values]
    return TrainedModel(
        name=name,
        title=title,
        paper=settings.paper if settings else "",
        panel=training_panel(logs, axes, f"training-{name}", title),
        steps=max(int(log.step.max()) for log in logs),
        seeds=len(logs),
        first=sum(values[0] for values in known) / len(known) if known else None,
        last=sum(values[-1] for values in known) / len(known) if known else None,
    )


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


def read_overlays(
    run: RunFolder, variants: Mapping[str, VariantSettings], maximum_bytes: int
) -> tuple[list[OverlayClip], int]:
    """Overlay clips in their order, as many whole ones as fit in `maximum_bytes`; and how many videos are not shown.

    Of the first clip as many models as fit are shown: with dozens of models it may be the only one.
    """
    path = run.figures / "overlays" / "overlays.json"
    if not path.is_file():
        return [], 0
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    entries = json.loads(path.read_text(encoding="utf-8"))
    for entry in entries:
        groups[entry["clip_id"]].append(entry)
    clips: list[OverlayClip] = []
    left_bytes = maximum_bytes
    for clip_id, group in groups.items():
        overlays = [_overlay(entry, embed_video(path.parent / entry["file"]), variants) for entry in group]
        totals = list(accumulate(overlay["video"].n_bytes for overlay in overlays))
        fitting = sum(total <= left_bytes for total in totals)
        if not fitting or (clips and fitting < len(overlays)):
            break
        left_bytes -= totals[fitting - 1]
        action = group[0]["action"].replace("_", " ")
        clips.append(OverlayClip(clip_id, group[0]["dataset"], action, tuple(overlays[:fitting])))
    return clips, len(entries) - sum(len(clip.overlays) for clip in clips)


def _overlay(entry: Mapping[str, Any], video: Embedded, variants: Mapping[str, VariantSettings]) -> dict[str, Any]:
    known = variants.get(entry["variant"])
    title = known.title if known else entry["variant"]
    what = " ".join(filter(None, (entry["dataset"], entry["action"].replace("_", " "))))
    return {
        "name": entry["variant"],
        "title": title,
        "paper": known.paper if known else "",
        "dataset": entry["dataset"],
        "action": entry["action"].replace("_", " "),
        "video": video,
        "description": f"{what}: input, 2D keypoints, and the body predicted by {title} from two sides",
    }
