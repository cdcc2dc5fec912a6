"""All detections of one video side by side, measured once: what the tracker looks up again and again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from moviestrip.tracking.assign import (
    People,
    boxes_of,
    centers,
    diagonals,
    intersection_over_union,
    keypoint_similarity,
    move_px,
    visible,
)

Rows = Int[np.ndarray, " pairs"]
Shifts = Float[np.ndarray, "pairs 2"]
SMALLEST_DIAGONAL_PX = 1e-6


@dataclass(frozen=True)
class Sightings:
    """One row a detection, frame after frame; a box is NaN where nothing of a person is visible."""

    points_px: Float[np.ndarray, "detections joints 2"]
    seen: Bool[np.ndarray, "detections joints"]
    boxes: Float[np.ndarray, "detections 4"]
    centers_px: Float[np.ndarray, "detections 2"]
    diagonals_px: Float[np.ndarray, " detections"]
    confidence: Float[np.ndarray, " detections"]
    frames: Int[np.ndarray, " detections"]
    starts: Int[np.ndarray, " frames_and_one"]

    @property
    def n_frames(self) -> int:
        return len(self.starts) - 1

    def moves_px(self, before: Rows, after: Rows) -> Shifts:
        return move_px(self.points_px[before], self.seen[before], self.points_px[after], self.seen[after])

    def similarities(
        self, first: Rows, shifts_px: Shifts, second: Rows, scale_px: Float[np.ndarray, " pairs"]
    ) -> Float[np.ndarray, " pairs"]:
        """How alike the poses are once the first is moved."""
        moved = self.points_px[first] + shifts_px[:, None]
        return keypoint_similarity(moved, self.seen[first], self.points_px[second], self.seen[second], scale_px)

    def overlaps(self, first: Rows, shifts_px: Shifts, second: Rows) -> Float[np.ndarray, " pairs"]:
        return intersection_over_union(self.boxes[first] + np.tile(shifts_px, 2), self.boxes[second])


def sightings(people_by_frame: Sequence[People], minimum_confidence: float) -> Sightings:
    """Measure the detections of one video, given frame by frame."""
    counts = [len(people) for people in people_by_frame]
    people = np.concatenate(list(people_by_frame) or [np.zeros((0, 1, 3))]).astype(np.float64)
    seen = visible(people, minimum_confidence)
    boxes = boxes_of(people, minimum_confidence)
    return Sightings(
        points_px=np.where(seen[..., None], people[..., :2], 0.0),
        seen=seen,
        boxes=boxes,
        centers_px=centers(boxes),
        diagonals_px=np.maximum(diagonals(boxes), SMALLEST_DIAGONAL_PX),
        confidence=np.where(seen, people[..., 2], 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1),
        frames=np.repeat(np.arange(len(counts)), counts),
        starts=np.concatenate([[0], np.cumsum(counts, dtype=int)]),
    )
