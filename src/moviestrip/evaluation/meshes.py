"""What only the body can tell: mesh errors, and joints that no table stores.

Both sides are posed from pose and shape, without a translation, in blocks that bound memory: the prediction by the
neutral body, the truth by the same or by the body of the person's sex.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from moviestrip.body.load import Body
from moviestrip.body.mesh import FRAMES_AT_ONCE, mean_lengths, parts_of, posed_parts
from moviestrip.body.points import PosedPoints, linear_in
from moviestrip.datasets.official.base import Gender
from moviestrip.geometry import pose_to_matrices

BodyOf = Callable[[Gender], Body]
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
    blocks = [np.zeros(0, np.float32)]
    for block in _blocks(len(predicted.pose), FRAMES_AT_ONCE):
        sides = [_parts(body, predicted, block), _parts(target_body or body, target, block)]
        blocks.append(mean_lengths(ours - theirs for ours, theirs in zip(*sides, strict=True)).numpy())
    return np.concatenate(blocks)


def unposed_mesh_errors(
    body: Body, predicted: BodyPoses, target: BodyPoses, target_body: Body | None = None
) -> Float[np.ndarray, " frames"]:
    """As posed, but both in the body's rest pose: what is left is the error of the shape.

    In the rest pose a vertex moves linearly with the shape, so that of one body the difference of two shapes is enough.
    """
    if target_body is not None and target_body is not body:
        at_rest = np.zeros_like(predicted.pose)
        return posed_mesh_errors(body, predicted._replace(pose=at_rest), target._replace(pose=at_rest), target_body)
    offsets = torch.from_numpy((predicted.betas - target.betas).astype(np.float32))
    blocks = [np.zeros(0, np.float32)]
    for block in _blocks(len(offsets), FRAMES_AT_ONCE):
        directions = (body.layer.shapedirs[part] for part in parts_of(body))
        moved = (linear_in(torch.zeros(len(part), 3), part, offsets[block]) for part in directions)
        blocks.append(mean_lengths(moved).numpy())
    return np.concatenate(blocks)


def h36m_joints(body: Body, poses: BodyPoses) -> Float[np.ndarray, "frames 17 3"]:
    """The joints of the H36M-style regressor in metres, in the order of H36M_17."""
    points = PosedPoints(body, body.joint_regressor_h36m)
    found = [np.zeros((0, 17, 3), np.float32)]
    with torch.no_grad():
        for block in _blocks(len(poses.pose), BLOCK_FRAMES_OF_POINTS):
            rotations = pose_to_matrices(torch.from_numpy(poses.pose[block]))
            found.append(points(rotations, torch.from_numpy(poses.betas[block])).numpy())
    return np.concatenate(found)


def _parts(body: Body, poses: BodyPoses, block: slice) -> Iterator[Float[Tensor, "vertices 3 frames"]]:
    rotations = pose_to_matrices(torch.from_numpy(poses.pose[block]))
    return posed_parts(body, rotations, torch.from_numpy(poses.betas[block]))


def _blocks(frames: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, frames, size)]
