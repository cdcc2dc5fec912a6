"""Whether learned models beat what costs nothing: the static model they start from, smoothed over time.

Every model with a temporal encoder is held, cell by cell, against the better of the smoothed static models in its
table, on the same clips and training seeds of every resample, as claims compare (`resamples.py`). Which of them is
better is decided on validation clips, never by the errors that are compared.

Left out is what says nothing about time: models of other features than the smoothed one reads, forecasts, and
accelerations of a model that reads every n-th frame, which are of another frame rate.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from moviestrip.config import VariantSettings
from moviestrip.evaluation.statistics import percentile_ends
from moviestrip.papers.cells import cell_id
from moviestrip.papers.checks import Cells, moved
from moviestrip.papers.layout import METRIC_TITLES
from moviestrip.papers.resamples import Resamples
from moviestrip.papers.table import INPUT_FRAMES
from moviestrip.papers.worlds import EXTRA_ROWS, FILTERS, PAPER_DATASETS, SMOOTHED_MODELS, variant_of

BETTER, WORSE, UNDECIDED = "better", "worse", "undecided"
NUMBERS = ("learned", "smoothed", "difference", "low", "high")
COLUMNS = (
    "table row title baseline dataset metric unit learned smoothed difference low high verdict clips seeds cell"
).split()
OF_FRAME_RATE = ("accel", "accel_error")

Cell = Mapping[Hashable, object]


def tables_beside_smoothing(names: Iterable[str]) -> list[str]:
    """Of some tables those that smoothed static models stand in."""
    smoothed = {f"{model}-{name}" for model in SMOOTHED_MODELS for name in FILTERS}
    rows = {f"{paper}-{number}": {row.row_id for row in added} for (paper, number), added in EXTRA_ROWS.items()}
    return [name for name in names if rows.get(name, set()) & smoothed]


def smoothed_baselines(variants: Mapping[str, VariantSettings]) -> list[str]:
    """Static models whose predictions are filtered over time."""
    return [name for name, variant in variants.items() if variant.is_smoothed_baseline]


def against_smoothing(
    tables: Sequence[pd.DataFrame],
    variants: Mapping[str, VariantSettings],
    default_backbone: str,
    validation_errors: Mapping[str, float],
    resamples: Resamples,
    percent: float,
) -> pd.DataFrame:
    """A row for each cell of a learned temporal model that stands beside a smoothed static one: `COLUMNS`.

    `difference` is learned minus smoothed, with the ends of its interval; `verdict` says whether the learned model is
    better, worse, or neither for certain.

    Args:
        tables: finished ones, as `cells.read_cells` gives them.
        default_backbone: of variants that name none.
        validation_errors: of the smoothed baselines; without one, a baseline is not compared with.
        percent: width of the intervals.
    """
    backbones = {name: variant.backbone or default_backbone for name, variant in variants.items()}
    rows: list[dict[str, object]] = []
    for table in tables:
        cells = table[(table["horizon"] == "") & (table["kind"] != "") & (table["metric"] != INPUT_FRAMES)]
        numbers = Cells(cells, str(table["paper"].iat[0]), "ours", resamples)
        for pair in _pairs(cells.to_dict("records"), variants, backbones, validation_errors):
            rows.append(_compared(*pair, numbers, percent))
    return pd.DataFrame(rows, columns=COLUMNS)


def _pairs(
    cells: Sequence[Cell],
    variants: Mapping[str, VariantSettings],
    backbones: Mapping[str, str],
    errors: Mapping[str, float],
) -> Iterator[tuple[Cell, Cell]]:
    """Each cell of a learned model with that of the best smoothed one of its features."""
    known = [(_variant_of(cell), cell) for cell in cells if cell["ours"]]
    smoothed = {(name, *_column(cell)): cell for name, cell in known if name in errors}
    for name, cell in known:
        learned = variants.get(name)
        if learned is None or learned.encoder == "none":
            continue
        if learned.frame_stride > 1 and cell["metric"] in OF_FRAME_RATE:
            continue
        rivals = [other for other in errors if backbones[other] == backbones[name]]
        beside = [other for other in rivals if (other, *_column(cell)) in smoothed]
        if beside:
            yield cell, smoothed[min(beside, key=errors.__getitem__), *_column(cell)]


def _variant_of(cell: Cell) -> str:
    return variant_of(str(cell["paper"]), str(cell["row_id"]), str(cell["kind"])) or ""


def _column(cell: Cell) -> tuple[object, object]:
    return cell["dataset"], cell["metric"]


def _compared(learned: Cell, smoothed: Cell, numbers: Cells, percent: float) -> dict[str, object]:
    metric, place = str(learned["metric"]), {"dataset": str(learned["dataset"])}
    ours, theirs = (numbers.find(metric, str(cell["row_id"]), place) for cell in (learned, smoothed))
    drawn = ours.numbers - theirs.numbers
    differences = moved(drawn, numbers.expansion(drawn, min(ours.groups, theirs.groups)))
    low, high = percentile_ends(differences[1:], percent)
    gain = (low, high) if learned["better"] == "higher" else (-high, -low)
    return {
        "table": f"{learned['paper']}-{learned['table']}",
        "row": learned["row_id"],
        "title": learned["row"],
        "baseline": smoothed["row_id"],
        **{name: learned[name] for name in ("dataset", "metric", "unit")},
        "learned": ours.numbers[0],
        "smoothed": theirs.numbers[0],
        "difference": differences[0],
        "low": low,
        "high": high,
        "verdict": BETTER if gain[0] > 0 else WORSE if gain[1] < 0 else UNDECIDED,
        **{name: learned[name] for name in ("clips", "seeds")},
        "cell": cell_id(learned),
    }


def summary(compared: pd.DataFrame) -> list[str]:
    """What the comparison comes to, in sentences: overall, and by metric what is not better than smoothing."""
    if compared.empty:
        return ["nothing to compare: no table has both a temporal model and a smoothed static one with numbers"]
    models = compared["row"].nunique()
    lines = [f"{len(compared)} cells of {models} models with a temporal encoder: {_counts(compared['verdict'])}"]
    for metric, cells in compared.groupby("metric", sort=False):
        lines.append(f"  {METRIC_TITLES.get(str(metric), metric)}: {_counts(cells['verdict'])}")
    never = [name for name, cells in compared.groupby("title", sort=False) if BETTER not in set(cells["verdict"])]
    if never:
        lines.append(f"better nowhere: {', '.join(map(str, never))}")
    return lines


def _counts(verdicts: Iterable[str]) -> str:
    found = Counter(verdicts)
    return f"{found[BETTER]} better than smoothing, {found[WORSE]} worse, {found[UNDECIDED]} undecided"


def tally(compared: pd.DataFrame) -> pd.DataFrame:
    """For each model in each table how many cells are better than smoothing, worse, or undecided."""
    counts = pd.crosstab([compared["table"], compared["row"]], compared["verdict"])
    verdicts = counts.reindex(columns=[BETTER, WORSE, UNDECIDED], fill_value=0).reset_index()
    order = compared[["table", "row", "baseline"]].drop_duplicates(["table", "row"])
    return order.merge(verdicts, on=["table", "row"])[["table", "row", BETTER, WORSE, UNDECIDED, "baseline"]]


def comparison_list(compared: pd.DataFrame) -> pd.DataFrame:
    """Every comparison in short texts."""
    short = compared.assign(
        dataset=[PAPER_DATASETS[name].title for name in compared["dataset"]],
        metric=[METRIC_TITLES.get(name, name) for name in compared["metric"]],
        **{name: [f"{value:.1f}" for value in compared[name]] for name in ("learned", "smoothed")},
        difference=[
            f"{value:+.1f}" + ("" if math.isnan(low) else f" ({low:+.1f} to {high:+.1f})")
            for value, low, high in compared[["difference", "low", "high"]].to_numpy(np.float64)
        ],
    )
    return short[["table", "row", "dataset", "metric", "learned", "smoothed", "difference", "verdict"]]
