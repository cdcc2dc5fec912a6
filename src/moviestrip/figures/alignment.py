"""Which frames dynamic time warping matched, as a picture (PHD, Figure 8).

The truth above, the prediction below, one skeleton a frame, numbered from the first future frame; a line joins each
pair of matched frames. Slanted lines are the mistiming that warping forgives; several lines at one frame are where
the other side waits for it.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Int

from moviestrip import skeleton
from moviestrip.errors import FatalError
from moviestrip.figures.contact_sheet import PAPER_WHITE, write_picture
from moviestrip.figures.draw import SUBPIXEL_BITS, Colour, Picture, draw_skeleton, draw_tag

CONTEMPORARY: Colour = (150, 150, 158)  # line between frames of the same time
SHIFTED: Colour = (213, 94, 0)
PAPER: Colour = (PAPER_WHITE, PAPER_WHITE, PAPER_WHITE)
NAMES_PX, NUMBERS_PX = 76, 20  # room for the rows' names, and for a line of numbers
FILL = 0.84  # of a cell, by the largest pose of the row


def write_alignment(
    path: Path,
    target: Float[np.ndarray, "frames joints axes"],
    predicted: Float[np.ndarray, "forecast_frames joints axes"],
    matches: Int[np.ndarray, "matches 2"],
    names: Sequence[str] = skeleton.COMMON_14,
) -> None:
    """`alignment_picture` as a PNG."""
    write_picture(path, alignment_picture(target, predicted, matches, names))


def alignment_picture(
    target: Float[np.ndarray, "frames joints axes"],
    predicted: Float[np.ndarray, "forecast_frames joints axes"],
    matches: Int[np.ndarray, "matches 2"],
    names: Sequence[str] = skeleton.COMMON_14,
    cell_px: tuple[int, int] = (72, 128),
    gap_px: int = 90,
) -> Picture:
    """Both sequences and the path between them: (target frame, predicted frame) pairs, as `dtw_path` gives them.

    Poses are seen along the third axis if there is one, y down. Each is centred by itself, and each row has a scale
    of its own, because Procrustes and the optimal camera take place and size away. A cell has width and height.
    """
    _require_fit(target, predicted, matches, names)
    width, height = cell_px
    feet, heads = NUMBERS_PX + height, NUMBERS_PX + height + gap_px
    columns = max(len(target), len(predicted))
    canvas = np.full((heads + height + NUMBERS_PX, NAMES_PX + columns * width, 3), PAPER_WHITE, np.uint8)
    centre_px = NAMES_PX + width * (np.arange(columns) + 0.5)
    for i, j in matches.tolist():
        _line(canvas, (centre_px[i], feet), (centre_px[j], heads), CONTEMPORARY if i == j else SHIFTED)
    for name, poses, top, numbers in (("truth", target, NUMBERS_PX, 0), ("forecast", predicted, heads, heads + height)):
        canvas = draw_tag(canvas, name, np.array([NAMES_PX / 2, top + height / 2]), PAPER)
        for frame, pose_px in enumerate(_fitted(poses, cell_px)):
            left = NAMES_PX + frame * width
            cell = canvas[top : top + height, left : left + width]
            cell[:] = draw_skeleton(cell, pose_px, names, thickness_px=2)
            canvas = draw_tag(canvas, f"{frame + 1}", np.array([centre_px[frame], numbers + NUMBERS_PX]), PAPER, 11)
    return canvas


def _fitted(poses: np.ndarray, cell_px: tuple[int, int]) -> Float[np.ndarray, "frames joints 3"]:
    """Keypoints (x_px, y_px, confidence) in a cell; joints without coordinates have no confidence."""
    points = poses[..., :2].astype(np.float64)
    known = np.isfinite(points[..., 0]) & np.isfinite(points[..., 1])
    low, high = np.zeros((2, len(points), 2))
    for frame in np.flatnonzero(known.any(1)):
        low[frame], high[frame] = points[frame, known[frame]].min(0), points[frame, known[frame]].max(0)
    extent = np.maximum((high - low).max(0), 1e-9)
    scale = FILL * (np.array(cell_px) / extent).min()
    placed = np.where(known[..., None], points - (low + high)[:, None] / 2, 0) * scale + np.array(cell_px) / 2
    return np.concatenate([placed, known[..., None]], -1)


def _line(canvas: Picture, start: tuple[float, float], end: tuple[float, float], colour: Colour) -> None:
    first, last = (tuple(round(value * 2**SUBPIXEL_BITS) for value in point) for point in (start, end))
    cv2.line(canvas, first, last, colour, 2, cv2.LINE_AA, SUBPIXEL_BITS)


def _require_fit(target: np.ndarray, predicted: np.ndarray, matches: np.ndarray, names: Sequence[str]) -> None:
    shapes = target.shape, predicted.shape, matches.shape
    right = all(len(shape) == 3 and shape[1] == len(names) and shape[2] in (2, 3) for shape in shapes[:2])
    if not right or len(matches.shape) != 2 or matches.shape[1] != 2 or not len(matches):
        raise FatalError(
            f"alignment picture: target {shapes[0]}, predicted {shapes[1]}, matches {shapes[2]}; it draws "
            f"(frames, {len(names)} joints, 2 or 3) twice and (matches, 2)"
        )
    if (matches < 0).any() or (matches.max(0) >= (len(target), len(predicted))).any():
        raise FatalError(
            f"alignment picture: a match is beyond the {len(target)} target or {len(predicted)} predicted frames; "
            f"pass frame numbers from 0"
        )
