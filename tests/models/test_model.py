"""The assembled model: shapes, starting values, and how variants share weights."""

import math
from itertools import pairwise

import pytest
import torch

from moviestrip.errors import FatalError
from moviestrip.models.discriminator import PoseDiscriminator
from moviestrip.models.hallucinator import Hallucinator
from moviestrip.models.model import FeatureStandardiser, ModelDesign, MotionModel, parameter_count, take_over
from moviestrip.models.parameters import ThetaLayout
from moviestrip.models.recurrent import RecurrentEncoder
from moviestrip.models.regressor import DynamicsRegressor, FeedbackRegressor, ThetaRegressor, mean_theta

FORMS = ["axis-angle", "6d"]
SMALL = {"feature_size": 20, "width": 32, "regressor_width": 16, "recurrent_width": 16, "dropout": 0.0}
HMMR = {"delta_frames": (-5, 5), "hallucinator": True}
VIBE = {"encoder": "gru", "rotation": "6d", "rectified": False}
TCMR = {**VIBE, "encoder": "pose-forecast", "pose_forecast": "without-current", "residual": False}
PHD = {"causal": True, "ends": "edge", "delta_frames": (-10, -5), "autoregressor": "strip"}


def small(**over) -> MotionModel:
    torch.manual_seed(0)
    return MotionModel(ModelDesign(**{**SMALL, **over})).eval()


@pytest.mark.parametrize("form", FORMS)
def test_every_head_answers_for_every_frame(form):
    output = small(rotation=form, **HMMR)(torch.randn(2, 7, 20))
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


@pytest.mark.parametrize("paper", [HMMR, VIBE, TCMR, PHD], ids=["hmmr", "vibe", "tcmr", "phd"])
@pytest.mark.parametrize("clips", [1, 2])
def test_every_papers_model_says_a_pose_for_every_frame_of_a_clip(paper, clips):
    model = small(**paper)
    present = model.present(torch.randn(clips, 18, 20))
    assert present.strip.shape == (clips, 18, 32)
    assert present.theta.shape == (clips, 18, model.layout.size)
    assert set(present.deltas) == set(paper.get("delta_frames", ()))
    assert present.first_frame == (0 if paper is not TCMR else 8)


def test_a_window_slides_over_a_clip_whose_ends_are_repeated():
    model, phi = small(**TCMR), torch.randn(1, 18, 20)
    inner = model(phi).contextual
    present = model.present(phi).theta
    assert inner.theta.shape[1] == 3 and inner.first_frame == 8
    torch.testing.assert_close(present[:, 8:11], inner.theta)
    first = torch.cat([phi[:, :1].expand(-1, 8, -1), phi[:, :8]], dim=1)
    last = torch.cat([phi[:, 9:], phi[:, -1:].expand(-1, 7, -1)], dim=1)
    torch.testing.assert_close(present[:, :1], model(first).contextual.theta)
    torch.testing.assert_close(present[:, -1:], model(last).contextual.theta)


def test_a_clip_shorter_than_a_window_is_refused():
    with pytest.raises(FatalError, match="windows of 16 frames and was given 15"):
        small(**TCMR)(torch.randn(1, 15, 20))


def test_a_recurrent_encoder_sees_the_future_only_as_printed():
    torch.manual_seed(0)
    phi, later = torch.randn(1, 9, 32), torch.randn(1, 9, 32)
    changed = torch.cat([phi[:, :5], later[:, 5:]], dim=1)
    for bidirectional in (False, True):
        encoder = RecurrentEncoder(32, 16, bidirectional=bidirectional)
        same = torch.equal(encoder(phi)[:, :5], encoder(changed)[:, :5])
        assert same is not bidirectional


def test_a_residual_encoder_adds_the_frames_own_feature():
    torch.manual_seed(0)
    phi, encoder = torch.randn(2, 4, 32), RecurrentEncoder(32, 16)
    with_sum = encoder(phi)
    encoder.residual = False
    torch.testing.assert_close(with_sum - encoder(phi), phi)


def test_parts_have_as_many_parameters_as_their_printed_sizes_make():
    """Widths from the papers; PyTorch's own GRU and linear layers count."""
    with torch.device("meta"):

        def layers(*sizes: int) -> int:
            return sum(parameter_count(torch.nn.Linear(*pair)) for pair in pairwise(sizes))

        axis_angle, sixd = ThetaLayout("axis-angle"), ThetaLayout("6d")
        regressor = ThetaRegressor(2048, axis_angle, 1024, 0.5, readout=False)
        assert parameter_count(regressor) == layers(2048 + 85, 1024, 1024, 85) + 85
        assert parameter_count(DynamicsRegressor(2048, axis_angle, 1024, 0.5)) == layers(2048 + 72, 1024, 1024, 72)
        spin = ThetaRegressor(2048, sixd, 1024, 0.5, readout=False, rectified=False)
        heads = sum(parameter_count(torch.nn.Linear(1024, size)) for size in (144, 10, 3))
        assert parameter_count(spin) == layers(2048 + 157, 1024, 1024) + heads + 157
        assert parameter_count(Hallucinator(2048)) == layers(2048, 2048, 2048, 2048)
        for directions in (1, 2):
            gru = torch.nn.GRU(2048, 1024, 2, bidirectional=directions == 2)
            expected = parameter_count(gru) + layers(1024 * directions, 2048)
            assert parameter_count(RecurrentEncoder(2048, 1024, bidirectional=directions == 2)) == expected


def test_a_spin_regressor_is_not_rectified():
    """Without its output layers' corrections fed back, a network without activation is affine in the features."""
    torch.manual_seed(0)
    phi = torch.randn(3, 6, dtype=torch.float64)
    for rectified in (False, True):
        regressor = FeedbackRegressor(6, 4, 8, dropout=0.0, rectified=rectified).double()
        start = torch.zeros(3, 4, dtype=torch.float64)
        middle = regressor((phi + phi.flip(0)) / 2, start)
        affine = torch.allclose(middle, (regressor(phi, start) + regressor(phi.flip(0), start)) / 2)
        assert affine is not rectified


def test_contextual_starts_where_single_view_ended():
    single = small(encoder="none", readout=True, standardise=True)
    contextual = small(readout=True, standardise=True, **HMMR)
    new = take_over(contextual, single.state_dict(), "single.pt")
    assert {name.split(".")[0] for name in new} == {"encoder", "deltas", "hallucinator"}
    phi = torch.randn(1, 12, 20)
    difference = contextual(phi).contextual.theta - single(phi).contextual.theta
    assert difference.abs().max() < 1e-3


def test_heads_that_only_the_earlier_variant_has_are_dropped():
    earlier, later = small(**HMMR), small()
    torch.nn.init.normal_(earlier.regressor.mean)
    assert take_over(later, earlier.state_dict(), "earlier.pt") == []
    assert torch.equal(later.regressor.mean, earlier.regressor.mean)


def test_weights_of_another_scale_or_of_nothing_known_are_refused():
    with pytest.raises(
        FatalError, match=r"single\.pt: its projection\.weight is \(24, 20\), this variant's is \(32, 20\)"
    ):
        take_over(small(), small(width=24).state_dict(), "single.pt")
    with pytest.raises(FatalError, match=r"single\.pt: none of its weights"):
        take_over(small(), {"another": torch.zeros(1)}, "single.pt")


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


@pytest.mark.parametrize("form", FORMS)
def test_a_regressor_begins_with_the_mean_person_it_is_given(form):
    camera, pose, betas = torch.tensor([0.8, 0.1, -0.2]), 0.3 * torch.randn(72), torch.randn(10)
    regressor = ThetaRegressor(8, ThetaLayout(form), 16, 0.0, readout=False)
    regressor.start_from_mean(camera, pose, betas)
    found_camera, found_pose, found_betas = regressor.layout.split(regressor.start(torch.zeros(1, 8))[0])
    torch.testing.assert_close(found_camera, camera)
    torch.testing.assert_close(found_betas, betas)
    expected = ThetaLayout("axis-angle").rotations(pose)
    torch.testing.assert_close(regressor.layout.rotations(found_pose), expected, atol=1e-5, rtol=0)
