"""Judges what the papers claim, on their printed numbers and on ours, by the language of `checks.py`.

On printed numbers a claim holds or fails. Ours are estimates: each relation of a claim has a margin, by how much it
is true, and the margins of all resamples of clips and training seeds, expanded where these are few. One draw serves
every cell of a dataset, so that a margin is a paired difference.

Intervals of all claims hold together (`Setting.verdict_percent`), and where every model was trained once they allow for
that (`Resamples.expansion_of_verdicts`).

- `holds`: every relation's interval is above zero. Each is a test of its own, so that many need no correction.
- `fails`: some relation's interval is below zero. Among many relations one is unlucky, so that here all intervals
  are widened until they hold together (max-t): the chance that this leaves to each relation alone is read off the
  resamples, and asked of its Student's t.
- `undecided`: neither; the interval crosses the boundary.
- `pending`: a cell has no number yet, and what is known does not fail. `not applicable`: a cell never will have one,
  because the paper only cites it. Neither has an effect: the margin of what can be compared is told in the reason.
  `not in tables`: no cell of a table decides it.

The effect is the smallest margin on the tables' own numbers, in its metric's unit, and lies within its ends: low is
the lowest end of the relations' intervals, high the lowest of their widened upper ends.
"""

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from moviestrip.errors import ConfigError
from moviestrip.evaluation.statistics import percentile_ends, student_by_normal
from moviestrip.papers.audit import notes_of_claim
from moviestrip.papers.causes import Asked, Comparison, Finding, Learning, Size, explain
from moviestrip.papers.cells import cell_id
from moviestrip.papers.checks import (
    MANUAL,
    SLACK,
    Cells,
    Margin,
    NoNumber,
    Numbers,
    Reading,
    Resampled,
    Row,
    read_check,
)
from moviestrip.papers.investigations import investigation_of, shortfall
from moviestrip.papers.printed import PAPERS, printed_claims, printed_tables
from moviestrip.papers.table import PRINTED_UNITS, summary_of
from moviestrip.papers.worlds import BASELINES, Setting, kind_of, variant_of

HOLDS, FAILS, UNDECIDED, PENDING = "holds", "fails", "undecided", "pending"
NOT_APPLICABLE, NOT_IN_TABLES = "not applicable", "not in tables"
MISSED = (FAILS, UNDECIDED)  # judged, and not found to hold
ENDS = ("effect", "low", "high")
NO_CLIP = "no test clip of "  # how the note of a cell begins whose action nobody does here


@dataclass(frozen=True)
class Effect:
    """The smallest margin of a claim's relations, and the ends of its interval; NaN ends without resamples."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    unit: str = ""

    def __str__(self) -> str:
        ends = "" if math.isnan(self.low) else f" ({self.low:.4g} to {self.high:.4g})"
        return f"{self.value:.4g} {self.unit}{ends}"


@dataclass(frozen=True)
class Verdict:
    """What became of a check, how clearly, the cells it read, where they stand, and why it is not judged."""

    verdict: str
    effect: Effect = Effect()
    cells: Mapping[str, Numbers] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    reason: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)  # of every cell, with or without a number
    comparisons: tuple[Comparison, ...] = ()  # those whose cells all have numbers

    def addresses_text(self) -> str:
        return ", ".join(f"{place}={address}" for place, address in self.addresses.items())

    def values_text(self, percent: float) -> str:
        return ", ".join(f"{place}={_with_ends(numbers, percent)}" for place, numbers in self.cells.items())


def _with_ends(numbers: Numbers, percent: float) -> str:
    low, high = percentile_ends(numbers[1:], percent)
    return f"{numbers[0]:.10g}" + ("" if math.isnan(low) else f" ({max(low, 0.0):.4g} to {high:.4g})")


def evaluate(check: str, table: pd.DataFrame, paper: str, value: str = "number") -> Verdict:
    """Judge one check on the numbers in column `value` of `table`."""
    return judge(check, Cells(table, paper, value))


def judge(check: str, cells: Cells, percent: float = 95) -> Verdict:
    """As `evaluate`. One relation that is false settles that the claim fails, whatever else is missing."""
    if check.startswith(MANUAL):
        return Verdict(NOT_IN_TABLES, reason=check.removeprefix(MANUAL).strip())
    reading = read_check(check, cells)
    verdict, effect = _weigh(reading.margins, percent)
    reasons: list[str] = []
    if reading.missing:
        reasons.append(_why_missing(reading))
    if reading.missing and verdict != FAILS:
        verdict = PENDING if not _never_ours(reading) else NOT_APPLICABLE
        reasons += [f"what can be compared has a margin of {effect}"] if reading.margins else []
        effect = Effect()  # only of some relations: a number beside the verdict would be taken for the claim's
    addresses = {place: cell_id(row) for place, row in reading.rows.items() if row["table"] != "text"}
    compared = tuple(_compared(reading.margins, percent))
    return Verdict(verdict, effect, reading.cells, tuple(reading.tables), "; ".join(reasons), addresses, compared)


def _weigh(margins: Sequence[Margin], percent: float) -> tuple[str, Effect]:
    """The verdict on relations whose cells are all known, and their smallest margin."""
    if not margins:
        return UNDECIDED, Effect()
    smallest = min(margins, key=lambda margin: margin.values[0])
    value = float(smallest.values[0])
    if not _are_resampled(margins):
        held = all(margin.holds_at(float(margin.values[0])) for margin in margins)
        return HOLDS if held else FAILS, Effect(value, unit=smallest.unit)
    lows, highs = _bounds(margins, percent)
    effect = Effect(value, float(np.min(lows)), float(np.min(highs)), smallest.unit)
    if all(margin.holds_at(low) for margin, low in zip(margins, lows, strict=True)):
        return HOLDS, effect
    refuted = [not margin.holds_at(high) for margin, high in zip(margins, highs, strict=True) if not math.isnan(high)]
    return FAILS if any(refuted) else UNDECIDED, effect


def _are_resampled(margins: Sequence[Margin]) -> bool:
    return any(len(margin.values) > 1 for margin in margins)


def _compared(margins: Sequence[Margin], percent: float) -> Iterator[Comparison]:
    """Each relation with its own verdict, by the ends that `_weigh` judges by, and its effect by such ends."""
    resampled = _are_resampled(margins)
    asked = [_asked(margin) for margin in margins]
    effects = [_effect(margin, each) for margin, each in zip(margins, asked, strict=True)]
    unknown = ([math.nan] * len(margins),) * 2
    ends_of_margins, ends_of_effects = (
        list(zip(*(_bounds(each, percent) if resampled else unknown), strict=True)) for each in (margins, effects)
    )
    for index, margin in enumerate(margins):
        value, (low, high) = float(margin.values[0]), ends_of_margins[index]
        widening = student_by_normal(margin.freedom, percent)
        ends = (low, high) if resampled else (value, value)
        yield Comparison(
            margin.text,
            value,
            low,
            high,
            margin.unit,
            holds=margin.holds_at(ends[0]),
            broken=not math.isnan(ends[1]) and not margin.holds_at(ends[1]),
            clips=margin.clips,
            asked=asked[index],
            size=_size(effects[index], *ends_of_effects[index], is_limit=asked[index] == "limit"),
            widening=widening,
            error=float(np.std(margin.values[1:])) / widening if resampled else math.nan,
            models=margin.models,
        )


def _asked(margin: Margin) -> Asked:
    """What its constants make of a comparison: harder than that one side is lower, easier, or neither."""
    assert margin.plain is not None
    harder = float(margin.plain[0] - margin.values[0])
    return "direction" if abs(harder) <= SLACK else "amount" if harder > 0 else "limit"


def _effect(margin: Margin, asked: Asked) -> Margin:
    """By how much one side lies below the other without constants, in percent of the larger where that is a length."""
    assert margin.plain is not None
    if margin.larger is None:
        return replace(margin, values=margin.plain)
    whole = margin.larger - margin.plain if asked == "limit" else margin.larger
    values = np.full(len(whole), np.nan)
    possible = 1 if (whole[1:] <= 0).any() else len(whole)  # of few motions, errors are moved below zero: no interval
    values[:possible] = 100 * margin.plain[:possible] / whole[:possible]
    return replace(margin, values=values, unit="%")


def _size(effect: Margin, low: float, high: float, is_limit: bool) -> Size:
    """A limit limits the effect that goes against it."""
    unit = "points" if effect.larger is None and effect.unit == "%" else effect.unit
    value = float(effect.values[0])
    return Size(-value, -high, -low, unit) if is_limit else Size(value, low, high, unit)


def _bounds(margins: Sequence[Margin], percent: float) -> tuple[list[float], list[float]]:
    """Lower ends of the margins' own percentile intervals, and upper ends that hold for all of them together."""
    drawn = np.stack(np.broadcast_arrays(*(margin.values for margin in margins)))
    point, again = drawn[:, :1], drawn[:, 1:]
    lows = [percentile_ends(row, percent)[0] for row in again]
    spread = np.array([np.nanstd(row) if np.isfinite(row).any() else math.nan for row in again])[:, None]
    upward = np.divide(again - point, spread, out=np.zeros_like(again), where=spread > 0)
    farthest = np.nan_to_num(upward, nan=-math.inf).max(axis=0)
    reach = np.percentile(farthest, 50 + percent / 2)
    beyond = np.mean(upward[(spread > 0)[:, 0]] >= reach) if (spread > 0).any() else 0.0
    # The interval that each of them has when all have one of `percent`.
    alone = max(percent, 100 - 200 * beyond) if beyond else percent
    further = [student_by_normal(each.freedom, alone) / student_by_normal(each.freedom, percent) for each in margins]
    return lows, (point[:, 0] + reach * spread[:, 0] * further).tolist()


def _never_ours(reading: Reading) -> list[NoNumber]:
    return [missing for missing in reading.missing.values() if _is_never_ours(missing)]


def _is_never_ours(missing: NoNumber) -> bool:
    return _is_prose(missing.row) or _is_cited(missing.row) or bool(_notes([missing.row], NO_CLIP))


def _is_prose(row: Row) -> bool:
    return row["table"] == "text" and kind_of(str(row["row_id"])) != "motion prior"


def _is_cited(row: Row) -> bool:
    return bool(row.get("kind")) and variant_of(str(row["paper"]), str(row["row_id"]), str(row["kind"])) is None


def _why_missing(reading: Reading) -> str:
    """In one line: what is told in prose, what is only cited, what no clip shows, and what is pending."""
    rows = [missing.row for missing in reading.missing.values()]
    prose = [missing.place for missing in reading.missing.values() if _is_prose(missing.row)]
    rows = [row for row in rows if not _is_prose(row)]
    cited = dict.fromkeys(str(row["row_id"]) for row in rows if _is_cited(row))
    rows = [row for row in rows if not _is_cited(row)]
    unseen = _notes(rows, NO_CLIP)
    waiting = [row for row in rows if not _notes([row], NO_CLIP)]
    lines = [f"told in prose, in no table: {', '.join(prose)}"] if prose else []
    lines += [f"only cited by the paper: {', '.join(cited)}"] if cited else []
    lines += unseen
    pending = summary_of(_notes(waiting, "pending: ")) or "no number in the tables"
    return "; ".join([*lines, f"pending: {pending}"] if waiting else lines)


def _notes(rows: Iterable[Row], start: str) -> list[str]:
    """What the notes of cells say, of what begins so."""
    parts = (part for row in rows for part in str(row.get("note", "")).split("; ") if part.startswith(start))
    return list(dict.fromkeys(parts))


def judge_claims(
    ours: pd.DataFrame | None,
    resamples: Resampled | None = None,
    setting: Setting | None = None,
    learning: Mapping[str, Learning] | None = None,
) -> pd.DataFrame:
    """The ledger, a row a claim: verdicts on both sides, the effect with its ends, what was said, and the cells.

    Args:
        ours: the tables of `build_table`, one after the other, or None when there are none yet.
        resamples: of the scores behind them; without it means alone are judged.
        setting: of the run: how wide intervals are, and whose investigations are told; the miniature world's without.
        learning: how each variant learned last; without it causes say nothing of the budget.
    """
    printed, own = printed_tables(), cells_of(ours, resamples)
    both = {paper: (Cells(printed, paper, "number"), own[paper]) for paper in PAPERS}
    widths = (setting.verdict_percent, setting.interval_percent) if setting else (95.0, 95.0)
    world = setting.world if setting else "miniature"
    claims = printed_claims().to_dict("records")
    return pd.DataFrame([_ledger_row(claim, *both[claim["paper"]], *widths, world, learning) for claim in claims])


def cells_of(ours: pd.DataFrame | None, resamples: Resampled | None) -> dict[str, Cells]:
    """Our numbers of each paper's tables, as claims read them."""
    own = _with_absent_tables(ours, printed_tables())
    return {paper: Cells(own, paper, "ours", resamples, takes_first=True) for paper in PAPERS}


def _with_absent_tables(ours: pd.DataFrame | None, printed: pd.DataFrame) -> pd.DataFrame:
    """Our tables with the printed kind of each row; a table that was not built is pending, not unknown."""
    names = printed["paper"] + "-" + printed["table"]
    absent = printed.assign(ours=math.nan, note="pending: table " + names + " is not in this run")
    if ours is None or ours.empty:
        return absent
    kinds = printed.drop_duplicates(["paper", "row_id"]).set_index(["paper", "row_id"])["kind"]
    rows = pd.MultiIndex.from_frame(ours[["paper", "row_id"]])
    own = ours.assign(kind=kinds.reindex(rows).fillna("ours").to_numpy())
    return pd.concat([own, absent[~names.isin(ours["paper"] + "-" + ours["table"])]], ignore_index=True)


def _ledger_row(
    claim: Mapping[Hashable, str],
    printed: Cells,
    ours: Cells,
    percent: float,
    cell_percent: float,
    world: str,
    learning: Mapping[str, Learning] | None,
) -> dict[str, object]:
    on_printed, on_ours = judge(claim["check"], printed), judge(claim["check"], ours, percent)
    effect, finding = on_ours.effect, _finding(claim["paper"], on_ours, on_printed, learning)
    return {
        "claim_id": claim["claim_id"],
        "verdict_printed": on_printed.verdict,
        "verdict": on_ours.verdict,
        "effect": effect.value,
        "low": effect.low,
        "high": effect.high,
        "reason": "; ".join(filter(None, (_shortfall(on_ours, on_printed), on_ours.reason))),
        "unit": effect.unit,
        **{key: claim[key] for key in ("paper", "where", "statement")},
        "values_printed": on_printed.values_text(cell_percent),
        "values": on_ours.values_text(cell_percent),
        "tables": " ".join(on_ours.tables or on_printed.tables),
        "cells": on_ours.addresses_text(),
        "note": _note_of(claim["claim_id"]),
        "needs_clips": finding.clips or "",
        "cause": finding.cause,
        "evidence": finding.evidence,
        "still_learning": " ".join(finding.still_learning),
        "investigation": investigation_of(claim["claim_id"], world) if on_ours.verdict in MISSED else "",
    }


def _finding(paper: str, ours: Verdict, printed: Verdict, learning: Mapping[str, Learning] | None) -> Finding:
    if ours.verdict not in MISSED:
        return Finding()
    models = {model: variant_of(paper, *model) for each in ours.comparisons for model in each.models}
    titles = {model: BASELINES.get(name, name) or name for model, name in models.items() if name is not None}
    return explain(ours.comparisons, printed.comparisons, printed.verdict != FAILS, learning, titles)


def _shortfall(ours: Verdict, printed: Verdict) -> str:
    if ours.verdict not in MISSED or not ours.comparisons:
        return ""
    theirs = {each.text: f"{each.margin:.3g} {PRINTED_UNITS.get(each.unit, each.unit)}" for each in printed.comparisons}
    return shortfall(ours.comparisons, theirs)


def _note_of(claim_id: str) -> str:
    return " ".join(note.text for note in notes_of_claim(claim_id))


def claim_list(ledger: pd.DataFrame) -> pd.DataFrame:
    """Verdicts and effects of a ledger, as short texts: claim, printed, ours, effect, cause."""
    effects = [
        "" if math.isnan(effect) else f"{effect:.3g} [{low:.3g}, {high:.3g}] {unit}"
        for effect, low, high, unit in ledger[[*ENDS, "unit"]].itertuples(index=False)
    ]
    return ledger[["claim_id", "verdict_printed", "verdict"]].assign(effect=effects, cause=ledger["cause"])


def claim_page(claim_id: str, ledger: pd.DataFrame) -> str:
    """Everything about one claim of a ledger, for a terminal."""
    claims = printed_claims().set_index("claim_id")
    if claim_id not in claims.index:
        raise ConfigError(f"claims: there is no '{claim_id}'; known: {claims.index[0]} to {claims.index[-1]}")
    row = ledger[ledger["claim_id"] == claim_id].to_dict("records")[0]
    effect = f" by {row['effect']:.4g} {row['unit']}" if pd.notna(row["effect"]) else ""
    ends = f" ({row['low']:.4g} to {row['high']:.4g})" if pd.notna(row["low"]) else ""
    lines = [
        f"{claim_id}: {row['statement']}",
        f"said in: {row['paper'].upper()}, {row['where']}",
        *_list("check", str(claims.loc[claim_id, "check"]).split(" ; ")),
        f"printed: {row['verdict_printed']}",
        *_list("", row["values_printed"].split(", ")),
        f"ours: {row['verdict']}{effect}{ends}",
        *_list("", row["values"].split(", ")),
        f"tables: {row['tables'] or 'none'}",
    ]
    told = f"{row['cause']}: {row['evidence']}" if row["cause"] else ""
    more = {"why": told, "in detail": row["reason"], "note": _note_of(claim_id), "investigation": row["investigation"]}
    return "\n".join([*lines, *(f"{name}: {text}" for name, text in more.items() if text)])


def _list(name: str, lines: Iterable[str]) -> list[str]:
    return [*([f"{name}:"] if name else []), *(f"  {line}" for line in lines if line)]
