"""Judges what the papers claim, on their printed numbers and on ours, by one small language of checks.

    check    := clause (';' clause)*                      every clause must hold
    clause   := relation ('and' relation)* modifier*
    modifier := 'on' X | 'on' {X,Y} | 'with' key=value, ... | 'for' NAME in {a,b}
    relation := sum (('<' | '<=' | '>' | '>=') sum)+       chains as in mathematics
    sum      := product (('+' | '-') product)* ; product := atom ('*' atom)*
    atom     := number | metric(row_id, key=value, ...) | min(...) | max(...) | abs(...) | sum(...) | (sum)

Keys are dataset, h (horizon), action, dtw and table. A name bound by `for` may stand for a metric, a row or a
value, and binds the key of its own name. A check that begins with 'manual:' cannot be read off any table.
"""

import itertools
import math
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from moviestrip.errors import FatalError
from moviestrip.papers.printed import PAPERS, printed_claims, printed_tables

COLUMN_OF_KEY = {"dataset": "dataset", "h": "horizon", "action": "action", "dtw": "dtw", "table": "table"}
HOLDS, FAILS, UNDECIDED, NOT_IN_TABLES = "holds", "fails", "undecided", "not in tables"
FUNCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "max": max,
    "sum": sum,
    "abs": lambda values: abs(values[0]),
}
RELATIONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign><=|>=|[-<>+*(),]))")
MODIFIER = re.compile(r"\s(on|with|for)\s")
SLACK = 1e-9  # decimals such as 0.6 * 27.3 have no exact binary form


class Pending(Exception):  # noqa: N818 - not an error: a cell that has no number yet
    """A cell that the check needs has no number."""


@dataclass(frozen=True)
class Verdict:
    """What became of a check: the verdict, the cells it read, and why it is undecided."""

    verdict: str
    values: dict[str, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def values_text(self) -> str:
        return ", ".join(f"{cell}={value:.10g}" for cell, value in self.values.items())


class Cells:
    """The numbers of one paper's tables, found by metric, row and keys."""

    def __init__(self, table: pd.DataFrame, paper: str, value: str):
        """`table` has the columns of `papers.printed.CELL_KEY`; `value` names the column of numbers."""
        self.paper = paper
        self.rows: dict[tuple[str, str], list[dict[Hashable, object]]] = {}
        for row in table[table["paper"] == paper].to_dict("records"):
            self.rows.setdefault((row["metric"], row["row_id"]), []).append(row)
        self.value = value

    def find(self, metric: str, row_id: str, keys: Mapping[str, str]) -> float:
        """The one number in that place. A key not given must be blank, but for dataset and table: they may be any."""
        wanted = {"horizon": "", "action": "", "dtw": ""} | {COLUMN_OF_KEY[key]: value for key, value in keys.items()}
        candidates = self.rows.get((metric, row_id), [])
        matching = [row for row in candidates if all(row[column] == value for column, value in wanted.items())]
        place = label(metric, row_id, keys)
        if not matching:
            raise FatalError(f"claims: {self.paper} prints no {place}; check its spelling in claims.csv")
        numbers = {float(str(row[self.value])) for row in matching if _is_number(row[self.value])}
        if not numbers:
            raise Pending(f"pending: {place} has no number")
        if len(numbers) > 1:
            raise FatalError(f"claims: {self.paper} has {sorted(numbers)} for {place}; tell them apart with table=")
        return numbers.pop()


def _is_number(value: object) -> bool:
    return value not in ("", None) and not math.isnan(float(str(value)))


def label(metric: str, row_id: str, keys: Mapping[str, str]) -> str:
    """How a cell is written in the ledger: metric(row)[dataset;h=1,dtw=true]."""
    rest = ",".join(f"{key}={keys[key]}" for key in ("h", "action", "dtw", "table") if key in keys)
    return f"{metric}({row_id})[{keys.get('dataset', '')}{';' if rest else ''}{rest}]"


def evaluate(check: str, table: pd.DataFrame, paper: str, value: str = "number") -> Verdict:
    """Judge one check on the numbers in column `value` of `table`; a missing number leaves it undecided."""
    return judge(check, Cells(table, paper, value))


def judge(check: str, cells: Cells) -> Verdict:
    """As `evaluate`. One relation that is false settles that the claim fails, whatever else is missing."""
    if check.startswith("manual:"):
        return Verdict(NOT_IN_TABLES, reason=check.removeprefix("manual:").strip())
    values, reasons, failed = dict[str, float](), dict[str, None](), False
    for clause in _split(check, ";"):
        body, bindings = _modifiers(clause)
        for bound in bindings:
            for relation in _split(body, " and "):
                try:
                    failed |= not _Relation(relation, bound, cells, values).holds()
                except Pending as pending:
                    reasons[str(pending)] = None
    if failed:
        return Verdict(FAILS, values)
    return Verdict(UNDECIDED, values, "; ".join(reasons)) if reasons else Verdict(HOLDS, values)


def judge_claims(ours: pd.DataFrame | None) -> pd.DataFrame:
    """The ledger: claim_id, paper, where, statement, verdict_printed, values_printed, verdict, values, reason.

    `ours` are the tables of `build_table`, one after the other, or None when there are none yet.
    """
    printed = printed_tables()
    if ours is None or ours.empty:
        ours = printed.assign(ours=math.nan)
    else:  # a table that was not built is pending, not unknown
        absent = ~(printed["paper"] + "-" + printed["table"]).isin(ours["paper"] + "-" + ours["table"])
        ours = pd.concat([ours, printed[absent].assign(ours=math.nan)], ignore_index=True)
    both = {paper: (Cells(printed, paper, "number"), Cells(ours, paper, "ours")) for paper in PAPERS}
    return pd.DataFrame([_ledger_row(claim, *both[claim["paper"]]) for claim in printed_claims().to_dict("records")])


def _ledger_row(claim: Mapping[Hashable, str], printed: Cells, ours: Cells) -> dict[str, str]:
    on_printed, on_ours = judge(claim["check"], printed), judge(claim["check"], ours)
    return {
        **{key: claim[key] for key in ("claim_id", "paper", "where", "statement")},
        "verdict_printed": on_printed.verdict,
        "values_printed": on_printed.values_text,
        "verdict": on_ours.verdict,
        "values": on_ours.values_text,
        "reason": on_ours.reason,
    }


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

    def __init__(self, text: str, bound: Mapping[str, str], cells: Cells, values: dict[str, float]):
        self.text, self.at, self.bound, self.cells, self.values = text, 0, bound, cells, values

    def holds(self) -> bool:
        result = self._relation()
        if self.at != len(self.text.rstrip()):
            raise self._mistake()
        if not isinstance(result, bool):
            raise self._mistake()
        return result

    def _relation(self) -> float | bool:
        """A chain of comparisons; without any, the value of the sum."""
        left, result = self._sum(), None
        while (sign := self._peek()) in RELATIONS:
            self._take()
            right = self._sum()
            slack = SLACK if "=" in sign else 0.0
            shifted = left - slack if sign.startswith("<") else left + slack
            result = RELATIONS[sign](shifted, right) and result is not False
            left = right
        return left if result is None else result

    def _sum(self) -> float:
        value = self._product()
        while self._peek() in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        return value

    def _product(self) -> float:
        value = self._atom()
        while self._peek() == "*":
            self._take()
            value *= self._atom()
        return value

    def _atom(self) -> float:
        token = self._take()
        if token == "(":
            value = self._sum()
            self._expect(")")
            return value
        if token[:1].isdigit():
            return float(token)
        if not token[:1].isalpha():
            raise self._mistake()
        self._expect("(")
        return self._function(token) if token in FUNCTIONS else self._cell(token)

    def _function(self, name: str) -> float:
        arguments = [float(self._relation())]
        while self._peek() == ",":
            self._take()
            arguments.append(float(self._relation()))
        self._expect(")")
        return float(FUNCTIONS[name](arguments))

    def _cell(self, metric: str) -> float:
        end = self.text.index(")", self.at)
        row_id, *pairs = self.text[self.at : end].split(",")
        self.at = end + 1
        given = {key: value for key, value in self.bound.items() if key in COLUMN_OF_KEY}
        keys = given | dict(_key_value(pair) for pair in pairs)
        keys = {key: self.bound.get(value, value) for key, value in keys.items()}
        metric, row_id = self.bound.get(metric, metric), self.bound.get(row_id.strip(), row_id.strip())
        value = self.cells.find(metric, row_id, keys)
        self.values[label(metric, row_id, keys)] = value
        return value

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
