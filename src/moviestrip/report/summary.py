"""The run's answer in plain words: how many claims hold, what beats smoothing, what real footage says, and what not.

Every sentence is built from the run's own files, so that none can outlive the numbers that it tells.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moviestrip.config import Config, DatasetSettings, VariantSettings
from moviestrip.papers.causes import CONTRADICTED, FEW, PROVEN
from moviestrip.papers.printed import PAPER_TITLES, PAPERS
from moviestrip.report.findings import (
    ABSENT,
    BETTER,
    DIFFICULTY_VERDICTS,
    PRESENT,
    SMOOTHING_VERDICTS,
    UNDECIDED,
    WORSE,
    Row,
    metric_title,
)

JUDGED = ("holds", "fails", "undecided")
STATUE = "statue_pa_mpjpe"  # of one pose that never moves, against the same reference
PLURALS = {"holds": "hold", "fails": "fail"}
TALLIES_SHOWN = 4
PAPERS_WIDTH = 2048  # channels of the movie strip in all four papers
NOTHING_CHECKED = "Not checked in this run."


@dataclass(frozen=True)
class Tally:
    """How often each verdict was reached among things of one kind, in a fixed order."""

    name: str
    title: str
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def in_words(self) -> str:
        return " · ".join(f"{count} {PLURALS.get(name, name)}" for name, count in self.counts.items() if count)


@dataclass(frozen=True)
class Answer:
    """One question of the first screen: its answer, tallies behind it, and the section that tells more."""

    question: str
    figure: str
    text: str
    section: str
    tallies: tuple[Tally, ...] = ()


@dataclass(frozen=True)
class LearningGroup:
    """Models that learn from the same datasets: `models` by paper."""

    datasets: tuple[str, ...]
    models: Mapping[str, tuple[str, ...]]

    @property
    def size(self) -> int:
        return sum(len(names) for names in self.models.values())


def answers(
    config: Config,
    claims: Sequence[Row] | None,
    smoothing: Sequence[Row],
    difficulty: Sequence[Row],
    real_check: Sequence[Row],
) -> list[Answer]:
    """What the first screen says, question by question."""
    return [
        answer_of_claims(claims),
        answer_of_smoothing(smoothing),
        *([answer_of_difficulty(difficulty)] if config.world == "miniature" or difficulty else []),
        answer_of_real_check(real_check),
    ]


def answer_of_claims(claims: Sequence[Row] | None) -> Answer:
    question = "Do the papers’ claims hold here?"
    if not claims:
        return Answer(question, "–", "No claim has been judged in this run.", "claims")
    counts = Counter(row["verdict"] for row in claims)
    applies = sum(counts[name] for name in JUDGED)
    others = len(claims) - applies
    text = (
        f"Of {plural(applies, 'claim')} that this run can judge, {counts['holds']} hold with an interval clear of "
        f"zero, {counts['fails']} fail and {counts['undecided']} stay undecided."
    )
    causes = Counter(row.get("cause", "") for row in claims)
    if proven := sum(causes[name] for name in PROVEN):
        text += (
            f" Of those that do not hold, intervals exclude what the paper found in {proven}, {causes[FEW]} have too "
            f"few clips to tell, and {causes[CONTRADICTED]} the paper’s own numbers break."
        )
    if others:
        text += f" {plural(others, 'more claim')} cannot be judged here; the ledger says why."
    return Answer(question, f"{counts['holds']} of {applies}", text, "claims", claims_by_paper(claims))


def claims_by_paper(claims: Sequence[Row]) -> tuple[Tally, ...]:
    """One tally a paper, of the claims that could be judged."""
    return tuple(
        tally
        for paper in PAPERS
        if (tally := _tally(paper, PAPER_TITLES[paper], JUDGED, _verdicts(claims, "paper", paper))).total
    )


def answer_of_smoothing(rows: Sequence[Row]) -> Answer:
    question = "Do learned models beat plain smoothing over time?"
    if not rows:
        return Answer(question, "–", NOTHING_CHECKED, "baselines")
    counts = Counter(row["verdict"] for row in rows)
    text = (
        f"Against the static models smoothed over time, learned models are better in {counts[BETTER]} of "
        f"{plural(len(rows), 'comparison')}, worse in {counts[WORSE]}, undecided in {counts[UNDECIDED]}."
    )
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    tallies = tuple(
        _tally(name, metric_title(name), SMOOTHING_VERDICTS, _verdicts(rows, "metric", name)) for name in metrics
    )
    beaten = [tally.title for tally in tallies if tally.counts[BETTER] > tally.total / 2]
    never = [tally.title for tally in tallies if not tally.counts[BETTER]]
    text += f" Most beat it on {listed(beaten)}." if beaten else ""
    text += f" None beats it on {listed(never)}." if never else ""
    return Answer(question, f"{counts[BETTER]} of {len(rows)}", text, "baselines", _largest(tallies))


def answer_of_difficulty(rows: Sequence[Row]) -> Answer:
    question = "Is this world hard in the ways that real video is?"
    if not rows:
        return Answer(question, "–", NOTHING_CHECKED, "world")
    counts = Counter(row["verdict"] for row in rows)
    text = (
        f"Of {plural(len(rows), 'check')}, {counts[PRESENT]} find what is expected of real video, {counts[ABSENT]} "
        f"find that it is absent and {counts[UNDECIDED]} are undecided."
    )
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        kinds[row["check"].partition("-")[0]][row["verdict"]] += 1
    tallies = tuple(_tally(kind, kind.replace("_", " "), DIFFICULTY_VERDICTS, found) for kind, found in kinds.items())
    return Answer(question, f"{counts[PRESENT]} of {len(rows)}", text, "world", _largest(tallies))


def answer_of_real_check(rows: Sequence[Row]) -> Answer:
    """The models' errors as a range, beside a body that never moves and beside the reference's own uncertainty."""
    question = "And on real footage?"
    measured = [row for row in rows if row["metric"] == "pa_mpjpe" and row["value"]]
    if not measured:
        text = "Seen, not measured: the pictures are below." if rows else NOTHING_CHECKED
        return Answer(question, "–", text, "real")
    dataset, view = measured[0]["dataset"], measured[0]["view"]
    ranked = sorted((row for row in measured if (row["dataset"], row["view"]) == (dataset, view)), key=_value)
    best, worst = ranked[0], ranked[-1]
    people = f" of {plural(int(best['people']), 'person', 'people')}" if best["people"] else ""
    text = f"On {plural(int(best['clips'] or 0), 'clip')}{people} ({dataset}), {plural(len(ranked), 'model')} have"
    text += f" a PA-MPJPE of {_value(best):.0f} to {_value(worst):.0f} mm."
    still = next((row for row in rows if (row["metric"], row["view"]) == (STATUE, view) and row["value"]), None)
    if still is not None:
        outdone = "no model beats that" if _value(still) <= _value(best) else f"{best['title']} beats that"
        text += f" One pose that never moves has {_value(still):.0f} mm: {outdone}."
    if best["uncertainty_mm"]:
        uncertainty = float(best["uncertainty_mm"])
        text += f" The reference itself is uncertain by {uncertainty:.0f} mm"
        text += ", more than the models differ." if _value(worst) - _value(best) < uncertainty else "."
    return Answer(question, f"{_value(best):.0f}–{_value(worst):.0f} mm", text, "real")


def limits(config: Config, real_check: Sequence[Row]) -> list[tuple[str, str]]:
    """What no number of a run in the miniature world says: the short of it, and why."""
    width, steps = config.scale.width, config.scale.steps + config.scale.temporal_steps
    seeds = len(config.training_seeds)
    footage = (
        "One small check on real footage is below, with its uncertainty; nothing else here was filmed."
        if real_check
        else "Nothing that is scored here was filmed."
    )
    luck = f"over {seeds} trainings of each model" if seeds > 1 else "and not the luck of training: each model has one"
    return [
        (
            "How accurate any model is on real video.",
            f"What is scored are rendered people with one free body, on features of a small network. {footage}",
        ),
        (
            "Whether a paper is right.",
            f"Our networks are {width} channels wide, the papers’ {PAPERS_WIDTH}, and learn for at most {steps:,} "
            "steps from few clips. A claim may fail here and be true on the papers’ data, or the other way round.",
        ),
        (
            "How printed and own numbers compare in size.",
            "They come from different data. Compare the order of models in a column, never a number with its "
            "printed neighbour.",
        ),
        (
            "What another world would give.",
            f"Intervals are over the test clips of this one, {luck}; they know nothing of other bodies, cameras or "
            "motions.",
        ),
    ]


def learning_groups(config: Config, variants: Mapping[str, VariantSettings]) -> list[LearningGroup]:
    """Models by what they learn from, in the order of the configuration; an empty set means every training set."""
    found: dict[frozenset[str], dict[str, list[str]]] = {}
    for name in (name for name in config.variants if name in variants):
        learner = (
            variants[variants[name].weights_of or name] if variants[name].weights_of in variants else variants[name]
        )
        by_paper = found.setdefault(frozenset(learner.datasets), defaultdict(list))
        by_paper[variants[name].paper].append(name)
    return [
        LearningGroup(
            tuple(name for name in config.datasets if name in datasets),
            {paper: tuple(models[paper]) for paper in PAPERS if paper in models},
        )
        for datasets, models in found.items()
    ]


def trained_and_tested(
    config: Config, datasets: Mapping[str, DatasetSettings], variants: Mapping[str, VariantSettings], checked: bool
) -> dict[str, Any] | None:
    """The table of who learns from what and what all are tested on; nothing where the settings are not known.

    Args:
        checked: whether the run has held its models against real footage.
    """
    known = [name for name in config.datasets if name in datasets]
    groups = learning_groups(config, variants)
    if not known or not groups:
        return None
    every = tuple(name for name in known if datasets[name].is_trained_on)
    return {
        "datasets": [{"name": name, "title": datasets[name].title, "plays": datasets[name].plays} for name in known],
        "groups": [
            {
                "size": group.size,
                "models": {PAPER_TITLES[paper]: names for paper, names in group.models.items()},
                "learns": set(group.datasets or every),
            }
            for group in groups
        ],
        "tested": {name for name in known if datasets[name].is_scored},
        "checked": {name for name in known if datasets[name].role == "real_check"} if checked else set(),
    }


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def _verdicts(rows: Iterable[Row], key: str, value: str) -> Counter[str]:
    return Counter(row["verdict"] for row in rows if row[key] == value)


def _tally(name: str, title: str, order: Sequence[str], counts: Counter[str]) -> Tally:
    return Tally(name, title, {verdict: counts[verdict] for verdict in order})


def _largest(tallies: Sequence[Tally]) -> tuple[Tally, ...]:
    """The few that count most, in the order given."""
    kept = sorted(tallies, key=lambda tally: -tally.total)[:TALLIES_SHOWN]
    return tuple(tally for tally in tallies if tally in kept)


def _value(row: Row) -> float:
    return float(row["value"])
