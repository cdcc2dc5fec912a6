"""How sure a number is: bootstrap intervals over clips and training seeds.

Frames of a clip resemble each other, so clips are drawn, not frames. So do clips of one motion that several
cameras film: such a group is drawn as a whole. Each resample also draws training seeds, because a model
retrained would score differently. Both draws are crossed: every seed scores the same clips.

Resamples of few groups lie too close together: n groups vary among themselves by (n - 1) / n of their variance, and
normal quantiles stand where Student's t belongs. What calls itself 95 % then covers 50 % with two groups and 85 %
with six. Resampled values are therefore moved away from the estimate (`expansion`) before percentiles are taken:
Hesterberg's expanded percentile interval (What Teachers Should Know About the Bootstrap, The American Statistician
69, 2015). He moves the percentiles; here the values move, because no percentile of two or three groups lies beyond
these, and because values that move by one factor stay paired.
"""

import math
import zlib
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import ndtri, stdtrit

from moviestrip.errors import FatalError


class Interval(NamedTuple):
    """A number and the ends of its expanded percentile interval; NaN ends where fewer than two groups were scored."""

    mean: float
    low: float
    high: float

    def of_scores(self, unit: str) -> "Interval":
        """With ends that scores of a unit can have: of two clips the interval may reach below an error of nothing."""
        highest = 100.0 if unit == "%" else math.inf
        return Interval(self.mean, *(float(np.clip(end, 0.0, highest)) for end in (self.low, self.high)))


class Expansion(NamedTuple):
    """How far resampled values move away from the estimate.

    Attributes:
        factor: of their distances; NaN with fewer than two groups.
        freedom: degrees of freedom of the Student's t that stands behind it.
    """

    factor: float
    freedom: float

    def of(self, point: float, again: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " samples"]:
        return point + self.factor * (again - point)

    def widened(self, factor: float) -> "Expansion":
        return self._replace(factor=factor * self.factor)


def expansion(
    again: Float[np.ndarray, " samples"],
    groups: int,
    percent: float = 95,
    seed_counts: Float[np.ndarray, "samples seeds"] | None = None,
) -> Expansion:
    """By how much resamples of a few groups and training seeds are too close together.

    With one seed it is Hesterberg's sqrt(n / (n - 1)) t / z, with n - 1 degrees of freedom. That is right for means
    over normal groups of equal weight, and first-order for other statistics, skewed values and uneven weights. With
    several seeds, which are even fewer, the variance of the resamples is split by a regression on how often each seed
    was drawn; either part is scaled by its own n / (n - 1), and Satterthwaite's approximation gives the degrees of
    freedom of their sum. What seeds do on some clips only counts as the clips'.

    Args:
        again: the resampled values.
        groups: drawn behind them; of a number of several cells, the fewest behind any.
        percent: width of the interval that is asked for.
        seed_counts: how often each seed was drawn in each resample.
    """
    if groups < 2:
        return Expansion(math.nan, math.nan)
    seeds = 1 if seed_counts is None else seed_counts.shape[1]
    share = 0.0 if seed_counts is None or seeds < 2 else _share_of_seeds(again, seed_counts)
    sources = [(1 - share, groups), *([(share, seeds)] if seeds > 1 else [])]
    variances = [part * count / (count - 1) for part, count in sources]
    parts = [variance**2 / (count - 1) for variance, (_, count) in zip(variances, sources, strict=True)]
    freedom = sum(variances) ** 2 / sum(parts)
    return Expansion(math.sqrt(sum(variances)) * student_by_normal(freedom, percent), freedom)


def student_by_normal(freedom: float, percent: float) -> float:
    """How much wider a central interval of Student's t is than that of a normal."""
    tail = 0.5 + percent / 200
    return float(stdtrit(freedom, tail) / ndtri(tail))


def percentile_ends(again: Float[np.ndarray, " samples"], percent: float) -> tuple[float, float]:
    """The central percentiles of resampled values that were moved already; NaN where none is known."""
    if not np.isfinite(again).any():
        return math.nan, math.nan
    low, high = np.nanpercentile(again, [50 - percent / 2, 50 + percent / 2])
    return float(low), float(high)


def expanded_ends(
    point: float,
    again: Float[np.ndarray, " samples"],
    groups: int,
    percent: float = 95,
    seed_counts: Float[np.ndarray, "samples seeds"] | None = None,
) -> tuple[float, float]:
    """Ends of the interval around an estimate, from its resamples; the arguments are those of `expansion`."""
    return percentile_ends(expansion(again, groups, percent, seed_counts).of(point, again), percent)


def interval(
    values: np.ndarray,
    weights: np.ndarray | None = None,
    samples: int = 1000,
    percent: float = 95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> Interval:
    """Weighted mean over clips and seeds with its interval.

    Args:
        values: (seeds, clips), NaN where a seed has no score for a clip.
        weights: (clips,), equal when not given.
        samples: resamples; with 0 the ends are NaN.
        percent: width of the interval.
        seed: the same seed gives the same ends, bit for bit.
        groups: (clips,) labels; clips of one group are drawn together. Without them every clip is its own group.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or any(
        given is not None and np.shape(given) != values.shape[1:] for given in (weights, groups)
    ):
        shapes = [None if given is None else np.shape(given) for given in (weights, groups)]
        raise FatalError(
            f"interval: values have shape {values.shape}, weights {shapes[0]}, groups {shapes[1]}; "
            f"expected (seeds, clips), (clips,), (clips,)"
        )
    known = np.isfinite(values)
    weight = np.ones(values.shape[1]) if weights is None else np.asarray(weights, np.float64)
    mean = _weighted_means(values, known, weight, np.ones((1, len(values))), np.ones((1, values.shape[1])))[0]
    group = np.arange(values.shape[1]) if groups is None else pd.factorize(np.asarray(groups))[0]
    groups_scored = len(np.unique(group[known.any(0) & (weight > 0)]))
    if samples == 0 or groups_scored < 2:
        return Interval(float(mean), np.nan, np.nan)
    random = np.random.default_rng([seed, zlib.crc32(b"bootstrap")])
    clip_counts = _draws(random, int(group.max()) + 1, samples)[:, group]
    seed_counts = _draws(random, len(values), samples)
    means = _weighted_means(values, known, weight, seed_counts, clip_counts)
    return Interval(float(mean), *expanded_ends(float(mean), means, groups_scored, percent, seed_counts))


def paired_difference(
    first: np.ndarray,
    second: np.ndarray,
    weights: np.ndarray | None = None,
    samples: int = 1000,
    percent: float = 95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> Interval:
    """Interval of first - second, (seeds, clips) each, over the clips that both were scored on."""
    if np.shape(first) != np.shape(second):
        raise FatalError(
            f"paired_difference: shapes {np.shape(first)} and {np.shape(second)}; the same seeds and clips are needed"
        )
    return interval(np.asarray(first) - np.asarray(second), weights, samples, percent, seed, groups)


def _share_of_seeds(again: Float[np.ndarray, " samples"], seed_counts: Float[np.ndarray, "samples seeds"]) -> float:
    """The part of the resamples' variance that the seeds they drew explain."""
    known = np.isfinite(again)
    values, counts = again[known], seed_counts[known]
    if values.size == 0 or np.ptp(values) == 0:
        return 0.0
    values, counts = values - values.mean(), counts - counts.mean(0)
    explained = counts @ np.linalg.lstsq(counts, values)[0]
    return float(min(1.0, explained @ explained / (values @ values)))


def _draws(random: np.random.Generator, items: int, samples: int) -> np.ndarray:
    """How often each item is drawn in each resample: (samples, items)."""
    return random.multinomial(items, np.full(items, 1 / items), size=samples).astype(np.float64)


def _weighted_means(
    values: np.ndarray, known: np.ndarray, weight: np.ndarray, seed_counts: np.ndarray, clip_counts: np.ndarray
) -> np.ndarray:
    """Means of resamples: (seeds, clips) twice, (clips,), (samples, seeds), (samples, clips) -> (samples,)."""
    clip_weights = clip_counts * weight
    total = np.einsum("bc,bc->b", seed_counts @ np.where(known, values, 0), clip_weights)
    share = np.einsum("bc,bc->b", seed_counts @ known.astype(np.float64), clip_weights)
    return np.divide(total, share, out=np.full(len(total), np.nan), where=share > 0)
