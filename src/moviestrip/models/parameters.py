"""How the numbers a regressor puts out are laid out: Theta = {camera, pose, shape}, the papers' order.

HMMR regresses 24 axis-angle rotations (85 numbers in all); VIBE, TCMR and the miniature world regress the
continuous 6D form (157 numbers). Everything else in a model is the same for both, so the choice lives here.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from moviestrip.geometry import axis_angle_to_matrix, matrix_to_axis_angle, rotation_6d_to_matrix

RotationForm = Literal["axis-angle", "6d"]
CAMERA_SIZE = 3
BETAS_SIZE = 10
BODY_JOINTS = 24


class Theta(NamedTuple):
    """One estimate taken apart."""

    camera: Float[Tensor, "... 3"]
    pose: Float[Tensor, "... pose"]
    betas: Float[Tensor, "... 10"]


@dataclass(frozen=True)
class ThetaLayout:
    """Sizes of an estimate, and conversions between its pose and rotation matrices."""

    rotation: RotationForm

    @property
    def pose_size(self) -> int:
        return BODY_JOINTS * (3 if self.rotation == "axis-angle" else 6)

    @property
    def size(self) -> int:
        return CAMERA_SIZE + self.pose_size + BETAS_SIZE

    def split(self, theta: Float[Tensor, "... size"]) -> Theta:
        return Theta(*theta.split([CAMERA_SIZE, self.pose_size, BETAS_SIZE], dim=-1))

    def join(
        self, camera: Float[Tensor, "... 3"], pose: Float[Tensor, "... pose"], betas: Float[Tensor, "... 10"]
    ) -> Float[Tensor, "... size"]:
        return torch.cat([camera, pose, betas], dim=-1)

    def rotations(self, pose: Float[Tensor, "... pose"]) -> Float[Tensor, "... 24 3 3"]:
        """Rotation matrices of a pose in this layout."""
        joints = pose.unflatten(-1, (BODY_JOINTS, -1))
        return axis_angle_to_matrix(joints) if self.rotation == "axis-angle" else rotation_6d_to_matrix(joints)

    def encode(self, rotations: Float[Tensor, "... 24 3 3"]) -> Float[Tensor, "... pose"]:
        """The pose in this layout of rotation matrices: 6D is their first two columns, row by row."""
        if self.rotation == "axis-angle":
            return matrix_to_axis_angle(rotations).flatten(-2)
        return rotations[..., :2].flatten(-3)

    def axis_angle(self, pose: Float[Tensor, "... pose"]) -> Float[Tensor, "... 72"]:
        """The 72 axis-angle numbers of a pose in this layout."""
        return pose if self.rotation == "axis-angle" else matrix_to_axis_angle(self.rotations(pose)).flatten(-2)
