"""MoveNet MultiPose as a finder: up to six people of a frame, roughly, all at once."""

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from moviestrip.parts import part_file
from moviestrip.pose.blazepose import Region, region_around
from moviestrip.pose.tensorflow_graph import TensorFlowGraph
from moviestrip.skeleton import COCO_17, indices_of

SMALLEST_SIDE_PX, LARGEST_SIDE_PX = 256, 512
SIDE_MULTIPLE_PX = 32
MINIMUM_SCORE = 0.25
MINIMUM_CONFIDENCE = 0.15
MINIMUM_TRUNK_POINTS = 3
REACH_MARGIN = 1.08  # of the region's radius over the farthest visible point
TRUNKS_PER_RADIUS = 1.35  # a body reaches at least this far, however few of its points are seen
SHOULDERS, HIPS = (
    indices_of(("left_shoulder", "right_shoulder"), COCO_17),
    indices_of(("left_hip", "right_hip"), COCO_17),
)


class MoveNetFinder:
    """Regions of the people in a frame, the surest first."""

    def __init__(self) -> None:
        self._graph = TensorFlowGraph(part_file("movenet-graph"), part_file("movenet-weights"))

    def __call__(self, frame: UInt8[np.ndarray, "height width 3"]) -> list[Region]:
        people = self.keypoints(frame)
        return [region_of(keypoints) for score, keypoints in people if score >= MINIMUM_SCORE and has_trunk(keypoints)]

    def keypoints(self, frame: UInt8[np.ndarray, "height width 3"]) -> list[tuple[float, Float[np.ndarray, "17 3"]]]:
        """(score, x_px, y_px, confidence of COCO_17) of six candidates, the surest first."""
        picture, scale = scaled_to_multiple(frame, int(np.clip(max(frame.shape), SMALLEST_SIDE_PX, LARGEST_SIDE_PX)))
        (found,) = self._graph(torch.from_numpy(picture).long()[None])
        height, width = picture.shape[:2]
        candidates = []
        for person in found[0].numpy().astype(np.float64):
            points = person[:51].reshape(17, 3)[:, [1, 0, 2]] * [width / scale, height / scale, 1]
            candidates.append((float(person[55]), points))
        return sorted(candidates, key=lambda candidate: -candidate[0])


def scaled_to_multiple(
    frame: UInt8[np.ndarray, "height width 3"], longer_side_px: int
) -> tuple[UInt8[np.ndarray, "padded_height padded_width 3"], float]:
    """The frame scaled, and padded at the right and bottom to sides the network divides evenly; and the scale."""
    height, width = frame.shape[:2]
    scale = longer_side_px / max(height, width)
    inner_height, inner_width = max(1, round(height * scale)), max(1, round(width * scale))
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    padded = [-(-side // SIDE_MULTIPLE_PX) * SIDE_MULTIPLE_PX for side in (inner_height, inner_width)]
    picture = np.zeros((*padded, 3), np.uint8)
    picture[:inner_height, :inner_width] = cv2.resize(frame, (inner_width, inner_height), interpolation=smooth)
    return picture, scale


def has_trunk(keypoints: Float[np.ndarray, "17 3"]) -> bool:
    """Whether enough of shoulders and hips is seen to tell where the body is and which way it stands."""
    trunk = keypoints[np.concatenate([SHOULDERS, HIPS]), 2]
    return int((trunk > MINIMUM_CONFIDENCE).sum()) >= MINIMUM_TRUNK_POINTS


def region_of(keypoints: Float[np.ndarray, "17 3"]) -> Region:
    """The region BlazePose expects: round the middle of the hips, upright along the trunk, reaching every limb."""
    hip = keypoints[HIPS, :2].mean(0)
    trunk = keypoints[SHOULDERS, :2].mean(0) - hip
    length = max(float(np.linalg.norm(trunk)), 1e-6)
    seen = keypoints[keypoints[:, 2] > MINIMUM_CONFIDENCE, :2]
    reach = float(np.linalg.norm(seen - hip, axis=1).max(initial=0))
    radius = max(REACH_MARGIN * reach, TRUNKS_PER_RADIUS * length)
    return region_around(hip, hip + trunk / length * radius)
