"""TCMR's encoder: which frames each of its three GRUs sees, and how they are integrated."""

import pytest
import torch

from moviestrip.errors import FatalError
from moviestrip.models.model import parameter_count
from moviestrip.models.pose_forecast import PoseForecastEncoder

WIDTH, CURRENT = 24, 8


def encoder(pose_forecast: str = "without-current", residual: bool = False) -> PoseForecastEncoder:
    torch.manual_seed(0)
    return PoseForecastEncoder(WIDTH, 12, pose_forecast, residual, integration_width=8)


def window(windows: int = 1) -> torch.Tensor:
    return torch.randn(windows, 16, WIDTH, generator=torch.Generator().manual_seed(1))


def frames_seen(model: PoseForecastEncoder, output: str) -> list[int]:
    """Frames that move an output to the bit when they move."""
    frames = window()
    before = getattr(model(frames), output)
    seen = []
    for frame in range(16):
        moved = frames.clone()
        moved[:, frame] += 1
        if not torch.equal(getattr(model(moved), output), before):
            seen.append(frame)
    return seen


@torch.no_grad()
def test_past_and_future_do_not_see_the_current_frame_unless_asked_to():
    assert frames_seen(encoder(), "past") == list(range(CURRENT))
    assert frames_seen(encoder(), "future") == list(range(CURRENT + 1, 16))
    assert frames_seen(encoder("with-current"), "past") == list(range(CURRENT + 1))
    assert frames_seen(encoder("with-current"), "future") == list(range(CURRENT, 16))


@torch.no_grad()
def test_the_strip_sees_the_whole_window():
    for pose_forecast in ("none", "without-current", "with-current"):
        assert frames_seen(encoder(pose_forecast), "strip") == list(range(16))


@torch.no_grad()
def test_past_and_future_are_read_towards_the_current_frame():
    model, frames = encoder(), window(2)
    for name, order in (("past", range(8)), ("future", range(15, 8, -1))):
        gru, linear = getattr(model, f"{name}_gru"), getattr(model, f"{name}_linear")
        hidden = torch.zeros(2, 2, 12)
        for frame in order:
            state, hidden = gru(frames[:, frame : frame + 1], hidden)
        torch.testing.assert_close(getattr(model(frames), name), linear(state[:, 0].relu()))


@pytest.mark.parametrize("windows", [1, 3])
@torch.no_grad()
def test_the_strip_is_the_sum_that_attention_weighs(windows):
    model, frames = encoder(), window(windows)
    integrated = model(frames)
    assert integrated.attention.shape == (windows, 3)
    torch.testing.assert_close(integrated.attention.sum(1), torch.ones(windows))
    everything = encoder("none")
    everything.load_state_dict(model.state_dict(), strict=False)
    three = (integrated.past, everything(frames).strip, integrated.future)
    expected = sum(weight[:, None] * strip for weight, strip in zip(integrated.attention.T, three, strict=True))
    torch.testing.assert_close(integrated.strip, expected)


@torch.no_grad()
def test_a_residual_adds_the_current_frame():
    frames = window(2)
    plain, residual = encoder("none"), encoder("none", residual=True)
    torch.testing.assert_close(residual(frames).strip - plain(frames).strip, frames[:, CURRENT])


def test_without_pose_forecast_there_is_nothing_of_past_and_future():
    integrated = encoder("none")(window())
    assert integrated.past is integrated.future is integrated.attention is None
    assert not any(name.startswith(("past", "future", "integration")) for name in encoder("none").state_dict())


def test_it_has_as_many_parameters_as_its_printed_sizes_make():
    with torch.device("meta"):
        gru, linear = torch.nn.GRU, torch.nn.Linear
        both, one = gru(2048, 1024, 2, bidirectional=True), gru(2048, 1024, 2)
        expected = [both, linear(2048, 2048), one, linear(1024, 2048), one, linear(1024, 2048)]
        expected += [linear(2048, 256), linear(3 * 256, 256), linear(256, 256), linear(256, 3)]
        counted = parameter_count(PoseForecastEncoder(2048, 1024))
    assert counted == sum(parameter_count(layer) for layer in expected)


def test_other_windows_are_refused():
    with pytest.raises(FatalError, match="a window has 16 frames, this one has 15"):
        encoder()(window()[:, 1:])


def test_gradients_are_right():
    torch.manual_seed(0)
    model = PoseForecastEncoder(3, 2, window_frames=4, integration_width=2).double()
    frames = torch.randn(1, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda frames: model(frames).strip, frames)
