"""Who plays whom: which dataset of a world stands for a paper's, and which of our variants makes a paper's row."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import get_args

from moviestrip.config import Config, ForecastReading, MotionPriorName, Role


@dataclass(frozen=True)
class PaperDataset:
    """A dataset that the papers report on."""

    title: str
    role: Role
    miniature: str  # its stand-in in config/datasets
    papers: str  # its own name there, once a user brings it


MOTIONS = "motions"  # a run's library of motions: no dataset of videos, but in AMASS's place

PAPER_DATASETS = {
    "h36m": PaperDataset("Human3.6M", "mocap3d", "studio", "h36m"),
    "3dpw": PaperDataset("3DPW", "wild3d", "street", "3dpw"),
    "mpi_inf_3dhp": PaperDataset("MPI-INF-3DHP", "lab3d", "hall", "mpi-inf-3dhp"),
    "penn_action": PaperDataset("Penn Action", "sports2d", "gym", "penn-action"),
    "nba": PaperDataset("NBA", "ball2d", "court", "nba"),
    "vlog": PaperDataset("VLOG-people", "pseudo2d", "vlog-mini", "vlog-people"),
    "instavariety": PaperDataset("InstaVariety", "pseudo2d", "insta-mini", "instavariety"),
    "amass": PaperDataset("AMASS", "motions", MOTIONS, MOTIONS),
}

# Rows whose model has another name here; a row that is not external and not listed is named as its variant.
# Some rows that a paper only cites are models of another paper, which this project trains.
VARIANTS = {
    ("hmmr", "constant"): "constant-hallucinated",
    ("vibe", "hmr-cited"): "hmr-backbone",
    ("vibe", "spin-cited"): "spin-backbone",
    ("vibe", "temporal-hmr"): "contextual-instavariety",
    ("vibe", "vposer"): "vposer",
    ("phd", "causal"): "phd-causal",
    ("phd", "hmmr-noncausal"): "contextual-instavariety",
    ("phd", "hmmr-hallucinator"): "hallucinator",
    ("phd", "nn"): "nearest-neighbour",
    ("tcmr", "baseline"): "tcmr-baseline",
    ("tcmr", "hmr"): "hmr-backbone",
    ("tcmr", "spin"): "spin-backbone",
    ("tcmr", "hmmr"): "contextual-instavariety",
    ("tcmr", "vibe-3dpw-train"): "vibe-3dpw-train",
    ("tcmr", "vibe-3dpw-train-avg-filter"): "vibe-3dpw-train-avg-filter",
    ("tcmr", "vibe-no-3dpw"): "vibe-direct-comp",
}

# Rows without a model of their own, and the variant whose estimates they repeat or search with; the oracle has none.
BASELINES: dict[str, str | None] = {
    "constant": "phd-causal",
    "nearest-neighbour": "phd-causal",
    "constant-hallucinated": "hallucinator",
    "oracle-nn": None,
}


@dataclass(frozen=True)
class ExtraRow:
    """A row of ours that the paper does not print."""

    after: str
    row_id: str
    label: str


BIDIRECTIONAL = ExtraRow("vibe", "vibe-bidirectional", "VIBE, bidirectional GRU as printed")
RELEASED_NORM = ExtraRow("causal", "phd-causal-over-time", "Causal model, released norm (sees the future)")

# The static models that a paper's temporal ones start from, under filters over time: what these have to beat.
FILTERS = {"gaussian": "Gaussian smoothing", "one-euro": "one-euro filter"}
SMOOTHED_MODELS = {"single-view": "Single-view", "spin-backbone": "SPIN"}


def smoothed_rows(after: str, variant: str) -> tuple[ExtraRow, ...]:
    """A row for each filter of a static model, the first below the row `after`."""
    rows = [f"{variant}-{name}" for name in FILTERS]
    labels = [f"{SMOOTHED_MODELS[variant]} + {title} (our baseline)" for title in FILTERS.values()]
    return tuple(map(ExtraRow, (after, *rows), rows, labels))


# Smoothing stands beside every table that compares what models see: below the static model, or else at the end.
EXTRA_ROWS = {
    ("hmmr", "2"): smoothed_rows("single-view", "single-view"),
    ("hmmr", "3"): smoothed_rows("contextual-instavariety", "single-view"),
    ("hmmr", "4"): smoothed_rows("contextual-instavariety", "single-view"),
    ("hmmr", "6"): smoothed_rows("single-view", "single-view"),
    ("vibe", "1"): (BIDIRECTIONAL, *smoothed_rows("spin-cited", "spin-backbone")),
    ("vibe", "2"): smoothed_rows("spin-backbone", "spin-backbone"),
    ("vibe", "3"): smoothed_rows("dm-attention-3x1024", "spin-backbone"),
    ("phd", "1"): (RELEASED_NORM, *smoothed_rows("hmmr-noncausal", "single-view")),
    ("tcmr", "1"): smoothed_rows("tcmr-ablation", "spin-backbone"),
    ("tcmr", "2"): smoothed_rows("tcmr-ablation", "spin-backbone"),
    ("tcmr", "3"): smoothed_rows("tcmr-ablation", "spin-backbone"),
    ("tcmr", "4"): smoothed_rows("tcmr-3dpw-train", "spin-backbone"),
    ("tcmr", "5"): smoothed_rows("tcmr-3dpw-train-avg-filter", "spin-backbone"),
    ("tcmr", "6"): smoothed_rows("spin", "spin-backbone"),
    ("tcmr", "7"): smoothed_rows("tcmr-ablation", "spin-backbone"),
    ("tcmr", "8"): smoothed_rows("tcmr-3dpw-train", "spin-backbone"),
}


def stand_in(paper_dataset: str, world: str) -> str:
    """The name in config/datasets of what plays the paper's dataset in this world."""
    known = PAPER_DATASETS.get(paper_dataset)
    if known is None:
        return ""
    return known.miniature if world == "miniature" else known.papers


def variant_of(paper: str, row_id: str, kind: str) -> str | None:
    """The variant that makes a row, or None for a row that is only cited."""
    if (paper, row_id) in VARIANTS:
        return VARIANTS[paper, row_id]
    return None if kind == "external" else row_id


def kind_of(row: str) -> str:
    """What a row's model is called: a variant, or a motion prior."""
    return "motion prior" if row in get_args(MotionPriorName) else "variant"


def can_be_made(row: str, variants: Collection[str]) -> bool:
    """Whether a run of some variants has what a row needs: its own model, or that of a baseline."""
    source = BASELINES.get(row, row)
    return source is None or source in variants


@dataclass(frozen=True)
class Setting:
    """Everything about a run that a table has to say or needs to know."""

    world: str
    body: str
    detector: str
    backbone: str
    protocol: str
    datasets: tuple[str, ...]
    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    bootstrap_samples: int
    interval_percent: float
    seed: int
    training_noise: float = 0.0
    forecast_reading: ForecastReading = "at_horizon"
    motion_priors: tuple[str, ...] = ()
    input_frames: Mapping[str, int] = field(default_factory=dict)  # of variants, where a table prints them
    train_without: tuple[str, ...] = ()  # datasets that variants ask for and nobody has, by the papers' names

    @property
    def verdict_percent(self) -> float:
        """Width of the interval of one claim, so that those of all claims hold together by Bonferroni's inequality."""
        from moviestrip.papers.printed import printed_claims

        return 100 - (100 - self.interval_percent) / len(printed_claims())

    @property
    def verdict_samples(self) -> int:
        """Resamples for verdicts, whose ends lie in far tails."""
        return 10 * self.bootstrap_samples

    @property
    def trained_without(self) -> str:
        """Titles of the datasets that the run's variants did without."""
        titles = {dataset.papers: dataset.title for dataset in PAPER_DATASETS.values()}
        return ", ".join(titles.get(name, name) for name in self.train_without)

    @classmethod
    def of(cls, config: Config, input_frames: Mapping[str, int] | None = None) -> "Setting":
        embedded = config.detector.command == "embedded"
        return cls(
            world=config.world,
            body=f"{config.body.kind} body",
            detector=f"BlazePose {config.detector.landmark_model} (embedded)" if embedded else "OpenPose",
            backbone=config.features.backbone,
            protocol=config.evaluation.protocol,
            datasets=config.datasets,
            variants=config.variants,
            seeds=config.training_seeds,
            bootstrap_samples=config.evaluation.bootstrap_samples,
            interval_percent=config.evaluation.interval_percent,
            seed=config.seed,
            training_noise=config.evaluation.training_noise,
            forecast_reading=config.evaluation.forecast_reading,
            motion_priors=config.motion_priors,
            input_frames=input_frames or {},
            train_without=config.train_without,
        )
