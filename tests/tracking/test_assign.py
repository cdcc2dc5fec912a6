"""Costs and linking against plain loops and exhaustive search."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moviestrip.tracking.assign import (
    assign,
    assign_below,
    boxes_of,
    intersection_over_union,
    keypoint_similarity,
    move_px,
)


def plain_iou(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union


def test_intersection_over_union_agrees_with_a_loop():
    rng = np.random.default_rng(0)
    corner, size = rng.uniform(0, 50, (2, 9, 2)), rng.uniform(1, 50, (2, 9, 2))
    first, second = np.concatenate([corner, corner + size], axis=-1)
    expected = [[plain_iou(a, b) for b in second] for a in first]
    np.testing.assert_allclose(intersection_over_union(first[:, None], second), expected)


def test_a_person_is_all_similar_to_itself_and_not_at_all_to_one_far_away():
    here = np.random.default_rng(0).uniform(0, 100, (25, 2))
    both, seen = np.stack([here, here + np.array([1000, 0])]), np.ones(25, bool)
    found = keypoint_similarity(here, seen, both, seen, np.array([100.0, 100.0]))
    np.testing.assert_allclose(found, [1, 0], atol=1e-9)
    assert keypoint_similarity(here, seen, here, ~seen, np.array(100.0)) == 0


def test_a_move_is_the_median_of_the_keypoints_seen_both_times():
    rng = np.random.default_rng(0)
    before, after = rng.normal(0, 50, (2, 40, 25, 2))
    before_seen, after_seen = rng.random((2, 40, 25)) < np.linspace(0, 1, 40)[:, None]
    found = move_px(before, before_seen, after, after_seen)
    for row, shared in enumerate(before_seen & after_seen):
        expected = np.median((after - before)[row, shared], axis=0) if shared.any() else [0, 0]
        np.testing.assert_allclose(found[row], expected)


def test_boxes_hold_exactly_the_visible_keypoints():
    people = np.array([[[1, 2, 0.9], [5, 9, 0.8], [99, 99, 0.05]], [[1, 1, 0], [2, 2, 0], [3, 3, 0]]], np.float32)
    boxes = boxes_of(people, 0.1)
    np.testing.assert_array_equal(boxes[0], [1, 2, 5, 9])
    assert np.isnan(boxes[1]).all()


def best_by_search(cost, allowed):
    """Most links first, then the least cost, over every one-to-one linking."""
    small, large = sorted(cost.shape)
    turned = cost.shape[0] > cost.shape[1]
    c, a = (cost.T, allowed.T) if turned else (cost, allowed)
    scores = []
    for columns in itertools.permutations(range(large), small):
        links = [(row, column) for row, column in enumerate(columns) if a[row, column]]
        scores.append((-len(links), sum(c[link] for link in links)))
    return min(scores)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_linking_is_the_best_there_is(tracks, detections, seed):
    rng = np.random.default_rng(seed)
    cost, allowed = rng.random((tracks, detections)), rng.random((tracks, detections)) < 0.7
    cost[rng.random(cost.shape) < 0.1] = np.nan
    possible = allowed & np.isfinite(cost)
    links = assign(cost, allowed)
    assert all(possible[link] for link in links)
    count, total = best_by_search(cost, possible)
    assert -len(links) == count
    np.testing.assert_allclose(sum(cost[link] for link in links), total)


def cheapest_by_search(cost, price):
    """The least sum over every one-to-one linking, an unlinked row costing `price`."""
    rows, columns = cost.shape
    choices = itertools.product(range(-1, columns), repeat=rows)
    fair = (c for c in choices if len({k for k in c if k >= 0}) == sum(k >= 0 for k in c))
    return min(sum(price if k < 0 else cost[row, k] for row, k in enumerate(c)) for c in fair)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_linking_below_a_price_never_pays_more_than_leaving_out(tracks, detections, seed):
    cost = np.random.default_rng(seed).random((tracks, detections))
    links = assign_below(cost, 0.6)
    assert all(cost[link] < 0.6 for link in links)
    paid = sum(cost[link] for link in links) + 0.6 * (tracks - len(links))
    np.testing.assert_allclose(paid, cheapest_by_search(cost, 0.6))


def test_nobody_takes_over_a_neighbour_to_make_room():
    """The second of two people is missed. The most links would be two bad ones."""
    cost = np.array([[0.1, 0.65], [0.65, np.nan]])
    assert len(assign(cost)) == 2
    assert assign_below(cost, 0.7) == [(0, 0)]


def test_nothing_to_link():
    assert assign_below(np.zeros((0, 3)), 1) == assign_below(np.full((2, 2), np.nan), 1) == []
    assert assign(np.zeros((0, 3))) == []
    assert assign(np.full((2, 2), np.nan)) == []
    assert assign(np.zeros((2, 2)), np.zeros((2, 2), bool)) == []
