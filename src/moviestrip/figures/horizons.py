"""How forecasts decay: error over the horizon, one row of panels a dataset, without time warping and with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from moviestrip.errors import FatalError
from moviestrip.figures.draw import SERIES
from moviestrip.figures.labels import LineEnd, leave_room, name_lines, room_for, settled
from moviestrip.figures.svg import drawing, to_svg

COLUMNS = ("panel", "dtw", "row", "horizon", "mean", "low", "high")
LABEL_PT = 8.5
TICKS_FRAMES = (1, 5, 10, 20, 30)  # those of PHD's tables
WARPING = {False: "without time warping", True: "with time warping"}
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 1)))


@dataclass(frozen=True)
class Panel:
    """One dataset's row of panels."""

    name: str
    title: str
    measure: str  # with its unit
    lower_is_better: bool


def horizon_curves(
    curves: pd.DataFrame, panels: Sequence[Panel], rows: Sequence[str], name: str = "phd-horizons"
) -> str:
    """SVG of means over the horizon with bands from `low` to `high`.

    Args:
        curves: one row a point, of `COLUMNS`.
        rows: in the order of their colours, whether drawn or not; each is named at the right end of its line.
    """
    if curves.empty:
        raise FatalError(f"figure {name}: no forecast has a score; evaluate forecasts first")
    named = [row for row in rows if (curves["row"] == row).any()]
    room_in = room_for(named, LABEL_PT)
    with drawing(6.3 + room_in, 2.9 * len(panels) + 0.2, 2, (1.0,) * len(panels)) as (figure, axes):
        leave_room(figure, room_in)
        pairs = [(panel, warped, axes[2 * line + warped]) for line, panel in enumerate(panels) for warped in (0, 1)]
        for panel, warped, axis in pairs:
            drawn = curves[(curves["panel"] == panel.name) & (curves["dtw"] == bool(warped))]
            _draw_panel(axis, panel, bool(warped), drawn, rows)
        for line in range(len(panels)):
            _same_scale(*axes[2 * line : 2 * line + 2])
        for axis in axes[-2:]:
            axis.set_xlabel("horizon, frames")
        settled(axes[0])
        for panel, warped, axis in pairs:
            if warped:
                name_lines(axis, _ends(curves[(curves["panel"] == panel.name) & curves["dtw"]], rows), LABEL_PT)
        titles = ", ".join(f"{panel.measure} on {panel.title}" for panel in panels)
        return to_svg(figure, name, f"{titles} over the horizon, of {', '.join(named)}")


def style_of(row: str, rows: Sequence[str]) -> dict[str, Any]:
    position = list(rows).index(row)
    return {"color": SERIES[position % len(SERIES)], "linestyle": DASHES[position % len(DASHES)]}


def _draw_panel(axis: Axes, panel: Panel, warped: bool, curves: pd.DataFrame, rows: Sequence[str]) -> None:
    for row, line in curves.sort_values("horizon").groupby("row"):
        style = style_of(str(row), rows)
        axis.fill_between(line["horizon"], line["low"], line["high"], color=style["color"], alpha=0.1, linewidth=0)
        axis.plot(line["horizon"], line["mean"], **style)
    last = int(curves["horizon"].max()) if len(curves) else TICKS_FRAMES[-1]
    axis.set_xticks([tick for tick in TICKS_FRAMES if tick <= last])
    axis.set_xlim(min(0, int(curves["horizon"].min()) if len(curves) else 0), last)
    axis.set_title(f"{panel.title}, {WARPING[warped]}", fontsize=10)
    if not warped:
        axis.set_ylabel(f"{'←' if panel.lower_is_better else '→'} {panel.measure}")


def _same_scale(left: Axes, right: Axes) -> None:
    low, high = zip(left.get_ylim(), right.get_ylim(), strict=True)
    left.set_ylim(min(low), max(high))
    right.set_ylim(min(low), max(high))
    right.tick_params(labelleft=False)


def _ends(curves: pd.DataFrame, rows: Sequence[str]) -> list[LineEnd]:
    last = curves.sort_values("horizon").groupby("row").tail(1)
    return [
        LineEnd(str(row), float(horizon), float(mean), style_of(str(row), rows)["color"])
        for row, horizon, mean in zip(last["row"], last["horizon"], last["mean"], strict=True)
    ]
