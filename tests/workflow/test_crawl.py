"""A list of 28,272 links, as long as InstaVariety's, of a host that misbehaves: planned, fetched, killed, resumed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import pytest
import yaml

from moviestrip.config import PackageSource, load_dataset
from moviestrip.curate.clips import selected
from moviestrip.layout import RunFolder
from moviestrip.parts import extract_member, fetch_package
from moviestrip.tables import ATTRIBUTES, CLIPS, DETECTIONS, LABELS, VIDEOS, read_table, read_tables
from moviestrip.video.decode import Image, frames
from moviestrip.video.fetch import video_id_of
from tests.workflow.crowd import Crowd, crowd, outcome_of

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

LINKS, FETCHED, DETECTED, A_SHARD = 28_272, 2_048, 128, 64
PARTS, PART_FRAMES, SIZE_PX = 12, 16, (320, 180)
DATASET = {
    "role": "pseudo2d", "title": "Crowd", "licence": "of a test", "supervision": "pseudo_2d", "tube": "tracks",
    "split": "train",
    "source": {"kind": "links", "people": 1, "lists": [{"kind": "table", "path": "links.csv"}]},
}  # fmt: skip
CONFIG = {
    "name": "crowd", "datasets": ["crowd"], "variants": [], "motion_priors": [], "tables": ["hmmr-1"],
    "fetch": {
        "private_addresses": "loopback", "seconds_between_requests": 0, "attempts": 2, "maximum_megabytes": 2,
        "longest_wait_s": 5, "shard_videos": A_SHARD,
    },
    "curation": {"minimum_frames": 10, "minimum_person_height_px": 40}, "detector": {"finder": "blazepose"},
}  # fmt: skip


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> list[Path]:
    """A dozen short parts of a real video."""
    source = load_dataset("sports2d-demo", repository / "config").source
    assert isinstance(source, PackageSource)
    file = source.files[0]
    film = extract_member(fetch_package(source.requirement, source.sha256), file.path, file.sha256)
    folder, images = tmp_path_factory.mktemp("parts"), frames(film)
    return [_part(folder / f"{number}.mp4", images) for number in range(PARTS)]


def _part(path: Path, images: Iterator[Image]) -> Path:
    shown = [cv2.resize(next(images), SIZE_PX, interpolation=cv2.INTER_AREA) for _ in range(PART_FRAMES)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE_PX, "yuv420p"
        for image in shown:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def host(videos: list[Path]) -> Iterator[Crowd]:
    with crowd(videos) as server:
        yield server


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, repository: Path, host: Crowd) -> Path:
    """A project's folder with the list, beside a copy of what Snakemake reads."""
    folder = tmp_path_factory.mktemp("crawl")
    for name in ("Snakefile", "workflow"):
        (folder / name).symlink_to(repository / name)
    (folder / "config/datasets").mkdir(parents=True)
    for file in (repository / "config").glob("*/*.yaml"):
        target = folder / "config" / file.parent.name / file.name
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(file)
    (folder / "config.yaml").write_text((repository / "config.yaml").read_text())
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    (folder / "config/datasets/crowd.yaml").write_text(yaml.safe_dump(DATASET))
    lines = [f"{host.address}/tag{number % 92}/{number:08d}_n.mp4" for number in range(LINKS)]
    (folder / "links.csv").write_text("url\n" + "\n".join(lines) + "\n")
    return folder


def snakemake_in(place: Path, *arguments: str) -> list[str]:
    fixed = ["--snakefile", "Snakefile", "--configfile", "config.yaml", "tiny.yaml", "--cores", "2"]
    return [sys.executable, "-m", "snakemake", *fixed, *arguments]


def run_in(place: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        snakemake_in(place, *arguments), cwd=place, env=environment, capture_output=True, text=True, timeout=1800
    )


def tables_of(kind: str, shards: range) -> list[str]:
    return [f"results/crowd/{kind}/crowd/crowd-{number:04d}.parquet" for number in shards]


def test_the_plan_of_all_links_is_quick_and_small(place: Path):
    started = time.monotonic()
    planned = run_in(place, "-n", "--quiet", "rules")
    seconds = time.monotonic() - started
    assert planned.returncode == 0, planned.stderr[-3000:]
    shards = RunFolder(place / "results/crowd").shards("crowd")
    assert len(shards) == -(-LINKS // A_SHARD)
    counted = re.search(r"^total\s+(\d+)$", planned.stdout + planned.stderr, flags=re.MULTILINE)
    assert counted is not None
    print(f"{counted[1]} jobs planned in {seconds:.1f} s")
    assert int(counted[1]) < 10_000


@pytest.mark.faults
def test_fetching_is_killed_twice_and_ends_with_every_row_accounted_for(place: Path, host: Crowd):
    wanted = tables_of("videos", range(FETCHED // A_SHARD))
    for enough in (FETCHED // 5, FETCHED // 2):
        kill_when(place, host, enough, wanted)
    finished = run_in(place, *wanted, "--rerun-incomplete", "--nolock")
    assert finished.returncode == 0, finished.stderr[-3000:]
    found = read_tables([place / path for path in wanted], VIDEOS)
    assert len(found) == FETCHED
    paths = {url: url.removeprefix(host.address) for url in found["source"]}
    expected = {video_id_of(url): outcome_of(path) for url, path in paths.items()}
    assert dict(zip(found["video_id"], found["status"], strict=True)) == expected
    assert (found.loc[found["status"] != "ok", "reason"] != "").all()
    whole = {path: host.served_whole[path] for url, path in paths.items() if expected[video_id_of(url)] == "ok"}
    interrupted = {path: times for path, times in whole.items() if times != 1}
    assert len(interrupted) <= 2 * 2 * 8, "more than what was under way when it was killed"
    assert all(times <= 3 for times in interrupted.values())
    files = [place / "results/crowd" / path for path in found.loc[found["status"] == "ok", "path"]]
    assert all(file.is_file() for file in files)
    assert not list((place / "results/downloads").rglob("*.partial*")) or "transient" in set(found["status"])


def kill_when(place: Path, host: Crowd, enough: int, wanted: list[str]) -> None:
    """Start Snakemake and kill it, and all it started, once the host has served enough videos."""
    log = (place / "killed.log").open("ab")
    process = subprocess.Popen(
        snakemake_in(place, *wanted, "--rerun-incomplete", "--nolock"),
        cwd=place, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 900
    while sum(host.served_whole.values()) < enough:
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_second_run_asks_only_those_who_were_busy(place: Path, host: Crowd):
    wanted = tables_of("videos", range(FETCHED // A_SHARD))
    before = dict(host.asked)
    again = run_in(place, *wanted, "--nolock")
    assert again.returncode == 0, again.stderr[-3000:]
    asked = {path for path, times in host.asked.items() if times != before.get(path, 0)}
    assert asked and {outcome_of(path) for path in asked} == {"transient"}


def test_what_was_fetched_becomes_clips(place: Path):
    shards = range(DETECTED // A_SHARD)
    wanted = [file for kind in ("labels", "appearance") for file in tables_of(kind, shards)]
    finished = run_in(place, *wanted, "--nolock", "--allowed-rules", "detect", "shots", "track", "curate", "key_frames",
                      "appearance", "label")  # fmt: skip
    assert finished.returncode == 0, finished.stderr[-3000:]
    run = RunFolder(place / "results/crowd")
    names = [f"crowd-{number:04d}" for number in shards]
    videos = read_tables([run.videos("crowd", name) for name in names], VIDEOS)
    seen = read_tables([run.detections("crowd", name) for name in names], DETECTIONS)
    assert (videos["status"] == "ok").sum() >= 100
    assert seen["video_id"].nunique() >= 0.8 * (videos["status"] == "ok").sum()
    clips = read_tables([run.clips("crowd", name) for name in names], CLIPS)
    verdicts = read_tables([file for name in names for file in run.verdicts("crowd", name)], ATTRIBUTES)
    repeated = verdicts[(verdicts["filter"] == "near_duplicate") & ~verdicts["passed"].astype(bool)]
    used = selected(clips, verdicts)["video_id"].nunique()
    assert len(repeated) > 50 and 0 < used <= PARTS, "the host has a dozen videos, whatever their addresses"
    assert not read_table(run.labels("crowd", names[0]), LABELS).empty
