"""Which frames dynamic time warping matched, as a picture (PHD, Figure 8).

The truth above, the prediction below, one skeleton a frame, numbered from the first future frame; a line joins each
pair of matched frames. Slanted lines are the mistiming that warping forgives; several lines at one frame are where
the other side waits for it.
"""

import math
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
ROOM_FOR_NAMES, ROOM_FOR_NUMBERS = 6.4, 1.7  # of the size of text
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
    every_frames: int = 1,
    text_px: int = 12,
) -> Picture:
    """Both sequences and the path between them: (target frame, predicted frame) pairs, as `dtw_path` gives them.

    Poses are seen along the third axis if there is one, y down. Each is centred by itself, and each row has a scale
    of its own, because Procrustes and the optimal camera take place and size away. A cell has width and height and
    holds one of `every_frames` poses, the middle one; all frames have their lines.
    """
    _require_fit(target, predicted, matches, names)
    (width, height), left = cell_px, round(ROOM_FOR_NAMES * text_px)
    numbers_px = round(ROOM_FOR_NUMBERS * text_px)
    feet, heads = numbers_px + height, numbers_px + height + gap_px
    columns = max(len(target), len(predicted))
    size_px = heads + height + numbers_px, left + math.ceil(columns / every_frames) * width
    canvas = np.full((*size_px, 3), PAPER_WHITE, np.uint8)
    centre_px = left + width * (np.arange(columns) + 0.5) / every_frames
    for shifted in (False, True):  # lines of mistiming lie on top
        for i, j in matches.tolist():
            if (i != j) == shifted:
                _line(canvas, (centre_px[i], feet), (centre_px[j], heads), SHIFTED if shifted else CONTEMPORARY)
    for name, poses, top, numbers in (("truth", target, numbers_px, 0), ("forecast", predicted, heads, heads + height)):
        canvas = draw_tag(canvas, name, np.array([left / 2, top + height / 2]), PAPER, text_px)
        fitted = _fitted(poses, cell_px)
        for frame in range((every_frames - 1) // 2, len(poses), every_frames):
            start = round(centre_px[frame] - width / 2)
            cell = canvas[top : top + height, start : start + width]
            cell[:] = draw_skeleton(cell, fitted[frame], names, thickness_px=max(2, height / 64))
            place = np.array([centre_px[frame], numbers + numbers_px])
            canvas = draw_tag(canvas, f"{frame + 1}", place, PAPER, text_px)
    return canvas


def alignment_sheet(parts: Sequence[tuple[Sequence[str], Picture]], text_px: int = 22) -> Picture:
    """Alignment pictures one below the other, each under its lines of text."""
    if not parts:
        raise FatalError("alignment sheet: no picture to draw; forecast some clips first")
    width = max(picture.shape[1] for _, picture in parts)
    line_px, rows = round(1.5 * text_px), []
    for lines, picture in parts:
        heading = np.full((line_px * len(lines) + line_px // 2, width, 3), PAPER_WHITE, np.uint8)
        for number, line in enumerate(lines, start=1):
            heading = draw_tag(heading, line, np.array([0, number * line_px]), PAPER, text_px)
        padding = ((0, line_px), (0, width - picture.shape[1]), (0, 0))
        rows += [heading, np.pad(picture, padding, constant_values=PAPER_WHITE)]
    return np.concatenate(rows)


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
