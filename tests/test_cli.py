"""The command line as a person meets it: real processes, except for lists, which need none."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moviestrip import stages
from moviestrip.cli import app
from moviestrip.config_documentation import json_schema, markdown
from moviestrip.errors import ConfigError, StorageError
from moviestrip.layout import RunFolder


def moviestrip(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "moviestrip.cli", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60
    )


def test_help_names_every_stage_in_order(repository: Path):
    text = moviestrip("--help", cwd=repository).stdout
    stages = ["plan", "body", "motions", "render", "fetch", "detect", "track", "curate", "label", "features", "train"]
    stages += ["predict", "evaluate", "table", "overlays", "report"]
    places = [text.index(f"│ {stage} ") for stage in stages]
    assert places == sorted(places)


@pytest.mark.faults
def test_fault_24_a_typo_ends_with_one_line_and_code_2(tmp_path: Path):
    (tmp_path / "config.yaml").write_text("name: x\nworld: miniture\n")
    result = moviestrip("plan", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == "moviestrip: config.yaml: world: 'miniture' is not known; did you mean 'miniature'?\n"


def test_a_wrong_option_shows_the_usage(repository: Path):
    result = moviestrip("track", "--nonsense", cwd=repository)
    assert result.returncode == 2
    assert "No such option" in result.stderr


def test_a_stage_that_reads_an_undeclared_key_fails(tmp_path: Path):
    result = moviestrip("body", "--run", str(tmp_path), "--settings", "{}", cwd=tmp_path)
    assert result.returncode == 3
    assert "reads `body`, which it was not handed" in result.stderr


def test_fetching_what_is_not_planned_says_so(repository: Path, tmp_path: Path):
    result = moviestrip("fetch", "studio", "--run", str(tmp_path), cwd=repository)
    assert result.returncode == 2
    assert "no shard of studio is planned" in result.stderr and "run `moviestrip plan` first" in result.stderr


@pytest.mark.parametrize("command", ["dataset list", "variants list", "variants show ar-phi", "tables list"])
def test_lists_fit_80_columns(repository: Path, monkeypatch: pytest.MonkeyPatch, command: str):
    """In this process, which has the libraries loaded; the doctor looks at one of its own."""
    monkeypatch.chdir(repository)
    result = CliRunner().invoke(app, command.split(), env={"COLUMNS": None})
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) > 5 and max(map(len, result.stdout.splitlines())) <= 80


def test_the_doctor_fits_80_columns(repository: Path):
    result = moviestrip("doctor", cwd=repository)
    assert result.returncode == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_generated_pages_are_up_to_date(repository: Path):
    assert (repository / "config/README.md").read_text() == markdown(), "moviestrip config document > config/README.md"
    schema = (repository / "workflow/schemas/config.schema.json").read_text()
    assert schema == json_schema(), "moviestrip config schema > workflow/schemas/config.schema.json"


def test_a_ledger_of_an_older_version_is_one_line(tmp_path: Path):
    (tmp_path / "claims.csv").write_text("claim_id,verdict\nhmmr-01,holds\n")
    with pytest.raises(StorageError, match=r"claims\.csv: lacks the columns \['effect'"):
        stages.ledger(RunFolder(tmp_path))


def test_a_ledger_among_the_tables_is_not_read(tmp_path: Path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "claims.csv").write_text("claim_id,verdict,effect,low,high\nhmmr-01,holds,1,1,1\n")
    with pytest.raises(ConfigError, match=r"claims\.csv: not made yet"):
        stages.ledger(RunFolder(tmp_path))
