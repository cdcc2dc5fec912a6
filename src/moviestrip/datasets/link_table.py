"""Tables of links, as people write them: a video a row, in CSV, JSON or JSON lines.

What surrounds the links (titles, captions, notes) comes from anywhere and is passed over, whatever bytes it holds;
what is used is checked, and an error names the file and the line.
"""

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from moviestrip.config import Split
from moviestrip.errors import StorageError

COLUMNS = ("url", "split", "subject", "action", "start_s", "end_s")
SPLITS: tuple[str, ...] = get_args(Split)
MAXIMUM_TABLE_BYTES = 2**30
MAXIMUM_URL_LETTERS = 4096
_STRANGE = re.compile("[\0- \x7f\N{REPLACEMENT CHARACTER}]")  # the last stands for what is not UTF-8
_PART = re.compile(r"[#&]t=(?P<start>\d+(\.\d+)?)?(,(?P<end>\d+(\.\d+)?))?$")


@dataclass(frozen=True)
class Link:
    """A video on the internet, or the part of one between two times; an end of 0 is the video's."""

    url: str
    split: str = ""
    subject: str = ""
    action: str = ""
    start_s: float = 0.0
    end_s: float = 0.0

    @property
    def source(self) -> str:
        """The address, with a part as a media fragment (W3C): `#t=10,20`."""
        if not (self.start_s or self.end_s):
            return self.url
        end = f",{_seconds(self.end_s)}" if self.end_s else ""
        return f"{self.url}{'&' if '#' in self.url else '#'}t={_seconds(self.start_s)}{end}"


def split_source(source: str) -> tuple[str, str, str]:
    """The address without its media fragment, and the seconds that this names: so lists can hold sources too."""
    found = _PART.search(source)
    if found is None or not (found["start"] or found["end"]):
        return source, "", ""
    return source[: found.start()], found["start"] or "", found["end"] or ""


def _seconds(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def read_links(path: Path) -> Iterator[Link]:
    """The rows of a table, in its order."""
    for where, row in _rows(path):
        yield _link(where, row)


def link_problem(url: str) -> str:
    """What is wrong with an address, or nothing."""
    if not url:
        return "is empty"
    if len(url) > MAXIMUM_URL_LETTERS:
        return f"has {len(url):,} letters, more than {MAXIMUM_URL_LETTERS:,}"
    if _STRANGE.search(url):
        return "holds spaces, control characters or what is not UTF-8"
    try:
        parts = urlsplit(url)
        found = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, or a port that is no number
        found = False
    if not found:
        return "is not an address like https://host/video.mp4"
    if parts.username is not None:
        return "holds a user's name or password, which tables and cards would show; leave it out"
    return ""


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows with where they stand."""
    try:
        n_bytes = path.stat().st_size
        if n_bytes > MAXIMUM_TABLE_BYTES:
            raise StorageError(f"{path}: {n_bytes:,} bytes, refused above {MAXIMUM_TABLE_BYTES:,}")
        readers = {".csv": _csv_rows, ".json": _json_rows, ".jsonl": _json_lines}
        if path.suffix.lower() not in readers:
            raise StorageError(f"{path}: ends in '{path.suffix}', expected .csv, .json or .jsonl")
        yield from readers[path.suffix.lower()](path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})") from error


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        try:
            _require_columns(path, reader.fieldnames or ())
            for row in reader:
                where = f"{path}: line {reader.line_num}"
                if None in row or None in row.values():
                    raise StorageError(f"{where}: more or fewer values than columns; put commas between quotes")
                yield where, row
        except csv.Error as error:
            raise StorageError(f"{path}: line {reader.line_num}: damaged ({error})") from error


def _require_columns(path: Path, found: Any) -> None:
    names = [name for name in found if name]
    near = {_plain(name): name for name in COLUMNS}
    for name in names:
        meant = near.get(_plain(name))
        if meant not in (None, name) and meant not in names:
            raise StorageError(f"{path}: line 1: the column '{name}' is called '{meant}' here; rename it")
    if "url" not in names:
        shown = ", ".join(names)[:200] or "nothing"
        raise StorageError(f"{path}: line 1: lacks the column 'url'; its first line is {shown}")


def _plain(name: str) -> str:
    return name.strip().lower().removesuffix("s").removesuffix("_")


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    rows = _parsed(str(path), path.read_bytes())
    if not isinstance(rows, list):
        raise StorageError(f"{path}: is a {type(rows).__name__}, expected a list of objects")
    for number, row in enumerate(rows, 1):
        yield _object(f"{path}: row {number}", row)


def _json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                where = f"{path}: line {number}"
                yield _object(where, _parsed(where, line))


def _parsed(where: str, content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{where}: damaged, or not JSON ({error})") from error


def _object(where: str, row: Any) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(row, dict) or "url" not in row:
        shown = ", ".join(row) if isinstance(row, dict) else repr(row)
        raise StorageError(f"{where}: expected an object with 'url', found {shown[:200] or 'an empty one'}")
    return where, row


def _link(where: str, row: Mapping[str, Any]) -> Link:
    url, split, subject, action = (_text(where, row, name) for name in ("url", "split", "subject", "action"))
    problem = link_problem(url)
    if problem:
        raise StorageError(f"{where}: url '{url[:80]}' {problem}")
    if split and split not in SPLITS:
        raise StorageError(f"{where}: split '{split[:40]}' is not known; known: {', '.join(SPLITS)}")
    url, start, end = split_source(url)
    told = {"start_s": row.get("start_s"), "end_s": row.get("end_s")}
    if (start or end) and any(told.values()):
        raise StorageError(f"{where}: both the url and start_s or end_s name a part of the video; keep one")
    times = {"start_s": start, "end_s": end} if start or end else told
    start_s, end_s = _time(where, times, "start_s"), _time(where, times, "end_s")
    if end_s and end_s <= start_s:
        raise StorageError(f"{where}: end_s {_seconds(end_s)} is not after start_s {_seconds(start_s)}")
    return Link(url, split, subject, action, start_s, end_s)


def _text(where: str, row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise StorageError(f"{where}: {name} is {str(value)[:40]}, expected text")
    # Lone halves of surrogate pairs, which JSON can hold, fit into no table.
    return (value or "").strip().encode("utf-8", "replace").decode("utf-8")


def _time(where: str, row: Mapping[str, Any], name: str) -> float:
    value = row.get(name)
    try:
        seconds = float(value or 0)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if isinstance(value, bool) or not (0 <= seconds < 1e6):
        raise StorageError(f"{where}: {name} is '{str(value)[:40]}', expected seconds, such as 12.5")
    return round(seconds, 3)
