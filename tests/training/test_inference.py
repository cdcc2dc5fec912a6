"""Whole clips in pieces: what comes out must not depend on how a clip was cut, where the papers do not cut it."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from moviestrip.errors import FatalError
from moviestrip.models.model import ModelDesign, MotionModel
from moviestrip.training.inference import (
    FADED_FRAMES,
    apart,
    hallucination_of_clip,
    interleaved,
    present_of_clip,
    reach_frames,
    sliding,
    windows_of,
)

FEATURES = 6
FINITE = {
    "single-view": {"encoder": "none"},
    "centred strip": {"encoder": "movie-strip", "norm": "group-norm-per-frame"},
    "causal strip": {"encoder": "movie-strip", "norm": "group-norm-per-frame", "causal": True, "ends": "edge"},
    "two blocks": {"encoder": "movie-strip", "norm": "group-norm-per-frame", "residual_blocks": 2},
    "pose-forecast": {"encoder": "pose-forecast", "pose_forecast": "without-current"},
}
ENDLESS = {
    "gru": {"encoder": "gru"},
    "both ways": {"encoder": "gru", "bidirectional": True},
    "strip over time": {"encoder": "movie-strip"},
    "causal over time": {"encoder": "movie-strip", "causal": True, "ends": "edge"},
}


def small_model(hallucinator: bool = False, **design: object) -> MotionModel:
    """Random weights, and none so small that a frame's neighbours would not show."""
    sizes = {"width": 96, "regressor_width": 8, "recurrent_width": 8, "integration_width": 8}
    torch.manual_seed(0)
    model = MotionModel(ModelDesign(FEATURES, hallucinator=hallucinator, **sizes, **design))
    for parameter in model.encoder.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.1)
    return model.eval()


MODELS = {name: small_model(**design) for name, design in {**FINITE, **ENDLESS}.items()}


def features(frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(frames, FEATURES, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", FINITE)
@settings(max_examples=15, deadline=None)
@given(frames=st.integers(1, 70), spare=st.integers(1, 40), seed=st.integers(0, 1000))
@torch.inference_mode()
def test_pieces_say_what_the_whole_clip_says(name, frames, spare, seed):
    model, phi = MODELS[name], features(frames, seed)
    before, after = reach_frames(model.design)
    pieces = present_of_clip(model, phi, frames_at_once=before + after + spare)
    torch.testing.assert_close(pieces, model.present(phi[None]).theta[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", FINITE)
@torch.inference_mode()
def test_the_reach_is_where_a_frame_stops_to_matter(name):
    model, phi, changed = MODELS[name], features(60), 30
    other = phi.clone()
    other[changed] += 1
    difference = (model.present(phi[None]).theta - model.present(other[None]).theta)[0].abs().amax(-1)
    before, after = reach_frames(model.design)
    assert (difference > 1e-6).nonzero()[:, 0].tolist() == list(range(changed - after, changed + before + 1))


def test_reaches_are_the_papers():
    reaches = {name: reach_frames(MODELS[name].design) for name in ("centred strip", "causal strip", "pose-forecast")}
    assert reaches == {"centred strip": (6, 6), "causal strip": (12, 0), "pose-forecast": (8, 7)}
    assert all(reach_frames(MODELS[name].design) is None for name in ENDLESS)


@pytest.mark.parametrize("name", ENDLESS)
@torch.inference_mode()
def test_a_short_clip_goes_through_an_endless_model_at_once(name):
    phi = features(200)
    torch.testing.assert_close(present_of_clip(MODELS[name], phi), MODELS[name].present(phi[None]).theta[0])


@torch.inference_mode()
def test_what_a_gru_forgot_is_missed_by_no_piece():
    phi = features(900)
    torch.manual_seed(1)
    for bidirectional in (False, True):
        sizes = {"width": 16, "regressor_width": 8, "recurrent_width": 8}
        model = MotionModel(ModelDesign(FEATURES, "gru", bidirectional=bidirectional, **sizes)).eval()
        whole = model.present(phi[None]).theta[0]
        torch.testing.assert_close(present_of_clip(model, phi), whole, atol=1e-5, rtol=1e-5)
        assert (present_of_clip(model, phi, "papers") - whole).abs().max() > 1e-4


@pytest.mark.parametrize("rule", ["whole", "papers"])
@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_no_call_sees_more_frames_than_allowed(name, rule, monkeypatch):
    model, calls = MODELS[name], []
    original = model.present
    monkeypatch.setattr(model, "present", lambda phi: (calls.append(phi.shape[:2].numel()), original(phi))[1])
    largest = {}
    for frames in (400, 1200):
        theta = present_of_clip(model, features(frames), rule, frames_at_once=200)
        largest[frames] = max(calls)
        assert theta.shape == (frames, 85)
    assert largest[400] == largest[1200] <= 200


def by_hand_hmmr(model, phi):
    """Frame by frame: the window that begins at a multiple of 8 and has the frame in its middle; ends as they come."""
    frames, theta = len(phi), torch.full((len(phi), 85), torch.nan)
    for start in range(0, frames - 19, 8):
        said = model.present(phi[None, start : start + 20]).theta[0]
        first = 0 if start == 0 else 6
        theta[start + first : start + 14] = said[first:14]
    last = model.present(phi[None, -20:]).theta[0]
    for frame in range(frames):
        if theta[frame].isnan().any():
            theta[frame] = last[frame - (frames - 20)]
    return theta


@pytest.mark.parametrize("frames", [20, 21, 27, 28, 45, 60])
@torch.inference_mode()
def test_hmmr_slides_windows_of_20_and_keeps_the_middle(frames):
    model, phi = MODELS["strip over time"], features(frames)
    theta = present_of_clip(model, phi, "papers")
    torch.testing.assert_close(theta, by_hand_hmmr(model, phi), atol=1e-5, rtol=1e-5)
    assert {window.last - window.first for window in windows_of(model.design, 300, "papers", 480)[1:-1]} == {8}


@pytest.mark.parametrize("frames", [5, 16, 17, 48, 55])
@torch.inference_mode()
def test_vibe_runs_chunks_of_16_and_keeps_the_remainder(frames):
    model, phi = MODELS["gru"], features(frames)
    by_hand = torch.cat([model.present(chunk[None]).theta[0] for chunk in phi.split(16)])
    torch.testing.assert_close(present_of_clip(model, phi, "papers"), by_hand, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_tcmr_takes_a_window_a_frame_with_repeated_ends():
    model, phi = MODELS["pose-forecast"], features(37)
    padded = torch.cat([phi[:1].expand(8, -1), phi, phi[-1:].expand(7, -1)])
    by_hand = [model(padded[None, frame : frame + 16]).contextual.theta[0, 0] for frame in range(37)]
    for rule in ("whole", "papers"):
        theta = present_of_clip(model, phi, rule, frames_at_once=20)
        torch.testing.assert_close(theta, torch.stack(by_hand), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_phd_runs_over_the_whole_clip():
    for name in ("causal strip", "causal over time"):
        model, phi = MODELS[name], features(100)
        torch.testing.assert_close(present_of_clip(model, phi, "papers"), model.present(phi[None]).theta[0])


@pytest.mark.parametrize("stride", [2, 3])
@torch.inference_mode()
def test_a_stride_predicts_each_interleaved_sequence_by_itself(stride):
    model, phi = MODELS["gru"], features(41)
    theta = present_of_clip(model, phi, frame_stride=stride)
    for first in range(stride):
        alone = model.present(phi[None, first::stride]).theta[0]
        torch.testing.assert_close(theta[first::stride], alone, atol=1e-6, rtol=1e-5)
    assert present_of_clip(model, phi[:1], frame_stride=stride).shape == (1, 85)


@given(frames=st.integers(1, 50), stride=st.integers(1, 7))
def test_taking_a_clip_apart_and_putting_it_back_changes_nothing(frames, stride):
    clip = torch.arange(frames * 2).reshape(frames, 2)
    parts = [clip[first::stride] for first in range(min(stride, frames))]
    assert torch.equal(interleaved(parts), clip)


@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 12), st.integers(0, 12))
def test_windows_cover_every_frame_once_with_its_context(frames, spare, before, after):
    length = before + after + spare
    windows = sliding(frames, length, before, after)
    assert [frame for window in windows for frame in range(window.first, window.last)] == list(range(frames))
    assume(frames > length)
    for window in windows:
        assert window.start >= 0 and window.stop <= frames and window.stop - window.start == length
        assert window.start == 0 or window.first - window.start >= before
        assert window.stop == frames or window.stop - window.last >= after


def test_windows_apart_touch():
    assert [(window.start, window.stop) for window in apart(35, 16)] == [(0, 16), (16, 32), (32, 35)]


def test_windows_with_nothing_to_keep_are_refused():
    with pytest.raises(FatalError, match="take windows of 129 or more"):
        present_of_clip(MODELS["gru"], features(300), frames_at_once=2 * FADED_FRAMES)


@torch.inference_mode()
def test_a_hallucination_needs_only_its_frame():
    model, phi = small_model(hallucinator=True, encoder="movie-strip"), features(50)
    theta = hallucination_of_clip(model, phi, frames_at_once=7)
    torch.testing.assert_close(theta, model.hallucinate(phi[None]).theta[0], atol=1e-6, rtol=1e-5)
    one = model.hallucinate(phi[None, 20:21]).theta[0, 0]
    torch.testing.assert_close(theta[20], one, atol=1e-6, rtol=1e-5)
