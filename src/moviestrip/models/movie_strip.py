"""The temporal encoder f_movie of HMMR: features phi of neighbouring frames in, one movie strip Phi a frame out.

Residual blocks of two kernel-3 convolutions over time, normalised and rectified before each (pre-activation).
Three blocks see 13 frames through their convolutions. Group normalisation as published takes its statistics
over time as well as over channels, so that in truth every frame reaches every other a little; the variant
`group-norm-per-frame` closes that path, which a causal model needs.
"""

import math
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

NormName = Literal["group-norm-over-time", "group-norm-per-frame"]
GROUPS = 32
EPSILON = 1e-6
LAST_CONVOLUTION_GAIN = 1e-3  # a new block starts as (almost) the identity


def receptive_field_frames(residual_blocks: int) -> int:
    """How many frames the convolutions of an encoder see: two kernels of 3 a block."""
    return 1 + 4 * residual_blocks


class GroupNormOverFrames(nn.GroupNorm):
    """Group normalisation of (B, C, T), with the statistics over time too or of each frame alone."""

    def __init__(self, width: int, norm: NormName):
        super().__init__(math.gcd(GROUPS, width), width, eps=EPSILON)
        self.per_frame = norm == "group-norm-per-frame"

    def forward(self, strip: Float[Tensor, "batch width frames"]) -> Float[Tensor, "batch width frames"]:
        if not self.per_frame:
            return super().forward(strip)
        batch, width, frames = strip.shape
        single = strip.transpose(1, 2).reshape(batch * frames, width)
        return super().forward(single).reshape(batch, frames, width).transpose(1, 2)


class ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x))))))."""

    def __init__(self, width: int, norm: NormName):
        super().__init__()
        self.norm1 = GroupNormOverFrames(width, norm)
        self.conv1 = nn.Conv1d(width, width, 3, padding=1)
        self.norm2 = GroupNormOverFrames(width, norm)
        self.conv2 = nn.Conv1d(width, width, 3, padding=1)
        nn.init.xavier_uniform_(self.conv1.weight)
        nn.init.xavier_uniform_(self.conv2.weight, gain=LAST_CONVOLUTION_GAIN)
        for convolution in (self.conv1, self.conv2):
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)

    def forward(self, strip: Float[Tensor, "batch width frames"]) -> Float[Tensor, "batch width frames"]:
        hidden = self.conv1(self.norm1(strip).relu())
        return strip + self.conv2(self.norm2(hidden).relu())


class MovieStripEncoder(nn.Module):
    """f_movie: (batch, frames, width) to the movie strip of the same shape, zero padded at both ends."""

    def __init__(self, width: int, residual_blocks: int = 3, norm: NormName = "group-norm-over-time"):
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(width, norm) for _ in range(residual_blocks)))

    def forward(self, phi: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch frames width"]:
        return self.blocks(phi.transpose(1, 2)).transpose(1, 2)
