"""Each loss against its formula written out, and which labels each view is judged by."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from moviestrip.config import LossWeights, VariantSettings
from moviestrip.geometry import project_weak_perspective
from moviestrip.models.model import Branch, Output
from moviestrip.models.parameters import ThetaLayout
from moviestrip.training import losses
from moviestrip.training.losses import COMMON, model_losses, pose_views, view_losses, views_of
from moviestrip.training.readout import true_theta
from tests.training.stick_world import StickBody, stick_clips

LAYOUT = ThetaLayout("6d")
HMMR = VariantSettings(title="HMMR", paper="hmmr", encoder="movie-strip")
VIBE = VariantSettings(title="VIBE", paper="vibe", encoder="gru", losses="vibe")
TCMR = VariantSettings(title="TCMR", paper="tcmr", encoder="pose-forecast", pose_forecast="without-current")
STRIP = torch.zeros(6, 12, 4)


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
    assert losses.squared_joint_loss(joints, target, known).item() == pytest.approx(np.mean(squares))
    assert losses.squared_joint_loss(joints + 5, target, known).item() == pytest.approx(np.mean(squares))


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
    output = Output(Branch("contextual", STRIP, theta, {}))
    (posed,) = pose_views(views_of(output, targets, HMMR), LAYOUT, StickBody())
    values = view_losses(posed, HMMR)
    assert values["joints_3d"] < 1e-9
    assert values["smpl"] < 1e-9
    assert values["keypoints"] < 1e-5


@pytest.mark.parametrize("step", [-5, 5, 2])
def test_dynamics_are_judged_by_the_frame_they_speak_of(truth, step):
    theta, targets = truth
    future = theta.roll(-step, dims=1)  # what a perfect predictor says at t about t + step
    output = Output(Branch("contextual", STRIP, theta, {step: future}))
    present, dynamics = pose_views(views_of(output, targets, HMMR), LAYOUT, StickBody())
    assert dynamics.view.theta.shape[1] == 12 - abs(step)
    values = view_losses(dynamics, HMMR)
    assert values["smpl"] < 1e-9
    assert values["keypoints"] < 1e-5  # through the solved camera
    assert set(values) == {"keypoints", "joints_3d", "smpl"}
    assert view_losses(present, HMMR).keys() - values.keys() == {"betas"}


def test_a_step_longer_than_the_window_is_not_judged(truth):
    theta, targets = truth
    output = Output(Branch("contextual", STRIP, theta, {12: theta}))
    assert [view.name for view in views_of(output, targets, HMMR)] == ["contextual"]


def test_the_solved_camera_passes_no_gradient_and_survives_invisible_frames(truth):
    theta, targets = truth
    targets.keypoints[0, :, :, 2] = 0
    moved = (theta + 0.1).requires_grad_()
    output = Output(Branch("contextual", STRIP, theta, {1: moved}))
    _, dynamics = pose_views(views_of(output, targets, HMMR), LAYOUT, StickBody())
    view_losses(dynamics, HMMR)["keypoints"].backward()
    assert moved.grad.isfinite().all()
    assert not moved.grad[0].any()
    assert not moved.grad[..., :3].any()
    assert moved.grad[1:, :-1, 3:147].any()


def test_terms_are_weighted_and_hallucinated_views_count_like_the_real(truth):
    theta, targets = truth
    theta = theta + 0.05
    weights = LossWeights(keypoints=2, joints_3d=3, smpl=5, betas=7, constant_shape=11, hallucination=13)
    variant = HMMR.model_copy(update={"loss_weights": weights})
    contextual = Branch("contextual", STRIP, theta)
    alone, both = Output(contextual), Output(contextual, Branch("hallucinated", STRIP + 2, theta))
    posed = pose_views(views_of(alone, targets, variant), LAYOUT, StickBody())
    single = view_losses(posed[0], variant)
    terms = model_losses(alone, posed, variant)
    assert terms["smpl"].item() == pytest.approx(5 * single["smpl"].item())
    assert terms["keypoints"].item() == pytest.approx(2 * single["keypoints"].item())
    terms = model_losses(both, pose_views(views_of(both, targets, variant), LAYOUT, StickBody()), variant)
    assert terms["joints_3d"].item() == pytest.approx(2 * 3 * single["joints_3d"].item())
    assert terms["betas"].item() == pytest.approx(2 * 7 * single["betas"].item())
    assert terms["hallucination"].item() == pytest.approx(13 * 4)


def test_a_term_of_no_weight_is_not_there(truth):
    theta, targets = truth
    variant = HMMR.model_copy(update={"loss_weights": LossWeights(constant_shape=0, hallucination=0)})
    output = Output(Branch("contextual", STRIP, theta), Branch("hallucinated", STRIP, theta))
    terms = model_losses(output, pose_views(views_of(output, targets, variant), LAYOUT, StickBody()), variant)
    assert set(terms) == {"keypoints", "joints_3d", "smpl", "betas"}


@pytest.mark.parametrize(("target", "frames"), [("current", (8, 8)), ("neighbours", (7, 9))])
def test_past_and_future_are_judged_by_the_frame_the_variant_names(target, frames):
    clips = stick_clips("window", 2, n_frames=16, share_3d=1.0)
    rows = torch.arange(32)
    theta = true_theta(clips, rows, LAYOUT, StickBody()).reshape(2, 16, -1)
    variant = TCMR.model_copy(update={"pose_forecast_target": target})
    strip = torch.zeros(2, 1, 4)
    past, future = (
        Branch(n, strip, theta[:, f : f + 1], {}, 8) for n, f in zip(("past", "future"), frames, strict=True)
    )
    output = Output(Branch("contextual", strip, theta[:, 8:9], {}, 8), past=past, future=future)
    views = views_of(output, clips.targets(rows.reshape(2, 16)), variant)
    assert [view.name for view in views] == ["contextual", "past", "future"]
    for posed in pose_views(views, LAYOUT, StickBody()):
        assert view_losses(posed, variant)["smpl"] < 1e-9
    unsupervised = variant.model_copy(update={"pose_forecast_target": "none"})
    assert len(views_of(output, clips.targets(rows.reshape(2, 16)), unsupervised)) == 1


def test_a_forecast_is_judged_by_the_frames_after_its_condition_without_a_camera(truth):
    theta, targets = truth
    forecast = Branch("forecast", STRIP[:, 5:9] + 3, theta[:, 5:9], {}, first_frame=5, has_camera=False)
    output = Output(Branch("contextual", STRIP, theta), forecast=forecast)
    posed = pose_views(views_of(output, targets, HMMR), LAYOUT, StickBody())
    values = view_losses(posed[1], HMMR)
    assert values["smpl"] < 1e-9
    assert values["keypoints"] < 1e-5
    assert set(values) == {"keypoints", "joints_3d", "smpl"}
    assert model_losses(output, posed, HMMR)["movie_strip"].item() == pytest.approx(9)


def test_the_form_of_vibe_is_squares_over_all_keypoints_rotations_and_betas(truth):
    theta, targets = truth
    (posed,) = pose_views(
        views_of(Output(Branch("contextual", STRIP, theta + 0.05)), targets, VIBE), LAYOUT, StickBody()
    )
    values = view_losses(posed, VIBE)
    projected = project_weak_perspective(posed.points_m, posed.camera)
    squares = targets.keypoints[..., 2:] * (projected - targets.keypoints[..., :2]) ** 2
    assert values["keypoints"].item() == pytest.approx(squares.mean().item(), rel=1e-5)
    assert values["smpl"].item() == pytest.approx(
        (posed.rotations - targets.rotations).square().mean().item(), rel=1e-5
    )
    assert values["shape"].item() == pytest.approx((posed.betas - targets.betas).square().mean().item(), rel=1e-5)
    perspective = VIBE.model_copy(update={"projection": "perspective"})
    assert view_losses(posed, perspective)["keypoints"] != values["keypoints"]


def test_where_only_joints_are_known_the_body_is_not_judged(truth):
    theta, targets = truth
    joints_only = replace(targets, has_body=torch.zeros_like(targets.has_body))
    output = Output(Branch("contextual", STRIP, theta + 0.05))
    (posed,) = pose_views(views_of(output, joints_only, VIBE), LAYOUT, StickBody())
    values = view_losses(posed, VIBE)
    assert values["smpl"] == values["shape"] == 0
    assert values["joints_3d"] > 0


@pytest.mark.parametrize("variant", [HMMR, VIBE, VIBE.model_copy(update={"projection": "perspective"})])
def test_gradients_of_every_term_are_right(variant):
    """Central differences of each term by itself, through body, camera and heads."""
    clips = stick_clips("grad", 1, n_frames=4, share_3d=1.0)
    body, rows = StickBody(), torch.arange(4)[None]
    targets = clips.targets(rows)
    targets = type(targets)(*(v.double() if v.is_floating_point() else v for v in vars(targets).values()))
    theta = true_theta(clips, rows[0], LAYOUT, body)[None].double()
    theta = theta + 0.1 * random(*theta.shape)  # away from the corners of absolute values

    def terms(theta: torch.Tensor) -> dict[str, torch.Tensor]:
        branches = [
            Branch(name, theta[..., :5] + shift, theta) for shift, name in enumerate(("contextual", "hallucinated"))
        ]
        forecast = Branch("forecast", 2 * theta[:, 2:, :5], theta[:, 2:], {}, first_frame=2, has_camera=False)
        output = Output(*branches, forecast=forecast)
        return model_losses(output, pose_views(views_of(output, targets, variant), LAYOUT, body), variant)

    for name in terms(theta):
        direction = random(*theta.shape, seed=5) * 1e-5
        moved = theta.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(terms(moved)[name], moved)
        expected = (terms(theta + direction)[name] - terms(theta - direction)[name]) / 2
        if name != "keypoints":  # partly through a solved camera, which passes no gradient: the next test
            torch.testing.assert_close((gradient * direction).sum(), expected, rtol=1e-4, atol=1e-12)


def test_keypoint_gradients_through_a_predicted_camera_are_right():
    clips = stick_clips("grad", 1, n_frames=2, share_3d=1.0)
    body, targets = StickBody(), stick_clips("grad", 1, n_frames=2, share_3d=1.0).targets(torch.arange(2)[None])
    targets = type(targets)(*(v.double() if v.is_floating_point() else v for v in vars(targets).values()))
    theta = true_theta(clips, torch.arange(2), LAYOUT, body)[None].double()
    theta = (theta + 0.1 * random(*theta.shape)).requires_grad_()
    for variant in (HMMR, VIBE, VIBE.model_copy(update={"projection": "perspective"})):

        def keypoints(theta: torch.Tensor, variant: VariantSettings = variant) -> torch.Tensor:
            output = Output(Branch("contextual", theta, theta))
            (posed,) = pose_views(views_of(output, targets, variant), LAYOUT, body)
            return view_losses(posed, variant)["keypoints"]

        assert torch.autograd.gradcheck(keypoints, (theta,), eps=1e-7, atol=1e-4)


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
