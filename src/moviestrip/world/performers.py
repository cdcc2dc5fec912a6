"""Who is in a video: a body of their own, dressed, moving on the floor of the set.

A motion is made for the body's mean shape. On another shape its path is scaled with the legs, so that feet
which stood still stay still, and its height is corrected so that what rested on the floor rests on it.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from moviestrip.body.load import Body
from moviestrip.skeleton import SMPL_24, indices_of
from moviestrip.world.appearance import Template, dress
from moviestrip.world.kinematics import Motion
from moviestrip.world.plan import child_generator

LEFT_LEG = indices_of(["left_hip", "left_knee", "left_ankle"], SMPL_24)
BETA_LIMIT = 2.0


@dataclass(frozen=True)
class Performer:
    """One person over the whole video, in the world."""

    subject: str
    motion: Motion
    betas: Float[np.ndarray, "10"]
    pose: Float[np.ndarray, "frames 72"]
    translation_m: Float[np.ndarray, "frames 3"]
    rest_pelvis_m: Float[np.ndarray, "3"]
    vertices_m: Float[np.ndarray, "frames vertices 3"]
    joints_m: Float[np.ndarray, "frames 24 3"]
    faces: Int[np.ndarray, "faces 3"]
    colours: Float[np.ndarray, "vertices 3"]

    @property
    def way_m(self) -> Float[np.ndarray, "points 2"]:
        """Places on the floor (x, z) under the pelvis, hands and feet."""
        names = ("pelvis", "left_hand", "right_hand", "left_foot", "right_foot")
        return self.joints_m[:, indices_of(names, SMPL_24)][..., [0, 2]].reshape(-1, 2)

    def moved(self, place_m: Float[np.ndarray, "2"]) -> "Performer":
        """The same performance elsewhere on the floor."""
        step = np.array([place_m[0], 0, place_m[1]])
        return replace(
            self,
            translation_m=self.translation_m + step,
            vertices_m=self.vertices_m + step.astype(np.float32),
            joints_m=self.joints_m + step,
        )


def betas_of(subject: str) -> Float[np.ndarray, "10"]:
    """The shape that belongs to a name, always."""
    return np.clip(child_generator(0, "betas", subject).normal(size=10), -BETA_LIMIT, BETA_LIMIT)


def perform(subject: str, motion: Motion, body: Body, heading_rad: float) -> Performer:
    """Put a motion on a subject's body, turned about the vertical and with the middle of its way at the origin."""
    betas = betas_of(subject).astype(np.float32)
    rest, mean_rest = _rest_joints(body, betas), _rest_joints(body, np.zeros(10, np.float32))
    turn = Rotation.from_euler("y", heading_rad)
    pose = np.array(motion.pose, np.float64)
    pose[:, :3] = (turn * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    pelvis = turn.apply((mean_rest[0] + motion.translation_m) * (_leg_m(rest) / _leg_m(mean_rest)))
    pelvis[:, [0, 2]] -= (pelvis[:, [0, 2]].min(0) + pelvis[:, [0, 2]].max(0)) / 2
    translation = pelvis - rest[0]
    vertices, joints = body.forward(pose.astype(np.float32), betas, translation.astype(np.float32))
    lift = np.zeros((len(pose), 3))
    lift[:, 1] = -_sunk_m(vertices[..., 1].min(1), np.asarray(np.any(motion.contacts, axis=1)))
    translation = translation + lift
    colours = dress(_template(body), child_generator(0, "clothes", subject))
    vertices = vertices + lift[:, None].astype(np.float32)
    joints = joints + lift[:, None]
    return Performer(subject, motion, betas, pose, translation, rest[0], vertices, joints, body.faces, colours)


def in_camera(
    performer: Performer, rotations: Float[np.ndarray, "frames 3 3"], translations_m: Float[np.ndarray, "frames 3"]
) -> tuple[Float[np.ndarray, "frames 72"], Float[np.ndarray, "frames 3"]]:
    """Pose and translation that give the body directly in the camera frame.

    SMPL turns a body about its rest pelvis p: R (v - p) + p + t. Seen by a camera (Q, q) that is
    QR (v - p) + p + t' with t' = Q (p + t) + q - p.
    """
    pose = performer.pose.copy()
    pose[:, :3] = (Rotation.from_matrix(rotations) * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    pelvis = performer.rest_pelvis_m + performer.translation_m
    translation = np.einsum("tab,tb->ta", rotations, pelvis) + translations_m - performer.rest_pelvis_m
    return pose, translation


def _rest_joints(body: Body, betas: np.ndarray) -> Float[np.ndarray, "24 3"]:
    return body.forward(np.zeros((1, 72), np.float32), betas, None)[1][0].astype(np.float64)


def _template(body: Body) -> Template:
    return Template(body.v_template, body.weights, _rest_joints(body, np.zeros(10, np.float32)))


def _leg_m(rest_joints: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(rest_joints[LEFT_LEG], axis=0), axis=-1).sum())


def _sunk_m(lowest_m: Float[np.ndarray, " frames"], contact: np.ndarray) -> Float[np.ndarray, " frames"]:
    """How far the body is off the floor (negative: below), judged where it touches and carried smoothly between."""
    resting = contact | (lowest_m < 0)
    if not resting.any():
        return np.zeros_like(lowest_m)
    frames = np.arange(len(lowest_m))
    off = np.interp(frames, frames[resting], lowest_m[resting])
    return gaussian_filter1d(off, 1.5, mode="nearest")
