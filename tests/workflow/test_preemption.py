"""A training of the real workflow, asked to stop: Snakemake tries again, and the models are those of a quiet run."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from moviestrip.storage import digest_of
from tests.workflow.tiny_run import command

LONGER = {"scale": {"steps": 300, "validate_every_steps": 25}}
MODEL = "results/tiny/models/single-view/seed-0"


def training_in(folder: Path) -> int | None:
    """The process that trains in a folder, once it does: signals to whatever Snakemake started would reach it too."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().split(b"\0")
            here = (process / "cwd").resolve() == folder.resolve()
        except OSError:  # gone meanwhile
            continue
        if here and b"train" in arguments and b"python" in arguments[0]:
            return int(process.name)
    return None


@pytest.mark.slow
@pytest.mark.workflow
@pytest.mark.faults
def test_fault_22_a_training_that_makes_room_is_tried_again_and_loses_nothing(
    tmp_path: Path, finished: Path, repository: Path, snakemake: Callable[..., subprocess.CompletedProcess]
):
    left = []
    for name, requests in (("quiet", 0), ("asked", 2)):
        folder = tmp_path / name
        subprocess.run(["cp", "-a", finished, folder], check=True)
        (folder / "longer.yaml").write_text(yaml.safe_dump(LONGER))
        arguments = ["--configfile", str(folder / "tiny.yaml"), str(folder / "longer.yaml")]
        whole = [
            *command(repository, folder)[:-2],
            *arguments,
            "--cores",
            "1",
            "--retries",
            "2",
            f"{MODEL}/checkpoint.pt",
        ]
        with (folder / "said").open("w") as said:
            run = subprocess.Popen(whole, cwd=folder, stdout=said, stderr=said)
        for _ in range(requests):
            ask_once_saved(folder, run)
        assert run.wait(timeout=300) == 0, (folder / "said").read_text()[-4000:]
        left.append({file: digest_of(folder / MODEL / file) for file in ("checkpoint.pt", "log.parquet")})
        assert not (folder / MODEL / "last.pt").exists()
    assert (tmp_path / "asked" / "said").read_text().count("Trying to restart job") == 2
    assert left[0] == left[1]


def ask_once_saved(folder: Path, run: subprocess.Popen) -> None:
    """SIGTERM to a training that has already saved what it did."""
    before = {path.stat().st_mtime_ns for path in (folder / MODEL).glob("last.pt")}
    while {path.stat().st_mtime_ns for path in (folder / MODEL).glob("last.pt")} <= before:
        assert run.poll() is None, (folder / "said").read_text()[-4000:]
        time.sleep(0.01)
    process = training_in(folder)
    assert process is not None
    os.kill(process, signal.SIGTERM)
    while Path(f"/proc/{process}").exists():
        time.sleep(0.01)
