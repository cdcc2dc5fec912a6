"""Snakemake in a temporary folder."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.tiny_run import TinyRun, command

Run = Callable[..., subprocess.CompletedProcess]


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
def finished(under_way: TinyRun) -> Path:
    """The folder of a finished run of the tiny world, which was started before the first test of all."""
    under_way.wait()
    return under_way.folder


@pytest.fixture(scope="session")
def imports(under_way: TinyRun) -> Path:
    """Of that run, a file for each command with the names of what it imported."""
    under_way.wait()
    return under_way.imports
