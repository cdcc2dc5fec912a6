"""Accuracy against smoothness of every variant of a run."""

import pandas as pd

from moviestrip import tables
from moviestrip.errors import FatalError
from moviestrip.figures.drawn import Drawn
from moviestrip.figures.means import means_of
from moviestrip.figures.trade_off import Axis, named, trade_off
from moviestrip.papers.figures import PaperFigure, seeds_of
from moviestrip.papers.printed import PAPER_TITLES, printed_tables
from moviestrip.papers.protocols import protocol_of
from moviestrip.papers.worlds import Setting, variant_of
from moviestrip.stages.figures.notes import certainty, counted, where
from moviestrip.stages.job import Job

TABLE = "tcmr-2"  # the protocol is that of this table: positions and accelerations over all frames with truth
METRICS = {"accel_error": "x", "pa_mpjpe": "y"}
FILTERED, UNFILTERED = "single-view-gaussian", "single-view"


def draw_trade_off(job: Job, figure: PaperFigure, setting: Setting) -> Drawn:
    (dataset,), variants = figure.datasets_in(setting), job.settings.variants()
    protocol = protocol_of(TABLE, figure.paper_datasets[0], setting.protocol)
    strided = [row for row in figure.rows_in(setting) if variants[row].frame_stride > 1]
    rows = [row for row in figure.rows_in(setting) if row not in strided]
    paths = [job.run.scores(row, seed, dataset) for row in rows for seed in seeds_of(row, setting)]
    scores = tables.read_tables(paths, tables.SCORES)
    chosen = scores[
        (scores["protocol"] == protocol) & (scores["condition"] == "all") & scores["metric"].isin(list(METRICS))
    ]
    means = means_of(chosen, ("variant", "metric"), setting)
    unknown = [row for row in rows if not set(METRICS) <= set(means.loc[means["variant"] == row, "metric"])]
    if len(unknown) == len(rows):
        raise FatalError(f"figure {figure.name}: protocol '{protocol}' gives no {' and '.join(METRICS)} on {dataset}")
    families = {name: PAPER_TITLES[variants[name].paper] for name in rows}
    points = _points(means, families).query("label not in @unknown")
    smoothed = {
        name: source
        for name, variant in variants.items()
        if variant.smoothing != "none" and (source := variant.weights_of) is not None
    }
    own = _own_models()
    svg = trade_off(
        points,
        [title for title in PAPER_TITLES.values() if title in set(points["family"])],
        Axis("acceleration error, mm/frame² (log scale)", logarithmic=True),
        Axis("PA-MPJPE, mm"),
        smoothed,
        own,
    )
    texts = [
        where(setting, dataset),
        counted(means),
        f"crosses: {certainty(setting)}",
        f"protocol {protocol}",
        _below_the_filter(points),
        _names_given(points, named(points, smoothed, own)),
        f"left out, as their accelerations are of another frame rate: {', '.join(strided)}" if strided else "",
        f"left out, for want of scores: {', '.join(unknown)}" if unknown else "",
    ]
    data = means.assign(family=means["variant"].map(families), unit=means["metric"].map(_UNITS))
    return Drawn(svg, "; ".join(text for text in texts if text) + ".", data)


_UNITS = {"accel_error": "mm/frame^2", "pa_mpjpe": "mm"}


def _points(means: pd.DataFrame, families: dict[str, str]) -> pd.DataFrame:
    parts = []
    for metric, side in METRICS.items():
        part = means[means["metric"] == metric].set_index("variant")[["mean", "low", "high"]]
        parts.append(part.set_axis([side, f"{side}_low", f"{side}_high"], axis=1))
    points = pd.concat(parts, axis=1, join="inner").rename_axis("label").reset_index()
    return points.assign(family=points["label"].map(families))


def _own_models() -> set[str]:
    """Variants that the papers' tables print as their authors' own."""
    cells = printed_tables()
    own = cells.loc[cells["kind"] == "ours", ["paper", "row_id", "kind"]].drop_duplicates()
    return {str(variant_of(*row)) for row in own.itertuples(index=False)}


def _names_given(points: pd.DataFrame, names: set[str]) -> str:
    if len(names) == len(points):
        return ""
    return f"named of {len(points)}: the papers' own models, filters with what they smooth, and what stands out"


def _below_the_filter(points: pd.DataFrame) -> str:
    """How many models a filter over single frames does not beat in both."""
    at = points.set_index("label")
    if FILTERED not in at.index:
        return ""
    filtered, others = at.loc[FILTERED], at.drop(index=[FILTERED])
    better = others[(others["x"] < filtered["x"]) & (others["y"] < filtered["y"])].index
    smoother, closer = (int((others[side] < filtered[side]).sum()) for side in ("x", "y"))
    return (
        f"of {len(others)} others {smoother} are smoother than {FILTERED}, {closer} more accurate, {len(better)} both"
        + (f" ({', '.join(better)})" if len(better) else "")
        + ", by their means"
    )
