"""Build results/<name>/report/index.html from the files of a run (`sources.py` lists them).

The page is one file: style, script, pictures and videos are inside it, and its content policy forbids the browser to
load anything else. The same files give the same bytes.
"""

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from moviestrip import __version__
from moviestrip.config import Config, DatasetSettings, VariantSettings
from moviestrip.errors import StorageError
from moviestrip.evaluation.real_findings import paragraphs
from moviestrip.figures.overlay import PANELS
from moviestrip.layout import RunFolder
from moviestrip.papers.layout import METRIC_TITLES
from moviestrip.papers.printed import PAPER_TITLES, PAPERS
from moviestrip.papers.worlds import Setting
from moviestrip.report import findings, record, sources, summary
from moviestrip.storage import write_text

MAXIMUM_PAGE_BYTES = 25_000_000
MAXIMUM_OVERLAY_BYTES = 10_000_000
MAXIMUM_FIGURE_BYTES = 5_000_000
MAXIMUM_REAL_BYTES = 3_000_000
FILTERS_SHOWN = 7
STRIPS_TOGETHER = 8  # with more models a clip's strips are parted by paper
SECTIONS = {
    "overview": "Overview",
    "claims": "Claims",
    "baselines": "Baselines",
    "tables": "Tables",
    "world": "World",
    "real": "Real check",
    "figures": "Figures",
    "clips": "Clips",
    "training": "Training",
    "data": "Data",
    "provenance": "Provenance",
}


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
    environment.filters |= {"shown": _shown, "metric": findings.metric_title}
    return environment.from_string(_asset("template.html")).render(
        name=config.name,
        version=__version__,
        style=Markup(_asset("report.css")),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        panels=PANELS,
        megabytes=MAXIMUM_PAGE_BYTES // 1_000_000,
        **_heading(config),
        verdicts_note=_verdicts_note(config),
        **_content(run, config, datasets, variants),
    )


def _content(
    run: RunFolder,
    config: Config,
    datasets: Mapping[str, DatasetSettings],
    variants: Mapping[str, VariantSettings],
) -> dict[str, Any]:
    return (
        _results(run, config)
        | _trained(run, config, datasets, variants)
        | _seen(run, config, datasets, variants)
        | _origins(run, config, datasets)
    )


def _results(run: RunFolder, config: Config) -> dict[str, Any]:
    """Tables, claims and what was found beside them, with the answers of the first screen."""
    fragments = sources.read_table_fragments(run, config.tables)
    claims = sources.read_claims(run)
    smoothing, difficulty = findings.read_smoothing(run), findings.read_difficulty(run)
    real_check = findings.read_real_check(run)
    exhibits, exhibits_left_out = findings.read_exhibits(run, MAXIMUM_REAL_BYTES)
    has = {
        "claims": bool(claims),
        "baselines": bool(smoothing),
        "world": bool(difficulty),
        "real": bool(real_check or exhibits),
    }
    return {
        "tables": [{"name": part.name, "title": part.title, "html": Markup(part.html)} for part in fragments],
        "tables_by_paper": _by_paper(fragments),
        "claims": claims,
        "smoothing": smoothing,
        "smoothing_options": {
            "verdict": sources.options_of(smoothing, "verdict", findings.SMOOTHING_VERDICTS),
            "metric": sources.options_of(smoothing, "metric", tuple(METRIC_TITLES), findings.metric_title),
        },
        "real_options": {
            "metric": _most_frequent(sources.options_of(real_check, "metric", (), findings.metric_title)),
            "view": sources.options_of(
                real_check, "view", ("all",), lambda view: "over all" if view == "all" else view
            ),
        },
        "difficulty": difficulty,
        "difficulty_figures": [
            {"card": card, "svg": Markup(card.svg)} for card in sources.read_difficulty_figures(run)
        ],
        "difficulty_options": {
            "verdict": sources.options_of(difficulty, "verdict", findings.DIFFICULTY_VERDICTS),
        },
        "real_check": real_check,
        "real_notes": findings.common_notes(real_check),
        "real_findings": paragraphs(pd.read_csv(run.real_check)) if real_check else [],
        "exhibits": exhibits,
        "exhibits_left_out": exhibits_left_out,
        "answers": summary.answers(config, claims["rows"] if claims else None, smoothing, difficulty, real_check),
        "limits": summary.limits(config, real_check) if config.world == "miniature" else [],
        "cells": sources.cells_on_page(run),
        "sections": [{"id": name, "title": title} for name, title in SECTIONS.items() if has.get(name, True)],
    }


def _most_frequent(options: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The few values that most rows have; what else there is, the search finds."""
    kept = sorted(options, key=lambda option: -option["count"])[:FILTERS_SHOWN]
    return [option for option in options if option in kept]


def _by_paper(fragments: Sequence[sources.TableFragment]) -> list[dict[str, Any]]:
    """Tables by the paper that they are of, for the list above them; a table of none stands under its own name."""
    papers = dict.fromkeys(part.name.rpartition("-")[0] for part in fragments)
    return [
        {
            "title": PAPER_TITLES.get(paper, paper),
            "tables": [
                {"name": part.name, "title": part.title.partition(": ")[2] or part.title}
                for part in fragments
                if part.name.rpartition("-")[0] == paper
            ],
        }
        for paper in papers
    ]


def _trained(
    run: RunFolder,
    config: Config,
    datasets: Mapping[str, DatasetSettings],
    variants: Mapping[str, VariantSettings],
) -> dict[str, Any]:
    """Who learnt from what, and how the training went."""
    trained = sources.read_training(run, config.variants, variants)
    papers = [paper for paper in (*PAPERS, "") if any(model.paper == paper for model in trained)]
    return {
        "learning": summary.trained_and_tested(config, datasets, variants, bool(findings.read_real_check(run))),
        "training": [
            {"title": PAPER_TITLES.get(paper, ""), "models": [model for model in trained if model.paper == paper]}
            for paper in papers
        ],
    }


def _seen(
    run: RunFolder,
    config: Config,
    datasets: Mapping[str, DatasetSettings],
    variants: Mapping[str, VariantSettings],
) -> dict[str, Any]:
    """What there is to look at: figures, clips, contact sheets, and the counts of what they were taken from."""
    curated = sources.read_clips(run, config.datasets)
    rows = sources.dataset_rows(curated, datasets)
    clips, left_out = sources.read_overlays(run, variants, MAXIMUM_OVERLAY_BYTES)
    figures, not_drawn = sources.read_figures(run, Setting.of(config), MAXIMUM_FIGURE_BYTES)
    return {
        "datasets": rows,
        "hero": _hero(clips, variants),
        "figures": [{"card": card, "svg": Markup(card.svg)} for card in figures],
        "figures_missing": not_drawn,
        "clips": [_clip_by_paper(clip) for clip in clips],
        "clips_left_out": left_out,
        "funnel": [Markup(drawn) for drawn in sources.draw_funnels(run, config.datasets)],
        "sheets": sources.read_sheets(run, datasets),
    }


def _clip_by_paper(clip: sources.OverlayClip) -> dict[str, Any]:
    """A clip with its models by paper, where there are several papers' and too many for one row of strips."""
    papers = [paper for paper in (*PAPERS, "") if any(overlay["paper"] == paper for overlay in clip.overlays)]
    groups = []
    for paper in papers:
        overlays = [overlay for overlay in clip.overlays if overlay["paper"] == paper]
        groups.append({"title": PAPER_TITLES.get(paper, "Others"), "overlays": overlays})
    if len(clip.overlays) <= STRIPS_TOGETHER:
        groups = [{"title": "", "overlays": list(clip.overlays)}]
    return {"clip_id": clip.clip_id, "dataset": clip.dataset, "action": clip.action, "groups": groups}


def _origins(run: RunFolder, config: Config, datasets: Mapping[str, DatasetSettings]) -> dict[str, Any]:
    """Where everything on the page came from."""
    provenance = record.read_provenance(run)
    return {
        "provenance": provenance,
        "software": record.software(provenance),
        "data_sources": record.data_sources(config, datasets),
        "configuration": record.configuration_text(config),
        "facts": _facts(config),
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


def _heading(config: Config) -> dict[str, Any]:
    if config.world == "miniature":
        return {
            "title": "Do the papers’ findings hold in a miniature world?",
            "lede": "HMMR, VIBE, PHD and TCMR estimate 3D human motion from video. Here their experiments run "
            "again, from video files to tables, on free data that stands in for the licensed datasets.",
            "banner": {
                "title": "Our numbers are not the papers’ numbers.",
                "text": "They are measured on rendered people with a free body and small networks: they say which "
                "model is better here, never how good it is on real video.",
            },
            "tables_note": "Each cell has what the paper printed on its dataset, then ours on the dataset that takes "
            "its place, with an interval over clips and seeds. Headings sort.",
            "figures_note": "Remade from this run alone: nothing in them is a paper’s picture or number.",
        }
    return {
        "title": "Do the papers’ findings hold again?",
        "lede": "HMMR, VIBE, PHD and TCMR estimate 3D human motion from video. Here their experiments run from video "
        "files to tables on the papers’ own datasets.",
        "banner": None,
        "tables_note": "Each cell has the paper’s printed number, then ours, with an interval over clips and seeds. "
        "Headings sort.",
        "figures_note": "Remade from this run: nothing in them is a paper’s picture or number.",
    }


def _verdicts_note(config: Config) -> str:
    """How wide the intervals are by which claims are judged, and why."""
    evaluation, seeds = config.evaluation, len(config.training_seeds)
    note = (
        f"Its interval is wider than a table’s: those of all claims hold together at {evaluation.interval_percent:g} %."
    )
    if seeds > 1:
        return f"{note} Each model was trained {seeds} times."
    if not evaluation.training_noise:
        return f"{note} Each model was trained once: intervals know nothing of how a retrained one would differ."
    times = f"{math.hypot(1, evaluation.training_noise):.1f}"
    return f"{note} And as each model was trained once, it is {times} times as wide as clips make it."


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


def _shown(value: str | float | None) -> str:
    """A number in four digits, words as they are, a dash for nothing."""
    if value in ("", None):
        return "–"
    is_words = isinstance(value, str) and re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", value) is None
    return str(value) if is_words else f"{float(str(value)):,.4g}"
