"""How sure a number is: bootstrap intervals over clips and training seeds.

Frames of a clip resemble each other, so clips are drawn, not frames. So do clips of one motion that several
cameras film: such a group is drawn as a whole. Each resample also draws training seeds, because a model
retrained would score differently. Both draws are crossed: every seed scores the same clips.
"""

import zlib
from typing import NamedTuple

import numpy as np
import pandas as pd

from moviestrip.errors import FatalError


class Interval(NamedTuple):
    """A mean and the ends of its bootstrap percentile interval; NaN ends where fewer than two groups were scored."""

    mean: float
    low: float
    high: float


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
    if samples == 0 or len(np.unique(group[known.any(0)])) < 2:
        return Interval(float(mean), np.nan, np.nan)
    random = np.random.default_rng([seed, zlib.crc32(b"bootstrap")])
    clip_counts = _draws(random, int(group.max()) + 1, samples)[:, group]
    seed_counts = _draws(random, len(values), samples)
    means = _weighted_means(values, known, weight, seed_counts, clip_counts)
    low, high = np.nanpercentile(means, [50 - percent / 2, 50 + percent / 2])
    return Interval(float(mean), float(low), float(high))


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
