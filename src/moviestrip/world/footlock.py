"""Feet that stand still when they stand: contacts are found, then held by inverse kinematics.

Retargeted and edited motion skates, because rotations were carried over and places were not. Each stretch of
contact gets one place on the floor; before and after it the foot is eased from and to where the motion had it.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d

from moviestrip.world.kinematics import (
    ANKLES,
    FEET,
    JOINT,
    SOLE_BELOW_FOOT_JOINT_M,
    Motion,
    RestSkeleton,
    forward_kinematics,
    lowest_point_m,
    pose_of_global,
)  # fmt: skip
from moviestrip.world.limbs import LEGS, MAXIMUM_REACH, bend_direction, solve_limb

SIDES = ("left", "right")
EASE_S = 0.16
CONTACT_HEIGHT_M = 0.04
CONTACT_SPEED_M_PER_S = 0.55
SHORTEST_CONTACT_S = 0.08
CRAWLING_HIPS_M = 0.35  # below it recorded feet drag, and pinning them would push the knees into the floor


def detect_contacts(
    joints: Float[np.ndarray, "frames 24 3"],
    fps: float,
    height_m: float = CONTACT_HEIGHT_M,
    speed_m_per_s: float = CONTACT_SPEED_M_PER_S,
) -> Bool[np.ndarray, "frames 2"]:
    """Feet whose ball is near the floor and slow; single-frame gaps and stretches are dropped."""
    feet = joints[:, FEET]
    speed = np.linalg.norm(np.gradient(feet, axis=0), axis=-1) * fps if len(feet) > 1 else np.zeros(feet.shape[:2])
    contacts = (feet[..., 1] - SOLE_BELOW_FOOT_JOINT_M < height_m) & (speed < speed_m_per_s)
    shortest = max(2, round(SHORTEST_CONTACT_S * fps))
    for side in range(2):
        for start, stop in stretches(~contacts[:, side]):
            if stop - start < 2 and start > 0 and stop < len(contacts):
                contacts[start:stop, side] = True
        for start, stop in stretches(contacts[:, side]):
            if stop - start < shortest:
                contacts[start:stop, side] = False
    return contacts


def stretches(flags: Bool[np.ndarray, " frames"]) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each run of true frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def held_places(
    balls: Float[np.ndarray, "frames 3"], contact: Bool[np.ndarray, " frames"], fps: float
) -> Float[np.ndarray, "frames 3"]:
    """Where the ball of one foot should be: one place a stretch of contact, eased in and out, never below the floor."""
    correction = np.zeros_like(balls)
    weight = np.zeros(len(balls))
    ease = max(1, round(EASE_S * fps))
    runs = stretches(contact)
    for number, (start, stop) in enumerate(runs):
        place = np.median(balls[start:stop], axis=0)
        place[1] = SOLE_BELOW_FOOT_JOINT_M
        before = runs[number - 1][1] if number else -10 * ease
        after = runs[number + 1][0] if number + 1 < len(runs) else len(balls) + 10 * ease
        correction[start:stop], weight[start:stop] = place - balls[start:stop], 1
        _ease(
            correction, weight, place - balls[start], range(start - 1, max(start - ease, (before + start) // 2) - 1, -1)
        )
        _ease(correction, weight, place - balls[stop - 1], range(stop, min(stop + ease, (after + stop + 1) // 2)))
    places = balls + correction
    places[:, 1] = np.maximum(places[:, 1], SOLE_BELOW_FOOT_JOINT_M)
    return places


def _ease(correction: np.ndarray, weight: np.ndarray, full: np.ndarray, frames: range) -> None:
    """Fade a correction out over `frames`, nearest first."""
    for number, frame in enumerate(frames, start=1):
        if 0 <= frame < len(weight) and not weight[frame]:
            left = 1 - number / (len(frames) + 1)
            correction[frame] = full * (left * left * (3 - 2 * left))


def lock_feet(motion: Motion, rest: RestSkeleton, contacts: Bool[np.ndarray, "frames 2"] | None = None) -> Motion:
    """The motion with each contact held in one place and no part under the floor.

    Contacts are found when none are given. A stretch that the legs cannot hold (the hips travel too far) is
    cut to what they can, and the returned contacts say so.
    """
    pose, translation = motion.pose.astype(np.float64), motion.translation_m.astype(np.float64)
    joints, rotations = forward_kinematics(pose, translation, rest)
    translation = translation + _lift(joints, motion.fps)
    joints, rotations = forward_kinematics(pose, translation, rest)
    if contacts is None:
        contacts = detect_contacts(joints, motion.fps) & (joints[:, :1, 1] > CRAWLING_HIPS_M)
    balls = np.stack([held_places(joints[:, FEET[side]], contacts[:, side], motion.fps) for side in range(2)], axis=1)
    ankles = balls + (joints[:, ANKLES] - joints[:, FEET])
    drop = _drop_within_reach(joints, ankles, contacts, rest, motion.fps)
    translation[:, 1] -= drop
    joints[..., 1] -= drop[:, None]
    for index, side in enumerate(SIDES):
        _set_leg(rotations, joints, rest, side, ankles[:, index])
    pose = pose_of_global(rotations, rest.parents).astype(np.float32)
    locked, _ = forward_kinematics(pose, translation, rest)
    held = np.linalg.norm(locked[:, FEET] - balls, axis=-1) < 0.005
    return replace(motion, pose=pose, translation_m=translation.astype(np.float32), contacts=contacts & held)


def _lift(joints: Float[np.ndarray, "frames 24 3"], fps: float) -> Float[np.ndarray, "frames 3"]:
    """Smooth upward shift that keeps the body out of the floor; feet are left to the lock."""
    under = np.maximum(-lowest_point_m(joints), 0)
    width = max(1, round(0.12 * fps))
    padded = np.pad(under, width, mode="edge")
    widest = np.lib.stride_tricks.sliding_window_view(padded, 2 * width + 1).max(axis=1)
    lift = np.maximum(gaussian_filter1d(widest, width / 2, mode="nearest"), under)
    return np.stack([np.zeros_like(lift), lift, np.zeros_like(lift)], axis=1)


def _drop_within_reach(
    joints: np.ndarray, ankles: np.ndarray, contacts: np.ndarray, rest: RestSkeleton, fps: float
) -> Float[np.ndarray, " frames"]:
    """How far the hips must sink so that standing legs reach their place; at most a hand's breadth."""
    need = np.zeros(len(joints))
    for index, side in enumerate(SIDES):
        offset = joints[:, JOINT[f"{side}_hip"]] - ankles[:, index]
        level = np.linalg.norm(offset[:, [0, 2]], axis=1)
        rise = np.sqrt(np.maximum((MAXIMUM_REACH * rest.leg_length_m) ** 2 - level**2, 0))
        need = np.maximum(need, np.where(contacts[:, index], offset[:, 1] - rise, 0))
    need = np.clip(need, 0, 0.1)
    width = max(1, round(0.1 * fps))
    widest = np.lib.stride_tricks.sliding_window_view(np.pad(need, width, mode="edge"), 2 * width + 1).max(axis=1)
    return gaussian_filter1d(widest, width / 2, mode="nearest")


def _set_leg(rotations: np.ndarray, joints: np.ndarray, rest: RestSkeleton, side: str, ankle: np.ndarray) -> None:
    """Bend one leg to its ankle's place, knee pointing where it did, foot as it was in the room."""
    limb = LEGS[side]
    pole = bend_direction(joints, rotations, limb)
    upper, lower = solve_limb(rest, limb, joints[:, JOINT[limb.upper]], ankle, pole)
    rotations[:, JOINT[limb.upper]], rotations[:, JOINT[limb.middle]] = upper, lower
