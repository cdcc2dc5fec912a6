"""Rotations, alignment, cameras and crops: the conventions every floor above shares, as pure functions.

The papers agree on what to compute and disagree on how to write it down, so each convention has one
function here and is tested against stored outputs of the released implementations. The world frame has
y up and the floor at y = 0; the camera frame is OpenCV's (x right, y down, z forward); both in metres.
Leading axes are batch axes. A NumPy array in gives a NumPy array out, and a tensor gives a tensor.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float

from moviestrip.skeleton import SMPL_24, mirror_permutation

Array = TypeVar("Array", np.ndarray, torch.Tensor)
Tensor = torch.Tensor

CROP_PX = 224
PERSON_PX = 150  # the diagonal of a person's box within the crop
VIBE_FOCAL_PX = 5000.0
SCALE_BOUNDS = (0.7, 10.0)  # HMMR's, for the optimal camera


def backend(values: np.ndarray | Tensor) -> ModuleType:
    """The module (numpy or torch) whose functions apply to `values`."""
    return torch if isinstance(values, torch.Tensor) else np


def rotation_6d_to_matrix(sixd: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """Gram-Schmidt of two columns stored row by row: (a1x, a2x, a1y, a2y, a1z, a2z), as SPIN lays them out."""
    first, second = sixd.reshape(*sixd.shape[:-1], 3, 2).unbind(-1)
    x = torch.nn.functional.normalize(first, dim=-1)
    y = torch.nn.functional.normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def matrix_to_rotation_6d(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 6"]:
    """The first two columns, in the layout that `rotation_6d_to_matrix` reads."""
    return matrix[..., :2].reshape(*matrix.shape[:-2], 6)


def axis_angle_to_matrix(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rodrigues' formula, written so that value and gradient are finite down to no rotation."""
    angle = axis_angle.norm(dim=-1)[..., None, None]
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    crossed = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    outer = axis_angle[..., :, None] * axis_angle[..., None, :]
    still = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    about = torch.sinc(angle / torch.pi)  # sin(angle) / angle
    return angle.cos() * still + about * crossed + 0.5 * torch.sinc(angle / (2 * torch.pi)).square() * outer


def matrix_to_axis_angle(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Axis times angle, in 0..pi; at pi the sign of the axis is arbitrary. Its gradient is finite at the identity.

    As roma computes it, to the bit; but roma brings torch's compiler along, a second that most stages can do without.
    """
    quaternion = _matrix_to_quaternion(matrix)
    quaternion = quaternion * ((quaternion[..., 3:] > 0).to(quaternion.dtype) * 2 - 1)  # the shorter way round
    half_angle = torch.atan2(quaternion[..., :3].norm(dim=-1), quaternion[..., 3])
    small = half_angle < 2 * torch.finfo(half_angle.dtype).eps ** (1 / 6)  # below, a series has the better gradient
    sine = torch.where(small, torch.ones_like(half_angle), half_angle.sin())
    over_sine = torch.where(small, 1 + half_angle**2 / 6 + 7 * half_angle**4 / 360, half_angle / sine)
    return (2 * over_sine)[..., None] * quaternion[..., :3]


def _matrix_to_quaternion(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """x, y, z, w of unit length, by Markley (2008): of four multiples of it, the longest is brought to length one."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in matrix.unbind(-2))
    multiples = torch.stack([
        1 + xx - yy - zz, yx + xy, zx + xz, zy - yz,
        xy + yx, 1 + yy - zz - xx, zy + yz, xz - zx,
        xz + zx, yz + zy, 1 + zz - xx - yy, yx - xy,
        zy - yz, xz - zx, yx - xy, 1 + xx + yy + zz,
    ], dim=-1).unflatten(-1, (4, 4))  # fmt: skip
    longest = multiples.diagonal(dim1=-2, dim2=-1).argmax(-1)
    chosen = multiples.gather(-2, longest[..., None, None].expand(*longest.shape, 1, 4))[..., 0, :]
    return chosen / chosen.norm(dim=-1, keepdim=True)


def pose_to_matrices(pose: Float[Tensor, "*batch 72"]) -> Float[Tensor, "*batch 24 3 3"]:
    return axis_angle_to_matrix(pose.reshape(*pose.shape[:-1], -1, 3))


def matrices_to_pose(matrices: Float[Tensor, "*batch 24 3 3"]) -> Float[Tensor, "*batch 72"]:
    return matrix_to_axis_angle(matrices).flatten(-2)


def mirror_points(
    points: Float[Tensor, "*batch joints axes"], names: Sequence[str]
) -> Float[Tensor, "*batch joints axes"]:
    """Points of a joint set with x negated and left and right swapped; further columns, such as confidence, stay."""
    mirrored = points[..., torch.from_numpy(mirror_permutation(names)), :].clone()
    mirrored[..., 0] = -mirrored[..., 0]
    return mirrored


def mirror_rotations(rotations: Float[Tensor, "*batch 24 3 3"]) -> Float[Tensor, "*batch 24 3 3"]:
    """The pose seen in a mirror across x: each joint takes its opposite's rotation, conjugated by the reflection."""
    reflection = rotations.new_tensor([-1.0, 1.0, 1.0])
    swapped = rotations[..., torch.from_numpy(mirror_permutation(SMPL_24)), :, :]
    return reflection[:, None] * swapped * reflection


def procrustes_align(predicted: Array, target: Array) -> Array:
    """Move, turn and scale each predicted set of points (..., J, 3) onto its target (..., J, 3), least squares.

    Reflections are not allowed. Points that all coincide have no best rotation or scale: they go to the
    target's centroid, which is the least-squares answer. A set with a non-finite coordinate comes back as NaN.
    """
    if predicted.shape != target.shape or predicted.shape[-1] != 3:
        raise ValueError(f"both sets must be (..., joints, 3), got {tuple(predicted.shape)} and {tuple(target.shape)}")
    xp = backend(predicted)
    finite = xp.isfinite(predicted + target).all(-1).all(-1)[..., None, None]
    predicted_mean, target_mean = predicted.mean(-2)[..., None, :], target.mean(-2)[..., None, :]
    source = xp.where(finite, predicted - predicted_mean, xp.zeros_like(predicted))
    goal = xp.where(finite, target - target_mean, xp.zeros_like(target))
    left, singular, right = xp.linalg.svd(_transpose(source) @ goal)
    signs = xp.ones_like(singular)
    signs[..., 2] = xp.where(xp.linalg.det(left @ right) < 0, -signs[..., 2], signs[..., 2])
    variance = (source**2).sum(-1).sum(-1)
    rounding = 8 * xp.finfo(source.dtype).eps  # coinciding points may differ from their mean by this much
    spread = variance > rounding**2 * (predicted**2).sum(-1).sum(-1)
    scale = xp.where(spread, (singular * signs).sum(-1), 0 * variance) / xp.where(spread, variance, variance + 1)
    aligned = scale[..., None, None] * (source @ ((left * signs[..., None, :]) @ right)) + target_mean
    return _nan_unless(finite, aligned)


def _transpose(matrix: Any) -> Any:
    return matrix.swapaxes(-1, -2)


def look_at(
    eye: Float[np.ndarray, "*batch 3"], target: Float[np.ndarray, "*batch 3"]
) -> tuple[Float[np.ndarray, "*batch 3 3"], Float[np.ndarray, "*batch 3"]]:
    """Rotation and translation of a level camera: camera = rotation @ world + translation.

    The world's y axis points up in the picture. Looking straight up or down has no level: it is an error.
    """
    forward = np.asarray(target, float) - eye
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, np.array([0.0, 1.0, 0.0]))
    length = np.linalg.norm(right, axis=-1, keepdims=True)
    if not (length > 1e-6).all():
        raise ValueError("eye and target must differ, and not only in height: a vertical view has no level")
    right = right / length
    rotation = np.stack([right, np.cross(forward, right), forward], axis=-2)
    return rotation, -(rotation @ np.asarray(eye, float)[..., None])[..., 0]


def transform_points(points: Array, rotation: Array, translation: Array) -> Array:
    """(..., J, 3) points under (..., 3, 3) rotation, then (..., 3) translation."""
    return points @ _transpose(rotation) + translation[..., None, :]


def project_perspective(points_camera_m: Array, intrinsics_px: Array) -> Array:
    """Pixels (..., 2) of camera-frame points (..., 3) under (..., 4) fx, fy, cx, cy.

    `intrinsics_px` broadcasts against the points without their last axis: give (..., 1, 4) for (..., J, 3).
    A point behind the camera projects mirrored: check its depth first.
    """
    focal, center = intrinsics_px[..., :2], intrinsics_px[..., 2:]
    return focal * points_camera_m[..., :2] / points_camera_m[..., 2:] + center


def project_weak_perspective(points_m: Array, camera: Array) -> Array:
    """HMMR's camera (..., 3) s, tx, ty on points (..., J, 2 or 3): s * (xy + t), in the crop's [-1, 1]."""
    return camera[..., None, :1] * (points_m[..., :2] + camera[..., None, 1:])


def project_crop_perspective(points_m: Array, camera: Array) -> Array:
    """VIBE's reading of the same camera: a real perspective with a focal length of 5000 px, in the crop's [-1, 1].

    The depth is the one at which a focal length of 5000 px gives the weak-perspective scale.
    """
    xp = backend(points_m)
    depth = 2 * VIBE_FOCAL_PX / (CROP_PX * camera[..., :1] + 1e-9)
    translation = xp.concatenate([camera[..., 1:], depth], axis=-1)
    moved = points_m + translation[..., None, :]
    return VIBE_FOCAL_PX * moved[..., :2] / moved[..., 2:] / (CROP_PX / 2)


def camera_in_image(camera: Array, box_cxcywh_px: Array, image_size_px: tuple[int, int]) -> Array:
    """A crop's camera (..., 3) as the camera (..., 4) sx, sy, tx, ty of the whole image of (width, height).

    The projection of the result is in the image's [-1, 1]. The box (..., 4) is square: its width is read.
    """
    xp = backend(camera)
    half_x, half_y = image_size_px[0] / 2, image_size_px[1] / 2
    center_x, center_y, side = box_cxcywh_px[..., 0], box_cxcywh_px[..., 1], box_cxcywh_px[..., 2]
    scale_x, scale_y = camera[..., 0] * side / (2 * half_x), camera[..., 0] * side / (2 * half_y)
    shift_x = camera[..., 1] + (center_x - half_x) / (half_x * scale_x)
    shift_y = camera[..., 2] + (center_y - half_y) / (half_y * scale_y)
    return xp.stack([scale_x, scale_y, shift_x, shift_y], axis=-1)


def optimal_camera(
    points_xy: Array, keypoints_xy: Array, visible: Array, scale_bounds: tuple[float, float] | None = None
) -> Array:
    """HMMR's best camera (..., 3) s, tx, ty: s * (points + t) near the visible keypoints, in closed form.

    The scale is half the trace of the best linear map from the centred points to the centred keypoints, as
    in the release; it is a little off the least-squares scale when the two differ by more than a camera.

    Args:
        points_xy: (..., J, 2) predicted points, before any camera.
        keypoints_xy: (..., J, 2) where they should project to.
        visible: (..., J) weights; 0 leaves a joint out, whatever its coordinates.
        scale_bounds: the scale is clipped to these before the translation is found (in training: `SCALE_BOUNDS`).
    Returns NaN where nothing is visible or the visible points lie on one line: they leave the map open.
    """
    xp = backend(points_xy)
    weights = xp.asarray(visible, dtype=points_xy.dtype)[..., None]
    hidden = xp.zeros_like(points_xy)
    points, keypoints = xp.where(weights > 0, points_xy, hidden), xp.where(weights > 0, keypoints_xy, hidden)
    total = _nan_unless(weights.sum(-2) > 0, weights.sum(-2))
    points_mean, keypoints_mean = (weights * points).sum(-2) / total, (weights * keypoints).sum(-2) / total
    source, goal = points - points_mean[..., None, :], keypoints - keypoints_mean[..., None, :]
    weighted = _transpose(weights * source)
    scale = _half_trace_of_map(weighted @ source, weighted @ goal)[..., None]
    if scale_bounds is not None:
        scale = xp.clip(scale, *scale_bounds)
    return xp.concatenate([scale, keypoints_mean / scale - points_mean], axis=-1)


def _half_trace_of_map(gram: Array, cross: Array) -> Array:
    """trace(gram^-1 cross) / 2 of (..., 2, 2) matrices, NaN where gram cannot be inverted."""
    xx, yy, xy = gram[..., 0, 0], gram[..., 1, 1], gram[..., 0, 1]
    determinant = xx * yy - xy**2
    rounding = 8 * backend(gram).finfo(gram.dtype).eps
    determinant = _nan_unless(determinant > rounding * xx * yy, determinant)
    twice = yy * cross[..., 0, 0] - xy * (cross[..., 1, 0] + cross[..., 0, 1]) + xx * cross[..., 1, 1]
    return twice / determinant / 2


def _nan_unless(condition: Array, values: Array) -> Array:
    xp = backend(values)
    return xp.where(condition, values, xp.full_like(values, float("nan")))


def box_scale_of(box_diagonal_px: Array) -> Array:
    """Source pixels times this are crop pixels: a person's box diagonal becomes 150 px."""
    return PERSON_PX / box_diagonal_px


def crop_from_source(points_px: Array, box_center_px: Array, box_scale: Array) -> Array:
    """Source pixels (..., J, 2) in the 224 crop around (..., 2) centre at (...) scale."""
    return (points_px - box_center_px[..., None, :]) * box_scale[..., None, None] + CROP_PX / 2


def source_from_crop(crop_px: Array, box_center_px: Array, box_scale: Array) -> Array:
    """The inverse of `crop_from_source`."""
    return (crop_px - CROP_PX / 2) / box_scale[..., None, None] + box_center_px[..., None, :]


def normalise_crop(crop_px: Array) -> Array:
    """Crop pixels to [-1, 1]."""
    return crop_px / (CROP_PX / 2) - 1


def pixels_of_normalised(normalised: Array) -> Array:
    """The inverse of `normalise_crop`."""
    return (normalised + 1) * (CROP_PX / 2)
