"""The hallucinator h of HMMR: guesses the movie strip of a moment from that one frame's feature alone."""

from jaxtyping import Float
from torch import Tensor, nn


class Hallucinator(nn.Module):
    """Two rectified layers and a linear one, added to the feature."""

    def __init__(self, width: int):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, width)

    def forward(self, phi: Float[Tensor, "... width"]) -> Float[Tensor, "... width"]:
        return phi + self.fc3(self.fc2(self.fc1(phi).relu()).relu())
