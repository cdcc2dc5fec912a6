"""A motion and the skeleton it moves: the two things every motion source, augmentation and renderer share.

World frame: y up, metres, floor at y = 0, people face +z at rest, so their left is +x. A motion's pose and
translation follow SMPL: the root joint stands at its rest position plus the translation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from moviestrip.body.load import Body
from moviestrip.errors import StorageError
from moviestrip.skeleton import SMPL_24, SMPL_PARENTS, indices_of

JOINT = {name: index for index, name in enumerate(SMPL_24)}
ANKLES = indices_of(("left_ankle", "right_ankle"), SMPL_24)
FEET = indices_of(("left_foot", "right_foot"), SMPL_24)
SOLE_BELOW_FOOT_JOINT_M = 0.026
# Flesh around the joints that may touch the floor, so that a lying body rests on its surface.
RADIUS_M = {
    "pelvis": 0.10, "spine1": 0.10, "spine2": 0.10, "spine3": 0.10, "neck": 0.06, "head": 0.08,
    "left_knee": 0.055, "right_knee": 0.055, "left_ankle": 0.05, "right_ankle": 0.05,
    "left_foot": SOLE_BELOW_FOOT_JOINT_M, "right_foot": SOLE_BELOW_FOOT_JOINT_M,
    "left_shoulder": 0.06, "right_shoulder": 0.06, "left_elbow": 0.04, "right_elbow": 0.04,
    "left_wrist": 0.03, "right_wrist": 0.03, "left_hand": 0.02, "right_hand": 0.02,
}  # fmt: skip


@dataclass(frozen=True)
class RestSkeleton:
    """Joints of a body at rest (T-pose), relative to the model's origin, and each joint's parent."""

    joints: Float[np.ndarray, "24 3"]
    parents: Sequence[int] = SMPL_PARENTS

    @classmethod
    def from_body(cls, body: Body | Path) -> "RestSkeleton":
        """Rest skeleton of a body's mean shape: of a loaded body, or of a body file in SMPL's layout (.npz)."""
        if isinstance(body, Body):
            _, joints = body.forward(np.zeros((1, 72), np.float32), np.zeros(10, np.float32))
            return cls(joints[0].astype(np.float64))
        with np.load(body, allow_pickle=False) as file:
            missing = {"J_regressor", "v_template"} - set(file.files)
            if missing:
                raise StorageError(f"{body}: no body in SMPL's layout, it lacks {sorted(missing)}; build it again")
            joints = file["J_regressor"].astype(np.float64) @ file["v_template"].astype(np.float64)
        if joints.shape != (24, 3):
            raise StorageError(f"{body}: joints have shape {joints.shape}, expected (24, 3): bring an SMPL body")
        return cls(joints)

    def offset(self, name: str) -> Float[np.ndarray, "3"]:
        """Rest vector from a joint's parent to the joint."""
        index = JOINT[name]
        return self.joints[index] - self.joints[self.parents[index]]

    @cached_property
    def leg_length_m(self) -> float:
        return float(np.linalg.norm(self.offset("left_knee")) + np.linalg.norm(self.offset("left_ankle")))

    @cached_property
    def arm_length_m(self) -> float:
        return float(np.linalg.norm(self.offset("left_elbow")) + np.linalg.norm(self.offset("left_wrist")))

    @cached_property
    def sole_y_m(self) -> float:
        """Height of the floor under the standing rest pose, in the model's frame."""
        return float(self.joints[FEET, 1].mean() - SOLE_BELOW_FOOT_JOINT_M)


@dataclass(frozen=True)
class Motion:
    """One person moving: poses on the rest skeleton it was made for, floor at y = 0."""

    motion_id: str
    family: str
    action: str
    source: str
    cyclic: bool
    fps: float
    pose: Float[np.ndarray, "frames 72"]
    translation_m: Float[np.ndarray, "frames 3"]
    contacts: Bool[np.ndarray, "frames 2"]

    def __len__(self) -> int:
        return len(self.pose)


def local_rotations(pose: Float[np.ndarray, "frames 72"]) -> Float[np.ndarray, "frames 24 3 3"]:
    vectors = np.asarray(pose, np.float64).reshape(-1, 3)
    return Rotation.from_rotvec(vectors).as_matrix().reshape(len(pose), 24, 3, 3)


def pose_of_local(local: Float[np.ndarray, "frames 24 3 3"]) -> Float[np.ndarray, "frames 72"]:
    return Rotation.from_matrix(local.reshape(-1, 3, 3)).as_rotvec().reshape(len(local), 72)


def pose_of_global(
    rotations: Float[np.ndarray, "frames 24 3 3"], parents: Sequence[int] = SMPL_PARENTS
) -> Float[np.ndarray, "frames 72"]:
    """Axis-angle pose whose forward kinematics give these global rotations."""
    local = rotations.copy()
    for joint in range(1, 24):
        local[:, joint] = np.swapaxes(rotations[:, parents[joint]], -1, -2) @ rotations[:, joint]
    return pose_of_local(local)


def forward_kinematics(
    pose: Float[np.ndarray, "frames 72"], translation_m: Float[np.ndarray, "frames 3"], rest: RestSkeleton
) -> tuple[Float[np.ndarray, "frames 24 3"], Float[np.ndarray, "frames 24 3 3"]]:
    """Joint positions (m) and global rotations of each frame."""
    rotations = local_rotations(pose)
    joints = np.zeros((len(rotations), 24, 3))
    joints[:, 0] = rest.joints[0] + translation_m
    for joint in range(1, 24):
        parent = rest.parents[joint]
        rotations[:, joint] = rotations[:, parent] @ rotations[:, joint]
        joints[:, joint] = joints[:, parent] + rotations[:, parent] @ (rest.joints[joint] - rest.joints[parent])
    return joints, rotations


def lowest_point_m(joints: Float[np.ndarray, "frames 24 3"]) -> Float[np.ndarray, " frames"]:
    """Height of the lowest point of the body: joints less the flesh around them."""
    names = list(RADIUS_M)
    return (joints[:, indices_of(names, SMPL_24), 1] - np.array([RADIUS_M[name] for name in names])).min(axis=1)


def foot_height_m(joints: Float[np.ndarray, "frames 24 3"]) -> Float[np.ndarray, "frames 2"]:
    """How far each sole is above the floor, at its lower end (ball or heel)."""
    ankle = joints[:, ANKLES, 1] - RADIUS_M["left_ankle"]
    return np.minimum(joints[:, FEET, 1] - SOLE_BELOW_FOOT_JOINT_M, ankle)


def skate_m_per_s(
    joints: Float[np.ndarray, "frames 24 3"], contacts: Bool[np.ndarray, "frames 2"], fps: float
) -> Float[np.ndarray, " steps"]:
    """Horizontal speed of the ball of each foot over the steps in which it stays in contact."""
    speed = np.linalg.norm(np.diff(joints[:, FEET][..., [0, 2]], axis=0), axis=-1) * fps
    return speed[contacts[1:] & contacts[:-1]]
