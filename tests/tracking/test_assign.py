"""Costs and linking against plain loops and exhaustive search."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moviestrip.tracking.assign import assign, boxes_of, intersection_over_union, keypoint_similarity


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
    np.testing.assert_allclose(intersection_over_union(first, second), expected)


def test_a_person_is_all_similar_to_itself_and_not_at_all_to_one_far_away():
    here = np.random.default_rng(0).uniform(0, 100, (1, 25, 3)).astype(np.float32)
    here[..., 2] = 1
    far = here + np.float32([1000, 0, 0])
    found = keypoint_similarity(here, np.concatenate([here, far]), np.array([100.0]), 0.1)
    np.testing.assert_allclose(found, [[1, 0]], atol=1e-9)


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


def test_nothing_to_link():
    assert assign(np.zeros((0, 3))) == []
    assert assign(np.full((2, 2), np.nan)) == []
    assert assign(np.zeros((2, 2)), np.zeros((2, 2), bool)) == []
