"""VIBE's temporal encoder: a GRU over the frames, brought to the width of the features and added to them.

The paper draws a bidirectional GRU; the released model runs forward only. Both are here by name.
"""

from jaxtyping import Float
from torch import Tensor, nn

LAYERS = 2


class RecurrentEncoder(nn.Module):
    """phi + linear(relu(GRU(phi))), or without the sum."""

    def __init__(
        self, width: int, hidden: int, layers: int = LAYERS, bidirectional: bool = False, residual: bool = True
    ):
        super().__init__()
        self.gru = nn.GRU(width, hidden, layers, batch_first=True, bidirectional=bidirectional)
        self.linear = nn.Linear(hidden * (2 if bidirectional else 1), width)
        self.residual = residual

    def forward(self, phi: Float[Tensor, "batch frames width"]) -> Float[Tensor, "batch frames width"]:
        temporal = self.linear(self.gru(phi)[0].relu())
        return temporal + phi if self.residual else temporal
