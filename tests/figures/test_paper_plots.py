"""The plots among the papers' figures: values at their places, same bytes each time, numbers as references say."""

import itertools
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

from moviestrip.errors import FatalError
from moviestrip.evaluation.statistics import interval
from moviestrip.figures.horizons import Panel, horizon_curves
from moviestrip.figures.means import means_of
from moviestrip.figures.time_series import (
    AttendedClip,
    Moment,
    Series,
    Span,
    acceleration_plot,
    attention_plot,
    correlation,
    joint_speed,
    spans_of,
)
from moviestrip.figures.trade_off import Axis, nice_ticks, trade_off
from moviestrip.papers.worlds import Setting
from tests.figures.test_plots import words_of

SETTING = Setting(
    "miniature", "free body", "embedded", "blazepose-full", "papers", ("street",), ("a",), (0,), 200, 95.0, 0
)
FRAMES = np.arange(30)


def points_of(labels: str = "single-view filtered vibe") -> pd.DataFrame:
    count = len(labels.split())
    x, y = np.linspace(10, 100, count), np.linspace(70, 60, count)
    return pd.DataFrame(
        {
            "label": labels.split(), "family": ["HMMR", "HMMR", "VIBE"][:count],
            "x": x, "x_low": x - 2, "x_high": x + 2, "y": y, "y_low": y - 3, "y_high": y + 3,
        }
    )  # fmt: skip


def drawn_trade_off(points: pd.DataFrame) -> str:
    x, y = Axis("acceleration error, mm/frame²", logarithmic=True), Axis("PA-MPJPE, mm")
    return trade_off(points, ("HMMR", "VIBE"), x, y, {"filtered": "single-view", "absent": "vibe"})


def test_of_many_models_only_some_are_named():
    """Forty on a slope, each beaten by the one before, and one far off: what is beaten and not sought has no name."""
    count = 40
    crowd = pd.DataFrame({"label": [f"model-{index}" for index in range(count)], "family": "HMMR"})
    crowd["x"], crowd["y"] = np.linspace(50, 60, count), np.linspace(60, 64, count)
    crowd.loc[count - 1, ["x", "y"]] = 150, 140
    ends = {f"{side}_{end}": crowd[side] for side in "xy" for end in ("low", "high")}
    words = set(
        words_of(trade_off(crowd.assign(**ends), ["HMMR"], Axis("x"), Axis("y"), {"model-7": "model-30"}, ["model-9"]))
    )
    assert words & set(crowd["label"]) == {"model-0", "model-7", "model-9", "model-30", "model-39"}
    few = set(words_of(trade_off(crowd.assign(**ends).head(20), ["HMMR"], Axis("x"), Axis("y"), {})))
    assert set(crowd["label"].head(20)) <= few


def curves_of(rows: tuple[str, ...]) -> pd.DataFrame:
    keys = [(panel, warped, row, step) for panel in "pq" for warped in (False, True) for row in rows for step in (1, 5)]
    curves = pd.DataFrame(keys, columns=["panel", "dtw", "row", "horizon"])
    return curves.assign(mean=10.0 * curves["horizon"], low=5.0, high=60.0)


def drawn_horizons() -> str:
    panels = [Panel("p", "studio", "PA-MPJPE, mm", True), Panel("q", "gym", "PCK, %", False)]
    return horizon_curves(curves_of(("ar-phi", "constant")), panels, ("absent", "ar-phi", "constant"))


def drawn_acceleration() -> str:
    errors = np.concatenate([[np.nan], np.linspace(5, 50, 28), [np.nan]])
    picture = np.full((8, 8, 3), 90, np.uint8)
    moments = [Moment(0, picture), Moment(15, picture), Moment(29, picture)]
    lines = [Series("vibe", "#D55E00", errors), Series("tcmr", "#0072B2", errors / 5)]
    return acceleration_plot(lines, FRAMES, moments, [Span(3, 6, "occlusion")], "street: running")


def drawn_attention() -> str:
    attention = dict.fromkeys(("past", "current", "future"), np.full(30, 1 / 3))
    clips = [AttendedClip(title, FRAMES, attention, np.linspace(0, 2, 30)) for title in ("slow", "fast")]
    return attention_plot(clips)


DRAWINGS = {
    "trade-off": lambda: drawn_trade_off(points_of()),
    "phd-horizons": drawn_horizons,
    "tcmr-5": drawn_acceleration,
    "tcmr-attention": drawn_attention,
}
WORDS = {
    "trade-off": {"single-view", "filtered", "vibe", "HMMR", "VIBE", "← PA-MPJPE, mm", "10", "100"},
    "phd-horizons": {"ar-phi", "constant", "studio, with time warping", "gym, without time warping", "→ PCK, %", "5"},
    "tcmr-5": {"vibe", "tcmr", "occlusion", "street: running", "frame of the clip", "15", "29"},
    "tcmr-attention": {"past", "current", "future", "slow", "fast", "joint speed, m/s"},
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawings_say_what_they_show_in_the_same_bytes(name):
    svg = DRAWINGS[name]()
    assert svg == DRAWINGS[name]()
    assert WORDS[name] <= set(words_of(svg))
    root = ElementTree.fromstring(svg)
    identifiers = [element.get("id") for element in root.iter() if element.get("id")]
    assert root.get("aria-label") and len(identifiers) == len(set(identifiers))
    assert all(str(identifier).startswith(f"{name}-") for identifier in identifiers)


def test_a_row_that_is_not_drawn_is_not_named():
    assert "absent" not in words_of(drawn_horizons())


def test_every_moment_is_a_picture_of_its_own():
    assert len(re.findall("<image ", drawn_acceleration())) == 3


def test_an_interval_that_reaches_zero_is_drawn_on_a_logarithmic_axis():
    points = points_of()
    points.loc[1, "x_low"] = -40.0
    assert drawn_trade_off(points).startswith("<svg")


def test_points_are_where_their_errors_are():
    root = ElementTree.fromstring(drawn_trade_off(points_of()))
    marks = [element for element in root.iter() if element.tag.endswith("use")]
    places = sorted({(float(mark.get("x", 0)), float(mark.get("y", 0))) for mark in marks})
    shares = [
        ((middle[0] - first[0]) / (last[0] - first[0]), (middle[1] - first[1]) / (last[1] - first[1]))
        for first, middle, last in itertools.combinations(places, 3)
        if last[0] > first[0] and last[1] > first[1]  # errors 10, 55, 100 and 70, 65, 60: down the page
    ]
    expected = (np.log(5.5) / np.log(10), 0.5)
    assert any(np.allclose(share, expected, atol=1e-4) for share in shares)


def test_nothing_to_draw_is_said():
    with pytest.raises(FatalError, match="no model has both measures"):
        drawn_trade_off(points_of().head(0))
    with pytest.raises(FatalError, match="no forecast has a score"):
        horizon_curves(curves_of(()), [], ())
    with pytest.raises(FatalError, match="no predictions to draw"):
        acceleration_plot([], FRAMES, [], [], "")


def test_ticks_are_round_numbers():
    assert nice_ticks(4.0, 230.0) == [5, 10, 20, 50, 100, 200]
    assert nice_ticks(0.15, 0.6) == [0.2, 0.5]


def test_means_are_those_of_the_tables():
    values = {"a": 10.0, "b": 20.0, "c": 60.0}
    scores = pd.DataFrame(
        {
            "variant": "v", "seed": 0, "protocol": "tcmr", "clip_id": list(values), "group": ["g", "h", "h"],
            "value": list(values.values()), "frames": [10, 30, 60], "unit": "mm",
        }
    )  # fmt: skip
    (row,) = means_of(scores, ("variant",), SETTING).itertuples()
    assert row.mean == pytest.approx(np.average([10, 20, 60], weights=[10, 30, 60]))  # tcmr pools frames
    expected = interval(
        np.array([[10.0, 20.0, 60.0]]), np.array([10.0, 30.0, 60.0]), 200, 95.0, 0, np.array(["g", "h", "h"])
    )
    assert (row.low, row.high) == expected.of_scores("mm")[1:]
    assert (row.clips, row.frames, row.seeds) == (3, 100, 1)
    (equal,) = means_of(scores.assign(protocol="hmmr"), ("variant",), SETTING).itertuples()
    assert equal.mean == pytest.approx(30)


def test_speed_is_of_the_limbs_and_not_of_the_walk():
    random = np.random.default_rng(0)
    still = np.repeat(random.normal(size=(1, 14, 3)), 10, axis=0)
    assert joint_speed(still + np.arange(10)[:, None, None], 25).max() < 1e-9
    moving = still.copy()
    moving[:, 6, 0] += 0.02 * np.arange(10)  # one wrist of 14 joints: 2 cm a frame
    np.testing.assert_allclose(joint_speed(moving, 25), 0.02 * 25 / 14)
    with pytest.raises(FatalError, match="a speed takes two"):
        joint_speed(still[:1], 25)


def test_runs_of_marks_become_spans():
    marks = ["none", "blur", "blur", "occlusion", "none", "blur"]
    assert spans_of(marks, np.arange(6) + 10) == [Span(11, 12, "blur"), Span(13, 13, "occlusion"), Span(15, 15, "blur")]


def test_correlation_is_pearsons_over_all_frames():
    random = np.random.default_rng(1)
    first = [random.normal(size=40) for _ in range(6)]
    second = [0.5 * values + random.normal(size=40) for values in first]
    first[0][3] = np.nan
    known = np.isfinite(np.concatenate(first))
    expected = np.corrcoef(np.concatenate(first)[known], np.concatenate(second)[known])[0, 1]
    found = correlation(first, second, list("abcdee"))
    assert found.mean == pytest.approx(expected)
    assert found.low < expected < found.high
    assert found == correlation(first, second, list("abcdee"))


def test_correlation_is_unknown_where_nothing_changes_and_bare_with_one_motion():
    line = [np.arange(9.0)]
    assert np.isnan(correlation([np.full(9, 0.3)], line, ["a"]).mean)
    one = correlation(line, line, ["a"])
    assert one.mean == pytest.approx(1) and np.isnan(one.low)
