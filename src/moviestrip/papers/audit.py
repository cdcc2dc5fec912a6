"""What does not fit in the papers' printed numbers: kept as data, shown beside the cells and under the tables.

A note has places. One that names a row or an action is of some cells, which then carry a mark; any other is of a
table or of columns. A place that names a claim is read in the ledger.
"""

import functools
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from moviestrip.papers.printed import CELL_KEY, DATA

PLACE_KEY = [key for key in CELL_KEY if key not in ("paper", "table")]
PAGE_WIDTH = 120
MARKS = "abcdefghijklmnoprstuvwxyz"  # no q: it has no superscript


@dataclass(frozen=True)
class Place:
    """Cells of one table, chosen by those columns that are not empty, or a claim."""

    table: str
    wanted: Mapping[str, str]
    printed: str
    claim: str

    @property
    def is_of_cells(self) -> bool:
        return bool(self.wanted.keys() & {"row_id", "action"})

    def has(self, cell: pd.Series) -> bool:
        """Whether a cell of this place's table lies in it."""
        return bool(self.table) and all(cell[key] == value for key, value in self.wanted.items())

    def text(self) -> str:
        """As the page names it: `hmmr-6: contextual-instavariety, 3dpw, accel_error: 14.3`."""
        if self.claim:
            return f"claim {self.claim}"
        where = ", ".join(f"at {value}" if key == "horizon" else value for key, value in self.wanted.items())
        return self.table + (f": {where}" if where else "") + (f": {self.printed}" if self.printed else "")


@dataclass(frozen=True)
class AuditNote:
    """What was noticed, where to see it, and the cells and claims that it is about."""

    name: str
    text: str
    source: str
    places: tuple[Place, ...]

    def in_table(self, table: str) -> list[Place]:
        return [place for place in self.places if place.table == table]


@dataclass(frozen=True)
class MarkedNote:
    """A note of one table; its mark stands at the cells it is about, and is empty for a table or whole columns."""

    mark: str
    note: AuditNote
    places: tuple[Place, ...]


@functools.cache
def audit_notes() -> tuple[AuditNote, ...]:
    """Every note, in the order of the papers."""
    texts, places = (
        pd.read_csv(DATA / name, dtype=str, keep_default_na=False) for name in ("audit.csv", "audit_places.csv")
    )
    of_note = {name: tuple(map(_place, rows.to_dict("records"))) for name, rows in places.groupby("note_id")}
    return tuple(
        AuditNote(name, text, source, of_note[name]) for name, text, source in texts.itertuples(index=False, name=None)
    )


def _place(row: Mapping[Any, str]) -> Place:
    wanted = {key: row[key] for key in PLACE_KEY if row[key]}
    return Place(row["table"], wanted, row["printed"], row["claim"])


@functools.cache
def notes_of_table(table: str) -> tuple[MarkedNote, ...]:
    """The notes of a table such as 'hmmr-6', those of single cells first, with their marks."""
    found = [(note, tuple(places)) for note in audit_notes() if (places := note.in_table(table))]
    of_cells = [item for item in found if any(place.is_of_cells for place in item[1])]
    others = [item for item in found if item not in of_cells]
    marked = [MarkedNote(mark, *item) for mark, item in zip(MARKS, of_cells, strict=False)]
    return (*marked, *(MarkedNote("", *item) for item in others))


def notes_of_cell(cell: pd.Series) -> list[MarkedNote]:
    """The marked notes of a cell, one row of `build_table`."""
    marked = [found for found in notes_of_table(f"{cell['paper']}-{cell['table']}") if found.mark]
    return [found for found in marked if any(place.is_of_cells and place.has(cell) for place in found.places)]


def notes_of_claim(claim_id: str) -> list[AuditNote]:
    return [note for note in audit_notes() if any(place.claim == claim_id for place in note.places)]


PAGE_HEAD = """\
# What does not fit in the printed numbers

Where the four papers contradict each other or themselves, where their text says too little to place a number, and which
of their claims their own numbers break. The printed side of every table keeps what is printed; these notes stand under
the tables, with a mark at the cells, and in the ledger (`note`). They are data:
`src/moviestrip/papers/data/audit.csv` and `audit_places.csv`, from which this page is written:

```
python -c "from moviestrip.papers.audit import audit_page; print(audit_page(), end='')" > docs/audit.md
```
"""


def audit_page() -> str:
    """docs/audit.md: every note with its source and its places."""
    return "\n".join([PAGE_HEAD, *(_section(note) for note in audit_notes())])


def _section(note: AuditNote) -> str:
    places = "".join(f"- {place.text()}\n" for place in note.places)
    text = textwrap.fill(f"{note.text} ({note.source})", PAGE_WIDTH, break_long_words=False, break_on_hyphens=False)
    return f"## {note.name}\n\n{text}\n\n{places}"
