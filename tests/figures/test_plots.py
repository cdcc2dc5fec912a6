"""Plots are checked as drawings: well-formed, same bytes each time, and saying what the data says."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

from moviestrip.figures.curves import panel_title, running_median, training_curves
from moviestrip.figures.funnel import funnel_figure


def log_of(values: dict[str, list[float]]) -> pd.DataFrame:
    rows = [(step, loss, value) for loss, series in values.items() for step, value in enumerate(series)]
    return pd.DataFrame(rows, columns=["step", "loss", "value"])


@pytest.fixture
def logs() -> dict[tuple[str, int], pd.DataFrame]:
    series = {"total": [9.0, 5.0, 4.0, 3.5], "keypoints": [1.0], "validation_pa_mpjpe_mm": [120.0, 100.0]}
    return {("contextual", 0): log_of(series), ("single-view", 0): log_of(series), ("single-view", 1): log_of(series)}


FUNNEL = pd.DataFrame({"stage": ["candidates", "length"], "clips": [1200, 900], "frames": [70_000, 60_000]})


def words_of(svg: str) -> list[str]:
    return [
        "".join(element.itertext()) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")
    ]


def test_curves_name_their_models_once(logs):
    words = words_of(training_curves(logs))
    assert words.count("single-view") == 1
    assert {"contextual", "Training loss", "Validation PA-MPJPE, mm", "step"} <= set(words)


def test_a_log_without_validation_still_draws():
    words = words_of(training_curves({("contextual", 0): log_of({"total": [-1.0, 2.0, np.nan]})}))
    assert {"contextual", "Training loss"} <= set(words)


def test_the_funnel_counts_over_datasets():
    words = words_of(funnel_figure({"studio": FUNNEL, "street": FUNNEL}))
    assert {"2,400 clips · 140,000 frames", "1,800 clips · 120,000 frames", "studio", "street", "length"} <= set(words)


def test_a_dataset_without_a_stage_passes_it():
    words = words_of(funnel_figure({"studio": FUNNEL, "street": FUNNEL.head(1)}))
    assert "2,100 clips · 130,000 frames" in words


@pytest.mark.parametrize("draw", [lambda logs: training_curves(logs), lambda logs: funnel_figure({"studio": FUNNEL})])
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

    assert not identifiers(training_curves(logs)) & identifiers(funnel_figure({"studio": FUNNEL}))


def test_the_running_median_ignores_a_spike():
    values = np.full(200, 3.0)
    values[100] = 1000
    assert (running_median(values) == 3).all()
    assert running_median(np.array([4.0])).tolist() == [4.0]


def test_titles_read_as_words():
    assert panel_title("total") == "Training loss"
    assert panel_title("validation_pa_mpjpe_mm") == "Validation PA-MPJPE, mm"
    assert panel_title("validation/mpjpe") == "Validation MPJPE"
