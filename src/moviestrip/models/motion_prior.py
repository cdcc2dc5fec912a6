"""VIBE's motion prior MPoser, and VPoser, the prior over single poses that it is held against.

MPoser is a sequential variational autoencoder: recurrent layers turn a motion into 32 numbers at each time step, and
others turn those back into the motion; both read it in both directions, since a prior judges whole motions. The
frame-wise twin has plain layers of the same capacity in their place, so that each frame stands alone. Rotations go in
and out in their continuous 6D form: axis-angle numbers jump where a joint passes half a turn, and a jump is costly to
reproduce. The root is left out: a prior is about the body's pose.

Neither has dropout, so training and evaluation mode are the same. Leave a prior in training mode where a gradient
passes through it: on a GPU, recurrent layers refuse one in evaluation mode.
"""

from dataclasses import dataclass
from itertools import count, pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moviestrip.errors import FatalError
from moviestrip.geometry import matrix_to_rotation_6d, rotation_6d_to_matrix

PRIOR_JOINTS = 23
POSE_SIZE = PRIOR_JOINTS * 6
REST_6D = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)  # the identity
LATENT = 32
SPREAD_FLOOR = 0.1  # joints that hardly move in the training motions are not blown up to the size of the others


@dataclass(frozen=True)
class MotionPriorDesign:
    """Every choice that decides which weights a prior has."""

    hidden: int = 1024  # states of both directions together
    latent: int = LATENT
    layers: int = 2
    frame_wise: bool = False


class MotionPrior(nn.Module):
    """(motions, frames, 23, 3, 3) rotations to a distribution of codes (motions, frames, 32), and back."""

    centre: Tensor
    spread: Tensor

    def __init__(self, design: MotionPriorDesign):
        super().__init__()
        self.design = design
        self.register_buffer("centre", torch.tensor(REST_6D).repeat(PRIOR_JOINTS))
        self.register_buffer("spread", torch.ones(POSE_SIZE))
        self.encoder = _layers(POSE_SIZE, 2 * design.latent, design)
        self.decoder = _layers(design.latent, POSE_SIZE, design)

    def standardise(self, rotations: Float[Tensor, "frames 23 3 3"]) -> None:
        """Read and write 6D numbers as differences from their mean in the training motions, in their spreads."""
        sixd = matrix_to_rotation_6d(rotations).flatten(-2)
        self.centre.copy_(sixd.mean(0))
        self.spread.copy_(sixd.std(0) + SPREAD_FLOOR)

    def encode(
        self, rotations: Float[Tensor, "motions frames 23 3 3"]
    ) -> tuple[Float[Tensor, "motions frames latent"], Float[Tensor, "motions frames latent"]]:
        """Mean and log variance of the codes."""
        if rotations.ndim != 5 or rotations.shape[2:] != (PRIOR_JOINTS, 3, 3):
            raise FatalError(
                f"a motion prior reads (motions, frames, {PRIOR_JOINTS}, 3, 3) rotations, got "
                f"{tuple(rotations.shape)}; leave out the root"
            )
        sixd = (matrix_to_rotation_6d(rotations).flatten(-2) - self.centre) / self.spread
        mean, log_variance = self.encoder(sixd).chunk(2, dim=-1)
        return mean, log_variance

    def decode(self, codes: Float[Tensor, "motions frames latent"]) -> Float[Tensor, "motions frames 23 3 3"]:
        sixd = self.decoder(codes) * self.spread + self.centre
        return rotation_6d_to_matrix(sixd.unflatten(-1, (PRIOR_JOINTS, 6)))

    def reconstruct(self, rotations: Float[Tensor, "motions frames 23 3 3"]) -> Float[Tensor, "motions frames 23 3 3"]:
        """What is left of a motion that went through its likeliest code."""
        return self.decode(self.encode(rotations)[0])


class Recurrent(nn.Module):
    """GRU layers in both directions, and a linear one over their states."""

    def __init__(self, inputs: int, outputs: int, design: MotionPriorDesign):
        super().__init__()
        each_way = design.hidden // 2
        self.gru = nn.GRU(inputs, each_way, design.layers, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * each_way, outputs)

    def forward(self, values: Float[Tensor, "motions frames inputs"]) -> Float[Tensor, "motions frames outputs"]:
        return self.linear(self.gru(values)[0])


def _layers(inputs: int, outputs: int, design: MotionPriorDesign) -> nn.Module:
    if not design.frame_wise:
        return Recurrent(inputs, outputs, design)
    width = matched_width(inputs, outputs, design)
    sizes = [inputs, *[width] * design.layers]
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise(sizes):
        layers += [nn.Linear(size_in, size_out), nn.LeakyReLU()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def matched_width(inputs: int, outputs: int, design: MotionPriorDesign) -> int:
    """Hidden units with which plain layers have as many weights as the recurrent ones."""
    with torch.device("meta"):
        wanted = sum(value.numel() for value in Recurrent(inputs, outputs, design).parameters())

    def weights(width: int) -> int:
        between = (design.layers - 1) * (width + 1) * width
        return (inputs + 1) * width + between + (width + 1) * outputs

    return next(width for width in count(1) if weights(width) >= wanted)


def kl_divergence(
    mean: Float[Tensor, "*batch latent"], log_variance: Float[Tensor, "*batch latent"]
) -> Float[Tensor, ""]:
    """How far the codes' distribution is from the standard normal, in nats a code."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1).mean()


def prior_length(mean: Float[Tensor, "*batch latent"]) -> Float[Tensor, ""]:
    """||z||_2 of each time step's code, averaged: what is far from the middle is unlikely."""
    return torch.linalg.vector_norm(mean, dim=-1).mean()


def motion_prior_loss(prior: MotionPrior, rotations: Float[Tensor, "motions frames 24 3 3"]) -> Float[Tensor, ""]:
    """L_MPoser of predicted motions; their root is passed over. Freeze the prior: the gradient is for the rotations."""
    return prior_length(prior.encode(rotations[:, :, 1:])[0])
