"""What happens frame by frame in a clip: errors of acceleration, and what a model attends to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from scipy.stats import bootstrap

from moviestrip.errors import FatalError
from moviestrip.evaluation.metrics import center_on_hips
from moviestrip.evaluation.statistics import Interval, expanded_ends
from moviestrip.figures.draw import SERIES, Picture
from moviestrip.figures.labels import LineEnd, leave_room, name_lines, room_for, settled
from moviestrip.figures.svg import INK, RULE, drawing, to_svg

LABEL_PT = 8.5
SMALL_PT = 7.5
SPEED = "joint speed, m/s"
HEADROOM = 1.06  # above the highest value, for what names a span


@dataclass(frozen=True)
class Moment:
    """A frame of a clip and what it looked like."""

    frame: int
    picture: Picture


@dataclass(frozen=True)
class Span:
    """Frames `first` to `last`, and what is special about them."""

    first: int
    last: int
    what: str


@dataclass(frozen=True)
class Series:
    """One line over the frames of a clip; values that are NaN leave a gap."""

    name: str
    colour: str
    values: Float[np.ndarray, " frames"]


@dataclass(frozen=True)
class AttendedClip:
    """A clip's attention beside the speed of the person in it."""

    title: str
    frames: Int[np.ndarray, " frames"]
    attention: Mapping[str, Float[np.ndarray, " frames"]]
    speed_m_per_s: Float[np.ndarray, " frames"]
    spans: Sequence[Span] = field(default=())


def joint_speed(joints_m: Float[np.ndarray, "frames 14 3"], fps: float) -> Float[np.ndarray, " frames"]:
    """Mean speed of the joints, the hips held in place, in metres a second."""
    if len(joints_m) < 2:
        raise FatalError(f"joint_speed: {len(joints_m)} frame(s); a speed takes two")
    velocities = np.gradient(center_on_hips(joints_m), axis=0) * fps
    return np.linalg.norm(velocities, axis=-1).mean(-1)


def spans_of(marks: Sequence[str], frames: Int[np.ndarray, " frames"], nothing: str = "none") -> list[Span]:
    """Runs of frames with the same mark."""
    spans: list[Span] = []
    for frame, mark in zip(frames.tolist(), marks, strict=True):
        if mark == nothing:
            continue
        if spans and spans[-1].what == mark and spans[-1].last == frame - 1:
            spans[-1] = Span(spans[-1].first, frame, mark)
        else:
            spans.append(Span(frame, frame, mark))
    return spans


def correlation(
    first: Sequence[Float[np.ndarray, " frames"]],
    second: Sequence[Float[np.ndarray, " frames"]],
    groups: Sequence[str],
    samples: int = 1000,
    percent: float = 95,
    seed: int = 0,
) -> Interval:
    """Pearson's correlation over all frames of some clips; its interval is of resampled groups of clips, within 1.

    NaN where either side never changes, and for the ends where there are fewer than two groups.
    """
    names = sorted(set(groups))
    sums = np.zeros((len(names), 6))
    for x, y, group in zip(first, second, groups, strict=True):
        known = np.isfinite(x) & np.isfinite(y)
        x, y = np.asarray(x, np.float64)[known], np.asarray(y, np.float64)[known]
        sums[names.index(group)] += (len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum())
    found = float(_pearson(sums.sum(0)))
    if len(names) < 2 or samples == 0 or not np.isfinite(found):
        return Interval(found, np.nan, np.nan)
    again = bootstrap(
        (np.arange(len(names)),),
        lambda drawn, axis: _pearson(sums[drawn.astype(int)].sum(-2)),
        n_resamples=samples,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).bootstrap_distribution
    low, high = np.clip(expanded_ends(found, again, len(names), percent), -1, 1)
    return Interval(found, float(low), float(high))


def _pearson(sums: Float[np.ndarray, "*batch 6"]) -> Float[np.ndarray, "*batch"]:
    """From counts and sums of x, y, xx, yy and xy."""
    count, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread = (count * xx - x**2) * (count * yy - y**2)
    scale = (count * xx) * (count * yy)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 1e-12 * scale, (count * xy - x * y) / np.sqrt(np.maximum(spread, 0)), np.nan)


def acceleration_plot(
    lines: Sequence[Series],
    frames: Int[np.ndarray, " frames"],
    moments: Sequence[Moment],
    spans: Sequence[Span],
    title: str,
    name: str = "tcmr-5",
) -> str:
    """SVG of errors over the frames of a clip, above what the frames look like."""
    if not lines:
        raise FatalError(f"figure {name}: no predictions to draw; predict a variant first")
    room_in, width_in = room_for([line.name for line in lines], LABEL_PT), 7.4
    side_in = (width_in - room_in - 0.6) / max(1, len(moments))
    with drawing(width_in, 3.8 + side_in, 1, (3.2, 1.1 * side_in)) as (figure, (above, below)):
        leave_room(figure, room_in)
        _draw_spans(above, spans)
        for line in lines:
            above.plot(frames, line.values, color=line.colour, linewidth=1.4)
        above.set_ylim(0, HEADROOM * above.get_ylim()[1])
        above.set_ylabel("← acceleration error, mm/frame²")
        above.set_title(title, fontsize=10)
        _draw_strip(below, moments, frames)
        below.set_xlabel("frame of the clip")
        above.set_xlim(below.get_xlim())
        above.set_xticks(below.get_xticks())
        above.tick_params(labelbottom=False)
        settled(above)
        name_lines(above, [end for line in lines if (end := _end_of(line, frames)) is not None], LABEL_PT)
        means = "; ".join(f"{line.name} {np.nanmean(line.values):.3g}" for line in lines)
        return to_svg(figure, name, f"Acceleration error over the frames of a clip, mean in mm/frame²: {means}")


def attention_plot(clips: Sequence[AttendedClip], name: str = "tcmr-attention") -> str:
    """SVG of attention over the frames of clips, each above the speed of the person in it."""
    if not clips:
        raise FatalError(f"figure {name}: no clip to draw")
    parts = list(clips[0].attention)
    colours = dict(zip(parts, SERIES, strict=False))
    room_in = room_for(parts, LABEL_PT)
    with drawing(7.4, 4.2, len(clips), (2.4, 1.0)) as (figure, axes):
        leave_room(figure, room_in)
        above, below = axes[: len(clips)], axes[len(clips) :]
        for clip, top, bottom in zip(clips, above, below, strict=True):
            for part, values in clip.attention.items():
                top.plot(clip.frames, values, color=colours[part])
            bottom.fill_between(clip.frames, clip.speed_m_per_s, color=INK, alpha=0.12, linewidth=0)
            bottom.plot(clip.frames, clip.speed_m_per_s, color=INK, linewidth=1.2)
            top.set_title(clip.title, fontsize=10)
            top.tick_params(labelbottom=False)
            bottom.set_xlabel("frame of the clip")
            for axis in (top, bottom):
                _draw_spans(axis, clip.spans, named=axis is top)
                axis.set_xlim(clip.frames[0], clip.frames[-1])
        _same_scale(above, "attention (sum 1)")
        _same_scale(below, SPEED, bottom=0.0)
        settled(above[0])
        ends = [
            LineEnd(part, float(clips[-1].frames[-1]), float(values[-1]), colours[part])
            for part, values in clips[-1].attention.items()
        ]
        name_lines(above[-1], ends, LABEL_PT)
        titles = " and ".join(clip.title for clip in clips)
        return to_svg(figure, name, f"Attention to {', '.join(parts)} over time, and joint speed: {titles}")


def _end_of(line: Series, frames: Int[np.ndarray, " frames"]) -> LineEnd | None:
    known = np.flatnonzero(np.isfinite(line.values))
    if len(known) == 0:
        return None
    return LineEnd(line.name, float(frames[known[-1]]), float(line.values[known[-1]]), line.colour)


def _draw_spans(axis: Axes, spans: Sequence[Span], named: bool = True) -> None:
    for span in spans:
        axis.axvspan(span.first - 0.5, span.last + 0.5, color=RULE, linewidth=0, zorder=0)
        if named:
            middle = (span.first + span.last) / 2
            axis.text(
                middle, 0.985, span.what, transform=axis.get_xaxis_transform(), fontsize=SMALL_PT, ha="center", va="top"
            )


def _draw_strip(axis: Axes, moments: Sequence[Moment], frames: Int[np.ndarray, " frames"]) -> None:
    """Pictures side by side, each centred on its frame."""
    first, last = float(frames[0]), float(frames[-1])
    step = (last - first) / max(1, len(moments) - 1) if len(moments) > 1 else last - first or 1.0
    for moment in moments:
        left = moment.frame - step / 2
        image = axis.imshow(moment.picture, extent=(left, left + step, 0, 1), aspect="auto", interpolation="none")
        image.set_gid(f"moment-{moment.frame}")  # else two that look the same would share an id
    axis.set_xlim(first - step / 2, last + step / 2)
    axis.set_ylim(0, 1)
    axis.set_box_aspect(1 / max(1, len(moments)))
    axis.set_anchor("N")
    axis.set_yticks([])
    axis.set_xticks([moment.frame for moment in moments])
    axis.grid(False)
    axis.spines[:].set_visible(False)


def _same_scale(axes: Sequence[Axes], label: str, bottom: float | None = None) -> None:
    lows, highs = zip(*(axis.get_ylim() for axis in axes), strict=True)
    for axis in axes:
        axis.set_ylim(min(lows) if bottom is None else bottom, max(highs))
        axis.tick_params(labelleft=axis is axes[0])
    axes[0].set_ylabel(label)
