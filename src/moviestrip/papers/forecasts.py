"""Which of the papers' tables print forecasts, whose and on what: what a run has to forecast and to score."""

from collections.abc import Collection, Iterable, Sequence

from moviestrip.config import ForecastReading
from moviestrip.evaluation.protocols import UP_TO_HORIZON, Protocol, protocol_named
from moviestrip.papers.protocols import PAPERS_OWN, protocol_of
from moviestrip.papers.worlds import BASELINES, can_be_made, stand_in

# Frames from one start to the next (PHD, section 4.2). No other dataset has forecasts in a table.
FORECAST_EVERY_FRAMES = {"h36m": 25, "penn_action": 1}

# Which datasets and rows each table of forecasts prints, in the names of this project.
FORECASTERS = ("ar-phi", "ar-phi-no-movie-strip", "ar-theta", "constant", "nearest-neighbour")
DYNAMICS = ("oracle-nn", "constant-hallucinated", "hallucinator", "hallucinator-no-lhal")
FORECAST_TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "hmmr-5": (("h36m",), DYNAMICS),
    "phd-2": (("h36m", "penn_action"), FORECASTERS),
    "phd-3": (("h36m", "penn_action"), ("ar-phi", "ar-theta", "hallucinator")),
    "phd-4": (("h36m",), ("ar-phi",)),
    "phd-5": (("penn_action",), ("ar-phi",)),
    "phd-6": (("h36m",), ("ar-phi",)),
    "phd-7": (("penn_action",), ("ar-phi",)),
    "phd-8": (("h36m", "penn_action"), FORECASTERS),
}
# What these print without time warping, phd-2, phd-4 and phd-5 print with it. phd-3 compares with a model that says
# nothing of the frames between, so that there is no mean up to its horizon.
BESIDE_WARPED = ("phd-6", "phd-7", "phd-8")


def metric_of_forecasts(table: str, metric: str, reading: ForecastReading) -> str:
    """The metric in SCORES that fills a table's cells of forecasts, under a run's `evaluation.forecast_reading`."""
    averaged = reading == "mean_up_to_horizon" and table in BESIDE_WARPED
    return metric + UP_TO_HORIZON if averaged else metric


def forecast_every_frames(world: str, dataset: str) -> int:
    """Frames from one start of a forecast to the next; a dataset that no table prints is treated as Human3.6M."""
    by_name = {stand_in(name, world): frames for name, frames in FORECAST_EVERY_FRAMES.items()}
    return by_name.get(dataset, FORECAST_EVERY_FRAMES["h36m"])


def forecasts_of(
    tables: Iterable[str], world: str, datasets: Collection[str], variants: Collection[str], seeds: Sequence[int]
) -> list[tuple[str, int, str]]:
    """The (row, seed, dataset) whose forecasts some tables read, as far as a run of all these makes them."""
    wanted = [FORECAST_TABLES[table] for table in tables if table in FORECAST_TABLES]
    pairs = [(row, stand_in(paper, world)) for papers, rows in wanted for paper in papers for row in rows]
    return [
        (row, seed, dataset)
        for row, dataset in dict.fromkeys(pairs)
        if dataset in datasets and can_be_made(row, variants)
        for seed in (seeds if BASELINES.get(row, row) else seeds[:1])  # what has no model has no training seeds
    ]


def forecast_protocols(row: str, dataset: str, world: str, chosen: str) -> tuple[Protocol, ...]:
    """The protocols that the tables need for a row's forecasts on a dataset; PHD's where none prints them.

    Args:
        chosen: the run's `evaluation.protocol`.
    """
    named = {
        protocol_of(table, paper, chosen): None
        for table, (papers, rows) in FORECAST_TABLES.items()
        for paper in papers
        if row in rows and stand_in(paper, world) == dataset
    }
    otherwise = "phd" if chosen == PAPERS_OWN else chosen
    return tuple(protocol_named(name) for name in named or (otherwise,))
