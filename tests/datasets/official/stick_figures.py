"""People whose bodies are known, filmed: their keypoints in a picture, and pictures that move as they do."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float

from moviestrip.body.load import Body, load_body
from moviestrip.body.points import PosedPoints, keypoint_regressor
from moviestrip.config import BodySettings
from moviestrip.geometry import look_at
from moviestrip.parts import cache_folder
from moviestrip.skeleton import HMMR_25, bone_indices
from moviestrip.world.kinematics import RestSkeleton, local_rotations
from moviestrip.world.procedural import procedural_motion

FRAMES, WIDTH_PX, HEIGHT_PX, FPS = 48, 160, 128, 25.0


@cache
def _points() -> tuple[Body, PosedPoints]:
    body = load_body(BodySettings(), cache_folder())
    return body, PosedPoints(body, keypoint_regressor(body))


def filmed_keypoints(family: str, seed: int, aside_m: float = 0.0) -> Float[np.ndarray, "48 25 2"]:
    """The 25 keypoints of one person in pixels, seen from the front or from one side."""
    body, points = _points()
    draw = np.random.default_rng(seed)
    motion = procedural_motion(family, seed, FRAMES, FPS, rest=RestSkeleton.from_body(body))
    betas = torch.from_numpy(draw.normal(0, 0.7, (1, 10)).astype(np.float32)).expand(FRAMES, 10)
    joints = points(torch.from_numpy(local_rotations(motion.pose)).float(), betas).numpy().astype(np.float64)
    joints += motion.translation_m[:, None] - motion.translation_m.mean(axis=0)
    angle = draw.uniform(-1, 1)
    rotation, translation = look_at(np.array([3.0 * np.sin(angle), 0.3, 3.0 * np.cos(angle)]), np.zeros(3))
    seen = joints @ rotation.T + translation + np.array([aside_m, 0, 0])
    return 1.15 * HEIGHT_PX * seen[..., :2] / seen[..., 2:] + np.array([WIDTH_PX - 1, HEIGHT_PX - 1]) / 2


def write_pictures(folder: Path, names: Sequence[str], people: Sequence[Float[np.ndarray, "frames 25 2"]]) -> None:
    """JPEG files of stick figures before a wall."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame, name in enumerate(names):
        cv2.imwrite(str(folder / name), picture([keypoints[frame] for keypoints in people]))


def picture(people: Sequence[Float[np.ndarray, "25 2"]]) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    wall = np.stack([90 + 40 * np.sin(columns / 9), 110 + rows / 4, 120 + 30 * np.cos(rows / 13)], axis=-1)
    image = wall.astype(np.uint8)
    for number, keypoints in enumerate(people):
        for first, second in bone_indices(HMMR_25):
            ends = [tuple(round(float(value)) for value in keypoints[end]) for end in (first, second)]
            cv2.line(image, ends[0], ends[1], (200 - 90 * number, 60 + 5 * int(first), 40 + 60 * number), 3)
    return image
