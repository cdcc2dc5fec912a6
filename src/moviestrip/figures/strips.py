"""Strips of frames and bodies over time: rows of cells, one column a moment, as HMMR's and PHD's figures have them.

Bodies stand on one line, each in the middle of its cell, and a metre is equally long in all that are compared: a
model's bodies have no place, only a size. A row's name has the colour of its bodies.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int

from moviestrip.errors import FatalError
from moviestrip.figures.alignment import PAPER
from moviestrip.figures.draw import MESH, Colour, Picture, draw_tag
from moviestrip.figures.overlay import CROP_PX, LIGHT, UP_IN_CAMERA, crop_frame
from moviestrip.figures.people_video import FOCAL_SIDES, FUTURE, PAST
from moviestrip.world.rasterise import Canvas, shade, vertex_normals

Vertices = Float[np.ndarray, "vertices 3"]

WIDTH_PX = 1200
NAMES_PX = 160  # room for the rows' names
TITLE_PX, NUMBERS_PX = 40, 30
GAP_PX, SEAM_PX = 4, 18  # between cells, and around the line between what was seen and what was not
SPACE_PX = 24  # between strips
TITLE_TEXT_PX, TEXT_PX = 22, 20

PREDICTED, PREDICTED_ON_POSES = MESH, (232, 150, 190)
BEFORE, NOW, AFTER = PAST, MESH, FUTURE
SEEN: Colour = (240, 214, 120)
TRUTH: Colour = (226, 116, 92)
FOLLOWED: Colour = (112, 200, 150)
BOX: Colour = (213, 94, 0)
SEAM: Colour = (150, 150, 158)

SHOWN_UNITS = 190  # of the crop's 224, of which the person is 150: a cell's height
BODY_SHARE = 0.88  # of a cell, by the largest body
DIMMED = 0.55  # of a picture's contrast with the paper


@dataclass(frozen=True)
class Row:
    """One row of pictures of equal size; nothing where there is none.

    Attributes:
        names: lines of its name, each with the colour behind it.
    """

    names: tuple[tuple[str, Colour], ...]
    cells: tuple[Picture | None, ...]


@dataclass(frozen=True)
class Strip:
    """Rows over the same moments.

    Attributes:
        columns: what is written over each, such as +5.
        last_seen: column after which a line is drawn.
        columns_are: what is written beside the columns' names.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    last_seen: int | None = None
    columns_are: str = "frame"


def frame_numbers(horizons: Sequence[int]) -> tuple[str, ...]:
    """-5, 0 and 5 as they are written over columns."""
    return tuple(f"{horizon:+d}".replace("-", "−") if horizon else "0" for horizon in horizons)


def cell_size_px(
    columns: int, strips_beside: int = 1, has_seam: bool = False, height_to_width: float = 1.2
) -> tuple[int, int]:
    """Width and height of the cells of strips that fill a picture's width, the first of them with names."""
    taken = NAMES_PX + SPACE_PX * (strips_beside - 1) + strips_beside * (GAP_PX * columns + SEAM_PX * has_seam)
    width = (WIDTH_PX - taken) // (columns * strips_beside)
    return width, round(width * height_to_width)


def strip_picture(strip: Strip, cell_px: tuple[int, int], named: bool = True) -> Picture:
    """A strip: its title, its column numbers and its rows; the names are left out beside a strip that has them."""
    _require_fit(strip, cell_px)
    width, height = cell_px
    lefts = _lefts(strip, width, NAMES_PX if named else 0)
    top = TITLE_PX + NUMBERS_PX
    canvas = _paper(lefts[-1] + width + GAP_PX, top + len(strip.rows) * (height + GAP_PX))
    canvas[:TITLE_PX, lefts[0] :] = _written(canvas[:TITLE_PX, lefts[0] :], strip.title, TITLE_TEXT_PX)
    if strip.last_seen is not None:
        seam = lefts[strip.last_seen] + width + SEAM_PX // 2
        canvas[TITLE_PX:, seam : seam + 2] = SEAM
    if named:
        canvas = draw_tag(canvas, strip.columns_are, np.array([0, top - 2]), PAPER, TEXT_PX)
    for left, column in zip(lefts, strip.columns, strict=True):
        canvas = draw_tag(canvas, column, np.array([left + width / 2, top - 2]), PAPER, TEXT_PX)
    for index, row in enumerate(strip.rows):
        row_top = top + index * (height + GAP_PX)
        for left, cell in zip(lefts, row.cells, strict=True):
            if cell is not None:
                canvas[row_top : row_top + height, left : left + width] = cell
        if named:
            canvas = _with_names(canvas, row, row_top + height / 2)
    return canvas


def beside(pictures: Sequence[Picture]) -> Picture:
    """Pictures from left to right, their upper edges in line."""
    height = max(len(picture) for picture in pictures)
    parts = [_grown(picture, height, picture.shape[1] + SPACE_PX * (index + 1 < len(pictures)))
             for index, picture in enumerate(pictures)]  # fmt: skip
    return np.concatenate(parts, axis=1)


def below(pictures: Sequence[Picture], width_px: int = WIDTH_PX) -> Picture:
    """Pictures one under the other, their left edges in line."""
    width = max(width_px, *(picture.shape[1] for picture in pictures))
    parts = [_grown(picture, len(picture) + SPACE_PX * (index + 1 < len(pictures)), width)
             for index, picture in enumerate(pictures)]  # fmt: skip
    return np.concatenate(parts, axis=0)


def filmed_cell(
    frame: Picture, box_center_px: Float[np.ndarray, "2"], box_scale: float, cell_px: tuple[int, int]
) -> Picture:
    """The person in a video's frame: the middle of their crop, in a cell's shape."""
    width, height = cell_px
    side = max(width, round(height * CROP_PX / SHOWN_UNITS))
    crop = crop_frame(frame, box_center_px, box_scale, side)
    top, left = (side - height) // 2, (side - width) // 2
    return crop[top : top + height, left : left + width]


def boxed(cell: Picture, colour: Colour = BOX) -> Picture:
    """The picture in a frame: what a model was shown."""
    marked, thickness = np.ascontiguousarray(cell).copy(), max(3, min(cell.shape[:2]) // 26)
    height, width = cell.shape[:2]
    half = thickness // 2
    cv2.rectangle(marked, (half, half), (width - 1 - half, height - 1 - half), colour, thickness)
    return marked


def dimmed(cell: Picture) -> Picture:
    """The picture paled: what a model was not shown."""
    return np.round(DIMMED * cell + (1 - DIMMED) * np.array(PAPER)).astype(np.uint8)


def shared_scale(bodies: Iterable[Vertices], cell_px: tuple[int, int]) -> float:
    """Pixels of a metre, so that the widest and the tallest of some bodies fit in a cell; metres, y down."""
    extents_m = np.array([np.ptp(vertices[:, :2], axis=0) for vertices in bodies])
    if not extents_m.size or not np.isfinite(extents_m).all():
        raise FatalError(f"strips: {len(extents_m)} bodies to draw; it takes some, all of them finite; predict again")
    return float(BODY_SHARE * (np.array(cell_px) / np.maximum(extents_m.max(0), 1e-6)).min())


def body_cell(
    vertices_m: Vertices,
    faces: Int[np.ndarray, "faces 3"],
    colour: Colour,
    pixels_per_metre: float,
    cell_px: tuple[int, int],
) -> Picture:
    """A lit body on paper, its lowest point on the line on which all stand; camera frame, y down."""
    width, height = cell_px
    canvas = Canvas(width, height, supersample=3)
    focal_px = FOCAL_SIDES * max(cell_px)
    low, high = vertices_m.min(0).astype(np.float64), vertices_m.max(0).astype(np.float64)
    foot_m = (BODY_SHARE / 2 * height) / pixels_per_metre
    origin = np.array([(low[0] + high[0]) / 2, high[1] - foot_m, (low[2] + high[2]) / 2 - focal_px / pixels_per_metre])
    placed = vertices_m - origin
    lit = shade(
        vertex_normals(placed, faces), np.broadcast_to(np.array(colour) / 255, placed.shape), LIGHT, UP_IN_CAMERA
    )
    canvas.draw(placed, faces, lit, np.array([focal_px, focal_px, (width - 1) / 2, (height - 1) / 2]))
    rgb, coverage, _ = canvas.resolve()
    return np.round(rgb + np.array(PAPER) * (1 - coverage[..., None])).clip(0, 255).astype(np.uint8)


def body_row(
    names: tuple[tuple[str, Colour], ...],
    bodies: Sequence[Vertices | None],
    colours: Sequence[Colour],
    faces: Int[np.ndarray, "faces 3"],
    pixels_per_metre: float,
    cell_px: tuple[int, int],
) -> Row:
    """A row of bodies, each in its colour; nothing where there is no body."""
    cells = tuple(
        None if vertices is None else body_cell(vertices, faces, colour, pixels_per_metre, cell_px)
        for vertices, colour in zip(bodies, colours, strict=True)
    )
    return Row(names, cells)


def _lefts(strip: Strip, width: int, names_px: int) -> list[int]:
    """Left edges of the columns."""
    last_seen = len(strip.columns) if strip.last_seen is None else strip.last_seen
    return [
        names_px + column * (width + GAP_PX) + (SEAM_PX if column > last_seen else 0)
        for column in range(len(strip.columns))
    ]


def _with_names(canvas: Picture, row: Row, middle_px: float) -> Picture:
    """The lines of a row's name, one under the other around the row's middle."""
    line_px = TEXT_PX + 2 * (TEXT_PX // 3) + 2
    first = middle_px - line_px * len(row.names) / 2
    for index, (text, colour) in enumerate(row.names):
        canvas = draw_tag(canvas, text, np.array([0, first + line_px * (index + 1)]), colour, TEXT_PX)
    return canvas


def _written(picture: Picture, text: str, size_px: int) -> Picture:
    """Text at the left of a picture."""
    return draw_tag(picture, text, np.array([0, len(picture)]), PAPER, size_px)


def _paper(width_px: int, height_px: int) -> Picture:
    return np.full((height_px, width_px, 3), PAPER[0], np.uint8)


def _grown(picture: Picture, height_px: int, width_px: int) -> Picture:
    grown = _paper(width_px, height_px)
    grown[: picture.shape[0], : picture.shape[1]] = picture
    return grown


def _require_fit(strip: Strip, cell_px: tuple[int, int]) -> None:
    width, height = cell_px
    for row in strip.rows:
        shapes = {cell.shape for cell in row.cells if cell is not None}
        if len(row.cells) != len(strip.columns) or shapes - {(height, width, 3)}:
            name = " ".join(text for text, _ in row.names)
            raise FatalError(
                f"strip '{strip.title}': row '{name}' has {len(row.cells)} cells of {sorted(shapes)} for "
                f"{len(strip.columns)} columns of {(height, width, 3)}"
            )
