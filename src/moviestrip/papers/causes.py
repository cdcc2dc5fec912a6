"""Why a claim does not hold, in one of few words, with the numbers that prove it.

Everything is computed from a run's own files: the comparisons of a check with their intervals, the same comparisons
on the printed numbers, and how the errors of the models fell while they learned. What is compared is the effect, by
how much one side lies below the other whatever the check asks for: of errors in percent of the larger one, because a
world may be harder than the paper's, and else in the metric's own unit.

- `contradicted by its own table`: the paper's printed numbers do not hold either.
- `opposite here`: an effect clearly in the other direction.
- `no such effect here`: an interval that reaches zero, and excludes the effect that is printed or asked for.
- `smaller effect here`: an effect in the right direction, and clearly less than is printed or asked for.
- `larger effect here`: of a claim that something stays small, an effect clearly beyond that, or beyond the printed one.
- `too few clips`: neither the boundary nor the printed effect is excluded: nothing is known.

A claim has the cause of the comparison that decides its verdict: of those broken, or where none is, of those open, the
one with the plainest cause, in the order above; of equals the one that lies farthest below what it asks for. Upper
ends are those that hold for all comparisons of a claim together, so that picking one does not make it surer.

Independent of that, models may still have been learning: their validation error fell in the last third of training.
The rate falls then too and errors with it, so that this says that a larger budget may explain the verdict, not that
it does.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

Cause = Literal[
    "contradicted by its own table",
    "opposite here",
    "no such effect here",
    "smaller effect here",
    "larger effect here",
    "too few clips",
]
CAUSES: tuple[Cause, ...] = get_args(Cause)
CONTRADICTED, OPPOSITE, ABSENT, SMALLER, LARGER, FEW = CAUSES
PROVEN = (OPPOSITE, ABSENT, SMALLER, LARGER)  # an interval excludes what the paper found, or asks for
VALIDATION = "validation_pa_mpjpe_mm"  # of a training log
STILL_LEARNING_PERCENT = 2.0  # by which the validation error fell in it: checkpoints of one training differ by as much
FEWEST_CLIPS = 3  # from which more of the same can be reckoned
SHOWN_MODELS = 3
HOLDING = "holding"

Asked = Literal["direction", "amount", "limit"]


@dataclass(frozen=True)
class Size:
    """An effect with the ends of its interval, above zero where it is the claimed one; of a limit, what it limits."""

    value: float
    low: float
    high: float
    unit: str

    def shown(self) -> str:
        ends = "" if math.isnan(self.low) else f" ({self.low:.3g} to {self.high:.3g})"
        return f"{self.value:.3g} {self.unit}{ends}"


@dataclass(frozen=True)
class Comparison:
    """One relation of a check on one side's numbers.

    Attributes:
        text: as the check has it, such as `mpjpe(contextual) < mpjpe(single-view) on 3dpw`.
        margin: by how much it is true, with the ends of its interval; NaN ends without one.
        holds: by its interval, or by its margin where there is none.
        broken: its interval is below what it asks for; likewise.
        clips: behind the cell that is a mean of the fewest; 0 where none is told.
        asked: that one side is lower, lower by an amount, or by no more than a limit.
        size: of the effect, without the amount or limit.
        widening: of its interval, for being of few clips.
        error: standard error of the margin, as its interval has it, but for that widening; NaN without one.
        models: (row, kind of row) of each cell.
    """

    text: str
    margin: float
    low: float
    high: float
    unit: str
    holds: bool
    broken: bool
    clips: int = 0
    asked: Asked = "direction"
    size: Size | None = None
    widening: float = 1.0
    error: float = math.nan
    models: tuple[tuple[str, str], ...] = ()

    def below(self) -> float:
        """How far it lies below what it asks for, in widths of its interval to the upper end."""
        reach = self.high - self.margin
        return (
            math.nan
            if math.isnan(reach)
            else -self.margin / reach
            if reach > 0
            else -math.copysign(math.inf, self.margin)
        )


@dataclass(frozen=True)
class Learning:
    """How a model's validation error went in the last third of its training, over its training seeds."""

    fall_mm: float  # per 100 steps
    fall_percent: float  # over all of that third

    @property
    def goes_on(self) -> bool:
        return self.fall_percent >= STILL_LEARNING_PERCENT


@dataclass(frozen=True)
class Finding:
    """Why a claim does not hold; nothing of one that does."""

    cause: str = ""
    evidence: str = ""
    still_learning: tuple[str, ...] = ()
    clips: int = 0  # that would tell the printed effect from none; 0 where that is known, or cannot be reckoned


def learning_of(logs: Sequence[pd.DataFrame]) -> Learning | None:
    """How a model learned last, by its training logs, one a seed; None where fewer than two validations tell."""
    falls = [found for log in logs if (found := _fall(log)) is not None]
    return Learning(*np.mean(falls, axis=0).tolist()) if falls else None


def _fall(log: pd.DataFrame) -> tuple[float, float] | None:
    """By a line through the validations of the last third: mm per 100 steps, and percent over all of it."""
    errors = log[log["loss"] == VALIDATION]
    last = int(log["step"].max()) if len(log) else 0
    errors = errors[3 * errors["step"] >= 2 * last]
    if errors["step"].nunique() < 2:
        return None
    steps, values = errors["step"].to_numpy(np.float64), errors["value"].to_numpy(np.float64)
    slope, start = np.polyfit(steps - steps.min(), values, 1)
    return float(-100 * slope), float(-100 * slope * np.ptp(steps) / start)


def cause_of(ours: Comparison, printed: Comparison | None) -> Cause | None:
    """Why one comparison does not hold, or None where it does."""
    if ours.holds:
        return None
    size, asked = ours.size, printed.asked if printed else ours.asked
    if size is None or math.isnan(size.low):
        return FEW
    theirs = printed.size.value if printed and printed.size else math.nan
    if asked == "limit":
        return LARGER if ours.broken or size.low > theirs else FEW
    if ours.broken:
        is_opposite = asked == "direction" or size.high < 0
        return OPPOSITE if is_opposite else SMALLER if size.low > 0 else ABSENT
    if not size.high < theirs:
        return FEW
    return ABSENT if asked == "direction" else SMALLER if size.low > 0 else FEW


def explain(
    ours: Sequence[Comparison],
    printed: Sequence[Comparison],
    printed_holds: bool,
    learning: Mapping[str, Learning] | None = None,
    title: Mapping[tuple[str, str], str] | None = None,
) -> Finding:
    """Why a claim does not hold, by its comparisons that can be made.

    Args:
        printed: the same on the paper's numbers.
        learning: of every model that was trained here; None where no logs are at hand.
        title: of a comparison's models the names in `learning`.
    """
    theirs = {each.text: each for each in printed}
    causes = {index: cause for index, each in enumerate(ours) if (cause := cause_of(each, theirs.get(each.text)))}
    if not causes:
        return Finding()
    any_broken = any(each.broken for each in ours)
    weighed = [index for index in causes if ours[index].broken or not any_broken]
    chosen = min(weighed, key=lambda index: (CAUSES.index(causes[index]), -np.nan_to_num(ours[index].below())))
    decisive, cause = ours[chosen], causes[chosen]
    clips = 0
    if cause == FEW:
        clips = max(clips_to_decide(ours[index], theirs.get(ours[index].text)) for index in weighed)
    parts = [_told(decisive, theirs.get(decisive.text), cause, clips)]
    if not printed_holds:
        worst = min(printed, key=lambda each: each.margin)
        parts.insert(0, f"the printed numbers break {worst.text} by {-worst.margin:.3g} {worst.unit}")
    others = Counter(causes.get(index, HOLDING) for index in range(len(ours)) if index != chosen)
    if others:
        names = [name for name in (*CAUSES, HOLDING) if others[name]]
        parts.append("other comparisons: " + ", ".join(f"{others[name]} {name}" for name in names))
    models = dict.fromkeys(name for model in decisive.models if (name := (title or {}).get(model)))
    going_on = tuple(name for name in models if learning and name in learning and learning[name].goes_on)
    if learning is not None:
        parts += _learning_told([name for name in models if name in learning], learning, going_on)
    return Finding(cause if printed_holds else CONTRADICTED, "; ".join(parts), going_on, clips if printed_holds else 0)


def clips_to_decide(ours: Comparison, printed: Comparison | None) -> int:
    """Clips at which such an interval would exclude the boundary, or the printed effect.

    Its width falls with the root of the clips, what widens it for being of few falls away. It is then clear of the
    boundary, or too narrow to hold both, whichever takes fewer. 0 where that cannot be told: without an interval, or
    of a handful of clips.
    """
    reach = ours.margin - ours.low if ours.margin > 0 else ours.high - ours.margin
    if math.isnan(reach) or ours.clips < FEWEST_CLIPS:
        return 0
    shares = [abs(ours.margin) / reach]
    if printed is not None and printed.asked != "direction":
        shares.append(printed.margin / (2 * reach))
    elif printed is not None and ours.size is not None and printed.size is not None:
        shares.append(printed.size.value / (ours.size.high - ours.size.low))
    largest = ours.widening * max(shares)
    return max(ours.clips, math.ceil(ours.clips / largest**2)) if largest > 0 else 0


def _told(ours: Comparison, printed: Comparison | None, cause: Cause, clips: int) -> str:
    """The comparison with its effect beside the printed one, and what follows from both."""
    size, theirs = ours.size, printed.size if printed else None
    if size is None:
        return ours.text
    beside = "" if theirs is None else f", printed {theirs.value:.3g}"
    what = f"{ours.text}: an effect of {size.shown()}{beside}"
    if cause == FEW:
        if math.isnan(size.low):
            return f"{what}; too few clips for an interval"
        needed = f"; about {clips:,} clips would decide, here are {ours.clips}" if clips else ""
        return f"{what}; neither the boundary nor that is excluded{needed}"
    if cause == ABSENT:
        return f"{what}; it may be none, and is at most {_most(size, theirs)}"
    if cause == OPPOSITE:
        return f"{what}; clearly in the other direction"
    return f"{what}; clearly more" if cause == LARGER else f"{what}{_share(size, theirs)}"


def _share(size: Size, printed: Size | None) -> str:
    if printed is None or printed.value <= 0:
        return ""
    low, value, high = (100 * each / printed.value for each in (size.low, size.value, size.high))
    return f"; {value:.0f} % of the printed effect ({low:.0f} to {high:.0f})"


def _most(size: Size, printed: Size | None) -> str:
    if printed is None or printed.value <= 0:
        return f"{size.high:.3g} {size.unit}"
    return f"{100 * max(size.high, 0) / printed.value:.0f} % of the printed one"


def _learning_told(models: Sequence[str], learning: Mapping[str, Learning], going_on: Sequence[str]) -> Iterable[str]:
    if not models:
        return
    if not going_on:
        yield "no model compared was still learning"
        return
    shown = sorted(going_on, key=lambda name: -learning[name].fall_mm)
    told = [f"{name} {learning[name].fall_mm:.1f}" for name in shown[:SHOWN_MODELS]]
    told += [f"and {len(shown) - SHOWN_MODELS} more"] if len(shown) > SHOWN_MODELS else []
    yield (
        f"{len(going_on)} of {len(models)} models compared still learning, in mm of validation PA-MPJPE per 100 steps: "
        f"{', '.join(told)}"
    )
