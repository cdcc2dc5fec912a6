"""`moviestrip status` against what Snakemake itself says of a run."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from moviestrip.config import load_config, load_dataset, load_variants
from moviestrip.layout import RunFolder
from moviestrip.papers.workload import Workload
from moviestrip.status import status_of

Listed = set[tuple[str, str, str]]  # output, rule, log


def listed_by_snakemake(text: str) -> Listed:
    """From `snakemake --summary`; marks that a dataset is complete are no work, and an import has a rule a backbone."""
    found = set()
    for row in list(csv.reader(text.splitlines(), delimiter="\t"))[1:]:
        rule = "import_features" if row[2].startswith("import_features_of") else row[2]
        if not rule.startswith("all_"):
            found.add((row[0], rule, row[3]))
    return found


def planned_here(workload: Workload) -> Listed:
    return {
        (str(output), job.stage.replace("-", "_"), str(job.log) if job.log.is_file() else "-")
        for job in workload.jobs()
        for output in job.outputs
    }


def workload_of(repository: Path, files: list[Path], run: Path) -> Workload:
    config, folder = load_config(files), repository / "config"
    datasets = {name: load_dataset(name, folder) for name in config.datasets}
    return Workload(config, datasets, load_variants(config, folder, datasets), RunFolder(run))


def test_the_same_files_are_planned_as_by_snakemake(finished: Path, repository: Path, snakemake, monkeypatch):
    found = snakemake(finished, "--summary")
    assert found.returncode == 0, found.stderr
    monkeypatch.chdir(finished)
    workload = workload_of(repository, [Path("config.yaml"), Path("tiny.yaml")], Path("results/tiny"))
    assert planned_here(workload) == listed_by_snakemake(found.stdout)


@pytest.mark.slow
def test_the_same_files_are_planned_of_every_variant_and_table(tmp_path: Path, repository: Path, monkeypatch):
    """Forecasts, motion priors and occluded copies among them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more.yaml").write_text("motion_priors: [mposer, vposer]\n")
    files = [repository / "config.yaml", Path("more.yaml")]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(repository / "Snakefile"), "--summary"]
    found = subprocess.run([*command, "--configfile", *map(str, files)], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    listed = listed_by_snakemake(found.stdout)
    assert planned_here(workload_of(repository, files, Path("results/miniature"))) == listed
    assert len(listed) > 1000


def test_half_a_run(finished: Path, repository: Path, tmp_path: Path):
    """Of a finished run some files are gone: what is left is counted, and nothing is at work."""
    shutil.copytree(finished, tmp_path / "half", copy_function=shutil.copy2)
    run = RunFolder(tmp_path / "half" / "results" / "tiny")
    workload = workload_of(repository, [finished / "config.yaml", finished / "tiny.yaml"], run.root)
    whole = status_of(workload)
    assert whole.count("done") == len(whole.jobs)
    assert whole.activity.state == "ended"
    assert sum(row.checked_rows for row in whole.stages if row.stage == "fetch") > 0
    run.checkpoint("contextual", 0).unlink()
    shutil.rmtree(run.figures / "overlays")
    half = status_of(workload)
    assert {job.job.stage for job in half.in_state("waiting")} == {"train", "overlays"}
    assert half.count("done") == len(half.jobs) - 2
    command = [sys.executable, "-m", "moviestrip.cli", "status", "--run", str(run.root), "--json", "--stage", "train"]
    configs = ["--config", str(repository / "config.yaml"), "--config", str(finished / "tiny.yaml")]
    answer = subprocess.run([*command, *configs], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout)["jobs"]["waiting"] == 1
