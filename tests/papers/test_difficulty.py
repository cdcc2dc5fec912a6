"""The papers' figures beside the checks of the miniature world."""

import csv
import math
from pathlib import Path

import pytest

from moviestrip.evaluation.findings import Finding
from moviestrip.papers.difficulty import COLUMNS, as_table, reference_of


@pytest.mark.parametrize(
    ("check", "value", "source"),
    [
        ("jitter-street", 37.4, "HMMR Table 2"),
        ("jitter-time-street", 100 * (1 - 16.4 / 37.4), "HMMR Table 2"),
        ("jitter-smoothing-street", 100 * (1 - 12.9 / 22.6), "TCMR"),
        ("harder-pa-mpjpe-single-view", 76.7 - 59.3, "HMR"),
        ("harder-mpjpe-temporal", 127.1 - 87.0, "HMMR"),
    ],
)
def test_references_are_the_printed_figures(check: str, value: float, source: str):
    found, where = reference_of(check)
    assert found == pytest.approx(value)
    assert source in where


def test_what_phd_loses_is_the_mean_over_seven_actions_each(repository: Path):
    """From Table 7 as it is carried, read without pandas: 1 frame less 30 frames ahead."""
    with (repository / "src/moviestrip/papers/data/paper_tables.csv").open(newline="") as file:
        cells = [row for row in csv.DictReader(file) if (row["paper"], row["table"]) == ("phd", "7")]
    pck = {(row["action"], row["horizon"]): float(row["value"]) for row in cells if row["row_id"] == "ar-phi"}
    lost = {action: pck[action, "1"] - pck[action, "30"] for action, _ in pck}
    periodic = "Bench Press, Jump Rope, Pullup, Pushup, Situp, Squat, Strum Guitar".split(", ")
    ballistic = set(lost) - {*periodic, "All"}
    expected = sum(lost[action] for action in ballistic) / 7 - sum(lost[action] for action in periodic) / 7
    found, where = reference_of("future-trained-30-gym")
    assert len(ballistic) == 7
    assert found == pytest.approx(expected)
    assert found > 5
    assert "PHD Table 7" in where


@pytest.mark.parametrize(
    "check",
    ["jitter-studio", "depth-street", "harder-pa-mpjpe-single-view-same-actions", "detector-pck", "motions-train"],
)
def test_what_the_papers_do_not_print_has_no_reference(check: str):
    found, where = reference_of(check)
    assert math.isnan(found)
    assert where == ""


def test_the_table_has_the_reports_columns():
    found = Finding("jitter-street", "?", 30.0, 25.0, 35.0, "mm/frame^2", "some", "present", 24, 3)
    table = as_table([found])
    assert tuple(table.columns) == COLUMNS
    assert table.loc[0, ["measured", "reference", "clips", "seeds"]].tolist() == [30.0, 37.4, 24, 3]
