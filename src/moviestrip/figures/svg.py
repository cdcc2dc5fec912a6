"""Matplotlib figures as SVG text that belongs to a page: same bytes each run, the page's fonts, its light and dark.

Matplotlib writes a date, random ids and fixed colours. Here the date is left out, ids come from the figure's name (two
figures on one page must not share any), and two stand-in colours become CSS variables that the page may set.
"""

import html
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from moviestrip.figures.draw import SERIES

INK, RULE = "#111213", "#e1e2e3"
STAND_INS = {INK: "var(--ink, #1c1e21)", RULE: "var(--rule, #dfe1e5)"}
FONT = "system-ui, 'DejaVu Sans', sans-serif"

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=SERIES),
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "ytick.minor.size": 0.0,
    "legend.frameon": False,
    "lines.linewidth": 1.7,
    "path.simplify": True,
    "image.composite_image": False,  # pictures keep their own resolution
}


@contextmanager
def drawing(
    width_in: float, height_in: float, columns: int = 1, row_heights: Sequence[float] = (1.0,)
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of axes in the project's style, row by row, without any window system.

    Args:
        row_heights: of each row of axes, relative to each other.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(len(row_heights), columns, squeeze=False, height_ratios=list(row_heights))
        yield figure, list(axes.ravel())


def to_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as one `<svg>` element, its ids prefixed by `name`; `description` is read out to who cannot see it."""
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font: ([^;\"]*?)'DejaVu Sans'[^;\"]*", rf"font: \g<1>{FONT}", text)
    for stand_in, variable in STAND_INS.items():
        text = text.replace(stand_in, variable)
    label = html.escape(description, quote=True)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip() + "\n"
