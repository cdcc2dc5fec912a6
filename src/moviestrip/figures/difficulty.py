"""Plots of how hard the miniature world is: which motions can be foreseen, and how far off pseudo-labels are."""

import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from numpy import ndarray

from moviestrip.evaluation.detector_noise import Detected, error_shares
from moviestrip.figures.draw import SERIES
from moviestrip.figures.drawn import Drawn
from moviestrip.figures.labels import LineEnd, leave_room, name_lines, room_for, settled
from moviestrip.figures.svg import drawing, to_svg

LABEL_PT = 8.5
KINDS = ("ballistic", "periodic", "other")
METHODS = {"forecast_mm": "-", "constant_mm": (0, (4, 2))}


def draw_predictability(errors: pd.DataFrame) -> Drawn:
    """Errors of forecasts of true motions over the horizon, by kind of action: as `true_forecasts` gives them."""
    named = errors.assign(kind=errors["kind"].replace("", "other"))
    counts = named.groupby("kind")["motion_id"].nunique()
    labels = {kind: f"{kind}, {counts[kind]} motions" for kind in KINDS if kind in counts}
    means = _weighted_means(named)
    room_in = room_for(labels.values(), LABEL_PT)
    with drawing(5.2 + room_in, 3.2) as (figure, (axis,)):
        leave_room(figure, room_in)
        for place, kind in enumerate(labels):
            line = means[means["kind"] == kind]
            for column, dashes in METHODS.items():
                axis.plot(line["horizon"], line[column], linestyle=dashes, color=SERIES[place])
        _finish(axis, "frames ahead", "← error, mm", list(errors["horizon"].unique()))
        axis.set_ylim(bottom=0)
        settled(axis)
        last = means["horizon"].max()
        ends = means[means["horizon"] == last].set_index("kind")["forecast_mm"]
        colours = dict(zip(labels, SERIES, strict=False))
        name_lines(axis, [LineEnd(labels[kind], float(last), float(ends[kind]), colours[kind]) for kind in labels],
                   LABEL_PT)  # fmt: skip
        described = f"Error over the horizon of a forecast and of standing still, of {', '.join(labels)}"
        svg = to_svg(figure, "difficulty-predictability", described)
    note = f"{errors['motion_id'].nunique()} test motions of the miniature world; no model and no picture is involved."
    return Drawn(svg, note, means)


def _weighted_means(errors: pd.DataFrame) -> pd.DataFrame:
    weighted = errors.assign(**{name: errors[name] * errors["windows"] for name in METHODS})
    sums = weighted.groupby(["kind", "horizon"])[[*METHODS, "windows"]].sum()
    return sums[list(METHODS)].div(sums["windows"], axis=0).reset_index()


def draw_detector(detected: Detected, places: Float[ndarray, " places"]) -> Drawn:
    """Share of visible joints within a distance of the truth, in clean frames and under bursts."""
    shares = error_shares(detected, places)
    with drawing(5.6, 3.2) as (figure, (axis,)):
        for place, (kind, line) in enumerate(shares.groupby("row", sort=False)):
            axis.plot(line["within"], line["joints"], color=SERIES[place], label=str(kind))
        _finish(axis, "distance from the truth, % of the person's size", "→ visible joints, %", [0, 5, 10, 15, 20, 25])
        axis.set_ylim(0, 100)
        axis.legend(loc="lower right")
        svg = to_svg(figure, "difficulty-detector", "Share of visible joints within a distance of the truth")
    note = f"{len(detected.clips)} clips, {len(detected.clip)} frames of the miniature world."
    return Drawn(svg, note, shares)


def _finish(axis: Axes, x: str, y: str, ticks: list[int]) -> None:
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.set_xticks(ticks)
