"""Build results/<name>/report/index.html from the files of a run (`sources.py` lists them).

The page is one file: style, script, pictures and videos are inside it, and its content policy forbids the browser to
load anything else. The same files give the same bytes.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from moviestrip import __version__
from moviestrip.config import Config, DatasetSettings, VariantSettings
from moviestrip.errors import StorageError
from moviestrip.figures.overlay import PANELS
from moviestrip.layout import RunFolder
from moviestrip.papers.worlds import Setting
from moviestrip.report import sources
from moviestrip.storage import write_text

MAXIMUM_PAGE_BYTES = 25_000_000
MAXIMUM_OVERLAY_BYTES = 14_000_000
MAXIMUM_FIGURE_BYTES = 5_000_000


def build_report(
    results_folder: Path,
    config: Config,
    datasets: Mapping[str, DatasetSettings] | None = None,
    variants: Mapping[str, VariantSettings] | None = None,
) -> None:
    """Write the report of the run in `results_folder` (results/<name>).

    `datasets` and `variants` are the settings behind their names; without them the names serve as titles.
    """
    run = RunFolder(results_folder)
    page = render_page(run, config, datasets or {}, variants or {})
    size = len(page.encode())
    if size > MAXIMUM_PAGE_BYTES:
        raise StorageError(
            f"{run.report}: the page would have {size:,} bytes, above the limit of {MAXIMUM_PAGE_BYTES:,}; "
            f"lower `report.overlay_clips`"
        )
    write_text(run.report, page)


def render_page(
    run: RunFolder,
    config: Config,
    datasets: Mapping[str, DatasetSettings],
    variants: Mapping[str, VariantSettings],
) -> str:
    """The whole page as text."""
    script = _asset("report.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    return environment.from_string(_asset("template.html")).render(
        name=config.name,
        version=__version__,
        style=Markup(_asset("report.css")),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        panels=PANELS,
        megabytes=MAXIMUM_PAGE_BYTES // 1_000_000,
        **_heading(config),
        **_content(run, config, datasets, variants),
    )


def _content(
    run: RunFolder,
    config: Config,
    datasets: Mapping[str, DatasetSettings],
    variants: Mapping[str, VariantSettings],
) -> dict[str, Any]:
    titles = {name: variant.title for name, variant in variants.items()}
    curated = sources.read_clips(run, config.datasets)
    clips, left_out = sources.read_overlays(run, titles, MAXIMUM_OVERLAY_BYTES)
    fragments = sources.read_table_fragments(run, config.tables)
    claims = sources.read_claims(run)
    rows = sources.dataset_rows(curated, datasets)
    figures, not_drawn = sources.read_figures(run, Setting.of(config), MAXIMUM_FIGURE_BYTES)
    return {
        "datasets": rows,
        "counts": _counts(rows, config, len(fragments)),
        "hero": _hero(clips, variants),
        "tables": [{"name": part.name, "title": part.title, "html": Markup(part.html)} for part in fragments],
        "claims": claims,
        "figures": [{"card": card, "svg": Markup(card.svg)} for card in figures],
        "figures_missing": not_drawn,
        "clips": clips,
        "clips_left_out": left_out,
        "curves": Markup(sources.read_curves(run, config.variants)),
        "funnel": [Markup(drawn) for drawn in sources.draw_funnels(run, config.datasets)],
        "sheets": sources.read_sheets(run, datasets),
        "provenance": sources.read_provenance(run),
        "sections": _sections(claims is not None),
    }


def _hero(clips: Sequence[sources.OverlayClip], variants: Mapping[str, VariantSettings]) -> dict[str, Any] | None:
    """The clip at the top: the first, as predicted by the last model that reads motion, or else by the last."""
    if not clips:
        return None
    temporal = [
        overlay
        for overlay in clips[0].overlays
        if overlay["name"] in variants and variants[overlay["name"]].encoder == "movie-strip"
    ]
    return (temporal or clips[0].overlays)[-1]


def _sections(has_claims: bool) -> list[dict[str, str]]:
    names = ["overview", "tables", *(["claims"] if has_claims else []), "figures", "clips", "training", "data"]
    names.append("provenance")
    return [{"id": name, "title": name.capitalize()} for name in names]


def _counts(rows: list[dict[str, Any]], config: Config, n_tables: int) -> list[dict[str, str]]:
    return [
        {"value": f"{sum(row['clips'] for row in rows):,}", "name": "clips"},
        {"value": f"{sum(row['frames'] for row in rows):,}", "name": "frames"},
        {"value": str(len(config.variants)), "name": "models compared"},
        {"value": str(n_tables), "name": "tables"},
    ]


def _heading(config: Config) -> dict[str, Any]:
    if config.world == "miniature":
        return {
            "title": "The papers’ tables, remade in a miniature world",
            "lede": "HMMR, VIBE, PHD and TCMR estimate 3D human motion from video. Here their experiments run from "
            "video files to tables on free data that stands in for the licensed datasets.",
            "banner": {
                "title": "Our numbers are not the papers’ numbers.",
                "text": "They are measured on rendered people with a free body and small networks. Printed and own "
                "figures stand side by side to compare which model is better, never how good it is on real video.",
            },
            "tables_note": "Each cell has what the paper printed on its dataset, then ours on the dataset that takes "
            "its place, with an interval over clips and seeds. Headings sort.",
            "figures_note": "Remade from this run alone: nothing in them is a paper’s picture or number.",
            "facts": _facts(config),
        }
    return {
        "title": "The papers’ tables, remade and set beside the printed",
        "lede": "HMMR, VIBE, PHD and TCMR estimate 3D human motion from video. Here their experiments run from video "
        "files to tables on the papers’ own datasets.",
        "banner": None,
        "tables_note": "Each cell has the paper’s printed number, then ours, with an interval over clips and seeds. "
        "Headings sort.",
        "figures_note": "Remade from this run: nothing in them is a paper’s picture or number.",
        "facts": _facts(config),
    }


def _facts(config: Config) -> list[dict[str, str]]:
    embedded = config.detector.command == "embedded"
    bodies = {"free": "free body (not SMPL)", "smpl": "SMPL"}
    evaluation = config.evaluation
    return [
        {"name": "World", "value": config.world},
        {"name": "Body", "value": bodies[config.body.kind]},
        {
            "name": "2D detector",
            "value": f"BlazePose {config.detector.landmark_model} (embedded)" if embedded else "OpenPose BODY_25",
        },
        {"name": "Features", "value": config.features.backbone},
        {"name": "Protocol", "value": "each paper's own" if evaluation.protocol == "papers" else evaluation.protocol},
        {
            "name": "Intervals",
            "value": f"{evaluation.interval_percent:g} %, {evaluation.bootstrap_samples} resamplings",
        },
        {"name": "Training seeds", "value": ", ".join(map(str, config.training_seeds))},
        {"name": "Seed of the run", "value": str(config.seed)},
    ]


def _asset(name: str) -> str:
    return (resources.files("moviestrip.report") / name).read_text(encoding="utf-8")
