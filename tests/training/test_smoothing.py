"""The filters over time, against scipy's rotations and the 1 euro filter's own paper."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation, Slerp

from moviestrip.training.smoothing import (
    Gaussian,
    Motion,
    OneEuro,
    SlerpAverage,
    gaussian_rotations,
    one_euro_rotations,
    one_euro_values,
    slerp_rotations,
    smooth_clips,
)

FPS = 25.0


def wandering(frames: int = 30, joints: int = 24, step: float = 0.4, seed: int = 0) -> torch.Tensor:
    """(frames, joints, 3, 3): each joint turns by a random angle a frame, far beyond half a turn in all."""
    generator = np.random.default_rng(seed)
    turned, sequence = Rotation.random(joints, random_state=seed), []
    for _ in range(frames):
        turned = Rotation.from_rotvec(generator.normal(0, step, (joints, 3))) * turned
        sequence.append(turned.as_matrix())
    return torch.from_numpy(np.stack(sequence))


def turning(frames: int, step: float) -> torch.Tensor:
    """(frames, 1, 3, 3): about one axis at constant speed."""
    axis = np.array([0.6, 0.0, 0.8])
    return torch.from_numpy(Rotation.from_rotvec(np.outer(np.arange(frames) * step, axis)).as_matrix())[:, None]


def motion(rotations: torch.Tensor, seed: int = 0) -> Motion:
    generator = torch.Generator().manual_seed(seed)
    frames = len(rotations)
    return Motion(torch.randn(frames, 3, generator=generator), rotations, torch.randn(frames, 10, generator=generator))


FILTERS = {
    "gaussian": lambda rotations: gaussian_rotations(rotations, 1.5),
    "one-euro": lambda rotations: one_euro_rotations(rotations, FPS, 1.0, 0.5),
    "slerp": slerp_rotations,
}


class PrintedOneEuro:
    """Algorithm 1 and 2 of Casiez, Roussel and Vogel (CHI 2012), line by line, on one number at a time."""

    def __init__(self, rate_hz: float, minimum_cutoff_hz: float, beta: float):
        self.rate_hz, self.minimum_cutoff_hz, self.beta = rate_hz, minimum_cutoff_hz, beta
        self.first_time, self.last, self.last_speed = True, math.nan, math.nan

    def alpha(self, cutoff_hz: float) -> float:
        tau_s, period_s = 1 / (2 * math.pi * cutoff_hz), 1 / self.rate_hz
        return 1 / (1 + tau_s / period_s)

    def __call__(self, value: float) -> float:
        if self.first_time:
            self.first_time, self.last, self.last_speed = False, value, 0.0
            return value
        speed, share = (value - self.last) * self.rate_hz, self.alpha(1.0)
        self.last_speed = share * speed + (1 - share) * self.last_speed
        share = self.alpha(self.minimum_cutoff_hz + self.beta * abs(self.last_speed))
        self.last = share * value + (1 - share) * self.last
        return self.last


def test_slerp_is_scipys_step_by_step():
    rotations = wandering()
    smoothed = slerp_rotations(rotations)
    for joint in range(24):
        last = Rotation.from_matrix(rotations[0, joint].numpy())
        for frame in range(1, 30):
            both = Rotation.concatenate([last, Rotation.from_matrix(rotations[frame, joint].numpy())])
            last = Slerp([0, 1], both)([0.3])[0]
            np.testing.assert_allclose(smoothed[frame, joint].numpy(), last.as_matrix(), atol=1e-6)


def test_half_way_between_two_rotations_is_their_mean():
    two = wandering(2)
    smoothed = slerp_rotations(two, share=0.5)[1].numpy()
    means = [Rotation.from_matrix(two[:, joint].numpy()).mean().as_matrix() for joint in range(24)]
    np.testing.assert_allclose(smoothed, means, atol=1e-6)


def test_the_gaussian_is_scipys_weighted_mean():
    rotations, sigma = wandering(12, 3), 1.2
    smoothed, radius = gaussian_rotations(rotations, sigma), int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    for frame in range(12):
        near = rotations[np.clip(frame + offsets, 0, 11)].numpy()
        means = [Rotation.from_matrix(near[:, joint]).mean(weights).as_matrix() for joint in range(3)]
        np.testing.assert_allclose(smoothed[frame].numpy(), means, atol=1e-6)


@pytest.mark.parametrize("name", FILTERS)
def test_standing_still_stays(name):
    still = wandering(1).expand(20, -1, -1, -1).contiguous()
    torch.testing.assert_close(FILTERS[name](still), still, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", FILTERS)
def test_a_turned_world_gives_the_turned_result(name):
    rotations, turn = wandering(), wandering(1, 1, seed=5)[0, 0]
    smoothed = FILTERS[name](rotations)
    torch.testing.assert_close(FILTERS[name](turn @ rotations), turn @ smoothed, atol=1e-6, rtol=0)
    torch.testing.assert_close(FILTERS[name](rotations @ turn), smoothed @ turn, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", FILTERS)
def test_what_comes_out_is_a_rotation(name):
    smoothed = FILTERS[name](wandering().float())
    identity = torch.eye(3).expand_as(smoothed)
    torch.testing.assert_close(smoothed @ smoothed.mT, identity, atol=1e-5, rtol=0)
    assert (torch.linalg.det(smoothed) > 0).all()


def test_slerp_follows_a_steady_turn_seven_thirds_of_a_frame_behind():
    """Over several turns, where the signs of quaternions flip: nothing jumps."""
    step = 0.3
    smoothed = Rotation.from_matrix(slerp_rotations(turning(120, step))[:, 0].numpy())
    steps = (smoothed[:-1].inv() * smoothed[1:]).magnitude()
    assert steps.max() <= step + 1e-6
    behind = (smoothed[40:].inv() * Rotation.from_matrix(turning(120, step)[40:, 0].numpy())).magnitude()
    np.testing.assert_allclose(behind, step * 0.7 / 0.3, atol=1e-5)


def test_slerp_looks_back_only():
    rotations = wandering()
    other = rotations.clone()
    other[20:] = wandering(seed=3)[20:]
    torch.testing.assert_close(slerp_rotations(rotations)[:20], slerp_rotations(other)[:20])
    assert not torch.allclose(slerp_rotations(rotations)[20:], slerp_rotations(other)[20:])


@pytest.mark.parametrize(("cutoff_hz", "beta"), [(0.5, 0.0), (1.0, 0.3), (4.0, 2.0)])
def test_one_euro_of_values_is_the_papers_algorithm(cutoff_hz, beta):
    values = np.cumsum(np.random.default_rng(0).normal(0, 0.2, (60, 4)), axis=0)
    expected = np.empty_like(values)
    for channel in range(4):
        printed = PrintedOneEuro(FPS, cutoff_hz, beta)
        expected[:, channel] = [printed(value) for value in values[:, channel]]
    np.testing.assert_allclose(one_euro_values(torch.from_numpy(values), FPS, cutoff_hz, beta), expected, atol=1e-12)


@pytest.mark.parametrize(("cutoff_hz", "beta"), [(0.5, 0.0), (1.0, 0.3), (4.0, 2.0)])
def test_one_euro_about_one_axis_is_the_papers_algorithm_on_the_angle(cutoff_hz, beta):
    """There a rotation is its angle; past half a turn too, as long as no step is one."""
    angles = np.cumsum(np.random.default_rng(1).normal(0.1, 0.15, 80))
    axis = np.array([0.6, 0.0, 0.8])
    rotations = torch.from_numpy(Rotation.from_rotvec(np.outer(angles, axis)).as_matrix())[:, None]
    smoothed = one_euro_rotations(rotations, FPS, cutoff_hz, beta)[:, 0]
    printed = PrintedOneEuro(FPS, cutoff_hz, beta)
    expected = Rotation.from_rotvec(np.outer([printed(angle) for angle in angles], axis)).as_matrix()
    assert angles.max() > np.pi
    np.testing.assert_allclose(smoothed, expected, atol=1e-9)


def test_one_euro_without_a_slope_is_an_exponential_filter():
    values = np.random.default_rng(2).normal(size=(50, 3))
    share = 1 / (1 + FPS / (2 * np.pi * 1.5))
    expected, _ = lfilter([share], [1, share - 1], values, axis=0, zi=(1 - share) * values[:1])
    np.testing.assert_allclose(one_euro_values(torch.from_numpy(values), FPS, 1.5, 0.0), expected, atol=1e-12)


def test_one_euro_calms_rest_and_lags_less_when_beta_rises():
    generator = np.random.default_rng(3)
    rest = Rotation.from_rotvec(generator.normal(0, 0.05, (100, 3))).as_matrix()
    calm = Rotation.from_matrix(one_euro_rotations(torch.from_numpy(rest)[:, None], FPS, 0.5, 0.2)[50:, 0].numpy())
    assert calm.magnitude().mean() < 0.5 * Rotation.from_matrix(rest[50:]).magnitude().mean()
    fast = turning(100, 0.3)
    behind = [
        (Rotation.from_matrix(one_euro_rotations(fast, FPS, 0.5, beta)[60:, 0].numpy()).inv()
         * Rotation.from_matrix(fast[60:, 0].numpy())).magnitude().mean()
        for beta in (0.1, 0.5, 2.0)
    ]  # fmt: skip
    assert behind[0] > 2 * behind[1] > 4 * behind[2] > 0


@pytest.mark.parametrize("chosen", [Gaussian(2.0), OneEuro(1.0, 0.5), SlerpAverage()], ids=str)
def test_clips_are_filtered_by_themselves_at_their_own_rate(chosen):
    lengths, rates = (20, 12, 20, 20), (25.0, 25.0, 50.0, 25.0)
    clips = [motion(wandering(length, seed=seed), seed) for seed, length in enumerate(lengths)]
    together = smooth_clips(clips, chosen, rates)
    for clip, fps, smoothed in zip(clips, rates, together, strict=True):
        for found, alone in zip(vars(smoothed).values(), vars(chosen.smooth(clip, fps)).values(), strict=True):
            torch.testing.assert_close(found, alone)


def test_only_one_euro_goes_by_the_frame_rate():
    clip = motion(wandering())
    slow, fast = (OneEuro(1.0, 0.0).smooth(clip, fps).rotations for fps in (25.0, 50.0))
    assert not torch.allclose(slow, fast, atol=1e-2)
    torch.testing.assert_close(Gaussian(2.0).smooth(clip, 25.0).betas, Gaussian(2.0).smooth(clip, 50.0).betas)


@pytest.mark.parametrize("chosen", [Gaussian(2.0), OneEuro(1.0, 0.1)], ids=str)
def test_slerp_leaves_cameras_and_shapes_and_ours_do_not(chosen):
    raw = motion(wandering())
    slerp, ours = SlerpAverage().smooth(raw, FPS), chosen.smooth(raw, FPS)
    assert torch.equal(slerp.camera, raw.camera) and torch.equal(slerp.betas, raw.betas)
    assert torch.equal(slerp.rotations, slerp_rotations(raw.rotations))
    assert ours.camera.diff(dim=0).abs().mean() < 0.5 * raw.camera.diff(dim=0).abs().mean()
    assert ours.betas.diff(dim=0).abs().mean() < 0.5 * raw.betas.diff(dim=0).abs().mean()
