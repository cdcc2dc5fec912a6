"""Training curves: how the loss fell and how the validation error moved, every variant in one figure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, ScalarFormatter

from moviestrip.figures.draw import SERIES
from moviestrip.figures.svg import drawing, to_svg

SMOOTHING_SHARE = 0.03  # of the steps: window of the running median drawn over the noisy loss
DASHES = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)))


def training_curves(logs: Mapping[tuple[str, int], pd.DataFrame], name: str = "curves") -> str:
    """SVG of the total loss and of each validation metric against the step; `logs` maps (variant, seed) to its log.

    Several seeds of a variant share its colour.
    """
    metrics = sorted({loss for log in logs.values() for loss in log.loss.unique() if loss.startswith("validation")})
    panels = ["total", *metrics]
    variants = sorted({variant for variant, _ in logs})
    with drawing(4.6 * len(panels), 3.4, len(panels)) as (figure, axes):
        for axis, loss in zip(axes, panels, strict=True):
            _draw_panel(axis, logs, loss, variants)
        handles, labels = axes[-1].get_legend_handles_labels()
        if not handles:
            handles, labels = axes[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower left", ncols=min(4, len(labels)))
        return to_svg(figure, name, f"Training curves of {', '.join(variants)}: {', '.join(map(panel_title, panels))}")


def _draw_panel(axis: Axes, logs: Mapping[tuple[str, int], pd.DataFrame], loss: str, variants: list[str]) -> None:
    named: set[str] = set()
    for (variant, _), log in sorted(logs.items()):
        rows = log[log.loss == loss].sort_values("step")
        rows = rows[np.isfinite(rows.value)]
        if rows.empty:
            continue
        position = variants.index(variant)
        style: dict[str, Any] = {
            "color": SERIES[position % len(SERIES)],
            "linestyle": DASHES[(position // len(SERIES)) % len(DASHES)],
        }
        label = variant if variant not in named else None
        named.add(variant)
        if loss == "total":
            axis.plot(rows.step, rows.value, color=style["color"], alpha=0.18, linewidth=0.6)
            axis.plot(rows.step, running_median(rows.value.to_numpy()), label=label, **style)
        else:
            axis.plot(rows.step, rows.value, label=label, marker="o", markersize=2.2, **style)
    if loss == "total" and axis.lines and axis.dataLim.minposy == axis.dataLim.ymin:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_title(panel_title(loss))
    axis.set_xlabel("step")


def running_median(values: np.ndarray) -> np.ndarray:
    """Median over a centred window of `SMOOTHING_SHARE` of the series, shorter at the ends."""
    window = max(1, round(SMOOTHING_SHARE * len(values)))
    return pd.Series(values).rolling(2 * (window // 2) + 1, center=True, min_periods=1).median().to_numpy()


def panel_title(loss: str) -> str:
    """`validation_pa_mpjpe_mm` reads `Validation PA-MPJPE, mm`."""
    if loss == "total":
        return "Training loss"
    words = loss.replace("/", "_").split("_")
    unit = words.pop() if words[-1] in {"mm", "px", "m", "percent"} else ""
    text = " ".join(words).replace("pa mpjpe", "PA-MPJPE").replace("mpjpe", "MPJPE").replace("pck", "PCK")
    return text[:1].upper() + text[1:] + (f", {unit}" if unit else "")
