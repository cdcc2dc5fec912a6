"""What linking two detections costs, and the cheapest one-to-one linking.

The gate comes before the solver: a pair that may not be linked gets a large finite price and is taken out
again afterwards, because scipy's solver refuses NaN and gives up altogether when no full linking is feasible.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

FORBIDDEN = 1e6
KEYPOINT_TOLERANCE = 0.1  # of the person's diagonal: a keypoint this far off is about as good as half matched

People = Float[np.ndarray, "people joints 3"]
Boxes = Float[np.ndarray, "people 4"]


def boxes_of(people: People, minimum_confidence: float) -> Boxes:
    """Left, top, right, bottom around the visible keypoints; NaN for a person without any."""
    seen = (people[..., 2] > 0) & (people[..., 2] >= minimum_confidence) & np.isfinite(people[..., :2]).all(axis=-1)
    points = people[..., :2].astype(np.float64)
    low = np.where(seen[..., None], points, np.inf).min(axis=1, initial=np.inf)
    high = np.where(seen[..., None], points, -np.inf).max(axis=1, initial=-np.inf)
    boxes = np.concatenate([low, high], axis=1)
    boxes[~seen.any(axis=1)] = np.nan
    return boxes


def diagonals(boxes: Boxes) -> Float[np.ndarray, " people"]:
    return np.hypot(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def centers(boxes: Boxes) -> Float[np.ndarray, "people 2"]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def intersection_over_union(
    first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n m"]:
    """Of every pair of boxes; 0 where both are empty, NaN where either is."""
    a, b = first[:, None], second[None]
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(axis=-1)
    union = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1) - overlap
    return np.where(union == 0, 0.0, overlap / np.where(union == 0, 1.0, union))


def keypoint_similarity(
    first: Float[np.ndarray, "n joints 3"],
    second: Float[np.ndarray, "m joints 3"],
    scale_px: Float[np.ndarray, " n"],
    minimum_confidence: float,
) -> Float[np.ndarray, "n m"]:
    """Mean over the keypoints seen in both of exp(-distance^2 / 2 (tolerance * scale)^2); 0 where none is.

    COCO's object keypoint similarity with one tolerance for all joints: between two frames every joint
    moves, and the wrists most, so per-joint tolerances made for annotation noise would be too strict.
    """
    a, b = first[:, None], second[None]
    shared = (np.minimum(a[..., 2], b[..., 2]) >= minimum_confidence) & (np.minimum(a[..., 2], b[..., 2]) > 0)
    squared = ((a[..., :2] - b[..., :2]).astype(np.float64) ** 2).sum(axis=-1)
    spread = np.maximum(KEYPOINT_TOLERANCE * scale_px, 1e-6)[:, None, None]
    closeness = np.where(shared, np.exp(-squared / (2 * spread**2)), 0.0)
    return closeness.sum(axis=-1) / np.maximum(shared.sum(axis=-1), 1)


def assign(
    cost: Float[np.ndarray, "tracks detections"], allowed: Bool[np.ndarray, "tracks detections"] | None = None
) -> list[tuple[int, int]]:
    """The one-to-one pairs of least total cost among the allowed ones; a cost that is not finite is never allowed."""
    possible = np.isfinite(cost) if allowed is None else allowed & np.isfinite(cost)
    if not possible.any():
        return []
    rows, columns = linear_sum_assignment(np.where(possible, cost, FORBIDDEN))
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if possible[row, column]]
