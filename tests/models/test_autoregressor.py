"""Forecasts: fed their own predictions, never a frame of what they forecast."""

import pytest
import torch

from moviestrip.errors import FatalError
from moviestrip.models.autoregressor import Autoregressor, PoseAutoregressor, own_predictions
from moviestrip.models.model import ModelDesign, MotionModel, parameter_count
from moviestrip.models.movie_strip import MovieStripEncoder

WIDTH = 32
NORMS = ["group-norm-per-frame", "group-norm-over-time"]
SPACES = ["strip", "theta"]


def lively(module: torch.nn.Module) -> torch.nn.Module:
    """In double precision, with weights large enough that nothing is nearly the identity."""
    for name, weight in module.named_parameters():
        if weight.ndim > 1 and "mean" not in name:
            torch.nn.init.xavier_uniform_(weight)
    return module.double().eval()


def autoregressor(norm: str) -> Autoregressor:
    torch.manual_seed(0)
    return lively(Autoregressor(WIDTH, 3, norm))


def phd(norm: str, space: str = "strip") -> MotionModel:
    torch.manual_seed(0)
    design = ModelDesign(
        20, width=WIDTH, regressor_width=16, norm=norm, causal=True, ends="edge", autoregressor=space, rotation="6d"
    )
    return lively(MotionModel(design))


def random_frames(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def window_by_window(model: MovieStripEncoder, strips: torch.Tensor, steps: int) -> torch.Tensor:
    for _ in range(steps):
        strips = torch.cat([strips, model(strips[:, -13:])[:, -1:]], dim=1)
    return strips[:, -steps:]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("clips", [1, 3])
@torch.no_grad()
def test_each_prediction_comes_from_the_thirteen_strips_before_it(norm, clips):
    model, strips = autoregressor(norm), random_frames(clips, 15, WIDTH)
    predicted = model.roll_out(strips, 20)
    assert predicted.shape == (clips, 20, WIDTH)
    torch.testing.assert_close(predicted, window_by_window(model, strips, 20))
    other_past = torch.cat([random_frames(clips, 2, WIDTH, seed=1), strips[:, 2:]], dim=1)
    assert torch.equal(model.roll_out(other_past, 20), predicted)


@torch.no_grad()
def test_a_step_alone_computes_what_the_whole_window_does():
    model, strips = autoregressor("group-norm-per-frame"), random_frames(2, 13, WIDTH)
    torch.testing.assert_close(model._step_by_step(strips, 30), model._window_by_window(strips, 30))


@torch.no_grad()
def test_later_predictions_do_not_change_earlier_ones():
    for norm in NORMS:
        model, strips = autoregressor(norm), random_frames(1, 13, WIDTH)
        torch.testing.assert_close(model.roll_out(strips, 35)[:, :5], model.roll_out(strips, 5))


def test_it_has_the_encoders_architecture():
    with torch.device("meta"):
        assert parameter_count(Autoregressor(2048)) == parameter_count(MovieStripEncoder(2048))
    assert Autoregressor(WIDTH).sees_frames == 13


def test_too_few_strips_are_refused():
    with pytest.raises(FatalError, match="reads 13 frames and was given 12"):
        autoregressor("group-norm-over-time").roll_out(random_frames(1, 12, WIDTH), 1)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("space", SPACES)
@torch.no_grad()
def test_a_forecast_never_changes_with_the_frames_it_forecasts(norm, space):
    model, phi = phd(norm, space), random_frames(2, 40, 20)
    changed = torch.cat([phi[:, :15], random_frames(2, 25, 20, seed=1)], dim=1)
    forecast, again = model.forecast(phi, 25), model.forecast(changed, 25)
    assert forecast.theta.shape == (2, 25, 157) and forecast.first_frame == 15 and not forecast.has_camera
    assert torch.equal(forecast.theta, again.theta) and torch.equal(forecast.strip, again.strip)
    earlier = phi.clone()
    earlier[:, 14] += 1
    assert not torch.equal(model.forecast(earlier, 25).theta, forecast.theta)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("space", SPACES)
@torch.no_grad()
def test_in_training_too_no_piece_sees_what_it_forecasts(norm, space):
    model, phi = phd(norm, space), random_frames(2, 40, 20)
    forecast = model(phi, forecast_steps=5).forecast
    assert forecast.theta.shape == (2, 25, 157) and forecast.first_frame == 15
    for piece in range(5):
        start = 15 + 5 * piece
        changed = torch.cat([phi[:, :start], random_frames(2, 40 - start, 20, seed=1)], dim=1)
        again = model(changed, forecast_steps=5).forecast.theta
        assert torch.equal(again[:, : 5 * (piece + 1)], forecast.theta[:, : 5 * (piece + 1)])
    torch.testing.assert_close(forecast.theta[:, :5], model.forecast(phi, 5).theta)


def test_a_window_too_short_to_forecast_in_is_refused():
    with pytest.raises(FatalError, match="a window of 19 frames leaves no 5"):
        phd("group-norm-over-time")(random_frames(1, 19, 20), forecast_steps=5)


def test_a_model_without_an_autoregressor_does_not_forecast():
    with pytest.raises(FatalError, match="does not forecast"):
        phd("group-norm-over-time", "none").forecast(random_frames(1, 15, 20), 1)


@torch.no_grad()
def test_a_forecast_in_the_space_of_poses_starts_as_standing_still():
    torch.manual_seed(0)
    model, estimates = PoseAutoregressor(82, WIDTH).double(), random_frames(2, 15, 82)
    predicted = model.roll_out(estimates, 30)
    torch.testing.assert_close(predicted, estimates[:, -1:].expand(-1, 30, -1))


@torch.no_grad()
def test_a_forecast_looks_further_than_it_was_trained_for():
    assert phd("group-norm-over-time").forecast(random_frames(1, 15, 20), 35).theta.isfinite().all()


def test_the_curriculum_goes_from_one_own_prediction_to_the_longest():
    lengths = [own_predictions(step, 1000, 25) for step in range(1000)]
    assert lengths[0] == 1 and lengths == sorted(lengths) and set(lengths) == set(range(1, 26))
    assert all(length == 25 for length in lengths[900:])


def test_gradients_through_own_predictions_are_right():
    for norm in NORMS:
        torch.manual_seed(0)
        model = lively(Autoregressor(4, 1, norm))
        strips = random_frames(1, 5, 4).requires_grad_()
        assert torch.autograd.gradcheck(lambda strips, model=model: model.roll_out(strips, 3), strips)
