"""Each loss against its formula written out, and which labels each view is judged by."""

import math

import numpy as np
import pytest
import torch

from moviestrip.config import LossWeights
from moviestrip.geometry import project_weak_perspective
from moviestrip.models.hmmr import Branch, HmmrOutput
from moviestrip.models.parameters import ThetaLayout
from moviestrip.training import losses
from moviestrip.training.losses import COMMON, encoder_losses, pose_views, view_losses, views_of
from moviestrip.training.readout import true_theta
from tests.training.stick_world import StickBody, stick_clips

LAYOUT = ThetaLayout("6d")


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def test_keypoints_are_a_confidence_weighted_mean_over_visible_coordinates():
    projected, keypoints = random(2, 3, 25, 2), random(2, 3, 25, 3, seed=1)
    keypoints[..., 2] = torch.from_numpy(np.random.default_rng(2).choice([0.0, 0.5, 1.0], (2, 3, 25)))
    total, count = 0.0, 0
    for point, keypoint in zip(projected.reshape(-1, 2).tolist(), keypoints.reshape(-1, 3).tolist(), strict=True):
        if keypoint[2] > 0:
            total += keypoint[2] * (abs(point[0] - keypoint[0]) + abs(point[1] - keypoint[1]))
            count += 2
    assert losses.keypoint_loss(projected, keypoints).item() == pytest.approx(total / count)


def test_no_visible_keypoint_is_no_loss():
    keypoints = random(1, 25, 3)
    keypoints[..., 2] = 0
    assert losses.keypoint_loss(random(1, 25, 2), keypoints).item() == 0


def test_joints_are_compared_from_the_middle_of_the_hips_and_only_where_known():
    joints, target = random(4, 14, 3), random(4, 14, 3, seed=1)
    known = torch.tensor([True, False, True, False])
    squares = [
        ((a - (a[2] + a[3]) / 2) - (b - (b[2] + b[3]) / 2)) ** 2
        for a, b, known_3d in zip(joints.numpy(), target.numpy(), known, strict=True)
        if known_3d
    ]
    assert losses.joints_3d_loss(joints, target, known).item() == pytest.approx(0.5 * np.mean(squares))
    assert losses.joints_3d_loss(joints + 5, target, known).item() == pytest.approx(0.5 * np.mean(squares))


def test_smpl_is_over_226_numbers_of_known_frames():
    rotations, betas, other, other_betas = (
        random(2, 24, 3, 3),
        random(2, 10),
        random(2, 24, 3, 3, seed=1),
        random(2, 10),
    )
    known = torch.tensor([False, True])
    numbers = np.concatenate([(rotations - other)[1].numpy().ravel(), (betas - other_betas)[1].numpy().ravel()])
    assert len(numbers) == 226
    loss = losses.smpl_loss(rotations, betas, other, other_betas, known)
    assert loss.item() == pytest.approx(0.5 * np.mean(numbers**2))


def test_shape_losses():
    betas = random(3, 5, 10)
    assert losses.constant_shape_loss(betas).item() == pytest.approx(0.5 * np.mean(np.diff(betas.numpy(), axis=1) ** 2))
    assert losses.constant_shape_loss(betas[:, :1].expand(3, 5, 10)).item() == 0
    assert losses.shape_prior_loss(betas).item() == pytest.approx(np.mean(betas.numpy() ** 2))


def test_adversarial_losses_are_least_squares_summed_over_24_judges():
    real, predicted = random(6, 24), random(6, 24, seed=1)
    assert losses.prior_loss(predicted).item() == pytest.approx(((predicted.numpy() - 1) ** 2).mean(0).sum())
    expected = ((real.numpy() - 1) ** 2).mean(0).sum() + (predicted.numpy() ** 2).mean(0).sum()
    assert losses.discriminator_loss(real, predicted).item() == pytest.approx(expected)
    assert losses.discriminator_loss(torch.ones(2, 24), torch.zeros(2, 24)).item() == 0


@pytest.fixture
def truth():
    """Six clips of true estimates (clips, frames, theta), and the labels they were made from."""
    clips = stick_clips("loss", 6, n_frames=12, share_3d=1.0)
    rows = torch.arange(72)
    theta = true_theta(clips, rows, LAYOUT, StickBody()).reshape(6, 12, -1)
    return theta, clips.targets(rows.reshape(6, 12))


def test_the_truth_has_no_loss(truth):
    theta, targets = truth
    output = HmmrOutput(Branch(torch.zeros(6, 12, 4), theta, {}), None)
    (posed,) = pose_views(views_of(output, targets), LAYOUT, StickBody())
    values = view_losses(posed)
    assert values["joints_3d"] < 1e-9
    assert values["smpl"] < 1e-9
    assert values["keypoints"] < 1e-5


@pytest.mark.parametrize("step", [-5, 5, 2])
def test_dynamics_are_judged_by_the_frame_they_speak_of(truth, step):
    theta, targets = truth
    future = theta.roll(-step, dims=1)  # what a perfect predictor says at t about t + step
    output = HmmrOutput(Branch(torch.zeros(6, 12, 4), theta, {step: future}), None)
    present, dynamics = pose_views(views_of(output, targets), LAYOUT, StickBody())
    assert dynamics.view.theta.shape[1] == 12 - abs(step)
    values = view_losses(dynamics)
    assert values["smpl"] < 1e-9
    assert values["keypoints"] < 1e-5  # through the solved camera
    assert set(values) == {"keypoints", "joints_3d", "smpl"}
    assert view_losses(present).keys() - values.keys() == {"betas"}


def test_a_step_longer_than_the_window_is_not_judged(truth):
    theta, targets = truth
    output = HmmrOutput(Branch(torch.zeros(6, 12, 4), theta, {12: theta}), None)
    assert [view.name for view in views_of(output, targets)] == ["present"]


def test_the_solved_camera_passes_no_gradient_and_survives_invisible_frames(truth):
    theta, targets = truth
    targets.keypoints[0, :, :, 2] = 0
    moved = (theta + 0.1).requires_grad_()
    output = HmmrOutput(Branch(torch.zeros(6, 12, 4), theta, {1: moved}), None)
    _, dynamics = pose_views(views_of(output, targets), LAYOUT, StickBody())
    view_losses(dynamics)["keypoints"].backward()
    assert moved.grad.isfinite().all()
    assert not moved.grad[0].any()
    assert not moved.grad[..., :3].any()
    assert moved.grad[1:, :-1, 3:147].any()


def test_terms_are_weighted_and_hallucinated_views_count_like_the_real(truth):
    theta, targets = truth
    theta = theta + 0.05
    strip = torch.zeros(6, 12, 4)
    weights = LossWeights(keypoints=2, joints_3d=3, smpl=5, betas=7, constant_shape=11, hallucination=13)
    alone = HmmrOutput(Branch(strip, theta, {}), None)
    both = HmmrOutput(Branch(strip, theta, {}), Branch(strip + 2, theta, {}))
    posed = pose_views(views_of(alone, targets), LAYOUT, StickBody())
    single = view_losses(posed[0])
    terms = encoder_losses(alone, posed, weights)
    assert terms["smpl"].item() == pytest.approx(5 * single["smpl"].item())
    assert terms["keypoints"].item() == pytest.approx(2 * single["keypoints"].item())
    terms = encoder_losses(both, pose_views(views_of(both, targets), LAYOUT, StickBody()), weights)
    assert terms["joints_3d"].item() == pytest.approx(2 * 3 * single["joints_3d"].item())
    assert terms["betas"].item() == pytest.approx(2 * 7 * single["betas"].item())
    assert terms["hallucination"].item() == pytest.approx(13 * 4)


def test_gradients_through_body_camera_and_losses_are_right():
    clips = stick_clips("grad", 1, n_frames=2, share_3d=1.0)
    body, rows = StickBody(), torch.arange(2)[None]
    targets = clips.targets(rows)
    targets = type(targets)(*(v.double() if v.is_floating_point() else v for v in vars(targets).values()))
    theta = true_theta(clips, rows[0], LAYOUT, body)[None].double() + 0.1

    def total(theta: torch.Tensor) -> torch.Tensor:
        output = HmmrOutput(Branch(theta[..., :4], theta, {}), None)
        (posed,) = pose_views(views_of(output, targets), LAYOUT, body)
        values = view_losses(posed)
        return values["joints_3d"] + values["smpl"]

    assert torch.autograd.gradcheck(total, (theta.requires_grad_(),), eps=1e-6, atol=1e-5)


def test_the_stick_world_is_seen_by_its_own_cameras():
    """The fixture's keypoints are a weak-perspective view of its 3D points, so a perfect model exists."""
    clips = stick_clips("self", 2, n_frames=5, share_3d=1.0)
    rows, body = torch.arange(10), StickBody()
    camera, pose, betas = LAYOUT.split(true_theta(clips, rows, LAYOUT, body))
    points = body(LAYOUT.rotations(pose), betas)
    torch.testing.assert_close(points[:, COMMON], clips.joints_3d_m, atol=1e-5, rtol=0)
    difference = project_weak_perspective(points, camera) - clips.targets(rows).keypoints[..., :2]
    assert difference.abs().max() < 1e-4
    assert math.isfinite(camera.sum())
