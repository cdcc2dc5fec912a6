"""Key postures and how they become a motion.

A posture says where the pelvis, the hands and the feet are and how the spine bends; a score is a sequence of
postures in time. Because feet (and hands on a floor, a bar or a bat) are keyed as places rather than angles, a
contact that two neighbouring keys share stays exactly where it is, whatever the rest of the body does.

Lengths are in legs for the pelvis and the feet, in arms for the hands, so that a score fits any skeleton.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from moviestrip.errors import FatalError
from moviestrip.world.kinematics import (
    JOINT,
    RADIUS_M,
    RestSkeleton,
    pose_of_global,
)  # fmt: skip
from moviestrip.world.limbs import ARMS, LEGS, MAXIMUM_REACH, solve_limb, unit

Value = float | tuple[float, ...] | np.ndarray

SIDES = ("left", "right")
SIGN = {"left": 1.0, "right": -1.0}

FREE_WRIST_ABOVE_FLOOR_M = 0.19  # the hand beyond it may hang

# What a key posture holds, with the standing values. Angles in radians.
CONTROLS: dict[str, tuple[float, ...]] = {
    "pelvis": (0, 1, 0),  # x, height, z in legs; height 1 is standing straight
    "turn": (0,),  # heading of the pelvis in the room: positive to the person's left
    "lean": (0,),  # pelvis pitch: positive bows forward
    "tilt": (0,),  # pelvis roll: positive lowers the right hip
    "spine": (0, 0, 0),  # forward bend, twist to the left, bend to the right
    "head": (0, 0, 0),  # nod down, turn to the left, tilt to the right
    "left_hand": (0.17, -0.965, 0.06),  # from the shoulder in the chest's frame, arms: outward, up, forward
    "right_hand": (0.17, -0.965, 0.06),
    "left_elbow": (0,),  # turns the elbow about the shoulder-hand line: positive outward and up
    "right_elbow": (0,),
    "left_hold": (0, 0, 0),  # a place in the room to hold on to, in legs: x, y, z
    "right_hold": (0, 0, 0),
    "left_holding": (0,),  # 1 takes the hand from left_hand to left_hold
    "right_holding": (0,),
    "left_foot": (0.13, 0, 0),  # x, height of the sole, z in legs: the place of the flat foot's ankle
    "right_foot": (-0.13, 0, 0),
    "left_toes": (0.12, 0),  # foot's heading in the room (outward from +z), pitch (positive raises the heel)
    "right_toes": (0.12, 0),
    "left_knee": (0.1,),  # outward turn of the knee
    "right_knee": (0.1,),
}
BOTH = {
    "hands": "hand", "elbows": "elbow", "toes": "toes", "knees": "knee", "holding": "holding",
}  # fmt: skip


@dataclass
class Score:
    """Key postures in time. A key starts from the one before and names only what changes."""

    duration_s: float = 0.0
    last_key_s: float = 0.0  # when the stretch that leads to the last key began
    keys: dict[str, list[tuple[float, np.ndarray]]] = field(
        default_factory=lambda: {name: [(0.0, np.array(value, float))] for name, value in CONTROLS.items()}
    )

    def now(self, control: str) -> np.ndarray:
        return self.keys[control][-1][1].copy()

    def start(self, **changes: Value) -> "Score":
        """Change the first posture."""
        for control, value in _named_controls(changes).items():
            self.keys[control][0] = (0.0, value)
        return self

    def key(self, after_s: float, **changes: Value) -> "Score":
        """The posture reached `after_s` seconds after the last one; whatever is not named holds still."""
        named = _named_controls(changes)
        self.last_key_s = self.duration_s
        self.duration_s += after_s
        for control, keys in self.keys.items():
            keys.append((self.duration_s, named.get(control, keys[-1][1])))
        return self

    def passing(self, fraction: float, **changes: Value) -> "Score":
        """On the way between the last two keys, let only the named controls pass through a value."""
        for control, value in _named_controls(changes).items():
            at_s = self.last_key_s + fraction * (self.duration_s - self.last_key_s)
            self.keys[control].insert(-1, (at_s, value))
        return self

    def hold(self, after_s: float) -> "Score":
        return self.key(after_s)

    def step(self, side: str, x: float, z: float, after_s: float, lift: float = 0.1, **changes: Value) -> "Score":
        """Move one foot through the air to (x, z) while the rest goes to the changed posture."""
        foot = f"{side}_foot"
        before = self.now(foot)
        heading = float(np.atleast_1d(np.array(changes.get(f"{side}_toes", self.now(f"{side}_toes")), float))[0])
        self.key(after_s, **{foot: (x, 0, z), **changes})
        middle = (before[[0, 2]] + [x, z]) / 2
        self.passing(0.25, **{f"{side}_toes": (heading, 0.3)})
        return self.passing(0.5, **{foot: (middle[0], lift, middle[1])})


def _named_controls(changes: Mapping[str, Value]) -> dict[str, np.ndarray]:
    named = {}
    for name, value in changes.items():
        for control in _controls_named(name):
            named[control] = np.atleast_1d(np.array(value, float))
            if named[control].shape != (len(CONTROLS[control]),):
                raise FatalError(
                    f"posture: '{control}' was given {named[control].size} numbers, expected {len(CONTROLS[control])}"
                )
    return named


def _controls_named(name: str) -> tuple[str, ...]:
    if name in CONTROLS:
        return (name,)
    if name in BOTH:
        return tuple(f"{side}_{BOTH[name]}" for side in SIDES)
    raise FatalError(f"posture: there is no control '{name}'; known: {', '.join([*CONTROLS, *BOTH])}")


Tracks = dict[str, Float[np.ndarray, "frames size"]]


def sample_score(score: Score, n_frames: int, fps: float) -> Tracks:
    """Every control at every frame: monotone cubic between keys, so that equal keys hold still exactly."""
    times = np.minimum(np.arange(n_frames) / fps, score.duration_s)
    tracks = {}
    for name, keys in score.keys.items():
        last_at = {round(time, 6): value for time, value in keys}
        values = np.stack(list(last_at.values()))
        tracks[name] = PchipInterpolator(list(last_at), values, axis=0)(times)
        if name.endswith("_hand"):
            reach = np.linalg.norm(values, axis=1, keepdims=True)
            tracks[name] = _on_arcs(tracks[name], PchipInterpolator(list(last_at), reach, axis=0)(times))
    return tracks


def _on_arcs(
    hands: Float[np.ndarray, "frames 3"], reach: Float[np.ndarray, "frames 1"]
) -> Float[np.ndarray, "frames 3"]:
    """Hands swing about the shoulder: the way between two keys keeps their distance, and does not cut through."""
    length = np.linalg.norm(hands, axis=1, keepdims=True)
    return hands / np.maximum(length, 0.5 * reach) * reach


def add_life(tracks: Tracks, rng: np.random.Generator, fps: float, strength: float = 1.0) -> Tracks:
    """Smooth involuntary movement of everything that touches nothing, and rounder timing of it."""
    amplitude = {
        "pelvis": 0.008, "turn": 0.03, "lean": 0.015, "tilt": 0.012, "spine": 0.035, "head": 0.08,
        "left_hand": 0.03, "right_hand": 0.03, "left_elbow": 0.1, "right_elbow": 0.1,
    }  # fmt: skip
    result = dict(tracks)
    for name, size in amplitude.items():
        values = gaussian_filter1d(tracks[name], 0.05 * fps, axis=0, mode="nearest")
        noise = gaussian_filter1d(rng.normal(size=values.shape), 0.35 * fps, axis=0, mode="reflect")
        result[name] = values + strength * size * noise * np.sqrt(2 * np.sqrt(np.pi) * 0.35 * fps)
    return result


def _about(axis: str, angle: Float[np.ndarray, " frames"]) -> Float[np.ndarray, "frames 3 3"]:
    vectors = np.zeros((len(angle), 3))
    vectors[:, "xyz".index(axis)] = angle
    return Rotation.from_rotvec(vectors).as_matrix()


def _bent(angles: Float[np.ndarray, "frames 3"], share: float = 1.0) -> Float[np.ndarray, "frames 3 3"]:
    """Forward bend, twist to the left, bend to the right; `share` of the way."""
    whole = Rotation.from_euler("YXZ", np.stack([angles[:, 1], angles[:, 0], -angles[:, 2]], axis=1))
    return Rotation.from_rotvec(whole.as_rotvec() * share).as_matrix()


def perform(tracks: Tracks, rest: RestSkeleton) -> tuple[np.ndarray, np.ndarray]:
    """Pose and translation of the controls on a skeleton: trunk first, then feet and hands by inverse kinematics."""
    frames = len(tracks["turn"])
    rotations = np.tile(np.eye(3), (frames, 24, 1, 1))
    _bend_trunk(rotations, tracks)
    ankles, foot_rotations = _feet_targets(tracks, rest)
    root = _root_within_reach(_root(tracks, rest), rotations[:, 0], ankles, rest)
    joints = _positions(rotations, root, rest)
    for index, side in enumerate(SIDES):
        _place_leg(rotations, joints, tracks, rest, side, ankles[:, index], foot_rotations[:, index])
    _raise_collars(rotations, tracks)
    joints = _positions(rotations, root, rest)
    for side in SIDES:
        _place_arm(rotations, joints, tracks, rest, side)
    return pose_of_global(rotations, rest.parents), root - rest.joints[0]


def _positions(rotations: np.ndarray, root: np.ndarray, rest: RestSkeleton) -> Float[np.ndarray, "frames 24 3"]:
    joints = np.zeros((len(root), 24, 3))
    joints[:, 0] = root
    for joint in range(1, 24):
        parent = rest.parents[joint]
        joints[:, joint] = joints[:, parent] + rotations[:, parent] @ (rest.joints[joint] - rest.joints[parent])
    return joints


def _root(tracks: Tracks, rest: RestSkeleton) -> Float[np.ndarray, "frames 3"]:
    """Height 1 stands straight; height 0 would put the hips at ankle height on the floor."""
    root = tracks["pelvis"] * rest.leg_length_m
    root[:, 1] += rest.joints[0, 1] - rest.sole_y_m - rest.leg_length_m
    return root


def _bend_trunk(rotations: np.ndarray, tracks: Tracks) -> None:
    pelvis = Rotation.from_euler(
        "YXZ",
        np.stack([tracks["turn"][:, 0], tracks["lean"][:, 0], -tracks["tilt"][:, 0]], axis=1),
    )
    rotations[:, 0] = pelvis.as_matrix()
    for number, name in enumerate(("spine1", "spine2", "spine3"), start=1):
        rotations[:, JOINT[name]] = rotations[:, 0] @ _bent(tracks["spine"], number / 3)
    chest = rotations[:, JOINT["spine3"]]
    rotations[:, JOINT["neck"]] = chest @ _bent(tracks["head"], 0.5)
    rotations[:, JOINT["head"]] = chest @ _bent(tracks["head"])
    for side in SIDES:
        rotations[:, JOINT[f"{side}_collar"]] = chest
    for name in ("hip", "knee", "ankle", "foot"):
        for side in SIDES:
            rotations[:, JOINT[f"{side}_{name}"]] = rotations[:, 0]


def _feet_targets(tracks: Tracks, rest: RestSkeleton) -> tuple[np.ndarray, np.ndarray]:
    """Ankle places (frames, 2, 3) and foot rotations; a raised heel turns on the ball, raised toes on the heel."""
    places, turns = [], []
    for side in SIDES:
        heading, pitch = tracks[f"{side}_toes"].T
        flat = _about("y", SIGN[side] * heading)
        rotation = flat @ _about("x", pitch)
        ankle = rest.joints[JOINT[f"{side}_ankle"]] - [0, rest.sole_y_m, 0]
        ball = rest.joints[JOINT[f"{side}_foot"]] - [0, rest.sole_y_m, 0]
        heel = np.array([ankle[0], RADIUS_M["left_ankle"] - 0.05, ankle[2] - 0.05])
        pivot = np.where(pitch[:, None] > 0, ball - ankle, heel - ankle)
        base = tracks[f"{side}_foot"] * rest.leg_length_m
        base[:, 1] += ankle[1]
        places.append(base + np.einsum("tab,tb->ta", flat, pivot) - np.einsum("tab,tb->ta", rotation, pivot))
        turns.append(rotation)
    return np.stack(places, axis=1), np.stack(turns, axis=1)


def _root_within_reach(
    root: np.ndarray, pelvis: np.ndarray, ankles: np.ndarray, rest: RestSkeleton
) -> Float[np.ndarray, "frames 3"]:
    """The root, lowered where a leg would have to be longer than it is; eased in so that no knee snaps."""
    limits = []
    for index, side in enumerate(SIDES):
        hip = root + pelvis @ rest.offset(f"{side}_hip")
        level = np.linalg.norm((hip - ankles[:, index])[:, [0, 2]], axis=1)
        rise = np.sqrt(np.maximum((MAXIMUM_REACH * rest.leg_length_m) ** 2 - level**2, 0))
        limits.append(ankles[:, index, 1] + rise - hip[:, 1])
    slack = np.minimum(*limits)
    softness = 0.012 * rest.leg_length_m
    lowered = root.copy()
    lowered[:, 1] -= softness * np.logaddexp(0, -slack / softness)
    return lowered


def _place_leg(
    rotations: np.ndarray, joints: np.ndarray, tracks: Tracks, rest: RestSkeleton, side: str,
    ankle: np.ndarray, foot: np.ndarray,
) -> None:  # fmt: skip
    hip = joints[:, JOINT[f"{side}_hip"]]
    axis = unit(ankle - hip)
    relative_heading = tracks[f"{side}_toes"][:, 0] - SIGN[side] * tracks["turn"][:, 0]
    outward = tracks[f"{side}_knee"][:, 0] + 0.5 * relative_heading
    forward = np.cross(axis, rotations[:, 0, :, 0])
    pole = Rotation.from_rotvec(-axis * (SIGN[side] * outward)[:, None]).apply(forward)
    upper, lower = solve_limb(rest, LEGS[side], hip, ankle, pole)
    rotations[:, JOINT[f"{side}_hip"]], rotations[:, JOINT[f"{side}_knee"]] = upper, lower
    rotations[:, JOINT[f"{side}_ankle"]] = foot
    heel_raise = np.clip(tracks[f"{side}_toes"][:, 1], 0, 1.0) * np.clip(1 - tracks[f"{side}_foot"][:, 1] / 0.08, 0, 1)
    rotations[:, JOINT[f"{side}_foot"]] = foot @ _about("x", -heel_raise)


def _raise_collars(rotations: np.ndarray, tracks: Tracks) -> None:
    """Shoulders rise with hands overhead and come forward with hands in front, as shoulder blades do."""
    for side in SIDES:
        outward, up, forward = tracks[f"{side}_hand"].T
        rise = 0.35 * np.clip(up + 0.1, 0, 1) * (1 - tracks[f"{side}_holding"][:, 0])
        reach = 0.18 * np.clip(forward - 0.3, -0.3, 1) + 0.18 * np.clip(-outward, 0, 1)
        turn = np.stack([np.zeros_like(rise), -SIGN[side] * reach, SIGN[side] * rise], axis=1)
        chest = rotations[:, JOINT["spine3"]]
        rotations[:, JOINT[f"{side}_collar"]] = chest @ Rotation.from_rotvec(turn).as_matrix()


def _place_arm(rotations: np.ndarray, joints: np.ndarray, tracks: Tracks, rest: RestSkeleton, side: str) -> None:
    chest, sign = rotations[:, JOINT["spine3"]], np.array([SIGN[side], 1, 1])
    shoulder = joints[:, JOINT[f"{side}_shoulder"]]
    hand = _outstretched(tracks[f"{side}_hand"]) * sign * rest.arm_length_m
    free = shoulder + np.einsum("tab,tb->ta", chest, hand)
    free[:, 1] = np.maximum(free[:, 1], FREE_WRIST_ABOVE_FLOOR_M)
    holding = tracks[f"{side}_holding"]
    wrist = (1 - holding) * free + holding * tracks[f"{side}_hold"] * rest.leg_length_m
    direction = np.einsum("tba,tb->ta", chest, wrist - shoulder) / rest.arm_length_m * sign
    pole = np.einsum("tab,tb->ta", chest, _elbow_pole(direction, tracks[f"{side}_elbow"][:, 0]) * sign)
    upper, lower = solve_limb(rest, ARMS[side], shoulder, wrist, pole)
    rotations[:, JOINT[f"{side}_shoulder"]] = upper
    flat = (holding * np.clip(1 - tracks[f"{side}_hold"][:, 1:2] / 0.2, 0, 1) > 0.5)[..., None]
    palm = _about("y", -SIGN[side] * np.pi / 2 + tracks["turn"][:, 0])
    rotations[:, JOINT[f"{side}_elbow"]] = lower
    for name in ("wrist", "hand"):  # a palm on the floor lies flat, fingers ahead; else the hand follows the forearm
        rotations[:, JOINT[f"{side}_{name}"]] = np.where(flat, palm, lower)


def _outstretched(hand: Float[np.ndarray, "frames 3"]) -> Float[np.ndarray, "frames 3"]:
    """The last fifth of the reach, stretched: an elbow bends 35 degrees at 95 % of the arm's length."""
    reach = np.linalg.norm(hand, axis=1, keepdims=True)
    longer = np.where(reach > 0.8, np.minimum(0.8 + 1.2 * (reach - 0.8), 0.99), reach)
    return hand * longer / np.maximum(reach, 1e-9)


def _elbow_pole(direction: Float[np.ndarray, "frames 3"], swivel: Float[np.ndarray, " frames"]) -> np.ndarray:
    """Where an elbow points by habit: back when the hand hangs, down in front, out and forward overhead."""
    up, down = np.clip(direction[:, 1], 0, 1), np.clip(-direction[:, 1], 0, 1)
    pole = np.stack([0.35 + 0.65 * up, -1 + 0.3 * up, -0.25 - 0.75 * down + 0.9 * up], axis=1)
    axis = unit(direction)
    pole -= np.sum(pole * axis, axis=1, keepdims=True) * axis
    return Rotation.from_rotvec(axis * swivel[:, None]).apply(pole)
