"""The assembled model: shapes, starting values, and how variants share weights."""

import math

import pytest
import torch

from moviestrip.errors import FatalError
from moviestrip.models.discriminator import PoseDiscriminator
from moviestrip.models.hmmr import FeatureStandardiser, Hmmr, HmmrDesign, take_over
from moviestrip.models.parameters import ThetaLayout
from moviestrip.models.regressor import DynamicsRegressor, FeedbackRegressor, mean_theta

FORMS = ["axis-angle", "6d"]
SMALL = {"feature_size": 20, "width": 32, "regressor_width": 16, "dropout": 0.0}


def small(**over) -> Hmmr:
    torch.manual_seed(0)
    return Hmmr(HmmrDesign(**{**SMALL, **over})).eval()


@pytest.mark.parametrize("form", FORMS)
def test_every_head_answers_for_every_frame(form):
    output = small(rotation=form)(torch.randn(2, 7, 20))
    size = {"axis-angle": 85, "6d": 157}[form]
    for branch in (output.contextual, output.hallucinated):
        assert branch.strip.shape == (2, 7, 32)
        assert branch.theta.shape == (2, 7, size)
        assert {step: theta.shape for step, theta in branch.deltas.items()} == {-5: (2, 7, size), 5: (2, 7, size)}


@pytest.mark.parametrize("form", FORMS)
def test_the_mean_body_stands_upright_before_a_camera_whose_y_points_down(form):
    layout = ThetaLayout(form)
    camera, pose, betas = layout.split(mean_theta(layout))
    rotations = layout.rotations(pose)
    torch.testing.assert_close(rotations[0], torch.diag(torch.tensor([1.0, -1.0, -1.0])), atol=1e-6, rtol=0)
    torch.testing.assert_close(rotations[1:], torch.eye(3).expand(23, 3, 3))
    assert camera.tolist() == pytest.approx([0.9, 0, 0])
    assert not betas.any()


@pytest.mark.parametrize("form", FORMS)
def test_a_layout_encodes_what_it_decodes(form):
    layout = ThetaLayout(form)
    rotations = ThetaLayout("axis-angle").rotations(0.5 * torch.randn(6, 72, dtype=torch.float64))
    torch.testing.assert_close(layout.rotations(layout.encode(rotations)), rotations)
    torch.testing.assert_close(
        ThetaLayout("axis-angle").rotations(layout.axis_angle(layout.encode(rotations))), rotations
    )


def test_dynamics_keep_the_shape_and_carry_no_camera():
    layout = ThetaLayout("6d")
    theta = torch.randn(2, 3, layout.size)
    camera, _, betas = layout.split(DynamicsRegressor(8, layout, 16, 0.0)(torch.randn(2, 3, 8), theta))
    assert camera.unique(dim=1).tolist() == [[[1, 0, 0]], [[1, 0, 0]]]
    torch.testing.assert_close(betas, layout.split(theta).betas)


def test_feedback_is_three_corrections_with_the_same_weights():
    torch.manual_seed(0)
    regressor = FeedbackRegressor(6, 4, 8, dropout=0.0)
    features, estimate = torch.randn(5, 6), torch.randn(5, 4)
    expected = estimate
    for _ in range(3):
        layers = torch.nn.Sequential(regressor.fc1, torch.nn.ReLU(), regressor.fc2, torch.nn.ReLU(), regressor.fc3)
        expected = expected + layers(torch.cat([features, expected], dim=1))
    torch.testing.assert_close(regressor(features, estimate), expected)


def test_contextual_starts_where_single_view_ended():
    single = small(temporal=False, delta_frames=(), hallucinator=False, readout=True, standardise=True)
    contextual = small(readout=True, standardise=True)
    take_over(contextual, single.state_dict(), "single.pt", ("encoder.", "deltas.", "hallucinator."))
    phi = torch.randn(1, 12, 20)
    difference = contextual(phi).contextual.theta - single(phi).contextual.theta
    assert difference.abs().max() < 1e-3


def test_weights_of_another_scale_are_refused():
    with pytest.raises(FatalError, match=r"single\.pt: its weights do not fit"):
        take_over(small(readout=True), small().state_dict(), "single.pt", ("encoder.",))


def test_features_of_another_backbone_are_refused_with_both_shapes():
    with pytest.raises(FatalError, match=r"\(2, 7, 21\).*\(batch, frames, 20\)"):
        small()(torch.randn(2, 7, 21))


def test_standardised_features_are_centred_bounded_and_never_blown_up():
    phi = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 100.0, 0.0]) + 7
    standardiser = FeatureStandardiser(3)
    standardiser.fit(phi)
    values = standardiser(phi)
    assert values.mean(0).abs().max() < 1e-2
    assert values[:, 2].abs().max() < 1e-4  # a dead channel stays dead
    assert standardiser(phi * 1e6).abs().max() == 5


def test_the_discriminator_judges_each_joint_alone_and_never_the_view():
    torch.manual_seed(0)
    judge = PoseDiscriminator(hidden=16)
    rotations = ThetaLayout("axis-angle").rotations(torch.randn(4, 72))
    judged = judge(rotations)
    assert judged.shape == (4, 24)
    turned = rotations.clone()
    turned[:, 0] = rotations[:, 0].flip(0)
    torch.testing.assert_close(judge(turned), judged)
    moved = rotations.clone()
    moved[:, 5] = rotations[:, 5].flip(0)
    changed = (judge(moved) - judged).abs().amax(0) > 0
    assert changed.nonzero()[:, 0].tolist() == [4, 23]  # joint 5 is the fourth judged one; 23 is the whole pose


def test_a_shape_judge_is_one_more_output():
    judge = PoseDiscriminator(hidden=8, judges_shape=True)
    assert judge(torch.eye(3).expand(2, 24, 3, 3), torch.zeros(2, 10)).shape == (2, 25)


def test_gradients_of_a_whole_small_model_are_right():
    torch.manual_seed(0)
    layout = ThetaLayout("6d")
    regressor = DynamicsRegressor(3, layout, 4, 0.0).double()
    strip = torch.randn(1, 2, 3, dtype=torch.float64, requires_grad=True)
    theta = mean_theta(layout).double() + 0.1 * torch.randn(1, 2, layout.size, dtype=torch.float64)

    def rotations(strip: torch.Tensor) -> torch.Tensor:
        return layout.rotations(layout.split(regressor(strip, theta)).pose)[..., :3, :, :]

    assert torch.autograd.gradcheck(rotations, (strip,))


def test_the_axis_angle_gradient_is_finite_at_rest():
    pose = torch.zeros(72, requires_grad=True)
    ThetaLayout("axis-angle").rotations(pose)[..., 0, 1].sum().backward()
    assert pose.grad.isfinite().all()
    assert math.isclose(pose.grad.abs().max(), 1.0)
