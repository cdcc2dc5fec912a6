"""Recorded motion that ships inside a Python package: the DeepMimic clips of PyBullet's sample data.

The package is zlib-licensed; where each clip was recorded is not written down anywhere in it, and the `source`
of these motions says so. Nothing is installed: the text files are read out of the pinned archive.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation, Slerp

from moviestrip.errors import StorageError
from moviestrip.world.footlock import lock_feet
from moviestrip.world.kinematics import JOINT, Motion, RestSkeleton, foot_height_m, forward_kinematics, pose_of_global
from moviestrip.world.limbs import ARMS, LEGS, unit

REQUIREMENT = "pybullet==3.2.7"
SHA256 = "5d858abf7c12a21ef3ed351cf81dac1b5e486ec25c9ab59bfc84beb89034edff"
ORIGIN = "pybullet 3.2.7 (zlib), recording of unrecorded origin"
MEMBER_FOLDER = "pybullet_data/data/motions"
MAXIMUM_CLIP_BYTES = 4_000_000

# Clip: the action it shows and whether its end meets its start.
CLIPS: dict[str, tuple[str, bool]] = {
    "backflip": ("backflip", False),
    "cartwheel": ("cartwheel", True),
    "crawl": ("crawl", True),
    "dance_a": ("dance", True),
    "dance_b": ("dance", True),
    "getup_facedown": ("getup", False),
    "getup_faceup": ("getup", False),
    "jump": ("jump", True),
    "kick": ("kick", False),
    "punch": ("punch", False),
    "roll": ("roll", False),
    "run": ("running", True),
    "spin": ("spin", True),
    "spinkick": ("kick", False),
    "walk": ("walking", True),
}

# Its x points forward, ours z; columns of a frame after the step's duration and the root's place.
TO_OURS = np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])
BALL_COLUMNS = {
    "root": 4, "chest": 8, "neck": 12, "right_hip": 16, "right_ankle": 21, "right_shoulder": 25, "left_hip": 30,
    "left_ankle": 35, "left_shoulder": 39,
}  # fmt: skip
HINGE_COLUMNS = {"right_knee": 20, "right_elbow": 29, "left_knee": 34, "left_elbow": 43}
COLUMNS = 44


def read_deepmimic(archive: Path, rest: RestSkeleton, fps: float = 25.0) -> list[Motion]:
    """Every clip in the archive, on our skeleton, in the order of `CLIPS`."""
    texts = _read_members(archive, [f"humanoid3d_{name}.txt" for name in CLIPS])
    return [
        retarget_clip(name, _parse(archive, name, texts[f"humanoid3d_{name}.txt"]), rest, fps) for name in sorted(CLIPS)
    ]


def _read_members(archive: Path, names: list[str]) -> Mapping[str, bytes]:
    try:
        with zipfile.ZipFile(archive) as wheel:
            found = {
                PurePosixPath(info.filename).name: info
                for info in wheel.infolist()
                if info.filename.endswith(".txt") and MEMBER_FOLDER in info.filename
            }
            missing = sorted(set(names) - set(found))
            if missing:
                raise StorageError(f"{archive}: lacks {missing}; delete it, so that {REQUIREMENT} is fetched again")
            too_large = [name for name in names if found[name].file_size > MAXIMUM_CLIP_BYTES]
            if too_large:
                raise StorageError(f"{archive}: {too_large} promise more than {MAXIMUM_CLIP_BYTES:,} bytes; refused")
            return {name: wheel.read(found[name]) for name in names}
    except zipfile.BadZipFile as error:
        raise StorageError(
            f"{archive}: damaged ({error}); delete it, so that {REQUIREMENT} is fetched again"
        ) from error


def _parse(archive: Path, name: str, text: bytes) -> Float[np.ndarray, "keys 44"]:
    try:
        keys = np.array(json.load(io.BytesIO(text))["Frames"], float)
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{archive}: {name} is no DeepMimic clip ({error}); fetch {REQUIREMENT} again") from error
    if keys.ndim != 2 or keys.shape[1] != COLUMNS or len(keys) < 2:
        raise StorageError(f"{archive}: {name} has frames of shape {keys.shape}, expected (>= 2, {COLUMNS})")
    return keys


def retarget_clip(name: str, keys: Float[np.ndarray, "keys 44"], rest: RestSkeleton, fps: float) -> Motion:
    """One clip on our skeleton: rotations carried over bone by bone, hips at its place scaled by leg length."""
    starts_s = np.concatenate([[0.0], np.cumsum(keys[:-1, 0])])
    times = np.arange(0, starts_s[-1] + 1e-9, 1 / fps)
    rotations = _resample(_global_rotations(keys, rest), starts_s, times)
    place = keys[:, 1:4] @ TO_OURS.T
    root = np.stack([np.interp(times, starts_s, place[:, axis]) for axis in range(3)], axis=1)
    root *= rest.leg_length_m / SOURCE_LEG_M
    pose = pose_of_global(rotations, rest.parents)
    translation = root - rest.joints[0]
    joints, _ = forward_kinematics(pose, translation, rest)
    translation[:, 1] -= np.percentile(foot_height_m(joints).min(axis=1), 10)
    action, cyclic = CLIPS[name]
    motion = Motion(
        motion_id=f"deepmimic-{name.replace('_', '-')}", family=f"deepmimic-{name.replace('_', '-')}", action=action,
        source=f"{ORIGIN}: humanoid3d_{name}.txt", cyclic=cyclic, fps=fps, pose=pose.astype(np.float32),
        translation_m=translation.astype(np.float32), contacts=np.zeros((len(pose), 2), bool),
    )  # fmt: skip
    return lock_feet(motion, rest)


SOURCE_LEG_M = 0.421546 + 0.409870


def _resample(rotations: np.ndarray, starts_s: np.ndarray, times: np.ndarray) -> Float[np.ndarray, "frames 24 3 3"]:
    within = np.clip(times, starts_s[0], starts_s[-1])
    columns = [Slerp(starts_s, Rotation.from_matrix(rotations[:, joint]))(within).as_matrix() for joint in range(24)]
    return np.stack(columns, axis=1)


def _joint_rotations(keys: np.ndarray) -> dict[str, np.ndarray]:
    local = {}
    for name, column in BALL_COLUMNS.items():
        turn = Rotation.from_quat(keys[:, [column + 1, column + 2, column + 3, column]]).as_matrix()
        local[name] = TO_OURS @ turn @ TO_OURS.T
    for name, column in HINGE_COLUMNS.items():
        turn = Rotation.from_rotvec(keys[:, [column]] * np.array([0.0, 0, 1])).as_matrix()
        local[name] = TO_OURS @ turn @ TO_OURS.T
    return local


def _global_rotations(keys: np.ndarray, rest: RestSkeleton) -> Float[np.ndarray, "keys 24 3 3"]:
    """Its limbs hang straight down at rest, ours do not: each bone is first brought to hang."""
    local = _joint_rotations(keys)
    rotations = np.tile(np.eye(3), (len(keys), 24, 1, 1))
    rotations[:, 0] = local["root"]
    bend = Rotation.from_matrix(local["chest"]).as_rotvec()
    for number, name in enumerate(("spine1", "spine2", "spine3"), start=1):
        rotations[:, JOINT[name]] = local["root"] @ Rotation.from_rotvec(bend * number / 3).as_matrix()
    chest = rotations[:, JOINT["spine3"]]
    nod = Rotation.from_matrix(local["neck"]).as_rotvec()
    rotations[:, JOINT["neck"]] = chest @ Rotation.from_rotvec(nod / 2).as_matrix()
    rotations[:, JOINT["head"]] = chest @ local["neck"]
    for side in ("left", "right"):
        _carry_leg(rotations, local, rest, side)
        _carry_arm(rotations, local, rest, side)
    return rotations


def _carry_leg(rotations: np.ndarray, local: dict[str, np.ndarray], rest: RestSkeleton, side: str) -> None:
    thigh = local["root"] @ local[f"{side}_hip"]
    shin = thigh @ local[f"{side}_knee"]
    rotations[:, JOINT[f"{side}_hip"]] = thigh @ _hanging(rest.offset(LEGS[side].middle))
    rotations[:, JOINT[f"{side}_knee"]] = shin @ _hanging(rest.offset(LEGS[side].end))
    for name in ("ankle", "foot"):
        rotations[:, JOINT[f"{side}_{name}"]] = shin @ local[f"{side}_ankle"]


def _carry_arm(rotations: np.ndarray, local: dict[str, np.ndarray], rest: RestSkeleton, side: str) -> None:
    hang = _hanging(rest.offset(ARMS[side].middle))
    chest = rotations[:, JOINT["spine3"]]
    upper = chest @ local[f"{side}_shoulder"]
    rotations[:, JOINT[f"{side}_collar"]] = chest
    rotations[:, JOINT[f"{side}_shoulder"]] = upper @ hang
    for name in ("elbow", "wrist", "hand"):
        rotations[:, JOINT[f"{side}_{name}"]] = upper @ local[f"{side}_elbow"] @ hang


def _hanging(bone: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Shortest rotation that turns a rest bone straight down."""
    rotation, _ = Rotation.align_vectors([[0, -1, 0]], [unit(bone)])
    return rotation.as_matrix()
