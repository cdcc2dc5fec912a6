"""TCMR's temporal encoder: three GRUs look at a window, and an attention says how much each is to be believed.

One reads the whole window in both directions; PoseForecast reads the frames before the current one, and those after
it backwards, and must say from them alone what the current frame shows. Of a window of 16 frames the ninth is the
current one.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moviestrip.errors import FatalError

PoseForecastName = Literal["none", "without-current", "with-current"]
WINDOW_FRAMES = 16
INTEGRATION_WIDTH = 256
LAYERS = 2


class Integrated(NamedTuple):
    """What the window says of its current frame; past, future and attention only with PoseForecast."""

    strip: Float[Tensor, "batch width"]
    past: Float[Tensor, "batch width"] | None
    future: Float[Tensor, "batch width"] | None
    attention: Float[Tensor, "batch 3"] | None  # past, current, future


class FeatureIntegration(nn.Module):
    """How much the past, the whole window and the future are believed: three weights that sum to one."""

    def __init__(self, width: int, hidden: int = INTEGRATION_WIDTH):
        super().__init__()
        self.resize = nn.Linear(width, hidden)
        self.score = nn.Sequential(
            nn.Linear(3 * hidden, hidden),
            nn.Tanh(),
            nn.Linear(hidden, hidden),
            nn.Tanh(),
            nn.Linear(hidden, 3),
            nn.Tanh(),
        )

    def forward(self, features: Float[Tensor, "batch 3 width"]) -> Float[Tensor, "batch 3"]:
        return self.score(self.resize(features).flatten(1)).softmax(-1)


class PoseForecastEncoder(nn.Module):
    """Windows of frames to the feature of each window's current frame."""

    def __init__(
        self,
        width: int,
        hidden: int,
        pose_forecast: PoseForecastName = "without-current",
        residual: bool = False,
        window_frames: int = WINDOW_FRAMES,
        integration_width: int = INTEGRATION_WIDTH,
        layers: int = LAYERS,
    ):
        super().__init__()
        self.window_frames, self.current = window_frames, window_frames // 2
        self.residual, self.pose_forecast = residual, pose_forecast
        self.all_gru = nn.GRU(width, hidden, layers, batch_first=True, bidirectional=True)
        self.all_linear = nn.Linear(2 * hidden, width)
        if pose_forecast != "none":
            self.past_gru = nn.GRU(width, hidden, layers, batch_first=True)
            self.past_linear = nn.Linear(hidden, width)
            self.future_gru = nn.GRU(width, hidden, layers, batch_first=True)
            self.future_linear = nn.Linear(hidden, width)
            self.integration = FeatureIntegration(width, integration_width)

    def forward(self, window: Float[Tensor, "batch frames width"]) -> Integrated:
        if window.shape[1] != self.window_frames:
            raise FatalError(f"a window has {self.window_frames} frames, this one has {window.shape[1]}")
        everything = self.all_linear(self.all_gru(window)[0][:, self.current].relu())
        if self.residual:
            everything = everything + window[:, self.current]
        if self.pose_forecast == "none":
            return Integrated(everything, None, None, None)
        with_current = self.pose_forecast == "with-current"
        before = window[:, : self.current + with_current]
        after = window[:, self.current + 1 - with_current :].flip(1)
        past = self.past_linear(self.past_gru(before)[0][:, -1].relu())
        future = self.future_linear(self.future_gru(after)[0][:, -1].relu())
        three = torch.stack([past, everything, future], dim=1)
        attention = self.integration(three)
        return Integrated((attention[..., None] * three).sum(1), past, future, attention)
