"""The papers' figures that a run can remake: what each shows, and which of the run's files it is drawn from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moviestrip.config import VariantSettings
from moviestrip.errors import ConfigError
from moviestrip.layout import RunFolder
from moviestrip.papers.worlds import BASELINES, Setting, can_be_made, stand_in

Source = Literal["scores", "predictions", "forecasts", "forecast_scores", "checkpoint", "features"]


@dataclass(frozen=True)
class PaperFigure:
    """One figure.

    Attributes:
        paper_datasets: those it is drawn on, in the papers' names.
        rows: variants and baselines it compares; empty for all variants of the run.
        least_rows: how many of them must be there for the figure to say something.
        reads: kinds of files, of each of its rows on each of its datasets.
    """

    name: str
    title: str
    source: str
    caption: str
    paper_datasets: tuple[str, ...]
    rows: tuple[str, ...]
    least_rows: int
    reads: tuple[Source, ...]

    def datasets_in(self, setting: Setting) -> list[str]:
        """Datasets of the run that stand for the paper's."""
        found = (stand_in(paper, setting.world) for paper in self.paper_datasets)
        return [name for name in found if name in setting.datasets]

    def rows_in(self, setting: Setting) -> list[str]:
        """Those of its rows that the run makes."""
        return [row for row in self.rows or setting.variants if can_be_made(row, setting.variants)]

    def missing_in(self, setting: Setting) -> str:
        """Why the run cannot draw it, or nothing."""
        rows = self.rows_in(setting)
        if len(rows) < self.least_rows:
            absent = [row for row in self.rows if row not in rows]
            return f"needs {self.least_rows} of its rows; not trained: {', '.join(absent) or 'enough variants'}"
        if not self.datasets_in(setting):
            wanted = ", ".join(stand_in(paper, setting.world) for paper in self.paper_datasets)
            return f"needs a dataset that is not listed: {wanted}"
        return ""


TEMPORAL = ("single-view", "contextual", "vibe", "tcmr-baseline", "tcmr-ablation")
AUTOREGRESSIVE = ("ar-phi", "ar-phi-no-movie-strip", "ar-theta", "constant", "nearest-neighbour")
EVERY_DATASET = ("h36m", "3dpw", "mpi_inf_3dhp", "penn_action")

FIGURES = (
    PaperFigure(
        "trade-off",
        "Accuracy against smoothness",
        "all papers",
        "Each model's error of pose against its error of acceleration: down and left is better. "
        "Filtering a single-view model moves it left; what is below that line has learned something of motion.",
        ("3dpw",),
        (),
        2,
        ("scores",),
    ),
    PaperFigure(
        "hmmr-4",
        "Past, present and future from one frame",
        "HMMR, Figure 4",
        "The boxed frame alone is the input. Above, what really came before and after; below, the bodies that are "
        "hallucinated from it, as filmed and from the side: the past pink, the present blue, the future yellow.",
        ("penn_action", "h36m"),
        ("hallucinator",),
        1,
        ("forecasts",),
    ),
    PaperFigure(
        "tcmr-5",
        "Acceleration error along a video",
        "TCMR, Figure 5",
        "Spikes are moments in which the estimated body jumps though the person does not.",
        ("3dpw",),
        ("vibe-3dpw-train", "vibe-direct-comp", "tcmr-baseline", "tcmr-ablation", "single-view"),
        2,
        ("predictions",),
    ),
    PaperFigure(
        "tcmr-attention",
        "What the integration attends to",
        "TCMR, supplementary section 9",
        "Weights that TCMR gives to all frames, to the past and to the future, frame by frame, over how fast the "
        "person moves.",
        ("3dpw",),
        ("tcmr-ablation",),
        1,
        ("checkpoint", "features"),
    ),
    PaperFigure(
        "phd-statues",
        "Statue moments",
        "PHD, Figures 5 and 7",
        "The frame with which the future becomes most predictable: where the mean accuracy of the 15 frames that "
        "follow what was seen rises most. Dots: accuracy by the last frame seen; line: the same, smoothed; upright "
        "line: where it is steepest. The picture is the frame after.",
        ("penn_action",),
        ("ar-phi",),
        1,
        ("checkpoint", "features"),
    ),
    PaperFigure(
        "phd-8",
        "Forecasts after alignment by dynamic time warping",
        "PHD, Figure 8",
        "The truth above, the forecast below; a line joins matched frames. Slanted lines are the mistiming that "
        "warping forgives.",
        ("h36m", "penn_action"),
        ("ar-phi",),
        1,
        ("forecasts",),
    ),
    PaperFigure(
        "phd-horizons",
        "Error over the horizon",
        "PHD, Tables 2 and 8",
        "How each model's forecast decays with time, with dynamic time warping and without.",
        ("h36m", "penn_action"),
        AUTOREGRESSIVE,
        2,
        ("forecast_scores",),
    ),
    PaperFigure(
        "phd-11",
        "Prediction in latent space and in pose space",
        "PHD, Figures 4, 11 and 12",
        "The same video continued on movie strips (blue) and on poses (pink), from the frames left of the line "
        "(yellow). What really followed is paled: no model saw it.",
        ("penn_action", "h36m"),
        ("ar-phi", "ar-theta"),
        2,
        ("forecasts", "forecast_scores", "predictions"),
    ),
    PaperFigure(
        "phd-9",
        "What followed the most similar motion",
        "PHD, Figures 9 and 10",
        "The nearest-neighbour baseline: a test sequence (red), the training window most similar to what was seen of "
        "it (blue), and what followed there (green), which is the forecast.",
        ("h36m", "penn_action"),
        ("nearest-neighbour",),
        1,
        ("forecasts", "checkpoint", "features"),
    ),
)


def figure_named(name: str) -> PaperFigure:
    for figure in FIGURES:
        if figure.name == name:
            return figure
    raise ConfigError(f"no figure '{name}'; known: {', '.join(figure.name for figure in FIGURES)}")


def figures_of(setting: Setting) -> list[str]:
    """Names of the figures that a run can draw."""
    return [figure.name for figure in FIGURES if not figure.missing_in(setting)]


def figure_files(
    figure: PaperFigure, setting: Setting, run: RunFolder, variants: Mapping[str, VariantSettings]
) -> dict[str, Path]:
    """Every file of a run that a figure is drawn from, by kind and place; labels, clips and videos among them."""
    datasets = figure.datasets_in(setting)
    files = {"body": run.body}
    for dataset in datasets:
        for shard in run.shards(dataset):
            files |= {kind: getattr(run, kind[: kind.index(":")])(dataset, shard) for kind in _per_shard(shard)}
    for row in figure.rows_in(setting):
        for seed in seeds_of(row, setting):
            for dataset in datasets:
                files |= _files_of_row(figure.reads, row, seed, dataset, setting, run, variants)
    return files


def seeds_of(row: str, setting: Setting) -> Sequence[int]:
    """Training seeds of a row; what has no model has only the first."""
    return setting.seeds if BASELINES.get(row, row) else setting.seeds[:1]


def _per_shard(shard: str) -> Collection[str]:
    return [f"{kind}:{shard}" for kind in ("videos", "clips", "attributes", "labels")]


def _files_of_row(
    reads: Sequence[Source],
    row: str,
    seed: int,
    dataset: str,
    setting: Setting,
    run: RunFolder,
    variants: Mapping[str, VariantSettings],
) -> dict[str, Path]:
    place, behind, files = f"{row}/{seed}/{dataset}", BASELINES.get(row) or row, {}
    for kind in reads:
        if kind == "checkpoint":
            files[f"checkpoint:{row}/{seed}"] = run.checkpoint(variants[behind].weights_of or behind, seed)
        elif kind == "features":
            backbone = variants[behind].backbone or setting.backbone
            for shard in run.shards(dataset):
                of_shard = vars(run.features(backbone, dataset, shard))
                files |= {f"{part}:{backbone}/{shard}": path for part, path in of_shard.items()}
        else:
            files[f"{kind.replace('_', ' ')}:{place}"] = getattr(run, kind)(row, seed, dataset)
    return files
