"""BlazePose on the LiteRT interpreter: find people in a frame, then place 33 landmarks on each.

Two networks. The finder looks at the whole frame (or a tile of it) and gives, for each person, the middle of
the hips and a point on the circle round the body; these two define a square region, turned so that the body
stands upright in it. The landmark network looks at that region. Everything here is a function of one frame:
no state is carried from frame to frame, so results do not depend on the order of frames.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from jaxtyping import Float, UInt8

from moviestrip.parts import part_file
from moviestrip.pose.litert_graph import outputs_named, reduced

FINDER_SIDE_PX = 224
FINDER_STRIDES_PX = (8, 16, 32, 32, 32)
ANCHORS_PER_STRIDE = 2
FINDER_POINTS = 4
FINDER_MINIMUM_SCORE = 0.5
SAME_PERSON_OVERLAP = 0.3

LANDMARK_SIDE_PX = 256
LANDMARK_OUTPUTS = ("Identity", "Identity_1", "Identity_3")  # landmarks, presence, heat maps
LANDMARKS = 39  # 33 of the body, 2 that define the next region, 4 unused
BODY_LANDMARKS = 33
HIP_CENTRE, BODY_EDGE = 33, 34
REGION_MARGIN = 1.25
LANDMARK_MINIMUM_SCORE = 0.5
HEAT_MAP_WINDOW = 7
HEAT_MAP_MINIMUM = 0.5


@dataclass(frozen=True)
class Region:
    """A turned square of the frame: centre and side in pixels, angle in radians (0 is upright)."""

    center_x_px: float
    center_y_px: float
    side_px: float
    angle: float


@dataclass(frozen=True)
class Found:
    """A person the finder saw: score, and four points in pixels of the frame."""

    score: float
    points_px: Float[np.ndarray, "4 2"]

    @property
    def region(self) -> Region:
        return region_around(self.points_px[0], self.points_px[1])


@dataclass(frozen=True)
class Landmarks:
    """One person: score, x_px, y_px, visibility (0..1) of BLAZEPOSE_33, and the region seen from the landmarks."""

    score: float
    keypoints: Float[np.ndarray, "33 3"]
    region: Region


class Network:
    """A LiteRT network on one thread: outputs in the file's order, of one input or of a batch."""

    def __init__(self, model: Path | bytes):
        source = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
        self._interpreter = Interpreter(**source, num_threads=1)
        self._interpreter.allocate_tensors()
        given = self._interpreter.get_input_details()[0]
        self._input, self._shape = given["index"], tuple(given["shape"])
        outputs = self._interpreter.get_output_details()
        self._outputs = [detail["index"] for detail in outputs]
        self.output_shapes = [tuple(detail["shape"]) for detail in outputs]

    def __call__(self, values: np.ndarray) -> list[np.ndarray]:
        """Outputs of one input, without their batch axis."""
        return [output[0] for output in self.of_batch(values[None])]

    def of_batch(self, values: np.ndarray) -> list[np.ndarray]:
        if values.shape != self._shape:
            self._interpreter.resize_tensor_input(self._input, values.shape)
            self._interpreter.allocate_tensors()
            self._shape = values.shape
        self._interpreter.set_tensor(self._input, values.astype(np.float32, copy=False))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


class PersonFinder:
    """Finds people in a frame or in a window of it."""

    def __init__(self) -> None:
        self._network = Network(part_file("blazepose-finder"))
        self._anchors = anchor_centres()

    def __call__(self, frame: UInt8[np.ndarray, "height width 3"]) -> list[Found]:
        """People of one frame, best first."""
        picture, scale, margin_px = letterboxed(frame, FINDER_SIDE_PX)
        values, logits = self._network(np.divide(picture, np.float32(127.5)) - 1)
        scores, boxes, points = decoded(values, sigmoid(logits[:, 0]), self._anchors)
        kept = merged_detections(scores, boxes, points)
        return [Found(score, (at * FINDER_SIDE_PX - margin_px) / scale) for score, at in kept]

    def in_windows(
        self, frame: UInt8[np.ndarray, "height width 3"], windows: Sequence[tuple[int, int, int, int]]
    ) -> list[Found]:
        """People of several windows (x, y, width, height) of a frame, in pixels of the frame, best first."""
        people: list[Found] = []
        for x, y, width, height in windows:
            inside = self(np.ascontiguousarray(frame[y : y + height, x : x + width]))
            people += [Found(found.score, found.points_px + np.array([x, y])) for found in inside]
        return sorted(people, key=lambda found: -found.score)


class LandmarkNetwork:
    """Places landmarks on the person in a region."""

    def __init__(self, variant: str = "full"):
        weights = part_file(f"blazepose-{variant}").read_bytes()
        self._network = Network(reduced(weights, outputs_named(*LANDMARK_OUTPUTS)))

    def __call__(self, frame: UInt8[np.ndarray, "height width 3"], region: Region) -> Landmarks | None:
        """Landmarks in pixels of the frame, or None when the network sees no person there."""
        to_frame = region_to_frame(region, LANDMARK_SIDE_PX)
        crop = region_crop(frame, to_frame, LANDMARK_SIDE_PX)
        values, presence, heat_maps = self._network(np.divide(crop, np.float32(255)))
        score = float(presence[0])
        if not score >= LANDMARK_MINIMUM_SCORE:
            return None
        values = values.reshape(LANDMARKS, 5)
        in_crop = refined(values[:, :2], heat_maps)
        in_frame = in_crop @ to_frame[:, :2].T + to_frame[:, 2]
        keypoints = np.concatenate([in_frame, sigmoid(values[:, 3:4])], axis=1)[:BODY_LANDMARKS]
        return Landmarks(score, keypoints, region_around(in_frame[HIP_CENTRE], in_frame[BODY_EDGE]))


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values.astype(np.float64), -100, 100)))


def anchor_centres() -> Float[np.ndarray, "2254 2"]:
    """Centres the finder's boxes are relative to, 0..1: equal strides share a grid, two anchors a layer."""
    grids = []
    for stride in sorted(set(FINDER_STRIDES_PX)):
        cells = math.ceil(FINDER_SIDE_PX / stride)
        at = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
        grids.append(np.repeat(grid, ANCHORS_PER_STRIDE * FINDER_STRIDES_PX.count(stride), axis=0))
    return np.concatenate(grids)


def letterboxed(
    frame: UInt8[np.ndarray, "height width 3"], side_px: int
) -> tuple[UInt8[np.ndarray, "side side 3"], float, np.ndarray]:
    """The whole frame in a black square: (picture, scale, margin); picture = frame * scale + margin."""
    height, width = frame.shape[:2]
    scale = side_px / max(height, width)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (side_px - inner_width) // 2, (side_px - inner_height) // 2
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = np.zeros((side_px, side_px, 3), np.uint8)
    picture[top : top + inner_height, left : left + inner_width] = cv2.resize(
        frame, (inner_width, inner_height), interpolation=smooth
    )
    return picture, scale, np.array([left, top])


def decoded(
    values: Float[np.ndarray, "anchors 12"],
    scores: Float[np.ndarray, " anchors"],
    anchors: Float[np.ndarray, "anchors 2"],
) -> tuple[np.ndarray, Float[np.ndarray, "found 4"], Float[np.ndarray, "found 4 2"]]:
    """Scores, boxes (left, top, right, bottom) and points, 0..1, of the anchors that see a person."""
    kept = scores > FINDER_MINIMUM_SCORE
    values, scores, anchors = values[kept].astype(np.float64) / FINDER_SIDE_PX, scores[kept], anchors[kept]
    centres, sizes = values[:, :2] + anchors, values[:, 2:4]
    points = values[:, 4:].reshape(-1, FINDER_POINTS, 2) + anchors[:, None]
    return scores, np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1), points


def merged_detections(
    scores: np.ndarray, boxes: Float[np.ndarray, "found 4"], points: Float[np.ndarray, "found 4 2"]
) -> list[tuple[float, Float[np.ndarray, "4 2"]]]:
    """Weighted non-maximum suppression: overlapping detections become their average, weighted by score."""
    merged = []
    remaining = np.argsort(-scores, kind="stable")
    while len(remaining):
        same = box_overlap(boxes[remaining[0]], boxes[remaining]) > SAME_PERSON_OVERLAP
        same[0] = True
        group = remaining[same]
        merged.append((float(scores[group[0]]), np.average(points[group], axis=0, weights=scores[group])))
        remaining = remaining[~same]
    return merged


def box_overlap(box: Float[np.ndarray, "4"], others: Float[np.ndarray, "boxes 4"]) -> Float[np.ndarray, " boxes"]:
    """Intersection over union of one box (left, top, right, bottom) with others."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    intersection = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    union = np.prod(box[2:] - box[:2]) + areas - intersection
    return intersection / np.maximum(union, 1e-12)


def region_around(centre: Float[np.ndarray, "2"], edge: Float[np.ndarray, "2"]) -> Region:
    """The square round a body: `edge` lies on its circle, straight above `centre` once turned upright."""
    across, down = edge - centre
    return Region(
        center_x_px=float(centre[0]),
        center_y_px=float(centre[1]),
        side_px=float(2 * REGION_MARGIN * math.hypot(across, down)),
        angle=math.atan2(across, -down),
    )


def region_to_frame(region: Region, side_px: int) -> Float[np.ndarray, "2 3"]:
    """Affine map from pixels of the region's crop to pixels of the frame (pixel centres are whole numbers)."""
    scale = region.side_px / side_px
    cosine, sine = scale * math.cos(region.angle), scale * math.sin(region.angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    middle = (side_px - 1) / 2
    shift = np.array([region.center_x_px, region.center_y_px]) - turn @ [middle, middle]
    return np.column_stack([turn, shift])


def region_crop(
    frame: UInt8[np.ndarray, "height width 3"], to_frame: Float[np.ndarray, "2 3"], side_px: int
) -> UInt8[np.ndarray, "side side 3"]:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, to_frame, (side_px, side_px), flags=flags, borderMode=cv2.BORDER_CONSTANT)


def refined(
    in_crop_px: Float[np.ndarray, "39 2"], heat_maps: Float[np.ndarray, "64 64 39"]
) -> Float[np.ndarray, "39 2"]:
    """Move each landmark to the centre of mass of its heat map nearby, where that is sure of itself."""
    cells = heat_maps.shape[0]
    cell_px = LANDMARK_SIDE_PX / cells
    reach = HEAT_MAP_WINDOW // 2
    result = in_crop_px.astype(np.float64)
    for index, (column, row) in enumerate((in_crop_px / cell_px).astype(int)):
        if not (0 <= column < cells and 0 <= row < cells):
            continue
        rows = np.arange(max(0, row - reach), min(cells, row + reach + 1))
        columns = np.arange(max(0, column - reach), min(cells, column + reach + 1))
        weights = sigmoid(heat_maps[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, index])
        if weights.max() >= HEAT_MAP_MINIMUM:
            result[index] = np.array([weights.sum(0) @ columns, weights.sum(1) @ rows]) / weights.sum() * cell_px
    return result
