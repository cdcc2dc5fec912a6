"""A miniature of HMMR's TFRecords: shards of jittered tracks with features for training, a file a video for testing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.datasets.official.filmed import FRAMES, SIDE_PX, film
from tests.datasets.prepared.tfrecord_files import serialised, write_records

CROP_PX = 224
SHARDS = ("insta_variety_00_copy00_hmr_noS5.ckpt-642561", "insta_variety_01_copy00_hmr_noS5.ckpt-642561")


@dataclass(frozen=True)
class TrueSequence:
    keypoints_px: np.ndarray
    phi: np.ndarray | None
    joints_m: np.ndarray | None = None
    pose: np.ndarray | None = None
    betas: np.ndarray | None = None
    pictures: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Written:
    folder: Path
    sequences: Mapping[str, TrueSequence]  # by name and, in test files, person


def write_hmmr_records(folder: Path, seed: int = 0) -> Written:
    """Two shards with two tracks and one, the last of them with 3D labels, and one test video of two people."""
    draw, truth = np.random.default_rng(seed), {}
    tracks = [(index, person) for index in (0, 1) for person in range(len(film(index, seed).keypoints_px))]
    records: dict[str, list[bytes]] = {shard: [] for shard in SHARDS}
    for number, (index, person) in enumerate(tracks):
        shard = SHARDS[number // 2]
        sequence = _sequence(film(index, seed).keypoints_px[person], draw, features=True, labelled=number == 2)
        truth[f"{shard}/{len(records[shard]):04d}"] = sequence
        records[shard].append(serialised(training_fields(sequence, f"frames_raw/dancing/4518_{index}_n")))
    for shard, content in records.items():
        write_records(folder / "train" / f"{shard}.tfrecord", content)
    tested = [_sequence(points, draw, features=False) for points in film(0, seed).keypoints_px]
    truth |= {f"golf_4369_n/{person}": sequence for person, sequence in enumerate(tested)}
    content = [serialised(evaluation_fields(sequence, "frames_raw/golf/4369_n")) for sequence in tested]
    write_records(folder / "test" / "golf_4369_n.tfrecord", content)
    return Written(folder, truth)


def _sequence(
    keypoints_px: np.ndarray, draw: np.random.Generator, features: bool, labelled: bool = False
) -> TrueSequence:
    """A track in its 224 px crop."""
    keypoints = keypoints_px.astype(np.float64)
    keypoints[..., :2] = (keypoints[..., :2] - SIDE_PX / 2) * 2 + CROP_PX / 2 + draw.uniform(-9, 9, (FRAMES, 1, 2))
    return TrueSequence(
        keypoints_px=np.where(keypoints[..., 2:] > 0, keypoints, 0).astype(np.float32),
        phi=draw.normal(0, 1, (FRAMES, 2048)).astype(np.float32) if features else None,
        joints_m=draw.normal(0, 1, (FRAMES, 14, 3)).astype(np.float32) if labelled else None,
        pose=draw.normal(0, 1, (FRAMES, 72)).astype(np.float32) if labelled else None,
        betas=draw.normal(0, 1, 10).astype(np.float32) if labelled else None,
        pictures=tuple(_jpeg(frame) for frame in range(FRAMES)),
    )


def _jpeg(frame: int) -> bytes:
    return cv2.imencode(".jpg", np.full((CROP_PX, CROP_PX, 3), frame, np.uint8))[1].tobytes()


def _labels(keypoints: np.ndarray) -> dict[str, Any]:
    """frames x (x, y, visible) x joints, the joints in three parts."""
    points = keypoints.transpose(0, 2, 1)
    return {
        "image/xys": points[:, :2, :14], "image/visibilities": points[:, 2, :14].astype(np.int64),
        "image/face_pts": points[:, :, 14:19], "image/toe_pts": points[:, :, 19:],
    }  # fmt: skip


def _fields(sequence: TrueSequence, pictures_of: str) -> dict[str, Any]:
    no_pose, no_joints = -np.ones((FRAMES, 72)), np.zeros((FRAMES, 14, 3))
    return {
        "meta/N": np.array([FRAMES]),
        "meta/has_3d": np.array([int(sequence.pose is not None)]),
        "meta/has_3d_joints": np.array([int(sequence.joints_m is not None)]),
        "mosh/poses": no_pose if sequence.pose is None else sequence.pose,
        "mosh/shape": -np.ones(10) if sequence.betas is None else sequence.betas,
        "mosh/gt3ds": no_joints if sequence.joints_m is None else sequence.joints_m,
        "image/filenames": [f"{pictures_of}/frame{frame + 1:05d}.jpg".encode() for frame in range(FRAMES)],
        "image/heightwidths": np.full((FRAMES, 2), CROP_PX),
        "image/encoded": list(sequence.pictures),
    }


def training_fields(sequence: TrueSequence, pictures_of: str) -> dict[str, Any]:
    """As HMMR writes them after its augmentation: keypoints from -1 to 1, two factors a frame, some pictures more."""
    keypoints = sequence.keypoints_px.astype(np.float64)
    seen = keypoints[..., 2:] > 0
    keypoints = np.where(seen, np.concatenate([2 * keypoints[..., :2] / CROP_PX - 1, seen], axis=-1), 0)
    fields = _fields(sequence, pictures_of) | _labels(keypoints) | {"image/phis": sequence.phi}
    return fields | {
        "image/filenames": [*fields["image/filenames"], f"{pictures_of}/frame{FRAMES + 1:05d}.jpg".encode()],
        "image/scale_factors": np.ones((FRAMES, 2)), "image/centers": np.full((FRAMES, 2), 150),
        "image/crop_pts": np.full((FRAMES, 2), -7), "image/cams": np.zeros((FRAMES, 3)),
    }  # fmt: skip


def evaluation_fields(sequence: TrueSequence, pictures_of: str) -> dict[str, Any]:
    """As HMMR writes them for evaluation: keypoints in pixels of the crop, one factor a frame."""
    return _fields(sequence, pictures_of) | _labels(sequence.keypoints_px) | {
        "image/scale_factors": np.ones(FRAMES), "image/centers": np.full((FRAMES, 2), 112),
        "image/crop_pts": np.full((FRAMES, 2), 200), "image/cams": np.zeros(0),
        "meta/time_pts": np.array([0, FRAMES]),
    }  # fmt: skip
