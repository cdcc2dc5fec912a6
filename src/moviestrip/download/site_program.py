"""yt-dlp as a program of its own: `python -m moviestrip.download.site_program` with a question on its standard input.

It reads what sites send with thousands of parsers that others wrote, so it runs apart, under every limit of this
project: each request, redirects included, waits for its turn, asks robots.txt and terms, names who asks, and connects
to checked addresses by plain HTTP(S) alone. It finds no settings, cookies, plug-ins or other programs, and writes
nowhere but in the folder it is given. It answers in JSON, a line an entry of a page that lists videos, and a last line
that says how it ended; it ends itself, and whatever it started, when whoever asked is gone.
"""

import json
import os
import re
import shutil
import signal
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from requests.exceptions import TooManyRedirects
from yt_dlp import YoutubeDL
from yt_dlp.networking import Request, RequestDirector, Response
from yt_dlp.networking._requests import RequestsRH
from yt_dlp.networking.exceptions import RequestError, TransportError
from yt_dlp.utils import DownloadCancelled, DownloadError, sanitize_url

from moviestrip.config import FetchSettings
from moviestrip.download.addresses import RefusedAddressError, guarded_resolver
from moviestrip.download.client import MAXIMUM_REDIRECTS, Client
from moviestrip.download.hosts import NextRunError
from moviestrip.download.http import BUSY_STATUSES, Place, place_of, retry_after_s, user_agent
from moviestrip.errors import QuarantineError, RetryableError

MAXIMUM_HEIGHT_PX = 720  # of a choice of sizes: people are cropped to 224
LASTING = (ssl.SSLCertVerificationError, TooManyRedirects)  # what is no better the next time
MAXIMUM_PAGE_BYTES = 32 * 2**20
FILE_NAME = "video"
# Pictures without sound where there are such, for nothing is merged; and nothing that another program would fetch.
_PLAIN = "[protocol~='^(https?|http_dash_segments|m3u8|m3u8_native)$']"
FORMAT = f"bv[height<=?{MAXIMUM_HEIGHT_PX}]{_PLAIN}/b[height<=?{MAXIMUM_HEIGHT_PX}]{_PLAIN}/bv*{_PLAIN}"
NOISE = re.compile(r"^(ERROR: |\s|\[download\] Got error: )+")
EMPTY = "Did not get any data blocks"  # yt-dlp's words
# What sites say of themselves in words only, and what passes.
PASSING = ("rate-limit", "rate limit", "too many requests", "try again later", "not a bot", "temporarily", "timed out")


@dataclass(frozen=True)
class Question:
    """`list` asks what a page lists; otherwise its video is put into the folder, under `FILE_NAME`."""

    url: str
    folder: str
    downloads: str
    maximum: int
    list: bool
    settings: dict[str, Any]


@dataclass(frozen=True)
class Ending:
    """The last line: how it ended, in the words of `journal.Status`; `later` is not to be tried again in this run."""

    status: str
    reason: str = ""
    later: bool = False
    title: str = ""
    uploader: str = ""
    licence: str = ""
    duration_s: float = 0.0


class Watch:
    """What requests met: yt-dlp wraps errors and tries other ways, so that the last thing that went wrong is kept."""

    def __init__(self, client: Client):
        self.client = client
        self.last: Ending | None = None

    def before(self, url: str) -> Place:
        """Wait for the turn of a request, or refuse it."""
        try:
            place = place_of(url)
            self.client.require_welcome(place)
        except QuarantineError as error:
            if error.reason == "refused":
                self.refuse(error.detail)
            raise RequestError(error.detail) from error
        except RetryableError as error:
            self._passes(error)
            raise RequestError(str(error)) from error
        return place

    def after(self, place: Place, status: int, said: str, headers: Mapping[str, str]) -> None:
        """Note a host that is busy, and when it wants to be asked again."""
        if status not in BUSY_STATUSES and status < 500:
            return
        wait_s = retry_after_s(headers.get("Retry-After"))
        if wait_s:
            self.client.hosts.hold(place.host, wait_s)
        reason = f"{place.host}: HTTP {status} {said}".strip()
        if wait_s > self.client.settings.longest_wait_s:
            self._passes(NextRunError(f"{reason}, to be asked again in {wait_s:.0f} s"))
        else:
            self._passes(RetryableError(reason))

    def failed(self, place: Place, error: Exception) -> None:
        """Note a connection that came to nothing, or ended early."""
        causes = list(_causes(error))
        refused = next((each for each in causes if isinstance(each, RefusedAddressError)), None)
        if refused is not None:
            self.refuse(str(refused))
        elif not any(isinstance(each, LASTING) for each in causes):
            self._passes(RetryableError(f"{place.host}: {error}"))

    def refuse(self, reason: str) -> str:
        """Note what the settings do not allow."""
        self.last = Ending("refused", reason)
        return reason

    def _passes(self, error: RetryableError) -> None:
        self.last = Ending("transient", str(error), isinstance(error, NextRunError))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class GuardedHandler(RequestsRH):
    """Sends yt-dlp's requests, watched hop by hop."""

    RH_NAME = "guarded"
    watch: Watch

    def _create_instance(self, *arguments: Any, **options: Any) -> Any:
        session = super()._create_instance(*arguments, **options)
        session.max_redirects = MAXIMUM_REDIRECTS
        plain_send = session.send
        agent = user_agent(self.watch.client.settings.contact)

        def send(request: Any, **chosen: Any) -> Any:
            place = self.watch.before(request.url)
            request.headers["User-Agent"] = agent  # whatever browser an extractor would rather be
            try:
                response = plain_send(request, **chosen)  # which sends the hops of a redirect by `session.send`
            except RequestError:
                raise  # of a hop that was refused, as `before` has noted
            except Exception as error:
                self.watch.failed(place, error)
                raise
            if not response.history:
                self.watch.after(place, response.status_code, response.reason or "", response.headers)
            return response

        session.send = send
        return session

    def _send(self, request: Request) -> Response:
        response = super()._send(request)
        place, read = place_of(response.url), response.read

        def read_within(amount: int | None = None) -> bytes:
            try:
                found = cast(bytes, read(MAXIMUM_PAGE_BYTES + 1 if amount is None else amount))
            except TransportError as error:
                self.watch.failed(place, error)
                raise
            if amount is None and len(found) > MAXIMUM_PAGE_BYTES:
                raise RequestError(self.watch.refuse(f"{place.host}: a page above {MAXIMUM_PAGE_BYTES:,} bytes"))
            return found

        response.read = read_within
        return response


class GuardedDownloader(YoutubeDL):
    """yt-dlp with one way to the network."""

    def __init__(self, settings: dict[str, Any], watch: Watch):
        self._watch = watch
        super().__init__(settings)

    def build_request_director(self, handlers: Any, preferences: Any = None) -> RequestDirector:
        guarded = type("GuardedRH", (GuardedHandler,), {"watch": self._watch})
        return super().build_request_director([guarded])

    def urlopen(self, request: Request | str) -> Response:
        """Other schemes than http(s) reach no handler, so they are refused here."""
        address = sanitize_url(request if isinstance(request, str) else request.url)
        if urlsplit(address).scheme in ("http", "https"):
            return super().urlopen(request)
        raise RequestError(self._watch.refuse(f"'{address[:80]}' is not fetched, only http and https"))


class Messages:
    """yt-dlp's, of which only the last error matters: it goes into the reason."""

    def debug(self, message: str) -> None:
        pass

    def warning(self, message: str) -> None:
        print(message, file=sys.stderr)

    error = warning


def options_of(question: Question, settings: FetchSettings, watch: Watch) -> dict[str, Any]:
    """yt-dlp's parameters. What it takes from files, from the environment or from other programs is switched off."""
    limit_bytes = int(settings.maximum_megabytes * 1e6)

    def within_bytes(progress: Mapping[str, Any]) -> None:
        n_bytes = max(progress.get("downloaded_bytes") or 0, progress.get("total_bytes") or 0)
        if n_bytes > limit_bytes:
            raise DownloadCancelled(watch.refuse(
                f"{n_bytes:,} bytes or more are above fetch.maximum_megabytes ({settings.maximum_megabytes:g})"
            ))  # fmt: skip

    def within_seconds(video: Mapping[str, Any], *, incomplete: bool) -> str | None:
        if video.get("is_live"):
            return watch.refuse("a broadcast that goes on")
        duration_s = video.get("duration") or 0
        if duration_s > settings.maximum_seconds:
            return watch.refuse(f"{duration_s:.0f} s are above fetch.maximum_seconds ({settings.maximum_seconds:g})")
        return None

    both = {
        "quiet": True, "noprogress": True, "logger": Messages(), "cachedir": False, "proxy": "", "geo_bypass": False,
        "socket_timeout": settings.timeout_s, "retries": 0, "extractor_retries": 0, "file_access_retries": 0,
        "js_runtimes": {}, "enable_file_urls": False, "usenetrc": False,
    }  # fmt: skip
    if question.list:
        return {**both, "extract_flat": "in_playlist", "skip_download": True, "playlist_items": f"1:{question.maximum}"}
    return {
        **both, "format": FORMAT, "outtmpl": {"default": FILE_NAME}, "paths": {"home": question.folder},
        "noplaylist": True, "playlist_items": "1", "hls_prefer_native": True, "skip_unavailable_fragments": False,
        "fragment_retries": settings.attempts - 1, "continuedl": False, "overwrites": True, "updatetime": False,
        "fixup": "never", "postprocessors": [], "progress_hooks": [within_bytes], "match_filter": within_seconds,
        "ffmpeg_location": f"{question.folder}/none",
    }  # fmt: skip


def answers(question: Question) -> Iterator[dict[str, Any]]:
    """The lines of the answer."""
    settings = FetchSettings.model_validate(question.settings)
    watch = Watch(Client(Path(question.downloads), settings, threading.Event()))
    try:
        with GuardedDownloader(options_of(question, settings, watch), watch) as downloader:
            found = downloader.extract_info(question.url, download=not question.list)
        if question.list:
            yield from _entries(found or {}, question.maximum)
            yield asdict(Ending("ok"))
        else:
            yield asdict(_fetched(found or {}, question, watch))
    except (DownloadError, DownloadCancelled) as error:
        yield asdict(_why(error, watch))
    except Exception as error:  # of an extractor, any kind of error; it concerns this page alone
        yield asdict(_why(error, watch, f"yt-dlp could not read the page: {type(error).__name__}: "))


def _fetched(found: Mapping[str, Any], question: Question, watch: Watch) -> Ending:
    entries = [each for each in found.get("entries") or [found] if each]
    video = entries[0] if entries else {}
    if not (Path(question.folder) / FILE_NAME).is_file():
        return _why(None, watch)
    title, uploader, licence = (str(video.get(name) or "") for name in ("title", "uploader", "license"))
    return Ending("ok", title=title, uploader=uploader, licence=licence, duration_s=float(video.get("duration") or 0))


def _why(error: Exception | None, watch: Watch, before: str = "") -> Ending:
    """What keeps us from the video: what requests met, or else what the site or yt-dlp says."""
    said = before + NOISE.sub("", str(error or "the page holds no video"))
    if watch.last is not None:
        return watch.last
    if EMPTY in said:
        return Ending("bad_video", "the file is empty")
    return Ending("transient" if any(words in said.lower() for words in PASSING) else "permanent", said)


def _entries(found: Mapping[str, Any], maximum: int) -> Iterator[dict[str, Any]]:
    """A page of one video lists that one."""
    for entry in list(found.get("entries", [found]) or [])[:maximum]:
        if entry:
            yield {
                "url": str(entry.get("webpage_url") or entry.get("url") or ""),
                "title": str(entry.get("title") or ""),
                "date": _date(entry),
                "duration_s": float(entry.get("duration") or 0),
            }


def _date(entry: Mapping[str, Any]) -> str:
    stamp = entry.get("timestamp")
    if isinstance(stamp, int | float):
        return datetime.fromtimestamp(stamp, UTC).date().isoformat()
    day = str(entry.get("upload_date") or "")
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == 8 and day.isdecimal() else ""


def _end_with_asker(folder: Path) -> None:
    """The other end of the standard input closes when whoever asked ends, however that happens."""
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    question = Question(**json.loads(sys.stdin.buffer.readline()))
    threading.Thread(target=_end_with_asker, args=(Path(question.folder),), daemon=True).start()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    with guarded_resolver(FetchSettings.model_validate(question.settings)):
        for line in answers(question):
            print(json.dumps(line), file=out)
    out.flush()
    os._exit(0)  # threads that yt-dlp left behind are not waited for


if __name__ == "__main__":
    main()
