"""Everyone tracked, drawn over whole frames of real video files."""

from pathlib import Path

import numpy as np
import pandas as pd

from moviestrip.figures.people_sheet import CELL_PX, COLOURS, draw_people, people_sheet
from moviestrip.skeleton import BODY_25
from moviestrip.tables import TRACKS, empty, unstack
from moviestrip.video.decode import frames
from tests.video.video_files import write_video


def standing(left_px: float, confidence: float = 1.0) -> np.ndarray:
    """Keypoints within a box 40 px wide and 120 px tall."""
    rng = np.random.default_rng(1)
    points = np.array([left_px, 60.0]) + rng.random((len(BODY_25), 2)) * [40, 120]
    return np.column_stack([points, np.full(len(BODY_25), confidence)]).astype(np.float32)


def pixels_of(picture: np.ndarray, identity: int) -> np.ndarray:
    return (np.abs(picture.astype(int) - COLOURS[identity]).max(-1) < 4).nonzero()[1]


def test_each_person_has_their_own_colour_where_they_are():
    grey = np.full((240, 320, 3), 128, np.uint8)
    drawn = draw_people(grey, {0: standing(30), 3: standing(220)})
    assert (grey == 128).all()
    for identity, left, right in ((0, 20, 80), (3, 210, 270)):
        columns = pixels_of(drawn, identity)
        assert len(columns) > 100 and columns.min() >= left and columns.max() <= right
    unseen = draw_people(grey, {0: standing(30, confidence=0.0)})
    np.testing.assert_array_equal(unseen, grey)


def test_moments_are_spread_over_videos_and_shown_whole(tmp_path: Path):
    paths = {name: write_video(tmp_path / f"{name}.mp4", 30, 320, 240) for name in ("a", "b")}
    rows = [
        (name, track, frame, standing(60.0 + 100 * track)) for name in paths for track in (0, 1) for frame in range(30)
    ]
    keypoints = unstack(np.array([row[3] for row in rows]))
    tracks = pd.DataFrame([row[:3] for row in rows], columns=["video_id", "track", "frame"]).assign(keypoints=keypoints)
    sheet = people_sheet(tracks[list(empty(TRACKS).columns)], lambda name: frames(paths[name]), frames=6)
    assert sheet.shape[0] > 2 * CELL_PX and sheet.shape[1] > 3 * CELL_PX
    for row in range(2):
        for column in range(3):
            cell = sheet[row * (CELL_PX + 4) :, column * (CELL_PX + 4) :][:CELL_PX, :CELL_PX]
            assert len(pixels_of(cell, 0)) > 100 and len(pixels_of(cell, 1)) > 100
