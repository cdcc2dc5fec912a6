"""Intervals against a plain bootstrap and Student's t, their coverage, and that a seed gives the same bits."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from moviestrip.errors import FatalError
from moviestrip.evaluation.statistics import expanded_ends, expansion, interval, paired_difference


def test_the_mean_and_its_ends_agree_with_a_plain_bootstrap():
    values = np.random.default_rng(0).normal(80, 10, (1, 60))
    found = interval(values, samples=4000)
    rng = np.random.default_rng(1)
    means = [rng.choice(values[0], 60).mean() for _ in range(4000)]
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.2)


def test_an_interval_of_two_scores_has_no_end_that_no_score_has():
    plain = interval(np.array([[60.0, 90]]), samples=400)
    assert plain.low < 0 and plain.high > 100
    assert plain.of_scores("mm") == (plain.mean, 0, plain.high)
    assert plain.of_scores("%") == (plain.mean, 0, 100)
    alone = interval(np.array([[60.0]])).of_scores("mm")
    assert np.isnan([alone.low, alone.high]).all()


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for trial in range(300):
        low_high = interval(rng.normal(5, 2, (1, 40)), samples=400, percent=90, seed=trial)
        covered += low_high.low <= 5 <= low_high.high
    assert 0.83 <= covered / 300 <= 0.95


def coverage(draw: Callable[[np.random.Generator], np.ndarray], trials: int = 200) -> float:
    """How often the intervals of trials cover zero."""
    rng = np.random.default_rng(3)
    found = [interval(draw(rng), samples=300, seed=trial) for trial in range(trials)]
    return float(np.mean([ends.low <= 0 <= ends.high for ends in found]))


@pytest.mark.parametrize("groups", [2, 3, 6, 12, 40])
def test_95_percent_are_95_percent_however_few_groups_there_are(groups: int):
    """The standard error of 200 trials is 1.5 points; the plain percentile interval covers 50, 72, 85, 90, 93 %."""
    assert 0.915 <= coverage(lambda rng: rng.normal(0, 1, (1, groups))) <= 0.985


@pytest.mark.parametrize(("groups", "least"), [(3, 0.82), (6, 0.84), (12, 0.87), (40, 0.88)])
def test_skewed_values_are_covered_as_often_as_a_mean_allows(groups: int, least: float):
    """Exponential errors: Student's own interval covers 88, 88, 91, 93 %; the plain percentile 67, 79, 89, 92 %."""
    assert coverage(lambda rng: rng.exponential(1, (1, groups)) - 1) >= least


@pytest.mark.parametrize(("seeds", "of_seeds"), [(2, 0.2), (3, 0.2), (3, 0.6), (5, 0.6)])
def test_a_few_training_seeds_are_no_surer_than_a_few_clips(seeds: int, of_seeds: float):
    found = coverage(lambda rng: rng.normal(0, 1, 12) + rng.normal(0, of_seeds, (seeds, 1)))
    assert 0.88 <= found <= 0.985


@pytest.mark.parametrize("groups", [3, 6, 12, 40])
@pytest.mark.parametrize("percent", [80, 95])
def test_the_factor_is_that_of_students_t_and_of_the_lost_degree_of_freedom(groups: int, percent: float):
    tail = 0.5 + percent / 200
    expected = np.sqrt(groups / (groups - 1)) * stats.t.ppf(tail, groups - 1) / stats.norm.ppf(tail)
    found = expansion(np.zeros(9), groups, percent)
    assert found == pytest.approx((expected, groups - 1))


@pytest.mark.parametrize("groups", [12, 40])
def test_of_normal_values_the_interval_is_students(groups: int):
    values = np.random.default_rng(6).normal(80, 10, groups)
    found = interval(values[None], samples=20_000)
    low, high = stats.t.interval(0.95, groups - 1, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_of_many_groups_it_is_the_plain_percentile_interval():
    again = np.random.default_rng(0).gamma(3, 1, 2000)
    assert expanded_ends(3.0, again, 100_000) == pytest.approx(np.percentile(again, [2.5, 97.5]), rel=1e-4)
    assert np.isnan(expanded_ends(3.0, again, 1)).all()


def test_seeds_count_by_their_part_of_the_variance():
    random = np.random.default_rng(1)
    drawn = random.multinomial(3, np.full(3, 1 / 3), size=2000).astype(float)
    of_seeds, of_clips = drawn @ [-1.0, 0.0, 1.0], random.normal(0, 1, 2000)
    alone, without = expansion(of_seeds, 30, seed_counts=drawn), expansion(of_clips, 30)
    assert alone == pytest.approx((np.sqrt(3 / 2) * stats.t.ppf(0.975, 2) / stats.norm.ppf(0.975), 2))
    assert expansion(of_clips, 30, seed_counts=drawn) == pytest.approx(without, rel=0.01)
    both = expansion(of_seeds / of_seeds.std() + of_clips / of_clips.std(), 30, seed_counts=drawn)
    clips, seeds = 30 / 29, 3 / 2  # two equal parts by Welch and Satterthwaite
    assert both.freedom == pytest.approx((clips + seeds) ** 2 / (clips**2 / 29 + seeds**2 / 2), rel=0.1)
    assert without.factor < both.factor < alone.factor


def test_numbers_that_move_by_one_factor_stay_paired():
    random = np.random.default_rng(2)
    first, second = random.normal(80, 9, 500), random.normal(70, 9, 500)
    moves = expansion(first, 4)
    difference = moves.of(81, first) - 0.6 * moves.of(69, second)
    np.testing.assert_allclose(difference, moves.of(81 - 0.6 * 69, first - 0.6 * second))


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
    assert interval(values, weights=np.array([1.0, 0.0, 0.0])) == pytest.approx((2, np.nan, np.nan), nan_ok=True)


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
