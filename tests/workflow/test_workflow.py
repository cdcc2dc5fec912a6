"""Snakemake on a tiny world, for real."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from moviestrip.storage import digest_file
from tests.workflow.conftest import Run, command, workplace

pytestmark = pytest.mark.workflow


def digests(folder: Path) -> dict[str, str]:
    return {path.name: digest_file(path) for path in sorted((folder / "results/tiny/tables").glob("*.*"))}


def jobs(output: str) -> set[str]:
    """Rules that a dry run would execute."""
    return set(re.findall(r"^rule (\w+):", output, flags=re.MULTILINE)) - {"all"}


@pytest.mark.faults
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("trackin={}", "trackin: unknown key; did you mean 'tracking'?"),
        ("datasets=[studoi]", "there is no 'studoi'"),
        ("variants=[contextual]", "'contextual' starts from 'single-view', which is not listed in `variants`"),
    ],
)
def test_fault_24_a_typo_stops_before_any_job(tmp_path, repository, snakemake: Run, argument: str, message: str):
    folder = workplace(tmp_path, repository)
    result = snakemake(folder, "--cores", "1", "--config", argument)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (folder / "results/tiny/videos").exists()


def test_every_table_and_the_report_are_there(finished: Path):
    results = finished / "results/tiny"
    for table in ("hmmr-1", "hmmr-2"):
        for suffix in ("csv", "md", "tex", "html"):
            assert (results / "tables" / f"{table}.{suffix}").stat().st_size > 0
    assert (results / "report/index.html").stat().st_size > 10_000


def test_our_side_of_the_table_counts_clips_frames_and_seeds(finished: Path):
    table = pd.read_csv(finished / "results/tiny/tables/hmmr-2.csv")
    ours = table[table["ours"].notna()]
    missing = table[table["ours"].isna()]
    assert len(table[table["printed"].notna()]) == 24
    assert (missing["note"].str.contains("pending")).all()
    assert (ours[["clips", "frames", "seeds"]] > 0).all().all()


def test_a_second_run_does_nothing(finished: Path, snakemake: Run):
    result = snakemake(finished, "--cores", "2")
    assert "Nothing to be done" in result.stderr + result.stdout


def test_a_deleted_file_reruns_only_what_depends_on_it(finished: Path, snakemake: Run):
    path = finished / "results/tiny/tracks/insta-mini/insta-mini-0000.parquet"
    content = path.read_bytes()
    path.unlink()
    planned = jobs(snakemake(finished, "--cores", "1", "-n").stdout)
    path.write_bytes(content)
    assert {"track", "curate", "label"} <= planned
    assert not planned & {"body", "motions", "render", "fetch", "detect", "train"}


def test_a_changed_key_reruns_only_its_readers(finished: Path, snakemake: Run):
    dry = snakemake(finished, "--cores", "1", "-n", "--config", "evaluation={bootstrap_samples: 51}")
    assert jobs(dry.stdout) == {"smooth", "evaluate", "table", "claims", "overlays", "report"}


def test_the_chain_from_a_table_reaches_the_videos(finished: Path):
    from moviestrip.provenance import chain

    links = chain(finished / "results/tiny/tables/hmmr-2.csv")
    assert {"table", "scores", "predictions", "train", "features", "labels"} <= {link.stage for link in links}
    assert all(link.intact for link in links)


@pytest.mark.parametrize("stage", ["predict", "evaluate"])
def test_a_stage_run_by_hand_writes_what_the_workflow_wrote(finished: Path, repository: Path, stage: str):
    run = finished / "results/tiny"
    before = {path: digest_file(path) for path in run.rglob("*.parquet")}
    files = ["--config", str(repository / "config.yaml"), "--config", str(finished / "tiny.yaml")]
    by_hand = [sys.executable, "-m", "moviestrip.cli", stage, "contextual", "0", "--run", str(run), *files]
    times = {path: path.stat().st_mtime_ns for path in run.rglob("*.parquet")}
    subprocess.run(by_hand, check=True, capture_output=True)
    written = [path for path, time_ns in times.items() if path.stat().st_mtime_ns != time_ns]
    for path in written:  # so that the workflow still finds nothing to do
        os.utime(path, ns=(times[path], times[path]))
    assert len(written) == 3
    assert all(digest_file(path) == before[path] for path in written)


@pytest.mark.slow
def test_two_runs_from_scratch_give_identical_tables(finished: Path, tmp_path: Path, repository, snakemake: Run):
    folder = workplace(tmp_path, repository)
    assert snakemake(folder, "--cores", "2").returncode == 0
    assert digests(folder) == digests(finished)


@pytest.mark.slow
@pytest.mark.faults
def test_fault_01_a_workflow_killed_again_and_again_ends_in_the_same_tables(
    finished: Path, tmp_path: Path, repository: Path, snakemake: Run
):
    folder = workplace(tmp_path, repository)
    for seconds in (6, 14, 10, 18, 12, 9):
        process = subprocess.Popen(
            command(repository, folder, "--cores", "2"), cwd=folder, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    result = snakemake(folder, "--cores", "2")
    assert result.returncode == 0, result.stderr[-4000:]
    assert digests(folder) == digests(finished)
