"""How long and how much memory it takes to plan datasets as long as the papers', with every model and every table.

A list of so many links beside the miniature world, learnt from by every variant that learns from InstaVariety. Then the
same once everything is there: empty files in the places of the outputs, with what Snakemake would have written down.

    python -m benchmarks.scale 1000 28272 100000:256   # 256 videos a shard; else what fills `shards.minutes`
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
DATASET = {
    "role": "pseudo2d", "title": "Found", "licence": "of a test", "supervision": "pseudo_2d", "tube": "tracks",
    "split": "train", "stands_for": "instavariety",
    "source": {"kind": "links", "people": 3, "lists": [{"kind": "table", "path": "links.csv"}]},
}  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """A run of Snakemake.

    Attributes:
        jobs: that it counts; 0 where nothing is to be done.
    """

    returncode: int
    output: str
    jobs: int
    wall_s: float
    processor_s: float
    peak_mb: float


def make_place(folder: Path, links: int, config: Mapping[str, Any]) -> None:
    """A project's folder: what Snakemake reads, a configuration on top of the default one, and a list of links."""
    for name in ("Snakefile", "workflow"):
        (folder / name).symlink_to(REPOSITORY / name)
    for file in (REPOSITORY / "config").glob("*/*.yaml"):
        target = folder / "config" / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    (folder / "config.yaml").write_bytes((REPOSITORY / "config.yaml").read_bytes())
    (folder / "own.yaml").write_text(yaml.safe_dump(dict(config)))
    (folder / "config/datasets/found.yaml").write_text(yaml.safe_dump(DATASET))
    write_links(folder, links)


def write_links(folder: Path, links: int) -> None:
    lines = [f"http://127.0.0.1:9/tag{number % 92}/{number:08d}_n.mp4" for number in range(links)]
    (folder / "links.csv").write_text("\n".join(["url", *lines, ""]))


AS_IT_IS = ["-m", "snakemake"]
# Snakemake sleeps a tenth of a second after every job whose files it touches.
WITHOUT_SLEEP = [
    "-c", "import snakemake.executors.touch as touch; touch.time.sleep = lambda seconds: None\n"
    "from snakemake.cli import main; main()",
]  # fmt: skip


def snakemake(folder: Path, *arguments: str, program: Sequence[str] = AS_IT_IS) -> Planned:
    """Run Snakemake in such a folder, and ask the system what it took."""
    fixed = ["--snakefile", "Snakefile", "--configfile", "config.yaml", "own.yaml", "--cores", "1"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, *program, *fixed, *arguments],
            cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        output = said.read()
    total = re.search(r"^total\s+(\d+)$", output, flags=re.MULTILINE)
    jobs = int(total[1]) if total else 0
    wall_s, processor_s = time.monotonic() - started, usage.ru_utime + usage.ru_stime
    return Planned(process.returncode, output, jobs, wall_s, processor_s, usage.ru_maxrss / 1024)


def pretend_finished(folder: Path, targets: Sequence[str] = ()) -> None:
    """Put an empty file in the place of every output and let Snakemake write down that its jobs have made them."""
    listed = snakemake(folder, "--summary", *targets)
    assert listed.returncode == 0, listed.output[-3000:]
    for line in listed.output.splitlines():
        if line.startswith("results/"):
            _put(folder / line.split("\t")[0])
    touched = snakemake(folder, "--touch", "--forceall", "--cores", "256", *targets, program=WITHOUT_SLEEP)
    assert touched.returncode == 0, touched.output[-3000:]


def _put(path: Path) -> None:
    """A folder where the workflow has one: what has no suffix."""
    (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.touch()


def every_model(shard_videos: int | None = None) -> dict[str, Any]:
    """The configuration of all variants and tables, in which the list of links is one dataset more."""
    default = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    return {"name": "scale", "datasets": [*default["datasets"], "found"], "fetch": {"shard_videos": shard_videos}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("links", nargs="*", default=["1000", "28272"], help="how many, or how many:videos a shard")
    print("| links | shards | jobs | plan, s | processor, s | MB | nothing to do, s | processor, s | MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for asked in parser.parse_args().links:
        links, _, given = asked.partition(":")
        size = int(given) if given else None
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            make_place(folder, int(links), every_model(size))
            first = snakemake(folder, "-n", "--quiet", "rules")
            pretend_finished(folder)
            second = snakemake(folder, "-n", "--quiet", "rules")
            shards = len(list(folder.glob("results/scale/plan/found/*.json")))
        assert first.returncode == second.returncode == 0 and second.jobs == 0, second.output[-3000:]
        figures = [f"{each.wall_s:.0f} | {each.processor_s:.0f} | {each.peak_mb:.0f}" for each in (first, second)]
        print(f"| {int(links):,} | {shards} | {first.jobs:,} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
