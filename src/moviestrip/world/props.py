"""What a person needs to do what they do: a seat, a bench, a bar to hang from.

Judged by the motion wherever it can be: whoever rests on nothing gets something to rest on.
"""

import numpy as np
from jaxtyping import Bool, Float

from moviestrip.skeleton import SMPL_24, indices_of
from moviestrip.world.performers import Performer
from moviestrip.world.rasterise import Light
from moviestrip.world.shapes import Mesh, box, post

RESTING_FRAMES = 8
SLOW_M_PER_S = 0.25
LOWEST_SEAT_M = 0.18
WOOD, STEEL = (0.52, 0.40, 0.28), (0.32, 0.33, 0.35)


def props_for(person: Performer, light: Light) -> list[Mesh]:
    """Things to stand in the set for one person."""
    if person.motion.action == "pull_ups":
        return _bar(person, light)
    seated, lying = _seated(person), _lying(person)
    if lying.sum() >= RESTING_FRAMES:
        return _bench(person, lying, light)
    if seated.sum() >= RESTING_FRAMES:
        return _stool(person, seated, light)
    return []


def _joint(person: Performer, *names: str) -> Float[np.ndarray, "frames 3"]:
    """Mean place of some joints."""
    return person.joints_m[:, indices_of(names, SMPL_24)].mean(1)


def _slow(points_m: Float[np.ndarray, "frames 3"], fps: float) -> Bool[np.ndarray, " frames"]:
    return np.linalg.norm(np.gradient(points_m, axis=0), axis=-1) * fps < SLOW_M_PER_S


def _seated(person: Performer) -> Bool[np.ndarray, " frames"]:
    """Trunk upright, thighs level, and the pelvis at rest behind the feet instead of over them."""
    pelvis, neck = _joint(person, "pelvis"), _joint(person, "neck")
    hips, knees = _joint(person, "left_hip", "right_hip"), _joint(person, "left_knee", "right_knee")
    ankles = _joint(person, "left_ankle", "right_ankle")
    behind = np.linalg.norm((pelvis - ankles)[:, [0, 2]], axis=-1) > 0.2
    level = np.abs(hips[:, 1] - knees[:, 1]) < 0.16
    upright = neck[:, 1] - pelvis[:, 1] > 0.33
    return behind & level & upright & _slow(pelvis, person.motion.fps) & (pelvis[:, 1] > LOWEST_SEAT_M + 0.1)


def _lying(person: Performer) -> Bool[np.ndarray, " frames"]:
    """Trunk level, on the back, well above the floor, at rest."""
    pelvis, neck, knees = _joint(person, "pelvis"), _joint(person, "neck"), _joint(person, "left_knee", "right_knee")
    level = np.abs(neck[:, 1] - pelvis[:, 1]) < 0.2
    on_back = np.cross(neck - pelvis, _joint(person, "right_hip") - _joint(person, "left_hip"))[:, 1] > 0
    raised = (pelvis[:, 1] > 0.35) & (knees[:, 1] > 0.3)
    return level & on_back & raised & _slow(pelvis, person.motion.fps)


def _underside_m(person: Performer, frames: Bool[np.ndarray, " frames"], centre: np.ndarray, reach_m: float) -> float:
    """Height of the lowest flesh near a place on the floor plan."""
    chosen = person.vertices_m[frames][::4]
    near = np.linalg.norm(chosen[..., [0, 2]] - centre[[0, 2]], axis=-1) < reach_m
    heights = np.where(near, chosen[..., 1], np.inf).min(1)
    return float(np.median(heights[np.isfinite(heights)])) if np.isfinite(heights).any() else 0.0


def _stool(person: Performer, frames: Bool[np.ndarray, " frames"], light: Light) -> list[Mesh]:
    pelvis = np.median(_joint(person, "pelvis")[frames], axis=0)
    height = _underside_m(person, frames, pelvis, 0.14)
    if height < LOWEST_SEAT_M:
        return []
    x, _, z = pelvis
    legs = [
        post((x + dx, 0, z + dz), height - 0.03, 0.02, light, STEEL) for dx in (-0.14, 0.14) for dz in (-0.14, 0.14)
    ]
    return [*box((x, height - 0.04, z), (0.36, 0.04, 0.36), light, WOOD), *legs]


def _bench(person: Performer, frames: Bool[np.ndarray, " frames"], light: Light) -> list[Mesh]:
    pelvis, head = (np.median(_joint(person, name)[frames], axis=0) for name in ("pelvis", "head"))
    middle, along = (pelvis + head) / 2, head - pelvis
    height = _underside_m(person, frames, middle, 0.15)
    if height < LOWEST_SEAT_M:
        return []
    x, _, z = middle
    heading = float(np.arctan2(-along[2], along[0]))
    legs = [
        post((x + side * along[0], 0, z + side * along[2]), height - 0.05, 0.04, light, STEEL) for side in (-0.4, 0.4)
    ]
    return [*box((x, height - 0.07, z), (1.15, 0.07, 0.28), light, (0.16, 0.16, 0.18), heading), *legs]


def _bar(person: Performer, light: Light) -> list[Mesh]:
    """A bar through both hands on two posts."""
    left, right = (np.median(_joint(person, name), axis=0) for name in ("left_hand", "right_hand"))
    middle, across = (left + right) / 2, (right - left) * [1, 0, 1]
    across = across / max(np.linalg.norm(across), 1e-6)
    x, y, z = middle
    heading = float(np.arctan2(-across[2], across[0]))
    posts = [
        post((x + side * across[0], 0, z + side * across[2]), y + 0.05, 0.035, light, STEEL) for side in (-0.9, 0.9)
    ]
    return [*box((x, y - 0.02, z), (1.8, 0.035, 0.035), light, STEEL, heading), *posts]
