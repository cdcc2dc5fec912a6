"""The papers' figures, drawn from a run: one module each reads what `papers.figures` lists and calls `figures`."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from moviestrip.papers.figures import PaperFigure, figure_files, figure_named
from moviestrip.papers.worlds import Setting
from moviestrip.stages.job import Job
from moviestrip.storage import atomic_directory

if TYPE_CHECKING:
    from moviestrip.figures.drawn import Drawn

# Module and function that draws each, imported when needed so that a plot does not wait for torch.
DRAWERS = {
    "trade-off": ("trade_off", "draw_trade_off"),
    "hmmr-4": ("hallucination", "draw_hallucination"),
    "tcmr-5": ("acceleration", "draw_acceleration"),
    "tcmr-attention": ("attention", "draw_attention"),
    "phd-statues": ("statues", "draw_statues"),
    "phd-8": ("warping", "draw_warping"),
    "phd-horizons": ("horizons", "draw_horizons"),
    "phd-11": ("spaces", "draw_spaces"),
    "phd-9": ("neighbours", "draw_neighbours"),
}


def figure(job: Job, name: str) -> None:
    """Draw one of the papers' figures from this run, with its caption and the numbers behind it."""
    chosen, setting = figure_named(name), Setting.of(job.settings.config())
    drawn = drawer_of(name)(job, chosen, setting)
    if setting.trained_without:
        drawn = replace(drawn, note=f"{drawn.note} Trained without {setting.trained_without}.")
    inputs = figure_files(chosen, setting, job.run, job.settings.variants())
    folder = job.run.figure(name)
    with atomic_directory(folder) as partial:
        drawn.write(partial, {"title": chosen.title, "source": chosen.source, "caption": chosen.caption})
    job.record(folder, "figure", inputs)


def drawer_of(name: str) -> Callable[[Job, PaperFigure, Setting], "Drawn"]:
    module, function = DRAWERS[name]
    return getattr(import_module(f"moviestrip.stages.figures.{module}"), function)
