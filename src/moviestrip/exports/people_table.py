"""The table of everyone in a video, frame by frame: what `people.parquet` holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from moviestrip.body.load import Body
from moviestrip.body.points import keypoint_regressor
from moviestrip.exports.motion import PersonMotion, pieces
from moviestrip.tables import (
    BETAS,
    FLOAT,
    INTEGER,
    POSE,
    TEXT,
    Column,
    TableSchema,
    array_of,
    empty,
    unstack,
)

Kind = Literal["seen", "forecast", "hallucinated"]

PEOPLE = TableSchema("people", 1, ("person", "kind", "frame", "step_frames"), (
    Column("person", INTEGER, "the tracker's identity"),
    Column("kind", TEXT, "seen: from the video; forecast: after its last frame; hallucinated: from one frame alone"),
    Column("frame", INTEGER, "of the video, from 0; of a forecast, the frame it is about, even beyond the video"),
    Column("step_frames", INTEGER, "forecast: frames after the last seen; hallucinated: the pose so far from `frame`"),
    Column("box_center_px", array_of(2), "centre of the crop, source pixels"),
    Column("box_scale", FLOAT, "source pixels times this are pixels of the 224 px crop"),
    Column("camera", array_of(3), "weak-perspective scale, tx, ty in the crop; of a forecast, the last one seen"),
    POSE,
    BETAS,
    Column("translation_m", array_of(3), "of the body before the assumed camera: x right, y down, z forward"),
    Column("joints_3d_m", array_of(72), "SMPL's 24 joints, translated, camera frame"),
    Column("keypoints_2d", array_of(50), "hmmr_25 projected to the source frame: x_px, y_px"),
))  # fmt: skip


@dataclass(frozen=True)
class Estimates:
    """A motion, how it came about, and how many frames from its frames each pose lies."""

    kind: Kind
    motion: PersonMotion
    step_frames: int = 0


def people_table(
    estimates: Iterable[Estimates], body: Body, image_size_px: tuple[int, int], focal_px: float
) -> pd.DataFrame:
    """PEOPLE of a video, sorted by its key."""
    regressor = keypoint_regressor(body)
    parts = [
        _rows(one, piece, offset, body, regressor, image_size_px, focal_px)
        for one in estimates
        for offset, piece in _pieces(one.motion)
    ]
    if not parts:
        return empty(PEOPLE)
    return pd.concat(parts, ignore_index=True).sort_values(list(PEOPLE.key), ignore_index=True)


def _pieces(motion: PersonMotion) -> Iterable[tuple[int, PersonMotion]]:
    return ((piece.first_frame - motion.first_frame, piece) for piece in pieces(motion))


def _rows(
    one: Estimates,
    piece: PersonMotion,
    offset: int,
    body: Body,
    regressor: Float[np.ndarray, "25 vertices"],
    image_size_px: tuple[int, int],
    focal_px: float,
) -> pd.DataFrame:
    vertices, joints = body.forward(piece.rotations, piece.betas)
    translation = piece.place.translation_m(image_size_px, focal_px)
    ahead = np.arange(offset + 1, offset + 1 + len(piece))
    columns = {
        "person": piece.identity,
        "kind": one.kind,
        "frame": piece.frames,
        "step_frames": ahead if one.kind == "forecast" else np.full(len(piece), one.step_frames),
        "box_center_px": unstack(piece.place.box_center_px),
        "box_scale": piece.place.box_scale.astype(np.float32),
        "camera": unstack(piece.place.camera),
        "pose": unstack(piece.pose),
        "betas": unstack(piece.betas),
        "translation_m": unstack(translation),
        "joints_3d_m": unstack(joints + translation[:, None]),
        "keypoints_2d": unstack(piece.place.pixels(regressor @ vertices)),
    }
    return pd.DataFrame(columns)[[column.name for column in PEOPLE.columns]]
