"""Points without the mesh are the points of the mesh."""

from pathlib import Path

import numpy as np
import pytest
import torch

from moviestrip.body.load import Body, load_body
from moviestrip.body.points import PosedPoints, joints_14_regressor, keypoint_regressor
from moviestrip.config import BodySettings
from moviestrip.geometry import axis_angle_to_matrix, mirror_points, mirror_rotations
from moviestrip.skeleton import COMMON_14, HMMR_25


def random_people(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return axis_angle_to_matrix(0.6 * torch.randn(count, 24, 3, generator=draw)), torch.randn(count, 10, generator=draw)


def test_points_are_those_of_the_mesh(body: Body) -> None:
    rotations, betas = random_people(6)
    rows = keypoint_regressor(body)
    vertices, joints = body.forward(rotations, betas)
    points = PosedPoints(body, rows)
    expected = torch.einsum("kv,nvc->nkc", torch.from_numpy(rows), vertices)
    torch.testing.assert_close(points(rotations, betas), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(points.joints(rotations, betas), joints, atol=1e-5, rtol=0)


def test_gradients_are_those_of_the_mesh(body: Body) -> None:
    rows = joints_14_regressor(body)
    points = PosedPoints(body, rows)

    def gradients(by_mesh: bool) -> tuple[torch.Tensor, torch.Tensor]:
        rotations, betas = (part.requires_grad_() for part in random_people(3))
        if by_mesh:
            placed = torch.einsum("kv,nvc->nkc", torch.from_numpy(rows), body.forward(rotations, betas)[0])
        else:
            placed = points(rotations, betas)
        (placed**2).sum().backward()
        return rotations.grad, betas.grad

    for cheap, whole in zip(gradients(by_mesh=False), gradients(by_mesh=True), strict=True):
        torch.testing.assert_close(cheap, whole, atol=2e-4, rtol=1e-4)


def test_rows_that_do_not_sum_to_one_are_exact_too(body: Body) -> None:
    rows = np.zeros((2, body.n_vertices), np.float32)
    rows[0, 5], rows[1, [7, 900]] = 2.0, (1.0, -1.0)
    rotations, betas = random_people(4)
    vertices, _ = body.forward(rotations, betas)
    expected = torch.stack([2 * vertices[:, 5], vertices[:, 7] - vertices[:, 900]], 1)
    torch.testing.assert_close(PosedPoints(body, rows)(rotations, betas), expected, atol=1e-5, rtol=0)


def test_keypoints_hold_the_common_joints(body: Body) -> None:
    rows, common = keypoint_regressor(body), joints_14_regressor(body)
    assert rows.shape == (25, body.n_vertices)
    for row, name in zip(common, COMMON_14, strict=True):
        np.testing.assert_array_equal(rows[HMMR_25.index(name)], row)
    np.testing.assert_allclose(rows.sum(1), 1, atol=1e-5)


def test_a_module_holds_no_weights_of_its_own_and_names_a_wrong_mesh(body: Body) -> None:
    points = PosedPoints(body, joints_14_regressor(body))
    assert not points.state_dict() and not list(points.parameters())
    with pytest.raises(ValueError, match=rf"must be \(points, {body.n_vertices}\), got \(14, 3\)"):
        PosedPoints(body, np.zeros((14, 3), np.float32))


def test_the_mirrored_pose_of_the_free_body_is_its_mirror_image(cache: Path) -> None:
    body = load_body(BodySettings(), cache)
    points = PosedPoints(body, keypoint_regressor(body))
    rotations, _ = random_people(6)
    betas = torch.zeros(6, 10)
    mirrored = points(mirror_rotations(rotations), betas)
    distance_m = (mirrored - mirror_points(points(rotations, betas), HMMR_25)).norm(dim=-1)
    assert distance_m.mean() < 0.005  # left and right of a body differ by a little
    assert distance_m.max() < 0.03
