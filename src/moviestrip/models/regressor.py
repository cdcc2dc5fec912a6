"""Iterative error feedback: regressors that correct an estimate a few times instead of guessing it at once.

f_3D starts from mean parameters, which are learned too. A dynamics predictor f_(+-dt) has the same form but
changes only the pose, starting from the pose of the current frame: where it has nothing to say, nothing moves.
HMR's hidden layers are rectified; SPIN's, which VIBE and TCMR took over, are not.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from moviestrip.models.parameters import BETAS_SIZE, BODY_JOINTS, ThetaLayout

ITERATIONS = 3
CORRECTION_GAIN = 0.01  # first corrections are small, so training starts at the starting estimate
MEAN_CAMERA = (0.9, 0.0, 0.0)
IDENTITY_CAMERA = (1.0, 0.0, 0.0)  # what a dynamics prediction carries: its camera is solved for, not predicted


class FeedbackRegressor(nn.Module):
    """estimate <- estimate + f(features, estimate), three times with the same weights."""

    def __init__(self, feature_size: int, estimate_size: int, hidden: int, dropout: float, rectified: bool = True):
        super().__init__()
        self.activation = nn.ReLU() if rectified else nn.Identity()
        self.fc1 = nn.Linear(feature_size + estimate_size, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, estimate_size)
        self.dropout = nn.Dropout(dropout)
        for layer, gain in ((self.fc1, 1.0), (self.fc2, 1.0), (self.fc3, CORRECTION_GAIN)):
            nn.init.xavier_uniform_(layer.weight, gain=gain)
            nn.init.zeros_(layer.bias)

    def forward(
        self, features: Float[Tensor, "... features"], start: Float[Tensor, "... estimate"]
    ) -> Float[Tensor, "... estimate"]:
        return self.estimates(features, start)[-1]

    def estimates(
        self, features: Float[Tensor, "... features"], start: Float[Tensor, "... estimate"]
    ) -> list[Float[Tensor, "... estimate"]]:
        """The estimate after each correction."""
        estimates = [start]
        of_features, of_estimate = self.fc1.weight.split([features.shape[-1], start.shape[-1]], dim=1)
        constant = linear(features, of_features, self.fc1.bias)  # the same in each iteration: computed once
        for _ in range(ITERATIONS):
            hidden = self.dropout(self.activation(constant + linear(estimates[-1], of_estimate)))
            hidden = self.dropout(self.activation(self.fc2(hidden)))
            estimates.append(estimates[-1] + self.fc3(hidden))
        return estimates[1:]


class ThetaRegressor(nn.Module):
    """f_3D: camera, pose and shape from a strip.

    The papers start the feedback from mean parameters. With `readout` it starts from a linear function of the
    strip, which training sets by ridge regression: with a few thousand labelled frames the small network alone
    ends up behind that regression, and from it, ahead.
    """

    def __init__(
        self, width: int, layout: ThetaLayout, hidden: int, dropout: float, readout: bool, rectified: bool = True
    ):
        super().__init__()
        self.layout = layout
        self.mean = nn.Parameter(mean_theta(layout)[None])
        self.readout = nn.Linear(width, layout.size, bias=False) if readout else None
        if self.readout is not None:
            nn.init.zeros_(self.readout.weight)
        self.feedback = FeedbackRegressor(width, layout.size, hidden, dropout, rectified)

    def start_from_mean(
        self, camera: Float[Tensor, " 3"], pose: Float[Tensor, " 72"], betas: Float[Tensor, " 10"]
    ) -> None:
        """Begin with a mean person, such as the papers' files hold; the pose is axis-angle."""
        rest = ThetaLayout("axis-angle")
        ours = self.layout.encode(rest.rotations(pose)) if self.layout != rest else pose
        with torch.no_grad():
            self.mean.copy_(self.layout.join(camera, ours, betas)[None])

    def forward(self, strip: Float[Tensor, "... width"]) -> Float[Tensor, "... theta"]:
        return self.feedback(strip, self.start(strip))

    def start(self, strip: Float[Tensor, "... width"]) -> Float[Tensor, "... theta"]:
        """What the feedback begins with."""
        start = self.mean[0].expand(*strip.shape[:-1], -1)
        return start if self.readout is None else start + self.readout(strip)


class DynamicsRegressor(nn.Module):
    """f_(+-dt): the pose some frames away, from the strip and the pose of the current frame."""

    def __init__(self, width: int, layout: ThetaLayout, hidden: int, dropout: float):
        super().__init__()
        self.layout = layout
        self.feedback = FeedbackRegressor(width, layout.pose_size, hidden, dropout)

    def forward(
        self, strip: Float[Tensor, "... width"], theta: Float[Tensor, "... theta"]
    ) -> Float[Tensor, "... theta"]:
        _, pose, betas = self.layout.split(theta)
        camera = theta.new_tensor(IDENTITY_CAMERA).expand(*theta.shape[:-1], 3)
        return self.layout.join(camera, self.feedback(strip, pose), betas)


def mean_theta(layout: ThetaLayout) -> Float[Tensor, " theta"]:
    """Camera (0.9, 0, 0), every joint at rest, upright before a camera whose y points down, mean shape."""
    axis_angle = torch.zeros(BODY_JOINTS, 3)
    axis_angle[0, 0] = math.pi
    rest = ThetaLayout("axis-angle")
    pose = layout.encode(rest.rotations(axis_angle.flatten())) if layout != rest else axis_angle.flatten()
    return layout.join(torch.tensor(MEAN_CAMERA), pose, torch.zeros(BETAS_SIZE))
