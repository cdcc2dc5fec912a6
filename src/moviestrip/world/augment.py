"""Many motions from few: edits that keep a motion plausible and its feet where they stand.

Every edit is a pure function of a motion (and a generator where it draws); each that moves the legs ends in
the foot lock. An edited motion keeps the id of its source, so that splits stay apart.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, Slerp

from moviestrip.errors import FatalError
from moviestrip.skeleton import SMPL_24, indices_of, mirror_permutation
from moviestrip.world.footlock import lock_feet
from moviestrip.world.kinematics import JOINT, Motion, RestSkeleton

MIRROR = mirror_permutation(SMPL_24)
UPPER_BODY = indices_of(
    [name for name in SMPL_24 if name.split("_")[-1] in ("collar", "shoulder", "elbow", "wrist", "hand")], SMPL_24
)
STYLE_RADIANS = {
    "spine1": 0.05, "spine2": 0.05, "spine3": 0.05, "neck": 0.08, "head": 0.1, "left_shoulder": 0.1,
    "right_shoulder": 0.1, "left_collar": 0.03, "right_collar": 0.03, "left_hip": 0.03, "right_hip": 0.03,
}  # fmt: skip


def mirror(motion: Motion) -> Motion:
    """Left for right."""
    pose = motion.pose.reshape(-1, 24, 3)[:, MIRROR] * np.array([1, -1, -1], np.float32)
    translation = motion.translation_m * np.array([-1, 1, 1], np.float32)
    return replace(motion, pose=pose.reshape(-1, 72), translation_m=translation, contacts=motion.contacts[:, ::-1])


def cut(motion: Motion, start: int, n_frames: int) -> Motion:
    if not 0 <= start <= start + n_frames <= len(motion):
        raise FatalError(
            f"{motion.motion_id}: frames {start} to {start + n_frames} asked of {len(motion)}; loop it first"
        )
    part = slice(start, start + n_frames)
    return replace(
        motion, pose=motion.pose[part], translation_m=motion.translation_m[part], contacts=motion.contacts[part]
    )


def resample(motion: Motion, at_frames: Float[np.ndarray, " frames"], fps: float | None = None) -> Motion:
    """The motion at fractional frames: rotations on the shortest arc, places linearly, contacts by both neighbours."""
    at = np.clip(at_frames, 0, len(motion) - 1)
    turns = motion.pose.reshape(-1, 24, 3)
    frames = np.arange(len(motion))
    pose = np.stack([Slerp(frames, Rotation.from_rotvec(turns[:, j]))(at).as_rotvec() for j in range(24)], axis=1)
    translation = np.stack([np.interp(at, frames, motion.translation_m[:, axis]) for axis in range(3)], axis=1)
    below, above = np.floor(at).astype(int), np.ceil(at).astype(int)
    return replace(
        motion,
        fps=motion.fps if fps is None else fps,
        pose=pose.reshape(-1, 72).astype(np.float32),
        translation_m=translation.astype(np.float32),
        contacts=motion.contacts[below] & motion.contacts[above],
    )


def warp_frames(
    n_frames: int, fps: float, rng: np.random.Generator, speed: float, strength: float = 0.15
) -> Float[np.ndarray, " frames"]:
    """Smoothly varying times, in frames, at `speed` on average."""
    noise = gaussian_filter1d(rng.normal(size=n_frames), 0.5 * fps, mode="reflect")
    noise /= max(float(np.abs(noise).max()), 1e-9)
    steps = speed * np.exp(strength * noise)
    return np.concatenate([[0.0], np.cumsum(steps)[:-1]])


def turn_about_floor(motion: Motion, rest: RestSkeleton, angle: float, about_m: Float[np.ndarray, "3"]) -> Motion:
    """The whole motion turned by `angle` about the vertical through a point."""
    turn = Rotation.from_euler("y", angle)
    pose = motion.pose.copy()
    pose[:, :3] = (turn * Rotation.from_rotvec(motion.pose[:, :3])).as_rotvec()
    root = turn.apply(motion.translation_m + rest.joints[0] - about_m) + about_m
    return replace(motion, pose=pose, translation_m=(root - rest.joints[0]).astype(np.float32))


def face_anywhere(motion: Motion, rest: RestSkeleton, rng: np.random.Generator) -> Motion:
    """Turned to a drawn direction and moved so that its path is centred on the origin."""
    turned = turn_about_floor(motion, rest, float(rng.uniform(-np.pi, np.pi)), np.zeros(3))
    root = turned.translation_m + rest.joints[0]
    middle = (root.min(axis=0) + root.max(axis=0)) / 2 * [1, 0, 1]
    return replace(turned, translation_m=(turned.translation_m - middle).astype(np.float32))


def heading(motion: Motion, frame: int) -> float:
    """Direction the pelvis faces in the floor plane, radians from +z to the person's left.

    Lying bodies have no clear front: the direction of their spine stands in.
    """
    matrix = Rotation.from_rotvec(motion.pose[frame, :3]).as_matrix()
    forward = matrix[:, 2] if matrix[1, 1] > 0.3 else np.sign(matrix[1, 2] or 1) * -matrix[:, 1]
    return float(np.arctan2(forward[0], forward[2]))


def follow_on(first: Motion, second: Motion, rest: RestSkeleton, blend_frames: int) -> Motion:
    """`second` begun where `first` ends, facing its way, over `blend_frames` shared frames; feet locked after."""
    blend = min(blend_frames, len(first) - 1, len(second) - 1)
    anchor = first.translation_m[-blend] + rest.joints[0]
    turned = turn_about_floor(
        second, rest, heading(first, len(first) - blend) - heading(second, 0), second.translation_m[0] + rest.joints[0]
    )
    shift = anchor - (turned.translation_m[0] + rest.joints[0])
    turned = replace(turned, translation_m=turned.translation_m + shift * np.array([1, 0, 1], np.float32))
    joined = _crossfade(first, turned, blend)
    return lock_feet(joined, rest, joined.contacts)


def _crossfade(first: Motion, second: Motion, blend: int) -> Motion:
    weight = (np.arange(blend) + 0.5) / blend
    weight = weight * weight * (3 - 2 * weight)
    start = Rotation.from_rotvec(first.pose[-blend:].reshape(-1, 3))
    stop = Rotation.from_rotvec(second.pose[:blend].reshape(-1, 3))
    part = (start.inv() * stop).as_rotvec() * np.repeat(weight, 24)[:, None]
    pose = (start * Rotation.from_rotvec(part)).as_rotvec().reshape(blend, 72)
    place = first.translation_m[-blend:] * (1 - weight[:, None]) + second.translation_m[:blend] * weight[:, None]
    both = first.contacts[-blend:] & second.contacts[:blend]
    return replace(
        first,
        pose=np.concatenate([first.pose[:-blend], pose, second.pose[blend:]]).astype(np.float32),
        translation_m=np.concatenate([first.translation_m[:-blend], place, second.translation_m[blend:]]).astype(
            np.float32
        ),
        contacts=np.concatenate([first.contacts[:-blend], both, second.contacts[blend:]]),
    )


def loop(motion: Motion, rest: RestSkeleton, n_frames: int) -> Motion:
    """A motion repeated until it has `n_frames`, each turn begun where the last one ended.

    One that does not close on itself is played back and forth instead: its ends meet by construction.
    """
    if not motion.cyclic:
        return _back_and_forth(motion, n_frames)
    blend = max(2, round(0.16 * motion.fps))
    result = motion
    while len(result) < n_frames:
        result = follow_on(result, motion, rest, blend)
    return cut(result, 0, n_frames)


def _back_and_forth(motion: Motion, n_frames: int) -> Motion:
    period = max(1, 2 * (len(motion) - 1))
    phase = np.arange(n_frames) % period
    order = np.where(phase < len(motion), phase, period - phase)
    return replace(
        motion, pose=motion.pose[order], translation_m=motion.translation_m[order], contacts=motion.contacts[order]
    )


def transition(first: Motion, second: Motion, rest: RestSkeleton, rng: np.random.Generator, n_frames: int) -> Motion:
    """From one motion into another where their poses are closest; `first` gives the id."""
    earliest, latest = n_frames // 4, min(len(first) - 1, 3 * n_frames // 4)
    if latest <= earliest:
        raise FatalError(f"{first.motion_id}: {len(first)} frames are too few for a transition within {n_frames}")
    leave = np.arange(earliest, latest + 1)
    blend = round(0.3 * first.fps)
    enter = np.arange(0, max(1, len(second) - n_frames // 4 - blend))
    distance = pose_distance(first, leave, second, enter)
    near = np.argsort(distance, axis=None, kind="stable")[: max(1, distance.size // 200)]
    out, into = np.unravel_index(int(rng.choice(near)), distance.shape)
    head = cut(first, 0, int(leave[out]) + 1)
    tail = cut(second, int(enter[into]), len(second) - int(enter[into]))
    joined = follow_on(head, tail, rest, blend)
    return cut(joined, 0, min(n_frames, len(joined)))


def pose_distance(
    first: Motion, first_frames: np.ndarray, second: Motion, second_frames: np.ndarray
) -> Float[np.ndarray, "first second"]:
    """Mean angle between body poses, and the difference of root tilt and height, for every pair of frames."""
    a, b = _pose_features(first)[first_frames], _pose_features(second)[second_frames]
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squared, 0))


def _pose_features(motion: Motion) -> np.ndarray:
    rotations = Rotation.from_rotvec(motion.pose[:, 3:66].reshape(-1, 3)).as_matrix().reshape(len(motion), -1)
    up = Rotation.from_rotvec(motion.pose[:, :3]).as_matrix()[:, 1]
    return np.concatenate([rotations, 4 * up, 3 * motion.translation_m[:, 1:2]], axis=1)


def mix_upper_body(motion: Motion, donor: Motion, start: int = 0) -> Motion:
    """The arms of another motion, turned forward and back when it is shorter; the legs and trunk stay."""
    donor = _back_and_forth(cut(donor, start, len(donor) - start), len(motion))
    pose = motion.pose.reshape(-1, 24, 3).copy()
    pose[:, UPPER_BODY] = donor.pose.reshape(-1, 24, 3)[:, UPPER_BODY]
    return replace(motion, pose=pose.reshape(-1, 72))


def style(motion: Motion, rest: RestSkeleton, rng: np.random.Generator, strength: float = 1.0) -> Motion:
    """A person's own way of moving: constant small offsets of the joints; legs are pinned again afterwards."""
    local = motion.pose.reshape(-1, 24, 3).copy()
    for name, size in STYLE_RADIANS.items():
        offset = Rotation.from_rotvec(np.clip(rng.normal(size=3), -2, 2) * size * strength)
        local[:, JOINT[name]] = (Rotation.from_rotvec(local[:, JOINT[name]]) * offset).as_rotvec()
    styled = replace(motion, pose=local.reshape(-1, 72).astype(np.float32))
    return lock_feet(styled, rest, motion.contacts)
