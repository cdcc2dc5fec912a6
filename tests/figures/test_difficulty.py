"""Plots and the terminal's table of the world's checks."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from moviestrip.cli.stages import DIFFICULTY_COLUMNS, difficulty_table
from moviestrip.evaluation.detector_noise import Detected
from moviestrip.evaluation.findings import Finding
from moviestrip.figures.difficulty import draw_detector, draw_predictability
from moviestrip.papers.difficulty import as_table


def texts_of(svg: str) -> str:
    return " ".join(text for text in ElementTree.fromstring(svg).itertext() if text.strip())


def test_means_over_motions_count_their_windows():
    errors = pd.DataFrame({
        "motion_id": ["a", "b", "c", "a", "b", "c"], "kind": ["periodic", "periodic", ""] * 2,
        "horizon": [5, 5, 5, 10, 10, 10], "windows": [1, 3, 2] * 2,
        "constant_mm": [10.0, 30, 8, 20, 60, 9], "forecast_mm": [4.0, 8, 7, 9, 21, 8],
    })  # fmt: skip
    drawn = draw_predictability(errors)
    means = drawn.data.set_index(["kind", "horizon"])
    assert means.loc[("periodic", 10), "constant_mm"] == pytest.approx(50)
    assert means.loc[("periodic", 5), "forecast_mm"] == pytest.approx(7)
    shown = texts_of(drawn.picture)
    assert "periodic, 2 motions" in shown
    assert "other, 1 motions" in shown
    assert "ballistic" not in shown
    assert "miniature world" in drawn.note


def test_the_detectors_curve_ends_at_what_it_found():
    seen = np.ones((4, 12), bool)
    seen[:, :3] = False
    detected = Detected(
        pd.DataFrame({"clip_id": ["a"], "group": ["a"]}), np.zeros(4, int), np.arange(4),
        np.array(["none", "none", "none", "blur"], object), np.full(4, 100.0),
        np.zeros((4, 12, 2)), seen, np.zeros((4, 12, 2)), np.ones((4, 12), bool),
    )  # fmt: skip
    drawn = draw_detector(detected, np.array([0.0, 0.1]))
    assert drawn.data["joints"].tolist() == [75.0] * 4
    assert "under a burst" in texts_of(drawn.picture)


def test_the_terminals_table_fits_eighty_columns():
    numbers = (-12.345, -45.678, 123.456)
    found = [
        Finding("harder-pa-mpjpe-single-view-same-actions", "?", *numbers, "points", "", verdict, 24, 3)
        for verdict in ("present", "absent", "undecided")
    ]
    found.append(Finding("shared-people", "?", 0, 0, 0, "people", "0", "present", 3, 0))
    console = Console(width=DIFFICULTY_COLUMNS, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(difficulty_table(as_table(found)))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert "2 present (+), 1 absent (-), 1 undecided (?)" in lines[-1]
    assert "0 to 0" not in capture.get()
