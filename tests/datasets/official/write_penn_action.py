"""A miniature Penn Action in the layout of the release, made from people whose bodies are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from moviestrip.skeleton import HMMR_25
from tests.datasets.official.stick_figures import FRAMES, HEIGHT_PX, WIDTH_PX, filmed_keypoints, write_pictures

VIDEOS = (  # name, action, family of the motion, whether for training
    ("0001", "baseball_pitch", "baseball_pitch", True),
    ("0002", "baseball_pitch", "baseball_pitch", False),
    ("1157", "jumping_jacks", "jumping_jacks", False),
    ("1399", "pullup", "pull_ups", True),
    ("2219", "tennis_serve", "tennis_serve", False),
)
# The release's columns, the person's right first, as HMMR, deephar and ROMP read them.
COLUMNS = (
    "head_top right_shoulder left_shoulder right_elbow left_elbow right_wrist left_wrist right_hip left_hip right_knee "
    "left_knee right_ankle left_ankle"
).split()
PLACES = [HMMR_25.index(name) for name in COLUMNS]


@dataclass(frozen=True)
class TruePeople:
    action: str
    is_train: bool
    keypoints_px: np.ndarray  # frames, 25, 3; nothing is visible in frames that have no row


@dataclass(frozen=True)
class Written:
    folder: Path
    people: Mapping[str, TruePeople]  # by the name of the video


def write_penn_action(folder: Path, seed: int = 0) -> Written:
    """Five videos of 48 frames; the last begins with a frame in which nothing is visible."""
    root, people = folder / "Penn_Action", {}
    for number, (name, action, family, is_train) in enumerate(VIDEOS):
        keypoints = filmed_keypoints(family, seed * len(VIDEOS) + number)
        visible = np.zeros((FRAMES, 25), bool)
        visible[:, PLACES] = True
        visible[10:14, HMMR_25.index("left_wrist")] = False
        visible[0] &= name != VIDEOS[-1][0]
        write_pictures(root / "frames" / name, [f"{frame + 1:06d}.jpg" for frame in range(FRAMES)], [keypoints])
        write_labels(root / "labels" / f"{name}.mat", action, is_train, keypoints, visible)
        truth = np.where(visible[..., None], np.concatenate([keypoints, np.ones((FRAMES, 25, 1))], axis=-1), 0)
        people[name] = TruePeople(action, is_train, truth)
    return Written(folder, people)


def write_labels(path: Path, action: str, is_train: bool, keypoints: np.ndarray, visible: np.ndarray) -> None:
    """Pixels from (1, 1); what is not visible lies there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    points = np.where(visible[..., None], keypoints + 1, 1)[:, PLACES]
    fields = {
        "action": action, "pose": "front", "x": points[..., 0], "y": points[..., 1],
        "visibility": visible[:, PLACES].astype(np.float64), "train": np.array([[1.0 if is_train else -1.0]]),
        "bbox": np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1),
        "dimensions": np.array([[HEIGHT_PX, WIDTH_PX, len(points)]], np.float64),
        "nframes": np.array([[float(len(points))]]),
    }  # fmt: skip
    scipy.io.savemat(path, fields, do_compression=True)
