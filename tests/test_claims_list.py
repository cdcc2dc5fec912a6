"""`moviestrip claims list`: one line a claim, and only those of one verdict."""

import pandas as pd
import pytest
from typer.testing import CliRunner

from moviestrip.cli import app

CLAIMS = [
    ("hmmr-01", "holds", "fails", -17.5, -24.4, -11.0, "mm", "smaller effect here"),
    ("hmmr-09", "holds", "not applicable", None, None, None, "", ""),
    ("vibe-06", "holds", "holds", 25.3, 17.3, 34.7, "mm", ""),
]
COLUMNS = ["claim_id", "verdict_printed", "verdict", "effect", "low", "high", "unit", "cause"]


@pytest.fixture
def run(tmp_path):
    pd.DataFrame(CLAIMS, columns=COLUMNS).assign(evidence="").to_csv(tmp_path / "claims.csv", index=False)
    return tmp_path


def listed(run, *arguments):
    return CliRunner().invoke(app, ["claims", "list", "--run", str(run), *arguments])


def test_every_claim_has_a_line_with_its_effect_and_why_it_does_not_hold(run):
    lines = listed(run).output.splitlines()
    assert [line.split()[0] for line in lines] == ["claim", "hmmr-01", "hmmr-09", "vibe-06"]
    assert "-17.5 [-24.4, -11] mm" in lines[1] and "smaller effect here" in lines[1]


def test_one_verdict_alone(run):
    assert [line.split()[0] for line in listed(run, "--verdict", "holds").output.splitlines()] == ["claim", "vibe-06"]


def test_a_verdict_that_no_claim_has_is_an_error_that_names_those_there_are(run):
    failed = listed(run, "--verdict", "hold")
    assert failed.exit_code != 0
    assert "fails, holds, not applicable" in str(failed.exception)
