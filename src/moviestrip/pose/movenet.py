"""MoveNet MultiPose: the people of a frame, roughly, all at once.

Its network is published with a tail that keeps six people. Here its maps are read instead: where the middles of people
are, where each of these has its joints, and where joints are whosoever.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from moviestrip.parts import part_file
from moviestrip.pose.blazepose import Network, Region, region_around
from moviestrip.pose.tensorflow_graph import TensorFlowGraph
from moviestrip.skeleton import COCO_17, indices_of

SMALLEST_SIDE_PX, LARGEST_SIDE_PX = 256, 512
SIDE_MULTIPLE_PX = 32
CELL_PX = 4
MAPS = tuple(
    f"StatefulPartitionedCall/{name}"
    for name in (
        "Sigmoid", "MaxPool", "kpt_regress_0/conv2d_8/BiasAdd", "Sigmoid_1", "kpt_offset_0/conv2d_9/BiasAdd",
    )
)  # fmt: skip
KEPT_NETWORKS = 8  # each for one size of picture: the scales of two sizes of frame

CANDIDATE_SCORE = 0.2
MINIMUM_CONFIDENCE = 0.15
MINIMUM_TRUNK_POINTS = 3
REACH = 0.06  # of the region's side: how far from the regressed place a keypoint is looked for
REACH_MARGIN = 1.08  # of the region's radius over the farthest visible point
TRUNKS_PER_RADIUS = 1.35  # a body reaches at least this far, however few of its points are seen
SHOULDERS, HIPS = (
    indices_of(("left_shoulder", "right_shoulder"), COCO_17),
    indices_of(("left_hip", "right_hip"), COCO_17),
)

Frame = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Candidate:
    """Someone MoveNet sees: score, x_px, y_px, confidence of COCO_17 in the frame."""

    score: float
    keypoints: Float[np.ndarray, "17 3"]

    @property
    def region(self) -> Region:
        return region_of(self.keypoints)


class MoveNet:
    """Candidates in a frame brought to one size, the surest first."""

    def __init__(self) -> None:
        self._graph = TensorFlowGraph(part_file("movenet-graph"), part_file("movenet-weights"))
        self._network = lru_cache(KEPT_NETWORKS)(self._network_of)

    def __call__(self, frame: Frame, longer_side_px: int) -> list[Candidate]:
        picture, scale = scaled_to_multiple(frame, longer_side_px)
        centres, highest, regressed, heat_maps, offsets = self._network(picture.shape)(picture)
        candidates = []
        for row, column in peaks(centres[..., 0], highest[..., 0]):
            rough = regressed[row, column].reshape(17, 2) + np.array([row, column])
            cells = refined_keypoints(rough, heat_maps, offsets.reshape(*heat_maps.shape, 2))
            keypoints = cells[:, [1, 0, 2]] * (CELL_PX / scale, CELL_PX / scale, 1)
            if has_trunk(keypoints):
                candidates.append(Candidate(float(centres[row, column, 0]), keypoints.astype(np.float64)))
        return candidates

    def _network_of(self, shape: tuple[int, int, int]) -> Network:
        """LiteRT lays a network out for one size of picture."""
        return Network(self._graph.litert_file((1, *shape), MAPS))


class MoveNetFinder:
    """Regions of the people in a frame, looked for at one scale, the surest first."""

    def __init__(self) -> None:
        self._network = MoveNet()

    def __call__(self, frame: Frame) -> list[Region]:
        return [candidate.region for candidate in self.candidates(frame)]

    def candidates(self, frame: Frame) -> list[Candidate]:
        return self._network(frame, int(np.clip(max(frame.shape), SMALLEST_SIDE_PX, LARGEST_SIDE_PX)))


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


def peaks(
    centres: Float[np.ndarray, "rows columns"], highest: Float[np.ndarray, "rows columns"]
) -> Int[np.ndarray, "found 2"]:
    """Cells (row, column) that are the highest around and high enough, the highest first."""
    places = np.argwhere((centres >= highest) & (centres >= CANDIDATE_SCORE))
    return places[np.argsort(-centres[tuple(places.T)], kind="stable")]


def refined_keypoints(
    rough: Float[np.ndarray, "17 2"],
    heat_maps: Float[np.ndarray, "rows columns 17"],
    offsets: Float[np.ndarray, "rows columns 17 2"],
) -> Float[np.ndarray, "17 3"]:
    """Keypoints (row, column, confidence) at the nearest strong places of their heat maps, near where they should be.

    As MoveNet does, but near is measured on the body, so that nobody takes the limbs of the person beside.
    """
    reach = max(1.0, REACH * region_of(np.column_stack([rough[:, ::-1], np.ones(17)])).side_px)
    limits = np.array(heat_maps.shape[:2])
    first = np.clip(np.floor(rough - 2 * reach), 0, limits - 1).astype(int)
    last = np.clip(np.ceil(rough + 2 * reach), 0, limits - 1).astype(int)
    result = np.empty((17, 3))
    for index, (place, (top, left), (bottom, right)) in enumerate(zip(rough, first, last, strict=True)):
        heat = heat_maps[top : bottom + 1, left : right + 1, index]
        squared = (np.arange(top, bottom + 1)[:, None] - place[0]) ** 2
        squared = squared + (np.arange(left, right + 1) - place[1]) ** 2
        weighted = heat * np.exp(-squared / (2 * reach**2))
        row, column = np.unravel_index(int(weighted.argmax()), heat.shape)
        at = np.array([row + top, column + left])
        result[index] = [*(at + offsets[at[0], at[1], index]), weighted[row, column]]
    return result


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
