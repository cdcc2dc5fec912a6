"""What a run on a cluster needs, seen from the machine that Snakemake would be started on."""

import getpass
import importlib.metadata
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moviestrip.config import read_yaml
from moviestrip.doctor.finding import Finding
from moviestrip.parts import cache_folder, part_states

PLUGIN = "snakemake-executor-plugin-slurm"
ANSWER_S = 10
SHARED = {
    "nfs", "nfs4", "lustre", "gpfs", "beegfs", "beegfs_nodev", "ceph", "fuse.ceph", "fuse.ceph-fuse", "glusterfs",
    "fuse.glusterfs", "panfs", "pvfs2", "wekafs", "afs", "cifs", "smb3", "gfs2", "ocfs2", "fuse.juicefs", "vast",
}  # fmt: skip
IN_MEMORY = {"tmpfs", "ramfs"}
SCRATCH_GIB = 20  # detect writes every frame of its shard as an image
SKEW_S = 2.0
SLOW_MS = 200.0
TRIAL_FILES = 20


def cluster_findings(profile: Path, results: Path) -> list[Finding]:
    """Everything `moviestrip doctor --cluster` reports, in order.

    Args:
        profile: the folder of Snakemake's profile.
        results: where outputs go; need not be there yet.
    """
    asked = Asked.of(profile)
    return [
        *_slurm(),
        _plugin(),
        *_profile(profile, asked),
        *_folders(results),
        _scratch(),
        *_file_server(results, asked),
        _parts(),
        _graphics_cards(),
    ]


def answer(*command: str) -> tuple[bool, str]:
    """Whether a program answered in time, and what it said, or what it complained of."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S)
    except FileNotFoundError:
        return False, "not on PATH"
    except subprocess.TimeoutExpired:
        return False, f"no answer within {ANSWER_S} s"
    said = done.stdout if done.returncode == 0 else done.stderr or done.stdout
    return done.returncode == 0, said.strip()


def _slurm() -> Iterator[Finding]:
    found, version = answer("sbatch", "--version")
    way_out = "run this on a login node, or load the cluster's Slurm module"
    yield Finding("sbatch", "ok" if found else "missing", version if found else f"{version}; {way_out}")
    answers, said = answer("squeue", "--noheader", "--format=%T", f"--user={getpass.getuser()}")
    jobs = f"answers: {len(said.split())} of your jobs in the queue"
    yield Finding("squeue", "ok" if answers else "missing", jobs if answers else _first(said, way_out))
    kept, said = answer("sacct", "--noheader", "--allocations", "--parsable2", "--format=JobID")
    otherwise = "ask squeue instead: slurm-status-command: squeue in the profile"
    yield Finding("sacct", "ok" if kept else "optional", "answers" if kept else _first(said, otherwise))
    yield _account()


def _account() -> Finding:
    found, said = answer(
        "sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={getpass.getuser()}", "format=Account"
    )
    names = sorted(set(said.split())) if found else []
    if names:
        return Finding("accounts", "ok", f"yours: {', '.join(names)}; name one as slurm_account in the profile")
    otherwise = "name yours as slurm_account in the profile, where the cluster asks for one"
    return Finding("accounts", "optional", _first(said, otherwise) if not found else f"none listed; {otherwise}")


def _first(said: str, way_out: str) -> str:
    lines = said.splitlines()
    return f"{lines[0] if lines else 'no answer'}; {way_out}"


def _plugin() -> Finding:
    try:
        return Finding("Slurm plugin", "ok", f"{PLUGIN} {importlib.metadata.version(PLUGIN)}")
    except importlib.metadata.PackageNotFoundError:
        return Finding("Slurm plugin", "missing", f"pip install {PLUGIN}")


@dataclass(frozen=True)
class Asked:
    """What a profile asks of the cluster on a first attempt.

    Attributes:
        rules: resources of each rule, those that are plain numbers or a multiple of `attempt`; the default's under "".
        latency_wait_s: how long Snakemake waits for a file to be seen.
    """

    rules: Mapping[str, Mapping[str, Any]]
    latency_wait_s: float

    @classmethod
    def of(cls, profile: Path) -> "Asked | None":
        path = profile / "config.yaml"
        if not path.is_file():
            return None
        found = read_yaml(path)
        default = _resources(found.get("default-resources") or {})
        sets = {rule: {**default, **_resources(own or {})} for rule, own in (found.get("set-resources") or {}).items()}
        return cls({"": default, **sets}, float(found.get("latency-wait", 5)))

    def by_partition(self) -> dict[str, dict[str, tuple[int, str]]]:
        """The most that is asked of each partition, with the rule that asks: of `mem_mb`, `runtime` and `gpu`."""
        most: dict[str, dict[str, tuple[int, str]]] = {}
        for rule, resources in self.rules.items():
            of_partition = most.setdefault(str(resources.get("slurm_partition", "")), {})
            for key in ("mem_mb", "runtime", "gpu"):
                value = resources.get(key)
                if isinstance(value, int) and value > of_partition.get(key, (0, ""))[0]:
                    of_partition[key] = value, rule or "every rule"
        return most


def _resources(found: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    """Snakemake takes a mapping, or a list of `key=value`; what depends on the input is left out."""
    pairs = found.items() if isinstance(found, Mapping) else (text.split("=", 1) for text in found)
    return {key: value for key, text in pairs if (value := _on_first_attempt(str(text))) is not None}


def _on_first_attempt(text: str) -> int | str | None:
    number = re.fullmatch(r"(?:attempt \* )?(\d+)(?: \* attempt)?", text.strip())
    if number:
        return int(number[1])
    return text if re.fullmatch(r"[\w.-]+", text) else None


@dataclass(frozen=True)
class Partition:
    """One line of `sinfo`. Nodes of one partition may differ; the least is what every job may count on."""

    name: str
    is_default: bool
    is_up: bool
    limit_minutes: float
    nodes: int
    cores: int
    memory_mb: int
    gpus: int


def read_partitions(said: str) -> list[Partition]:
    """From `sinfo --format=%P|%a|%l|%D|%c|%m|%G`."""
    found = []
    for line in said.splitlines():
        name, up, limit, nodes, cores, memory, gres = line.split("|")
        count, each_cores, each_mb = (int(text.rstrip("+")) for text in (nodes, cores, memory))
        gpus = sum(int(number) for number in re.findall(r"gpu:(?:[^:,(]+:)?(\d+)", gres))
        found.append(
            Partition(
                name.rstrip("*"), name.endswith("*"), up == "up", minutes_of(limit), count, each_cores, each_mb, gpus
            )
        )
    return found


def minutes_of(limit: str) -> float:
    """Slurm's times: `infinite`, `1-12:00:00`, `12:00:00`, `30:00`."""
    if limit in ("infinite", "n/a", "UNLIMITED"):
        return float("inf")
    days, _, rest = limit.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    hours, minutes, seconds = [0] * (3 - len(parts)) + parts
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


def _profile(profile: Path, asked: Asked | None) -> Iterator[Finding]:
    """Whether the partitions there are give what the profile asks."""
    answers, said = answer("sinfo", "--noheader", "--format=%P|%a|%l|%D|%c|%m|%G")
    partitions = read_partitions(said) if answers else []
    if not answers:
        yield Finding("sinfo", "missing", _first(said, "what the partitions give is not known"))
    for each in partitions:
        limit = "no time limit" if each.limit_minutes == float("inf") else f"{each.limit_minutes / 60:g} h"
        star = ", the default" if each.is_default else ""
        detail = f"{each.nodes} nodes of {each.cores} cores, {each.memory_mb} MB, {each.gpus} GPUs; {limit}{star}"
        yield Finding(f"partition {each.name}", "ok" if each.is_up else "optional", detail)
    if asked is None:
        yield Finding("profile", "missing", f"{profile}/config.yaml: there is no such file; give --profile")
        return
    for name, most in asked.by_partition().items():
        if partitions and most:
            yield _fits(name, most, partitions)


def _fits(name: str, most: Mapping[str, tuple[int, str]], partitions: Sequence[Partition]) -> Finding:
    what = f"profile on {name or 'the default partition'}"
    same = [each for each in partitions if each.name == name or (not name and each.is_default)]
    if not same:
        known = ", ".join(sorted({each.name for each in partitions}))
        return Finding(what, "missing", f"there is no such partition; set slurm_partition to one of: {known}")
    gives = {
        "mem_mb": max(each.memory_mb for each in same),
        "runtime": max(each.limit_minutes for each in same),
        "gpu": max(each.gpus for each in same),
    }
    units = {"mem_mb": "MB", "runtime": "minutes", "gpu": "GPUs"}
    short = [
        f"{rule} asks for {value} {units[key]} and gets {gives[key]:g} at most"
        for key, (value, rule) in most.items()
        if value > gives[key]
    ]
    if short:
        return Finding(what, "missing", f"{'; '.join(short)}: lower it, or set slurm_partition for that rule")
    asks = ", ".join(f"{value} {units[key]} ({rule})" for key, (value, rule) in most.items())
    return Finding(what, "ok", f"asks on its first attempt for at most {asks}")


@dataclass(frozen=True)
class Mount:
    place: Path
    kind: str


def mount_of(path: Path, mounts: Path = Path("/proc/mounts")) -> Mount | None:
    """The file system a path lies on, or will; None where the machine does not tell."""
    if not mounts.is_file():
        return None
    whole, found = Path(os.path.realpath(path)), None
    for line in mounts.read_text().splitlines():
        _, place, kind, *_ = line.split(" ")
        at = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), place))
        if whole.is_relative_to(at) and (found is None or len(at.parts) >= len(found.place.parts)):
            found = Mount(at, kind)
    return found


def _folders(results: Path) -> Iterator[Finding]:
    """What every node must see."""
    for what, folder, key in (("results", results, "results"), ("cache", cache_folder(), "MOVIESTRIP_CACHE")):
        yield shared(what, folder, key, mount_of(folder))


def shared(what: str, folder: Path, key: str, mount: Mount | None) -> Finding:
    if mount is not None and mount.kind in SHARED:
        return Finding(what, "ok", f"{folder}: {mount.kind} on {mount.place}, which other nodes see, too")
    lies = f"{folder}: {mount.kind if mount else 'an unknown file system'}"
    if mount is not None and mount.kind in IN_MEMORY:
        return Finding(what, "missing", f"{lies}, in this machine's memory; set {key} to a folder that all nodes see")
    return Finding(what, "optional", f"{lies}, which other nodes may not see; if so, set {key} to a folder they do")


def _scratch() -> Finding:
    folder = Path(tempfile.gettempdir())
    mount, free_gib = mount_of(folder), shutil.disk_usage(folder).free / 2**30
    lies = f"{folder}: {mount.kind if mount else 'unknown'}, {free_gib:.0f} GiB free here; nodes may differ"
    if mount is not None and mount.kind in SHARED:
        return Finding(
            "TMPDIR", "optional", f"{lies}; images of every frame would cross the network: name a local disk"
        )
    if free_gib < SCRATCH_GIB or (mount is not None and mount.kind in IN_MEMORY):
        return Finding("TMPDIR", "optional", f"{lies}; long videos need some {SCRATCH_GIB} GiB of disk: set TMPDIR")
    return Finding("TMPDIR", "ok", lies)


def _file_server(results: Path, asked: Asked | None) -> Iterator[Finding]:
    """What the file system of the results does to small files, and what time it thinks it is."""
    there = next(folder for folder in (results, *results.absolute().parents) if folder.is_dir())
    if not os.access(there, os.W_OK):
        yield Finding("writing", "missing", f"{there}: you may not write there; set results to another folder")
        return
    each_ms, skew_s = trial(there)
    wait = f"; the profile waits {asked.latency_wait_s:g} s for files of other nodes" if asked else ""
    detail = f"{each_ms:.1f} ms to write, flush, rename and list a file in {there}{wait}"
    slow = "; slow: prefer few, large shards"
    yield Finding("writing", "ok" if each_ms < SLOW_MS else "optional", detail if each_ms < SLOW_MS else detail + slow)
    clock = f"files are dated {abs(skew_s):.2f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's clock"
    way_out = "; Snakemake compares dates: keep clocks together (NTP)"
    yield Finding("clock", *(("ok", clock) if abs(skew_s) < SKEW_S else ("missing", clock + way_out)))


def trial(folder: Path) -> tuple[float, float]:
    """Milliseconds a small file takes to be written and seen, and by how many seconds its date is ahead."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as name:
        place = Path(name)
        start_s = time.perf_counter()
        for number in range(TRIAL_FILES):
            partial = place / f"{number}.partial"
            with partial.open("wb") as file:
                file.write(b"moviestrip")
                file.flush()
                os.fsync(file.fileno())
            partial.rename(place / f"{number}")
            list(place.iterdir())  # as whoever waits for it does
        each_ms = 1000 * (time.perf_counter() - start_s) / TRIAL_FILES
        before_s = time.time()
        last = place / "last"
        last.touch()
        dated_s, after_s = last.stat().st_mtime, time.time()
        return each_ms, dated_s - min(max(dated_s, before_s), after_s)


def _parts() -> Finding:
    lacking = [found.part.name for found in part_states() if found.state == "fetched when needed"]
    if not lacking:
        return Finding("parts", "ok", f"all in {cache_folder()}: nodes need no internet")
    way_out = "one `snakemake --cores 2 --configfile config/smoke.yaml` on a node with internet fetches what it needs"
    return Finding("parts", "on demand", f"not in {cache_folder()}: {', '.join(lacking)}; {way_out}")


def _graphics_cards() -> Finding:
    import torch

    count = torch.cuda.device_count()
    if not count:
        return Finding("GPU", "optional", "torch sees none here; nodes may have some: srun --gres=gpu:1 nvidia-smi")
    return Finding("GPU", "ok", f"torch sees {count}: {torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}")
