"""The language in which the papers' claims are written down, and how it is read.

    check    := clause (';' clause)*                      every clause must hold
    clause   := relation ('and' relation)* modifier*
    modifier := 'on' X | 'on' {X,Y} | 'with' key=value, ... | 'for' NAME in {a,b}
    relation := sum (('<' | '<=' | '>' | '>=') sum)+       chains as in mathematics
    sum      := product (('+' | '-') product)* ; product := atom ('*' atom)*
    atom     := number | metric(row_id, key=value, ...) | min(...) | max(...) | abs(...) | sum(...) | (sum)

Keys are dataset, h (horizon), action, dtw and table. A name bound by `for` may stand for a metric, a row or a
value, and binds the key of its own name. A check that begins with 'manual:' cannot be read off any table.

Every number is an array: first what the table says, then the same cell in each resample, if there are any. A check
becomes margins, one a relation: by how much it is true, so that what is below zero is false.

Resamples of few groups lie too close together (`evaluation/statistics.py`). A relation is therefore read twice: as
drawn, which tells by what factor its margin has to be expanded, and with each of its cells moved by that factor. For
sums, differences and products with constants that expands the margin itself, exactly and still in pairs. A minimum,
a maximum, a size or a count of relations is taken of moved cells, as it is of cells. Where cells have different
numbers of groups, the smallest is taken for all: too careful by a little for cells of two datasets, drawn apart.

It is read once more without its constants, factors as 1 and summands as 0: `a <= 0.6*b` says how far a is below b,
and without them the same numbers say by how much it is below b at all, whatever it was asked to be.
"""

import itertools
import math
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from moviestrip.errors import FatalError
from moviestrip.evaluation.statistics import Expansion
from moviestrip.papers.resamples import Drawn

Numbers = Float[np.ndarray, " numbers"]
Row = Mapping[Hashable, object]

COLUMN_OF_KEY = {"dataset": "dataset", "h": "horizon", "action": "action", "dtw": "dtw", "table": "table"}
MANUAL = "manual:"
FUNCTIONS: Mapping[str, Callable[[Sequence[Numbers]], Numbers]] = {
    "min": lambda values: np.min(np.broadcast_arrays(*values), axis=0),
    "max": lambda values: np.max(np.broadcast_arrays(*values), axis=0),
    "sum": lambda values: np.sum(np.broadcast_arrays(*values), axis=0),
    "abs": lambda values: np.abs(values[0]),
}
AS_DRAWN = Expansion(1.0, math.inf)
RELATIONS = ("<", "<=", ">", ">=")
COUNTED = "relations"  # the unit of a sum of relations that hold
LENGTH = "mm"  # how the units of errors begin that have a true zero
TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign><=|>=|[-<>+*(),]))")
MODIFIER = re.compile(r"\s(on|with|for)\s")
SLACK = 1e-9  # decimals such as 0.6 * 27.3 have no exact binary form


class Resampled(Protocol):
    """The cells of one run, or of several, in every resample."""

    def of(self, cell: Row, number: float) -> Drawn: ...

    def expansion(self, again: Float[np.ndarray, " samples"], groups: int) -> Expansion: ...

    def expansion_of_verdicts(self, again: Float[np.ndarray, " samples"], groups: int) -> Expansion: ...


class NoNumber(Exception):  # noqa: N818 - not an error: a cell that has no number, or none yet
    """A cell that the check needs has no number; its note says why."""

    def __init__(self, place: str, row: Row):
        super().__init__(place)
        self.place, self.row = place, row


@dataclass(frozen=True)
class Margin:
    """By how much a relation is true; one that is not strict holds at zero as well.

    Attributes:
        text: the relation as written, with the names that its modifiers bound.
        clips: of the cell that is a mean of the fewest; 0 where none is told.
        freedom: degrees of freedom by which its resamples were expanded.
        plain: by how much it is true without its constants.
        larger: the side that it says is larger, without constants; None where it is no sum of lengths alone.
        models: (row, kind of row) of every cell that it reads.
    """

    values: Numbers
    strict: bool
    unit: str
    text: str = ""
    clips: int = 0
    freedom: float = math.inf
    plain: Numbers | None = None
    larger: Numbers | None = None
    models: tuple[tuple[str, str], ...] = ()

    def holds(self) -> Bool[np.ndarray, " numbers"]:
        return self.values > 0 if self.strict else self.values >= -SLACK

    def holds_at(self, value: float) -> bool:
        return value > 0 if self.strict else value >= -SLACK


@dataclass
class Reading:
    """What a check says of some cells: a margin for each relation whose cells all have numbers, and the other cells."""

    margins: list[Margin] = field(default_factory=list)
    cells: dict[str, Numbers] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)  # the table row of every cell, with or without a number
    tables: dict[str, None] = field(default_factory=dict)
    missing: dict[str, NoNumber] = field(default_factory=dict)


class Found(NamedTuple):
    """A cell's numbers as drawn, the rows of tables that have it, and how many groups of clips were drawn."""

    numbers: Numbers
    rows: list[Row]
    groups: int


class Cells:
    """The numbers of one paper's tables, found by metric, row and keys."""

    def __init__(
        self,
        table: pd.DataFrame,
        paper: str,
        value: str,
        resamples: Resampled | None = None,
        takes_first: bool = False,
    ):
        """
        Args:
            table: with the columns of `papers.printed.CELL_KEY`.
            value: names its column of numbers.
            resamples: the same cells in every resample.
            takes_first: of tables that differ; printed ones must not, ours may, where their protocols do.
        """
        self.paper, self.value, self.resamples, self.takes_first = paper, value, resamples, takes_first
        self._drawn: dict[tuple[str, str, float], Drawn] = {}
        self.rows: dict[tuple[str, str], list[Row]] = {}
        for row in table[table["paper"] == paper].to_dict("records"):
            self.rows.setdefault((row["metric"], row["row_id"]), []).append(row)

    def find(self, metric: str, row_id: str, keys: Mapping[str, str]) -> Found:
        """The one number in that place. A key not given must be blank, but for dataset and table: they may be any."""
        wanted = {"horizon": "", "action": "", "dtw": ""} | {COLUMN_OF_KEY[key]: value for key, value in keys.items()}
        candidates = self.rows.get((metric, row_id), [])
        matching = [row for row in candidates if all(row[column] == value for column, value in wanted.items())]
        place = label(metric, row_id, keys)
        if not matching:
            raise FatalError(f"claims: {self.paper} prints no {place}; check its spelling in claims.csv")
        filled = [row for row in matching if _is_number(row[self.value])]
        if not filled:
            raise NoNumber(place, matching[0])
        numbers = [float(str(row[self.value])) for row in filled]
        if len(set(numbers)) > 1 and not self.takes_first:
            raise FatalError(f"claims: {self.paper} has {sorted(numbers)} for {place}; tell them apart with table=")
        number = numbers[0]
        drawn = self._draw(filled[0], number, place)
        return Found(np.concatenate([[number], drawn.values]), filled, drawn.groups)

    def _draw(self, row: Row, number: float, place: str) -> Drawn:
        if self.resamples is None:
            return Drawn(np.zeros(0), 0)
        key = (place, str(row["table"]), number)
        if key not in self._drawn:
            self._drawn[key] = self.resamples.of(row, number)
        return self._drawn[key]

    def expansion(self, numbers: Numbers, groups: int) -> Expansion:
        """How far to move the resamples of a cell."""
        return AS_DRAWN if self.resamples is None else self.resamples.expansion(numbers[1:], groups)

    def expansion_of_verdicts(self, numbers: Numbers, groups: int) -> Expansion:
        """How far to move the resamples of a margin."""
        return AS_DRAWN if self.resamples is None else self.resamples.expansion_of_verdicts(numbers[1:], groups)


def _is_number(value: object) -> bool:
    return value not in ("", None) and not math.isnan(float(str(value)))


def moved(numbers: Numbers, by: Expansion) -> Numbers:
    """The first number, and its resamples away from it."""
    return np.concatenate([numbers[:1], by.of(float(numbers[0]), numbers[1:])])


def label(metric: str, row_id: str, keys: Mapping[str, str]) -> str:
    """How a cell is written in the ledger: metric(row)[dataset;h=1,dtw=true]."""
    rest = ",".join(f"{key}={keys[key]}" for key in ("h", "action", "dtw", "table") if key in keys)
    return f"{metric}({row_id})[{keys.get('dataset', '')}{';' if rest else ''}{rest}]"


def read_check(check: str, cells: Cells) -> Reading:
    """Every relation of a check on some cells."""
    reading = Reading()
    for clause in _split(check, ";"):
        body, bindings = _modifiers(clause)
        for bound in bindings:
            for relation in _split(body, " and "):
                reading.margins += _margins_of(relation, bound, cells, reading)
    return reading


def _margins_of(text: str, bound: Mapping[str, str], cells: Cells, reading: Reading) -> list[Margin]:
    """By how much each comparison of a relation is true, its cells moved by the widest factor of any."""
    as_drawn = _Relation(text, bound, cells, reading)
    margins, widest = as_drawn.margins(), AS_DRAWN
    if margins and as_drawn.groups:
        found = [cells.expansion_of_verdicts(margin.values, min(as_drawn.groups)) for margin in margins]
        widest = max(found, key=lambda each: each.factor)
        margins = _Relation(text, bound, cells, reading, widest).margins()
    plain = _Relation(text, bound, cells, reading, widest, is_plain=True).margins()
    return [_with_plain(margin, each) for margin, each in zip(margins, plain, strict=True)]


def _with_plain(margin: Margin, plain: Margin) -> Margin:
    """A count of relations has no other form than its own."""
    counts = margin.unit == COUNTED
    return replace(margin, plain=margin.values if counts else plain.values, larger=None if counts else plain.larger)


def _split(text: str, separator: str) -> list[str]:
    """Split at `separator` outside brackets."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter in "({") - (letter in ")}")
        if depth == 0 and text.startswith(separator, index):
            parts.append(text[start:index].strip())
            start = index + len(separator)
    return [*parts, text[start:].strip()]


def _modifiers(clause: str) -> tuple[str, list[dict[str, str]]]:
    """The relation of a clause, and one mapping of names to values for each combination its modifiers ask for."""
    words = [match for match in MODIFIER.finditer(clause) if _depth(clause[: match.start()]) == 0]
    if not words:
        return clause, [{}]
    choices: list[list[dict[str, str]]] = []
    for match, after in itertools.zip_longest(words, words[1:]):
        choices.append(list(_choices(match[1], clause[match.end() : after.start() if after else None].strip())))
    combined = [
        {name: value for part in parts for name, value in part.items()} for parts in itertools.product(*choices)
    ]
    return clause[: words[0].start()], combined


def _depth(text: str) -> int:
    return sum((letter in "({") - (letter in ")}") for letter in text)


def _choices(word: str, text: str) -> Iterator[dict[str, str]]:
    if word == "with":
        yield dict(_key_value(pair) for pair in text.split(","))
        return
    name, values = ("dataset", text) if word == "on" else tuple(text.split(" in ", 1))
    for value in values.strip("{}").split(","):
        yield {name.strip(): value.strip()}


def _key_value(pair: str) -> tuple[str, str]:
    key, value = pair.split("=", 1)
    return key.strip(), value.strip()


class _Relation:
    """Recursive descent over one relation, with the names its modifiers bound."""

    def __init__(
        self,
        text: str,
        bound: Mapping[str, str],
        cells: Cells,
        reading: Reading,
        expansion: Expansion = AS_DRAWN,
        is_plain: bool = False,
    ):
        """
        Args:
            is_plain: constants are read as what leaves both sides as they are.
        """
        self.text, self.at, self.bound, self.cells, self.reading = text, 0, bound, cells, reading
        self.expansion, self.is_plain = expansion, is_plain
        self.subtracts = False
        self.models: dict[tuple[str, str], None] = {}  # (row, kind) of every cell so far
        self.unit = ""
        self.clips: list[int] = []  # behind every cell so far
        self.groups: list[int] = []  # likewise, of those that were drawn again
        self.complete = True  # every cell so far has a number
        self.counts = False  # a sum of relations that hold: its margin is a number of relations

    def margins(self) -> list[Margin]:
        """By how much each of its comparisons is true; none when a cell has no number."""
        result = self._relation()
        if self.at != len(self.text.rstrip()) or not isinstance(result, list):
            raise self._mistake()
        if not self.complete:
            return []
        unit, clips = COUNTED if self.counts else self.unit, min(self.clips, default=0)
        is_ratio = unit.startswith(LENGTH) and not self.subtracts
        return [
            replace(
                margin,
                unit=unit,
                clips=clips,
                freedom=self.expansion.freedom,
                larger=margin.larger if is_ratio else None,
                models=tuple(self.models),
            )
            for margin in result
        ]

    def _relation(self) -> Numbers | list[Margin]:
        """A chain of comparisons as margins; without any, the value of the sum."""
        start = self.at
        left, margins = self._sum(), []
        while (sign := self._peek()) in RELATIONS:
            self._take()
            middle = self.at
            right = self._sum()
            larger, smaller = (right, left) if sign.startswith("<") else (left, right)
            told = self._told(self.text[start : self.at])
            margins.append(Margin(larger - smaller, "=" not in sign, self.unit, told, larger=larger))
            left, start = right, middle
        return margins or left

    def _told(self, text: str) -> str:
        """One comparison, with what its modifiers bound in the places of their names or after it."""
        names = {name: value for name, value in self.bound.items() if name not in COLUMN_OF_KEY}
        told = re.sub(r"[A-Za-z_]\w*", lambda match: names.get(match[0], match[0]), text.strip())
        where = [f"on {self.bound['dataset']}"] if "dataset" in self.bound else []
        others = COLUMN_OF_KEY.keys() - {"dataset"}
        keys = ", ".join(f"{key}={value}" for key, value in self.bound.items() if key in others)
        return " ".join([told, *where, *([f"with {keys}"] if keys else [])])

    def _sum(self) -> Numbers:
        value = self._product()
        while self._peek() in ("+", "-"):
            adds = self._take() == "+"
            self.subtracts |= not adds
            value = value + self._product() if adds else value - self._product()
        return value

    def _product(self) -> Numbers:
        value, has_cells = np.ones(1), False
        while True:
            is_constant = self._peek()[:1].isdigit()
            factor = self._atom()
            has_cells |= not is_constant
            if not (self.is_plain and is_constant):
                value = value * factor
            if self._peek() != "*":
                return value if has_cells or not self.is_plain else np.zeros(1)
            self._take()

    def _atom(self) -> Numbers:
        token = self._take()
        if token == "(":
            value = self._sum()
            self._expect(")")
            return value
        if token[:1].isdigit():
            return np.array([float(token)])
        if not token[:1].isalpha():
            raise self._mistake()
        self._expect("(")
        return self._function(token) if token in FUNCTIONS else self._cell(token)

    def _function(self, name: str) -> Numbers:
        arguments = [self._argument()]
        while self._peek() == ",":
            self._take()
            arguments.append(self._argument())
        self._expect(")")
        return FUNCTIONS[name](arguments)

    def _argument(self) -> Numbers:
        """A sum, or 1 where a chain of comparisons holds and 0 where it does not; NaN where that is unknown."""
        found = self._relation()
        if not isinstance(found, list):
            return found
        self.counts = True
        values = np.stack(np.broadcast_arrays(*(margin.values for margin in found)))
        held = np.stack(np.broadcast_arrays(*(margin.holds() for margin in found)))
        return np.where(np.isnan(values).any(0), np.nan, held.all(0))

    def _cell(self, metric: str) -> Numbers:
        end = self.text.index(")", self.at)
        row_id, *pairs = self.text[self.at : end].split(",")
        self.at = end + 1
        given = {key: value for key, value in self.bound.items() if key in COLUMN_OF_KEY}
        keys = given | dict(_key_value(pair) for pair in pairs)
        keys = {key: self.bound.get(value, value) for key, value in keys.items()}
        metric, row_id = self.bound.get(metric, metric), self.bound.get(row_id.strip(), row_id.strip())
        try:
            found = self.cells.find(metric, row_id, keys)
        except NoNumber as missing:
            self.reading.missing[missing.place] = missing
            self.reading.rows[missing.place] = missing.row
            self.complete = False
            return np.array([math.nan])
        self.unit = str(found.rows[0].get("unit", ""))
        self.clips += [int(clips)] if (clips := str(found.rows[0].get("clips"))).isdigit() else []
        self.groups += [found.groups] if len(found.numbers) > 1 else []
        self.models[row_id, str(found.rows[0].get("kind", ""))] = None
        place = label(metric, row_id, keys)
        own = self.cells.expansion(found.numbers, found.groups)
        self.reading.cells[place], self.reading.rows[place] = moved(found.numbers, own), found.rows[0]
        self.reading.tables |= {f"{row['paper']}-{row['table']}": None for row in found.rows}
        return moved(found.numbers, self.expansion)

    def _peek(self) -> str:
        match = TOKEN.match(self.text, self.at)
        return match[0].strip() if match else ""

    def _take(self) -> str:
        match = TOKEN.match(self.text, self.at)
        if not match:
            raise self._mistake()
        self.at = match.end()
        return match[0].strip()

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise self._mistake()

    def _mistake(self) -> FatalError:
        return FatalError(f"claims: cannot read the check '{self.text}' at '{self.text[self.at :]}'")
