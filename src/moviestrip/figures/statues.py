"""Statue moments as a drawing (PHD, Figures 5 and 7): the person at the moment, over the accuracy that picks it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from moviestrip.errors import FatalError
from moviestrip.figures.draw import SERIES, Picture
from moviestrip.figures.svg import INK, drawing, to_svg

COLUMNS = 3
PANEL_IN = (2.4, 3.9)  # width and height; three are as wide as a page's text
PICTURE_SHARE = 1.75  # height of a picture over that of its curve
ROOM = 0.08  # above and below the curves, of the range of all


@dataclass(frozen=True)
class StatuePanel:
    """One clip: its frame at the moment, and the accuracy of the future after each of its frames."""

    title: str
    picture: Picture
    last_seen: Int[np.ndarray, " windows"]
    accuracy_percent: Float[np.ndarray, " windows"]
    smoothed_percent: Float[np.ndarray, " windows"]
    window: int  # position of the chosen one
    change_percent: float  # there, in points a frame


def statue_figure(panels: Sequence[StatuePanel], name: str = "statues") -> str:
    """SVG of all clips, row by row; the curves of all have one scale."""
    if not panels:
        raise FatalError("statue figure: no clip has a statue moment; it needs one whose accuracy rises")
    rows = -(-len(panels) // COLUMNS)
    width_in, height_in = PANEL_IN
    with drawing(COLUMNS * width_in, rows * height_in) as (figure, _):
        figure.clear()
        cells = figure.subplots(2 * rows, COLUMNS, squeeze=False, height_ratios=[PICTURE_SHARE, 1] * rows)
        limits, moments = _range([panel.accuracy_percent for panel in panels]), _range([p.last_seen for p in panels])
        for position in range(rows * COLUMNS):
            row, column = divmod(position, COLUMNS)
            above, below = cells[2 * row][column], cells[2 * row + 1][column]
            if position >= len(panels):
                above.set_axis_off()
                below.set_axis_off()
                continue
            _draw_picture(above, panels[position])
            _draw_curve(below, panels[position])
            below.set_ylim(*limits)
            below.set_xlim(*moments)
            below.tick_params(labelleft=column == 0)
            if column == 0:
                below.set_ylabel("PCK of the\nnext 15 frames, %")
            if position + COLUMNS >= len(panels):
                below.set_xlabel("last frame seen")
        titles = ", ".join(panel.title for panel in panels)
        return to_svg(figure, name, f"Frames at which the future becomes most predictable: {titles}")


def _draw_picture(axis: Axes, panel: StatuePanel) -> None:
    axis.imshow(panel.picture, interpolation="none")
    axis.set_axis_off()
    axis.set_title(panel.title)


def _draw_curve(axis: Axes, panel: StatuePanel) -> None:
    """The accuracies as dots, what the filter leaves of them as a line, and where it is steepest."""
    frame, level = int(panel.last_seen[panel.window]), panel.smoothed_percent[panel.window]
    axis.axvline(frame, color=SERIES[1], linewidth=1.2)
    axis.plot(panel.last_seen, panel.accuracy_percent, ".", color=INK, alpha=0.45, markersize=4)
    axis.plot(panel.last_seen, panel.smoothed_percent, color=SERIES[0])
    axis.plot([frame], [level], "o", color=SERIES[1], markersize=5)
    rise = f"at {frame}: {panel.change_percent:+.1f} points a frame"
    axis.set_title(rise, fontsize=9, fontweight="normal", color=INK)


def _range(values: Sequence[np.ndarray]) -> tuple[float, float]:
    every = np.concatenate([np.asarray(part, np.float64) for part in values])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    room = ROOM * max(high - low, 1.0)
    return low - room, high + room
