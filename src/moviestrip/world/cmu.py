"""Motion capture of the CMU Graphics Lab, from the ASF/AMC files a user brings.

A folder holds one folder a subject, with the skeleton (`01/01.asf`) and its recordings (`01/01_02.amc`): the layout of
the database's own archive of all subjects. Its questions and answers (mocap.cs.cmu.edu/faqs.php) give the unit, inches
over the 0.45 that the skeleton states, and 120 Hz; a recording does not state its rate, and a slower one cannot be
told here. The data is free for all uses; its makers ask for an acknowledgement, which `ACKNOWLEDGEMENT` holds for the
report.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from moviestrip.errors import StorageError
from moviestrip.world.augment import resample
from moviestrip.world.footlock import lock_feet
from moviestrip.world.kinematics import (
    JOINT,
    Motion,
    RestSkeleton,
    foot_height_m,
    forward_kinematics,
    pose_of_global,
)
from moviestrip.world.limbs import unit

ACKNOWLEDGEMENT = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from "
    "NSF EIA-0196217."
)
RECORDED_FPS = 120.0
INCH_M = 0.0254
MAXIMUM_FILE_BYTES = 200_000_000

# Our joint: the bone whose rotation it takes.
BONE_OF = {
    "pelvis": "root", "spine1": "lowerback", "spine2": "upperback", "spine3": "thorax", "neck": "lowerneck",
    "head": "head",
    **{
        f"{side}_{joint}": f"{side[0]}{bone}"
        for side in ("left", "right")
        for joint, bone in {
            "hip": "femur", "knee": "tibia", "ankle": "foot", "foot": "toes", "collar": "clavicle",
            "shoulder": "humerus", "elbow": "radius", "wrist": "hand", "hand": "hand",
        }.items()
    },
}  # fmt: skip
# Joints whose bone hangs differently at rest in the two skeletons, and the joint at its other end.
ALIGNED = {"hip": "knee", "knee": "ankle", "ankle": "foot", "shoulder": "elbow", "elbow": "wrist"}


@dataclass
class Bone:
    """One bone of an ASF skeleton: its rest direction, and the axes its angles turn about."""

    direction: np.ndarray = field(default_factory=lambda: np.zeros(3))
    length: float = 0.0
    axis: Rotation = field(default_factory=Rotation.identity)
    freedoms: tuple[str, ...] = ()


@dataclass
class Skeleton:
    bones: dict[str, Bone]
    parents: dict[str, str]
    metres_a_unit: float

    def leg_length_m(self) -> float:
        return (self.bones["lfemur"].length + self.bones["ltibia"].length) * self.metres_a_unit


def read_cmu(folder: Path, rest: RestSkeleton, fps: float = 25.0) -> Iterator[Motion]:
    """Every recording under `folder` on our skeleton, one after the other, in the order of its name."""
    recordings = sorted(folder.rglob("*.amc"))
    if not recordings:
        raise StorageError(f"{folder}: no .amc files; put the CMU subjects' folders there, or leave the folder out")
    skeletons = {parent: read_asf(_skeleton_beside(path)) for parent, path in {p.parent: p for p in recordings}.items()}
    return (read_recording(path, skeletons[path.parent], rest, fps) for path in recordings)


def _skeleton_beside(recording: Path) -> Path:
    found = sorted(recording.parent.glob("*.asf"))
    if len(found) != 1:
        raise StorageError(f"{recording.parent}: expected one .asf beside {recording.name}, found {len(found)}")
    return found[0]


def _lines(path: Path) -> list[list[str]]:
    if path.stat().st_size > MAXIMUM_FILE_BYTES:
        raise StorageError(f"{path}: larger than {MAXIMUM_FILE_BYTES:,} bytes; refused")
    text = path.read_text(encoding="ascii", errors="replace")
    return [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def read_asf(path: Path) -> Skeleton:
    """The skeleton of one subject."""
    bones, scale = {"root": Bone(freedoms=("rx", "ry", "rz"))}, 1.0
    parents: dict[str, str] = {}
    section, bone, name = "", Bone(), ""
    try:
        for words in _lines(path):
            if words[0].startswith(":"):
                section = words[0]
            elif section == ":units" and words[0] == "length":
                scale = float(words[1])
            elif section == ":hierarchy" and words[0] not in ("begin", "end"):
                parents |= dict.fromkeys(words[1:], words[0])
            elif section == ":bonedata" and words[0] == "begin":
                bone = Bone()
            elif section == ":bonedata" and words[0] == "name":
                name = words[1]
                bones[name] = bone
            elif section == ":bonedata":
                _read_bone(bone, words)
    except (ValueError, IndexError) as error:
        raise StorageError(f"{path}: bone '{name}' cannot be read ({error}); fetch the file again") from error
    missing = sorted(set(BONE_OF.values()) - set(bones))
    if missing:
        raise StorageError(f"{path}: not a CMU skeleton, it lacks the bones {missing}")
    return Skeleton(bones, parents, INCH_M / scale)


def _read_bone(bone: Bone, words: list[str]) -> None:
    if words[0] == "direction":
        bone.direction = unit(np.array([float(word) for word in words[1:4]]))
    elif words[0] == "length":
        bone.length = float(words[1])
    elif words[0] == "axis":
        bone.axis = Rotation.from_euler("xyz", [float(word) for word in words[1:4]], degrees=True)
    elif words[0] == "dof":
        bone.freedoms = tuple(word.lower() for word in words[1:])


def read_amc(path: Path, skeleton: Skeleton) -> dict[str, Float[np.ndarray, "frames freedoms"]]:
    """Angles (degrees) of every bone that moves, and the root's place with its angles, at each recorded frame."""
    rows: dict[str, list[list[float]]] = {}
    try:
        for words in _lines(path):
            if not words[0].startswith(":") and not words[0].isdigit():
                rows.setdefault(words[0], []).append([float(word) for word in words[1:]])
        values = {name: np.array(numbers, float) for name, numbers in rows.items()}
    except ValueError as error:
        raise StorageError(f"{path}: damaged ({error}); fetch the file again") from error
    frames = len(values.get("root", ()))
    for name, numbers in values.items():
        wanted = 6 if name == "root" else len(skeleton.bones[name].freedoms) if name in skeleton.bones else -1
        if numbers.shape != (frames, wanted):
            raise StorageError(f"{path}: '{name}' has shape {numbers.shape}, expected ({frames}, {wanted})")
        if not np.isfinite(numbers).all():
            raise StorageError(f"{path}: '{name}' is not finite; fetch the file again")
    if frames < 2:
        raise StorageError(f"{path}: {frames} frames; a recording needs two")
    return values


def read_recording(path: Path, skeleton: Skeleton, rest: RestSkeleton, fps: float) -> Motion:
    """One recording on our skeleton, at `fps`, its feet locked."""
    values = read_amc(path, skeleton)
    turned = _bone_rotations(values, skeleton)
    rotations = np.tile(np.eye(3), (len(values["root"]), 24, 1, 1))
    for joint, bone in BONE_OF.items():
        rotations[:, JOINT[joint]] = turned[bone] @ rest_alignment(joint, skeleton.bones[bone].direction, rest)
    hips = _hips_m(values, turned, skeleton) * (rest.leg_length_m / skeleton.leg_length_m())
    root = hips - rotations[:, 0] @ ((rest.offset("left_hip") + rest.offset("right_hip")) / 2)
    recorded = Motion(
        motion_id=motion_id_of(path), family=family_of(path), action=family_of(path),
        source=f"CMU Graphics Lab, {path.name}", cyclic=False, fps=RECORDED_FPS,
        pose=pose_of_global(rotations, rest.parents).astype(np.float32),
        translation_m=(root - rest.joints[0]).astype(np.float32), contacts=np.zeros((len(root), 2), bool),
    )  # fmt: skip
    return settled(recorded, rest, fps)


def motion_id_of(recording: Path) -> str:
    """The same for a recording in each of its file formats, so that it is in one split."""
    return f"cmu-{recording.stem.replace('_', '-')}"


def family_of(recording: Path) -> str:
    return f"cmu-{recording.stem.split('_')[0]}"


def settled(recorded: Motion, rest: RestSkeleton, fps: float) -> Motion:
    """A retargeted recording at `fps`, standing on the floor, its feet locked."""
    motion = resample(recorded, np.arange(0, len(recorded) - 1 + 1e-9, recorded.fps / fps), fps)
    joints, _ = forward_kinematics(motion.pose, motion.translation_m, rest)
    motion.translation_m[:, 1] -= np.percentile(foot_height_m(joints).min(axis=1), 10)
    return lock_feet(motion, rest)


def _bone_rotations(values: dict[str, np.ndarray], skeleton: Skeleton) -> dict[str, Float[np.ndarray, "frames 3 3"]]:
    """How each bone is turned from rest, in the room."""
    frames = len(values["root"])
    turned = {"root": Rotation.from_euler("xyz", values["root"][:, 3:], degrees=True).as_matrix()}
    for name, above in skeleton.parents.items():
        bone, parent = skeleton.bones[name], turned[above]
        if name not in values:
            turned[name] = parent
            continue
        angles = np.zeros((frames, 3))
        for column, freedom in enumerate(bone.freedoms):
            angles[:, ("rx", "ry", "rz").index(freedom)] = values[name][:, column]
        local = bone.axis * Rotation.from_euler("xyz", angles, degrees=True) * bone.axis.inv()
        turned[name] = parent @ local.as_matrix()
    return turned


def _hips_m(values: dict[str, np.ndarray], turned: dict[str, np.ndarray], skeleton: Skeleton) -> np.ndarray:
    """Middle of the two hip joints, metres."""
    ends = [
        turned[name] @ (skeleton.bones[name].direction * skeleton.bones[name].length)
        for name in ("lhipjoint", "rhipjoint")
    ]
    return (values["root"][:, :3] + (ends[0] + ends[1]) / 2) * skeleton.metres_a_unit


def rest_alignment(joint: str, direction: Float[np.ndarray, "3"], rest: RestSkeleton) -> Float[np.ndarray, "3 3"]:
    """Turns our bone at rest to `direction`, theirs at rest; a foot only in the floor plane, its instep differs."""
    side, _, part = joint.partition("_")
    if part not in ALIGNED:
        return np.eye(3)
    ours, theirs = rest.offset(f"{side}_{ALIGNED[part]}"), direction
    if part == "ankle":
        ours, theirs = ours * [1, 0, 1], theirs * [1, 0, 1]
    rotation, _ = Rotation.align_vectors([unit(theirs)], [unit(ours)])
    return rotation.as_matrix()
