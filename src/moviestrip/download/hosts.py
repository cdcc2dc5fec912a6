"""Turns at hosts: every process that shares a downloads folder spaces its requests, and waits when a host says so."""

import contextlib
import fcntl
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from moviestrip.download.journal import download_id_of
from moviestrip.errors import RetryableError

LONGEST_HOLD_S = 24 * 3600.0  # a host that says "in a year" is asked again tomorrow
STATE = struct.Struct("<dd")  # the next free turn and the end of a pause the host asked for, in Unix seconds


class Interrupted(Exception):  # noqa: N818 - it ends a thread whose results nobody awaits, and is no failure
    """The caller no longer wants what is being fetched."""


class NextRunError(RetryableError):
    """The host wants, or takes, more time than one run has: another attempt in this one would change nothing."""


class Hosts:
    """When a host may be asked next; `stop` ends every wait."""

    def __init__(self, folder: Path, longest_wait_s: float, stop: threading.Event):
        self._folder = folder / "hosts"
        self._longest_wait_s = longest_wait_s
        self._stop = stop

    def take_turn(self, host: str, seconds_between_requests: float) -> None:
        """Wait until the host may be asked, and move the next turn on."""
        with self._state(host) as handle:
            now_s = time.time()
            next_s, held_until_s = _read(handle)
            if held_until_s - now_s > self._longest_wait_s:
                raise NextRunError(f"{host}: asked not to be asked again for {held_until_s - now_s:.0f} s")
            turn_s = max(now_s, next_s, held_until_s)
            os.pwrite(handle, STATE.pack(turn_s + seconds_between_requests, held_until_s), 0)
        self.pause(turn_s - now_s)

    def hold(self, host: str, wait_s: float) -> None:
        """Nobody asks the host for so long."""
        with self._state(host) as handle:
            next_s, held_until_s = _read(handle)
            asked_s = time.time() + min(wait_s, LONGEST_HOLD_S)
            os.pwrite(handle, STATE.pack(next_s, max(held_until_s, asked_s)), 0)

    def pause(self, wait_s: float) -> None:
        if self._stop.wait(max(wait_s, 0)):
            raise Interrupted

    @contextlib.contextmanager
    def _state(self, host: str) -> Iterator[int]:
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._folder / download_id_of(host), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)


def _read(handle: int) -> tuple[float, float]:
    found = os.pread(handle, STATE.size, 0)
    next_s, held_until_s = STATE.unpack(found) if len(found) == STATE.size else (0.0, 0.0)
    latest_s = time.time() + LONGEST_HOLD_S  # beyond it the clock was wrong when they were written
    return min(next_s, latest_s), min(held_until_s, latest_s)
