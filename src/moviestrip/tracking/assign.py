"""What two sightings have in common, and the cheapest one-to-one linking.

The gate comes before the solver: a pair that may not be linked gets a large finite price and is taken out
again afterwards, because scipy's solver refuses NaN and gives up altogether when no full linking is feasible.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

FORBIDDEN = 1e6
KEYPOINT_TOLERANCE = 0.1  # of the person's diagonal: a keypoint this far off is about as good as half matched

People = Float[np.ndarray, "people joints 3"]
Boxes = Float[np.ndarray, "*batch 4"]
Points = Float[np.ndarray, "*batch joints 2"]
Seen = Bool[np.ndarray, "*batch joints"]
Links = list[tuple[int, int]]


def visible(people: Float[np.ndarray, "*batch joints 3"], minimum_confidence: float) -> Seen:
    """Which keypoints count as seen: finite, with some confidence, and at least the minimum."""
    confidence = people[..., 2]
    return (confidence > 0) & (confidence >= minimum_confidence) & np.isfinite(people[..., :2]).all(axis=-1)


def boxes_of(people: Float[np.ndarray, "*batch joints 3"], minimum_confidence: float) -> Boxes:
    """Left, top, right, bottom around the visible keypoints; NaN for a person without any."""
    seen = visible(people, minimum_confidence)
    points = people[..., :2].astype(np.float64)
    low = np.where(seen[..., None], points, np.inf).min(axis=-2, initial=np.inf)
    high = np.where(seen[..., None], points, -np.inf).max(axis=-2, initial=-np.inf)
    anything = seen.any(axis=-1, keepdims=True)
    return np.where(anything, np.concatenate([low, high], axis=-1), np.nan)


def diagonals(boxes: Boxes) -> Float[np.ndarray, "*batch"]:
    return np.hypot(boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1])


def centers(boxes: Boxes) -> Float[np.ndarray, "*batch 2"]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def intersection_over_union(a: Boxes, b: Boxes) -> Float[np.ndarray, "*batch"]:
    """Of boxes that broadcast; 0 where both are empty, NaN where either is NaN."""
    overlap = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(axis=-1)
    union = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1) - overlap
    return np.where(union == 0, 0.0, overlap / np.where(union == 0, 1.0, union))


def keypoint_similarity(
    a_px: Points, a_seen: Seen, b_px: Points, b_seen: Seen, scale_px: Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch"]:
    """Mean over the keypoints seen in both of exp(-distance^2 / 2 (tolerance * scale)^2); 0 where none is.

    COCO's object keypoint similarity with one tolerance for all joints: between two frames every joint
    moves, and the wrists most, so per-joint tolerances made for annotation noise would be too strict.
    """
    shared = a_seen & b_seen
    squared = ((a_px - b_px) ** 2).sum(axis=-1)
    spread = np.maximum(KEYPOINT_TOLERANCE * scale_px, 1e-6)[..., None]
    closeness = np.where(shared, np.exp(-squared / (2 * spread**2)), 0.0)
    return closeness.sum(axis=-1) / np.maximum(shared.sum(axis=-1), 1)


def move_px(before_px: Points, before_seen: Seen, after_px: Points, after_seen: Seen) -> Float[np.ndarray, "*batch 2"]:
    """Median move of the keypoints seen both times, 0 where none is.

    The box would also move when a limb comes into view.
    """
    shared = before_seen & after_seen
    count = shared.sum(axis=-1)
    ordered = np.sort(np.where(shared[..., None], after_px - before_px, np.inf), axis=-2)
    middle = np.stack([np.maximum(count - 1, 0) // 2, np.minimum(count // 2, shared.shape[-1] - 1)], axis=-1)
    median = np.take_along_axis(ordered, middle[..., None], axis=-2).mean(axis=-2)
    return np.where((count > 0)[..., None], median, 0.0)


def assign(
    cost: Float[np.ndarray, "tracks detections"], allowed: Bool[np.ndarray, "tracks detections"] | None = None
) -> Links:
    """As many one-to-one pairs as possible among the allowed ones, and of those the pairs of least total cost.

    A cost that is not finite is never allowed.
    """
    possible = np.isfinite(cost) if allowed is None else allowed & np.isfinite(cost)
    if not possible.any():
        return []
    rows, columns = linear_sum_assignment(np.where(possible, cost, FORBIDDEN))
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if possible[row, column]]


def assign_below(cost: Float[np.ndarray, "tracks detections"], maximum_cost: float) -> Links:
    """The one-to-one pairs of least total cost, where leaving a pair out costs `maximum_cost`.

    Unlike `assign` it leaves two apart rather than pay with worse links elsewhere: when one of several people
    who overlap is missed, nobody takes over the neighbour's detection only to make room.
    """
    possible = np.isfinite(cost) & (cost < maximum_cost)
    if not possible.any():
        return []
    rows, columns = linear_sum_assignment(np.where(possible, cost, maximum_cost))
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if possible[row, column]]
