"""Intervals and verdicts of checks, against scipy's bootstrap and against what is known by construction."""

import numpy as np
import pytest
from scipy import stats

from moviestrip.errors import FatalError
from moviestrip.evaluation.findings import (
    Band,
    Sampling,
    Sums,
    counted,
    difference,
    finding,
    per_item,
    quotient,
    ratio,
    resampled,
    saved_share,
    side_by_side,
)
from moviestrip.evaluation.statistics import Interval, interval

POSITIVE = Band("above 0", above=0)


def clip_sums(values: np.ndarray, groups: np.ndarray | None = None) -> Sums:
    """Of clips of one frame each."""
    return Sums.of(np.stack([values, np.ones_like(values)], -1), np.arange(len(values)) if groups is None else groups)


def test_sums_of_items_leave_out_what_is_not_finite():
    values = np.array([[1.0, 2, np.nan, 4], [5, np.nan, np.nan, 8]])
    found = per_item(values, np.array([0, 0, 1, 2]), 3)
    assert found.tolist() == [[[3, 2], [0, 0], [4, 1]], [[5, 1], [0, 0], [8, 1]]]
    assert ratio(found.sum(1)).tolist() == [7 / 3, 13 / 2]


def test_an_interval_agrees_with_scipys():
    values = np.random.default_rng(0).gamma(2, 3, 60)
    found = resampled(clip_sums(values), ratio, Sampling(4000))
    level = 2 * stats.norm.cdf(np.sqrt(60 / 59) * stats.t.ppf(0.975, 59)) - 1  # as Hesterberg expands percentiles
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, confidence_level=level, method="percentile", rng=1
    ).confidence_interval
    width = theirs.high - theirs.low
    assert found.mean == pytest.approx(values.mean())
    assert abs(found.low - theirs.low) < 0.08 * width
    assert abs(found.high - theirs.high) < 0.08 * width


def test_groups_and_seeds_are_drawn_as_for_the_tables():
    """The same kind of interval as under every printed number, found by other code."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(15), 3)
    values = rng.normal(size=15)[groups] + 0.2 * rng.normal(size=(4, 45)) + rng.normal(size=(4, 1))
    sums = Sums.of(np.stack([values, np.ones_like(values)], -1), groups)
    ours, theirs = resampled(sums, ratio, Sampling(4000)), interval(values, samples=4000, groups=groups)
    assert ours.mean == pytest.approx(theirs.mean)
    assert ours.low == pytest.approx(theirs.low, abs=0.08 * (theirs.high - theirs.low))
    assert ours.high == pytest.approx(theirs.high, abs=0.08 * (theirs.high - theirs.low))


def test_two_datasets_are_drawn_apart():
    rng = np.random.default_rng(2)
    first, second = rng.normal(5, 1, 40), rng.normal(3, 2, 25)
    found = resampled(side_by_side(clip_sums(first), clip_sums(second)), difference, Sampling(4000))
    error = np.sqrt(first.var() / 40 + second.var() / 25)
    assert found.mean == pytest.approx(first.mean() - second.mean())
    fewest = np.sqrt(25 / 24) * stats.t.ppf(0.975, 24)
    assert (found.high - found.low) / (2 * fewest * error) == pytest.approx(1, abs=0.05)


def test_statistics_of_two_means():
    totals = np.array([30.0, 10, 12, 6])
    assert (difference(totals), quotient(totals)) == (1.0, 1.5)
    assert saved_share(totals) == pytest.approx(100 / 3)
    assert np.isnan(quotient(np.array([1.0, 1, 0, 0])))


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [((1, 2), "present"), ((-2, -1), "absent"), ((-1, 2), "undecided"), ((np.nan, np.nan), "undecided"),
     ((0, 0), "absent")],
)  # fmt: skip
def test_a_verdict_is_where_the_whole_interval_is(ends: tuple[float, float], verdict: str):
    assert POSITIVE.verdict(Interval(1.0, *ends)) == verdict


def test_a_band_has_two_sides():
    band = Band("between 1 and 3", 1, 3)
    found = [band.verdict(Interval(low, low, low + 1)) for low in (-1, 0.5, 1.5, 2.5, 3.5)]
    assert found == ["absent", "undecided", "present", "undecided", "absent"]


def test_few_clips_decide_nothing():
    """Four clips, all far above zero: resamples of them say nothing of others."""
    groups = np.array(["a", "a", "b", "c", "d"])
    few = finding("x", "?", clip_sums(np.full(5, 9.0), groups), ratio, "mm", POSITIVE, Sampling(100))
    assert few.verdict == "undecided"
    assert np.isnan(few.low)
    enough = finding("x", "?", clip_sums(np.full(5, 9.0)), ratio, "mm", POSITIVE, Sampling(100))
    assert (enough.verdict, enough.clips, enough.seeds) == ("present", 5, 1)


def test_the_same_sampling_gives_the_same_interval():
    sums = clip_sums(np.random.default_rng(3).normal(size=30))
    assert resampled(sums, ratio, Sampling(200, seed=1)) == resampled(sums, ratio, Sampling(200, seed=1))
    assert resampled(sums, ratio, Sampling(200, seed=1)) != resampled(sums, ratio, Sampling(200, seed=2))


def test_a_count_is_sure():
    assert counted("x", "?", 0, "people", Band("0", below=0.5), 9).verdict == "present"
    assert counted("x", "?", 1, "people", Band("0", below=0.5), 9).verdict == "absent"


def test_models_of_other_seeds_are_not_compared():
    two = Sums.of(np.ones((2, 6, 2)), np.arange(6))
    with pytest.raises(FatalError, match="1 and 2 training seeds"):
        side_by_side(clip_sums(np.ones(6)), two)
