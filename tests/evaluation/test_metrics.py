"""Metrics against stored outputs of the released evaluations, against SciPy, and by their invariances."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from moviestrip.errors import FatalError
from moviestrip.evaluation import metrics

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
ATOL = {"kp_pck": 2e-6, "mpjpe_visible": 5e-7, "pa_mpjpe_visible": 2e-7, "accel": 5e-7, "accel_err_visible": 5e-7}


@pytest.fixture(scope="module")
def hmmr() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN / "metrics_hmmr.npz"))


@pytest.fixture(scope="module")
def vibe() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN / "metrics_vibe.npz"))


def both_kinds(*arrays):
    """The same inputs as NumPy arrays and as tensors, in both precisions."""
    for dtype in (np.float32, np.float64):
        cast = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
        yield cast
        yield [torch.from_numpy(a) for a in cast]


def poses(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal((*shape, 14, 3))


def test_pck_equals_hmmrs_evaluation(hmmr):
    pixels = (hmmr["kp_pred_norm"] + 1) / 2 * 224
    for predicted, target, visible in both_kinds(pixels, hmmr["kp_gt_px"][..., :2], hmmr["kp_gt_px"][..., 2]):
        found = np.asarray(metrics.pck_after_optimal_camera(predicted, target, visible, 0.05 * 224))
        np.testing.assert_allclose(found, hmmr["kp_pck"], rtol=0, atol=ATOL["kp_pck"])


def test_errors_equal_hmmrs_evaluation(hmmr):
    for predicted, target, seen in both_kinds(hmmr["joints_pred"], hmmr["joints_gt"], hmmr["vis3d"]):
        hips = metrics.center_on_hips(predicted), metrics.center_on_hips(target)
        for name, found in (("mpjpe_visible", metrics.mpjpe(*hips)), ("pa_mpjpe_visible", metrics.pa_mpjpe(*hips))):
            np.testing.assert_allclose(np.asarray(found)[hmmr["vis3d"]], hmmr[name], rtol=0, atol=ATOL[name])
        np.testing.assert_allclose(metrics.acceleration(predicted), hmmr["accel"], rtol=0, atol=ATOL["accel"])
        error = np.asarray(metrics.acceleration_error(predicted, target, seen))
        np.testing.assert_array_equal(np.isfinite(error), hmmr["accel_vis_kept"])
        kept = error[hmmr["accel_vis_kept"]]
        np.testing.assert_allclose(kept, hmmr["accel_err_visible"], rtol=0, atol=ATOL["accel_err_visible"])


def test_errors_equal_vibes_evaluation(vibe):
    for predicted, target, seen in both_kinds(vibe["pred"], vibe["gt"], vibe["vis"]):
        predicted, target = metrics.center_on_hips(predicted), metrics.center_on_hips(target)
        np.testing.assert_allclose(metrics.mpjpe(predicted, target), vibe["mpjpe"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(metrics.pa_mpjpe(predicted, target), vibe["np_pa_mpjpe"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(metrics.acceleration(predicted), vibe["accel"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(metrics.acceleration_error(predicted, target), vibe["accel_err"], rtol=0, atol=1e-6)
        error = np.asarray(metrics.acceleration_error(predicted, target, seen))
        np.testing.assert_array_equal(np.isfinite(error), vibe["accel_vis_kept"])
        kept = error[vibe["accel_vis_kept"]]
        np.testing.assert_allclose(kept, vibe["accel_err_vis"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_fault_21_small_batches_equal_one_by_one_and_scipy(batch):
    predicted, target = poses(batch), poses(batch, seed=1)
    together = metrics.pa_mpjpe(predicted, target)
    for index in range(batch):
        alone = metrics.pa_mpjpe(predicted[index], target[index])
        assert together[index] == pytest.approx(alone, rel=1e-12)
        if np.linalg.det(best_orthogonal(predicted[index], target[index])) > 0:  # SciPy's may reflect
            standard_target, standard_predicted, _ = procrustes(target[index], predicted[index])
            size = np.linalg.norm(target[index] - target[index].mean(0))
            reference = np.linalg.norm(standard_target - standard_predicted, axis=-1).mean() * size
            assert alone == pytest.approx(reference, rel=1e-9)


def best_orthogonal(predicted, target):
    left, _, right = np.linalg.svd((predicted - predicted.mean(0)).T @ (target - target.mean(0)))
    return left @ right


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(4, 20), st.sampled_from([np.float32, np.float64]))
def test_a_similarity_changes_nothing(seed, batch, joints, dtype):
    rng = np.random.default_rng(seed)
    predicted, target = rng.standard_normal((2, batch, joints, 3)).astype(dtype)
    turn = Rotation.random(batch, rng=rng).as_matrix().astype(dtype)
    scale = rng.uniform(0.2, 5, (batch, 1, 1)).astype(dtype)
    moved = scale * predicted @ turn + rng.standard_normal((batch, 1, 3)).astype(dtype)
    tolerance = 2e-4 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(metrics.pa_mpjpe(moved, target), metrics.pa_mpjpe(predicted, target), atol=tolerance)
    np.testing.assert_allclose(metrics.pa_mpjpe(moved, predicted), 0, atol=tolerance)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.5, 3), st.floats(-50, 50))
def test_pck_ignores_the_camera_of_the_prediction(seed, scale, shift):
    rng = np.random.default_rng(seed)
    target = rng.uniform(0, 224, (4, 25, 2))
    predicted = target + rng.normal(0, 8, target.shape)
    visible = rng.random((4, 25)) < 0.8
    first = metrics.pck_after_optimal_camera(predicted, target, visible, 11.2)
    np.testing.assert_allclose(
        metrics.pck_after_optimal_camera(predicted * scale + shift, target, visible, 11.2), first, atol=1e-12
    )


def test_constant_velocity_has_no_acceleration():
    start, velocity = poses(2)[:, None], poses(2, seed=1)[:, None]
    joints = start + np.arange(8)[None, :, None, None] * velocity
    np.testing.assert_allclose(metrics.acceleration(joints), 0, atol=1e-12)
    assert metrics.acceleration(joints).shape == (2, 6)
    np.testing.assert_allclose(metrics.acceleration_error(joints, joints * 2), 0, atol=1e-12)


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_sequences_too_short_for_acceleration_give_nothing(frames):
    assert metrics.acceleration(poses(frames)).shape == (0,)
    assert metrics.acceleration_error(torch.zeros(frames, 14, 3), torch.zeros(frames, 14, 3)).shape == (0,)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fault_20_degenerate_poses_are_nan_and_spoil_no_neighbour(kind, dtype):
    good, target = poses(5).astype(dtype), poses(5, seed=1).astype(dtype)
    predicted = good.copy()
    predicted[1] = 0.3  # all joints in one point
    predicted[2, 4] = np.nan
    target[3] = np.inf
    found = np.asarray(metrics.pa_mpjpe(kind(predicted), kind(target)))
    assert found.dtype == dtype
    np.testing.assert_array_equal(np.isnan(found), [False, True, True, True, False])
    assert found[0] == pytest.approx(metrics.pa_mpjpe(good[0], target[0]))


def test_fault_20_collinear_poses_are_defined():
    line = np.linspace(-1, 1, 14)[:, None] * np.array([1.0, 2.0, 3.0])
    assert metrics.pa_mpjpe(line * 2 + 1, line) == pytest.approx(0, abs=1e-12)
    assert 0 < metrics.pa_mpjpe(line, poses()) < np.linalg.norm(poses() - poses().mean(0), axis=-1).max()


def test_fault_20_keypoints_without_a_defined_share_are_nan():
    target, visible = np.random.default_rng(0).uniform(0, 224, (4, 25, 2)), np.ones((4, 25))
    predicted = target.copy()
    visible[0] = 0
    visible[1, 5:] = 0
    predicted[2] = 7  # one point: no scale
    predicted[3, 0] = np.nan
    visible[3, 0] = 0  # an invisible NaN does no harm
    np.testing.assert_array_equal(
        metrics.pck_after_optimal_camera(predicted, target, visible, 11.2), [np.nan, np.nan, np.nan, 1]
    )
    np.testing.assert_array_equal(metrics.pck(target, target, visible, 11.2), [np.nan, 1, 1, 1])


@pytest.mark.parametrize("function", [metrics.mpjpe, metrics.pa_mpjpe, metrics.acceleration_error])
def test_errors_name_both_shapes(function):
    with pytest.raises(FatalError, match=r"\(5, 14, 3\).*\(5, 13, 3\)"):
        function(np.zeros((5, 14, 3)), np.zeros((5, 13, 3)))


def test_visibility_of_another_shape_is_an_error():
    with pytest.raises(FatalError, match=r"\(4,\).*\(5, 14, 3\)"):
        metrics.acceleration_error(np.zeros((5, 14, 3)), np.zeros((5, 14, 3)), np.ones(4, bool))
    with pytest.raises(FatalError, match=r"\(24,\).*\(25, 2\)"):
        metrics.pck(np.zeros((25, 2)), np.zeros((25, 2)), np.ones(24), 11.2)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_pck_3d_and_its_area_equal_a_loop_over_thresholds_and_joints(batch):
    target = poses(batch) * 0.3
    for predicted, truth in both_kinds(target + np.random.default_rng(2).normal(0, 0.06, target.shape), target):
        seen = np.random.default_rng(3).random((batch, 14)) < 0.7
        distances = np.sqrt(((np.asarray(predicted, np.float64) - np.asarray(truth)) ** 2).sum(-1))
        curve = [[np.mean(d[s] < step * 0.005) for d, s in zip(distances, seen, strict=True)] for step in range(31)]
        flags = torch.from_numpy(seen) if isinstance(predicted, torch.Tensor) else seen
        found = metrics.pck_3d(predicted, truth, 0.15, flags)
        assert found.dtype == predicted.dtype and type(found) is type(predicted)
        np.testing.assert_allclose(np.asarray(found), curve[-1], atol=1e-6)
        np.testing.assert_allclose(
            np.asarray(metrics.auc_3d(predicted, truth, visible=flags)), np.mean(curve, 0), atol=1e-6
        )


def test_pck_3d_is_strict_monotone_and_perfect_where_nothing_differs():
    target = poses(5)
    assert (metrics.pck_3d(target, target, 0.15) == 1).all()
    np.testing.assert_allclose(metrics.auc_3d(target, target), 30 / 31)  # nothing is nearer than 0
    predicted = target + np.random.default_rng(0).normal(0, 0.1, target.shape)
    shares = np.stack([metrics.pck_3d(predicted, target, threshold) for threshold in (0.05, 0.1, 0.15, 0.2)])
    assert (np.diff(shares, axis=0) >= 0).all()
    moved = target + np.array([0.15, 0, 0])
    assert (metrics.pck_3d(moved, target, 0.1499) == 0).all() and (metrics.pck_3d(moved, target, 0.1501) == 1).all()


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_fault_20_pck_3d_misses_unknown_predictions_and_is_undefined_without_truth(kind):
    target = poses(4)
    predicted = target.copy()
    predicted[1, 3] = np.nan
    truth = target.copy()
    truth[2, 0] = np.nan
    seen = np.ones((4, 14), bool)
    seen[3] = False
    found = np.asarray(metrics.pck_3d(kind(predicted), kind(truth), 0.15, kind(seen)))
    np.testing.assert_allclose(found, [1, 13 / 14, np.nan, np.nan])
    assert np.isfinite(np.asarray(metrics.pck_3d(kind(predicted), kind(truth), 0.15))[3])


def test_acceleration_per_second_is_that_of_a_body_in_free_fall():
    seconds = np.arange(10) / 30
    heights_mm = -0.5 * 9810 * seconds**2
    joints = np.stack([0 * heights_mm, heights_mm, 0 * heights_mm], -1)[:, None]
    np.testing.assert_allclose(metrics.in_mm_per_s2(metrics.acceleration(joints), 30), 9810, rtol=1e-9)
    np.testing.assert_allclose(metrics.acceleration(joints), 10.9, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), st.sampled_from([np.float32, np.float64]))
def test_every_metric_of_a_batch_is_that_of_its_members(seed, batch, dtype):
    rng = np.random.default_rng(seed)
    predicted, target = rng.standard_normal((2, batch, 6, 14, 3)).astype(dtype) * 0.2
    functions = [
        metrics.mpjpe, metrics.pa_mpjpe, metrics.auc_3d, metrics.acceleration_error,
        lambda p, t: metrics.pck_3d(p, t, 0.15),
    ]  # fmt: skip
    for function in functions:
        together = function(predicted, target)
        alone = np.stack([function(predicted[index], target[index]) for index in range(batch)])
        assert together.dtype == dtype
        np.testing.assert_allclose(together, alone, rtol=1e-5 if dtype == np.float32 else 1e-12)
        tensors = function(torch.from_numpy(predicted), torch.from_numpy(target))
        np.testing.assert_allclose(np.asarray(tensors), together, rtol=2e-4 if dtype == np.float32 else 1e-9)


def test_vibes_printed_summary_is_ours(vibe):
    predicted, target = metrics.center_on_hips(vibe["pred"]), metrics.center_on_hips(vibe["gt"])
    functions = [metrics.mpjpe, metrics.pa_mpjpe, lambda p, _: metrics.acceleration(p), metrics.acceleration_error]
    means_mm = [function(predicted, target).mean() * 1000 for function in functions]
    np.testing.assert_allclose(means_mm, vibe["evaluator_summary_mm"], atol=2e-3)
