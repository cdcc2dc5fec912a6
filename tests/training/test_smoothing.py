"""The filters over time, against scipy's rotations."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation, Slerp

from moviestrip.errors import ConfigError
from moviestrip.training.smoothing import Motion, gaussian_rotations, slerp_rotations, smooth


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


def motion(rotations: torch.Tensor) -> Motion:
    generator = torch.Generator().manual_seed(0)
    frames = len(rotations)
    return Motion(torch.randn(frames, 3, generator=generator), rotations, torch.randn(frames, 10, generator=generator))


FILTERS = {"gaussian": lambda rotations: gaussian_rotations(rotations, 1.5), "slerp": slerp_rotations}


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


def test_slerp_leaves_cameras_and_shapes_and_the_gaussian_does_not():
    raw = motion(wandering())
    slerp, gaussian = smooth(raw, "slerp"), smooth(raw, "gaussian", 2.0)
    assert torch.equal(slerp.camera, raw.camera) and torch.equal(slerp.betas, raw.betas)
    assert torch.equal(slerp.rotations, slerp_rotations(raw.rotations))
    assert gaussian.camera.diff(dim=0).abs().mean() < 0.3 * raw.camera.diff(dim=0).abs().mean()
    assert gaussian.betas.diff(dim=0).abs().mean() < 0.3 * raw.betas.diff(dim=0).abs().mean()
    assert smooth(raw, "none") is raw


def test_a_gaussian_needs_a_width():
    with pytest.raises(ConfigError, match="gaussian_sigma_frames"):
        smooth(motion(wandering()), "gaussian")
