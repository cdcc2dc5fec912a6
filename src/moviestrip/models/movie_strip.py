"""The temporal encoder f_movie: features phi of neighbouring frames in, one movie strip Phi a frame out.

Residual blocks of two kernel-3 convolutions over time, normalised and rectified before each (pre-activation).
Three blocks see 13 frames through their convolutions: HMMR's around the current frame, PHD's up to it. Group
normalisation as published takes its statistics over time as well as over channels, so that in truth every frame
reaches every other a little; `group-norm-per-frame` closes that path, which a model that must not see the future
needs.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, pad

NormName = Literal["group-norm-over-time", "group-norm-per-frame"]
PaddingName = Literal["zeros", "edge"]
KERNEL = 3
GROUPS = 32
EPSILON = 1e-6
LAST_CONVOLUTION_GAIN = 1e-3  # a new block starts as (almost) the identity


def receptive_field_frames(residual_blocks: int) -> int:
    """How many frames the convolutions of an encoder see: two kernels of 3 a block."""
    return 1 + 4 * residual_blocks


class GroupNormOverFrames(nn.GroupNorm):
    """Group normalisation of (B, C, T), with the statistics over time too or of each frame alone."""

    def __init__(self, width: int, norm: NormName, groups: int):
        super().__init__(math.gcd(groups, width), width, eps=EPSILON)
        self.per_frame = norm == "group-norm-per-frame"

    def forward(self, strip: Float[Tensor, "batch width frames"]) -> Float[Tensor, "batch width frames"]:
        if not self.per_frame:
            return super().forward(strip)
        groups = strip.transpose(1, 2).unflatten(-1, (self.num_groups, -1))
        # Several times faster than a group norm over single frames, and the same.
        normal = layer_norm(groups, groups.shape[-1:], eps=self.eps).flatten(-2)
        return (normal * self.weight + self.bias).transpose(1, 2)


class TemporalConvolution(nn.Conv1d):
    """Kernel 3 over time: centred on the frame, or ending at it. Outside the clip lie zeros, or its end frames."""

    def __init__(self, width: int, causal: bool, ends: PaddingName):
        super().__init__(width, width, KERNEL)
        self.reach = (KERNEL - 1, 0) if causal else (KERNEL // 2, KERNEL // 2)
        self.ends = "constant" if ends == "zeros" else "replicate"

    def forward(self, strip: Float[Tensor, "batch width frames"]) -> Float[Tensor, "batch width frames"]:
        return super().forward(pad(strip, self.reach, mode=self.ends))

    def at_last(self, strip: Float[Tensor, "batch width 3"]) -> Float[Tensor, "batch width 1"]:
        """The output at the last of three frames, where nothing is padded: one matrix product."""
        return linear(strip.flatten(1), self.weight.flatten(1), self.bias)[..., None]


class ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x))))))."""

    def __init__(
        self, width: int, norm: NormName, causal: bool = False, ends: PaddingName = "zeros", groups: int = GROUPS
    ):
        super().__init__()
        self.norm1 = GroupNormOverFrames(width, norm, groups)
        self.conv1 = TemporalConvolution(width, causal, ends)
        self.norm2 = GroupNormOverFrames(width, norm, groups)
        self.conv2 = TemporalConvolution(width, causal, ends)
        nn.init.xavier_uniform_(self.conv1.weight)
        nn.init.xavier_uniform_(self.conv2.weight, gain=LAST_CONVOLUTION_GAIN)
        for convolution in (self.conv1, self.conv2):
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)

    def forward(self, strip: Float[Tensor, "batch width frames"]) -> Float[Tensor, "batch width frames"]:
        hidden = self.conv1(self.norm1(strip).relu())
        return strip + self.conv2(self.norm2(hidden).relu())

    def remember(self, strip: Float[Tensor, "batch width frames"]) -> tuple[Tensor, list[Tensor]]:
        """The output, and the last two inputs of each convolution: all that a next frame needs of the past."""
        first = self.norm1(strip).relu()
        second = self.norm2(self.conv1(first)).relu()
        return strip + self.conv2(second), [first[..., 1 - KERNEL :], second[..., 1 - KERNEL :]]

    def advance(self, frame: Float[Tensor, "batch width 1"], memory: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The output at one more frame, and what to remember from there on; needs a causal per-frame block."""
        first = torch.cat([memory[0], self.norm1(frame).relu()], dim=-1)
        second = torch.cat([memory[1], self.norm2(self.conv1.at_last(first)).relu()], dim=-1)
        return frame + self.conv2.at_last(second), [first[..., 1:], second[..., 1:]]


class MovieStripEncoder(nn.Module):
    """f_movie: (batch, frames, width) to the movie strip of the same shape."""

    def __init__(
        self,
        width: int,
        residual_blocks: int = 3,
        norm: NormName = "group-norm-over-time",
        causal: bool = False,
        ends: PaddingName = "zeros",
        groups: int = GROUPS,
    ):
        super().__init__()
        blocks = (ResidualBlock(width, norm, causal, ends, groups) for _ in range(residual_blocks))
        self.blocks = nn.Sequential(*blocks)

    def forward(self, phi: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch frames width"]:
        return self.blocks(phi.transpose(1, 2)).transpose(1, 2)
