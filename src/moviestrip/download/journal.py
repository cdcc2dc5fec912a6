"""What became of each address: one record beside its file, the reason that nothing is fetched twice.

Every name derives from the address's hash alone. In the downloads folder lie, for the id abcd…, `ab/abcd….json`, the
record; `ab/abcd….mp4`, the file; and while a transfer is unfinished `ab/.abcd….partial`, with what it takes to go on.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from moviestrip.config import FetchSettings
from moviestrip.errors import StorageError
from moviestrip.storage import write_json

Status = Literal["ok", "transient", "permanent", "bad_video", "refused"]
FINAL: tuple[Status, ...] = ("permanent", "bad_video", "refused")
POLICY = {"terms_accepted", "robots", "private_addresses", "maximum_megabytes", "maximum_seconds"}  # what refuses


@dataclass(frozen=True)
class Download:
    """The record of one address."""

    download_id: str  # first 16 hexadecimal digits of the SHA-256 of the address
    url: str
    status: Status
    reason: str  # one line; empty when ok
    file: str = ""  # relative to the downloads folder; empty unless ok
    sha256: str = ""
    n_bytes: int = 0
    runs: int = 1  # in how many runs it was tried
    fetched: str = ""  # UTC date of the file; empty unless ok
    title: str = ""  # of a post, as its site says; never part of a path
    uploader: str = ""
    licence: str = ""
    policy: str = ""  # digest of the settings that refused it: under others it is tried again


def policy_of(settings: FetchSettings) -> str:
    """Digest of the settings that decide what is refused."""
    return hashlib.sha256(settings.model_dump_json(include=POLICY).encode()).hexdigest()[:16]


def download_id_of(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def record_path(folder: Path, download_id: str) -> Path:
    return folder / download_id[:2] / f"{download_id}.json"


def partial_path(folder: Path, download_id: str) -> Path:
    return folder / download_id[:2] / f".{download_id}.partial"


def file_name(download_id: str, suffix: str) -> str:
    """Of a kept file, relative to the downloads folder."""
    return f"{download_id[:2]}/{download_id}{suffix}"


def read_download(folder: Path, url: str) -> Download | None:
    """The record of an address; none when it was never tried."""
    path = record_path(folder, download_id_of(url))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Download(**found)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        known = ", ".join(field.name for field in fields(Download))
        raise StorageError(
            f"{path}: not a record of a download ({error}; known keys: {known}); delete it to fetch the file again"
        ) from error


def write_download(folder: Path, download: Download) -> None:
    write_json(record_path(folder, download.download_id), asdict(download))


def is_kept(folder: Path, download: Download) -> bool:
    """Whether the file is there with its recorded size; readers of the file check its digest."""
    path = folder / download.file
    return download.status == "ok" and path.is_file() and path.stat().st_size == download.n_bytes


def forget_download(folder: Path, url_or_id: str) -> list[Path]:
    """Remove the file, the record and what is unfinished of an address, and say what was removed."""
    download_id = url_or_id if re.fullmatch(r"[0-9a-f]{16}", url_or_id) else download_id_of(url_or_id)
    parent = record_path(folder, download_id).parent
    if not parent.is_dir():
        return []
    with locked(lock_path(folder, download_id)):
        found = [*parent.glob(f"{download_id}.*"), *parent.glob(f".{download_id}.*")]
        removed = sorted(path for path in found if path != lock_path(folder, download_id))
        for path in removed:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return removed


def lock_path(folder: Path, download_id: str) -> Path:
    return folder / download_id[:2] / f".{download_id}.lock"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process, and one thread of it, at a time; the others wait. A killed one leaves at most an empty file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if _is_at(handle, path):
            break
        os.close(handle)  # whoever had it before has removed the file that was locked here
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
