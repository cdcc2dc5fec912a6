"""Error over the horizon of every row that forecasts, with dynamic time warping and without."""

import pandas as pd

from moviestrip import tables
from moviestrip.errors import FatalError
from moviestrip.figures.drawn import Drawn
from moviestrip.figures.horizons import Panel, horizon_curves
from moviestrip.figures.means import means_of
from moviestrip.papers.figures import PaperFigure, seeds_of
from moviestrip.papers.printed import printed
from moviestrip.papers.protocols import protocol_of
from moviestrip.papers.worlds import PAPER_DATASETS, Setting, can_be_made, stand_in
from moviestrip.stages.figures.notes import certainty, counted, where
from moviestrip.stages.job import Job

PAPER, NUMBER = "phd", "2"  # the table that says what is measured on which dataset
MEASURES = {"pa_mpjpe": ("PA-MPJPE, mm", True), "pck": ("PCK, %", False)}


def draw_horizons(job: Job, figure: PaperFigure, setting: Setting) -> Drawn:
    rows, papers = figure.rows_in(setting), _papers_in(figure, setting)
    parts = [_means_on(job, rows, paper, setting) for paper in papers]
    means = pd.concat(parts, ignore_index=True)
    panels = [
        Panel(dataset, _title(paper, setting), *MEASURES[_metric_on(paper)])
        for paper, dataset in ((paper, stand_in(paper, setting.world)) for paper in papers)
    ]
    curves = means.rename(columns={"dataset": "panel", "variant": "row"})
    absent = [row for row in figure.rows if not can_be_made(row, setting.variants)]
    texts = [
        where(setting, *(panel.name for panel in panels)),
        *(f"{panel.title}: {_counted_on(panel.name, means)}" for panel in panels),
        f"protocol {', '.join(sorted(means['protocol'].unique()))}; bands: {certainty(setting)}",
        _gain_of_warping(means),
        f"not trained in this run: {', '.join(absent)}" if absent else "",
    ]
    return Drawn(horizon_curves(curves, panels, figure.rows), "; ".join(text for text in texts if text) + ".", means)


def _papers_in(figure: PaperFigure, setting: Setting) -> list[str]:
    return [paper for paper in figure.paper_datasets if stand_in(paper, setting.world) in setting.datasets]


def _title(paper: str, setting: Setting) -> str:
    return stand_in(paper, setting.world) if setting.world == "miniature" else PAPER_DATASETS[paper].title


def _metric_on(paper_dataset: str) -> str:
    cells = printed(PAPER, NUMBER)
    return str(cells.loc[cells["dataset"] == paper_dataset, "metric"].iloc[0])


def _means_on(job: Job, rows: list[str], paper_dataset: str, setting: Setting) -> pd.DataFrame:
    """Means by variant, warping and horizon of what the paper measures there."""
    dataset, metric = stand_in(paper_dataset, setting.world), _metric_on(paper_dataset)
    protocol = protocol_of(f"{PAPER}-{NUMBER}", paper_dataset, setting.protocol)
    paths = [job.run.forecast_scores(row, seed, dataset) for row in rows for seed in seeds_of(row, setting)]
    scores = tables.read_tables(paths, tables.SCORES)
    chosen = scores[
        (scores["protocol"] == protocol)
        & (scores["metric"] == metric)
        & (scores["condition"] == "forecast")
        & (scores["horizon"] > 0)
    ]
    if chosen.empty:
        raise FatalError(f"{paths[0]}: no {metric} of forecasts under protocol '{protocol}'; evaluate forecasts again")
    means = means_of(chosen, ("dataset", "variant", "dtw", "horizon"), setting)
    return means.assign(metric=metric, protocol=protocol, unit=chosen["unit"].iloc[0])


def _counted_on(dataset: str, means: pd.DataFrame) -> str:
    """Clips and forecasts; and horizons at which some clips have no frame that counts, where a curve has a step."""
    here = means[means["dataset"] == dataset]
    fewer = sorted(here.loc[here["clips"] < here["clips"].max(), "horizon"].unique())
    gaps = f" (fewer clips count at horizon {', '.join(map(str, fewer))}: steps there are of other clips)"
    return counted(here, "forecasts a horizon") + (gaps if fewer else "")


def _gain_of_warping(means: pd.DataFrame) -> str:
    """How much warping changes the mean at the last horizon: from the least to the most of the models."""
    texts = []
    for (dataset, unit), part in means.groupby(["dataset", "unit"]):
        last = part[part["horizon"] == part["horizon"].max()].pivot(index="variant", columns="dtw", values="mean")
        change = last[True] - last[False]
        texts.append(f"{dataset} by {change.min():+.1f} to {change.max():+.1f} {'points' if unit == '%' else unit}")
    return f"warping changes a model's mean at horizon {means['horizon'].max()} on {' and on '.join(texts)}"
