"""The factorised adversarial prior of HMR and HMMR: is this a pose a person takes?

One small discriminator a joint judges each rotation by itself, one judges the whole pose: 24 outputs. It sees
rotation matrices of the 23 body joints, never the global rotation, so a view from below is not held against a
pose. It is trained by least squares: 1 for real, 0 for predicted.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

JUDGED_JOINTS = 23
JOINT_FEATURES = 32


class PoseDiscriminator(nn.Module):
    """(N, 24, 3, 3) rotations to (N, 24) judgements: 23 joints and the whole pose; with shape, one more."""

    def __init__(self, hidden: int = 1024, judges_shape: bool = False):
        super().__init__()
        self.shared = nn.Sequential(
            nn.Linear(9, JOINT_FEATURES), nn.ReLU(), nn.Linear(JOINT_FEATURES, JOINT_FEATURES), nn.ReLU()
        )
        self.joint_weight = nn.Parameter(torch.empty(JUDGED_JOINTS, JOINT_FEATURES))
        self.joint_bias = nn.Parameter(torch.zeros(JUDGED_JOINTS))
        nn.init.xavier_uniform_(self.joint_weight)
        self.whole = nn.Sequential(
            nn.Linear(JUDGED_JOINTS * JOINT_FEATURES, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )
        self.shape = (
            nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 1))
            if judges_shape
            else None
        )

    def forward(
        self, rotations: Float[Tensor, "poses 24 3 3"], betas: Float[Tensor, "poses 10"] | None = None
    ) -> Float[Tensor, "poses outputs"]:
        body = self.judge_body(rotations[:, 1:])
        return body if self.shape is None else torch.cat([body, self.shape(betas)], dim=-1)

    def judge_body(self, rotations: Float[Tensor, "poses 23 3 3"]) -> Float[Tensor, "poses 24"]:
        """The judgements of poses that come without the global rotation and the shape."""
        features = self.shared(rotations.flatten(2))
        joints = (features * self.joint_weight).sum(-1) + self.joint_bias
        return torch.cat([joints, self.whole(features.flatten(1))], dim=-1)
