"""What keeps a claim from holding: its comparisons by their numbers, and what somebody found out.

The first is computed for every claim that fails or is undecided: which comparisons are broken or open, and by how much
beside the paper's own. The second is data, `investigations.csv`: an entry is of a claim in one world, or in every world
where `world` is empty. In one word, and with proof, it is said by `causes.py`.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import pandas as pd

from moviestrip.errors import FatalError
from moviestrip.papers.causes import Comparison
from moviestrip.papers.printed import DATA

Origin = Literal["budget", "data", "clips", "printed", "definition", "chance", "bug"]
ORIGINS = get_args(Origin)
SHOWN_COMPARISONS = 3
ENTRY_COLUMNS = ["claim_id", "world", "origin", "investigation"]


def shortfall(ours: Sequence[Comparison], printed: Mapping[str, str]) -> str:
    """What keeps a claim from holding.

    Args:
        printed: of the paper's own comparisons the margins with units, by their text.
    """
    broken = [each for each in ours if each.broken]
    if broken:
        return f"{_some(broken, ours, '', ' ')}broken: {_listed(broken, printed)}"
    open_ones = [each for each in ours if not each.holds]
    if all(math.isnan(each.low) for each in open_ones):
        return "too few clips for an interval"
    return f"the interval crosses the boundary{_some(open_ones, ours, ' in ', '')}: {_listed(open_ones, printed)}"


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
    strange = sorted(set(found["origin"]) - set(ORIGINS))
    if strange:
        raise FatalError(f"{path}: origin: '{strange[0]}' is not known; known: {', '.join(ORIGINS)}")
    return found


def investigations() -> pd.DataFrame:
    """Every entry: (claim_id, world, origin, investigation)."""
    return _entries().copy()


def investigation_of(claim_id: str, world: str) -> str:
    """What was found out about a claim in a world, each entry with its origin; nothing where nobody has looked."""
    entries = _entries()
    own = entries[(entries["claim_id"] == claim_id) & entries["world"].isin(["", world])]
    return " ".join(f"{origin}: {text}" for origin, text in zip(own["origin"], own["investigation"], strict=True))
