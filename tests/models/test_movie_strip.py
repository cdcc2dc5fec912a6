"""What the temporal encoder sees of its neighbours, and what of the future."""

import pytest
import torch

from moviestrip.models.model import parameter_count
from moviestrip.models.movie_strip import MovieStripEncoder, receptive_field_frames

WIDTH, FRAMES, MIDDLE = 64, 41, 20
NORMS = ["group-norm-per-frame", "group-norm-over-time"]


def encoder(norm: str, causal: bool = False, ends: str = "zeros") -> MovieStripEncoder:
    """With weights large enough that influence shows in every layer."""
    torch.manual_seed(0)
    model = MovieStripEncoder(WIDTH, 3, norm, causal, ends).double()
    for name, weight in model.named_parameters():
        if "conv" in name and weight.ndim == 3:
            torch.nn.init.xavier_uniform_(weight)
    return model


def random_features(frames: int = FRAMES, clips: int = 1, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(clips, frames, WIDTH, generator=generator, dtype=torch.float64)


def touched_frames(model: MovieStripEncoder) -> list[int]:
    """Distances from the middle frame at which the output moves when the middle frame's feature does."""
    phi = random_features()
    moved = phi.clone()
    moved[0, MIDDLE] += random_features(1, seed=2)[0, 0]
    with torch.no_grad():
        change = (model(moved) - model(phi)).abs().amax(-1)[0]
    return [frame - MIDDLE for frame in range(FRAMES) if change[frame] > 0]


def test_the_receptive_field_is_13_frames_without_statistics_over_time():
    assert receptive_field_frames(3) == 13
    assert touched_frames(encoder("group-norm-per-frame")) == list(range(-6, 7))


def test_a_causal_receptive_field_is_the_13_frames_up_to_now():
    assert touched_frames(encoder("group-norm-per-frame", causal=True, ends="edge")) == list(range(13))


def test_statistics_over_time_let_every_frame_reach_every_other():
    every = list(range(-MIDDLE, MIDDLE + 1))
    assert touched_frames(encoder("group-norm-over-time")) == every
    assert touched_frames(encoder("group-norm-over-time", causal=True, ends="edge")) == every


@pytest.mark.parametrize("known", [1, 13, 20, 40])
def test_only_statistics_of_each_frame_keep_the_past_unchanged_to_the_bit_by_the_future(known):
    phi, other = random_features(clips=2), random_features(clips=2, seed=3)
    changed = torch.cat([phi[:, :known], other[:, known:]], dim=1)
    with torch.no_grad():
        unchanged = {}
        for norm in NORMS:
            model = encoder(norm, causal=True, ends="edge")
            unchanged[norm] = torch.equal(model(phi)[:, :known], model(changed)[:, :known])
    assert unchanged == {"group-norm-per-frame": True, "group-norm-over-time": False}


def test_edge_padding_shows_a_still_clip_as_still():
    still = random_features(1).expand(-1, 9, -1)
    for causal in (True, False):
        strip = encoder("group-norm-per-frame", causal, "edge")(still)
        torch.testing.assert_close(strip, strip[:, :1].expand_as(strip))
        zeros = encoder("group-norm-per-frame", causal, "zeros")(still)
        assert (zeros[:, 0] - zeros[:, 6]).abs().max() > 1e-3


def test_a_causal_block_adds_what_the_centred_one_adds_two_frames_before():
    torch.manual_seed(0)
    phi = random_features()
    centred = MovieStripEncoder(WIDTH, 1, "group-norm-per-frame").double()
    causal = MovieStripEncoder(WIDTH, 1, "group-norm-per-frame", causal=True, ends="edge").double()
    causal.load_state_dict(centred.state_dict())
    torch.testing.assert_close((causal(phi) - phi)[:, 4:], (centred(phi) - phi)[:, 2:-2])


@pytest.mark.parametrize("norm", NORMS)
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


def test_the_encoder_has_as_many_parameters_as_its_printed_sizes_make():
    """Three blocks of two convolutions of kernel 3 with 2048 filters, a group norm before each."""
    with torch.device("meta"):
        half_a_block = parameter_count(torch.nn.Conv1d(2048, 2048, 3)) + parameter_count(torch.nn.GroupNorm(32, 2048))
        assert parameter_count(MovieStripEncoder(2048)) == 3 * 2 * half_a_block


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("norm", NORMS)
def test_gradients_are_right(norm, causal):
    torch.manual_seed(0)
    model = MovieStripEncoder(4, 1, norm, causal, "edge" if causal else "zeros").double()
    phi = torch.randn(1, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, phi)
