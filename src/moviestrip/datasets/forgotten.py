"""The list of videos that are never used again: a row each, with when and why.

It holds ids only, hashes of where the videos came from, so that it can be shared without pointing at anybody.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from moviestrip.errors import StorageError
from moviestrip.storage import atomic_path

COLUMNS = ("video_id", "forgotten", "reason")


def read_forgotten(path: Path) -> frozenset[str]:
    """The ids of a list; none where there is no file."""
    return frozenset(row["video_id"] for row in _rows(path))


def add_forgotten(path: Path, ids: Iterable[str], reason: str, today: str) -> list[str]:
    """Add ids that are not there yet and name them; earlier rows stay as they are."""
    rows = _rows(path)
    known = {row["video_id"] for row in rows}
    new = [each for each in dict.fromkeys(ids) if each not in known]
    line = " ".join(reason.split())
    rows += [dict(zip(COLUMNS, (each, today, line), strict=True)) for each in new]
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return new


def _rows(path: Path) -> list[dict[str, str]]:
    """A list that cannot be understood stops the run: reading on would bring back whom it was to forget."""
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                shown = ",".join(reader.fieldnames or ())[:80]
                raise StorageError(f"{path}: its first line is '{shown}', expected '{','.join(COLUMNS)}'")
            rows = []
            for row in reader:
                if None in row or None in row.values() or not row["video_id"].strip():
                    raise StorageError(f"{path}: line {reader.line_num}: expected an id, a date and a reason")
                rows.append({**row, "video_id": row["video_id"].strip()})
            return rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StorageError(f"{path}: cannot be read ({error})") from error
