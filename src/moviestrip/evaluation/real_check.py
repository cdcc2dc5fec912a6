"""Models of the miniature world on videos of real people: what is measured, how sure it is, and what it says.

Two videos are too little to rank models by. What can be asked is whether what a model learnt here reaches beyond the
world it was made in: whether its bodies stand where a detector sees people, from the camera they were estimated from
and from others; whether they resemble a pose that several cameras agree on; and whether the miniature world puts
models in the same order. Frames of one moment are not independent, whichever camera filmed them, so moments are drawn
for intervals, not frames.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from moviestrip.evaluation.rank_correlation import rank_correlation
from moviestrip.evaluation.real_videos import ALL_VIEWS, REFERENCE
from moviestrip.evaluation.statistics import Interval, interval, paired_difference

BASELINE = "single-view"
RANKS = "rank_correlation:"
DIFFERENCE = "_minus_single_view"
BY_VIEW = ("pa_mpjpe",)
COMPARED = ("pa_mpjpe", "pa_mpjpe_confirmed", "accel_error", "reprojection", "keypoint_distance")
METRICS = ("pa_mpjpe", "pa_mpjpe_confirmed", "reprojection", "accel_error", "keypoint_distance", "pck")
COLUMNS = (
    "dataset", "variant", "title", "view", "metric", "unit", "value", "low", "high", "uncertainty_mm", "clips",
    "people", "seeds", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What a line says of its dataset besides numbers: how many clips and people, and what to keep in mind."""

    clips: int
    people: int
    note: str


def summary(
    values: pd.DataFrame,
    titles: Mapping[str, str],
    known: Mapping[str, Known],
    samples: int = 1000,
    percent: float = 95,
    seed: int = 0,
) -> pd.DataFrame:
    """Means and intervals of `VALUES` in `COLUMNS`: of each view and of all, and differences from the baseline."""
    uncertain = reference_uncertainty_mm(values)
    coded = values.assign(
        unit_id=pd.factorize(values["unit_id"], sort=True)[0],  # numbers are joined much sooner than words
        moment=pd.factorize(values["moment"])[0],
        view=values["view"].astype(object),
    )
    parts = dict(list(coded.groupby(["dataset", "variant", "metric", "unit"], sort=True)))
    rows = []
    for (dataset, variant, metric, unit), part in parts.items():
        names = sorted(part["view"].unique())
        every = metric in BY_VIEW or variant == REFERENCE
        for view in [ALL_VIEWS, *(names if every and len(names) > 1 else [])]:
            chosen = part if view == ALL_VIEWS else part[part["view"] == view]
            found = interval(*_arrays(chosen), samples, percent, seed, _moments(chosen)).of_scores(str(unit))
            rows.append((dataset, variant, view, metric, unit, *found, _seeds(chosen)))
        if metric in COMPARED and variant not in (BASELINE, REFERENCE):
            base = parts.get((dataset, BASELINE, metric, unit))
            if base is not None:
                found = _difference(part, base, samples, percent, seed)
                rows.append((dataset, variant, ALL_VIEWS, metric + DIFFERENCE, unit, *found, _seeds(part)))
    names = ["dataset", "variant", "view", "metric", "unit", "value", "low", "high", "seeds"]
    table = pd.DataFrame(rows, columns=names)
    table["title"] = [titles.get(name, name) for name in table["variant"]]
    facts = [known[name] for name in table["dataset"]]
    table["clips"], table["people"] = [fact.clips for fact in facts], [fact.people for fact in facts]
    table["note"] = [fact.note for fact in facts]
    measured = [
        (dataset, metric.removesuffix(DIFFERENCE))
        for dataset, metric in zip(table["dataset"], table["metric"], strict=True)
    ]
    table["uncertainty_mm"] = [round(uncertain[key], 1) if key in uncertain else np.nan for key in measured]
    return _in_order(table[list(COLUMNS)], list(known))


def _in_order(table: pd.DataFrame, datasets: Sequence[str]) -> pd.DataFrame:
    """Datasets as they are known, the metrics that matter most first, all views before each."""
    metric = {name: place for place, name in enumerate(METRICS)}
    keys = pd.DataFrame(
        {
            "dataset": [datasets.index(name) for name in table["dataset"]],
            "metric": [metric.get(name, len(metric)) for name in table["metric"]],
            "name": table["metric"],
            "variant": table["variant"],
            "part": table["view"] != ALL_VIEWS,
            "view": table["view"],
        }
    )
    return table.loc[keys.sort_values(list(keys.columns)).index].reset_index(drop=True)


def reference_uncertainty_mm(values: pd.DataFrame) -> dict[tuple[str, str], float]:
    """By dataset and metric, how much the joints that errors are measured from move when one camera is left out."""
    own = values[values["variant"] == REFERENCE]
    sources = {"pa_mpjpe": "left_out_aligned", "pa_mpjpe_confirmed": "left_out_confirmed"}
    return {
        (str(dataset), metric): float(np.average(part["value"], weights=part["frames"]))
        for metric, source in sources.items()
        for dataset, part in own[own["metric"] == source].groupby("dataset")
    }


def _arrays(part: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(seeds, units) of values and (units,) of weights."""
    table = part.pivot(index="seed", columns="unit_id", values="value")
    return table.to_numpy(), part.groupby("unit_id")["frames"].max().loc[table.columns].to_numpy(np.float64)


def _moments(part: pd.DataFrame) -> np.ndarray:
    units = part.drop_duplicates("unit_id").set_index("unit_id").sort_index()
    return units["moment"].to_numpy()


def _seeds(part: pd.DataFrame) -> int:
    return int((part["seed"].drop_duplicates() >= 0).sum())


def _difference(part: pd.DataFrame, base: pd.DataFrame, samples: int, percent: float, seed: int) -> Interval:
    both = part.merge(base[["seed", "unit_id", "value"]], on=["seed", "unit_id"], suffixes=("", "_base"))
    weights = both.groupby("unit_id")["frames"].max().sort_index().to_numpy(np.float64)
    ours, base_values = (
        both.pivot(index="seed", columns="unit_id", values=name).to_numpy() for name in ("value", "value_base")
    )
    return paired_difference(ours, base_values, weights, samples, percent, seed, _moments(both))


# What the miniature world's ranking is held against: its metric, and the real one.
TRANSFERS = (
    ("pa_mpjpe", "pa_mpjpe"),
    ("pa_mpjpe", "pa_mpjpe_confirmed"),
    ("pa_mpjpe", "reprojection"),
    ("accel_error", "accel_error"),
)


def transfers(
    miniature: pd.DataFrame,
    real: pd.DataFrame,
    known: Mapping[str, Known],
    samples: int = 1000,
    percent: float = 95,
    seed: int = 0,
) -> pd.DataFrame:
    """Whether real videos rank the models as each dataset of the miniature world does, in `COLUMNS`."""
    models = real[real["variant"] != REFERENCE]
    rows = []
    for world, (ours, theirs) in [(name, pair) for name in sorted(set(miniature["dataset"])) for pair in TRANSFERS]:
        first = miniature[(miniature["dataset"] == world) & (miniature["metric"] == ours)]
        for dataset, second in models[models["metric"] == theirs].groupby("dataset"):
            found, count = rank_correlation(first, second, samples, percent, seed)
            if count >= 3:
                rows.append(
                    {
                        "dataset": dataset, "variant": ALL_VIEWS, "title": f"{count} models", "view": ALL_VIEWS,
                        "metric": f"{RANKS}{world}:{ours}:{theirs}", "unit": "Spearman", "value": found.mean,
                        "low": found.low, "high": found.high, "uncertainty_mm": np.nan,
                        "clips": known[str(dataset)].clips, "people": known[str(dataset)].people,
                        "seeds": _seeds(second),
                        "note": f"ranking of {count} models by {ours} on {world} against {theirs} on {dataset}",
                    }
                )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))
