"""What Snakemake leaves on disk about a run: what is being made, what failed, and whether anybody is at work.

While a job runs, or waits in a cluster's queue, each of its outputs has a marker under `.snakemake/incomplete`, named
by the output's path in base64; a marker outlives only a Snakemake that was killed. Errors, and how a run ended, are in
`.snakemake/log`; a dry run leaves nothing.
"""

import base64
import binascii
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

State = Literal["none", "running", "elsewhere", "ended", "killed"]
CLOCK_SLACK_S = 10.0  # a file server's clock is not the node's

_ERROR = re.compile(rb"^Error in (?:rule|group)[^\n]*\n((?:[ \t][^\n]*\n)*)", re.MULTILINE)
_LOGS = re.compile(r"^\s+log: (.+) \(check log file", re.MULTILINE)
_MESSAGE = re.compile(r"^\s+message: (.+)$", re.MULTILINE)
_SINCE = re.compile(r"^(\d{4}-\d\d-\d\dT\d{6}\.\d+)\.snakemake\.log$")


@dataclass(frozen=True)
class Marker:
    """An output that is being made, or was when Snakemake was killed."""

    since_s: float
    external_id: str  # of the cluster's job


@dataclass(frozen=True)
class Activity:
    """The last time that Snakemake worked on a run.

    Attributes:
        state: `none` has never worked on it; `running` on this machine; `elsewhere` on another machine, as far as its
            log says; `ended` by itself; `killed` before it could say anything. A log without the machine's name (the
            default profile leaves it out) is taken for one of this machine.
        markers: by output.
        errors: of the last time, by the log of the job that failed: what Snakemake, or the cluster, says of it.
    """

    state: State = "none"
    since_s: float = 0.0
    host: str = ""
    command: str = ""  # empty where the profile leaves it out of the log
    options: str = ""  # what is known of it then: how many cores, or that a cluster ran the jobs
    markers: dict[str, Marker] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def is_working(self) -> bool:
        return self.state in ("running", "elsewhere")

    def is_live(self, marker: Marker) -> bool:
        """Whether a marker is of the Snakemake that is at work, not of one that was killed earlier."""
        return self.is_working and marker.since_s >= self.since_s - CLOCK_SLACK_S


def activity_of(root: Path) -> Activity:
    """What Snakemake's folder says of the run in `root`, an absolute path without links."""
    folder = snakemake_folder(root)
    if folder is None:
        return Activity()
    markers = {path: marker for path, marker in _markers(folder) if path.startswith(f"{root}{os.sep}")}
    log = _last_log(folder, root)
    if log is None:
        return Activity(markers=markers)
    text = log.read_bytes()
    errors = dict(_errors(text, folder.parent))
    host = _fact(text, "  Host")
    return Activity(
        _state(log, text, host), _since_s(log), host, _fact(text, "  Command"), _options(text), markers, errors
    )


def snakemake_folder(root: Path) -> Path | None:
    """`.snakemake` of the working directory: above the run's folder, or, if `results` lies elsewhere, here."""
    for parent in (*root.parents, Path.cwd()):
        if (parent / ".snakemake" / "log").is_dir():
            return parent / ".snakemake"
    return None


def _markers(folder: Path) -> Iterator[tuple[str, Marker]]:
    incomplete = folder / "incomplete"
    for place, _, names in os.walk(incomplete):
        for name in names:
            path = Path(place, name)
            coded = "".join(part.removeprefix("@") for part in path.relative_to(incomplete).parts)
            try:
                output = base64.urlsafe_b64decode(coded).decode()
                since_s, found = path.stat().st_mtime, json.loads(path.read_bytes() or b"{}")
            except (binascii.Error, UnicodeDecodeError, FileNotFoundError, json.JSONDecodeError):
                continue  # not a marker, or gone or half-written this very moment
            yield os.path.realpath(folder.parent / output), Marker(since_s, str(found.get("external_jobid") or ""))


def _last_log(folder: Path, root: Path) -> Path | None:
    """The newest log of a Snakemake that had something to do for this run; one that is still open comes first."""
    working = os.path.realpath(folder.parent)
    names = {str(root), os.path.relpath(root, working)}
    logs = sorted((path for path in (folder / "log").iterdir() if _SINCE.match(path.name)), reverse=True)
    held = held_open(logs)
    ordered = sorted(logs, key=lambda path: path not in held)
    return next((path for path in ordered if _speaks_of(path, names)), None)


def _speaks_of(log: Path, names: set[str]) -> bool:
    text = log.read_bytes()
    return any(f"{name}/".encode() in text for name in names)


def _state(log: Path, text: bytes, host: str) -> State:
    if b"\nComplete log(s): " in text:
        return "ended"
    if log in held_open([log]):
        return "running"
    return "killed" if host in ("", socket.gethostname()) else "elsewhere"


def held_open(logs: list[Path]) -> set[Path]:
    """Those that a Snakemake on this machine has open."""
    by_name = {os.path.realpath(log): log for log in logs}
    held = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"snakemake" in (process / "cmdline").read_bytes():
                held |= {str(entry.readlink()) for entry in (process / "fd").iterdir()} & set(by_name)
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return {by_name[name] for name in held}


def _errors(text: bytes, working: Path) -> Iterator[tuple[str, str]]:
    for block in _ERROR.findall(text):
        shown = block.decode(errors="replace")
        message = _MESSAGE.search(shown)
        said = message[1] if message and message[1] != "None" else ""
        for logs in _LOGS.findall(shown):
            for log in logs.split(", "):
                yield os.path.realpath(working / log), said


def _fact(text: bytes, name: str) -> str:
    found = re.search(rf"^{name}: (.*)$".encode(), text[: 2**14], re.MULTILINE)
    return found[1].decode(errors="replace") if found else ""


def _options(text: bytes) -> str:
    if _fact(text, "Provided remote nodes"):
        return "--profile workflow/profiles/slurm"
    cores = _fact(text, "Provided cores")
    return f"--cores {cores.split()[0]}" if cores else ""


def _since_s(log: Path) -> float:
    found = _SINCE.match(log.name)
    assert found is not None  # only such logs are looked at
    return datetime.strptime(found[1], "%Y-%m-%dT%H%M%S.%f").timestamp()
