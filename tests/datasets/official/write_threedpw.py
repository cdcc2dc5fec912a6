"""A miniature 3DPW in the layout of the release, made from people whose bodies are known."""

import io
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from moviestrip.body.load import Body, load_body
from moviestrip.body.points import PosedPoints, keypoint_regressor
from moviestrip.config import BodySettings
from moviestrip.geometry import look_at
from moviestrip.parts import cache_folder
from moviestrip.skeleton import COCO_18, HMMR_25, bone_indices, indices_of
from moviestrip.world.kinematics import RestSkeleton, local_rotations
from moviestrip.world.procedural import procedural_motion

FRAMES, FPS = 48, 30
WIDTH_PX, HEIGHT_PX = 108, 192  # the phone was held upright
FOCAL_PX = 190.0
SEQUENCES = (  # split, name, what each person does, each person's gender
    ("train", "courtyard_arguing_00", ("discussion", "greeting"), "mf"),
    ("train", "outdoors_slalom_01", ("running",), "m"),
    ("validation", "courtyard_drinking_00", ("eating", "phoning"), "ff"),
    ("validation", "downtown_walkDownhill_00", ("walking",), "m"),
    ("test", "downtown_arguing_00", ("directions", "posing"), "fm"),
    ("test", "downtown_walking_00", ("walking",), "f"),
)
WORLD_FROM_Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
UNDETECTED = slice(5, 8)  # frames of the first person
UNALIGNED = slice(20, 24)


@dataclass(frozen=True)
class TruePeople:
    """What one sequence's labels must be: rows are people, then frames."""

    split: str
    keypoints_px: np.ndarray  # people, frames, 25, 3
    pose: np.ndarray  # people, frames, 72, float32, in the camera's frame
    betas: np.ndarray  # people, 10, float32
    translation_m: np.ndarray  # people, frames, 3
    trusted: np.ndarray  # people, frames
    intrinsics_px: np.ndarray  # 4
    gender: Mapping[int, str]


@dataclass(frozen=True)
class Written:
    folder: Path
    people: Mapping[str, TruePeople]  # by the name of the video


def write_threedpw(folder: Path, seed: int = 0, body: Body | None = None) -> Written:
    """Six sequences of 48 images, of one or two people whose bodies are the free one, or `body`."""
    body = body or load_body(BodySettings(), cache_folder())
    points = PosedPoints(body, keypoint_regressor(body))
    people = {}
    for number, (split, name, families, genders) in enumerate(SEQUENCES):
        draw = np.random.default_rng([seed, number])
        rotation, shift_m = _camera_path(draw)
        acted = [
            _act(body, points, family, (len(families) * index - 1) * 0.45, draw, rotation, shift_m)
            for index, family in enumerate(families)
        ]
        fields = _fields(body, name, acted, genders, rotation, shift_m)
        path = folder / "sequenceFiles" / split / f"{name}.pkl"
        write_python_2_pickle(path, fields)
        _write_images(folder / "imageFiles" / name, [each.pixels for each in acted], rotation)
        people[name] = _truth(split, acted, genders, fields)
    return Written(folder, people)


@dataclass(frozen=True)
class _Acted:
    pose_seen: np.ndarray  # frames, 72, float32, the root in the camera's frame
    translation_seen_m: np.ndarray
    pose: np.ndarray  # the root in the world's frame
    translation_m: np.ndarray
    betas: np.ndarray  # float32
    joints_m: np.ndarray  # frames, 24, 3, in the world's frame
    pixels: np.ndarray  # frames, 25, 2
    detected: np.ndarray  # frames, 18, 3
    trusted: np.ndarray


def _camera_path(draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A phone in a hand: it walks and sways."""
    along = np.linspace(0, 1, FRAMES)[:, None]
    eye = np.array([0.4, 1.5, 4.2]) + along * draw.normal(0, 0.4, 3) + 0.01 * draw.normal(size=(FRAMES, 3)).cumsum(0)
    target = np.array([0, 0.9, 0]) + 0.005 * draw.normal(size=(FRAMES, 3)).cumsum(0)
    rotation, shift_m = look_at(eye, target)
    return rotation @ WORLD_FROM_Y_UP.T, shift_m


def _act(
    body: Body, points: PosedPoints, family: str, aside_m: float, draw: np.random.Generator, rotation, shift_m
) -> _Acted:
    motion = procedural_motion(family, int(draw.integers(1000)), FRAMES, FPS, rest=RestSkeleton.from_body(body))
    betas = draw.normal(0, 0.7, 10).astype(np.float32)
    centred_m = motion.translation_m - motion.translation_m.mean(axis=0) * [1, 0, 1] + [aside_m, 0, 0]
    translation_m = (centred_m @ WORLD_FROM_Y_UP.T).astype(np.float64)
    turns = Rotation.from_matrix(rotation)
    root = turns * Rotation.from_matrix(WORLD_FROM_Y_UP) * Rotation.from_rotvec(motion.pose[:, :3])
    pose_seen = np.concatenate([root.as_rotvec(), motion.pose[:, 3:]], axis=1).astype(np.float32)
    pose = pose_seen.astype(np.float64)
    pose[:, :3] = (turns.inv() * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    _, joints_m = body.forward(pose, betas, translation_m)
    _, resting_m = body.forward(np.zeros(72), betas)
    pelvis_seen_m = np.einsum("nij,nj->ni", rotation, joints_m[:, 0]) + shift_m
    local = torch.from_numpy(local_rotations(pose)).float()
    seen_m = points(local, torch.from_numpy(betas).expand(FRAMES, 10)).numpy() + translation_m[:, None]
    seen_m = np.einsum("nij,nkj->nki", rotation, seen_m) + shift_m[:, None]
    pixels = FOCAL_PX * seen_m[..., :2] / seen_m[..., 2:] + [WIDTH_PX / 2, HEIGHT_PX / 2]
    return _Acted(
        pose_seen, pelvis_seen_m - resting_m[0], pose, translation_m, betas, joints_m.astype(np.float64), pixels,
        detected=_detect(pixels, draw), trusted=np.ones(FRAMES, bool),
    )  # fmt: skip


def _detect(pixels: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """As OpenPose: its neck is between the shoulders."""
    places = pixels[:, indices_of(COCO_18, HMMR_25)]
    shoulders = indices_of(("left_shoulder", "right_shoulder"), COCO_18)
    places[:, COCO_18.index("neck")] = places[:, shoulders].mean(axis=1)
    return np.concatenate([places, draw.uniform(0.3, 1, (FRAMES, 18, 1))], axis=-1)


def _fields(
    body: Body, name: str, acted: list[_Acted], genders: str, rotation: np.ndarray, shift_m: np.ndarray
) -> dict[str, Any]:
    """Everything that the readme lists, by the names that the files have."""
    acted[0].detected[UNDETECTED] = 0
    acted[0].trusted[UNALIGNED] = False
    poses = np.tile(np.eye(4), (FRAMES, 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = rotation, shift_m
    intrinsics = np.array([[FOCAL_PX, 0, WIDTH_PX / 2], [0, FOCAL_PX, HEIGHT_PX / 2], [0, 0, 1]])
    betas = [each.betas.astype(np.float64) for each in acted]
    return {
        "sequence": name,
        "img_frame_ids": np.arange(FRAMES) * 2,
        "betas": [np.concatenate([betas[0], np.zeros(290)]), *betas[1:]],
        "poses": [each.pose for each in acted],
        "trans": [each.translation_m for each in acted],
        "poses_60Hz": [each.pose.repeat(2, axis=0) for each in acted],
        "trans_60Hz": [each.translation_m.repeat(2, axis=0) for each in acted],
        "betas_clothed": betas,
        "v_template_clothed": [body.v_template.astype(np.float64)[:100] for _ in acted],
        "texture_maps": [np.zeros((8, 8, 3), np.uint8) for _ in acted],
        "genders": list(genders),
        "poses2d": [each.detected.transpose(0, 2, 1).copy() for each in acted],
        "jointPositions": [each.joints_m.reshape(FRAMES, 72) for each in acted],
        "cam_poses": poses,
        "campose_valid": [each.trusted.astype(np.float64) for each in acted],
        "cam_intrinsics": intrinsics,
    }


def _truth(split: str, acted: list[_Acted], genders: str, fields: Mapping[str, Any]) -> TruePeople:
    keypoints = np.zeros((len(acted), FRAMES, 25, 3))
    keypoints[:, :, indices_of(COCO_18, HMMR_25)] = np.stack([each.detected for each in acted])
    return TruePeople(
        split=split,
        keypoints_px=keypoints,
        pose=np.stack([each.pose_seen for each in acted]),
        betas=np.stack([each.betas for each in acted]),
        translation_m=np.stack([each.translation_seen_m for each in acted]),
        trusted=np.stack([each.trusted for each in acted]),
        intrinsics_px=fields["cam_intrinsics"][[0, 1, 0, 1], [0, 1, 2, 2]],
        gender={index: {"m": "male", "f": "female"}[letter] for index, letter in enumerate(genders)},
    )


class _Python2Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Python 2 knew one kind of string, and wrote the numbers of arrays as one."""

    def _save_string(self, text: str | bytes) -> None:
        data = text.encode("latin1") if isinstance(text, str) else text
        short = len(data) < 256
        self.write((b"U" + bytes([len(data)]) if short else b"T" + struct.pack("<i", len(data))) + data)
        self.memoize(text)

    dispatch = {**pickle._Pickler.dispatch, str: _save_string, bytes: _save_string}  # type: ignore[attr-defined]  # noqa: RUF012


def write_python_2_pickle(path: Path, fields: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    _Python2Pickler(buffer, protocol=2).dump(dict(fields))
    path.write_bytes(buffer.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))


def _write_images(folder: Path, people: list[np.ndarray], rotation: np.ndarray) -> None:
    """Stick figures before a wall that the camera pans over."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    for frame in range(FRAMES):
        panned = columns + 60 * rotation[frame, 0, 1]
        wall = np.stack([90 + 40 * np.sin(panned / 9), 110 + rows / 4, 120 + 30 * np.cos(rows / 13)], axis=-1)
        image = wall.astype(np.uint8)
        for number, pixels in enumerate(people):
            for first, second in bone_indices(HMMR_25):
                ends = [tuple(round(float(value)) for value in pixels[frame, end]) for end in (first, second)]
                cv2.line(image, ends[0], ends[1], (40, 60 + 6 * int(first), 220 - 120 * number), 3)
        cv2.imwrite(str(folder / f"image_{frame:05d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
