"""Videos of sites that need more than one request: posts, channels, hashtags, any page that yt-dlp reads.

yt-dlp runs in a process of its own (`moviestrip.download.site_program`), which is ended with everything it started
when it takes too long, when nobody wants its answer any longer, and when this process ends.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moviestrip.config import FetchSettings
from moviestrip.download.hosts import Interrupted, NextRunError
from moviestrip.download.site_program import FILE_NAME, Question
from moviestrip.errors import FatalError, QuarantineError, RetryableError

PROGRAM = (sys.executable, "-P", "-m", "moviestrip.download.site_program")
KEPT_VARIABLES = ("PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "LANG")
MAXIMUM_ANSWER_BYTES = 256 * 2**20


@dataclass(frozen=True)
class SiteFile:
    """A video, and what its site says of it; none of that is ever part of a path."""

    file: Path
    title: str
    uploader: str
    licence: str
    duration_s: float


@dataclass(frozen=True)
class SiteEntry:
    """A video that a page lists."""

    url: str
    title: str
    date: str  # ISO; empty when unknown
    duration_s: float


def fetch_from_site(url: str, partial: Path, settings: FetchSettings, stop: threading.Event | None = None) -> SiteFile:
    """Complete `partial` with the video of a page, of several on it the first, in one attempt.

    `partial` is a `journal.partial_path`: the folder above its own is the downloads folder, whose hosts' turns are
    kept. An earlier attempt is not gone on from: a site may serve another file under another address by now. Raises
    QuarantineError with the status for its reason, NextRunError and RetryableError.
    """
    scratch = partial.with_name(f"{partial.name}.site")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        question = _question(url, scratch, partial.parents[1], settings)
        ending = _asked(question, settings.transfer_timeout_s, stop)[-1]
        (scratch / FILE_NAME).replace(partial)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return SiteFile(partial, ending["title"], ending["uploader"], ending["licence"], ending["duration_s"])


def list_site(url: str, maximum: int, settings: FetchSettings, downloads: Path) -> list[SiteEntry]:
    """The first videos that a page lists, without opening any of them."""
    with tempfile.TemporaryDirectory(prefix="moviestrip-list-") as folder:
        question = _question(url, Path(folder), downloads, settings, maximum)
        try:
            lines = _asked(question, settings.transfer_timeout_s, None)
        except QuarantineError as error:
            raise FatalError(f"{url}: {error.reason}: {error.detail}") from error
    return [SiteEntry(**line) for line in lines[:-1]]


def _question(url: str, folder: Path, downloads: Path, settings: FetchSettings, maximum: int = 0) -> Question:
    values = settings.model_dump(mode="json")
    return Question(url, str(folder.resolve()), str(downloads.resolve()), maximum, maximum > 0, values)


def _asked(question: Question, timeout_s: float, stop: threading.Event | None) -> list[dict[str, Any]]:
    """The lines of the program's answer, the last of which says that all went well."""
    folder = Path(question.folder)
    said, complained = folder / "answer.jsonl", folder / "messages.txt"
    with said.open("wb") as output, complained.open("wb") as messages:
        code = _run(PROGRAM, json.dumps(asdict(question)), folder, (output, messages), timeout_s, stop)
    if said.stat().st_size > MAXIMUM_ANSWER_BYTES:
        raise QuarantineError("refused", f"the page lists more than {MAXIMUM_ANSWER_BYTES:,} bytes")
    lines = [json.loads(line) for line in said.read_bytes().splitlines()] if code == 0 else []
    if not lines:
        last = complained.read_bytes()[-400:].decode("utf-8", "replace").strip().splitlines()[-1:]
        raise RetryableError(f"the program around yt-dlp ended with {code}: {''.join(last)}")
    ending = lines[-1]
    if ending["status"] == "transient":
        raise (NextRunError if ending["later"] else RetryableError)(ending["reason"])
    if ending["status"] != "ok":
        raise QuarantineError(ending["status"], ending["reason"])
    return lines


def _run(
    command: Sequence[str], line: str, folder: Path, output: Any, timeout_s: float, stop: threading.Event | None
) -> int:
    """Run a program that reads one line, and whose standard input stays open as long as it is wanted."""
    # Without a PATH it finds no programs, and with this home no settings, cookies or plug-ins of the user.
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    environment |= {"PATH": "", "HOME": str(folder), "TMPDIR": str(folder), "YTDLP_NO_PLUGINS": "1"}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=output[0], stderr=output[1], env=environment, cwd=folder,
        start_new_session=True,
    )  # fmt: skip
    deadline_s = time.monotonic() + timeout_s
    assert process.stdin is not None
    try:
        with suppress(BrokenPipeError):  # it has ended at once; its messages say why
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
        while process.poll() is None:
            if stop is not None and stop.is_set():
                raise Interrupted
            if time.monotonic() > deadline_s:
                raise RetryableError(f"yt-dlp: slower than fetch.transfer_timeout_s ({timeout_s:g})")
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
    finally:
        with suppress(ProcessLookupError):  # nothing is left of its group
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with suppress(BrokenPipeError):
            process.stdin.close()
    return process.returncode
