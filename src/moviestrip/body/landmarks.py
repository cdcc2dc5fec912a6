"""Which vertex is the nose, a heel, a fingertip; and a vertex order in which smplx finds them.

smplx reads the face, the feet and the fingertips at fixed vertex numbers of SMPL's mesh. The free body's
vertices are reordered so that those numbers fall on the same anatomy.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from smplx.vertex_ids import vertex_ids

from moviestrip.body.source import Adults
from moviestrip.skeleton import SMPL_24

SLOTS: dict[str, int] = vertex_ids["smplh"]
FINGERS = ("thumb", "index", "middle", "ring", "pinky")


@dataclass(frozen=True)
class _Anatomy:
    """The mean adult in the T-pose, and what tells its parts apart."""

    vertices: np.ndarray
    bone_heads: np.ndarray
    weights: np.ndarray
    bone_weights: np.ndarray
    bones: tuple[str, ...]

    def moved_by(self, joint: str, above: float = 0.5) -> np.ndarray:
        return self.weights[:, SMPL_24.index(joint)] > above

    def farthest(self, among: np.ndarray, direction: tuple[float, float, float]) -> int:
        """The vertex of a set that lies farthest along a direction."""
        return int(np.argmax(np.where(among, self.vertices @ np.array(direction), -np.inf)))


def find_landmarks(adults: Adults) -> dict[str, int]:
    """The vertex of each of smplx's names, such as `nose`, `LHeel` or `rthumb`."""
    body = _Anatomy(
        adults.vertices_m.mean(0).numpy(),
        adults.bone_heads_m.mean(0).numpy(),
        adults.weights.numpy(),
        adults.bone_weights.numpy(),
        adults.bones,
    )
    found = {"nose": _nose(body)}
    for side, sign in (("l", 1.0), ("r", -1.0)):
        found |= _side_of_face(body, side, sign) | _foot(body, side, sign) | _fingertips(body, side)
    return found


def vertex_order(landmarks: dict[str, int], n_vertices: int) -> Int[np.ndarray, " vertices"]:
    """Old numbers of the vertices in their new order, which puts each landmark at smplx's number for it."""
    order = np.arange(n_vertices)
    place = np.arange(n_vertices)  # where an old number now stands
    for name, slot in SLOTS.items():
        at, other = place[landmarks[name]], order[slot]
        order[slot], order[at] = landmarks[name], other
        place[landmarks[name]], place[other] = slot, at
    return order


def _nose(body: _Anatomy) -> int:
    x, y, _ = body.vertices.T
    top = y.max()
    middle = (np.abs(x) < 0.01) & (y < top - 0.08) & (y > top - 0.20)
    return body.farthest(middle & body.moved_by("head", 0.9), (0, 0, 1))


def _side_of_face(body: _Anatomy, side: str, sign: float) -> dict[str, int]:
    eye = body.bone_heads[body.bones.index(f"eye.{side.upper()}")]
    around = np.linalg.norm((body.vertices - eye)[:, :2], axis=1)
    pupil = (around < 0.006) & (body.vertices[:, 2] > eye[2] - 0.02)
    head_height = body.bone_heads[body.bones.index("head"), 1]
    beside = (sign * body.vertices[:, 0] > 0) & (body.vertices[:, 1] > head_height) & body.moved_by("head", 0.9)
    return {f"{side}eye": body.farthest(pupil, (0, 0, 1)), f"{side}ear": body.farthest(beside, (sign, 0, 0))}


def _foot(body: _Anatomy, side: str, sign: float) -> dict[str, int]:
    whole = "left" if side == "l" else "right"
    toes, ankle = body.moved_by(f"{whole}_foot"), body.moved_by(f"{whole}_ankle")
    return {
        f"{side.upper()}BigToe": body.farthest(toes, (-0.5 * sign, 0, 1)),
        f"{side.upper()}SmallToe": body.farthest(toes, (sign, 0, 1)),
        f"{side.upper()}Heel": body.farthest(ankle, (0, -0.5, -1)),
    }


def _fingertips(body: _Anatomy, side: str) -> dict[str, int]:
    tips = {}
    for number, finger in enumerate(FINGERS, start=1):
        last = body.bones.index(f"finger{number}-3.{side.upper()}")
        before = body.bones.index(f"finger{number}-2.{side.upper()}")
        direction = body.bone_heads[last] - body.bone_heads[before]
        tips[f"{side}{finger}"] = body.farthest(body.bone_weights[:, last] > 0.5, tuple(direction))
    return tips
