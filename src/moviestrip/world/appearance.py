"""Clothes, skin and hair as vertex colours, for any body in SMPL's layout.

A detector trained on photographs wants people, not mannequins: bare and clothed limbs that differ, a face
with eyes, hair that says where the front is. The regions follow from the skinning weights and the rest
joints alone, so another body needs no painting by hand.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from smplx.vertex_ids import vertex_ids

from moviestrip.skeleton import SMPL_24

JOINT = {name: index for index, name in enumerate(SMPL_24)}
SKIN = np.array(
    [(0.96, 0.80, 0.70), (0.92, 0.74, 0.62), (0.86, 0.66, 0.52), (0.74, 0.54, 0.40), (0.55, 0.38, 0.27),
     (0.40, 0.27, 0.20)]
)  # fmt: skip
HAIR = np.array(
    [(0.09, 0.07, 0.06), (0.20, 0.13, 0.08), (0.36, 0.22, 0.12), (0.66, 0.50, 0.28), (0.48, 0.24, 0.12),
     (0.55, 0.54, 0.52)]
)  # fmt: skip
CLOTH = np.array(
    [(0.82, 0.81, 0.78), (0.16, 0.17, 0.19), (0.45, 0.47, 0.50), (0.18, 0.27, 0.46), (0.60, 0.16, 0.16),
     (0.20, 0.38, 0.26), (0.76, 0.62, 0.24), (0.48, 0.30, 0.44), (0.28, 0.48, 0.62), (0.72, 0.42, 0.28),
     (0.55, 0.62, 0.48), (0.85, 0.68, 0.66)]
)  # fmt: skip
TROUSERS = np.array(
    [(0.17, 0.22, 0.34), (0.27, 0.34, 0.47), (0.14, 0.14, 0.16), (0.46, 0.40, 0.31), (0.34, 0.34, 0.35),
     (0.58, 0.54, 0.46), (0.25, 0.28, 0.22)]
)  # fmt: skip
SHOES = np.array([(0.80, 0.80, 0.80), (0.10, 0.10, 0.11), (0.35, 0.22, 0.14), (0.25, 0.30, 0.45), (0.62, 0.18, 0.16)])


@dataclass(frozen=True)
class Template:
    """What of a body its painting depends on."""

    vertices: Float[np.ndarray, "vertices 3"]
    weights: Float[np.ndarray, "vertices 24"]
    joints: Float[np.ndarray, "24 3"]

    @property
    def owner(self) -> np.ndarray:
        """The joint that moves each vertex most."""
        return self.weights.argmax(1)

    def owned_by(self, *names: str) -> np.ndarray:
        return np.isin(self.owner, [JOINT[name] for name in names])

    def joint(self, name: str) -> np.ndarray:
        return self.joints[JOINT[name]]


def dress(body: Template, rng: np.random.Generator) -> Float[np.ndarray, "vertices 3"]:
    """Colours 0..1 of one person's skin and clothes, before any light falls on them."""
    skin, hair = SKIN[rng.integers(len(SKIN))], HAIR[rng.integers(len(HAIR))]
    colours = np.tile(skin, (len(body.vertices), 1))
    _paint(colours, _shirt(body, rng), _cloth_colours(body, CLOTH, rng))
    _paint(colours, _trousers(body, rng), _cloth_colours(body, TROUSERS, rng, plain=True))
    _paint(colours, body.owned_by("left_ankle", "right_ankle", "left_foot", "right_foot"), SHOES[rng.integers(5)])
    _paint_head(colours, body, skin, hair, rng)
    grain = 1 + rng.normal(size=(len(colours), 1)) * rng.uniform(0.01, 0.04)
    return np.clip(colours * grain, 0, 1)


def _paint(colours: np.ndarray, where: np.ndarray, colour: np.ndarray) -> None:
    colours[where] = colour if colour.ndim == 1 else colour[where]


def _cloth_colours(
    body: Template, palette: np.ndarray, rng: np.random.Generator, plain: bool = False
) -> Float[np.ndarray, "vertices 3"]:
    """Plain cloth, or horizontal stripes, or a broad chest band."""
    first, second = palette[rng.choice(len(palette), 2, replace=False)] * rng.uniform(0.8, 1.1)
    height = body.vertices[:, 1]
    pattern = 0 if plain else rng.integers(4)
    if pattern == 1:
        striped = np.sin(height * 2 * np.pi / rng.uniform(0.06, 0.12)) > 0
        return np.where(striped[:, None], first, second)
    if pattern == 2:
        chest = body.joint("spine3")[1]
        return np.where((np.abs(height - chest) < 0.05)[:, None], second, first)
    return np.tile(first, (len(height), 1))


def _shirt(body: Template, rng: np.random.Generator) -> np.ndarray:
    sleeves = rng.choice(["none", "short", "long"], p=[0.15, 0.5, 0.35])
    collar, waist = body.joint("neck")[1] - 0.01, body.joint("spine1")[1] - 0.06
    side = np.abs(body.vertices[:, 0])
    where = body.owned_by("spine1", "spine2", "spine3", "left_collar", "right_collar")
    where |= body.owned_by("pelvis") & (body.vertices[:, 1] > waist)
    upper_arm = body.owned_by("left_shoulder", "right_shoulder")
    shoulder, elbow = abs(body.joint("left_shoulder")[0]), abs(body.joint("left_elbow")[0])
    if sleeves == "short":
        where |= upper_arm & (side < shoulder + 0.6 * (elbow - shoulder))
    if sleeves == "long":
        where |= upper_arm | body.owned_by("left_elbow", "right_elbow")
    return where & (body.vertices[:, 1] < collar)


def _trousers(body: Template, rng: np.random.Generator) -> np.ndarray:
    waist, knee = body.joint("spine1")[1] - 0.06, body.joint("left_knee")[1]
    where = body.owned_by("left_hip", "right_hip") | (body.owned_by("pelvis") & (body.vertices[:, 1] <= waist))
    if rng.random() < 0.35:
        return where & (body.vertices[:, 1] > knee + 0.06)
    return where | body.owned_by("left_knee", "right_knee")


def _paint_head(
    colours: np.ndarray, body: Template, skin: np.ndarray, hair: np.ndarray, rng: np.random.Generator
) -> None:
    head = body.owned_by("head", "neck")
    x, y, z = body.vertices.T
    landmarks = vertex_ids["smplh"]
    eyes, nose = body.vertices[[landmarks["leye"], landmarks["reye"]]], body.vertices[landmarks["nose"]]
    unit = np.linalg.norm(eyes[0] - eyes[1])  # the distance of the eyes measures the face
    face_height, ear_depth = eyes[:, 1].mean(), body.vertices[[landmarks["lear"], landmarks["rear"]], 2].mean()
    long_hair = rng.random() < 0.4
    hairline = face_height + 0.75 * unit
    nape = face_height - (2.2 if long_hair else 0.9) * unit
    _paint(colours, head & ((y > hairline) | ((z < ear_depth) & (y > nape))), hair)
    front = head & (z > ear_depth + 0.6 * unit)
    brow = np.abs(y - (face_height + 0.34 * unit)) < 0.09 * unit
    _paint(colours, front & brow & (np.abs(np.abs(x) - unit / 2) < 0.32 * unit), 0.7 * hair + 0.1 * skin)
    for eye in eyes:
        distance = np.hypot(x - eye[0], y - eye[1])
        _paint(colours, front & (distance < 0.2 * unit), np.array([0.90, 0.90, 0.88]))
        _paint(colours, front & (distance < 0.12 * unit), np.array([0.10, 0.07, 0.05]))
    mouth = nose[1] - 0.5 * unit
    lips = front & (np.abs(x) < 0.36 * unit) & (np.abs(y - mouth) < 0.12 * unit)
    _paint(colours, lips, skin * [0.85, 0.55, 0.55])
