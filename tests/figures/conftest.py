"""A body small enough to check by hand."""

from dataclasses import dataclass

import numpy as np
import pytest


@dataclass(frozen=True)
class Box:
    """A closed box 0.5 m wide, 1.6 m tall and 0.2 m deep, standing in for a body: pose and shape are ignored."""

    faces: np.ndarray
    v_template: np.ndarray

    def forward(self, pose, betas, translation):
        vertices = self.v_template + np.asarray(translation)[..., None, :]
        return vertices.astype(np.float32), np.zeros((*vertices.shape[:-2], 24, 3), np.float32)


@pytest.fixture
def box() -> Box:
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * (0.25, 0.8, 0.1)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([part for a, b, c, d in quads for part in ((a, b, c), (a, c, d))])
    return Box(outward(corners, faces), corners)


def outward(corners: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Turn every face of a convex body around the origin so that its normal points away from it."""
    a, b, c = (corners[faces[:, side]] for side in range(3))
    inward = (np.cross(b - a, c - a) * (a + b + c)).sum(-1) < 0
    return np.where(inward[:, None], faces[:, ::-1], faces)
