"""Statue moments: which clips, the picture of one, and the drawing of all."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

from moviestrip.errors import FatalError
from moviestrip.figures.statues import StatuePanel, statue_figure
from moviestrip.stages.figures.statues import CLIPS, FAST_ACYCLIC, LEAST_FRAMES, choose_clips, statue_picture
from moviestrip.world.plan import PENN_ACTIONS
from tests.figures.test_plots import words_of


def panel(title: str, first: int = 14, windows: int = 19, window: int = 7) -> StatuePanel:
    accuracy = np.linspace(30, 70, windows)
    return StatuePanel(
        title, np.full((24, 24, 3), 90, np.uint8), first + np.arange(windows), accuracy, accuracy, window, 2.25
    )


def test_every_clip_has_its_picture_its_curve_and_its_moment():
    svg = statue_figure([panel("golf swing"), panel("bowl", window=3), panel("squats"), panel("tennis serve")])
    assert svg == statue_figure([panel("golf swing"), panel("bowl", window=3), panel("squats"), panel("tennis serve")])
    words = words_of(svg)
    assert {"golf swing", "bowl", "squats", "tennis serve", "last frame seen"} <= set(words)
    assert words.count("at 21: +2.2 points a frame") == 3 and words.count("at 17: +2.2 points a frame") == 1
    assert len(re.findall("<image ", svg)) == 4
    assert ElementTree.fromstring(svg).get("aria-label", "").endswith("golf swing, bowl, squats, tennis serve")


def test_the_mark_is_where_the_moment_is():
    """The upright line of a later moment is farther right, on the scale that all clips share."""
    svg = statue_figure([panel("early", window=2), panel("late", window=16)])
    lines = re.findall(r'<path d="M ([\d.]+) [\d.]+ \s*L ([\d.]+) [\d.]+\s*" [^>]*style="[^"]*stroke: #d55e00', svg)
    upright = [float(a) for a, b in lines if a == b]
    ticks = [float(x) for x in re.findall(r'<use xlink:href="#[^"]*" x="([\d.]+)"[^>]*fill: #d55e00', svg)]
    assert upright == ticks and len(upright) == 2


def test_no_clip_is_an_error():
    with pytest.raises(FatalError, match="no clip has a statue moment"):
        statue_figure([])


def clips_of(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["clip_id", "action", "n_frames"])


def test_the_first_clip_of_each_action_is_chosen_fast_ones_first():
    clips = clips_of([
        ("e", "squats", 60), ("d", "bench_press", 60), ("c", "golf_swing", 60), ("a", "golf_swing", LEAST_FRAMES - 1),
        ("b", "golf_swing", LEAST_FRAMES), ("f", "bowl", LEAST_FRAMES - 1),
    ])  # fmt: skip
    assert choose_clips(clips)["clip_id"].tolist() == ["b", "d", "e"]
    assert choose_clips(clips.iloc[::-1])["clip_id"].tolist() == ["b", "d", "e"]
    many = clips_of([(f"{i:02d}", action, 60) for i, action in enumerate(PENN_ACTIONS)])
    assert choose_clips(many)["action"].tolist() == sorted(FAST_ACYCLIC)[:CLIPS]
    assert choose_clips(clips_of([])).empty


def test_fast_actions_are_those_of_penn_action():
    assert set(FAST_ACYCLIC) <= set(PENN_ACTIONS)


def test_the_skeleton_lies_on_the_person():
    """Keypoints on a bright bar of the frame: the crop's bones cover the bar."""
    frame = np.zeros((400, 300, 3), np.uint8)
    frame[100:300, 147:153] = 200
    keypoints = np.zeros((25, 3), np.float32)
    keypoints[:14] = np.stack([np.full(14, 150), np.linspace(105, 295, 14), np.ones(14)], 1)
    label = pd.Series(
        {"box_center_px": np.array([150, 200]), "box_scale": 150 / 200, "keypoints_2d": keypoints.reshape(-1)}
    )
    drawn = statue_picture(frame, label)
    coloured = np.ptp(drawn.astype(int), axis=-1) > 60
    columns = np.flatnonzero(coloured.any(0))
    assert abs(columns.mean() - drawn.shape[1] / 2) < 2 and np.ptp(columns) < 14
    rows = np.flatnonzero(coloured.any(1))
    assert np.ptp(rows) > 0.6 * drawn.shape[0] and rows.min() > 0 and rows.max() < drawn.shape[0] - 1
