"""Predicted bodies on people who were filmed: a moment from every camera, a body seen from others, a clip over time.

Rows are what is compared, columns are cameras or moments. What is drawn on a picture is always drawn where the model
or the fit puts it, never moved onto the person.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from moviestrip import skeleton
from moviestrip.figures.draw import Colour, Picture, draw_skeleton
from moviestrip.figures.overlay import crop_frame, keypoints_in_panel, lay_mesh
from moviestrip.figures.strips import BOX, FOLLOWED, PREDICTED, SEEN, Row, boxed

DETECTED: Colour = SEEN
AGREED: Colour = FOLLOWED
OPACITY = 0.85
CELL_PX = 240


@dataclass(frozen=True)
class Shot:
    """A person in one picture, and their box in it."""

    frame: Picture
    box_center_px: Float[np.ndarray, "2"]
    box_scale: float

    def crop(self, size_px: int = CELL_PX) -> Picture:
        return crop_frame(self.frame, self.box_center_px, self.box_scale, size_px)

    def in_crop(
        self, keypoints: Float[np.ndarray, "joints 3"], size_px: int = CELL_PX
    ) -> Float[np.ndarray, "joints 3"]:
        return keypoints_in_panel(keypoints, self.box_center_px, self.box_scale, size_px)


def detected_row(shots: Sequence[Shot], keypoints: Sequence[Float[np.ndarray, "25 3"]]) -> Row:
    """The person and what the detector made of them."""
    cells = [
        draw_skeleton(shot.crop(), shot.in_crop(points), skeleton.HMMR_25)
        for shot, points in zip(shots, keypoints, strict=True)
    ]
    return Row((("detector", DETECTED),), tuple(cells))


def mesh_row(
    name: Sequence[str],
    shots: Sequence[Shot],
    meshes: Sequence[Float[np.ndarray, "vertices 3"]],
    faces: Int[np.ndarray, "faces 3"],
) -> Row:
    """The body that a model predicts from each picture, where it predicts it to be."""
    cells = [
        lay_mesh(shot.crop(), vertices.astype(np.float64), faces, OPACITY)
        for shot, vertices in zip(shots, meshes, strict=True)
    ]
    return Row(tuple((line, PREDICTED) for line in name), tuple(cells))


def skeleton_row(
    name: Sequence[str],
    colour: Colour,
    shots: Sequence[Shot],
    points_px: Sequence[Float[np.ndarray, "joints 2"]],
    joints: Sequence[str],
    source: int | None = None,
) -> Row:
    """One body's joints as every camera sees them; the camera it was estimated from is framed."""
    cells = []
    for column, (shot, points) in enumerate(zip(shots, points_px, strict=True)):
        marked = np.column_stack([points, np.ones(len(points))])
        cell = draw_skeleton(shot.crop(), shot.in_crop(marked), joints)
        cells.append(boxed(cell, BOX) if column == source else cell)
    return Row(tuple((line, colour) for line in name), tuple(cells))
