"""The autoregressor f_AR of PHD: from the strips (or poses) up to now, the next one, and from that the one after.

It has the causal architecture of the temporal encoder and sees 13 frames. Its output at frame t speaks of frame
t + 1. In prediction it is fed what it said itself; in training too, for as many steps as the curriculum has reached.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moviestrip.errors import FatalError
from moviestrip.models.movie_strip import GROUPS, MovieStripEncoder, NormName, ResidualBlock, receptive_field_frames


class Autoregressor(MovieStripEncoder):
    """f_AR in the space of movie strips."""

    def __init__(
        self,
        width: int,
        residual_blocks: int = 3,
        norm: NormName = "group-norm-over-time",
        groups: int = GROUPS,
    ):
        super().__init__(width, residual_blocks, norm, causal=True, ends="edge", groups=groups)
        self.sees_frames = receptive_field_frames(residual_blocks)
        self.per_frame = norm == "group-norm-per-frame"

    def enter(self, known: Float[Tensor, "batch frames size"]) -> Float[Tensor, "batch frames width"]:
        """What is predicted, at the width of the blocks."""
        return known

    def leave(
        self, hidden: Float[Tensor, "batch frames width"], known: Float[Tensor, "batch frames size"]
    ) -> Float[Tensor, "batch frames size"]:
        """What follows each known frame, from what the blocks say there."""
        return hidden

    def forward(self, known: Float[Tensor, "batch frames size"]) -> Float[Tensor, "batch frames size"]:
        return self.leave(super().forward(self.enter(known)), known)

    def roll_out(self, known: Float[Tensor, "batch past size"], steps: int) -> Float[Tensor, "batch steps size"]:
        """The `steps` frames after the known ones, each predicted from the 13 before it, its own included."""
        if known.shape[1] < self.sees_frames:
            raise FatalError(
                f"the autoregressor reads {self.sees_frames} frames and was given {known.shape[1]}; "
                f"condition it on more frames"
            )
        known = known[:, -self.sees_frames :]
        return self._step_by_step(known, steps) if self.per_frame else self._window_by_window(known, steps)

    def _window_by_window(self, known: Float[Tensor, "batch 13 size"], steps: int) -> Tensor:
        """As released: the whole stack on every window of 13, of which only the last output is kept."""
        predicted: list[Tensor] = []
        for _ in range(steps):
            following = self(known)[:, -1:]
            predicted.append(following)
            known = torch.cat([known[:, 1:], following], dim=1)
        return torch.cat(predicted, dim=1)

    def _step_by_step(self, known: Float[Tensor, "batch 13 size"], steps: int) -> Tensor:
        """The same values where frames are normalised by themselves, at a thirteenth of the cost.

        No output depends on padding: the last of 13 frames sees exactly those 13.
        """
        blocks = [cast(ResidualBlock, block) for block in self.blocks]
        hidden, memories = self.enter(known).transpose(1, 2), []
        for block in blocks:
            hidden, memory = block.remember(hidden)
            memories.append(memory)
        predicted = [self.leave(hidden[..., -1:].transpose(1, 2), known[:, -1:])]
        for _ in range(steps - 1):
            hidden = self.enter(predicted[-1]).transpose(1, 2)
            for index, block in enumerate(blocks):
                hidden, memories[index] = block.advance(hidden, memories[index])
            predicted.append(self.leave(hidden.transpose(1, 2), predicted[-1]))
        return torch.cat(predicted, dim=1)


class PoseAutoregressor(Autoregressor):
    """f_AR in the space of poses and shapes: the same blocks between two linear layers.

    It starts as standing still: the next estimate is the last one until training says otherwise.
    """

    def __init__(
        self,
        estimate_size: int,
        width: int,
        residual_blocks: int = 3,
        norm: NormName = "group-norm-over-time",
        groups: int = GROUPS,
    ):
        super().__init__(width, residual_blocks, norm, groups)
        self.into = nn.Linear(estimate_size, width)
        self.out = nn.Linear(width, estimate_size)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def enter(self, known: Float[Tensor, "batch frames estimate"]) -> Float[Tensor, "batch frames width"]:
        return self.into(known)

    def leave(
        self, hidden: Float[Tensor, "batch frames width"], known: Float[Tensor, "batch frames estimate"]
    ) -> Float[Tensor, "batch frames estimate"]:
        return known + self.out(hidden)


def own_predictions(step: int, steps: int, longest: int) -> int:
    """The curriculum: how many predictions in a row are fed back at a step of training, from 1 to `longest`.

    The last tenth of training is spent at the full length.
    """
    share = min(1.0, step / max(1.0, 0.9 * steps))
    return min(longest, 1 + int(share * longest))
