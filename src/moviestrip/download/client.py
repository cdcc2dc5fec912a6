"""Requests that follow redirects by hand, so that every hop is checked for terms, robots.txt, turn and address."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urljoin
from urllib.robotparser import RobotFileParser

from moviestrip.config import FetchSettings
from moviestrip.download.hosts import Hosts, NextRunError
from moviestrip.download.http import (
    BUSY_STATUSES,
    Answer,
    BusyError,
    Connections,
    Place,
    UnreachableError,
    place_of,
    retry_after_s,
)
from moviestrip.download.journal import download_id_of, locked
from moviestrip.download.terms import require_terms
from moviestrip.errors import QuarantineError
from moviestrip.storage import write_json

REDIRECTS = {301, 302, 303, 307, 308}
MAXIMUM_REDIRECTS = 10
ROBOTS_NAME = "moviestrip"
ROBOTS_BYTES = 500 * 2**10  # as much of a robots.txt as RFC 9309 asks to be read
ROBOTS_KEPT_S = 24 * 3600.0


class Client:
    """All requests of one call of `download_all`; threads share it."""

    def __init__(self, folder: Path, settings: FetchSettings, stop: threading.Event):
        self.settings = settings
        self.hosts = Hosts(folder, settings.longest_wait_s, stop)
        self._connections = Connections(settings)
        self._robots_folder = folder / "robots"
        self._rules: dict[str, tuple[float, RobotFileParser]] = {}

    @contextlib.contextmanager
    def answered(self, url: str, headers: Mapping[str, str] | None = None, robots: bool = True) -> Iterator[Answer]:
        """The answer at the end of the redirects, whatever its status; see `require_success`."""
        deadline_s = time.monotonic() + self.settings.transfer_timeout_s
        for _ in range(MAXIMUM_REDIRECTS + 1):
            place = place_of(url)
            self.require_welcome(place, robots)
            with self._connections.opened(place, headers or {}, deadline_s) as answer:
                if answer.status not in REDIRECTS or "Location" not in answer.headers:
                    yield answer
                    return
                url = urljoin(place.origin + place.target, _as_sent(answer.headers["Location"]))
        raise QuarantineError("permanent", f"more than {MAXIMUM_REDIRECTS} redirects")

    def require_welcome(self, place: Place, robots: bool = True) -> None:
        """Return when it is our turn at a host that has us."""
        require_terms(place.host, self.settings.terms_accepted)
        pause_s = self.settings.seconds_between_requests
        if robots and self.settings.robots == "obey":
            pause_s = max(pause_s, self._require_allowed_by_robots(place))
        self.hosts.take_turn(place.host, pause_s)

    def require_success(self, answer: Answer) -> None:
        """Errors, by whether they may pass; a host that says when to return is left alone until then."""
        if 200 <= answer.status < 300:
            return
        if answer.status not in BUSY_STATUSES and answer.status < 500:
            raise QuarantineError("permanent", f"{answer.place.host}: {answer.said}")
        wait_s = retry_after_s(answer.headers["Retry-After"])
        if wait_s:
            self.hosts.hold(answer.place.host, wait_s)
        if wait_s > self.settings.longest_wait_s:
            raise NextRunError(
                f"{answer.place.host}: {answer.said}, to be asked again in {wait_s:.0f} s, "
                f"which is more than fetch.longest_wait_s"
            )
        raise BusyError(f"{answer.place.host}: {answer.said}")

    def _require_allowed_by_robots(self, place: Place) -> float:
        """Seconds that the host's robots.txt asks for between requests."""
        rules = self._rules_of(place)
        if not rules.can_fetch(ROBOTS_NAME, place.origin + place.target):
            raise QuarantineError("refused", f"{place.origin}/robots.txt disallows it (fetch.robots)")
        delay_s = float(rules.crawl_delay(ROBOTS_NAME) or 0)
        if delay_s > self.settings.longest_wait_s:
            raise QuarantineError(
                "refused",
                f"{place.origin}/robots.txt asks for {delay_s:.0f} s between requests, more than fetch.longest_wait_s",
            )
        return delay_s

    def _rules_of(self, place: Place) -> RobotFileParser:
        name = download_id_of(place.origin)
        read_s, rules = self._rules.get(name, (0.0, None))
        if rules is None or time.time() - read_s > ROBOTS_KEPT_S:
            with locked(self._robots_folder / f".{name}.lock"):
                read_s, text = self._robots_text(place, self._robots_folder / f"{name}.json")
            rules = RobotFileParser()
            rules.parse(text.splitlines())
            self._rules[name] = (read_s, rules)
        return rules

    def _robots_text(self, place: Place, kept: Path) -> tuple[float, str]:
        """A host's robots.txt, from the folder while it is fresh; a host without one allows everything."""
        if kept.is_file() and time.time() - kept.stat().st_mtime < ROBOTS_KEPT_S:
            return kept.stat().st_mtime, json.loads(kept.read_text(encoding="utf-8"))["text"]
        with self.answered(f"{place.origin}/robots.txt", robots=False) as answer:
            absent = 400 <= answer.status < 500 and answer.status not in BUSY_STATUSES
            text = "" if absent else self._robots_body(answer)
        write_json(kept, {"origin": place.origin, "status": answer.status, "text": text})
        return time.time(), text

    def _robots_body(self, answer: Answer) -> str:
        try:
            self.require_success(answer)
        except BusyError as error:
            raise UnreachableError(f"{error} for its robots.txt") from error
        found = b""
        for piece in answer.pieces():
            found += piece
            if len(found) > ROBOTS_BYTES:
                break
        return found[:ROBOTS_BYTES].decode("utf-8", "replace")


def _as_sent(header: str) -> str:
    """A header's text as hosts mean it: bytes that are not ASCII are UTF-8, though they were read as Latin-1."""
    return header.encode("latin-1", "replace").decode("utf-8", "replace")
