"""`moviestrip doctor --cluster` on programs that print what Slurm 22.05 prints, and where there is no Slurm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from moviestrip.doctor.cluster import (
    Asked,
    Partition,
    cluster_findings,
    minutes_of,
    mount_of,
    read_partitions,
    shared,
    trial,
)
from moviestrip.doctor.finding import Finding

SINFO = """\
main*|up|infinite|2|4|10847|gpu:1
gpu|up|1-12:00:00|6|64|515000+|gpu:a100:4(S:0-1)
old|down|30:00|1|8|16000|(null)
"""
PROGRAMS = {
    "sbatch": "echo slurm-wlm 22.05.8",
    "squeue": "echo RUNNING; echo PENDING",
    "sacct": "echo 'Slurm accounting storage is disabled' >&2; exit 1",
    "sacctmgr": "echo research; echo root",
    "sinfo": f"printf '%s' '{SINFO}'",
}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm's programs on PATH, with its real answers."""
    for name, script in PROGRAMS.items():
        program = tmp_path / "programs" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}{os.pathsep}/usr/bin:/bin")


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    folder = tmp_path / "profile"
    folder.mkdir()
    (folder / "config.yaml").write_text(
        "executor: slurm\nlatency-wait: 60\ndefault-resources:\n  mem_mb: attempt * 3000\n  runtime: attempt * 60\n"
        "set-resources:\n  train:\n    slurm_partition: gpu\n    gpu: 1\n    runtime: attempt * 720\n"
        "  evaluate:\n    mem_mb: attempt * int(4000 + 4 * input.size_mb)\n"
    )
    return folder


def finding(found: list[Finding], what: str) -> Finding:
    return next(each for each in found if each.what == what)


def test_what_a_cluster_gives_is_held_against_what_the_profile_asks(slurm, profile: Path, tmp_path: Path):
    found = cluster_findings(profile, tmp_path / "results")
    assert finding(found, "sbatch") == Finding("sbatch", "ok", "slurm-wlm 22.05.8")
    assert "2 of your jobs" in finding(found, "squeue").detail
    assert finding(found, "sacct").state == "optional"
    assert "slurm-status-command: squeue" in finding(found, "sacct").detail
    assert "research, root" in finding(found, "accounts").detail
    assert finding(found, "partition old").state == "optional"
    assert finding(found, "profile on the default partition").state == "ok"
    assert "1 GPUs (train)" in finding(found, "profile on gpu").detail


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ("mem_mb: attempt * 16000", "train asks for 16000 MB and gets 10847 at most"),
        ("gpu: 2", "train asks for 2 GPUs and gets 1 at most"),
        ("slurm_partition: old\n    runtime: 240", "train asks for 240 minutes and gets 30 at most"),
        ("slurm_partition: huge", "set slurm_partition to one of: gpu, main, old"),
    ],
)
def test_what_cannot_be_had_is_named_with_its_rule(slurm, profile: Path, tmp_path: Path, own: str, says: str):
    (profile / "config.yaml").write_text(
        f"default-resources: [mem_mb=attempt * 3000]\nset-resources:\n  train:\n    {own}\n"
    )
    short = [each.detail for each in cluster_findings(profile, tmp_path) if each.state == "missing"]
    assert any(says in detail for detail in short), short


def test_without_slurm_it_says_what_is_missing(profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = cluster_findings(profile, tmp_path / "results")
    for program in ("sbatch", "squeue", "sinfo"):
        assert finding(found, program).state == "missing"
        assert "not on PATH;" in finding(found, program).detail
    assert finding(found, "writing").state == "ok"


def test_a_program_that_hangs_is_not_waited_for(slurm, profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "programs" / "squeue").write_text("#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr("moviestrip.doctor.cluster.ANSWER_S", 0.3)
    found = finding(cluster_findings(profile, tmp_path), "squeue")
    assert found.state == "missing"
    assert "no answer within 0.3 s" in found.detail


def test_the_profile_of_this_project_is_understood(repository: Path):
    asked = Asked.of(repository / "workflow" / "profiles" / "slurm")
    assert asked is not None
    assert asked.latency_wait_s >= 5
    assert {"mem_mb", "runtime"} <= set(asked.by_partition()[""])


def test_partitions_are_read_with_their_gpus_and_limits():
    main, gpu, old = read_partitions(SINFO)
    assert main == Partition("main", True, True, float("inf"), 2, 4, 10847, 1)
    assert gpu == Partition("gpu", False, True, 2160, 6, 64, 515000, 4)
    assert (old.is_up, old.limit_minutes, old.gpus) == (False, 30, 0)


@pytest.mark.parametrize(
    ("limit", "minutes"), [("infinite", float("inf")), ("30:00", 30), ("4:00:00", 240), ("2-00:30:00", 2910)]
)
def test_limits_are_minutes(limit: str, minutes: float):
    assert minutes_of(limit) == minutes


MOUNTS = (
    "/dev/sda1 / ext4 rw 0 0\nserver:/export /home nfs4 rw 0 0\nlustre@o2ib:/fs /scratch lustre rw 0 0\n"
    "tmpfs /home/me/ram tmpfs rw 0 0\nserver:/odd /with\\040space nfs rw 0 0\n"
)


@pytest.mark.parametrize(
    ("folder", "kind", "state"),
    [
        ("/var/results", "ext4", "optional"),
        ("/home/me/results/miniature", "nfs4", "ok"),
        ("/scratch", "lustre", "ok"),
        ("/homework", "ext4", "optional"),
        ("/home/me/ram/x", "tmpfs", "missing"),
        ("/with space/x", "nfs", "ok"),
    ],
)
def test_file_systems_that_other_nodes_see(tmp_path: Path, folder: str, kind: str, state: str):
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    mount = mount_of(Path(folder), mounts)
    assert mount is not None and mount.kind == kind
    assert shared("results", Path(folder), "results", mount).state == state


def test_this_machines_own_mounts_are_those_that_df_names(tmp_path: Path):
    named = subprocess.run(["df", "--output=target,fstype", tmp_path], capture_output=True, text=True, check=True)
    place, kind = named.stdout.splitlines()[1].split()
    mount = mount_of(tmp_path)
    assert mount is not None and (str(mount.place), mount.kind) == (place, kind)


def test_the_trial_leaves_nothing_and_sees_one_clock(tmp_path: Path):
    each_ms, skew_s = trial(tmp_path)
    assert each_ms > 0
    assert abs(skew_s) < 1
    assert not list(tmp_path.iterdir())


def test_the_command_ends_well_and_fits_a_terminal(slurm, profile: Path, tmp_path: Path):
    command = [sys.executable, "-m", "moviestrip.cli", "doctor", "--cluster", "--profile", str(profile)]
    done = subprocess.run([*command, "--run", str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "slurm-wlm 22.05.8" in done.stdout
