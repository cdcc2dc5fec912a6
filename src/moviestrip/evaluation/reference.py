"""How far a triangulated reference can be trusted, and how bodies are held against cameras without it.

The reference is made of the same detector's keypoints as everything else, so what several cameras agree on is all it
knows. Leaving out one camera at a time shows how much a joint hangs on one of them: where it stays, the cameras
confirm it; where it jumps, one of them was wrong and the others too few to say so. What all cameras get wrong alike,
such as where a detector puts hips, no such test can see.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from moviestrip.datasets.pose2sim import MINIMUM_VIEW_CONFIDENCE, Camera, Views, reference_joints
from moviestrip.geometry import procrustes_align
from moviestrip.skeleton import BODY_25, COMMON_14, indices_of, mirror_permutation

STATED_UNCERTAINTY_MM = (20.0, 30.0)  # of triangulated detections, as the dataset's page states it
CONFIRMED_M = 0.05
MINIMUM_CONFIRMED = 8  # of 14 joints: fewer do not tell how a body must be turned
PLACED_12 = tuple(name for name in COMMON_14 if name not in ("neck", "head_top"))  # what the detector sees itself
LIMBS = tuple(
    (f"{side}_{near}", f"{side}_{far}")
    for side in ("left", "right")
    for near, far in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
)

Joints = Float[np.ndarray, "frames 14 3"]


def without_each_view(cameras: Sequence[Camera], views: Views, fps: float) -> Float[np.ndarray, "cameras frames 14 3"]:
    """The reference as all cameras but one would have it, for each of them."""
    kept = [[other for other in range(len(cameras)) if other != left] for left in range(len(cameras))]
    return np.stack([reference_joints([cameras[index] for index in few], views[few], fps) for few in kept])


def confirmed_joints(
    reference_m: Joints, without_m: Float[np.ndarray, "cameras frames 14 3"]
) -> Bool[np.ndarray, "frames 14"]:
    """Joints that no single camera moves by more than `CONFIRMED_M`."""
    moved_m = np.linalg.norm(without_m - reference_m, axis=-1)
    return (moved_m <= CONFIRMED_M).all(axis=0)  # NaN, of a joint that two cameras alone show, is not confirmed


def limb_lengths_m(joints_m: Float[np.ndarray, "*frames 14 3"]) -> Float[np.ndarray, "*frames 8"]:
    """Thighs, shins, upper arms and forearms, which do not change length in a person."""
    ends = [indices_of(names, COMMON_14) for names in zip(*LIMBS, strict=True)]
    return np.linalg.norm(joints_m[..., ends[0], :] - joints_m[..., ends[1], :], axis=-1)


def pa_mpjpe_of_known(
    predicted: Float[np.ndarray, "frames joints 3"],
    target: Float[np.ndarray, "frames joints 3"],
    known: Bool[np.ndarray, "frames joints"],
    minimum_known: int = MINIMUM_CONFIRMED,
) -> Float[np.ndarray, " frames"]:
    """Procrustes-aligned error over the known joints of each frame; NaN where fewer than `minimum_known` are."""
    errors = np.full(len(predicted), np.nan)
    patterns, pattern_of = np.unique(known, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if pattern.sum() >= minimum_known:
            rows = np.flatnonzero(pattern_of.reshape(-1) == number)
            aim = target[rows][:, pattern].astype(np.float64)
            aligned = procrustes_align(predicted[rows][:, pattern].astype(np.float64), aim)
            errors[rows] = np.linalg.norm(aligned - aim, axis=-1).mean(-1)
    return errors


def seen_12(views: Views) -> Float[np.ndarray, "cameras frames 12 3"]:
    """The detector's keypoints of the joints that both it and the body have."""
    return views[:, :, indices_of(PLACED_12, BODY_25)]


def place_bodies(
    cameras: Sequence[Camera],
    seen: Float[np.ndarray, "cameras frames joints 3"],
    directions: Float[np.ndarray, "frames joints 3"],
) -> Float[np.ndarray, "frames joints 3"]:
    """Bodies put where and as large as they fit the keypoints of all cameras best, without turning or bending them.

    One view knows neither a person's size nor their distance: those two are fitted, so what is left is pose and depth.
    Linear least squares in scale and place, twice, the second time in pixels by the depths of the first. NaN where
    fewer than four joints are seen in all.

    Args:
        directions: the bodies in the world's axes, wherever their origin is.
    """
    rays = np.stack(
        [camera.undistort(each[..., :2].reshape(-1, 2)) for camera, each in zip(cameras, seen, strict=True)]
    )
    rays = rays.reshape(*seen.shape[:3], 2)
    weight = np.where(seen[..., 2] >= MINIMUM_VIEW_CONFIDENCE, seen[..., 2], 0.0)
    depth = np.ones(weight.shape)
    rotations, places = np.stack([c.rotation for c in cameras]), np.stack([c.translation_m for c in cameras])
    turned = np.einsum("cab,fjb->cfja", rotations, directions)
    for _ in range(2):
        share = (weight / depth)[..., None]
        across = turned[..., :2] - rays * turned[..., 2:]  # of the scale
        shift = rotations[:, None, None, :2] - rays[..., None] * rotations[:, None, None, 2:]  # of the place
        rows = share[..., None] * np.concatenate([across[..., None], shift], axis=-1)
        aims = -share * (places[:, None, None, :2] - rays * places[:, None, None, 2:])
        solution = _least_squares(np.moveaxis(rows, 1, 0), np.moveaxis(aims, 1, 0))
        placed = solution[:, None, :1] * directions + solution[:, None, 1:]
        depth = np.maximum(np.einsum("ca,fja->cfj", rotations[:, 2], placed) + places[:, None, None, 2], 0.1)
        depth = np.where(np.isfinite(depth), depth, 1.0)
    placed[(weight > 0).sum(axis=(0, 2)) < 4] = np.nan
    return placed


def _least_squares(
    rows: Float[np.ndarray, "frames cameras joints 2 4"], aims: Float[np.ndarray, "frames cameras joints 2"]
) -> Float[np.ndarray, "frames 4"]:
    matrix, aim = rows.reshape(len(rows), -1, 4), aims.reshape(len(rows), -1)
    return np.einsum("fab,fb->fa", np.linalg.pinv(matrix), aim)


def distances_in_views_px(
    cameras: Sequence[Camera],
    seen: Float[np.ndarray, "cameras frames joints 3"],
    points_m: Float[np.ndarray, "frames joints 3"],
) -> Float[np.ndarray, "cameras frames joints"]:
    """How far points of the world fall from the keypoints in every view, in its pixels; NaN where it sees none."""
    known = np.nan_to_num(points_m)
    shown = np.stack([camera.project(known.reshape(-1, 3)).reshape(*known.shape[:2], 2) for camera in cameras])
    distance = np.linalg.norm(shown - seen[..., :2], axis=-1)
    usable = (seen[..., 2] >= MINIMUM_VIEW_CONFIDENCE) & np.isfinite(points_m).all(-1)
    return np.where(usable, distance, np.nan)


def sides_exchanged(
    cameras: Sequence[Camera],
    seen: Float[np.ndarray, "cameras frames 12 3"],
    points_m: Float[np.ndarray, "frames 12 3"],
) -> Bool[np.ndarray, "cameras frames"]:
    """Where a view's keypoints lie less than half as far from the reference with left and right exchanged."""
    exchanged = seen[:, :, mirror_permutation(PLACED_12)]
    as_found, as_exchanged = (
        np.nanmean(distances_in_views_px(cameras, each, np.nan_to_num(points_m)), axis=-1) for each in (seen, exchanged)
    )
    return as_exchanged < 0.5 * as_found
