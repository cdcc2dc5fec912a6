"""A world so small that all its stages pass in about a minute, run by Snakemake in a temporary folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

TINY = {
    "name": "tiny",
    "datasets": ["studio", "gym", "court", "insta-mini"],
    "variants": ["single-view", "single-view-gaussian", "contextual"],
    "motion_priors": [],
    "tables": ["hmmr-1", "hmmr-2"],
    "rendering": {"frames_scale": 0.01, "clip_frames": 40},
    "curation": {"minimum_frames": 24},
    "detector": {"finder": "blazepose"},
    "features": {"augmented_copies": 0},
    "scale": {
        "width": 32, "regressor_width": 32, "steps": 8, "temporal_steps": 4, "batch_clips": 2, "validate_every_steps": 4
    },
    "evaluation": {"bootstrap_samples": 50},
    "report": {"overlay_clips": 1},
}  # fmt: skip

Run = Callable[..., subprocess.CompletedProcess]


def workplace(folder: Path, repository: Path) -> Path:
    """A folder with the configuration, as a user's would be."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(repository / "config.yaml", folder)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    return folder


def command(repository: Path, folder: Path, *arguments: str) -> list[str]:
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(repository / "Snakefile")]
    return [*snakemake, "--directory", str(folder), "--configfile", str(folder / "tiny.yaml"), *arguments]


@pytest.fixture(scope="session")
def snakemake(repository: Path) -> Run:
    """Run Snakemake in a folder: (folder, *arguments) -> the finished process."""

    def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            command(repository, folder, *arguments), cwd=folder, env=environment, capture_output=True, text=True
        )

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, repository: Path, free_body: Path, snakemake: Run) -> Path:
    """The folder of a finished run of the tiny world."""
    folder = workplace(tmp_path_factory.mktemp("workflow") / "finished", repository)
    result = snakemake(folder, "--cores", "2")
    assert result.returncode == 0, result.stderr[-4000:]
    return folder
