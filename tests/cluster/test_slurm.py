"""A tiny world through a real Slurm on this machine: `make cluster`. Needs root and apt."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
import yaml

from moviestrip.storage import digest_file

pytestmark = pytest.mark.slurm

SLURM = Path(__file__).with_name("slurm.sh")
STATE = Path(os.environ.get("MOVIESTRIP_SLURM", "/tmp/moviestrip-slurm")) / "state"  # what a controller finds again
LEFT_OUT = 77  # the script's word for: there can be no Slurm here
PLUGIN = ["snakemake-executor-plugin-slurm>=2.8,<3", "snakemake-executor-plugin-slurm-jobstep", "throttler"]
TABLES = ["hmmr-1", "hmmr-2"]
WAIT_S = 900
SMOKE_WORLD_S = 3600  # twice what a machine takes whose two cores are busy otherwise
TINY = {
    "name": "tiny",
    "datasets": ["studio", "insta-mini"],
    "train_without": ["penn-action", "nba", "3dpw"],
    "variants": ["single-view"],
    "motion_priors": [],
    "tables": TABLES,
    "rendering": {"frames_scale": 0.01, "clip_frames": 40},
    "curation": {"minimum_frames": 24},
    "detector": {"finder": "blazepose"},
    "features": {"augmented_copies": 0},
    "scale": {"width": 32, "regressor_width": 32, "steps": 8, "batch_clips": 2, "validate_every_steps": 4},
    "evaluation": {"bootstrap_samples": 50},
}  # fmt: skip
# A first attempt too small for any stage, since Snakemake alone takes nearly as much, and a second that is ample.
TOO_SMALL_AT_FIRST = "attempt ** 3 * 500"


@pytest.fixture(scope="session")
def slurm() -> Iterator[Callable[..., str]]:
    """Run Slurm's commands, as long as the tests last: (command, *arguments) -> what it printed."""
    started = subprocess.run([SLURM, "up"], capture_output=True, text=True)
    if started.returncode == LEFT_OUT:
        pytest.skip(started.stderr.strip().splitlines()[-1])
    assert started.returncode == 0, started.stderr

    def ask(*command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout

    yield ask
    subprocess.run([SLURM, "down"], check=True)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment Snakemake runs in, with its plugin for Slurm."""
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        folder = tmp_path_factory.mktemp("plugin")  # beside the environment, since it makes every start slower
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *PLUGIN]
        installed = subprocess.run(install, capture_output=True, text=True)
        if installed.returncode:
            pytest.skip(f"the plugin cannot be had: {installed.stderr.strip().splitlines()[-1]}")
        variables["PYTHONPATH"] = os.pathsep.join([str(folder), *variables.get("PYTHONPATH", "").split(os.pathsep)])
    return variables


@pytest.fixture(scope="session")
def profile(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Callable[[Path], Path]:
    """The repository's profile in a user's hands: an account, a scratch folder, looks every few seconds."""

    def write(scratch: Path) -> Path:
        settings = yaml.safe_load((repository / "workflow/profiles/slurm/config.yaml").read_text())
        settings["slurm-init-seconds-before-status-checks"] = 3
        settings["latency-wait"] = 10
        settings["default-resources"] |= {"slurm_account": "research", "tmpdir": str(scratch)}
        settings["set-resources"]["detect"]["mem_mb"] = TOO_SMALL_AT_FIRST
        folder = tmp_path_factory.mktemp("profile")
        (folder / "config.yaml").write_text(yaml.safe_dump(settings))
        return folder

    return write


def workplace(folder: Path, repository: Path) -> Path:
    folder.mkdir(parents=True)
    shutil.copy(repository / "config.yaml", folder)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    return folder


def command(repository: Path, folder: Path, *arguments: str) -> list[str]:
    tables = [f"results/tiny/tables/{table}.csv" for table in TABLES]
    snakemake = [sys.executable, "-m", "snakemake", *tables, "--snakefile", str(repository / "Snakefile")]
    return [*snakemake, "--directory", str(folder), "--configfile", str(folder / "tiny.yaml"), *arguments]


def table_digests(folder: Path) -> dict[str, str]:
    return {table: digest_file(folder / f"results/tiny/tables/{table}.csv") for table in TABLES}


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory, repository: Path, environment: dict[str, str], slurm) -> Path:
    """The same world, run without Slurm."""
    folder = workplace(tmp_path_factory.mktemp("local") / "run", repository)
    ran = subprocess.run(
        command(repository, folder, "--cores", "2"), cwd=folder, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return folder


@dataclass
class Seen:
    """What could be seen while the world ran through Slurm."""

    folder: Path
    jobs: pd.DataFrame  # a row a job, in the order they were submitted
    queued: set[str] = field(default_factory=set)
    scratch: set[str] = field(default_factory=set)
    images_among_results: set[Path] = field(default_factory=set)
    left_on_scratch: list[Path] = field(default_factory=list)


def jobs_since(slurm: Callable[..., str], first: int) -> pd.DataFrame:
    columns = ["JobIDRaw", "State", "ReqMem", "Comment"]
    listed = slurm("sacct", "-X", "-n", "-P", "--starttime", "now-1days", f"--format={','.join(columns)}")
    rows = [line.split("|") for line in listed.splitlines()]
    jobs = pd.DataFrame(rows, columns=columns).astype({"JobIDRaw": int})
    return jobs[jobs["JobIDRaw"] > first].sort_values("JobIDRaw").reset_index(drop=True)


def last_job(slurm: Callable[..., str]) -> int:
    return int(jobs_since(slurm, 0)["JobIDRaw"].max()) if len(jobs_since(slurm, 0)) else 0


@pytest.fixture(scope="session")
def through_slurm(tmp_path_factory, repository: Path, environment, slurm, profile) -> Seen:
    """The world in a cluster's jobs, watched from outside."""
    base = tmp_path_factory.mktemp("cluster")
    scratch = base / "scratch"
    scratch.mkdir()
    folder = workplace(base / "shared", repository)
    before = last_job(slurm)
    arguments = command(repository, folder, "--profile", str(profile(scratch)))
    log = base / "log"
    with log.open("w") as output:
        running = subprocess.Popen(arguments, cwd=folder, env=environment, stdout=output, stderr=output)
    seen = Seen(folder, pd.DataFrame())
    watching = threading.Thread(target=watch, args=(running, slurm, scratch, seen))
    watching.start()
    running.wait(WAIT_S)
    watching.join()
    assert running.returncode == 0, log.read_text()[-4000:]
    seen.jobs = jobs_since(slurm, before)
    seen.left_on_scratch = list(scratch.iterdir())
    return seen


def watch(running: subprocess.Popen, slurm: Callable[..., str], scratch: Path, seen: Seen) -> None:
    last_look = 0.0
    while running.poll() is None:
        seen.scratch |= {path.name for path in scratch.iterdir()}
        if time.monotonic() - last_look > 2:
            last_look = time.monotonic()
            seen.queued |= set(slurm("squeue", "-h", "-o", "%k").split())
            seen.images_among_results |= set((seen.folder / "results/tiny").glob("**/*.jpg"))
        time.sleep(0.05)


def test_slurm_makes_the_tables_of_a_local_run(through_slurm: Seen, local: Path):
    assert table_digests(through_slurm.folder) == table_digests(local)


def test_accounting_and_queue_show_the_jobs(through_slurm: Seen):
    done = through_slurm.jobs[through_slurm.jobs["State"] == "COMPLETED"]
    comments = " ".join(done["Comment"])
    for stage in ("motions", "detect", "features", "train", "predict"):
        assert f"rule_{stage}" in comments
    assert any("rule_detect" in comment for comment in through_slurm.queued)


def test_stages_that_follow_one_another_are_one_job_and_trivial_ones_none(through_slurm: Seen):
    comments = list(through_slurm.jobs["Comment"])
    assert "rule_shard_curate_key_frames_shots_track" in comments
    assert "rule_footage_fetch_render" in comments
    assert not any(name in comment for comment in comments for name in ("table", "body"))


def test_a_job_short_of_memory_is_resubmitted_with_more(through_slurm: Seen):
    detect = through_slurm.jobs[through_slurm.jobs["Comment"].str.startswith("rule_detect")]
    assert list(detect["State"]) == ["FAILED", "COMPLETED"]
    assert list(detect["ReqMem"]) == ["500M", "4000M"]


def test_temporary_files_lie_on_the_nodes_scratch_only(through_slurm: Seen):
    assert any(name.startswith("moviestrip-detect-") for name in through_slurm.scratch)
    assert not through_slurm.images_among_results
    left = {path.name for path in through_slurm.left_on_scratch if path.name.startswith("moviestrip-")}
    assert len(left) <= 1  # of the attempt that Slurm killed, which could remove nothing
    assert through_slurm.scratch - left


@pytest.fixture
def unscored(local: Path, tmp_path: Path) -> Path:
    """A run that lacks its predictions, and what follows from them."""
    folder = tmp_path / "shared"
    shutil.copytree(local, folder, copy_function=shutil.copy2)
    for kind in ("predictions", "scores", "tables"):
        shutil.rmtree(folder / "results/tiny" / kind)
    return folder


@pytest.fixture
def submitted(unscored: Path, repository: Path, environment, slurm, profile, tmp_path: Path):
    """Run Snakemake on it until its first job runs: () -> the process, which is still at it."""

    def start() -> subprocess.Popen:
        before = last_job(slurm)
        arguments = command(repository, unscored, "--profile", str(profile(tmp_path)))
        with (tmp_path / "log").open("a") as log:
            running = subprocess.Popen(arguments, cwd=unscored, env=environment, stdout=log, stderr=log)
        until(lambda: "RUNNING" in set(jobs_since(slurm, before)["State"]) or running.poll() is not None)
        assert running.poll() is None, (tmp_path / "log").read_text()[-4000:]
        return running

    return start


def until(condition: Callable[[], bool], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.5)


@pytest.mark.slow
def test_a_controller_killed_and_started_again_loses_nothing(submitted, slurm, unscored: Path, local: Path, tmp_path):
    shutil.rmtree(unscored / "results/tiny/models")
    before = last_job(slurm)
    running = submitted()
    started = time.time()
    until(lambda: (STATE / "job_state").stat().st_mtime > started)  # before, Slurm itself takes the job for pending
    subprocess.run([SLURM, "kill-controller"], check=True)
    time.sleep(10)
    subprocess.run([SLURM, "start-controller"], check=True)
    assert running.wait(WAIT_S) == 0, (tmp_path / "log").read_text()[-4000:]
    assert table_digests(unscored) == table_digests(local)
    jobs = jobs_since(slurm, before)
    assert list(jobs["State"]) == ["COMPLETED", "COMPLETED"]  # each of train and predict once


@pytest.mark.slow
def test_snakemake_killed_and_started_again_finishes(submitted, slurm, unscored: Path, local: Path, tmp_path: Path):
    before = last_job(slurm)
    killed = submitted()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    again = submitted()  # while the first job may still be running: both write the same bytes, and rename them
    assert again.wait(WAIT_S) == 0, (tmp_path / "log").read_text()[-4000:]
    assert table_digests(unscored) == table_digests(local)
    until(lambda: not slurm("squeue", "-h"))
    assert set(jobs_since(slurm, before)["State"]) == {"COMPLETED"}


@pytest.mark.slow
def test_the_smoke_world_by_the_profile_as_it_is(tmp_path: Path, repository: Path, environment, slurm):
    """What docs/cluster.md tells people to type, to the last page, against the same without a cluster."""
    configuration = ["--configfile", *(str(repository / name) for name in ("config.yaml", "config/smoke.yaml"))]
    tables = {}
    before = last_job(slurm)
    for place, arguments in (
        ("cluster", ["--profile", str(repository / "workflow/profiles/slurm")]),
        ("local", ["--cores", "2"]),
    ):
        folder = tmp_path / place
        folder.mkdir()
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(repository / "Snakefile")]
        with (tmp_path / f"{place}.log").open("w") as log:
            ran = subprocess.run(
                [*snakemake, "--directory", str(folder), *configuration, *arguments],
                cwd=folder, env=environment, stdout=log, stderr=log, timeout=SMOKE_WORLD_S,
            )  # fmt: skip
        assert ran.returncode == 0, (tmp_path / f"{place}.log").read_text()[-4000:]
        tables[place] = {file.name: digest_file(file) for file in (folder / "results/smoke/tables").glob("*.csv")}
    assert tables["cluster"] == tables["local"]
    assert set(tables["local"]) == {"hmmr-1.csv", "hmmr-2.csv"}
    jobs = jobs_since(slurm, before)
    assert set(jobs["State"]) == {"COMPLETED"}
    submitted = " ".join(jobs["Comment"])
    for stage in ("motions", "footage", "detect", "shard", "verdicts", "features", "train", "predict"):
        assert f"rule_{stage}" in submitted, stage
    print(f"{len(jobs)} jobs")
