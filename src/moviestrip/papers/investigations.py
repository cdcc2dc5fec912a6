"""Why a claim does not hold: what its comparisons say themselves, and what somebody found out.

The first is computed for every claim that fails or is undecided: which comparisons are broken, by how much beside the
paper's own, and how many clips an interval clear of zero would take. The second is data, `investigations.csv`: an
entry is of a claim in one world, or in every world where `world` is empty.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd

from moviestrip.errors import FatalError
from moviestrip.papers.printed import DATA

Cause = Literal["budget", "data", "clips", "printed", "definition", "chance", "bug"]
CAUSES = get_args(Cause)
SHOWN_COMPARISONS = 3
ENTRY_COLUMNS = ["claim_id", "world", "cause", "investigation"]


@dataclass(frozen=True)
class Comparison:
    """One relation of a check on our numbers.

    Attributes:
        text: as the check has it, such as `mpjpe(contextual) < mpjpe(single-view) on 3dpw`.
        margin: by how much it is true, with the ends of its interval; NaN ends without one.
        holds: by its interval, or by its margin where there is none.
        broken: its interval is below what it asks for; likewise.
        clips: behind the cell that is a mean of the fewest; 0 where none is told.
    """

    text: str
    margin: float
    low: float
    high: float
    unit: str
    holds: bool
    broken: bool
    clips: int

    def clips_needed(self) -> int:
        """Clips at which an interval around this margin would be clear of zero, its width falling with their root.

        0 where that cannot be told: without an interval, of an unknown number of clips, or at a margin of zero.
        """
        reach = self.margin - self.low if self.margin > 0 else self.high - self.margin
        if math.isnan(reach) or not self.clips or self.margin == 0:
            return 0
        return max(self.clips, math.ceil(self.clips * (reach / self.margin) ** 2))


@dataclass(frozen=True)
class Shortfall:
    """Why a claim does not hold by its own numbers; `clips` is 0 where no number of clips would decide, or is known."""

    text: str = ""
    clips: int = 0


def shortfall(ours: Sequence[Comparison], printed: Mapping[str, str]) -> Shortfall:
    """What keeps a claim from holding.

    Args:
        printed: of the paper's own comparisons the margins with units, by their text.
    """
    broken = [each for each in ours if each.broken]
    if broken:
        return Shortfall(f"{_some(broken, ours, '', ' ')}broken: {_listed(broken, printed)}")
    open_ones = [each for each in ours if not each.holds]
    if all(math.isnan(each.low) for each in open_ones):
        return Shortfall("too few clips for an interval")
    text = f"the interval crosses the boundary{_some(open_ones, ours, ' in ', '')}: {_listed(open_ones, printed)}"
    slowest = max(open_ones, key=Comparison.clips_needed)
    needed, now = slowest.clips_needed(), slowest.clips
    if not needed:
        return Shortfall(text)
    verdict = "fails" if any(each.margin < 0 for each in open_ones) else "holds"
    times = f"{needed / now:.2g}" if needed < 10 * now else f"{needed / now:,.0f}"
    clear = f"{needed:,} clips, {times} times these {now}, would make such effects clear: it {verdict}"
    return Shortfall(f"{text}; {clear}", needed)


def _some(some: Sequence[Comparison], ours: Sequence[Comparison], before: str, after: str) -> str:
    """How many of a check's comparisons; nothing where it has one."""
    return "" if len(ours) == 1 else f"{before}{len(some)} of {len(ours)} comparisons{after}"


def _listed(comparisons: Sequence[Comparison], printed: Mapping[str, str]) -> str:
    """The smallest margins first."""
    lines = []
    for each in sorted(comparisons, key=lambda each: each.margin)[:SHOWN_COMPARISONS]:
        beside = [] if math.isnan(each.low) else [f"{each.low:.3g} to {each.high:.3g}"]
        beside += [f"printed {printed[each.text]}"] if each.text in printed else []
        lines.append(f"{each.text} by {each.margin:.3g} {each.unit}" + (f" ({'; '.join(beside)})" if beside else ""))
    more = len(comparisons) - SHOWN_COMPARISONS
    return ", ".join([*lines, *([f"and {more} more"] if more > 0 else [])])


@functools.cache
def _entries() -> pd.DataFrame:
    path = DATA / "investigations.csv"
    found = pd.read_csv(path, dtype=str, keep_default_na=False)
    if list(found.columns) != ENTRY_COLUMNS:
        raise FatalError(f"{path}: has the columns {list(found.columns)}; expected {ENTRY_COLUMNS}")
    strange = sorted(set(found["cause"]) - set(CAUSES))
    if strange:
        raise FatalError(f"{path}: cause: '{strange[0]}' is not known; known: {', '.join(CAUSES)}")
    return found


def investigations() -> pd.DataFrame:
    """Every entry: (claim_id, world, cause, investigation)."""
    return _entries().copy()


def investigation_of(claim_id: str, world: str) -> str:
    """What was found out about a claim in a world, each entry with its cause; nothing where nobody has looked."""
    entries = _entries()
    own = entries[(entries["claim_id"] == claim_id) & entries["world"].isin(["", world])]
    return " ".join(f"{cause}: {text}" for cause, text in zip(own["cause"], own["investigation"], strict=True))
