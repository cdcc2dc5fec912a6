"""What a check of a world comes to: a number with its interval, what was expected, and whether it is there.

A check reduces its frames to sums, a row for each clip or motion; its number is a function of their totals. So one
bootstrap serves ratios, differences of datasets and differences within clips alike.
"""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from moviestrip.errors import FatalError
from moviestrip.evaluation.statistics import Interval, expanded_ends

Statistic = Callable[[np.ndarray], np.ndarray]  # (..., columns) -> (...)
FEWEST_GROUPS = 5
Verdict = Literal["present", "absent", "undecided"]


@dataclass(frozen=True)
class Band:
    """What a number is expected to lie in; an end that is not given is not asked for."""

    text: str
    above: float = -math.inf
    below: float = math.inf

    def verdict(self, found: Interval) -> Verdict:
        """Present or absent where the whole interval is; a number without an interval is never enough."""
        low, high = found.low, found.high
        if not (math.isfinite(low) and math.isfinite(high)):
            return "undecided"
        if self.above < low and high < self.below:
            return "present"
        return "absent" if high <= self.above or low >= self.below else "undecided"


@dataclass(frozen=True)
class Finding:
    """One row of a run's difficulty.csv, before the papers' figure is put beside it."""

    check: str
    question: str
    measured: float
    low: float
    high: float
    unit: str
    expected: str
    verdict: Verdict
    clips: int
    seeds: int
    note: str = ""


@dataclass(frozen=True)
class Sampling:
    """How intervals are drawn."""

    samples: int = 1000
    percent: float = 95.0
    seed: int = 0


@dataclass(frozen=True)
class Sums:
    """What a check adds up.

    Attributes:
        values: of each clip or motion, under each training seed; without models there is one seed.
        groups: what is drawn together: clips of one motion.
        strata: what is drawn apart: two datasets that are compared.
    """

    values: Float[np.ndarray, "seeds items columns"]
    groups: np.ndarray
    strata: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, groups: np.ndarray | pd.Series) -> "Sums":
        values = np.asarray(values, np.float64)
        whole = values if values.ndim == 3 else values[None]
        return cls(whole, np.asarray(groups), np.zeros(whole.shape[1], np.int64))

    @property
    def clips(self) -> int:
        """Items that add something."""
        return int((self.values != 0).any((0, 2)).sum())

    @property
    def seeds(self) -> int:
        return len(self.values)


def side_by_side(first: Sums, second: Sums) -> Sums:
    """Two sets of items that have nothing in common, each with columns of its own and drawn by itself."""
    if first.seeds != second.seeds:
        raise FatalError(f"findings: {first.seeds} and {second.seeds} training seeds are compared; score the same ones")
    left = np.pad(first.values, ((0, 0), (0, 0), (0, second.values.shape[2])))
    right = np.pad(second.values, ((0, 0), (0, 0), (first.values.shape[2], 0)))
    groups = [f"{place}/{group}" for place, sums in enumerate((first, second)) for group in sums.groups]
    strata = np.repeat([0, 1], [left.shape[1], right.shape[1]])
    return Sums(np.concatenate([left, right], 1), np.array(groups, dtype=object), strata)


def per_item(values: Float[np.ndarray, "*seeds rows"], item: Int[np.ndarray, " rows"], items: int) -> np.ndarray:
    """Sum and number of the finite values of each item: (*seeds, items, 2)."""
    known = np.isfinite(values)
    flat = np.where(known, values, 0).reshape(-1, values.shape[-1])
    sums = np.stack([np.bincount(item, row, minlength=items) for row in flat])
    counts = np.stack([np.bincount(item, row, minlength=items) for row in known.reshape(flat.shape)])
    return np.stack([sums, counts], -1).reshape(*values.shape[:-1], items, 2)


def ratio(totals: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch"]:
    """The mean of what `per_item` summed."""
    return _divide(totals[..., 0], totals[..., 1])


def share(totals: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch"]:
    """The same in percent."""
    return 100 * ratio(totals)


def difference(totals: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch"]:
    """The first mean less the second."""
    return ratio(totals[..., :2]) - ratio(totals[..., 2:])


def quotient(totals: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch"]:
    """The first mean by the second."""
    return _divide(ratio(totals[..., :2]), ratio(totals[..., 2:]))


def saved_share(totals: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch"]:
    """By how many percent the second mean is lower than the first."""
    return 100 * (1 - _divide(ratio(totals[..., 2:]), ratio(totals[..., :2])))


def resampled(sums: Sums, statistic: Statistic, sampling: Sampling) -> Interval:
    """The statistic of all items, mean over seeds, with its expanded percentile interval.

    Groups are drawn within their stratum and training seeds across all, and the stratum of the fewest groups says how
    far the interval is expanded; NaN ends where a stratum has fewer than five: these say too little of the world.
    """
    values = sums.values.astype(np.float64)
    found = float(statistic(values.mean(0).sum(0)))
    group = pd.factorize(pd.MultiIndex.from_arrays([sums.strata, pd.Series(sums.groups).astype(str)]))[0]
    by_group = np.zeros((int(group.max(initial=-1)) + 1, len(values), values.shape[2]))
    np.add.at(by_group, group, values.swapaxes(0, 1))
    grouped = by_group.swapaxes(0, 1)
    stratum = pd.Series(sums.strata).groupby(group).first().to_numpy()
    used = (grouped != 0).any((0, 2))
    fewest = min(((used & (stratum == each)).sum() for each in np.unique(stratum)), default=0)
    if sampling.samples == 0 or fewest < FEWEST_GROUPS or not math.isfinite(found):
        return Interval(found, np.nan, np.nan)
    random = np.random.default_rng([sampling.seed, zlib.crc32(b"findings")])
    group_counts = np.zeros((sampling.samples, len(stratum)))
    for each in np.unique(stratum):
        members = np.flatnonzero((stratum == each) & used)
        group_counts[:, members] = _draws(random, len(members), sampling.samples)
    seed_counts = _draws(random, len(values), sampling.samples) / len(values)
    totals = np.einsum("bs,bg,sgc->bc", seed_counts, group_counts, grouped, optimize=True)
    return Interval(found, *expanded_ends(found, statistic(totals), int(fewest), sampling.percent, seed_counts))


def finding(
    check: str,
    question: str,
    sums: Sums,
    statistic: Statistic,
    unit: str,
    expected: Band,
    sampling: Sampling,
    note: str = "",
) -> Finding:
    """A check's number with its interval and verdict."""
    found = resampled(sums, statistic, sampling)
    verdict = expected.verdict(found)
    return Finding(check, question, *found, unit, expected.text, verdict, sums.clips, sums.seeds, note)


def counted(check: str, question: str, count: float, unit: str, expected: Band, clips: int, note: str = "") -> Finding:
    """A check that counts all there is: its number has no interval, or rather one without width."""
    found = Interval(float(count), float(count), float(count))
    return Finding(check, question, *found, unit, expected.text, expected.verdict(found), clips, 0, note)


def _draws(random: np.random.Generator, items: int, samples: int) -> np.ndarray:
    """How often each item is drawn in each resample: (samples, items)."""
    return random.multinomial(items, np.full(items, 1 / items), size=samples).astype(np.float64)


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    above, below = np.broadcast_arrays(above, below)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0)
