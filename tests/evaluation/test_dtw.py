"""Time warping against brute force over all paths, against dtaidistance, by its invariances and its printed values."""

import functools

import numpy as np
import pytest
import torch
from dtaidistance import dtw_ndim
from scipy.spatial.transform import Rotation

from moviestrip.config import DtwSettings
from moviestrip.errors import ConfigError, FatalError
from moviestrip.evaluation import metrics
from moviestrip.evaluation.dtw import (
    DtwOptions,
    dtw_errors,
    dtw_path,
    euclidean_dtw,
    mean_up_to_horizon,
    pair_costs,
)
from moviestrip.figures.alignment import alignment_picture, write_alignment
from moviestrip.geometry import optimal_camera
from moviestrip.papers.printed import printed

HORIZONS = (1, 5, 10, 20, 30)
THRESHOLD_PX = 11.2
ALL_MISSED = 7 * 8 * 6  # a multiple of every number of keypoints that `keypoints` shows
BY_METRIC = DtwOptions(cost="metric")


@functools.cache
def all_paths(rows: int, columns: int) -> list[np.ndarray]:
    """Every monotone path from corner to corner, by recursion over its last step."""
    if rows == 1 and columns == 1:
        return [np.array([[0, 0]])]
    before = [(rows - 1, columns), (rows, columns - 1), (rows - 1, columns - 1)]
    shorter = [path for shape in before if min(shape) > 0 for path in all_paths(*shape)]
    return [np.vstack([path, [[rows - 1, columns - 1]]]) for path in shorter]


def test_the_paths_of_brute_force_are_the_delannoy_numbers():
    assert [len(all_paths(n, n)) for n in (1, 2, 3, 4, 5)] == [1, 3, 13, 63, 321]


@functools.cache
def membership(frames: int) -> np.ndarray:
    """(paths, frames * frames): which pairs each path matches."""
    members = np.zeros((len(all_paths(frames, frames)), frames, frames), np.int64)
    for row, path in zip(members, all_paths(frames, frames), strict=True):
        row[tuple(path.T)] = 1
    return members.reshape(len(members), -1)


def best_means(cost: np.ndarray, value: np.ndarray) -> list[np.ndarray]:
    """The mean value of the cheapest, then shortest path of each square prefix; several when paths tie."""
    means = []
    for h in range(1, len(cost) + 1):
        members = membership(h)
        totals, lengths = members @ cost[:h, :h].ravel(), members.sum(1)
        cheapest = totals == totals.min()
        best = cheapest & (lengths == lengths[cheapest].min())
        means.append(members[best] @ value[:h, :h].ravel() / lengths[best])
    return means


def futures(generator, sequences, frames, axes, joints=8):
    """Smooth motions and noisy forecasts of them, some of which start one or two frames late."""
    base = generator.normal(size=(joints, axes)) * 3
    target = base + generator.normal(size=(sequences, frames, joints, axes)).cumsum(1)
    late = np.maximum(np.arange(frames) - generator.integers(0, 3, (sequences, 1)), 0)
    shown = np.take_along_axis(target, late[..., None, None], 1)
    return np.stack([shown + generator.normal(size=target.shape) * 0.7, target])


def keypoints(generator, sequences, frames, joints=8):
    predicted, target = futures(generator, sequences, frames, 2, joints) * 12 + 100
    visible = generator.random((sequences, frames, joints)) < 0.9
    visible[..., :6] = True
    return predicted / 50, target, visible  # the camera's scale is found, not given


def every_pair(array: np.ndarray, side: str) -> np.ndarray:
    """(N, T, ...) repeated to (N, T target, T predicted, ...)."""
    axis = 2 if side == "target" else 1
    return np.repeat(np.expand_dims(array, axis), array.shape[1], axis)


@pytest.mark.parametrize("metric", ["mpjpe", "pa_mpjpe"])
def test_errors_are_the_best_of_all_paths_in_3d(metric):
    generator = np.random.default_rng(1)
    for frames in (2, 3, 4, 5):
        predicted, target = futures(generator, 250, frames, 3)
        pairs = getattr(metrics, metric)(every_pair(predicted, "predicted"), every_pair(target, "target"))
        expected = [[min(means) for means in best_means(matrix, matrix)] for matrix in pairs]
        np.testing.assert_allclose(dtw_errors(predicted, target, metric), expected, rtol=1e-9)


@pytest.mark.parametrize("cost", ["distance", "metric"])
def test_errors_are_the_best_of_all_paths_in_2d(cost):
    generator = np.random.default_rng(2)
    for frames in (2, 3, 4, 5):
        predicted, target, visible = keypoints(generator, 250, frames)
        points, goals = every_pair(predicted, "predicted"), every_pair(target, "target")
        seen = every_pair(visible, "target")
        share = metrics.pck_after_optimal_camera(points, goals, seen, THRESHOLD_PX)
        values = np.round(ALL_MISSED * (1 - share)).astype(int)  # whole numbers: equal sums are equal
        costs = values if cost == "metric" else camera_distances(points, goals, seen)
        errors = dtw_errors(predicted, target, "pck", DtwOptions(cost=cost), visible, THRESHOLD_PX)
        for ours, matrix, value in zip(errors, costs, values, strict=True):
            for mean, means in zip(ours, best_means(matrix, value), strict=True):
                assert min(abs(1 - mean - other / ALL_MISSED) for other in means) < 1e-12
        assert 0.1 < errors.mean() < 0.95


def camera_distances(points, goals, seen):
    camera = optimal_camera(points, goals, seen)
    moved = camera[..., None, :1] * (points + camera[..., None, 1:])
    return (np.linalg.norm(moved - goals, axis=-1) * seen).sum(-1) / seen.sum(-1)


def test_paths_are_the_cheapest_then_shortest_of_all():
    generator = np.random.default_rng(3)
    for _ in range(300):
        rows, columns = generator.integers(1, 6, 2)
        cost = generator.integers(0, 3, (rows, columns))  # many ties
        path = dtw_path(cost.astype(float))
        assert any(np.array_equal(path, other) for other in all_paths(rows, columns))
        best = min((cost[tuple(other.T)].sum(), len(other)) for other in all_paths(rows, columns))
        assert (cost[tuple(path.T)].sum(), len(path)) == best


def test_paths_cost_what_dtaidistance_says():
    generator = np.random.default_rng(4)
    for _ in range(1000):
        rows, columns, axes = generator.integers(1, 20, 3)
        first, second = generator.normal(size=(rows, axes)), generator.normal(size=(columns, axes))
        cost = ((first[:, None] - second) ** 2).sum(-1)
        ours = np.sqrt(cost[tuple(dtw_path(cost).T)].sum())
        np.testing.assert_allclose(ours, dtw_ndim.distance_fast(first, second), rtol=1e-12)


def test_one_joint_on_a_line_costs_what_dtaidistance_says():
    """The fused kernel and dtaidistance share a cost where distances are in one dimension and not squared."""
    generator = np.random.default_rng(5)
    predicted, target = np.zeros((2, 200, 12, 1, 3))
    predicted[..., 0], target[..., 0] = generator.normal(size=(2, 200, 12, 1))
    errors = dtw_errors(predicted, target, "mpjpe")
    for n in range(200):
        _, paths = dtw_ndim.warping_paths(target[n, :, 0], predicted[n, :, 0], inner_dist="euclidean")
        lengths = [len(dtw_path(pair_costs(predicted[n, :h], target[n, :h], "mpjpe").cost)) for h in range(1, 13)]
        np.testing.assert_allclose(errors[n] * lengths, np.diagonal(paths)[1:], rtol=1e-12)


def test_euclidean_distance_of_each_horizon_is_that_of_the_sequences_cut_there():
    predicted, target = futures(np.random.default_rng(6), 20, 9, 3)
    ours = euclidean_dtw(predicted, target)
    for h in range(1, 10):
        flat = [array[:, :h].reshape(20, h, -1) for array in (predicted, target)]
        cut = [dtw_ndim.distance(*pair) for pair in zip(*flat, strict=True)]
        np.testing.assert_allclose(ours[:, h - 1], cut, rtol=1e-12)


def test_pairs_cost_what_the_metrics_say_also_for_flat_and_straight_poses():
    generator = np.random.default_rng(7)
    predicted, target = generator.normal(size=(2, 12, 14, 3))
    predicted[3, :, 2], target[4, :, 1] = 0, 0  # in a plane
    predicted[5] = np.outer(generator.normal(size=14), [1, 2, 3])  # on a line
    predicted[6] = target[6] * [1, 1, -1]  # a reflection, which no rotation undoes
    costs = pair_costs(predicted, target, "pa_mpjpe")
    expected = metrics.pa_mpjpe(every_pair(predicted[None], "predicted")[0], every_pair(target[None], "target")[0])
    np.testing.assert_allclose(costs.value, expected, rtol=1e-9)


def similar(generator, poses):
    """Each pose turned, scaled and moved by itself."""
    turned = poses @ Rotation.random(len(poses), random_state=8).as_matrix()
    return turned * generator.uniform(0.5, 2, (len(poses), 1, 1)) + generator.normal(size=(len(poses), 1, 3))


def test_a_copy_at_another_speed_and_seen_from_elsewhere_is_perfect():
    generator = np.random.default_rng(8)
    motion = generator.normal(size=(5, 14, 3))
    target, predicted = motion[[0, 1, 1, 2, 3, 3, 4]], motion[[0, 0, 1, 2, 2, 3, 4]]
    assert dtw_errors(predicted[None], target[None], "mpjpe")[0, -1] == 0
    moved = similar(generator, predicted)
    assert dtw_errors(moved[None], target[None], "pa_mpjpe")[0, -1] < 1e-12
    before = dtw_errors(moved[None], target[None], "pa_mpjpe", DtwOptions(alignment="frame"))[0, -1]
    assert before > 0.05, "aligning before warping must not forgive a change of speed, or the docs are wrong"


def test_identical_sequences_are_perfect_at_every_horizon_and_reading():
    target = np.random.default_rng(9).normal(size=(3, 10, 14, 3))
    for reading in ("prefix", "full_up_to", "full_at"):
        assert np.abs(dtw_errors(target, target, "pa_mpjpe", DtwOptions(reading=reading))).max() < 1e-12


def test_warping_never_loses_to_the_mean_up_to_the_horizon():
    generator = np.random.default_rng(10)
    predicted, target = futures(generator, 60, 20, 3)
    for metric in ("mpjpe", "pa_mpjpe"):
        unwarped = mean_up_to_horizon(getattr(metrics, metric)(predicted, target))
        warped = dtw_errors(predicted, target, metric)
        assert (warped <= unwarped * (1 + 1e-12)).all()
        assert warped[:, -1].mean() < 0.95 * unwarped[:, -1].mean()
    points, goals, visible = keypoints(generator, 60, 20)
    unwarped = mean_up_to_horizon(metrics.pck_after_optimal_camera(points, goals, visible, THRESHOLD_PX))
    assert (dtw_errors(points, goals, "pck", BY_METRIC, visible, THRESHOLD_PX) >= unwarped - 1e-12).all()


@pytest.mark.parametrize("options", [DtwOptions(), BY_METRIC, DtwOptions(reading="full_up_to")])
def test_a_constant_forecast_scores_the_mean_up_to_the_horizon(options):
    """What PHD's Constant row prints, and why: its costs depend on the target frame alone."""
    generator = np.random.default_rng(11)
    predicted, target = futures(generator, 20, 15, 3)
    predicted[:] = predicted[:, :1]
    expected = mean_up_to_horizon(metrics.pa_mpjpe(predicted, target))
    np.testing.assert_allclose(dtw_errors(predicted, target, "pa_mpjpe", options), expected, rtol=1e-9)
    points, goals, visible = keypoints(generator, 20, 15)
    points[:] = points[:, :1]
    share = mean_up_to_horizon(metrics.pck_after_optimal_camera(points, goals, visible, THRESHOLD_PX))
    np.testing.assert_allclose(dtw_errors(points, goals, "pck", options, visible, THRESHOLD_PX), share, atol=1e-12)


def test_full_readings_average_the_matches_of_one_path():
    predicted, target = futures(np.random.default_rng(12), 10, 12, 3)
    for reading in ("full_up_to", "full_at"):
        errors = dtw_errors(predicted, target, "mpjpe", DtwOptions(reading=reading))
        for n in range(10):
            costs = pair_costs(predicted[n], target[n], "mpjpe")
            path = dtw_path(costs.cost)
            for h in range(12):
                chosen = path[:, 0] <= h if reading == "full_up_to" else path[:, 0] == h
                np.testing.assert_allclose(errors[n, h], costs.value[tuple(path[chosen].T)].mean(), rtol=1e-12)


def test_a_target_frame_without_a_value_is_left_out_and_its_own_horizon_is_undefined():
    predicted, target = futures(np.random.default_rng(13), 4, 8, 3)
    whole = dtw_errors(predicted, target, "pa_mpjpe")
    target[1, 3, 2, 0] = np.nan
    target[2, 3] = 1.5  # all joints in one point
    visible = np.ones((4, 8), bool)
    visible[3, 3] = False
    errors = dtw_errors(predicted, target, "pa_mpjpe", visible=visible)
    np.testing.assert_array_equal(np.argwhere(np.isnan(errors)), [[1, 3], [2, 3], [3, 3]])
    np.testing.assert_array_equal(errors[0], whole[0])
    np.testing.assert_array_equal(errors[:, :3], whole[:, :3])
    for n in (1, 2, 3):
        rest = np.delete(target[n], 3, 0)
        pairs = metrics.pa_mpjpe(np.repeat(predicted[n][None], 7, 0), np.repeat(rest[:, None], 8, 1))
        np.testing.assert_allclose(errors[n, -1], pairs[tuple(dtw_path(pairs).T)].mean(), rtol=1e-9)


def test_frames_with_few_keypoints_are_left_out():
    predicted, target, visible = keypoints(np.random.default_rng(14), 2, 6)
    visible[0, 2, 3:], visible[1] = False, False
    errors = dtw_errors(predicted, target, "pck", DtwOptions(), visible, THRESHOLD_PX)
    assert np.isnan(errors[0]).tolist() == [False, False, True, False, False, False]
    assert np.isnan(errors[1]).all()


def test_an_undefined_prediction_makes_every_horizon_that_could_use_it_undefined():
    predicted, target = futures(np.random.default_rng(15), 3, 8, 3)
    whole = dtw_errors(predicted, target, "pa_mpjpe")
    predicted[0, 5, 0, 1], predicted[1, 5] = np.inf, 2.0
    errors = dtw_errors(predicted, target, "pa_mpjpe")
    assert np.isnan(errors[:2, 5:]).all()
    np.testing.assert_array_equal(errors[:, :5], whole[:, :5])
    np.testing.assert_array_equal(errors[2], whole[2])
    assert np.isnan(dtw_errors(predicted, target, "pa_mpjpe", DtwOptions(reading="full_at"))[:2]).all()


def test_the_first_horizon_is_the_metric_without_warping_in_every_kind_and_batch():
    generator = np.random.default_rng(16)
    predicted, target = futures(generator, 3, 6, 3)
    for dtype in (np.float32, np.float64):
        arrays = predicted.astype(dtype), target.astype(dtype)
        errors = dtw_errors(*arrays, "pa_mpjpe")
        np.testing.assert_allclose(errors[:, 0], metrics.pa_mpjpe(*arrays)[:, 0], rtol=1e-5)
        assert errors.dtype == dtype
        tensors = dtw_errors(*map(torch.from_numpy, arrays), "pa_mpjpe")
        np.testing.assert_array_equal(tensors.numpy(), errors)
        alone = dtw_errors(arrays[0][1:2], arrays[1][1:2], "pa_mpjpe")
        np.testing.assert_array_equal(alone[0], errors[1])
    assert dtw_errors(predicted[:0], target[:0], "mpjpe").shape == (0, 6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metric": "pve"}, "known: mpjpe"),
        ({"metric": "pck"}, "the same \\(..., J, 2\\)"),
        ({"predicted": np.zeros((4, 14, 3)), "target": np.zeros((4, 14, 3))}, "expected \\(N, T, J, 3\\)"),
        ({"visible": np.ones((2, 4, 14))}, "needs flags of shape \\(2, 4\\)"),
    ],
)
def test_wrong_input_says_what_was_found(arguments, words):
    usual = {"predicted": np.zeros((2, 4, 14, 3)), "target": np.zeros((2, 4, 14, 3)), "metric": "mpjpe"}
    with pytest.raises(FatalError, match=words):
        dtw_errors(**(usual | arguments))


def test_keypoints_need_flags_and_a_threshold():
    points = np.zeros((2, 4, 14, 2))
    with pytest.raises(FatalError, match="the threshold is None"):
        dtw_errors(points, points, "pck", visible=np.ones((2, 4, 14)))


@pytest.mark.parametrize("metric", ["pa_mpjpe", "pck"])
def test_the_number_of_threads_changes_no_bit(metric):
    generator = np.random.default_rng(23)
    axes = 2 if metric == "pck" else 3
    predicted, target = generator.normal(0, 30, (2, 150, 6, 14, axes)).astype(np.float32)
    visible = generator.random((150, 6, 14)) < 0.8 if metric == "pck" else generator.random((150, 6)) < 0.9
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(dtw_errors(predicted, target, metric, visible=visible, threshold=THRESHOLD_PX))
    finally:
        torch.set_num_threads(before)
    together = np.concatenate([dtw_errors(*pair, metric, visible=seen, threshold=THRESHOLD_PX)
                               for pair, seen in (((predicted[:75], target[:75]), visible[:75]),
                                                  ((predicted[75:], target[75:]), visible[75:]))])  # fmt: skip
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes() == together.tobytes()
    assert np.isfinite(found[0]).mean() > 0.5


def test_options_are_checked_and_come_from_the_configuration():
    with pytest.raises(ConfigError, match=r"evaluation\.dtw\.reading: 'whole' is not known; known: prefix"):
        DtwOptions(reading="whole")
    assert DtwOptions.of(DtwSettings()) == DtwOptions()
    assert DtwOptions.of(DtwSettings(reading="full_at")).reading == "full_at"


def printed_curves(table: str, row: str, dataset: str) -> list[float]:
    cells = printed("phd", table)
    chosen = cells[(cells["row_id"] == row) & (cells["dataset"] == dataset) & (cells["horizon"] != "")]
    values = dict(zip(chosen["horizon"].astype(int), chosen["number"], strict=True))
    return [values[horizon] for horizon in HORIZONS]


@pytest.mark.parametrize("dataset", ["h36m", "penn_action"])
def test_the_printed_constant_row_is_a_mean_up_to_the_horizon(dataset):
    """The evidence behind the default reading and steps: other ones miss these numbers by 3 to 17."""
    without, warped = (printed_curves(table, "constant", dataset) for table in ("8", "2"))
    between = np.interp(np.arange(1, 31), HORIZONS, without)  # Table 8 prints five of the thirty horizons
    read_off = mean_up_to_horizon(between)[np.array(HORIZONS) - 1]
    np.testing.assert_allclose(read_off, warped, atol=0.75)
    waiting = np.array([(h * between[0] + between[:h].sum()) / (2 * h) for h in HORIZONS])  # diagonal steps of weight 2
    assert np.abs(waiting - warped)[1:].min() > 2.5
    assert np.abs(np.array(without) - warped)[1:].min() > 5.5  # the matches of frame h alone


def test_the_picture_joins_what_the_path_matched(tmp_path):
    generator = np.random.default_rng(17)
    target, predicted = futures(generator, 1, 4, 3, joints=14)[:, 0]
    straight = np.stack([np.arange(4), np.arange(4)], 1)
    slanted = np.array([[0, 0], [0, 1], [1, 2], [2, 2], [3, 3]])
    pictures = [alignment_picture(target, predicted, path) for path in (straight, slanted)]
    between = slice(pictures[0].shape[0] // 2 - 20, pictures[0].shape[0] // 2 + 20)
    vermilion = [np.abs(picture[between].astype(int) - (213, 94, 0)).sum(-1) < 30 for picture in pictures]
    assert vermilion[0].sum() == 0 < vermilion[1].sum()
    write_alignment(tmp_path / "dtw.png", target, predicted, slanted)
    assert (tmp_path / "dtw.png").stat().st_size > 1000
    with pytest.raises(FatalError, match="beyond the 4 target or 4 predicted frames"):
        alignment_picture(target, predicted, slanted + 1)
