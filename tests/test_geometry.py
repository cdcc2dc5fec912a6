"""Conventions against the stored outputs of the released implementations, and functions against their meaning."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import roma
import scipy.spatial.transform
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moviestrip import geometry
from moviestrip.skeleton import COMMON_14

GOLDEN = Path(__file__).parent / "data" / "golden"


def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def random_rotation(draw: np.random.Generator, *shape: int) -> np.ndarray:
    rotations = scipy.spatial.transform.Rotation.random(int(np.prod(shape)), rng=draw)
    return rotations.as_matrix().reshape(*shape, 3, 3)


def test_six_numbers_and_axis_angles_turn_as_in_spin() -> None:
    spin = golden("rotations_spin")
    matrices = geometry.rotation_6d_to_matrix(torch.from_numpy(spin["conv_sixd"]))
    np.testing.assert_allclose(matrices, spin["conv_rotmat"], atol=2e-6)
    axis_angles = geometry.matrix_to_axis_angle(torch.from_numpy(spin["conv_rotmat"])).numpy()
    sure = np.linalg.norm(spin["conv_axis_angle"], axis=1) < 3.09  # beyond, the sign of the axis is arbitrary
    np.testing.assert_allclose(axis_angles[sure], spin["conv_axis_angle"][sure], atol=1e-5)
    again = geometry.axis_angle_to_matrix(torch.from_numpy(axis_angles))
    np.testing.assert_allclose(again, spin["conv_rotmat"], atol=2e-4)
    turned = geometry.axis_angle_to_matrix(torch.from_numpy(spin["rodrigues_aa"]))
    np.testing.assert_allclose(turned, spin["rodrigues_rotmat"], atol=5e-6)


def test_rotations_come_back_from_every_layout() -> None:
    pose = torch.from_numpy(np.random.default_rng(0).normal(0, 0.6, (2, 5, 72)))
    matrices = geometry.pose_to_matrices(pose)
    assert matrices.shape == (2, 5, 24, 3, 3)
    torch.testing.assert_close(geometry.matrices_to_pose(matrices), pose)
    sixd = geometry.matrix_to_rotation_6d(matrices)
    torch.testing.assert_close(geometry.rotation_6d_to_matrix(sixd), matrices)


@pytest.mark.parametrize("angle", [0.0, 1e-8, 1e-4, 1.0])
def test_axis_angles_have_a_finite_gradient_down_to_no_rotation(angle: float) -> None:
    axis_angle = torch.tensor([angle, 0.0, 0.0], requires_grad=True)
    matrix = geometry.axis_angle_to_matrix(axis_angle)
    matrix.retain_grad()
    geometry.matrix_to_axis_angle(matrix).sum().backward()
    assert torch.isfinite(axis_angle.grad).all()
    torch.testing.assert_close(axis_angle.grad, torch.ones(3), atol=max(1e-3, angle), rtol=0)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-6, 1e-3, 1.0, 3.14, 7.0])
def test_rotations_and_their_gradients_are_those_of_roma(angle: float) -> None:
    draw = torch.Generator().manual_seed(0)
    axis = torch.nn.functional.normalize(torch.randn(50, 3, dtype=torch.float64, generator=draw), dim=-1)
    sixd = torch.randn(50, 6, dtype=torch.float64, generator=draw)
    for ours, theirs, values in (
        (geometry.axis_angle_to_matrix, roma.rotvec_to_rotmat, angle * axis),
        (geometry.matrix_to_axis_angle, roma.rotmat_to_rotvec, roma.rotvec_to_rotmat(angle * axis)),
        (geometry.rotation_6d_to_matrix, lambda six: roma.special_gramschmidt(six.unflatten(-1, (3, 2))), sixd),
    ):
        one, other = values.clone().requires_grad_(), values.clone().requires_grad_()
        found, expected = ours(one), theirs(other)
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
        weights = torch.randn(found.shape, dtype=torch.float64, generator=draw)
        (found * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-5)


def test_procrustes_aligns_as_vibe_does() -> None:
    vibe = golden("metrics_vibe")
    hips = [2, 3]
    predicted = vibe["pred"] - vibe["pred"][:, hips].mean(1, keepdims=True)
    target = vibe["gt"] - vibe["gt"][:, hips].mean(1, keepdims=True)
    np.testing.assert_allclose(geometry.procrustes_align(predicted, target), vibe["pa_aligned"], atol=5e-6)


@settings(max_examples=60, deadline=None)
@given(
    batch=st.sampled_from([(), (1,), (2,), (3,), (2, 3)]),
    joints=st.integers(3, 20),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 10**6),
)
def test_procrustes_undoes_any_similarity(batch: tuple[int, ...], joints: int, dtype: type, seed: int) -> None:
    draw = np.random.default_rng(seed)
    target = draw.normal(size=(*batch, joints, 3))
    scale, shift = draw.uniform(0.2, 5, (*batch, 1, 1)), draw.normal(size=(*batch, 1, 3))
    moved = scale * (target @ random_rotation(draw, *batch)) + shift
    aligned = geometry.procrustes_align(moved.astype(dtype), target.astype(dtype))
    assert aligned.dtype == dtype
    np.testing.assert_allclose(aligned, target, atol=1e-4 if dtype == np.float32 else 1e-9)


@settings(max_examples=40, deadline=None)
@given(joints=st.integers(2, 14), seed=st.integers(0, 10**6), mirrored=st.booleans())
def test_procrustes_turns_as_scipy_does(joints: int, seed: int, mirrored: bool) -> None:
    draw = np.random.default_rng(seed)
    predicted = draw.normal(size=(joints, 3))
    target = predicted * [-1, 1, 1] if mirrored else draw.normal(size=(joints, 3))
    source, goal = predicted - predicted.mean(0), target - target.mean(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two points, or a mirrored set, have several best rotations
        rotation, _ = scipy.spatial.transform.Rotation.align_vectors(goal, source)
    turned = source @ rotation.as_matrix().T
    expected = turned * (turned * goal).sum() / (source**2).sum() + target.mean(0)
    aligned = geometry.procrustes_align(predicted, target)
    error, best = np.linalg.norm(aligned - target), np.linalg.norm(expected - target)
    assert error <= best + 1e-9
    if joints > 3 and not mirrored:
        np.testing.assert_allclose(aligned, expected, atol=1e-6)


def test_procrustes_gives_tensors_for_tensors() -> None:
    draw = np.random.default_rng(0)
    predicted, target = draw.normal(size=(2, 7, 14, 3))
    aligned = geometry.procrustes_align(torch.from_numpy(predicted), torch.from_numpy(target))
    np.testing.assert_allclose(aligned.numpy(), geometry.procrustes_align(predicted, target), atol=1e-12)


def test_procrustes_defines_its_degenerate_inputs() -> None:
    target = np.random.default_rng(0).normal(size=(4, 14, 3))
    predicted = target.copy()
    predicted[1] = 0.1  # all points coincide
    predicted[2, 3, 1] = np.nan
    predicted[3] = np.outer(np.linspace(-1, 1, 14), [1.0, 2.0, 3.0])  # all points on a line
    aligned = geometry.procrustes_align(predicted, target)
    np.testing.assert_allclose(aligned[0], target[0], atol=1e-12)
    np.testing.assert_allclose(aligned[1], np.broadcast_to(target[1].mean(0), (14, 3)), atol=1e-12)
    assert np.isnan(aligned[2]).all()
    assert np.linalg.matrix_rank(aligned[3] - aligned[3].mean(0), tol=1e-9) == 1
    with pytest.raises(ValueError, match=r"got \(4, 14, 3\) and \(4, 13, 3\)"):
        geometry.procrustes_align(predicted, target[:, :13])


def test_crop_cameras_project_as_vibe_does() -> None:
    vibe = golden("camera_vibe")
    np.testing.assert_allclose(geometry.project_crop_perspective(vibe["joints"], vibe["cam"]), vibe["kp_2d"], atol=5e-6)
    image_camera = geometry.camera_in_image(vibe["cam"], vibe["bbox_cxcywh"], (640, 480))
    np.testing.assert_allclose(image_camera, vibe["orig_cam"], atol=5e-6)
    np.testing.assert_allclose(geometry.normalise_crop(vibe["norm_px"]), vibe["norm_out"], atol=2e-6)
    np.testing.assert_allclose(geometry.pixels_of_normalised(vibe["norm_out"]), vibe["norm_px"], atol=1e-3)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_weak_perspective_and_its_best_camera_are_hmmrs(kind) -> None:
    hmmr = {key: kind(values) for key, values in golden("camera_hmmr").items()}
    projected = geometry.project_weak_perspective(hmmr["joints"], hmmr["cam"])
    np.testing.assert_allclose(projected, hmmr["weak_persp_kp"], atol=5e-6)
    visible = (hmmr["target_xyv"][..., 2] > 0) * 1.0
    camera = geometry.optimal_camera(hmmr["pred_xy"], hmmr["target_xyv"][..., :2], visible, geometry.SCALE_BOUNDS)
    np.testing.assert_allclose(camera, hmmr["optcam"], atol=5e-6)
    projected = geometry.project_weak_perspective(hmmr["pred_xy"], camera)
    np.testing.assert_allclose(projected, hmmr["optcam_projected"], atol=5e-6)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_the_best_camera_is_undefined_where_too_little_is_seen(kind) -> None:
    points = np.random.default_rng(0).normal(size=(3, 5, 2))
    keypoints = 2 * points + 1
    keypoints[0, 4] = np.nan  # an unseen keypoint has no say, whatever it holds
    visible = np.array([[True] * 4 + [False], [False] * 5, [True, True, False, False, False]])
    camera = np.asarray(geometry.optimal_camera(kind(points), kind(keypoints), kind(visible)))
    np.testing.assert_allclose(camera[0], [2, 0.5, 0.5])
    assert np.isnan(camera[1:]).all()


def test_the_best_camera_is_the_release_formula_on_its_metrics_too() -> None:
    hmmr = golden("metrics_hmmr")
    predicted = geometry.pixels_of_normalised(hmmr["kp_pred_norm"].astype(np.float64))
    target = hmmr["kp_gt_px"].astype(np.float64)
    camera = geometry.optimal_camera(predicted, target[..., :2], target[..., 2] > 0)
    defined = np.isfinite(hmmr["opt_cam"])
    np.testing.assert_allclose(camera[defined], hmmr["opt_cam"][defined], rtol=1e-4, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_camera_sees_its_target_ahead_and_up_upwards(seed: int) -> None:
    draw = np.random.default_rng(seed)
    eye, target = draw.uniform(-3, 3, (2, 4, 3)) + np.array([0, 1.5, 0])
    rotation, translation = geometry.look_at(eye, target)
    np.testing.assert_allclose(rotation @ rotation.swapaxes(-1, -2), np.broadcast_to(np.eye(3), (4, 3, 3)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotation), 1)
    seen = geometry.transform_points(np.stack([target, target + np.array([0, 0.1, 0]), eye], 1), rotation, translation)
    np.testing.assert_allclose(seen[:, 0, :2], 0, atol=1e-9)
    np.testing.assert_allclose(seen[:, 0, 2], np.linalg.norm(target - eye, axis=1))
    assert (seen[:, 1, 1] < 0).all(), "y points down in a picture"
    np.testing.assert_allclose(seen[:, 2], 0, atol=1e-9)


def test_a_vertical_view_has_no_level() -> None:
    with pytest.raises(ValueError, match="vertical view"):
        geometry.look_at(np.array([0.0, 2, 0]), np.zeros(3))


def test_perspective_is_opencvs() -> None:
    cv2 = pytest.importorskip("cv2")
    points = np.random.default_rng(0).uniform(-1, 1, (6, 3)) + np.array([0, 0, 4])
    intrinsics = np.array([300.0, 310, 127.5, 120])
    matrix = np.array([[300.0, 0, 127.5], [0, 310, 120], [0, 0, 1]])
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, None)
    np.testing.assert_allclose(geometry.project_perspective(points, intrinsics), expected[:, 0])


def test_a_crop_holds_the_person_at_150_px_and_maps_back() -> None:
    corners = np.array([[[10.0, 20], [70, 100]]])  # a box with a diagonal of 100 px
    center, scale = corners.mean(1), geometry.box_scale_of(np.linalg.norm(corners[:, 1] - corners[:, 0], axis=-1))
    crop = geometry.crop_from_source(corners, center, scale)
    np.testing.assert_allclose(np.linalg.norm(crop[:, 1] - crop[:, 0], axis=-1), geometry.PERSON_PX)
    np.testing.assert_allclose(crop.mean(1), [[112, 112]])
    np.testing.assert_allclose(geometry.source_from_crop(crop, center, scale), corners)
    np.testing.assert_allclose(geometry.normalise_crop(np.array([0.0, 112, 224])), [-1, 0, 1])


def test_mirroring_twice_changes_nothing_and_rotations_stay_rotations() -> None:
    draw = np.random.default_rng(0)
    rotations = torch.from_numpy(random_rotation(draw, 4, 24))
    mirrored = geometry.mirror_rotations(rotations)
    torch.testing.assert_close(torch.linalg.det(mirrored), torch.ones(4, 24, dtype=torch.float64))
    torch.testing.assert_close(geometry.mirror_rotations(mirrored), rotations)
    points = torch.from_numpy(draw.standard_normal((4, 14, 3)))
    torch.testing.assert_close(geometry.mirror_points(geometry.mirror_points(points, COMMON_14), COMMON_14), points)
