"""Plots are checked as drawings: well-formed, same bytes each time, and saying what the data says."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

from moviestrip.figures.curves import panel_title, running_median, shared_axes, training_panel
from moviestrip.figures.funnel import LETTERS_A_LINE, funnel_figure, steps_of


def log_of(values: dict[str, list[float]]) -> pd.DataFrame:
    rows = [(step, loss, value) for loss, series in values.items() for step, value in enumerate(series)]
    return pd.DataFrame(rows, columns=["step", "loss", "value"])


@pytest.fixture
def logs() -> dict[tuple[str, int], pd.DataFrame]:
    series = {"total": [9.0, 5.0, 4.0, 3.5], "keypoints": [1.0], "validation_pa_mpjpe_mm": [120.0, 100.0]}
    return {("contextual", 0): log_of(series), ("single-view", 0): log_of(series), ("single-view", 1): log_of(series)}


def funnel_of(rows: list[tuple]) -> pd.DataFrame:
    columns = ["stage", "reason", "videos", "people", "clips", "frames"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:], "Int64"))


FUNNEL = funnel_of(
    [
        ("listed", "", 800, None, None, None),
        ("fetched", "permanent", 70, None, None, None),
        ("fetched", "bad video", 30, None, None, None),
        ("fetched", "", 700, None, None, 90_000),
        ("people", "", 650, 1000, None, 80_000),
        ("candidates", "", 650, 1000, 1200, 70_000),
        ("length", "too short", None, None, 300, 10_000),
        ("length", "", 600, 800, 900, 60_000),
        ("used", "", 600, 800, 900, 60_000),
    ]
)


def words_of(svg: str) -> list[str]:
    return [
        "".join(element.itertext()) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")
    ]


def drawn_panel(logs) -> str:
    return training_panel(list(logs.values()), shared_axes(list(logs.values())), "panel", "Contextual")


def test_a_panel_names_what_it_shows(logs):
    assert {"Training loss", "Validation PA-MPJPE, mm", "step"} <= set(words_of(drawn_panel(logs)))
    assert (
        'aria-label="Training of Contextual: Validation PA-MPJPE, mm, Training loss against the step"'
        in drawn_panel(logs)
    )


def test_panels_share_the_axes_of_all_models():
    low, high = log_of({"total": [4.0, 2.0]}), log_of({"total": [9.0, 8.0, 7.0]})
    axes = shared_axes([low, high])
    assert (axes.last_step, list(axes.spans)) == (high.step.max(), ["total"])
    assert axes.spans["total"].low.tolist() == [4.0, 2.0, 7.0]
    assert axes.spans["total"].high.tolist() == [9.0, 8.0, 7.0]
    ticks = [words_of(training_panel([log], axes, "panel", "x")) for log in (low, high)]
    assert ticks[0] == ticks[1]


def test_a_log_without_validation_still_draws():
    words = words_of(drawn_panel({("contextual", 0): log_of({"total": [-1.0, 2.0, np.nan]})}))
    assert "Training loss" in words and "Validation PA-MPJPE, mm" not in words


def test_the_funnel_counts_over_datasets():
    for narrow in (False, True):
        words = set(words_of(funnel_figure({"studio": FUNNEL, "street": FUNNEL}, narrow=narrow)))
        assert {"2,400 clips · 140,000 frames", "1,800 clips · 120,000 frames", "studio", "street", "length"} <= words
        assert {"1,400 videos · 180,000 frames", "out: 140 permanent, 60 bad video", "out: 600 too short"} <= words


def test_a_dataset_without_a_stage_passes_it():
    words = words_of(funnel_figure({"studio": FUNNEL, "street": FUNNEL[FUNNEL["stage"] != "length"]}))
    assert "2,100 clips · 130,000 frames" in words


def test_a_dataset_of_which_nothing_is_there_adds_nothing():
    steps = steps_of({"street": FUNNEL.head(1), "studio": FUNNEL})
    assert [step.stage for step in steps] == ["listed", "fetched", "people", "candidates", "length"]
    assert [step.total for step in steps] == [1600, 1500, 1000, 1200, 900]
    assert [step.before for step in steps] == [1600, 1600, 1000, 1200, 1200]


def test_long_reasons_break_into_lines():
    rows = [("listed", "", 100, None, None, None)]
    rows += [("fetched", f"an unusually long reason {number}", 9, None, None, None) for number in range(5)]
    step = steps_of({"x": funnel_of([*rows, ("fetched", "", 55, None, None, 1)])})[-1]
    assert len(step.reasons) > 2 and max(map(len, step.reasons)) <= LETTERS_A_LINE
    assert " ".join(step.reasons).count("unusually long") == 5
    assert step.height_in(narrow=True) > 0.8


@pytest.mark.parametrize("draw", [lambda logs: drawn_panel(logs), lambda logs: funnel_figure({"studio": FUNNEL})])
def test_drawings_are_the_same_bytes_and_belong_to_a_page(logs, draw):
    svg = draw(logs)
    assert svg == draw(logs)
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img" and root.get("aria-label")
    assert "var(--ink" in svg and "metadata" not in svg
    identifiers = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(identifiers) == len(set(identifiers))


def test_two_drawings_share_no_identifier(logs):
    def identifiers(svg: str) -> set[str | None]:
        return {element.get("id") for element in ElementTree.fromstring(svg).iter()} - {None}

    assert not identifiers(drawn_panel(logs)) & identifiers(funnel_figure({"studio": FUNNEL}))


def test_the_running_median_ignores_a_spike():
    values = np.full(200, 3.0)
    values[100] = 1000
    assert (running_median(values) == 3).all()
    assert running_median(np.array([4.0])).tolist() == [4.0]


def test_titles_read_as_words():
    assert panel_title("total") == "Training loss"
    assert panel_title("validation_pa_mpjpe_mm") == "Validation PA-MPJPE, mm"
    assert panel_title("validation/mpjpe") == "Validation MPJPE"
