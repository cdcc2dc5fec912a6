"""How each of the 25 tables is laid out: its title, its rows and its columns in the order printed.

The order is that of the carried cells; only what runs down the side differs. Most tables list methods, HMMR's
first lists datasets, and four of PHD's list actions.
"""

from dataclasses import dataclass

import pandas as pd

from moviestrip.papers.printed import PAPER_TITLES, printed

TITLES = {
    "hmmr-1": "The video datasets and what is annotated in them",
    "hmmr-2": "Local against temporal context",
    "hmmr-3": "Against other 3D pose reconstruction",
    "hmmr-4": "Learning from unlabelled video through pseudo-labels",
    "hmmr-5": "Past, current and future pose from one image",
    "hmmr-6": "All baselines and ablations, with mesh errors",
    "vibe-1": "Against other methods on three datasets",
    "vibe-2": "With and without the motion discriminator",
    "vibe-3": "Self-attention in the motion discriminator",
    "phd-1": "Causal against non-causal temporal encoder",
    "phd-2": "Autoregressive prediction and baselines, with dynamic time warping",
    "phd-3": "Against prediction from a single frame",
    "phd-4": "Human3.6M by action, with dynamic time warping",
    "phd-5": "Penn Action by action, with dynamic time warping",
    "phd-6": "Human3.6M by action, without dynamic time warping",
    "phd-7": "Penn Action by action, without dynamic time warping",
    "phd-8": "Autoregressive prediction and baselines, without dynamic time warping",
    "tcmr-1": "Temporal architectures",
    "tcmr-2": "PoseForecast with and without the current frame",
    "tcmr-3": "Supervision of PoseForecast",
    "tcmr-4": "Against other video methods",
    "tcmr-5": "Against average filtering",
    "tcmr-6": "Against single-image and video methods",
    "tcmr-7": "Initialisation of the static features' network",
    "tcmr-8": "Frame rate of the input",
}

METRIC_TITLES = {
    "pck": "PCK",
    "mpjpe": "MPJPE",
    "pa_mpjpe": "PA-MPJPE",
    "pve": "PVE",
    "accel": "Accel",
    "accel_error": "Accel error",
    "mesh_posed": "Mesh posed",
    "mesh_unposed": "Mesh unposed",
    "frames": "Frames",
    "minutes": "Total length",
    "seconds": "Average clip",
    "gt_3d": "3D truth",
    "gt_2d": "2D truth",
    "in_the_wild": "In the wild",
    "input_frames": "Input frames",
}

COLUMN_FIELDS = ["dataset", "metric", "horizon", "dtw"]


@dataclass(frozen=True)
class Column:
    """One column of values; `dataset` is empty where the rows are datasets."""

    dataset: str
    metric: str
    horizon: str
    dtw: str
    unit: str
    better: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.dataset, self.metric, self.horizon, self.dtw


@dataclass(frozen=True)
class Layout:
    """A table's title, what its rows are, and its columns."""

    paper: str
    number: str
    title: str
    side: str  # 'method', 'dataset' or 'action'
    columns: tuple[Column, ...]

    @property
    def heading(self) -> str:
        return f"{PAPER_TITLES[self.paper]} Table {self.number}: {self.title}"

    def row_label(self, cell: pd.Series) -> str:
        return str(cell["action"] if self.side == "action" else cell["row"])

    def column_key(self, cell: pd.Series) -> tuple[str, str, str, str]:
        """Where a cell stands from left to right: the key of one of `columns`."""
        dataset = "" if self.side == "dataset" else str(cell["dataset"])
        return dataset, str(cell["metric"]), str(cell["horizon"]), str(cell["dtw"])


def layout(paper: str, number: str) -> Layout:
    """The layout of a table, derived from its printed cells."""
    cells = printed(paper, number)
    side = _side_of(cells)
    columns = cells.assign(dataset="") if side == "dataset" else cells
    unique = columns.drop_duplicates(COLUMN_FIELDS)[[*COLUMN_FIELDS, "unit", "better"]]
    shown = tuple(Column(*map(str, values)) for values in unique.itertuples(index=False))
    return Layout(paper, number, TITLES[f"{paper}-{number}"], side, shown)


def counts_data(paper: str, number: str) -> bool:
    """Whether a table is about the datasets themselves: it needs their statistics and no scores."""
    return layout(paper, number).side == "dataset"


def _side_of(cells: pd.DataFrame) -> str:
    if cells["action"].nunique() > 1:
        return "action"
    own_dataset = cells.groupby("row_id")["dataset"].nunique().eq(1).all()
    rows_are_datasets = own_dataset and cells["dataset"].nunique() == cells["row_id"].nunique() > 1
    return "dataset" if rows_are_datasets else "method"
