"""Fit sparse regressors: rows of non-negative weights on vertices that give a joint wherever the body goes.

SMPL's own joints are read from the T-pose of any shape. The H36M-style joints, on which every table's
errors are measured, are read from posed meshes instead, so they are fitted on posed people: a row that
leaned on one side of a knee would drift when the knee bends.
"""

from collections.abc import Sequence

import numpy as np
import scipy.optimize
import scipy.spatial
from jaxtyping import Float, Int
from torch import Tensor

from moviestrip.body.source import Adults
from moviestrip.skeleton import H36M_17, SMPL_24, SMPL_PARENTS, indices_of

CANDIDATES = 240  # vertices that a row may use
NEAREST = 600  # ... drawn from this many nearest ones
CROWN_VERTICES = 12

# The joints of SMPL's skeleton whose middle an H36M-style joint follows; the others have a rule of their own.
# The papers' neck lies at its base, below SMPL's.
_FOLLOWS = {
    "spine": ("spine2",), "neck": ("neck", "neck", "left_collar", "right_collar"),
    "left_hip": ("left_hip",), "left_knee": ("left_knee",), "left_ankle": ("left_ankle",),
    "left_shoulder": ("left_shoulder",), "left_elbow": ("left_elbow",), "left_wrist": ("left_wrist",),
}  # fmt: skip


def joint_regressor(adults: Adults, draw: np.random.Generator, people: int = 100) -> Float[np.ndarray, "24 vertices"]:
    """SMPL's J_regressor, fitted on the T-poses of sampled people."""
    vertices, joints = adults.vertices_m[:people].numpy(), adults.joints_m[:people].numpy()
    template, rest_joints = vertices.mean(0), joints.mean(0)
    weights = adults.weights.numpy()
    rows = np.zeros((24, len(template)))
    for joint, parent in enumerate(SMPL_PARENTS):
        if SMPL_24[joint].startswith("right"):
            continue
        moved = weights[:, joint] + (weights[:, parent] if parent >= 0 else 0)
        candidates = _candidates(template, rest_joints[joint], moved > 0.6, draw)
        rows[joint, candidates] = fit_row(vertices[:, candidates], joints[:, joint])
    return with_right_side(rows, SMPL_24, template)


def joint_regressor_h36m(
    adults: Adults, posed_vertices: Tensor, posed_joints: Tensor, draw: np.random.Generator
) -> Float[np.ndarray, "17 vertices"]:
    """The H36M-style joints, fitted on people in many poses.

    Args:
        posed_vertices, posed_joints: (P, V, 3) and (P, 24, 3), the same people posed.
    """
    vertices, joints = posed_vertices.numpy(), posed_joints.numpy()
    template, rest_joints = adults.vertices_m.mean(0).numpy(), adults.joints_m.mean(0).numpy()
    weights = adults.weights.numpy()
    rows = np.zeros((len(H36M_17), len(template)))
    for name, followed in _FOLLOWS.items():
        middle = indices_of(followed, SMPL_24)
        near = weights[:, _neighbours(middle)].sum(1) > 0.9
        candidates = _candidates(template, rest_joints[middle].mean(0), near, draw)
        rows[H36M_17.index(name), candidates] = fit_row(vertices[:, candidates], joints[:, middle].mean(1))
    rows[H36M_17.index("head_top"), _crown(template)] = 1 / CROWN_VERTICES
    rows[H36M_17.index("head")] = _head_row(template, rest_joints, weights, draw)
    rows = with_right_side(rows, H36M_17, template)
    rows[H36M_17.index("pelvis")] = (rows[H36M_17.index("left_hip")] + rows[H36M_17.index("right_hip")]) / 2
    return rows


def with_right_side(
    rows: Float[np.ndarray, "joints vertices"], names: Sequence[str], template: Float[np.ndarray, "vertices 3"]
) -> Float[np.ndarray, "joints vertices"]:
    """Copy each left joint's row to the mirrored vertices for the right one: a body is as left as right."""
    mirrored = scipy.spatial.KDTree(template * np.array([-1.0, 1.0, 1.0])).query(template)[1]
    result = rows.copy()
    for joint, name in enumerate(names):
        if name.startswith("left"):
            row = rows[joint][mirrored]
            result[list(names).index(name.replace("left", "right"))] = row / row.sum()
    return result


def fit_row(points: Float[np.ndarray, "samples vertices 3"], goal: Float[np.ndarray, "samples 3"]) -> np.ndarray:
    """Non-negative weights that sum to one and take the points of each sample to its goal, least squares."""
    offsets = (points - goal[:, None]).transpose(0, 2, 1).reshape(-1, points.shape[1])
    firmly = 1e2 * np.sqrt(len(offsets))  # so that the sum is one to rounding; then exactly
    system = np.concatenate([offsets, np.full((1, points.shape[1]), firmly)])
    weights, _ = scipy.optimize.nnls(system, np.append(np.zeros(len(offsets)), firmly))
    return weights / weights.sum()


def _candidates(
    vertices: Float[np.ndarray, "vertices 3"], joint: np.ndarray, allowed: np.ndarray, draw: np.random.Generator
) -> Int[np.ndarray, " candidates"]:
    distances = np.where(allowed, np.linalg.norm(vertices - joint, axis=1), np.inf)
    nearest = np.argsort(distances, kind="stable")[: min(NEAREST, int(allowed.sum()))]
    return np.sort(draw.permutation(nearest)[:CANDIDATES])


def _neighbours(joints: Int[np.ndarray, " joints"]) -> list[int]:
    """The joints, their parents and their children: the bones whose skin surrounds them."""
    children = [child for child, parent in enumerate(SMPL_PARENTS) if parent in joints]
    return sorted({*joints.tolist(), *(max(SMPL_PARENTS[joint], 0) for joint in joints), *children})


def _crown(template: Float[np.ndarray, "vertices 3"]) -> Int[np.ndarray, " crown"]:
    return np.argsort(-template[:, 1], kind="stable")[:CROWN_VERTICES]


def _head_row(template: np.ndarray, joints: np.ndarray, weights: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Human3.6M's joint between thorax and head top lies in the head, behind the mouth."""
    head = weights[:, SMPL_24.index("head")] > 0.9
    goal = joints[SMPL_24.index("head")] + np.array([0.0, 0.0, 0.04])
    candidates = _candidates(template, goal, head, draw)
    row = np.zeros(len(template))
    row[candidates] = fit_row(template[None, candidates], goal[None])
    return row
