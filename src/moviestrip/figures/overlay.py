"""Overlay clips: what the network saw, where the joints are, and the body it predicted, from two sides.

A frame of such a clip is four square panels side by side: the input crop; the crop with its 2D skeleton; the crop with
the predicted mesh on the person; and the mesh alone, seen from the person's side, where errors of depth show.
"""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from jaxtyping import Float, Int

from moviestrip import skeleton
from moviestrip.errors import FatalError
from moviestrip.figures.draw import MESH, Picture, draw_skeleton
from moviestrip.world.rasterise import NEAR_M, Light, render_mesh, shade, vertex_normals

CROP_PX = 224
FOCAL_PX = 5000.0  # the papers' stand-in for weak perspective: so long that depth barely changes size
PANELS = ("input", "2D keypoints", "prediction", "from the side")
BEYOND_THE_FRAME = (104, 106, 110)
SIDE_TOP, SIDE_BOTTOM = (246, 247, 249), (222, 226, 231)
UP_IN_CAMERA = np.diag([1.0, -1.0, -1.0])  # the light lives in a world with y up, the camera's y points down
LIGHT = Light(towards=(-0.35, 0.75, 0.6), key=(0.75, 0.74, 0.71), sky=(0.42, 0.44, 0.47), ground=(0.22, 0.22, 0.24))


def crop_frame(
    frame: Picture, box_center_px: Float[np.ndarray, "2"], box_scale: float, size_px: int = CROP_PX
) -> Picture:
    """The person's crop, in which they are 150 of 224 units tall, sampled at `size_px`; grey beyond the frame."""
    zoom = box_scale * size_px / CROP_PX
    oversampling = max(1, round(1 / zoom))  # one bilinear sample would skip pixels of a large person
    side, zoom = size_px * oversampling, zoom * oversampling
    shift = (side + oversampling - 1) / 2 - zoom * np.asarray(box_center_px, np.float64)
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    crop = cv2.warpAffine(frame, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=BEYOND_THE_FRAME)
    return cv2.resize(crop, (size_px, size_px), interpolation=cv2.INTER_AREA) if oversampling > 1 else crop


def keypoints_in_panel(
    keypoints: Float[np.ndarray, "joints 3"],
    box_center_px: Float[np.ndarray, "2"],
    box_scale: float,
    size_px: int,
) -> Float[np.ndarray, "joints 3"]:
    """Source pixels to pixels of a crop drawn at `size_px`; confidences stay."""
    panel = keypoints.astype(np.float64)
    panel[:, :2] = (panel[:, :2] - box_center_px) * (box_scale * size_px / CROP_PX) + size_px / 2
    return panel


def camera_translation(camera: Float[np.ndarray, "... 3"], focal_px: float = FOCAL_PX) -> Float[np.ndarray, "... 3"]:
    """Where to put a body so that perspective agrees with the weak camera (s, tx, ty) of the 224 crop."""
    camera = np.asarray(camera, np.float64)
    scale = camera[..., 0]
    if (scale <= 0).any():
        raise FatalError(f"a weak camera's scale must be positive to place a body, the smallest here is {scale.min()}")
    return np.stack([camera[..., 1], camera[..., 2], 2 * focal_px / (CROP_PX * scale)], -1)


def panel_intrinsics(size_px: int, focal_px: float = FOCAL_PX) -> Float[np.ndarray, "4"]:
    """fx, fy, cx, cy of the stand-in camera for a panel of `size_px`."""
    focal = focal_px * size_px / CROP_PX
    return np.array([focal, focal, size_px / 2, size_px / 2])


def lay_mesh(
    picture: Picture,
    vertices_camera: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    opacity: float = 1.0,
) -> Picture:
    """The square picture with a lit mesh over it; `vertices_camera` in metres before the stand-in camera."""
    colours = np.broadcast_to(np.array(MESH) / 255, vertices_camera.shape)
    lit = shade(vertex_normals(vertices_camera, faces), colours, LIGHT, UP_IN_CAMERA)
    left, top, right, bottom = window_of(vertices_camera, picture.shape[0])
    intrinsics_px = panel_intrinsics(picture.shape[0]) - [0, 0, left, top]
    rgb, coverage, _ = render_mesh(vertices_camera, faces, lit, intrinsics_px, right - left, bottom - top)
    result = picture.copy()
    behind = picture[top:bottom, left:right] * (1 - opacity * coverage[..., None])
    result[top:bottom, left:right] = np.round(opacity * rgb.astype(np.float32) + behind).clip(0, 255)
    return result


def window_of(vertices_camera: Float[np.ndarray, "vertices 3"], size_px: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the pixels of a square panel that a mesh before the stand-in camera can touch."""
    x, y, z = np.ascontiguousarray(vertices_camera.T)
    if z.min() < NEAR_M:  # what is cut off there may reach anywhere
        return 0, 0, size_px, size_px
    focal_x, focal_y, centre_x, centre_y = panel_intrinsics(size_px)
    ends = [(place.min(), place.max()) for place in (focal_x * x / z + centre_x, focal_y * y / z + centre_y)]
    (left, right), (top, bottom) = np.clip(np.array(ends) + np.array([-1, 2]), 0, size_px).astype(int).tolist()
    return left, top, right, bottom


def seen_from_side(vertices_camera: Float[np.ndarray, "vertices 3"]) -> Float[np.ndarray, "vertices 3"]:
    """The mesh turned a quarter about the vertical through its middle, and centred in the panel."""
    axes = np.ascontiguousarray(vertices_camera.T)  # a minimum along rows is quick, across them it is not
    middle = (axes.min(1) + axes.max(1)) / 2
    x, y, z = axes - middle[:, None]
    return np.stack([z, y + middle[1], -x + middle[2]], -1)


def side_background(size_px: int) -> Picture:
    """A soft vertical gradient."""
    share = np.linspace(0, 1, size_px)[:, None, None]
    column = (1 - share) * np.array(SIDE_TOP) + share * np.array(SIDE_BOTTOM)
    return np.broadcast_to(np.round(column), (size_px, size_px, 3)).astype(np.uint8)


def seen_panels(
    crop: Picture, keypoints_px: Float[np.ndarray, "joints 3"], names: tuple[str, ...] = skeleton.HMMR_25
) -> Picture:
    """The panels that no prediction changes, (size, 2 size, 3): input and skeleton."""
    return np.concatenate([crop, draw_skeleton(crop, keypoints_px, names)], axis=1)


def predicted_panels(
    crop: Picture, vertices_camera: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Picture:
    """The other two, (size, 2 size, 3): mesh on the person, mesh from the side."""
    on_person = lay_mesh(crop, vertices_camera, faces, opacity=0.92)
    from_side = lay_mesh(side_background(crop.shape[0]), seen_from_side(vertices_camera), faces)
    return np.concatenate([on_person, from_side], axis=1)


def seen_frames(
    frames: Iterable[Picture],
    boxes_center_px: Float[np.ndarray, "frames 2"],
    boxes_scale: Float[np.ndarray, " frames"],
    keypoints: Float[np.ndarray, "frames 25 3"],
    panel_px: int = 192,
) -> Iterator[Picture]:
    """`seen_panels` of a clip from its source frames, boxes and source-pixel keypoints."""
    for frame, center_px, scale, points in zip(frames, boxes_center_px, boxes_scale, keypoints, strict=True):
        crop = crop_frame(frame, center_px, float(scale), panel_px)
        yield seen_panels(crop, keypoints_in_panel(points, center_px, float(scale), panel_px))


def overlay_frames(
    seen: Iterable[Picture], vertices: Iterable[Float[np.ndarray, "vertices 3"]], faces: Int[np.ndarray, "faces 3"]
) -> Iterator[Picture]:
    """Overlay frames, (size, 4 size, 3), of a clip from its `seen_panels` and placed meshes."""
    for panels, placed in zip(seen, vertices, strict=True):
        crop = panels[:, : panels.shape[0]]
        yield np.concatenate([panels, predicted_panels(crop, np.asarray(placed, np.float64), faces)], axis=1)
