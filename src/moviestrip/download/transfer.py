"""One file over HTTP(S) into its partial file, which a later attempt, or a later run, goes on from."""

import re
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from moviestrip.download.client import Client
from moviestrip.download.containers import SNIFFED_BYTES, first_words, suffix_of
from moviestrip.download.hosts import Interrupted
from moviestrip.download.http import Answer
from moviestrip.errors import QuarantineError, RetryableError
from moviestrip.storage import disk_full_named

CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


def fetch_over_http(client: Client, url: str, partial: Path, stop: threading.Event) -> None:
    """Complete `partial` in one attempt, or raise: QuarantineError with a status, RetryableError for another try."""
    known = _validator_of(partial)
    done = partial.stat().st_size if known and partial.is_file() else 0
    with client.answered(url, {"Range": f"bytes={done}-", "If-Range": known} if done else {}) as answer:
        if answer.status == 416 and done and _range_sent(answer)[1] == done:
            return  # all of it had come before the last run was ended
        if answer.status == 416 or (answer.status == 206 and not _goes_on(answer, done, known)):
            discard(partial)
            raise RetryableError(f"{answer.place.host}: the file is not what was begun; it starts anew")
        client.require_success(answer)
        _require_plain(answer)
        if answer.status != 206:
            discard(partial)
            done = 0
        promised = _promised_bytes(answer)
        done = _written(client, answer, partial, done, promised, stop)
    if promised is not None and done < promised:
        raise RetryableError(f"{answer.place.host}: {done:,} of {promised:,} bytes came")


def _written(
    client: Client, answer: Answer, partial: Path, done: int, promised: int | None, stop: threading.Event
) -> int:
    """Append the body to what is there, `done` bytes; how many there are then."""
    limit = int(client.settings.maximum_megabytes * 1e6)
    _require_within(limit, promised or 0)
    pieces = answer.pieces() if done else _of_a_video(answer, promised)
    with disk_full_named(partial, promised):
        if not done:
            partial.parent.mkdir(parents=True, exist_ok=True)
            _validator_path(partial).write_text(_validator_sent(answer))
        with partial.open("ab" if done else "wb") as file:
            for piece in pieces:
                done += len(piece)
                _require_within(limit, done)
                file.write(piece)
                file.flush()  # what has come is gone on with even after a kill
                if stop.is_set():
                    raise Interrupted
    return done


def discard(partial: Path) -> None:
    """The partial file and what belongs to it."""
    for path in (partial, _validator_path(partial)):
        path.unlink(missing_ok=True)


def _validator_of(partial: Path) -> str:
    """What names the version of the file that was begun; without it there is no going on."""
    path = _validator_path(partial)
    return path.read_text() if path.is_file() else ""


def _validator_path(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.version")


def _validator_sent(answer: Answer) -> str:
    """A strong ETag, or the date: a weak ETag promises no equal bytes (RFC 9110, 8.8.1)."""
    tag = answer.headers.get("ETag", "")
    found = tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")
    return found if found.isascii() and found.isprintable() else ""


def _range_sent(answer: Answer) -> tuple[int | None, int | None]:
    """First byte and size of the whole, as far as the answer says."""
    found = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    first, whole = found.groups() if found else (None, None)
    return None if first is None else int(first), None if whole in (None, "*") else int(whole)


def _goes_on(answer: Answer, done: int, known: str) -> bool:
    """Whether a part is of the version that was begun and starts where it stopped; hosts get either wrong."""
    return _range_sent(answer)[0] == done and (not done or _validator_sent(answer) in ("", known))


def _promised_bytes(answer: Answer) -> int | None:
    """Of the whole file; none where the host does not say."""
    if answer.status == 206:
        return _range_sent(answer)[1]
    length = answer.headers.get("Content-Length", "")
    chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
    return int(length) if length.isdecimal() and not chunked else None


def _require_plain(answer: Answer) -> None:
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise QuarantineError(
            "refused", f"{answer.place.host}: sends it compressed ({encoding}), which was not asked for"
        )


def _require_within(limit: int, n_bytes: int) -> None:
    if n_bytes > limit:
        raise QuarantineError(
            "refused", f"{n_bytes:,} bytes or more are above fetch.maximum_megabytes ({limit / 1e6:g})"
        )


def _of_a_video(answer: Answer, promised: int | None) -> Iterator[bytes]:
    """The pieces, once the first of them begin a video file: a page in its place is not kept."""
    pieces, first = answer.pieces(), b""
    while len(first) < SNIFFED_BYTES and (piece := next(pieces, b"")):
        first += piece
    if len(first) < min(SNIFFED_BYTES, promised or 0):
        raise RetryableError(f"{answer.place.host}: {len(first):,} of {promised:,} bytes came")
    if suffix_of(first) is None:
        kind = answer.headers.get("Content-Type", "no type")
        said = f"begins '{first_words(first)}'" if first else "is empty"
        raise QuarantineError("bad_video", f"{answer.place.host}: no video file: it is {kind} and {said}")
    return chain([first], pieces)
