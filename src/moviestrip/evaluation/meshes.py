"""What only the body can tell: mesh errors, and joints that no table stores.

Both sides are posed from pose and shape, without a translation, in blocks that bound memory: the prediction by the
neutral body, the truth by the same or by the body of the person's sex.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from moviestrip.body.load import Body
from moviestrip.body.points import PosedPoints
from moviestrip.datasets.official.base import Gender
from moviestrip.evaluation.metrics import per_vertex_error
from moviestrip.geometry import pose_to_matrices

BodyOf = Callable[[Gender], Body]
BLOCK_FRAMES = 64  # of a mesh: about 40 MB a block
BLOCK_FRAMES_OF_POINTS = 4096


class BodyPoses(NamedTuple):
    """Bodies as parameters."""

    pose: Float[np.ndarray, "frames 72"]
    betas: Float[np.ndarray, "frames 10"]


def posed_mesh_errors(
    body: Body, predicted: BodyPoses, target: BodyPoses, target_body: Body | None = None
) -> Float[np.ndarray, " frames"]:
    """Mean distance of corresponding vertices in metres, both in their pose and shape.

    Args:
        target_body: what poses the target, if it is another body than the prediction's.
    """
    blocks = [
        per_vertex_error(_vertices(body, predicted, block), _vertices(target_body or body, target, block))
        for block in _blocks(len(predicted.pose), BLOCK_FRAMES)
    ]
    return np.concatenate([*blocks, np.zeros(0, np.float32)])


def unposed_mesh_errors(
    body: Body, predicted: BodyPoses, target: BodyPoses, target_body: Body | None = None
) -> Float[np.ndarray, " frames"]:
    """As posed, but both in the body's rest pose: what is left is the error of the shape.

    In the rest pose a vertex moves linearly with the shape, so that of one body the difference of two shapes is enough.
    """
    if target_body is not None and target_body is not body:
        at_rest = np.zeros_like(predicted.pose)
        return posed_mesh_errors(body, predicted._replace(pose=at_rest), target._replace(pose=at_rest), target_body)
    directions = body.layer.shapedirs.numpy()  # (V, 3, 10)
    offsets = (predicted.betas - target.betas).astype(np.float32)
    blocks = []
    for block in _blocks(len(offsets), BLOCK_FRAMES):
        moved = np.tensordot(offsets[block], directions, (1, 2))
        blocks.append(per_vertex_error(moved, np.zeros_like(moved)))
    return np.concatenate([*blocks, np.zeros(0, np.float32)])


def h36m_joints(body: Body, poses: BodyPoses) -> Float[np.ndarray, "frames 17 3"]:
    """The joints of the H36M-style regressor in metres, in the order of H36M_17."""
    points = PosedPoints(body, body.joint_regressor_h36m)
    found = [np.zeros((0, 17, 3), np.float32)]
    with torch.no_grad():
        for block in _blocks(len(poses.pose), BLOCK_FRAMES_OF_POINTS):
            rotations = pose_to_matrices(torch.from_numpy(poses.pose[block]))
            found.append(points(rotations, torch.from_numpy(poses.betas[block])).numpy())
    return np.concatenate(found)


def _vertices(body: Body, poses: BodyPoses, block: slice) -> np.ndarray:
    return body.forward(poses.pose[block], poses.betas[block])[0]


def _blocks(frames: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, frames, size)]
