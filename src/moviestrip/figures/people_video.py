"""Everyone's estimated body over the frames of a video, and beside it the same bodies seen from their side.

People keep their colour; what no frame shows has colours of its own: a forecast is vermilion, and of what a single
frame lets a model hallucinate the past is pink and the future yellow. From the side, where errors of depth show, each
person is turned a quarter about the vertical through their pelvis and stays where they are in the picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Int

from moviestrip.figures.draw import Colour, Picture, draw_bones, draw_tag
from moviestrip.figures.overlay import LIGHT, SIDE_BOTTOM, SIDE_TOP, UP_IN_CAMERA
from moviestrip.skeleton import SMPL_PARENTS
from moviestrip.world.rasterise import Canvas, shade, vertex_normals

PEOPLE_COLOURS: tuple[Colour, ...] = (
    (150, 186, 214), (120, 200, 160), (200, 165, 220), (215, 200, 140), (140, 210, 215), (190, 190, 190),
)  # fmt: skip
FORECAST: Colour = (224, 106, 40)
PAST: Colour = (214, 112, 168)
FUTURE: Colour = (240, 228, 66)
DrawnKind = Literal["seen", "forecast", "past", "future"]
OPACITY = 0.9
LARGEST_SIDE_PX, SMALLEST_SIDE_PX = 960, 512  # of a drawn frame's longer side
FOCAL_SIDES = 20.0  # of the drawing's camera, in sides of the picture: so long that perspective does not show
BEYOND_THE_VIDEO = 0.45  # of its brightness, where the last frame stands in for frames that do not exist


@dataclass(frozen=True)
class DrawnBody:
    """A body with the place of its origin in the source picture, and how large a metre is there."""

    identity: int
    kind: DrawnKind
    vertices_m: Float[np.ndarray, "vertices 3"]
    joints_m: Float[np.ndarray, "24 3"]
    origin_px: Float[np.ndarray, "2"]
    pixels_per_metre: float

    @property
    def colour(self) -> Colour:
        others = {"forecast": FORECAST, "past": PAST, "future": FUTURE}
        return others.get(self.kind) or PEOPLE_COLOURS[self.identity % len(PEOPLE_COLOURS)]

    @property
    def is_skeleton(self) -> bool:
        """Hallucinated bodies lie where the present one is: a mesh would hide it."""
        return self.kind in ("past", "future")

    def from_side(self) -> "DrawnBody":
        """Turned a quarter about the vertical through the pelvis."""
        pelvis = self.joints_m[0]
        vertices_m, joints_m = (turned_quarter(points - pelvis) + pelvis for points in (self.vertices_m, self.joints_m))
        return replace(self, vertices_m=vertices_m, joints_m=joints_m)

    def enlarged(self, zoom: float) -> "DrawnBody":
        """The same body in a picture `zoom` times the size."""
        return replace(self, origin_px=self.origin_px * zoom, pixels_per_metre=self.pixels_per_metre * zoom)

    def pixels(self, points_m: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 2"]:
        return points_m[:, :2] * self.pixels_per_metre + self.origin_px


def turned_quarter(points_m: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
    """About the vertical: what was further away comes to the right."""
    x, y, z = points_m.T
    return np.stack([z, y, -x], -1)


def drawing_zoom(width_px: int, height_px: int) -> float:
    """How much a video's frames are enlarged or shrunk to be drawn on."""
    longer = max(width_px, height_px)
    return min(LARGEST_SIDE_PX, max(SMALLEST_SIDE_PX, longer)) / longer


class PeoplePainter:
    """Draws the frames of one video; the canvas is made once."""

    def __init__(self, width_px: int, height_px: int, faces: Int[np.ndarray, "faces 3"]):
        self.zoom = drawing_zoom(width_px, height_px)
        self.width_px, self.height_px = (2 * round(self.zoom * side / 2) for side in (width_px, height_px))
        self._faces = faces
        self._canvas = Canvas(self.width_px, self.height_px)
        share = np.linspace(0, 1, self.height_px)[:, None, None]
        column = np.round((1 - share) * np.array(SIDE_TOP) + share * np.array(SIDE_BOTTOM))
        self._plain = np.broadcast_to(column, (self.height_px, self.width_px, 3)).astype(np.uint8)

    def __call__(self, frame: Picture, drawn: Sequence[DrawnBody], exists: bool = True) -> tuple[Picture, Picture]:
        """The frame with the bodies over it, and that beside the bodies from their side.

        Args:
            exists: whether the video has this frame; if not, it is the last one's and is darkened.
        """
        shrinks = self.zoom < 1
        size = (self.width_px, self.height_px)
        picture = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        if not exists:
            picture = np.round(picture * BEYOND_THE_VIDEO).astype(np.uint8)
        there = [body.enlarged(self.zoom) for body in drawn]
        overlay = self._painted(picture, there)
        side = self._painted(self._plain, [body.from_side() for body in there])
        return overlay, np.concatenate([overlay, side], axis=1)

    def _painted(self, picture: Picture, drawn: Sequence[DrawnBody]) -> Picture:
        self._canvas.clear()
        solid = [body for body in drawn if not body.is_skeleton]
        for body in solid:
            self._draw_mesh(body)
        rgb, coverage, _ = self._canvas.resolve()
        laid = OPACITY * rgb + picture * (1 - OPACITY * coverage[..., None])
        result = np.round(laid).clip(0, 255).astype(np.uint8)
        for body in drawn:
            if body.is_skeleton:
                result = draw_bones(result, body.pixels(body.joints_m), SMPL_PARENTS, body.colour)
        for body in solid:
            outline = body.pixels(body.vertices_m)
            result = draw_tag(result, str(body.identity), outline[outline[:, 1].argmin()], body.colour)
        return result

    def _draw_mesh(self, body: DrawnBody) -> None:
        focal_px = FOCAL_SIDES * max(self.width_px, self.height_px)
        middle = np.array([self.width_px, self.height_px]) / 2
        depth_m = focal_px / body.pixels_per_metre
        place_m = np.array([*(body.origin_px - middle) / body.pixels_per_metre, depth_m])
        placed = body.vertices_m.astype(np.float64) + place_m
        colours = np.broadcast_to(np.array(body.colour) / 255, placed.shape)
        lit = shade(vertex_normals(placed, self._faces), colours, LIGHT, UP_IN_CAMERA)
        self._canvas.draw(placed, self._faces, lit, np.array([focal_px, focal_px, *middle]))


def with_frames_beyond(frames: Iterator[Picture], extra: int) -> Iterator[tuple[Picture, bool]]:
    """Each frame and that it exists; then its last one `extra` times, which do not."""
    last = None
    for last in frames:
        yield last, True
    if last is not None:
        yield from ((last, False) for _ in range(extra))
