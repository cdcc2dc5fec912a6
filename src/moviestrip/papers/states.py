"""Which of the 25 tables a configuration fills, and what each still lacks."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from moviestrip.config import Config
from moviestrip.papers.layout import layout
from moviestrip.papers.printed import table_names
from moviestrip.papers.table import cells_of, our_cell, summary_of, why_missing
from moviestrip.papers.worlds import Setting, variant_of


def table_states(
    config: Config, scores: pd.DataFrame | None = None, statistics: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Each of the 25 tables: table, title, state (complete, partial, pending), ours (rows filled of rows), missing.

    A row that is only cited is nobody's to fill and not counted. With scores or statistics at hand the state is
    what there is; without, it is what a finished run of this configuration has.
    """
    setting = Setting.of(config)

    def gap_after_the_run(cell: pd.Series) -> str:
        return why_missing(cell, setting)

    def gap_now(cell: pd.Series) -> str:
        found = our_cell(cell, scores, statistics, setting)
        return "" if np.isfinite(found.ours) else found.note

    gap = gap_after_the_run if scores is None and statistics is None else gap_now
    return pd.DataFrame([_state(name, gap) for name in table_names()])


def _state(name: str, gap: Callable[[pd.Series], str]) -> dict[str, str]:
    paper, number = name.split("-")
    cells = cells_of(paper, number)
    cells = cells[[not _is_cited(cell) for _, cell in cells.iterrows()]]
    gaps = [gap(cell) for _, cell in cells.iterrows()]
    row = "action" if layout(paper, number).side == "action" else "row_id"
    filled = cells.assign(filled=[not reason for reason in gaps]).groupby(row, sort=False)["filled"].any()
    missing = summary_of(gaps)
    return {
        "table": name,
        "title": layout(paper, number).title,
        "state": "complete" if not missing else "partial" if filled.any() else "pending",
        "ours": f"{filled.sum()}/{len(filled)}",
        "missing": missing,
    }


def _is_cited(cell: pd.Series) -> bool:
    return bool(cell["kind"]) and variant_of(cell["paper"], cell["row_id"], cell["kind"]) is None
