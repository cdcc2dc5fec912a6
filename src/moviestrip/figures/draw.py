"""Marks on images: skeletons, captions and the colours every figure shares.

The palette is Okabe and Ito's, which stays apart under the common colour-vision deficiencies: a person's left
is blue, their right is orange, and what lies between is near white. Every line has a dark edge, because the frames
below may have any colour.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from moviestrip import skeleton
from moviestrip.errors import FatalError

Picture = UInt8[np.ndarray, "height width 3"]
Colour = tuple[int, int, int]

LEFT: Colour = (86, 180, 233)
RIGHT: Colour = (230, 159, 0)
CENTRE: Colour = (245, 245, 245)
EDGE: Colour = (20, 20, 26)
MESH: Colour = (150, 186, 214)
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F", "#7F7F7F")

SUBPIXEL_BITS = 4


def side_colour(names: Sequence[str]) -> Colour:
    """Left or right when every joint is on that side, by its name; otherwise centre."""
    sides = {name.split("_")[0] for name in names}
    if sides == {"left"}:
        return LEFT
    return RIGHT if sides == {"right"} else CENTRE


def draw_skeleton(
    image: Picture,
    keypoints: Float[np.ndarray, "joints 3"],
    names: Sequence[str] = skeleton.HMMR_25,
    minimum_confidence: float = 0.1,
    thickness_px: float | None = None,
    colour: Colour | None = None,
) -> Picture:
    """A copy of `image` with the visible keypoints (x_px, y_px, confidence) and their bones, in `colour` or by side."""
    if keypoints.shape != (len(names), 3):
        raise FatalError(f"keypoints to draw must be {(len(names), 3)} for this joint set, got {keypoints.shape}")
    thickness = max(image.shape[:2]) / 110 if thickness_px is None else thickness_px
    canvas = np.ascontiguousarray(image).copy()
    visible = (keypoints[:, 2] >= minimum_confidence) & np.isfinite(keypoints).all(-1)
    bones = [(a, b) for a, b in skeleton.bone_indices(names).tolist() if visible[a] and visible[b]]
    for edge_px in (thickness * 0.9, 0.0):  # all edges first, so that no edge crosses a bone
        for a, b in bones:
            ink = EDGE if edge_px else colour or side_colour((names[a], names[b]))
            _line(canvas, keypoints[a, :2], keypoints[b, :2], ink, thickness + edge_px)
        for joint in np.flatnonzero(visible).tolist():
            ink = EDGE if edge_px else colour or side_colour((names[joint],))
            _dot(canvas, keypoints[joint, :2], ink, 0.85 * thickness + edge_px / 2)
    return canvas


def draw_bones(
    image: Picture, joints_px: Float[np.ndarray, "joints 2"], parents: Sequence[int], colour: Colour
) -> Picture:
    """A copy of `image` with the bones of a tree of joints, all in one colour; a root's parent is negative."""
    thickness = max(image.shape[:2]) / 240
    canvas = np.ascontiguousarray(image).copy()
    for edge_px in (thickness * 0.9, 0.0):
        for joint, parent in enumerate(parents):
            if parent >= 0:
                ink = EDGE if edge_px else colour
                _line(canvas, joints_px[parent], joints_px[joint], ink, thickness + edge_px)
    return canvas


def draw_tag(image: Picture, text: str, place_px: Float[np.ndarray, "2"], colour: Colour, size_px: int = 13) -> Picture:
    """A copy of `image` with a short text in a coloured box whose lower edge is centred on a place, kept inside."""
    height, width = image.shape[:2]
    font, margin = _font(size_px), size_px // 3
    box_width, box_height = round(font.getlength(text)) + 2 * margin, size_px + 2 * margin
    left = int(np.clip(place_px[0] - box_width / 2, 0, max(0, width - box_width)))
    top = int(np.clip(place_px[1] - box_height, 0, max(0, height - box_height)))
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((left, top, left + box_width - 1, top + box_height - 1), fill=colour)
    pen.text((left + margin, top + box_height // 2), text, font=font, fill=EDGE, anchor="lm")
    return np.asarray(picture).copy()


def _line(canvas: np.ndarray, start: np.ndarray, end: np.ndarray, colour: Colour, thickness_px: float) -> None:
    thickness = max(1, round(thickness_px))
    cv2.line(canvas, _fixed_point(start), _fixed_point(end), colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def _dot(canvas: np.ndarray, centre: np.ndarray, colour: Colour, radius_px: float) -> None:
    radius = max(1, round(radius_px * 2**SUBPIXEL_BITS))
    cv2.circle(canvas, _fixed_point(centre), radius, colour, cv2.FILLED, cv2.LINE_AA, SUBPIXEL_BITS)


def _fixed_point(point_px: np.ndarray) -> tuple[int, int]:
    limited = np.clip(point_px, -10_000, 10_000) * 2**SUBPIXEL_BITS
    return round(float(limited[0])), round(float(limited[1]))


def draw_caption(image: Picture, text: str, size_px: int = 12) -> Picture:
    """A copy of `image` with one line of text in its lower left corner, on a translucent band."""
    font = _font(size_px)
    text = _shortened(text, font, image.shape[1] - size_px)
    height_px = round(1.7 * size_px)
    canvas = image.copy()
    band = canvas[-height_px:].astype(np.float32) * 0.35 + np.array(EDGE, np.float32) * 0.65
    canvas[-height_px:] = np.round(band).astype(np.uint8)
    picture = Image.fromarray(canvas)
    baseline = (size_px // 2, image.shape[0] - height_px // 2)
    ImageDraw.Draw(picture).text(baseline, text, font=font, fill=CENTRE, anchor="lm")
    return np.asarray(picture).copy()


def _shortened(text: str, font: ImageFont.FreeTypeFont, width_px: int) -> str:
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "…") > width_px:
        text = text[:-1]
    return text + "…"


@cache
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size_px, layout_engine=ImageFont.Layout.BASIC)
