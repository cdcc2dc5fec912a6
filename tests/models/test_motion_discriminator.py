"""VIBE's motion discriminator: how its states become one judgement."""

from itertools import pairwise

import pytest
import torch

from moviestrip.models.model import parameter_count
from moviestrip.models.motion_discriminator import MotionDiscriminator, SelfAttention

POOLINGS = ["attention", "concat", "last"]


def discriminator(pooling: str, **over) -> MotionDiscriminator:
    torch.manual_seed(0)
    return MotionDiscriminator(hidden=12, pooling=pooling, attention_width=10, **over).eval()


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("motions", "frames"), [(1, 16), (3, 16), (2, 1)])
def test_every_motion_gets_one_score(pooling, motions, frames):
    judgement = discriminator(pooling)(torch.randn(motions, frames, 69))
    assert judgement.score.shape == (motions, 1)
    if pooling == "attention":
        assert judgement.attention.shape == (motions, frames)
        torch.testing.assert_close(judgement.attention.sum(1), torch.ones(motions))
    else:
        assert judgement.attention is None


@pytest.mark.parametrize("pooling", POOLINGS)
def test_motions_are_judged_by_themselves(pooling):
    judge, poses = discriminator(pooling), torch.randn(3, 8, 69)
    torch.testing.assert_close(judge(poses).score[1:2], judge(poses[1:2]).score)


@pytest.mark.parametrize("pooling", POOLINGS)
@torch.no_grad()
def test_the_order_of_frames_matters(pooling):
    judge, poses = discriminator(pooling), torch.randn(4, 8, 69)
    assert (judge(poses).score - judge(poses.flip(1)).score).abs().max() > 1e-4


@torch.no_grad()
def test_concat_sees_the_mean_and_the_maximum_of_what_is_positive():
    judge, poses = discriminator("concat"), torch.randn(2, 8, 69)
    states = judge.gru(poses)[0].clamp(min=0)
    for kept, pooled in ((slice(0, 12), states.mean(1)), (slice(12, 24), states.max(1).values)):
        alone = discriminator("concat")
        alone.fc.weight[:, slice(12, 24) if kept.start == 0 else slice(0, 12)] = 0
        torch.testing.assert_close(alone(poses).score, pooled @ alone.fc.weight[:, kept].T + alone.fc.bias)


@pytest.mark.parametrize(("layers", "width"), [(2, 512), (2, 1024), (3, 512), (3, 1024)])
def test_attention_has_the_printed_layers(layers, width):
    with torch.device("meta"):
        attention = SelfAttention(1024, layers, width)
        sizes = [1024, *[width] * layers]
        expected = [torch.nn.Linear(*pair) for pair in pairwise(sizes)]
        expected.append(torch.nn.Linear(width, 1))
        assert parameter_count(attention) == sum(parameter_count(layer) for layer in expected)


@torch.no_grad()
def test_scores_of_attention_are_bounded_so_no_frame_is_shut_out():
    """Each score is a tanh: no weight exceeds another by more than e^2."""
    judge = discriminator("attention")
    for weight in judge.attention.parameters():
        weight.mul_(100)
    attention = judge(10 * torch.randn(4, 16, 69)).attention
    ratio = attention.amax(1) / attention.amin(1)
    assert ratio.max() > 2 and ratio.max() <= torch.e**2 * (1 + 1e-5)


def test_attention_starts_small_and_drops_out_in_training_only():
    attention = SelfAttention(16, 2, 16)
    assert all(value.abs().max() <= 0.1 for value in attention.parameters())
    assert all(torch.all(layer.bias == 0.01) for layer in attention.layers if isinstance(layer, torch.nn.Linear))
    judge, poses = discriminator("attention"), torch.randn(2, 8, 69)
    assert torch.equal(judge(poses).score, judge(poses).score)
    judge.train()
    assert not torch.equal(judge(poses).score, judge(poses).score)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradients_are_right(pooling):
    torch.manual_seed(0)
    judge = MotionDiscriminator(3, 1, pooling, 1, 3).double().eval()
    poses = torch.randn(1, 3, 69, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda poses: judge(poses).score, poses)
