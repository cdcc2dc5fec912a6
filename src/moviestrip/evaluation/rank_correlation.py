"""Whether two test sets put the same models in the same order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from moviestrip.evaluation.statistics import Interval, expanded_ends


def rank_correlation(
    first: pd.DataFrame, second: pd.DataFrame, samples: int = 1000, percent: float = 95, seed: int = 0
) -> tuple[Interval, int]:
    """Spearman's correlation of two rankings of the same models, with its interval, and how many models.

    Both are `VALUES` of one metric. Moments are drawn in each by itself; training seeds in both at once, because it is
    the same model that both look at. The side of fewer moments says how far the interval is expanded, at most to 1.
    """
    shared = sorted(set(first["variant"]) & set(second["variant"]))
    sides = [_Side.of(table, shared) for table in (first, second)]
    if len(shared) < 3:
        return Interval(np.nan, np.nan, np.nan), len(shared)
    random = np.random.default_rng(seed)
    seeds = len(sides[0].values[0])
    drawn = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=samples)
    means = [side.means(np.ones((1, seeds)), np.ones((1, side.moments))) for side in sides]
    resampled = [
        side.means(drawn, random.multinomial(side.moments, np.full(side.moments, 1 / side.moments), size=samples))
        for side in sides
    ]
    found = _spearman(*resampled)
    known = float(_spearman(*means)[0])
    ends = expanded_ends(known, found, min(side.moments for side in sides), percent, drawn)
    low, high = np.clip(ends, -1, 1)
    return Interval(known, float(low), float(high)), len(shared)


@dataclass(frozen=True)
class _Side:
    """Values (models, seeds, units) of one ranking, the units' weights and which of the moments each shows."""

    values: np.ndarray
    weights: np.ndarray
    moment: np.ndarray

    @property
    def moments(self) -> int:
        return int(self.moment.max()) + 1

    @classmethod
    def of(cls, table: pd.DataFrame, models: Sequence[str]) -> "_Side":
        wide = table[table["variant"].isin(models)].pivot(index=["variant", "seed"], columns="unit_id", values="value")
        units = table.groupby("unit_id").agg(frames=("frames", "max"), moment=("moment", "first")).loc[wide.columns]
        values = wide.to_numpy().reshape(len(models), -1, wide.shape[1]) if len(models) else np.zeros((0, 0, 0))
        return cls(values, units["frames"].to_numpy(np.float64), pd.factorize(units["moment"])[0])

    def means(self, seed_counts: np.ndarray, moment_counts: np.ndarray) -> np.ndarray:
        """(samples, models) of resampled seeds and moments."""
        weights = moment_counts[:, self.moment] * self.weights
        known = np.isfinite(self.values)
        total = np.einsum("bs,msu,bu->bm", seed_counts, np.where(known, self.values, 0), weights, optimize=True)
        share = np.einsum("bs,msu,bu->bm", seed_counts, known.astype(np.float64), weights, optimize=True)
        return np.divide(total, share, out=np.full(total.shape, np.nan), where=share > 0)


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of each row of (samples, models) twice; NaN where one side ranks nothing."""
    ranks = [stats.rankdata(side, axis=1) for side in (first, second)]
    centred = [side - side.mean(1, keepdims=True) for side in ranks]
    size = np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    return np.divide((centred[0] * centred[1]).sum(1), size, out=np.full(len(size), np.nan), where=size > 0)
