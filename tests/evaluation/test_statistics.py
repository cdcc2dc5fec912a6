"""Intervals against a plain bootstrap, their coverage, and that the same seed gives the same bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moviestrip.errors import FatalError
from moviestrip.evaluation.statistics import interval, paired_difference


def test_the_mean_and_its_ends_agree_with_a_plain_bootstrap():
    values = np.random.default_rng(0).normal(80, 10, (1, 60))
    found = interval(values, samples=4000)
    rng = np.random.default_rng(1)
    means = [rng.choice(values[0], 60).mean() for _ in range(4000)]
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.2)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for trial in range(300):
        low_high = interval(rng.normal(5, 2, (1, 40)), samples=400, percent=90, seed=trial)
        covered += low_high.low <= 5 <= low_high.high
    assert 0.83 <= covered / 300 <= 0.95


def test_clips_of_one_motion_are_drawn_together():
    rng = np.random.default_rng(4)
    motions = rng.normal(80, 10, 12)
    values, groups = np.repeat(motions, 4)[None], np.repeat([f"m{index}" for index in range(12)], 4)
    together, apart, once = interval(values, groups=groups), interval(values), interval(motions[None])
    assert together.mean == apart.mean == pytest.approx(once.mean)
    assert (together.low, together.high) == pytest.approx((once.low, once.high))
    assert together.high - together.low > 1.6 * (apart.high - apart.low)
    alone = np.arange(48)
    assert interval(values, groups=alone) == apart
    assert np.isnan(interval(values, groups=np.zeros(48)).low)
    assert paired_difference(values + 1, values, groups=groups) == pytest.approx((1, 1, 1))
    with pytest.raises(FatalError, match=r"groups \(3,\)"):
        interval(values, groups=np.zeros(3))


def test_intervals_of_motions_filmed_by_several_cameras_cover_as_often_as_they_say():
    rng = np.random.default_rng(5)
    covered = {"groups": 0, "clips": 0}
    for trial in range(200):
        values = (np.repeat(rng.normal(5, 2, 30), 4) + rng.normal(0, 0.2, 120))[None]
        for name, groups in (("groups", np.repeat(np.arange(30), 4)), ("clips", None)):
            found = interval(values, samples=300, percent=90, seed=trial, groups=groups)
            covered[name] += found.low <= 5 <= found.high
    assert 0.82 <= covered["groups"] / 200 <= 0.96 and covered["clips"] / 200 < 0.75


def test_seeds_that_disagree_widen_the_interval():
    clips = np.random.default_rng(0).normal(0, 1, 50)
    agree, disagree = np.stack([clips] * 3), np.stack([clips - 5, clips, clips + 5])
    narrow, wide = interval(agree), interval(disagree)
    assert wide.mean == pytest.approx(narrow.mean)
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    values = np.random.default_rng(0).random((2, 30))
    assert interval(values, seed=4) == interval(values, seed=4) != interval(values, seed=5)


def test_weights_and_gaps_are_respected():
    values = np.array([[1.0, np.nan, 5.0], [3.0, 7.0, np.nan]])
    assert interval(values).mean == pytest.approx(4)
    assert interval(values, weights=np.array([1.0, 0.0, 0.0])).mean == pytest.approx(2)


@pytest.mark.parametrize("values", [np.zeros((1, 0)), np.full((2, 4), np.nan), np.zeros((3, 1))])
def test_too_few_clips_have_no_interval(values):
    found = interval(values)
    assert np.isnan(found.low) and np.isnan(found.high)
    assert np.isnan(interval(np.random.default_rng(0).random((1, 9)), samples=0).low)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(2, 30), st.integers(0, 2**31))
def test_the_mean_lies_within_and_shifts_with_the_values(seeds, clips, seed):
    values = np.random.default_rng(seed).normal(0, 1, (seeds, clips))
    first, moved = interval(values, samples=200), interval(values + 100, samples=200)
    assert first.low <= first.high
    np.testing.assert_allclose(np.array(moved) - 100, np.array(first), atol=1e-9)


def test_paired_differences_are_tighter_than_unpaired_ones():
    clip_effect = np.random.default_rng(0).normal(0, 20, 80)
    worse, better = clip_effect[None] + 1, clip_effect[None]
    found = paired_difference(worse, better)
    assert found == pytest.approx((1, 1, 1))
    with pytest.raises(FatalError, match=r"\(1, 80\).*\(1, 79\)"):
        paired_difference(worse, better[:, 1:])
    with pytest.raises(FatalError, match=r"\(80,\)"):
        interval(clip_effect)
