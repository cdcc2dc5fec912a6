"""The funnel of a run: what is left of its videos, people and clips stage by stage, and why the rest is not.

A page shows it twice, wide and narrow, and hides the one that does not fit: text that shrinks with a drawing cannot be
read on a telephone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from moviestrip.datasets.funnel import LEFT, UNITS, VIDEO_STAGES, filters_in
from moviestrip.figures.draw import SERIES
from moviestrip.figures.svg import RULE, drawing, to_svg

NARROW_IN, WIDE_IN = 3.6, 9.2
LABELS_IN, NUMBERS_IN = 1.3, 3.3  # of the wide drawing, left and right of the bars
LINE_IN, HEADING_IN, LEGEND_IN = 0.165, 0.42, 0.2
SMALL, NO_BREAK = 8.5, "\u00a0"
LETTERS_A_LINE = 50  # of small print, in either drawing


@dataclass(frozen=True)
class Step:
    """One stage over all datasets, in the unit that it is about."""

    stage: str
    unit: str
    left: Mapping[str, int]  # by dataset
    before: int  # of the same unit; the first of a unit is its whole
    frames: int
    out: Mapping[str, int]  # by reason

    @property
    def total(self) -> int:
        return sum(self.left.values())

    @property
    def label(self) -> str:
        return "followed" if self.stage == "people" else self.stage.replace("_", " ")

    @property
    def numbers(self) -> str:
        unit = {"videos": "video", "people": "person", "clips": "clip"}[self.unit] if self.total == 1 else self.unit
        frames = f" · {self.frames:,} frame{'' if self.frames == 1 else 's'}" if self.frames else ""
        return f"{self.total:,} {unit}{frames}"

    @property
    def reasons(self) -> list[str]:
        """What is left out, as lines that fit."""
        counts = [f"{count:,} {reason}".replace(" ", NO_BREAK) for reason, count in self.out.items()]
        lines = wrap(f"out: {', '.join(counts)}" if counts else "", LETTERS_A_LINE)
        return [line.replace(NO_BREAK, " ") for line in lines]

    def height_in(self, narrow: bool) -> float:
        lines = len(self.reasons)
        return 0.47 + LINE_IN * lines if narrow else max(0.42, 0.26 + LINE_IN * lines)


def funnel_figure(funnels: Mapping[str, pd.DataFrame], name: str = "funnel", narrow: bool = False) -> str:
    """SVG of what each stage leaves, one colour a dataset; `funnels` maps it to what `datasets.funnel` counts.

    A dataset without a stage passes it unchanged. Bars of videos, people and clips are each drawn to their own scale.
    """
    steps, datasets = steps_of(funnels), list(funnels)
    units = list(dict.fromkeys(step.unit for step in steps))
    columns = 2 if narrow else 6
    body_in = sum(step.height_in(narrow) for step in steps) + HEADING_IN * len(units)
    height_in = body_in + LEGEND_IN * -(-len(datasets) // columns) + 0.2
    with drawing(NARROW_IN if narrow else WIDE_IN, height_in) as (figure, (axis,)):
        figure.set_layout_engine("none")  # the margins are for text of known length
        _place(axis, figure, body_in, narrow)
        y = 0.0
        for unit in units:
            of_unit = [step for step in steps if step.unit == unit]
            x, side = (0.0, "left") if narrow else (-0.015, "right")
            axis.text(x, y + 0.22, unit.capitalize(), weight="bold", va="center", ha=side)
            y += HEADING_IN
            for step in of_unit:
                _draw_step(axis, step, datasets, max(1, *(each.before for each in of_unit)), y, narrow)
                y += step.height_in(narrow)
        if datasets:
            swatches = [Patch(label=each, **_colour(datasets, each)) for each in datasets]
            figure.legend(handles=swatches, loc="lower left", ncols=columns, fontsize=SMALL, handlelength=1.0)
        return to_svg(figure, name, _description(steps))


def _place(axis: Axes, figure: Figure, body_in: float, narrow: bool) -> None:
    """The axes' units are bars across and inches down."""
    width_in, height_in = figure.get_size_inches()
    left, right = (0.08, 0.08) if narrow else (LABELS_IN, NUMBERS_IN)
    across, down = (width_in - left - right) / width_in, body_in / height_in
    axis.set_position((left / width_in, 1 - down, across, down))
    axis.set_xlim(0, 1)
    axis.set_ylim(max(body_in, 0.1), 0)
    axis.axis("off")


def _draw_step(axis: Axes, step: Step, datasets: Sequence[str], scale: int, y: float, narrow: bool) -> None:
    bar, thick = (y + 0.32, 0.11) if narrow else (y + 0.2, 0.24)
    start = 0.0
    for dataset in datasets:
        part = step.left.get(dataset, 0) / scale
        axis.barh(bar, part, left=start, height=thick, **_colour(datasets, dataset))
        start += part
    axis.barh(bar, step.before / scale - start, left=start, height=thick, color=RULE)
    lines, stage = step.reasons, step.label
    if narrow:
        axis.text(0, y + 0.12, stage, va="center")
        axis.text(1, y + 0.12, step.numbers, va="center", ha="right", fontsize=SMALL + 0.5)
    else:
        axis.text(-0.015, bar, stage, va="center", ha="right")
        axis.text(1.02, bar - (0.08 if lines else 0), step.numbers, va="center")
    for number, line in enumerate(lines):
        x, first = (0.0, y + 0.48) if narrow else (1.02, bar + 0.085)
        axis.text(x, first + number * LINE_IN, line, va="center", fontsize=SMALL, alpha=0.75)


def _colour(datasets: Sequence[str], dataset: str) -> dict[str, Any]:
    position = datasets.index(dataset)
    return {"color": SERIES[position % len(SERIES)], "alpha": 1.0 if position < len(SERIES) else 0.55}


def steps_of(funnels: Mapping[str, pd.DataFrame]) -> list[Step]:
    """The stages of several funnels as one, in order."""
    names = {stage for funnel in funnels.values() for stage in funnel["stage"]}
    filters = filters_in(sorted(names - {*VIDEO_STAGES, "people", "candidates", "used"}))
    order = [stage for stage in (*VIDEO_STAGES, "people", "candidates", *filters) if stage in names]
    steps: list[Step] = []
    for stage in order:
        unit = "videos" if stage in VIDEO_STAGES else "people" if stage == "people" else "clips"
        last = next((step for step in steps[::-1] if step.unit == unit), None)
        left, frames = {}, 0
        for dataset, funnel in funnels.items():
            row = _row_at(funnel, stage, order)
            left[dataset] = 0 if pd.isna(row[unit]) else int(row[unit])
            frames += 0 if pd.isna(row["frames"]) else int(row["frames"])
        before = max(sum(left.values()), last.total if last else 0)
        steps.append(Step(stage, unit, left, before, frames, _left_out(funnels.values(), stage, unit)))
    return steps


def _row_at(funnel: pd.DataFrame, stage: str, order: Sequence[str]) -> dict[str, Any]:
    """What is left at a stage, or at the last one before it that the dataset passes."""
    left: dict[str, Any] = {row["stage"]: row for row in funnel[funnel["reason"] == LEFT].to_dict("records")}
    passed = [name for name in order[: order.index(stage) + 1] if name in left]
    return left[passed[-1]] if passed else dict.fromkeys(UNITS)


def _left_out(funnels: Iterable[pd.DataFrame], stage: str, unit: str) -> dict[str, int]:
    """Counts by reason, the most frequent first; of people whose videos have nobody the videos are counted."""
    counts: dict[str, int] = {}
    for funnel in funnels:
        rows = funnel[(funnel["stage"] == stage) & (funnel["reason"] != LEFT)]
        for row in rows.to_dict("records"):
            known = next(each for each in (unit, "people", "videos") if not pd.isna(row[each]))
            words = row["reason"] if known == unit else f"{known} with {row['reason']}"
            counts[words] = counts.get(words, 0) + int(row[known])
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _description(steps: Sequence[Step]) -> str:
    """For who cannot see it."""
    if not steps:
        return "Funnel: no dataset has been planned"
    return "Funnel. " + "; ".join(f"{step.label}: {step.numbers}" for step in steps)
