"""The preset for a GPU or a cluster: what its header says it costs, and that it is planned in less than a minute."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from moviestrip.config import RenderedSource, load_config, load_dataset, load_variants
from moviestrip.world.plan import plan_videos

FILES = ("config.yaml", "config/full.yaml")


def test_its_header_counts_what_it_asks_for(repository: Path):
    config = load_config([repository / name for name in FILES])
    datasets = {name: load_dataset(name, repository / "config") for name in config.datasets}
    rendered = {name: each for name, each in datasets.items() if isinstance(each.source, RenderedSource)}
    videos = [video for name, each in rendered.items() for video in plan_videos(name, each, config.rendering, 0)]
    variants = load_variants(config, repository / "config", datasets).values()
    trainings = sum(variant.is_trained for variant in variants) * len(config.training_seeds)
    header = (repository / "config/full.yaml").read_text()
    frames = sum(video.n_frames for video in videos)
    assert f"{len(videos):,} videos, {frames:,} frames ({frames / 25 / 3600:.1f} hours)" in header
    assert f"{trainings} of them trainings" in header


@pytest.mark.slow
@pytest.mark.workflow
def test_it_is_planned_in_less_than_a_minute(repository: Path, tmp_path: Path):
    shutil.copy(repository / "config.yaml", tmp_path)
    files = ["config.yaml", *(str(repository / name) for name in FILES[1:])]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(repository / "Snakefile")]
    with (tmp_path / "said").open("w+") as said:
        process = subprocess.Popen(
            [*command, "--configfile", *files, "--cores", "1", "-n", "--quiet", "rules"],
            cwd=tmp_path, stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    output = (tmp_path / "said").read_text()
    assert process.returncode == 0, output[-3000:]
    jobs = re.search(r"^total\s+(\d+)$", output, flags=re.MULTILINE)
    assert jobs is not None
    print(f"{jobs[1]} jobs, {usage.ru_utime + usage.ru_stime:.1f} s of processor")
    assert 900 < int(jobs[1]) < 1300
    assert usage.ru_utime + usage.ru_stime < 60
