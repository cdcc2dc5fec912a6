"""Motion in BVH files a user brings: the cgspeed conversion of CMU's recordings, and this project's own exports.

BVH as its public descriptions say (the Biovision format: HIERARCHY, then MOTION): a joint's angles turn in the order in
which its channels are listed, about axes that turn along; degrees. It names no unit, none is needed: lengths are scaled
by the legs. Which joint is which follows from the names:

- cgspeed's MotionBuilder-friendly release (31 joints; its READMEFIRST): each file's first frame is a T-pose that was
  added, and is left out. Offsets are CMU's bones at rest, so that it is read as CMU's own files are, bone by bone.
- `exports/bvh.py`: SMPL's 24 joints by name; rotations are taken over as they are.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from moviestrip.errors import StorageError
from moviestrip.skeleton import SMPL_24
from moviestrip.world.cmu import MAXIMUM_FILE_BYTES, family_of, motion_id_of, rest_alignment, settled
from moviestrip.world.kinematics import JOINT, Motion, RestSkeleton, pose_of_global

# Our joint: the joint of cgspeed's files whose rotation it takes; the same bones as `cmu.BONE_OF`.
CGSPEED = {
    "pelvis": "Hips", "spine1": "LowerBack", "spine2": "Spine", "spine3": "Spine1", "neck": "Neck", "head": "Head",
    **{
        f"{side.lower()}_{joint}": f"{side}{theirs}"
        for side in ("Left", "Right")
        for joint, theirs in {
            "hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "foot": "ToeBase", "collar": "Shoulder",
            "shoulder": "Arm", "elbow": "ForeArm", "wrist": "FingerBase", "hand": "FingerBase",
        }.items()
    },
}  # fmt: skip
OURS = {name: name for name in SMPL_24}
CHANNELS = tuple(f"{axis}{kind}" for kind in ("position", "rotation") for axis in "XYZ")


@dataclass(frozen=True)
class Node:
    """A joint as the hierarchy describes it."""

    name: str
    parent: int
    offset: Float[np.ndarray, "3"]
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Bvh:
    """A file's skeleton and motion, in its own units."""

    nodes: tuple[Node, ...]
    place: Float[np.ndarray, "frames 3"]  # of the root
    rotations: Float[np.ndarray, "frames joints 3 3"]  # of each joint in its parent
    fps: float

    def index(self, name: str) -> int:
        return [node.name for node in self.nodes].index(name)

    def direction(self, name: str) -> Float[np.ndarray, "3"]:
        """From a joint to the first below it, at rest; of a joint with none, nothing."""
        index = self.index(name)
        return next((node.offset for node in self.nodes if node.parent == index), np.zeros(3))

    def forward(self) -> tuple[Float[np.ndarray, "frames joints 3"], Float[np.ndarray, "frames joints 3 3"]]:
        """Where each joint is and how it is turned, in the room."""
        places, turned = np.zeros((*self.rotations.shape[:2], 3)), self.rotations.copy()
        for index, node in enumerate(self.nodes):
            if node.parent < 0:
                places[:, index] = self.place
            else:
                places[:, index] = places[:, node.parent] + turned[:, node.parent] @ node.offset
                turned[:, index] = turned[:, node.parent] @ self.rotations[:, index]
        return places, turned


def read_bvh_folder(folder: Path, rest: RestSkeleton, fps: float = 25.0) -> Iterator[Motion]:
    """Every .bvh under `folder` on our skeleton, one after the other, in the order of its name."""
    paths = sorted(folder.rglob("*.bvh"))
    if not paths:
        raise StorageError(f"{folder}: no .bvh files; put some there, or leave the folder out")
    return (read_recording(path, folder, rest, fps) for path in paths)


def read_recording(path: Path, folder: Path, rest: RestSkeleton, fps: float) -> Motion:
    """One recording on our skeleton, at `fps`, its feet locked."""
    file = read_bvh(path)
    names = {node.name for node in file.nodes}
    if names >= set(CGSPEED.values()):
        pose, translation = (values[1:] for values in retarget(file, CGSPEED, rest))
        motion_id, family, source = motion_id_of(path), family_of(path), "CMU Graphics Lab by cgspeed"
    elif names >= set(OURS):
        pose, translation = retarget(file, OURS, rest)
        name = path.relative_to(folder).with_suffix("").as_posix()
        motion_id, family, source = f"bvh-{name}", f"bvh-{name.split('/')[0]}", "BVH"
    else:
        raise StorageError(
            f"{path}: its joints {sorted(names)} are neither SMPL's 24 nor those of cgspeed's CMU files (of these "
            f"{sorted(set(CGSPEED.values()) - names)} are missing); take that release, or rename the joints"
        )
    recorded = Motion(
        motion_id=motion_id, family=family, action=family, source=f"{source}, {path.name}", cyclic=False, fps=file.fps,
        pose=pose.astype(np.float32), translation_m=translation.astype(np.float32),
        contacts=np.zeros((len(pose), 2), bool),
    )  # fmt: skip
    return settled(recorded, rest, fps)


def retarget(
    file: Bvh, joints: Mapping[str, str], rest: RestSkeleton
) -> tuple[Float[np.ndarray, "frames 72"], Float[np.ndarray, "frames 3"]]:
    """Pose and translation on our skeleton; between SMPL's own joints rotations need no other rest pose."""
    places, turned = file.forward()
    rotations = np.tile(np.eye(3), (len(places), 24, 1, 1))
    for ours, theirs in joints.items():
        aligned = np.eye(3) if joints is OURS else rest_alignment(ours, file.direction(theirs), rest)
        rotations[:, JOINT[ours]] = turned[:, file.index(theirs)] @ aligned
    leg = sum(np.linalg.norm(file.direction(joints[name])) for name in ("left_hip", "left_knee"))
    hips = places[:, [file.index(joints[name]) for name in ("left_hip", "right_hip")]].mean(axis=1)
    root = hips * (rest.leg_length_m / leg)
    root -= rotations[:, 0] @ ((rest.offset("left_hip") + rest.offset("right_hip")) / 2)
    return pose_of_global(rotations, rest.parents), root - rest.joints[0]


def read_bvh(path: Path) -> Bvh:
    """A file's skeleton and motion."""
    if path.stat().st_size > MAXIMUM_FILE_BYTES:
        raise StorageError(f"{path}: larger than {MAXIMUM_FILE_BYTES:,} bytes; refused")
    text = path.read_text(encoding="ascii", errors="replace")
    hierarchy, found, motion = text.partition("MOTION")
    if not found or hierarchy.split()[:1] != ["HIERARCHY"]:
        raise StorageError(f"{path}: no BVH file: it lacks HIERARCHY or MOTION")
    try:
        nodes = tuple(_read_nodes(hierarchy.split()[1:]))
        frames, frame_time_s, values = _read_values(motion)
    except (ValueError, IndexError) as error:
        raise StorageError(f"{path}: damaged ({error}); fetch the file again") from error
    columns = sum(len(node.channels) for node in nodes)
    if len(values) != frames * columns or frames < 2:
        raise StorageError(
            f"{path}: {len(values):,} numbers for {frames:,} frames of {columns} channels, expected "
            f"{frames * columns:,}, and two frames or more; it is cut short or altered: fetch it again"
        )
    if not np.isfinite(values).all() or not 1e-4 <= frame_time_s <= 1:
        raise StorageError(f"{path}: numbers that are not finite, or a frame time of {frame_time_s} s")
    return _assemble(nodes, values.reshape(frames, columns), frame_time_s)


def _read_nodes(words: list[str]) -> Iterator[Node]:
    """The joints, parents first; ends of chains have no channels and are no joints."""
    above: list[int] = []
    count, at, name, ends = 0, 0, "", False
    while at < len(words):
        word = words[at]
        if word in ("ROOT", "JOINT"):
            name, at = words[at + 1], at + 2
        elif word == "End":
            ends, at = True, at + 2
        elif word == "{" and ends:
            at = words.index("}", at) + 1
            ends = False
        elif word == "{":
            number = int(words[at + 6])
            offset = np.array([float(value) for value in words[at + 2 : at + 5]])
            channels = tuple(words[at + 7 : at + 7 + number])
            if words[at + 1] != "OFFSET" or words[at + 5] != "CHANNELS" or not set(channels) <= set(CHANNELS):
                raise ValueError(f"joint '{name}' has no OFFSET and CHANNELS, or unknown channels {channels}")
            if len(set(channels)) != number:
                raise ValueError(f"joint '{name}' lists a channel twice")
            yield Node(name, above[-1] if above else -1, offset, channels)
            above.append(count)
            count, at = count + 1, at + 7 + number
        elif word == "}":
            above.pop()
            at += 1
        else:
            raise ValueError(f"unexpected '{word}' in the hierarchy")
    if above or not count:
        raise ValueError("the hierarchy is not closed")


def _read_values(motion: str) -> tuple[int, float, Float[np.ndarray, " numbers"]]:
    stated = re.match(r"\s*Frames:\s*(\d+)\s+Frame Time:\s*(\S+)", motion)
    if stated is None:
        raise ValueError("MOTION states no 'Frames:' and 'Frame Time:'")
    return int(stated[1]), float(stated[2]), np.array(motion[stated.end() :].split(), float)


def _assemble(nodes: tuple[Node, ...], values: Float[np.ndarray, "frames columns"], frame_time_s: float) -> Bvh:
    """Numbers to rotations; places of joints below the root are not read: bones keep their length."""
    rotations = np.tile(np.eye(3), (len(values), len(nodes), 1, 1))
    place, column = np.zeros((len(values), 3)), 0
    for index, node in enumerate(nodes):
        angles, order = [], ""
        for channel in node.channels:
            if channel.endswith("rotation"):
                angles.append(values[:, column])
                order += channel[0]
            elif node.parent < 0:
                place[:, "XYZ".index(channel[0])] = values[:, column]
            column += 1
        if order:
            turns = Rotation.from_euler(order, np.stack(angles, axis=1), degrees=True)
            rotations[:, index] = turns.as_matrix()
    return Bvh(nodes, place, rotations, round(1 / frame_time_s, 2))
