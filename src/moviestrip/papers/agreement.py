"""Whether runs that differ in their seeds alone come to the same verdicts, and what all of them say together.

A claim can be compared where every run judges it: it holds, fails or is undecided. Of those,

- `agree`: every run has the same verdict, undecided among them;
- `differ`: verdicts differ, and none contradicts another: some run is undecided;
- `contradict`: it holds in one run and fails in another.

Together, a cell is the mean of the runs' cells. One resample draws runs as a run's own draws training seeds, and of
each drawn run its clips, so that what differs from seed to seed widens the interval; that runs and clips are few widens
it further (`statistics.expansion`). It is too wide where runs differ by no more than their clips make them: these are
then drawn twice.
"""

import math
import os
import zlib
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from moviestrip.errors import ConfigError
from moviestrip.evaluation.statistics import Expansion, expansion
from moviestrip.papers.claims import ENDS, FAILS, HOLDS, UNDECIDED, cells_of, judge, judge_claims
from moviestrip.papers.printed import CELL_KEY, printed_claims
from moviestrip.papers.resamples import Drawn, Resamples
from moviestrip.papers.worlds import Setting
from moviestrip.provenance import flat_settings, read_record

JUDGED = (HOLDS, FAILS, UNDECIDED)
AGREE, DIFFER, CONTRADICT, NOT_COMPARED = "agree", "differ", "contradict", "not compared"
WORST_FIRST = (CONTRADICT, DIFFER, AGREE, NOT_COMPARED)
SEED_KEYS = ("seed", "training_seeds", "name", "results")  # in which runs of other seeds may differ
BETWEEN = "; "  # the runs' values in one column
SHOWN_DIFFERENCES = 3


@dataclass(frozen=True)
class Evidence:
    """What a run's verdicts are made of.

    Attributes:
        tables: of `build_table`, one after the other.
        scores: behind them.
    """

    label: str
    tables: pd.DataFrame
    scores: pd.DataFrame
    setting: Setting

    @property
    def resamples(self) -> Resamples:
        return Resamples(self.scores, self.setting, self.setting.verdict_samples)

    def ledger(self) -> pd.DataFrame:
        return judge_claims(self.tables, self.resamples, self.setting)


def compare(ledgers: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a claim, worst first: whether the ledgers agree, and each ledger's verdict, effect and ends.

    `verdicts`, `effects`, `lows` and `highs` have a value a run, in the order of `runs`, with semicolons between.
    """
    first = next(iter(ledgers.values()))
    aligned = [ledger.set_index("claim_id").reindex(first["claim_id"]) for ledger in ledgers.values()]
    rows = []
    for claim_id in first["claim_id"]:
        claims = [ledger.loc[claim_id] for ledger in aligned]
        verdicts = [str(claim["verdict"]) for claim in claims]
        judged = all(verdict in JUDGED for verdict in verdicts)
        rows.append({
            "claim_id": claim_id,
            "agreement": agreement_of(verdicts),
            "verdicts": BETWEEN.join(verdicts),
            **{f"{name}s": BETWEEN.join(_number(claim[name]) for claim in claims) for name in ENDS},
            "unit": next((unit for claim in claims if (unit := claim["unit"])), "") if judged else "",
            "runs": BETWEEN.join(ledgers),
        })  # fmt: skip
    return pd.DataFrame(rows).sort_values(
        "agreement", key=lambda names: names.map(WORST_FIRST.index), kind="stable", ignore_index=True
    )


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def agreement_of(verdicts: Sequence[str]) -> str:
    """What the module's docstring calls it; `not compared` where a run does not judge the claim."""
    if not all(verdict in JUDGED for verdict in verdicts):
        return NOT_COMPARED
    if len(set(verdicts)) == 1:
        return AGREE
    return CONTRADICT if {HOLDS, FAILS} <= set(verdicts) else DIFFER


def with_movement(compared: pd.DataFrame, runs: Sequence[Evidence]) -> pd.DataFrame:
    """A comparison with how far each claim's relations move from run to run, in standard errors of their intervals.

    It is the root mean square over the relations that all runs can make. Where nothing else differs between runs
    than what intervals allow for, it is about 1.
    """
    found = [_margins(run) for run in runs]
    moves = {claim_id: _movement([run[claim_id] for run in found]) for claim_id in compared["claim_id"]}
    return compared.assign(moves=compared["claim_id"].map(moves))


Margins = Mapping[str, tuple[float, float]]  # of relations by their texts, each with its standard error


def _movement(runs: Sequence[Margins]) -> float:
    shared = [text for text in runs[0] if all(text in run for run in runs)]
    margins, errors = np.array([[run[text] for run in runs] for text in shared]).reshape(-1, len(runs), 2).T
    return float(np.sqrt(np.mean(margins.var(0, ddof=1) / np.mean(errors**2, axis=0)))) if shared else math.nan


def _margins(run: Evidence) -> dict[str, Margins]:
    """Of every claim, where they have an interval."""
    cells, percent = cells_of(run.tables, run.resamples), run.setting.verdict_percent
    claims = printed_claims()[["claim_id", "check", "paper"]].itertuples(index=False)
    compared = {name: judge(check, cells[paper], percent).comparisons for name, check, paper in claims}
    return {
        name: {each.text: (each.margin, each.error) for each in found if each.error > 0}
        for name, found in compared.items()
    }


def with_pooled(compared: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """A comparison with the verdict, effect and ends of `pool` beside each claim."""
    columns = ["verdict", *ENDS]
    pooled = ledger.set_index("claim_id")[columns].rename(columns={name: f"pooled_{name}" for name in columns})
    return compared.merge(pooled, left_on="claim_id", right_index=True, how="left", validate="one_to_one")


def summary_lines(compared: pd.DataFrame) -> list[str]:
    """How many claims could be compared, and which share of them agrees."""
    counts = Counter(compared["agreement"])
    total = len(compared) - counts[NOT_COMPARED]
    if not total:
        return ["no claim is judged in every run: make more tables and variants"]
    calm = total - counts[CONTRADICT]
    same = compared[compared["agreement"] == AGREE]["verdicts"].str.split(BETWEEN).str[0]
    of_these = ", ".join(f"{(same == verdict).sum()} {verdict}" for verdict in JUDGED)
    judged = compared[compared["agreement"] != NOT_COMPARED]
    moves = judged["moves"].dropna() if "moves" in compared else pd.Series(dtype=float)
    return [
        f"{total} of {len(compared)} claims are judged in every run",
        f"{counts[AGREE]} ({counts[AGREE] / total:.0%}) have the same verdict in all: {of_these}",
        f"{calm} ({calm / total:.0%}) without contradiction: none holds in one run and fails in another",
        *([MOVES.format(np.sqrt(np.mean(np.square(moves))))] if len(moves) else []),
    ]


MOVES = "claims move from run to run by {:.2f} standard errors of their intervals"
LETTERS = {HOLDS: "H", FAILS: "F", UNDECIDED: "U"}
LEGEND = "H holds, F fails, U undecided, - not judged; beside it the effect"


def comparison_rows(compared: pd.DataFrame, every: bool = False) -> tuple[list[str], list[list[str]]]:
    """Names of columns and rows for a terminal; claims on which all agree, and those not compared, only on demand."""
    runs = str(compared["runs"].iloc[0]).split(BETWEEN)
    has_pooled = "pooled_verdict" in compared
    shown = compared if every else compared[compared["agreement"].isin([CONTRADICT, DIFFER])]
    rows = []
    for claim in shown.to_dict("records"):
        verdicts, effects = (str(claim[name]).split(BETWEEN) for name in ("verdicts", "effects"))
        found = list(zip(verdicts, (float(effect or "nan") for effect in effects), strict=True))
        found += [(str(claim["pooled_verdict"]), float(claim["pooled_effect"]))] if has_pooled else []
        cells = [f"{LETTERS.get(name, '-')} {'' if np.isnan(effect) else f'{effect:.3g}'}" for name, effect in found]
        rows.append([str(claim["claim_id"]), str(claim["agreement"]), *cells, str(claim["unit"])])
    return ["claim", "agreement", *runs, *(["together"] if has_pooled else []), "unit"], rows


class PooledResamples:
    """Cells that are means over runs, in every resample; runs are drawn with replacement, the same for every cell."""

    def __init__(self, runs: Sequence[Evidence]):
        samples = {run.setting.bootstrap_samples for run in runs}
        if len(samples) > 1:
            raise ConfigError(f"evaluation.bootstrap_samples: the runs have {sorted(samples)}; they must be equal")
        self._runs = [(run.resamples, _numbers(run.tables)) for run in runs]
        self._setting = runs[0].setting
        random = np.random.default_rng([len(runs), zlib.crc32(b"runs")])
        shares = np.full(len(runs), 1 / len(runs))
        self._weights = random.multinomial(len(runs), shares, size=self._setting.verdict_samples) / len(runs)

    def of(self, cell: Mapping[Hashable, object], number: float) -> Drawn:
        key = tuple(cell[name] for name in CELL_KEY)
        of_runs = [resamples.of(cell, numbers[key]) for resamples, numbers in self._runs]
        drawn = np.stack([each.values for each in of_runs], axis=1)
        mean = np.where(self._weights > 0, drawn * self._weights, 0).sum(axis=1)
        groups = [each.groups for each in of_runs]
        return Drawn(mean, sum(groups) if min(groups) > 1 else 0)

    def expansion(self, again: Float[np.ndarray, " samples"], groups: int) -> Expansion:
        """As that of one run; runs stand in the seeds' place."""
        return expansion(again, groups, self._setting.interval_percent, self._weights)

    def expansion_of_verdicts(self, again: Float[np.ndarray, " samples"], groups: int) -> Expansion:
        """Likewise; what differs from training to training differs between runs."""
        return expansion(again, groups, self._setting.verdict_percent, self._weights)


def _numbers(table: pd.DataFrame) -> dict[tuple[Any, ...], float]:
    """Our number of every cell; NaN where it has none."""
    numbers = pd.to_numeric(table["ours"], errors="coerce")
    return dict(zip(table[CELL_KEY].itertuples(index=False, name=None), numbers, strict=True))


def pool(runs: Sequence[Evidence]) -> pd.DataFrame:
    """The ledger of the runs together: every cell is the mean of theirs, and has a number where all have one."""
    return judge_claims(_mean_tables(runs), PooledResamples(runs), runs[0].setting)


def _mean_tables(runs: Sequence[Evidence]) -> pd.DataFrame:
    first = runs[0].tables
    keys = list(first[CELL_KEY].itertuples(index=False, name=None))
    numbers = np.array([[found.get(key, np.nan) for key in keys] for found in (_numbers(run.tables) for run in runs)])
    clips = [pd.to_numeric(run.tables["clips"], errors="coerce").to_numpy(np.float64, na_value=0) for run in runs]
    means = numbers.mean(axis=0)
    lacking = np.isnan(means) & ~np.isnan(numbers[0])
    notes = first["note"].mask(lacking, "pending: not every run has a number")
    return first.assign(ours=means, clips=np.sum(clips, axis=0).astype(int), note=notes)


def require_seeds_alone(claims: Mapping[str, Path]) -> None:
    """Refuse runs whose records, from their ledgers back to their videos, show other settings than other seeds.

    Args:
        claims: the ledgers' files by the runs' names.
    """
    recorded = {name: _settings_behind(path) for name, path in claims.items()}
    first, *others = recorded
    for other in others:
        found = list(dict.fromkeys(_differences(recorded[first], recorded[other])))
        if found:
            more = f", and {len(found) - SHOWN_DIFFERENCES} more" if len(found) > SHOWN_DIFFERENCES else ""
            raise ConfigError(
                f"{first} and {other} differ in more than seeds: {', '.join(found[:SHOWN_DIFFERENCES])}{more}; "
                f"run one configuration with other seeds (docs/claims.md)"
            )


Settings = Mapping[str, str]


def _settings_behind(claims: Path) -> dict[str, Settings]:
    """Of every file behind a ledger, by its place in the run without seeds, what its stage read, but for seeds."""
    found: dict[str, Settings] = {}
    waiting, seen = [claims], {claims}
    while waiting:
        path = waiting.pop()
        record = read_record(path)
        if record is None:
            continue  # from outside the run
        settings = {key: value for key, value in flat_settings(record["settings"]) if key not in SEED_KEYS}
        place = "/".join(part for part in Path(os.path.relpath(path, claims.parent)).parts if not _is_of_seed(part))
        found[place] = settings | {"version of moviestrip": record["code_version"]}
        behind = {Path(os.path.normpath(path.parent / each["path"])) for each in record["inputs"].values()} - seen
        waiting += sorted(behind)
        seen |= behind
    return found


def _is_of_seed(part: str) -> bool:
    return part.startswith("seed-")


def _differences(ours: Mapping[str, Settings], theirs: Mapping[str, Settings]) -> Iterator[str]:
    """Keys that differ, what is furthest from the ledger last."""
    for place in [place for place in ours if place in theirs]:
        keys = dict.fromkeys((*ours[place], *theirs[place]))
        for key in [key for key in keys if ours[place].get(key) != theirs[place].get(key)]:
            yield f"{key} ({ours[place].get(key, 'not read')} and {theirs[place].get(key, 'not read')})"
