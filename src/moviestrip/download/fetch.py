"""Every address of a list brought into one folder, once, whatever becomes of it.

Hosts are asked side by side, each for one file at a time. An outcome is final unless it is `transient`: the next run
tries those again and asks for nothing else.
"""

import random
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Literal, cast
from urllib.parse import unquote, urlsplit

from moviestrip.config import FetchSettings
from moviestrip.download.client import Client
from moviestrip.download.containers import SNIFFED_BYTES, first_words, suffix_of
from moviestrip.download.hosts import Interrupted, NextRunError
from moviestrip.download.http import UnreachableError, place_of
from moviestrip.download.journal import (
    FINAL,
    Download,
    Status,
    download_id_of,
    file_name,
    is_kept,
    lock_path,
    locked,
    partial_path,
    policy_of,
    read_download,
    write_download,
)
from moviestrip.download.terms import require_terms
from moviestrip.download.transfer import discard, fetch_over_http
from moviestrip.errors import QuarantineError, RetryableError
from moviestrip.storage import atomic_path, digest_file

Via = Literal["auto", "http", "yt-dlp"]
VIDEO_SUFFIXES = set(".3gp .asf .avi .flv .gif .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .ogv .ts .webm .wmv".split())
REASON_CHARACTERS = 300
UNREACHABLE_IN_A_ROW = 3  # after so many addresses a host is left alone for the rest of a run


def download_all(
    urls: Iterable[str], folder: Path, settings: FetchSettings, via: Via = "auto", retry: bool = False
) -> Iterator[Download]:
    """The outcome of each address, in their order, as soon as it and those before it are known.

    `folder` is shared by runs and by processes. `retry` also tries again what failed for good.
    """
    wanted = list(urls)
    futures: dict[str, Future[Download]] = {url: Future() for url in wanted}
    stop = threading.Event()
    fetcher = _Fetcher(folder, settings, via, retry, stop)
    with ThreadPoolExecutor(settings.hosts_at_once, thread_name_prefix="fetch") as pool:
        try:
            for queue in _by_host(futures):
                pool.submit(_work, fetcher, queue, futures, stop)
            for url in wanted:
                yield futures[url].result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _by_host(urls: Iterable[str]) -> list[list[str]]:
    queues: dict[str, list[str]] = {}
    for url in urls:
        queues.setdefault(_host_of(url), []).append(url)
    return list(queues.values())


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""  # what is no address fails later, with a reason


def _work(
    fetcher: "_Fetcher", queue: Sequence[str], futures: dict[str, Future[Download]], stop: threading.Event
) -> None:
    """All addresses of one host. An error that concerns the run, such as a full disk, ends every host's work."""
    try:
        for url in queue:
            futures[url].set_result(fetcher.download(url))
    except Interrupted:
        return
    except BaseException as error:
        stop.set()
        for future in futures.values():
            if not future.done():
                _fail(future, error)


def _fail(future: Future[Download], error: BaseException) -> None:
    try:
        future.set_exception(error)
    except InvalidStateError:
        return  # another thread has just finished it


def is_video_path(url: str) -> bool:
    """Whether an address ends as video files do."""
    try:
        return PurePosixPath(unquote(urlsplit(url).path)).suffix.lower() in VIDEO_SUFFIXES
    except ValueError:
        return True  # no address at all: plain HTTP says so


class _Fetcher:
    """What every download of one call shares."""

    def __init__(self, folder: Path, settings: FetchSettings, via: Via, retry: bool, stop: threading.Event):
        self._folder, self._settings, self._via, self._retry, self._stop = folder, settings, via, retry, stop
        self._client = Client(folder, settings, stop)
        self._policy = policy_of(settings)
        self._unreachable: dict[str, int] = {}

    def download(self, url: str) -> Download:
        """The outcome on record if it stands, otherwise that of this run."""
        before = read_download(self._folder, url)
        if before is not None and self._stands(before):
            return before
        if self._stop.is_set():
            raise Interrupted
        download_id = download_id_of(url)
        with locked(lock_path(self._folder, download_id)):
            now = read_download(self._folder, url)
            if now is not None and now != before:
                return now  # another process, for which this one waited, has just tried
            unrecorded = self._named_file(download_id) if now is None else None
            tried = self._tried(url, download_id) if unrecorded is None else self._record(url, unrecorded)
            outcome = replace(tried, runs=1 + (before.runs if before else 0))
            write_download(self._folder, outcome)
            if before is not None and before.file not in ("", outcome.file):
                (self._folder / before.file).unlink(missing_ok=True)
        return outcome

    def _named_file(self, download_id: str) -> Path | None:
        """A file that was given its name by a run that was killed before it could write the record."""
        found = (self._folder / download_id[:2]).glob(f"{download_id}.*")
        return next((path for path in found if path.suffix != ".json"), None)

    def _stands(self, record: Download) -> bool:
        if record.status == "refused":
            return record.policy == self._policy and not self._retry
        return is_kept(self._folder, record) or (record.status in FINAL and not self._retry)

    def _tried(self, url: str, download_id: str) -> Download:
        host = _host_of(url)
        try:
            found = self._with_patience(url, host)
        except QuarantineError as error:
            self._unreachable.pop(host, None)
            discard(partial_path(self._folder, download_id))
            status = cast(Status, error.reason)
            policy = self._policy if status == "refused" else ""
            return Download(download_id, url, status, _one_line(error.detail), policy=policy)
        except RetryableError as error:
            if isinstance(error, UnreachableError):
                self._unreachable[host] = self._unreachable.get(host, 0) + 1
            elif not isinstance(error, NextRunError):
                self._unreachable.pop(host, None)
            return Download(download_id, url, "transient", _one_line(str(error)))
        self._unreachable.pop(host, None)
        return found

    def _with_patience(self, url: str, host: str) -> Download:
        """Several attempts, with pauses that grow and that no two processes share."""
        if self._unreachable.get(host, 0) >= UNREACHABLE_IN_A_ROW:
            raise NextRunError(
                f"{host}: not asked: it, or its robots.txt, could not be reached several times in this run"
            )
        for attempt in range(1, self._settings.attempts):
            try:
                return self._attempt(url)
            except NextRunError:
                raise
            except RetryableError:
                longest_s = min(2.0 ** (attempt - 1), self._settings.longest_wait_s)
                self._client.hosts.pause(longest_s * random.uniform(0.5, 1))
        return self._attempt(url)

    def _attempt(self, url: str) -> Download:
        partial = partial_path(self._folder, download_id_of(url))
        if self._via == "http" or (self._via == "auto" and is_video_path(url)):
            fetch_over_http(self._client, url, partial, self._stop)
            return self._kept(url, partial)
        return self._from_site(url, partial)

    def _from_site(self, url: str, partial: Path) -> Download:
        from moviestrip.download.sites import fetch_from_site  # yt-dlp is slow to import, and most runs need none

        require_terms(place_of(url).host, self._settings.terms_accepted)  # the program checks each of its requests
        found = fetch_from_site(url, partial, self._settings, self._stop)
        record = self._kept(url, found.file)
        return replace(
            record, title=_one_line(found.title), uploader=_one_line(found.uploader), licence=_one_line(found.licence)
        )

    def _kept(self, url: str, partial: Path) -> Download:
        """Give a complete file its name, which says what its bytes are."""
        with partial.open("rb") as file:
            first = file.read(SNIFFED_BYTES)
        suffix = suffix_of(first)
        if suffix is None:
            raise QuarantineError("bad_video", f"no video file: it begins '{first_words(first)}'")
        path = self._folder / file_name(download_id_of(url), suffix)
        with atomic_path(path) as finished:
            partial.replace(finished)
        discard(partial)
        return self._record(url, path)

    def _record(self, url: str, path: Path) -> Download:
        status = path.stat()
        day = datetime.fromtimestamp(status.st_mtime, UTC).date().isoformat()
        name = path.relative_to(self._folder).as_posix()
        return Download(download_id_of(url), url, "ok", "", name, digest_file(path), status.st_size, fetched=day)


def _one_line(text: str) -> str:
    """What others wrote, fit for a table and a terminal."""
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:REASON_CHARACTERS]
