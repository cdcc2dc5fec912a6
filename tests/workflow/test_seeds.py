"""The same configuration under another seed: a run of its own, beside the first, that can be compared with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from moviestrip.config import load_config, load_dataset
from moviestrip.world.plan import plan_videos
from tests.workflow.conftest import Run
from tests.workflow.tiny_run import workplace

pytestmark = pytest.mark.workflow

SEED_1 = ("--config", "seed=1", "name=tiny-seed-1")


def planned_videos(root: Path) -> dict[str, dict]:
    files = sorted((root / "plan").rglob("*.json"))
    return {video["video_id"]: video for file in files for video in json.loads(file.read_text())["videos"]}


def test_another_seed_plans_other_videos_in_a_folder_of_its_own(tmp_path: Path, repository: Path, snakemake: Run):
    folder = workplace(tmp_path / "seeds", repository)
    listed = snakemake(folder, "--summary", *SEED_1)
    assert listed.returncode == 0, listed.stderr[-4000:]
    outputs = [line.split("\t")[0] for line in listed.stdout.splitlines() if line.startswith("results")]
    assert len(outputs) > 50 and all(output.startswith("results/tiny-seed-1/") for output in outputs)
    assert [path.name for path in (folder / "results").iterdir()] == ["tiny-seed-1"]
    theirs = planned_videos(folder / "results" / "tiny-seed-1")
    config = load_config([folder / "config.yaml", folder / "tiny.yaml"])
    datasets = {name: load_dataset(name, repository / "config") for name in config.datasets}
    ours = [spec for name, each in datasets.items() for spec in plan_videos(name, each, config.rendering, config.seed)]
    assert len(ours) == len(theirs) and not {spec.video_id for spec in ours} & theirs.keys()
    assert {spec.seed for spec in ours}.isdisjoint(video["seed"] for video in theirs.values())


@pytest.mark.slow
def test_runs_of_two_seeds_share_no_file_and_are_compared(finished: Path, snakemake: Run):
    first = finished / "results" / "tiny"
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*") if path.is_file()}
    made = snakemake(finished, "--cores", "2", "results/tiny-seed-1/claims.csv", *SEED_1)
    assert made.returncode == 0, made.stderr[-4000:]
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*") if path.is_file()} == before
    second = finished / "results" / "tiny-seed-1"
    read = [each["path"] for file in second.rglob("*.provenance.json") for each in inputs_of(file)]
    assert read and not [path for path in read if "results/tiny/" in os.path.normpath(path)]
    assert (second / "world/motions.parquet").read_bytes() != (first / "world/motions.parquet").read_bytes()
    program = str(Path(sys.executable).with_name("moviestrip"))
    compared = subprocess.run([program, "claims", "compare", str(first), str(second)], capture_output=True, text=True)
    assert compared.returncode == 0, compared.stderr
    assert "claims are judged in every run" in compared.stdout


def inputs_of(record: Path) -> list[dict]:
    return list(json.loads(record.read_text())["inputs"].values())
