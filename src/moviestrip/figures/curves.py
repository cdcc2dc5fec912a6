"""Training curves as small panels, one a model on axes that all models share, so that dozens stay readable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator, ScalarFormatter

from moviestrip.figures.draw import SERIES
from moviestrip.figures.svg import RULE, drawing, to_svg

SMOOTHING_SHARE = 0.03  # of the steps: window of the running median drawn over the noisy loss
TRAINING_LOSS = "total"
WIDTH_IN, HEIGHT_IN = 2.7, 1.35  # of a panel's row


@dataclass(frozen=True)
class Span:
    """What all models together do in one quantity: at each step the least and the most of them."""

    steps: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class SharedAxes:
    """The quantities that panels show, in their order, and the span of each over every model."""

    last_step: int
    spans: Mapping[str, Span]


def shared_axes(logs: Sequence[pd.DataFrame]) -> SharedAxes:
    """Axes on which the logs of all models can be compared: their validation metrics, then the training loss."""
    rows = pd.concat(logs, ignore_index=True)
    rows = rows[np.isfinite(rows.value)]
    metrics = sorted(loss for loss in rows.loss.unique() if loss.startswith("validation"))
    shown = [name for name in (*metrics, TRAINING_LOSS) if (rows.loss == name).any()]
    spans = {}
    for name in shown:
        by_step = rows[rows.loss == name].groupby("step").value
        spans[name] = Span(by_step.min().index.to_numpy(), by_step.min().to_numpy(), by_step.max().to_numpy())
    return SharedAxes(int(rows.step.max()) if len(rows) else 0, spans)


def training_panel(logs: Sequence[pd.DataFrame], axes: SharedAxes, name: str, title: str) -> str:
    """SVG of one model, a line a seed, before the grey span of all models.

    Args:
        name: prefix of the SVG's ids.
        title: of the model, for who cannot see the picture.
    """
    heights = [1.0] * len(axes.spans)
    with drawing(WIDTH_IN, HEIGHT_IN * len(heights), 1, heights) as (figure, found):
        for axis, (quantity, span) in zip(found, axes.spans.items(), strict=True):
            axis.fill_between(span.steps, span.low, span.high, color=RULE, linewidth=0, zorder=0)
            for seed, log in enumerate(logs):
                _draw_line(axis, log, quantity, SERIES[seed % len(SERIES)])
            _label(axis, quantity, span, axes.last_step)
        for axis in found[:-1]:
            axis.tick_params(labelbottom=False)
        found[-1].set_xlabel("step", fontsize=8.5)
        shown = ", ".join(map(panel_title, axes.spans))
        return to_svg(figure, name, f"Training of {title}: {shown} against the step")


def _draw_line(axis: Axes, log: pd.DataFrame, quantity: str, colour: str) -> None:
    rows = log[log.loss == quantity].sort_values("step")
    rows = rows[np.isfinite(rows.value)]
    values = rows.value.to_numpy()
    if quantity == TRAINING_LOSS:
        axis.plot(rows.step, values, color=colour, alpha=0.25, linewidth=0.6)
        values = running_median(values)
    axis.plot(rows.step, values, color=colour, marker="o" if len(values) < 3 else "", markersize=3)


def _label(axis: Axes, quantity: str, span: Span, last_step: int) -> None:
    axis.set_xlim(0, max(last_step, 1))
    if quantity == TRAINING_LOSS and span.low.min() > 0:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.yaxis.set_minor_locator(NullLocator())
    else:
        axis.yaxis.set_major_locator(MaxNLocator(4))
    axis.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    axis.set_title(panel_title(quantity), fontsize=9, fontweight="normal")
    axis.tick_params(labelsize=8.5)


def running_median(values: np.ndarray) -> np.ndarray:
    """Median over a centred window of `SMOOTHING_SHARE` of the series, shorter at the ends."""
    window = max(1, round(SMOOTHING_SHARE * len(values)))
    return pd.Series(values).rolling(2 * (window // 2) + 1, center=True, min_periods=1).median().to_numpy()


def panel_title(loss: str) -> str:
    """`validation_pa_mpjpe_mm` reads `Validation PA-MPJPE, mm`."""
    if loss == TRAINING_LOSS:
        return "Training loss"
    words = loss.replace("/", "_").split("_")
    unit = words.pop() if words[-1] in {"mm", "px", "m", "percent"} else ""
    text = " ".join(words).replace("pa mpjpe", "PA-MPJPE").replace("mpjpe", "MPJPE").replace("pck", "PCK")
    return text[:1].upper() + text[1:] + (f", {unit}" if unit else "")
