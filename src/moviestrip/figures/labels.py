"""Where the labels of a plot go, so that none covers another: beside points, and beside the ends of lines.

All lengths are in points of the drawing. Text is measured in DejaVu Sans, which is wider than most fonts that a page
would put in its place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

POINTS_AN_INCH = 72.0
DIRECTIONS = 32
DISTANCES_PT = (4.0, 7.0, 11.0, 16.0, 22.0, 30.0, 40.0, 52.0, 68.0, 88.0, 112.0, 140.0)
LINE_HEIGHT = 1.25  # of the size of a font
MARGIN_PT = 1.5
LEADER_PT = 12.0  # from the end of a line to its name
COST_OF_COVERING = 2.5  # in points of distance: rather farther away than on top of a thin line
COST_OF_DOUBT = 12.0  # or than nearer to another point than to its own


def text_size_pt(text: str, size_pt: float) -> tuple[float, float]:
    """Width and height of one line of text."""
    return float(TextPath((0, 0), text, size=size_pt).get_extents().x1), LINE_HEIGHT * size_pt


def spread_out(wanted: Float[np.ndarray, " labels"], gap: float) -> Float[np.ndarray, " labels"]:
    """Positions at least `gap` apart, in the order of the wanted ones and as near to them as that allows.

    Labels that would collide form a group around the mean of where they want to be.
    """
    order = np.argsort(wanted, kind="stable")
    groups: list[tuple[float, int]] = []  # mean wanted position of a group, and how many are in it
    for position in np.asarray(wanted, np.float64)[order]:
        groups.append((float(position), 1))
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < gap * (groups[-1][1] + groups[-2][1]) / 2:
            (above, more), (below, fewer) = groups.pop(), groups.pop()
            groups.append(((above * more + below * fewer) / (more + fewer), more + fewer))
    placed = [centre + gap * (np.arange(count) - (count - 1) / 2) for centre, count in groups]
    result = np.empty(len(order))
    result[order] = np.concatenate([*placed, []])
    return result


def place_beside(
    points_pt: Float[np.ndarray, "labels 2"],
    sizes_pt: Float[np.ndarray, "labels 2"],
    bounds_pt: tuple[float, float, float, float],
    thin_pt: Float[np.ndarray, "places 2"],
) -> Float[np.ndarray, "labels 2"]:
    """Lower left corners of labels near their points, on no other label and on no point.

    The most crowded points choose first. Only where every place within reach is taken do labels touch.

    Args:
        bounds_pt: left, bottom, right and top that labels stay inside.
        thin_pt: places on thin lines, better not covered.
    """
    gaps = np.linalg.norm(points_pt[:, None] - points_pt[None], axis=-1)
    corners = np.zeros((len(points_pt), 2))
    taken = np.zeros((0, 4))
    for label in np.argsort(np.sort(gaps, axis=1)[:, 1:4].sum(1), kind="stable"):
        size = sizes_pt[label]
        candidates, distance = _candidates(points_pt[label], size)
        boxes = np.concatenate([candidates, candidates + size], axis=1)
        left, bottom, right, top = bounds_pt
        outside = (boxes[:, 0] < left) | (boxes[:, 1] < bottom) | (boxes[:, 2] > right) | (boxes[:, 3] > top)
        blocked = _overlaps(boxes, taken).sum(1) + _covered(boxes, points_pt, 2 * MARGIN_PT)
        nearer = _gap_to_others(boxes, np.delete(points_pt, label, axis=0)) < distance
        cost = distance + COST_OF_COVERING * _covered(boxes, thin_pt, 0.0) + COST_OF_DOUBT * nearer
        best = np.lexsort((cost, blocked, outside))[0]
        corners[label] = candidates[best]
        taken = np.concatenate([taken, boxes[best : best + 1] + MARGIN_PT * np.array([-1, -1, 1, 1])])
    return corners


def _candidates(point: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower left corners all around a point, and how far the label's edge is from it there."""
    angle = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    towards = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    centre = point + np.asarray(DISTANCES_PT)[:, None, None] * towards + towards * size / 2
    distance = np.broadcast_to(np.asarray(DISTANCES_PT)[:, None], centre.shape[:2])
    return (centre - size / 2).reshape(-1, 2), distance.reshape(-1)


def _overlaps(boxes: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """(boxes, taken): which of them share an area."""
    first, second = boxes[:, None], taken[None]
    return (
        (first[..., 0] < second[..., 2])
        & (second[..., 0] < first[..., 2])
        & (first[..., 1] < second[..., 3])
        & (second[..., 1] < first[..., 3])
    )


def _covered(boxes: np.ndarray, places: np.ndarray, margin: float) -> np.ndarray:
    """How many places lie in each box or within a margin of it."""
    inside = (places[None] > boxes[:, None, :2] - margin) & (places[None] < boxes[:, None, 2:] + margin)
    return inside.all(-1).sum(1)


@dataclass(frozen=True)
class LineEnd:
    """A line's name and where it ends, in values of the axes."""

    text: str
    x: float
    y: float
    colour: str


def room_for(texts: Iterable[str], size_pt: float) -> float:
    """Inches to leave right of axes for the names of their lines."""
    return (max(text_size_pt(text, size_pt)[0] for text in texts) + LEADER_PT + 3) / POINTS_AN_INCH


def leave_room(figure: Figure, right_in: float) -> None:
    """Keep the right of a drawing free of axes."""
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, 0, 1 - right_in / figure.get_figwidth(), 1))  # type: ignore[call-arg]


def name_lines(axis: Axes, ends: Sequence[LineEnd], size_pt: float) -> None:
    """Each line's name right of its end, moved up or down so that none covers another; the axes are `settled`."""
    if not ends:
        return
    at = to_points(axis, np.array([(end.x, end.y) for end in ends]))
    for end, (_, wanted), height in zip(ends, at, spread_out(at[:, 1], LINE_HEIGHT * size_pt), strict=True):
        axis.annotate(
            end.text,
            (end.x, end.y),
            xytext=(LEADER_PT, height - wanted),
            textcoords="offset points",
            va="center",
            fontsize=size_pt,
            color=end.colour,
            arrowprops={"arrowstyle": "-", "color": end.colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )


def _gap_to_others(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """From each box to the nearest of some points."""
    nearest = np.clip(others[None], boxes[:, None, :2], boxes[:, None, 2:])
    return np.linalg.norm(nearest - others[None], axis=-1).min(1, initial=np.inf)


def settled(axis: Axes) -> None:
    """Lay the whole figure out now and leave it so: labels that are placed after this do not move the axes."""
    figure = axis.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def to_points(axis: Axes, values: Float[np.ndarray, "places 2"]) -> Float[np.ndarray, "places 2"]:
    """Where values of the axes are on the drawing, once it is `settled`."""
    figure = axis.get_figure(root=True)
    assert figure is not None
    return axis.transData.transform(values) * POINTS_AN_INCH / figure.dpi
