"""Two-bone inverse kinematics: the analytic way to hold a hand or a foot where it must be.

A limb is solved in its plane. Its hinge axis is perpendicular to that plane, so elbows and knees can only bend
the anatomical way and never twist.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from moviestrip.world.kinematics import JOINT, RestSkeleton

MAXIMUM_REACH = 0.995  # of the limb's length: beyond it the hinge direction would be undefined
MINIMUM_REACH = 0.22


@dataclass(frozen=True)
class Limb:
    """Upper, middle and end joint of an arm or leg, and the direction its middle joint points to at rest."""

    upper: str
    middle: str
    end: str
    rest_pole: tuple[float, float, float]


LEGS = {side: Limb(f"{side}_hip", f"{side}_knee", f"{side}_ankle", (0, 0, 1)) for side in ("left", "right")}
ARMS = {side: Limb(f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist", (0, 0, -1)) for side in ("left", "right")}


def unit(vector: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)


def orthogonal_to(
    vector: Float[np.ndarray, "*batch 3"], axis: Float[np.ndarray, "*batch 3"]
) -> Float[np.ndarray, "*batch 3"]:
    """Unit vector along the part of `vector` at right angles to the unit vector `axis`."""
    return unit(vector - np.sum(vector * axis, axis=-1, keepdims=True) * axis)


def _frame(along: np.ndarray, hinge: np.ndarray) -> Float[np.ndarray, "*batch 3 3"]:
    return np.stack([along, hinge, np.cross(along, hinge)], axis=-1)


def reachable(
    start: Float[np.ndarray, "frames 3"], target: Float[np.ndarray, "frames 3"], lengths: tuple[float, float]
) -> Float[np.ndarray, "frames 3"]:
    """`target`, pulled along its line from `start` into the shell that the limb can reach."""
    offset = target - start
    distance = np.linalg.norm(offset, axis=-1, keepdims=True)
    total = sum(lengths)
    return start + unit(offset) * np.clip(distance, MINIMUM_REACH * total, MAXIMUM_REACH * total)


def solve_limb(
    rest: RestSkeleton,
    limb: Limb,
    start: Float[np.ndarray, "frames 3"],
    target: Float[np.ndarray, "frames 3"],
    pole: Float[np.ndarray, "frames 3"],
) -> tuple[Float[np.ndarray, "frames 3 3"], Float[np.ndarray, "frames 3 3"]]:
    """Global rotations of the upper and middle joint that bring the end joint to `target`, bent towards `pole`."""
    upper_rest, lower_rest = rest.offset(limb.middle), rest.offset(limb.end)
    lengths = float(np.linalg.norm(upper_rest)), float(np.linalg.norm(lower_rest))
    target = reachable(start, target, lengths)
    axis = unit(target - start)
    distance = np.linalg.norm(target - start, axis=-1)
    along = (lengths[0] ** 2 - lengths[1] ** 2 + distance**2) / (2 * distance)
    away = np.sqrt(np.maximum(lengths[0] ** 2 - along**2, 0))
    bend = orthogonal_to(pole, axis)
    middle = start + axis * along[:, None] + bend * away[:, None]
    hinge = np.cross(bend, axis)
    return (
        _bone_rotation(upper_rest, limb.rest_pole, unit(middle - start), hinge),
        _bone_rotation(lower_rest, limb.rest_pole, unit(target - middle), hinge),
    )


def _bone_rotation(
    rest_bone: Float[np.ndarray, "3"],
    rest_pole: tuple[float, float, float],
    bone: Float[np.ndarray, "frames 3"],
    hinge: Float[np.ndarray, "frames 3"],
) -> Float[np.ndarray, "frames 3 3"]:
    """Rotation that carries a bone and its hinge axis from rest to the given directions."""
    rest_along = unit(rest_bone)
    rest_hinge = np.cross(orthogonal_to(np.array(rest_pole, float), rest_along), rest_along)
    return _frame(bone, orthogonal_to(hinge, bone)) @ _frame(rest_along, rest_hinge).T


def bend_direction(
    joints: Float[np.ndarray, "frames 24 3"],
    rotations: Float[np.ndarray, "frames 24 3 3"],
    limb: Limb,
) -> Float[np.ndarray, "frames 3"]:
    """Where the middle joint points now; a nearly straight limb answers with its hinge's own forward direction."""
    start, middle, end = (joints[:, JOINT[name]] for name in (limb.upper, limb.middle, limb.end))
    axis = unit(end - start)
    offset = middle - start
    away = offset - np.sum(offset * axis, axis=-1, keepdims=True) * axis
    forward = rotations[:, JOINT[limb.upper]] @ np.array(limb.rest_pole, float)
    weight = np.clip(np.linalg.norm(away, axis=-1, keepdims=True) / 0.03, 0, 1)
    return unit(weight * unit(away) + (1 - weight) * orthogonal_to(forward, axis))
