"""The papers' metrics as short pure functions over any leading batch shape.

Every function takes NumPy arrays or torch tensors, float32 or float64, returns the same kind, and keeps the
unit of its input: metres in, metres out. A value that is undefined is NaN, never a plausible number, so that
a caller can leave it out and count it. They are measures, not losses: PA-MPJPE carries no gradient.
"""

import functools
import operator
from collections.abc import Sequence

import numpy as np
import torch

from moviestrip.errors import FatalError
from moviestrip.geometry import Array, backend, optimal_camera, procrustes_align
from moviestrip.skeleton import COMMON_14, indices_of

# All joints within this share of their distance from the origin count as one point.
COINCIDENT_SHARE = {4: 1e-5, 8: 1e-12}
HIPS_OF_COMMON_14 = tuple(int(index) for index in indices_of(("right_hip", "left_hip"), COMMON_14))
AUC_THRESHOLDS_M = tuple(step * 0.005 for step in range(31))  # MPI-INF-3DHP's evaluation: 0, 5, ..., 150 mm


def mpjpe(predicted: Array, target: Array) -> Array:
    """Mean distance of corresponding joints: (..., J, 3), (..., J, 3) -> (...)."""
    require_same_shape("mpjpe", predicted, target, last=3)
    return _lengths(predicted - target).mean(-1)


def pa_mpjpe(predicted: Array, target: Array) -> Array:
    """MPJPE after the best similarity (rotation, scale, translation) of each pose: (..., J, 3) twice -> (...).

    NaN where a coordinate is not finite, and where all joints of either pose coincide: there the scale is
    0/0, or shrinking the prediction to a point would earn a perfect score. Collinear poses are defined.
    """
    require_same_shape("pa_mpjpe", predicted, target, last=3)
    undefined = is_degenerate(predicted) | is_degenerate(target)
    if undefined.any():
        predicted = _zero_where(undefined[..., None, None], predicted)
        target = _zero_where(undefined[..., None, None], target)
    return _nan_where(undefined, mpjpe(procrustes_align(predicted, target), target))


def is_degenerate(joints: Array) -> Array:
    """Poses that cannot be aligned: a coordinate not finite, or all joints in one point: (..., J, 3) -> (...)."""
    xp = backend(joints)
    flat = (*joints.shape[:-2], joints.shape[-2] * 3)
    with np.errstate(invalid="ignore"):  # infinities among the joints: the difference is NaN, and so degenerate
        spread = xp.amax(xp.abs(joints - joints[..., :1, :]).reshape(flat), -1)
    size = xp.amax(xp.abs(joints).reshape(flat), -1)
    return ~(spread > COINCIDENT_SHARE[joints.dtype.itemsize] * size)  # false for NaN as well


def center_on_hips(joints: Array) -> Array:
    """Move the midpoint of the two hips of COMMON_14 to the origin: (..., 14, 3) -> the same."""
    right, left = HIPS_OF_COMMON_14
    return joints - (joints[..., right : right + 1, :] + joints[..., left : left + 1, :]) / 2


def acceleration(joints: Array) -> Array:
    """Mean length of the second differences: (..., T, J, 3) -> (..., T-2), input unit a frame squared."""
    _require_sequence("acceleration", joints)
    return _lengths(_second_differences(joints)).mean(-1)


def acceleration_error(predicted: Array, target: Array, visible: Array | None = None) -> Array:
    """Mean length of the difference of second differences: (..., T, J, 3) twice -> (..., T-2).

    With `visible`, (..., T) booleans, a triplet of frames with an invisible one among them is NaN.
    """
    _require_sequence("acceleration_error", predicted)
    require_same_shape("acceleration_error", predicted, target, last=3)
    error = _lengths(_second_differences(predicted - target)).mean(-1)
    if visible is None:
        return error
    if tuple(visible.shape) != tuple(predicted.shape[:-2]):
        raise FatalError(
            f"acceleration_error: visible has shape {tuple(visible.shape)}, the joints {tuple(predicted.shape)}; "
            f"one flag a frame is needed"
        )
    kept = visible[..., :-2] & visible[..., 1:-1] & visible[..., 2:]
    return _nan_where(~kept, error)


def in_mm_per_s2(acceleration_mm_per_frame2: Array, fps: float) -> Array:
    """What mm/frame^2 at `fps` frames a second are in mm/s^2: the frame time is squared, as time is."""
    return acceleration_mm_per_frame2 * fps**2


def pck_3d(predicted: Array, target: Array, threshold: float, visible: Array | None = None) -> Array:
    """Share of the joints closer than `threshold`, in the input's unit: (..., J, 3) twice -> (...), 0..1.

    With `visible`, (..., J), only these joints count; NaN where none does, or one of them is unknown in the
    target. A joint that is predicted as NaN counts as missed.
    """
    return auc_3d(predicted, target, (threshold,), visible)


def auc_3d(
    predicted: Array, target: Array, thresholds: Sequence[float] = AUC_THRESHOLDS_M, visible: Array | None = None
) -> Array:
    """Mean of `pck_3d` over some thresholds: (..., J, 3) twice -> (...), 0..1."""
    require_same_shape("pck_3d", predicted, target, last=3)
    distances = _lengths(predicted - target)
    seen = backend(predicted).ones_like(distances, dtype=bool) if visible is None else visible > 0
    if tuple(seen.shape) != tuple(distances.shape):
        raise FatalError(
            f"pck_3d: visible has shape {tuple(seen.shape)}, the joints {tuple(predicted.shape)}; "
            f"one flag a joint is needed"
        )
    counted = seen.sum(-1)
    hits = functools.reduce(operator.add, [((distances < threshold) & seen).sum(-1) for threshold in thresholds])
    share = _as_type_of(hits, predicted) / _as_type_of(counted.clip(1, None) * len(thresholds), predicted)
    unknown = (~backend(target).isfinite(target).all(-1) & seen).any(-1)
    return _nan_where((counted == 0) | unknown, share)


def pck(predicted_px: Array, target_px: Array, visible: Array, threshold_px: float) -> Array:
    """Share of the visible keypoints closer than `threshold_px`: (..., J, 2) twice, (..., J) -> (...), 0..1.

    NaN where no keypoint is visible. A visible keypoint that is predicted as NaN counts as missed.
    """
    _require_keypoints("pck", predicted_px, target_px, visible)
    seen = visible > 0
    counted = seen.sum(-1)
    hits = ((_lengths(predicted_px - target_px) < threshold_px) & seen).sum(-1)
    share = _as_type_of(hits, predicted_px) / _as_type_of(counted.clip(1, None), predicted_px)
    return _nan_where(counted == 0, share)


def pck_after_optimal_camera(
    predicted_px: Array, target_px: Array, visible: Array, threshold_px: float, minimum_visible: int = 6
) -> Array:
    """HMMR's PCK: after the best scale and translation of each frame; NaN with fewer keypoints visible."""
    _require_keypoints("pck_after_optimal_camera", predicted_px, target_px, visible)
    camera = optimal_camera(predicted_px, target_px, visible > 0)  # unbounded, unlike in training
    moved = camera[..., None, :1] * (predicted_px + camera[..., None, 1:])
    undefined = ~backend(camera).isfinite(camera).all(-1)
    too_few = (visible > 0).sum(-1) < minimum_visible
    return _nan_where(undefined | too_few, pck(moved, target_px, visible, threshold_px))


def require_same_shape(name: str, predicted: Array, target: Array, last: int) -> None:
    shapes = tuple(predicted.shape), tuple(target.shape)
    if shapes[0] != shapes[1] or len(shapes[0]) < 2 or shapes[0][-1] != last:
        raise FatalError(
            f"{name}: predicted has shape {shapes[0]}, target {shapes[1]}; both must be the same (..., J, {last})"
        )


def _require_sequence(name: str, joints: Array) -> None:
    if len(joints.shape) < 3 or joints.shape[-1] != 3:
        raise FatalError(f"{name}: joints have shape {tuple(joints.shape)}, expected (..., T, J, 3)")


def _require_keypoints(name: str, predicted_px: Array, target_px: Array, visible: Array) -> None:
    require_same_shape(name, predicted_px, target_px, last=2)
    if tuple(visible.shape) != tuple(predicted_px.shape[:-1]):
        raise FatalError(
            f"{name}: visible has shape {tuple(visible.shape)}, the keypoints {tuple(predicted_px.shape)}; "
            f"one flag a keypoint is needed"
        )


def _lengths(vectors: Array) -> Array:
    """Euclidean lengths over the last axis; summed by column, several times faster than an axis of three."""
    squares = vectors[..., 0] ** 2
    for axis in range(1, vectors.shape[-1]):
        squares = squares + vectors[..., axis] ** 2
    return squares**0.5


def _second_differences(joints: Array) -> Array:
    return joints[..., 2:, :, :] - 2 * joints[..., 1:-1, :, :] + joints[..., :-2, :, :]


def _nan_where(condition: Array, values: Array) -> Array:
    return _replace(condition, values, float("nan"))


def _zero_where(condition: Array, values: Array) -> Array:
    return _replace(condition, values, 0.0)


def _replace(condition: Array, values: Array, number: float) -> Array:
    xp = backend(values)
    return xp.where(condition, xp.full_like(values, number), values)


def _as_type_of(values: Array, example: Array) -> Array:
    if isinstance(values, torch.Tensor):
        return values.to(example.dtype)
    return np.asarray(values).astype(example.dtype)
