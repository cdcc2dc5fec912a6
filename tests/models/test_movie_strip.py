"""What the temporal encoder sees of its neighbours."""

import pytest
import torch

from moviestrip.models.movie_strip import MovieStripEncoder, receptive_field_frames

WIDTH, FRAMES, MIDDLE = 64, 41, 20


def encoder(norm: str) -> MovieStripEncoder:
    """With weights large enough that influence shows in every layer."""
    torch.manual_seed(0)
    model = MovieStripEncoder(WIDTH, 3, norm).double()
    for name, weight in model.named_parameters():
        if "conv" in name and weight.ndim == 3:
            torch.nn.init.xavier_uniform_(weight)
    return model


def touched_frames(model: MovieStripEncoder) -> list[int]:
    """Distances from the middle frame at which the output moves when the middle frame's feature does."""
    generator = torch.Generator().manual_seed(1)
    phi = torch.randn(1, FRAMES, WIDTH, generator=generator, dtype=torch.float64)
    moved = phi.clone()
    moved[0, MIDDLE] += torch.randn(WIDTH, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        change = (model(moved) - model(phi)).abs().amax(-1)[0]
    return [frame - MIDDLE for frame in range(FRAMES) if change[frame] > 0]


def test_the_receptive_field_is_13_frames_without_statistics_over_time():
    assert receptive_field_frames(3) == 13
    assert touched_frames(encoder("group-norm-per-frame")) == list(range(-6, 7))


def test_statistics_over_time_let_every_frame_reach_every_other():
    assert touched_frames(encoder("group-norm-over-time")) == list(range(-MIDDLE, MIDDLE + 1))


@pytest.mark.parametrize("norm", ["group-norm-over-time", "group-norm-per-frame"])
def test_a_new_encoder_is_nearly_the_identity(norm):
    phi = torch.randn(2, 12, WIDTH, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    strip = MovieStripEncoder(WIDTH, 3, norm)(phi)
    assert strip.shape == phi.shape
    assert (strip - phi).abs().max() < 0.02


def test_per_frame_statistics_equal_statistics_over_a_single_frame():
    phi = torch.randn(3, 1, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    over_time, per_frame = encoder("group-norm-over-time"), encoder("group-norm-per-frame")
    per_frame.load_state_dict(over_time.state_dict())
    torch.testing.assert_close(over_time(phi), per_frame(phi))
