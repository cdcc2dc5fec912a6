"""VIBE's motion discriminator D_M: is this a motion a person makes?

A GRU reads the body's pose frame by frame (69 axis-angle numbers: no global rotation, shape or camera) and its states
are summed up into one judgement: by a learned, normalised weight for each frame (attention), by their mean and their
maximum side by side (concat), or by the last one alone.
"""

from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

POSE_SIZE = 69
ATTENTION_DROPOUT = 0.2
ATTENTION_RANGE = 0.1  # weights start uniform within it, biases at a tenth of it
PoolingName = Literal["attention", "concat", "last"]


class MotionJudgement(NamedTuple):
    score: Float[Tensor, "motions 1"]
    attention: Float[Tensor, "motions frames"] | None


class SelfAttention(nn.Module):
    """One weight a frame from its state, by layers that end in tanh; the last has one output."""

    def __init__(self, size: int, hidden_layers: int, width: int, dropout: float = ATTENTION_DROPOUT):
        super().__init__()
        sizes = [size, *[width] * hidden_layers, 1]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            linear = nn.Linear(inputs, outputs)
            nn.init.uniform_(linear.weight, -ATTENTION_RANGE, ATTENTION_RANGE)
            nn.init.constant_(linear.bias, ATTENTION_RANGE / 10)
            layers += [linear, nn.Tanh(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)

    def forward(self, states: Float[Tensor, "motions frames size"]) -> Float[Tensor, "motions frames"]:
        return self.layers(states)[..., 0].softmax(-1)


class MotionDiscriminator(nn.Module):
    """(motions, frames, 69) to one score each: 1 for real, 0 for predicted."""

    def __init__(
        self,
        hidden: int = 1024,
        layers: int = 2,
        pooling: PoolingName = "attention",
        attention_layers: int = 2,
        attention_width: int = 1024,
        dropout: float = ATTENTION_DROPOUT,
    ):
        super().__init__()
        self.pooling = pooling
        self.gru = nn.GRU(POSE_SIZE, hidden, layers, batch_first=True)
        self.attention = (
            SelfAttention(hidden, attention_layers, attention_width, dropout) if pooling == "attention" else None
        )
        self.fc = nn.Linear(hidden * (2 if pooling == "concat" else 1), 1)

    def forward(self, pose: Float[Tensor, "motions frames 69"]) -> MotionJudgement:
        states = self.gru(pose)[0]
        if self.attention is not None:
            attention = self.attention(states)
            return MotionJudgement(self.fc((attention[..., None] * states).sum(1)), attention)
        if self.pooling == "concat":
            states = states.relu()
            return MotionJudgement(self.fc(torch.cat([states.mean(1), states.amax(1)], dim=-1)), None)
        return MotionJudgement(self.fc(states[:, -1]), None)
