"""Accuracy against smoothness: each model a point, its intervals a thin cross."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, StrMethodFormatter

from moviestrip.errors import FatalError
from moviestrip.figures.draw import SERIES
from moviestrip.figures.labels import place_beside, settled, text_size_pt, to_points
from moviestrip.figures.svg import INK, drawing, to_svg

LABEL_PT = 8.5
NEAR_PT = 6.0  # farther from its point than this, a label needs a line to it
NICE_STEPS = (1, 2, 5)
PER_LABEL_IN = 0.05
NAMED_ALL = 20  # of more models than this, only some are named
APART = 0.1  # of the whole plot, to the nearest other model
COLUMNS = ("label", "family", "x", "x_low", "x_high", "y", "y_low", "y_high")


@dataclass(frozen=True)
class Axis:
    """What an axis measures."""

    text: str
    logarithmic: bool = False


def trade_off(
    points: pd.DataFrame,
    families: Sequence[str],
    x: Axis,
    y: Axis,
    filtered: Mapping[str, str],
    sought: Collection[str] = (),
    name: str = "trade-off",
) -> str:
    """SVG of points, `named` ones with their names; lower left is better.

    Args:
        points: one row a model, of `COLUMNS`.
        families: in the order of their colours.
        filtered: from a model to the one whose output it smooths; an arrow leads from the latter to it.
        sought: models whose names somebody looks for.
    """
    if points.empty:
        raise FatalError(f"figure {name}: no model has both measures; evaluate one first")
    points = _within_reach(points.sort_values("label", ignore_index=True), x, y)
    names = named(points, filtered, sought)
    with drawing(7.2, 4.4 + PER_LABEL_IN * len(names)) as (figure, (axis,)):
        for column, family in enumerate(families):
            _draw_family(axis, points[points["family"] == family], family, SERIES[column])
        _set_scales(axis, points, x, y)
        axis.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=len(families), handletextpad=0.2, borderpad=0)
        settled(axis)
        arrows = _draw_arrows(axis, points, filtered)
        _draw_labels(axis, points, names, dict(zip(families, SERIES, strict=False)), arrows)
        listed = "; ".join(f"{row.label} {row.x:.3g}, {row.y:.4g}" for row in points.itertuples())
        return to_svg(figure, name, f"{y.text} against {x.text}: {listed}")


def named(points: pd.DataFrame, filtered: Mapping[str, str], sought: Collection[str]) -> set[str]:
    """Models whose names a drawing has room for.

    Of many, those sought, filters with what they smooth, those that no other is better than in both measures, and
    those that stand apart.
    """
    if len(points) <= NAMED_ALL:
        return set(points["label"])
    at = points.set_index("label")[["x", "y"]]
    unbeaten = {label for label, place in at.iterrows() if not (at < place).all(axis=1).any()}
    shares = (at - at.min()) / (at.max() - at.min())
    apart = {label for label, place in shares.iterrows() if sorted(np.hypot(*(shares - place).T.to_numpy()))[1] > APART}
    return set(at.index) & {*unbeaten, *apart, *filtered, *filtered.values(), *sought}


def _within_reach(points: pd.DataFrame, x: Axis, y: Axis) -> pd.DataFrame:
    """Intervals of few clips may reach zero: a logarithmic axis shows them down to a tenth of the best value."""
    cut = points.copy()
    for side in (name for name, kind in (("x", x), ("y", y)) if kind.logarithmic):
        cut[f"{side}_low"] = cut[f"{side}_low"].clip(lower=cut[side].min() / 10)
    return cut


def _draw_family(axis: Axes, points: pd.DataFrame, family: str, colour: str) -> None:
    axis.hlines(points["y"], points["x_low"], points["x_high"], colors=colour, linewidth=0.7, alpha=0.45)
    axis.vlines(points["x"], points["y_low"], points["y_high"], colors=colour, linewidth=0.7, alpha=0.45)
    axis.plot(points["x"], points["y"], "o", color=colour, markersize=6, markeredgewidth=0, label=family)


def _set_scales(axis: Axes, points: pd.DataFrame, x: Axis, y: Axis) -> None:
    for side, kind in (("x", x), ("y", y)):
        ends = points[[side, f"{side}_low", f"{side}_high"]].to_numpy(np.float64)
        low, high = np.nanmin(ends), np.nanmax(ends)
        line = axis.xaxis if side == "x" else axis.yaxis
        set_limits = axis.set_xlim if side == "x" else axis.set_ylim
        if kind.logarithmic:
            (axis.set_xscale if side == "x" else axis.set_yscale)("log")
            margin = (high / low) ** 0.06 * 1.04
            set_limits(low / margin, high * margin)
            line.set_major_locator(FixedLocator(nice_ticks(low / margin, high * margin)))
            line.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.minorticks_off()
        else:
            margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
            set_limits(low - margin, high + margin)
        (axis.set_xlabel if side == "x" else axis.set_ylabel)(f"← {kind.text}")


def nice_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, 20, ... between two positive values."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [float(f"{step}e{decade}") for decade in decades for step in NICE_STEPS]
    return [tick for tick in ticks if low <= tick <= high]


def _draw_arrows(axis: Axes, points: pd.DataFrame, filtered: Mapping[str, str]) -> Float[np.ndarray, "places 2"]:
    """Arrows from what was filtered to what came out; returns places along them, in points of the drawing."""
    at = {str(label): (float(x), float(y)) for label, x, y in points[["label", "x", "y"]].itertuples(index=False)}
    along = np.linspace(0, 1, 40)[:, None]
    places = [np.zeros((0, 2))]
    for result, source in filtered.items():
        if result not in at or source not in at:
            continue
        style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.1, "shrinkA": 5, "shrinkB": 5}
        axis.annotate("", at[result], xytext=at[source], arrowprops={**style, "mutation_scale": 9}, zorder=1.5)
        ends = to_points(axis, np.array([at[source], at[result]]))
        places.append(ends[:1] + along * (ends[1:] - ends[:1]))
    return np.concatenate(places)


def _draw_labels(
    axis: Axes,
    points: pd.DataFrame,
    names: set[str],
    colours: Mapping[str, str],
    arrows: Float[np.ndarray, "places 2"],
) -> None:
    crosses = [to_points(axis, cross) for cross in _crosses(points)]
    points = points[points["label"].isin(names)]
    centres = to_points(axis, points[["x", "y"]].to_numpy(np.float64))
    sizes = np.array([text_size_pt(label, LABEL_PT) for label in points["label"]])
    corners = to_points(axis, np.array([axis.get_xlim(), axis.get_ylim()]).T)
    bounds = (corners[0, 0] + 2, corners[0, 1] + 2, corners[1, 0], corners[1, 1])
    thin = np.concatenate([arrows, *crosses])
    placed = place_beside(centres, sizes, bounds, thin[np.isfinite(thin).all(-1)])
    rows = points[["label", "family", "x", "y"]].itertuples(index=False)
    for (label, family, x, y), centre, corner, size in zip(rows, centres, placed, sizes, strict=True):
        nearest = np.clip(centre, corner, corner + size)
        colour, place = colours[str(family)], (float(x), float(y))
        baseline = corner + np.array([0, 0.25 * LABEL_PT]) - centre
        axis.annotate(str(label), place, tuple(baseline), textcoords="offset points", fontsize=LABEL_PT, color=colour)
        if np.linalg.norm(nearest - centre) > NEAR_PT:
            line = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
            axis.annotate("", place, tuple(nearest - centre), textcoords="offset points", arrowprops=line)


def _crosses(points: pd.DataFrame) -> list[Float[np.ndarray, "places 2"]]:
    """Places along the intervals, in values of the axes."""
    along = np.linspace(0, 1, 24)
    found = [np.zeros((0, 2))]
    for row in points[["x", "x_low", "x_high", "y", "y_low", "y_high"]].to_numpy(np.float64):
        x, x_low, x_high, y, y_low, y_high = row
        found.append(np.stack([x_low + along * (x_high - x_low), np.full(24, y)], axis=1))
        found.append(np.stack([np.full(24, x), y_low + along * (y_high - y_low)], axis=1))
    return found
