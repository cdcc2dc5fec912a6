"""BVH: one person's skeleton and its motion, for animation programs.

The 24 joints of SMPL with the rest pose of the person's own shape, y up, centimetres (BVH states no unit; this is
what most programs expect). The root moves; every joint turns, in the order z, x, y. The origin is the camera, as in
the AMASS-like file. Ends of chains are the top of the head, the middle fingertips and the big toes.
"""

from collections.abc import Iterator

import numpy as np
import roma
import torch
from jaxtyping import Float
from smplx.vertex_ids import vertex_ids

from moviestrip.body.load import Body
from moviestrip.exports.amass import turned
from moviestrip.exports.motion import PersonMotion
from moviestrip.skeleton import H36M_17, SMPL_24, SMPL_PARENTS

Y_UP = np.diag([1.0, -1.0, -1.0])  # from the camera's x right, y down, z forward
CENTIMETRES = 100.0
ROTATION_ORDER = "ZXY"
CHAIN_ENDS = {
    "left_foot": "LBigToe", "right_foot": "RBigToe", "left_hand": "lmiddle", "right_hand": "rmiddle",
}  # fmt: skip


def bvh_text(motion: PersonMotion, body: Body, translation_m: Float[np.ndarray, "frames 3"], fps: float) -> str:
    """The whole file; one shape throughout, the mean of the estimates."""
    vertices, joints = body.forward(np.zeros((1, 72), np.float32), motion.mean_betas[None].astype(np.float32))
    rest_cm = CENTIMETRES * joints[0].astype(np.float64)
    ends_cm = {name: CENTIMETRES * point for name, point in _chain_ends(vertices[0], body).items()}
    rotations, translation = turned(motion, body, translation_m, Y_UP)
    position_cm = rest_cm[0] + CENTIMETRES * translation
    angles = euler_degrees(rotations)[:, depth_first()].reshape(len(motion), -1)
    lines = ["HIERARCHY", *_hierarchy(0, rest_cm, ends_cm, 0), "MOTION", f"Frames: {len(motion)}"]
    lines += [f"Frame Time: {1 / fps:.9f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in np.concatenate([position_cm, angles], axis=1)]
    return "\n".join(lines) + "\n"


def _chain_ends(vertices: np.ndarray, body: Body) -> dict[str, np.ndarray]:
    ends = {joint: vertices[vertex_ids["smplh"][vertex]] for joint, vertex in CHAIN_ENDS.items()}
    head_top = body.joint_regressor_h36m[H36M_17.index("head_top")] @ vertices
    return {name: point.astype(np.float64) for name, point in {**ends, "head": head_top}.items()}


def euler_degrees(rotations: Float[np.ndarray, "frames 24 3 3"]) -> Float[np.ndarray, "frames 24 3"]:
    """Angles about z, x and y; from frame to frame they never jump by a whole turn."""
    angles = roma.rotmat_to_euler(ROTATION_ORDER, torch.from_numpy(rotations), degrees=True)
    return np.unwrap(np.asarray(angles), period=360, axis=0)


def children(joint: int) -> list[int]:
    return [child for child, parent in enumerate(SMPL_PARENTS) if parent == joint]


def depth_first(joint: int = 0) -> list[int]:
    """The order in which a file lists the joints, and therefore their angles."""
    return [joint, *(below for child in children(joint) for below in depth_first(child))]


def _hierarchy(joint: int, rest_cm: np.ndarray, ends_cm: dict[str, np.ndarray], depth: int) -> Iterator[str]:
    indent, name, parent = "\t" * depth, SMPL_24[joint], SMPL_PARENTS[joint]
    channels = " ".join(f"{axis}rotation" for axis in ROTATION_ORDER)
    yield f"{indent}{'ROOT' if parent < 0 else 'JOINT'} {name}"
    yield f"{indent}{{"
    yield f"{indent}\t{_offset(np.zeros(3) if parent < 0 else rest_cm[joint] - rest_cm[parent])}"
    yield f"{indent}\tCHANNELS " + (f"6 Xposition Yposition Zposition {channels}" if parent < 0 else f"3 {channels}")
    for child in children(joint):
        yield from _hierarchy(child, rest_cm, ends_cm, depth + 1)
    if name in ends_cm:
        yield f"{indent}\tEnd Site"
        yield f"{indent}\t{{"
        yield f"{indent}\t\t{_offset(ends_cm[name] - rest_cm[joint])}"
        yield f"{indent}\t}}"
    yield f"{indent}}}"


def _offset(values_cm: np.ndarray) -> str:
    return "OFFSET " + " ".join(f"{value:.6f}" for value in values_cm)
