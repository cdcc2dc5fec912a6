"""`moviestrip status` on folders as a run and a real Snakemake leave them."""

import base64
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from moviestrip.config import load_config, load_dataset, load_variants
from moviestrip.layout import RunFolder
from moviestrip.papers.workload import STAGES, Workload
from moviestrip.status.count import Status, jobs_a_minute, status_of, statuses
from moviestrip.status.progress import progress_of
from moviestrip.status.show import as_json, in_bytes, in_time, page
from moviestrip.storage import write_json
from moviestrip.tables import TRAINING_LOG, VIDEOS, write_table

SMALL = ["config.yaml", "config/smoke.yaml"]
EVERYTHING = ["config.yaml"]
VIDEOS_A_SHARD = 64


def videos(shard: str, bad: int = 0) -> pd.DataFrame:
    """A shard's table of videos, some of which cannot be used."""
    rows = [{"video_id": f"{shard}-{number}", "status": "ok"} for number in range(VIDEOS_A_SHARD)]
    for row in rows[:bad]:
        row["status"] = "permanent"
    texts = dict.fromkeys(("dataset", "shard", "split", "subject", "action", "source", "path", "sha256", "reason"), "")
    numbers = dict.fromkeys(("width_px", "height_px", "fps", "n_frames"), 0)
    camera = {column.name: None for column in VIDEOS.columns if column.name.startswith("camera")}
    return pd.DataFrame(rows).assign(**texts, **numbers, **camera)


@pytest.fixture
def planned(repository: Path, tmp_path: Path) -> Callable[..., Workload]:
    """A run's folder with planned shards: (configuration files, shards of insta-mini) -> its workload."""

    def plan(files: list[str], shards: int) -> Workload:
        config = load_config([repository / file for file in files])
        folder = repository / "config"
        datasets = {name: load_dataset(name, folder) for name in config.datasets}
        run = RunFolder(tmp_path / "results" / "some")
        for name in datasets:
            for number in range(shards if name == "insta-mini" else 1):
                write_json(run.plan(name, f"{name}-{number:04d}"), {"videos": []})
        return Workload(config, datasets, load_variants(config, folder, datasets), run)

    return plan


def make(workload: Workload, *stages: str, bad: int = 0) -> None:
    """Leave the outputs of all jobs of some stages, as one link to the same bytes a file."""
    root = workload.run.root
    plain, table = root.parent / "plain", root.parent / "videos.parquet"
    plain.write_bytes(b"x" * 1000)
    write_table(table, videos("some", bad), VIDEOS)
    for job in workload.jobs():
        for output in job.outputs if job.stage in stages else ():
            output.parent.mkdir(parents=True, exist_ok=True)
            os.link(table if output.parent.parent.name in ("videos", "answers") else plain, output)


def row_of(status: Status, stage: str):
    return next(row for row in status.stages if row.stage == stage)


def shown(status: Status, workload: Workload, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(page(status, workload, "snakemake --cores N", every_subject=False, with_bars=False))
    return captured.get()


def test_nothing_is_done_of_a_run_that_is_only_planned(planned):
    workload = planned(SMALL, shards=3)
    status = status_of(workload)
    assert status.count("done") == 0
    assert status.count("waiting") == len(workload.jobs()) == len(status.jobs)
    assert row_of(status, "detect").jobs == 3
    assert "to go on: snakemake --cores N" in shown(status, workload)


def test_done_are_jobs_with_all_their_files(planned):
    workload = planned(SMALL, shards=3)
    make(workload, "fetch", "detect")
    workload.run.detections("insta-mini", "insta-mini-0001").unlink()
    detect = row_of(status_of(workload), "detect")
    assert (detect.counts["done"], detect.counts["waiting"]) == (2, 1)
    assert row_of(status_of(workload, stage="fetch"), "fetch").is_done


def test_a_whole_run_leaves_nothing_to_do(planned):
    workload = planned(EVERYTHING, shards=2)
    make(workload, *STAGES)
    status = status_of(workload)
    assert all(row.is_done for row in status.stages)
    assert "to go on" not in shown(status, workload)


def test_videos_that_cannot_be_used_are_counted_by_reason(planned):
    workload = planned(SMALL, shards=2)
    make(workload, "fetch", bad=3)
    status = status_of(workload, dataset="insta-mini")
    fetch = row_of(status, "fetch")
    assert fetch.bad_rows == {"permanent": 6}
    assert fetch.checked_rows == 2 * VIDEOS_A_SHARD
    assert "fetch insta-mini: 6 permanent, of 128 videos" in shown(status, workload)


def test_a_damaged_table_is_one_bad_row(tmp_path: Path):
    (tmp_path / "videos.parquet").write_bytes(b"PAR1 and nothing more")
    assert statuses(tmp_path / "videos.parquet") == {"damaged table": 1}


@pytest.mark.parametrize("bad", [0, 1, VIDEOS_A_SHARD])
def test_statuses_are_those_of_the_table(tmp_path: Path, bad: int):
    write_table(tmp_path / "videos.parquet", videos("some", bad), VIDEOS)
    counts = pd.read_parquet(tmp_path / "videos.parquet")["status"].value_counts().to_dict()
    assert statuses(tmp_path / "videos.parquet") == counts


def test_the_rate_is_that_of_the_jobs_finished_last():
    assert jobs_a_minute([100.0], None) is None
    assert jobs_a_minute([100.0, 100.0], None) is None  # one copy of a folder
    assert jobs_a_minute([0, 30, 60, 90], None) == pytest.approx(2)
    assert jobs_a_minute([*range(0, 6000, 600), *range(10_000, 10_100)], None) == pytest.approx(60)
    assert jobs_a_minute([0, 30, 60, 90], now_s=90 + 30) == pytest.approx(2)
    assert jobs_a_minute([0, 30, 60, 90], now_s=90 + 310) == pytest.approx(0.6)  # something is stuck


def test_a_training_tells_its_step_its_loss_and_what_is_left(planned):
    workload = planned(SMALL, shards=1)
    job = next(job for job in workload.jobs() if job.stage == "train")
    steps = workload.steps_of(job.subject)
    job.log.parent.mkdir(parents=True)
    job.log.write_text(f"training {job.subject}: 10 of {steps - 40}, 30 s left\nsomething else\n")
    rows = pd.DataFrame([(40, "total", 0.5), (40, "keypoints", 0.4)], columns=["step", "loss", "value"])
    write_table(workload.run.training_log(job.subject, 0), rows, TRAINING_LOG)
    found = progress_of(job, workload)
    assert (found.done, found.total, found.left_s, found.loss) == (50, steps, 30, 0.5)
    job.log.unlink()
    assert progress_of(job, workload).done == 40  # the table alone


SNAKEFILE = """
rule all:
    input:
        "results/some/shots/insta-mini/insta-mini-0000.parquet",
        "results/some/tracks/insta-mini/insta-mini-0000.parquet",
rule shots:
    output: "results/some/shots/insta-mini/insta-mini-0000.parquet"
    log: "results/some/logs/shots/insta-mini/insta-mini-0000.log"
    shell: "echo 'moviestrip: videos: broken; fetch it again' > {log}; exit 3"
rule track:
    output: "results/some/tracks/insta-mini/insta-mini-0000.parquet"
    log: "results/some/logs/track/insta-mini/insta-mini-0000.log"
    shell: "echo 'track: 3 of 12, 36 s left' > {log}; touch {output}; sleep 60"
"""


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A Snakemake of which one job has failed and one is running."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    snakemake = [sys.executable, "-m", "snakemake", "--cores", "2", "--keep-going", "--nolock", "--quiet", "host"]
    process = subprocess.Popen(snakemake, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    yield process
    with contextlib.suppress(ProcessLookupError):  # the test has ended it
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until(question: Callable[[], Status], holds: Callable[[Status], bool], seconds: float = 40) -> Status:
    end = time.monotonic() + seconds
    while not holds(status := question()):
        assert time.monotonic() < end, [row for row in status.subjects if row.subject == "insta-mini"]
        time.sleep(0.3)
    return status


def test_what_runs_what_failed_and_what_was_killed(planned, at_work: subprocess.Popen):
    workload = planned(SMALL, shards=1)
    make(workload, "fetch", "detect")
    work = until(lambda: status_of(workload), lambda status: bool(status.count("running") and status.count("failed")))
    assert work.activity.state == "running"
    assert [job.job.stage for job in work.in_state("running")] == ["track"]
    assert [job.job.stage for job in work.in_state("failed")] == ["shots"]
    text = " ".join(shown(work, workload).split())
    assert "track insta-mini-0000: for" in text and "3 of 12, 36 s left" in text
    assert "moviestrip: videos: broken; fetch it again" in text
    os.killpg(at_work.pid, signal.SIGKILL)
    at_work.wait()
    dead = until(lambda: status_of(workload), lambda status: status.count("interrupted") == 1, seconds=5)
    assert dead.activity.state == "killed"
    assert [job.job.stage for job in dead.in_state("interrupted")] == ["track"]  # though its file is there
    assert [job.job.stage for job in dead.in_state("failed")] == ["shots"]
    assert "to go on: snakemake --cores 2" in shown(dead, workload)


def left_by_snakemake(workload: Workload, host: str, outputs: list[Path], job_id: str | None, ends: bool) -> None:
    """The log of a Snakemake that was started just now, and a marker for each output, as version 9 writes them."""
    working = workload.run.root.parents[1]
    (working / ".snakemake" / "log").mkdir(parents=True)
    log = working / ".snakemake" / "log" / time.strftime("%Y-%m-%dT%H%M%S.000000.snakemake.log")
    end = "Complete log(s): here\n" if ends else ""
    log.write_text(f"\nSNAKEMAKE\n  Host: {host}\n  Command: snakemake --profile p\n    output: results/some/x\n{end}")
    longest = os.pathconf(working, "PC_NAME_MAX") - 1
    for output in outputs:
        coded = base64.urlsafe_b64encode(str(output.relative_to(working)).encode()).decode()
        parts = [coded[start : start + longest] for start in range(0, len(coded), longest)]
        marker = (working / ".snakemake" / "incomplete").joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(json.dumps({"external_jobid": job_id}))


def test_jobs_in_a_queue_wait_until_they_write_their_log(planned):
    workload = planned(SMALL, shards=2)
    jobs = [job for job in workload.jobs() if job.stage == "detect"]
    left_by_snakemake(workload, "login7", [output for job in jobs for output in job.outputs], "4711", ends=False)
    time.sleep(0.02)
    jobs[0].log.parent.mkdir(parents=True)
    jobs[0].log.touch()
    status = status_of(workload)
    assert status.activity.state == "elsewhere"
    assert (status.count("running"), status.count("queued")) == (1, 1)
    text = shown(status, workload)
    assert "at work on login7" in " ".join(text.split())
    assert "1 in the cluster's queue" in text


def test_a_marker_that_nobody_works_on_is_broken_off(planned):
    workload = planned(SMALL, shards=1)
    job = next(job for job in workload.jobs() if job.stage == "train")
    left_by_snakemake(workload, "login7", list(job.outputs), "4711", ends=True)
    status = status_of(workload)
    assert [each.job.log.name for each in status.in_state("interrupted")] == [job.log.name]
    text = shown(status, workload)
    assert "squeue --jobs 4711" in text
    assert "to go on: snakemake --profile p" in text


def test_names_too_long_for_one_file_are_read(planned, tmp_path: Path):
    workload = planned(SMALL, shards=1)
    run = RunFolder(tmp_path / "results" / "some" / ("d" * 240))
    deep = Workload(workload.config, workload.datasets, workload.variants, run)
    left_by_snakemake(workload, "login7", [run.body], None, ends=False)
    assert [path.name[0] for path in (tmp_path / ".snakemake" / "incomplete").iterdir()] == ["@"]
    status = status_of(deep)
    assert status.activity.state == "none"  # that log is of another run
    assert [job.job.stage for job in status.in_state("interrupted")] == ["body"]


def test_28000_videos_and_all_variants_take_two_seconds(planned):
    workload = planned(EVERYTHING, shards=442)
    make(workload, *STAGES)
    start_s = time.process_time()
    status = status_of(workload)
    text = shown(status, workload)
    took_s = time.process_time() - start_s
    assert len(workload.variants) >= 31
    assert row_of(status, "detect").checked_rows == row_of(status, "detect").jobs * VIDEOS_A_SHARD
    assert row_of(status, "detect").jobs > 442
    assert max(map(len, text.splitlines())) <= 80
    assert took_s < 2, took_s


def test_machines_get_every_number(planned):
    workload = planned(SMALL, shards=2)
    make(workload, "fetch", bad=1)
    left_by_snakemake(workload, "login7", [workload.run.body], None, ends=False)
    found = json.loads(json.dumps(as_json(status_of(workload), workload)))
    assert found["version"] == 1
    assert found["snakemake"]["state"] == "elsewhere"
    assert found["jobs"]["all"] == sum(row["jobs"] for row in found["stages"])
    assert found["jobs"]["running"] == 1 and found["running"][0]["stage"] == "body"
    fetch = next(row for row in found["stages"] if row["stage"] == "fetch")
    assert fetch["bad_rows"] == {"permanent": fetch["jobs"]}
    assert {row["subject"] for row in found["subjects"] if row["stage"] == "fetch"} == set(workload.datasets)


def test_the_command_answers_in_a_pipe(planned, repository: Path, tmp_path: Path):
    workload = planned(SMALL, shards=1)
    run = str(workload.run.root)
    configs = [part for file in SMALL for part in ("--config", str(repository / file))]

    def ask(*options: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "moviestrip.cli", "status", "--run", run, *configs, *options]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    plain = ask()
    assert plain.returncode == 0, plain.stderr
    assert max(map(len, plain.stdout.splitlines())) <= 80
    strange = ask("--stage", "detekt")
    assert strange.returncode == 2
    assert "did you mean 'detect'" in strange.stderr


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (9.88e6, "9.88 MB"), (2.5e12, "2.5 TB")]
)
def test_bytes_have_three_figures(size: float, text: str):
    assert in_bytes(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (720, "12 min"), (12_600, "3.5 h"), (181_440, "2.1 d")])
def test_times_have_two_figures(seconds: float, text: str):
    assert in_time(seconds) == text
