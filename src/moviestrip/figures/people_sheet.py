"""Who is where in found videos: whole frames with everyone that is tracked, boxed, numbered and drawn.

Each identity keeps its colour through a video, so that a number that jumps from one person to another is seen.
"""

from collections.abc import Mapping

import cv2
import matplotlib.colors
import numpy as np
import pandas as pd

from moviestrip import tables
from moviestrip.figures.contact_sheet import FramesOf, contact_sheet, frames_at, frames_of_dataset, of_shards, spread
from moviestrip.figures.draw import SERIES, Colour, Picture, draw_skeleton, draw_tag
from moviestrip.layout import RunFolder
from moviestrip.skeleton import BODY_25
from moviestrip.tracking.assign import boxes_of

COLUMNS, CELL_PX = 3, 440
MINIMUM_CONFIDENCE = 0.1
COLOURS: tuple[Colour, ...] = tuple(
    (round(255 * red), round(255 * green), round(255 * blue))
    for red, green, blue in map(matplotlib.colors.to_rgb, SERIES)
)


def people_sheet(tracks: pd.DataFrame, frames_of: FramesOf, frames: int = 12) -> Picture:
    """Up to `frames` frames in which somebody is tracked, spread evenly over videos and time."""
    moments = tracks[["video_id", "frame"]].drop_duplicates().sort_values(["video_id", "frame"])
    chosen = spread(moments, frames)
    pictures, captions = [], []
    for video_id, rows in chosen.groupby("video_id", sort=True):
        of_video = dict(list(tracks[tracks["video_id"] == video_id].groupby("frame")))
        numbers = rows["frame"].to_list()
        for number, picture in zip(numbers, frames_at(frames_of(str(video_id)), numbers), strict=True):
            pictures.append(draw_people(picture, _by_track(of_video[number])))
            count = len(of_video[number])
            captions.append(f"{str(video_id)[:6]} · {number} · {count} {'person' if count == 1 else 'people'}")
    return contact_sheet(pictures, captions, COLUMNS, CELL_PX)


def run_people_sheet(run: RunFolder, dataset: str) -> Picture:
    """The sheet of one tracked dataset of a run."""
    return people_sheet(of_shards(run, "tracks", dataset, tables.TRACKS), frames_of_dataset(run, dataset))


def _by_track(people: pd.DataFrame) -> dict[int, np.ndarray]:
    return dict(zip(people["track"].tolist(), tables.stack(people["keypoints"], len(BODY_25), 3), strict=True))


def draw_people(picture: Picture, people: Mapping[int, np.ndarray]) -> Picture:
    """A copy of a frame with the people (BODY_25) by their identity."""
    size_px = max(picture.shape[:2]) * 13 // CELL_PX
    canvas = np.ascontiguousarray(picture).copy()
    for identity, keypoints in people.items():
        colour = COLOURS[identity % len(COLOURS)]
        box = boxes_of(keypoints[None], MINIMUM_CONFIDENCE)[0]
        if not np.isfinite(box).all():
            continue
        diagonal_px = float(np.hypot(*(box[2:] - box[:2])))
        canvas = draw_skeleton(canvas, keypoints, BODY_25, MINIMUM_CONFIDENCE, diagonal_px / 80, colour)
        left, top, right, bottom = box.round().astype(int).tolist()
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, max(1, size_px // 8), cv2.LINE_AA)
        canvas = draw_tag(canvas, str(identity), np.array([(left + right) / 2, top]), colour, max(9, size_px))
    return canvas
