"""VIBE's and TCMR's databases in the layout their scripts write, made from people whose bodies are known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import joblib
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from moviestrip.body.load import Body, load_body
from moviestrip.body.points import PosedPoints, keypoint_regressor
from moviestrip.config import BodySettings
from moviestrip.geometry import look_at
from moviestrip.parts import cache_folder
from moviestrip.skeleton import (
    COMMON_14,
    H36M_17,
    HMMR_25,
    PENN_13,
    POSETRACK_15,
    SPIN_49,
    indices_of,
    mirror_permutation,
)
from moviestrip.world.kinematics import RestSkeleton, local_rotations
from moviestrip.world.procedural import procedural_motion

FRAMES, FEATURES = 48, 2048
FOCAL_PX, SIDE_PX = 900.0, 640
TRUNK = ("pelvis", "spine", "head")
MISSING = slice(46, 48)  # frames of the longer sequence that the script left out


@dataclass(frozen=True)
class TrueSequence:
    """What a reader must find of one piece: frames first."""

    person: int
    first_frame: int
    fps: float
    phi: np.ndarray
    keypoints_px: np.ndarray  # frames, 25, 3; of the 224 crop for InstaVariety
    crop: np.ndarray  # frames, 3: centre and scale of what the features saw
    trusted: np.ndarray
    joints_m: np.ndarray | None = None  # frames, 14, 3
    trunk_m: np.ndarray | None = None
    pose: np.ndarray | None = None
    betas: np.ndarray | None = None

    def part(self, start: int, stop: int, first_frame: int) -> "TrueSequence":
        names = ("phi", "keypoints_px", "crop", "trusted", "joints_m", "trunk_m", "pose", "betas")
        kept = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(self, first_frame=first_frame, **{name: value[start:stop] for name, value in kept.items()})


@dataclass(frozen=True)
class Written:
    folder: Path
    files: Mapping[str, Mapping[str, list[TrueSequence]]]  # by file, then by the name of the video


@dataclass(frozen=True)
class _Acted:
    pose: np.ndarray  # frames, 72, float32, the root in the camera's frame
    betas: np.ndarray  # frames, 10, float32
    joints_m: np.ndarray  # frames, 17, 3, in the camera's frame
    keypoints_px: np.ndarray  # frames, 25, 3
    phi: np.ndarray


def write_vibe_db(folder: Path, seed: int = 0, only: tuple[str, ...] = ()) -> Written:
    """Nine files of a video or two each, or some of them."""
    folder.mkdir(parents=True, exist_ok=True)
    body = load_body(BodySettings(), cache_folder())
    points = PosedPoints(body, keypoint_regressor(body))
    rest = RestSkeleton.from_body(body)
    draw = np.random.default_rng(seed)

    def act(family: str, frames: int = FRAMES) -> _Acted:
        return _act(body, rest, points, family, frames, draw)

    writers: dict[str, Callable[..., Any]] = {
        "3dpw_train_db.pt": _threedpw, "3dpw_val_db.pt": _threedpw, "3dpw_test_db.pt": _threedpw,
        "h36m_train_25fps_db.pt": _h36m, "mpii3d_train_scale12_db.pt": _mpii3d_train,
        "mpii3d_val_scale12_db.pt": _mpii3d_test, "pennaction_train_db.pt": _penn, "posetrack_train_db.pt": _posetrack,
    }  # fmt: skip
    files = {}
    for name, write in writers.items():
        if only and name not in only:
            continue
        parts, files[name] = write(act, name, draw)
        fields = {field: np.concatenate([part[field] for part in parts]) for field in parts[0]}
        joblib.dump(fields, folder / name)
    if not only or "insta_train_db.h5" in only:
        files["insta_train_db.h5"] = _insta(act, folder / "insta_train_db.h5")
    return Written(folder, files)


def _act(
    body: Body, rest: RestSkeleton, points: PosedPoints, family: str, frames: int, draw: np.random.Generator
) -> _Acted:
    motion = procedural_motion(family, int(draw.integers(1000)), frames, 25, rest=rest)
    betas = np.tile(draw.normal(0, 0.7, 10).astype(np.float32), (frames, 1))
    moved_m = motion.translation_m - motion.translation_m.mean(axis=0) * [1, 0, 1]
    rotation, shift_m = look_at(np.tile([0.4, 1.4, 4.2], (frames, 1)), np.tile([0.0, 0.9, 0.0], (frames, 1)))
    root = Rotation.from_matrix(rotation) * Rotation.from_rotvec(motion.pose[:, :3])
    pose = np.concatenate([root.as_rotvec(), motion.pose[:, 3:]], axis=1).astype(np.float32)
    vertices_m, _ = body.forward(motion.pose, betas[0], moved_m)
    regressed_m = np.matmul(body.joint_regressor_h36m, vertices_m)
    local = torch.from_numpy(local_rotations(motion.pose)).float()
    shown_m = points(local, torch.from_numpy(betas)).numpy() + moved_m[:, None]
    seen_m = np.einsum("nij,nkj->nki", rotation, shown_m) + shift_m[:, None]
    pixels = FOCAL_PX * seen_m[..., :2] / seen_m[..., 2:] + SIDE_PX / 2
    return _Acted(
        pose,
        betas,
        (np.einsum("nij,nkj->nki", rotation, regressed_m) + shift_m[:, None]).astype(np.float32),
        np.concatenate([pixels, np.ones((frames, 25, 1))], axis=-1),
        draw.normal(size=(frames, FEATURES)).astype(np.float32),
    )


def _box(keypoints: np.ndarray, grown: float, squared: bool = True) -> np.ndarray:
    """Centre and sides round the keypoints, in the order of bytes that NumPy gives a transposed array."""
    least, most = keypoints[..., :2].min(axis=1), keypoints[..., :2].max(axis=1)
    side = (most - least).max(axis=1) if squared else np.linalg.norm(most - least, axis=1)
    return np.vstack([*((least + most) / 2).T, side * grown, side * grown]).T


def _crop(box: np.ndarray, factor: float) -> np.ndarray:
    return np.concatenate([box[:, :2], 224 / (box[:, 2:3] * factor)], axis=1)


def _known(acted: _Acted, names: tuple[str, ...]) -> np.ndarray:
    """The keypoints as labels, only those named."""
    known = np.zeros((len(acted.phi), 25, 3))
    at = indices_of(names, HMMR_25)
    known[:, at] = acted.keypoints_px[:, at]
    return known


def _joints(acted: _Acted, names: tuple[str, ...]) -> np.ndarray:
    return acted.joints_m[:, indices_of(names, H36M_17)]


def _spin(values: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """SPIN's 49, of which only some are known."""
    spin = np.zeros((len(values), 49, values.shape[-1]), values.dtype)
    spin[:, indices_of(names, SPIN_49)] = values
    return spin


Parts = tuple[list[dict[str, np.ndarray]], dict[str, list[TrueSequence]]]


def _threedpw(act: Callable[..., _Acted], name: str, draw: np.random.Generator) -> Parts:
    """The 12 joints without the head; of one person two frames were left out because too few were detected."""
    parts, truth = [], {}
    train = "train" in name
    cast = {"downtown_arguing_00": ("discussion", "greeting"), "outdoors_slalom_01": ("walking",)}
    for video, families in cast.items():
        truth[video] = []
        for person, family in enumerate(families):
            frames = 2 * FRAMES if video.startswith("outdoors") else FRAMES
            acted = act(family, frames)
            labels = _known(acted, COMMON_14[1:5] + COMMON_14[6:12] + ("left_ankle", "right_ankle"))
            joints2d = acted.keypoints_px[:, indices_of(COMMON_14[:12], HMMR_25)]
            joints2d = np.concatenate([joints2d, joints2d[:, [0, 0]] * [1, 1, 0]], axis=1)
            box, valid = _box(acted.keypoints_px, 1.1, squared=False), draw.random(frames) > 0.1
            sequence = TrueSequence(
                person, 0, 30, acted.phi, labels, _crop(box, 1.2), valid, _joints(acted, COMMON_14), None,
                acted.pose, acted.betas,
            )  # fmt: skip
            gap = frames > FRAMES
            keep = np.delete(np.arange(frames), MISSING) if gap else np.arange(frames)
            pieces = [(0, MISSING.start), (MISSING.stop, frames)] if gap else [(0, frames)]
            truth[video] += [sequence.part(start, stop, start) for start, stop in pieces]
            known = COMMON_14 + TRUNK
            fields = {
                "vid_name": np.array([f"{video}_{person}"] * frames),
                "frame_id": np.arange(frames),
                "joints3D": _spin(_joints(acted, known), known) if train else _joints(acted, COMMON_14),
                "joints2D": joints2d,
                "shape": acted.betas,
                "pose": acted.pose,
                "bbox": box,
                "img_name": np.array(
                    [f"data/3dpw/imageFiles/{video}/image_{frame:05d}.jpg" for frame in range(frames)]
                ),
                "features": acted.phi,
                "valid": valid.astype(np.float64),
            }
            parts.append({field: values[keep] for field, values in fields.items()})
    return parts, truth


def _relative(acted: _Acted) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The 14, the trunk, and the file's 49, of which even those that are absent lie relative to the pelvis."""
    pelvis_m = _joints(acted, ("pelvis",))
    names = COMMON_14 + TRUNK
    common_m, trunk_m = _joints(acted, COMMON_14) - pelvis_m, _joints(acted, TRUNK) - pelvis_m
    return common_m, trunk_m, _spin(_joints(acted, names), names) - pelvis_m


def _labelled_14(acted: _Acted) -> tuple[np.ndarray, np.ndarray]:
    """The 14 as labels and as the file's 49."""
    labels = _known(acted, COMMON_14)
    return labels, _spin(acted.keypoints_px[:, indices_of(COMMON_14, HMMR_25)], COMMON_14)


def _h36m(act: Callable[..., _Acted], name: str, draw: np.random.Generator) -> Parts:
    """Every second frame of 50 a second; nobody's body is known in the second video."""
    parts, truth = [], {}
    for number, family in enumerate(("directions", "walking")):
        acted = act(family)
        video = f"s_0{number + 5}_act_02_subact_01_ca_04"
        common_m, trunk_m, joints3d = _relative(acted)
        labels, joints2d = _labelled_14(acted)
        box, with_body = _box(acted.keypoints_px, 1.1, squared=False), number == 0
        body = (acted.pose, acted.betas) if with_body else (None, None)
        truth[video] = [
            TrueSequence(
                0, 3, 25, acted.phi, labels, _crop(box, 1.2), np.ones(FRAMES, bool), common_m, trunk_m, *body
            )
        ]  # fmt: skip
        frame_id = np.arange(FRAMES) * 2 + 6
        parts.append({
            "vid_name": np.array([f"/home/somebody/h36m/images/{video}_{number + 5}"] * FRAMES),
            "frame_id": frame_id,
            "joints3D": joints3d,
            "joints2D": joints2d.astype(np.float32),
            "shape": acted.betas * with_body,
            "pose": acted.pose * with_body,
            "bbox": box,
            "img_name": np.array([f"/home/somebody/h36m/images/{video}/{each + 1:06d}.jpg" for each in frame_id]),
            "features": acted.phi,
        })  # fmt: skip
    return parts, truth


def _mpii3d(acted: _Acted, vid_names: list[str], pictures: list[str], first_frame: int, fps: float) -> tuple[dict, Any]:
    common_m, trunk_m, joints3d = _relative(acted)
    labels, joints2d = _labelled_14(acted)
    box = _box(acted.keypoints_px, 1.1)
    trusted = np.ones(len(acted.phi), bool)
    fields = {
        "vid_name": np.array(vid_names),
        "frame_id": np.array(pictures),
        "joints3D": joints3d.astype(np.float64),
        "joints2D": joints2d,
        "bbox": np.ascontiguousarray(box),
        "img_name": np.array([f"mpi_inf_3dhp/{each}.jpg" for each in pictures]),
        "features": acted.phi,
    }
    return fields, TrueSequence(
        0, first_frame, fps, acted.phi, labels, _crop(box, 1.2), trusted, common_m, trunk_m
    )  # fmt: skip


def _mpii3d_train(act: Callable[..., _Acted], name: str, draw: np.random.Generator) -> Parts:
    """The person left the picture for ten frames, and the script began a new segment."""
    parts, truth = [], {}
    for video, fps in (("subj1_seq1_vid0", 25), ("subj1_seq2_vid4", 50)):
        truth[video] = []
        for segment in range(2):
            first = segment * (FRAMES + 10)
            pictures = [f"frame_{first + frame + 1:06d}" for frame in range(FRAMES)]
            fields, sequence = _mpii3d(act("squats"), [f"{video}_seg{segment}"] * FRAMES, pictures, first, fps)
            parts.append(fields)
            truth[video].append(sequence)
    return parts, truth


def _mpii3d_test(act: Callable[..., _Acted], name: str, draw: np.random.Generator) -> Parts:
    parts, truth = [], {}
    for number in (1, 2):
        pictures = [f"img_{frame + 1:06d}" for frame in range(FRAMES)]
        fields, sequence = _mpii3d(act("greeting"), [f"subj{number}_seg0"] * FRAMES, pictures, 0, 25)
        trusted = draw.random(FRAMES) > 0.2
        parts.append(fields | {"valid_i": trusted[:, None].astype(np.float64)})
        truth[f"subj{number}"] = [replace(sequence, trusted=trusted)]
    return parts, truth


def _penn(act: Callable[..., _Acted], name: str, draw: np.random.Generator) -> Parts:
    """The script takes right for left, has no neck, and gives a frame without keypoints a box of negative size."""
    parts, truth = [], {}
    for number in (1, 2):
        acted = act("squats")
        video = f"{number:04d}"
        acted.keypoints_px[10:12, :, 2] = 0
        labels = _known(acted, PENN_13) * acted.keypoints_px[..., 2:]
        common = _known(acted, PENN_13)[:, indices_of(COMMON_14, HMMR_25)][:, mirror_permutation(COMMON_14)]
        box = np.ascontiguousarray(_box(acted.keypoints_px[:, indices_of(PENN_13, HMMR_25)], 1))
        crop = _crop(box, 1.3)
        crop[10:12] = [crop[9] + (crop[12] - crop[9]) * share for share in (1 / 3, 2 / 3)]
        box[10:12] = [5000, 5000, -10001, -10001]
        trusted = np.ones(FRAMES, bool)
        trusted[10:12] = False
        truth[video] = [TrueSequence(0, 0, 25, acted.phi, labels, crop, trusted)]
        folder = "data/pennaction"
        parts.append({
            "img_name": np.array([f"{folder}/frames/{video}/{frame + 1:06d}.jpg" for frame in range(FRAMES)]),
            "joints2D": common,
            "bbox": box,
            "vid_name": np.array([f"{folder}/labels/{video}.mat"] * FRAMES),
            "features": acted.phi,
        })  # fmt: skip
    return parts, truth


def _posetrack(act: Callable[..., _Acted], name: str, draw: np.random.Generator) -> Parts:
    """Two people in one video; frames of the file are not numbered, but their pictures are."""
    parts, truth = [], {"000001_bonn_train": []}
    labelled = tuple({"head_bottom": "neck"}.get(each, each) for each in POSETRACK_15)
    for person in (0, 3):
        acted = act("walking")
        labels = _known(acted, labelled)
        joints2d = _spin(acted.keypoints_px[:, indices_of(labelled, HMMR_25)], labelled)
        box = np.ascontiguousarray(_box(acted.keypoints_px, 0.8))
        truth["000001_bonn_train"].append(
            TrueSequence(person, 30, 25, acted.phi, labels, _crop(box, 1.3), np.ones(FRAMES, bool))
        )
        folder = "data/posetrack"
        parts.append({
            "img_name": np.array(
                [f"{folder}/images/train/000001_bonn_train/{30 + frame:06d}.jpg" for frame in range(FRAMES)]
            ),
            "joints2D": joints2d,
            "bbox": box,
            "vid_name": np.array(
                [f"{folder}/posetrack_data/annotations/train/000001_bonn_train.json_{person}"] * FRAMES
            ),
            "features": acted.phi,
        })  # fmt: skip
    return parts, truth


def _insta(act: Callable[..., _Acted], path: Path) -> dict[str, list[TrueSequence]]:
    """Keypoints are OpenPose's, in pixels of crops that are already cut; the top of the head is never one of them."""
    record = "insta_variety_00_copy00_hmr_noS5.ckpt-642561.tfrecord"
    fields: dict[str, list[np.ndarray]] = {"vid_name": [], "frame_id": [], "joints2D": [], "features": []}
    truth = {}
    for number in range(2):
        acted = act("walking")
        crop = _crop(_box(acted.keypoints_px, 1, squared=False), 224 / 150)
        labels = acted.keypoints_px.copy()
        labels[..., :2] = (labels[..., :2] - crop[:, None, :2]) * crop[:, None, 2:] + 112
        labels[:, HMMR_25.index("head_top")] = 0
        seen = np.tile(np.array([112.0, 112, 1]), (FRAMES, 1))
        truth[f"{record}-{number}"] = [TrueSequence(0, 0, 25, acted.phi, labels, seen, np.ones(FRAMES, bool))]
        fields["vid_name"].append(np.array([f"data/insta_variety/train/{record}-{number}".encode()] * FRAMES))
        fields["frame_id"].append(np.arange(FRAMES))
        fields["joints2D"].append(labels)
        fields["features"].append(acted.phi)
    with h5py.File(path, "w") as file:
        for name, values in fields.items():
            file.create_dataset(name, data=np.concatenate(values))
    return truth
