"""The motion prior and its frame-wise twin: what they see, what they weigh, and where their gradients go."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as exact_kl

from moviestrip.errors import FatalError
from moviestrip.models.model import parameter_count
from moviestrip.models.motion_prior import (
    MotionPrior,
    MotionPriorDesign,
    kl_divergence,
    motion_prior_loss,
    prior_length,
)
from tests.training.stick_world import stick_motions

TWINS = {"mposer": MotionPriorDesign(hidden=24), "vposer": MotionPriorDesign(hidden=24, frame_wise=True)}


def prior_named(name: str) -> MotionPrior:
    torch.manual_seed(0)
    prior = MotionPrior(TWINS[name])
    prior.standardise(torch.cat(list(stick_motions()))[:, 1:])
    return prior


def motions(count: int = 3, frames: int = 6) -> torch.Tensor:
    return stick_motions().draw(np.random.default_rng(0), count, frames)


@pytest.mark.parametrize("name", TWINS)
def test_32_numbers_a_time_step_and_rotations_back(name: str):
    prior = prior_named(name)
    mean, log_variance = prior.encode(motions()[:, :, 1:])
    assert mean.shape == log_variance.shape == (3, 6, 32)
    decoded = prior.decode(mean)
    assert decoded.shape == (3, 6, 23, 3, 3)
    torch.testing.assert_close(decoded @ decoded.mT, torch.eye(3).expand_as(decoded), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(decoded), torch.ones(3, 6, 23), atol=1e-5, rtol=0)


def test_a_motions_code_knows_the_other_frames_and_a_poses_code_does_not():
    given = motions()[:, :, 1:]
    changed = given.clone()
    changed[:, 3] = torch.eye(3)
    for name, sees in (("mposer", True), ("vposer", False)):
        prior = prior_named(name)
        differs = (prior.encode(given)[0] != prior.encode(changed)[0]).any(-1).any(0)
        assert differs.tolist() == [sees, sees, sees, True, sees, sees]
        codes = prior.encode(given)[0].detach()
        other = codes.clone()
        other[:, 3] += 1
        differs = (prior.decode(codes) != prior.decode(other)).flatten(2).any(-1).any(0)
        assert differs.tolist() == [sees, sees, sees, True, sees, sees]


@pytest.mark.parametrize(("hidden", "layers"), [(24, 2), (128, 2), (1024, 2), (64, 1), (64, 3)])
def test_the_twins_have_as_many_weights(hidden: int, layers: int):
    with torch.device("meta"):
        counts = [
            parameter_count(MotionPrior(MotionPriorDesign(hidden, layers=layers, frame_wise=twin)))
            for twin in (False, True)
        ]
    assert counts[0] <= counts[1] < 1.03 * counts[0]


def test_the_divergence_is_that_of_two_normal_distributions():
    mean, log_variance = torch.randn(2, 4, 5, 32, generator=torch.manual_seed(1))
    exact = exact_kl(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(-1).mean()
    torch.testing.assert_close(kl_divergence(mean, log_variance), exact)
    assert kl_divergence(torch.zeros(2, 32), torch.zeros(2, 32)) == 0


def test_the_length_is_that_of_each_time_steps_code():
    mean = torch.randn(4, 5, 32, generator=torch.manual_seed(1))
    assert prior_length(mean).item() == pytest.approx(np.linalg.norm(mean.numpy(), axis=-1).mean(), rel=1e-6)
    at_rest = torch.zeros(4, 5, 32, requires_grad=True)
    prior_length(at_rest).backward()
    assert at_rest.grad is not None
    assert not at_rest.grad.any()


@pytest.mark.parametrize("name", TWINS)
def test_the_loss_moves_predictions_and_leaves_the_prior_alone(name: str):
    prior = prior_named(name).double().requires_grad_(False)
    rotations = motions(2, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda given: motion_prior_loss(prior, given), (rotations,))
    motion_prior_loss(prior, rotations).backward()
    assert rotations.grad is not None
    assert not rotations.grad[:, :, 0].any()  # the root is not judged
    assert rotations.grad[:, :, 1:].any()
    assert all(parameter.grad is None for parameter in prior.parameters())


def test_rotations_of_another_shape_are_named():
    with pytest.raises(FatalError, match=r"\(motions, frames, 23, 3, 3\) rotations, got \(3, 6, 24, 3, 3\)"):
        prior_named("mposer").encode(motions())
