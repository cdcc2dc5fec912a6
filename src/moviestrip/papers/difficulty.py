"""What the papers print, or what follows from it, beside the checks of how hard the miniature world is.

Only figures that measure the same thing on the dataset whose place is taken; a check that has none is an internal
contrast and says so by an empty reference.
"""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from moviestrip.errors import FatalError
from moviestrip.evaluation.findings import Finding
from moviestrip.papers.printed import printed
from moviestrip.papers.worlds import stand_in

COLUMNS = (
    "check", "question", "measured", "low", "high", "unit", "reference", "source", "expected", "verdict", "clips",
    "seeds", "note",
)  # fmt: skip
PERIODIC = ("Bench Press", "Jump Rope", "Pullup", "Pushup", "Situp", "Squat", "Strum Guitar")
BALLISTIC = (
    "Baseball Pitch", "Baseball Swing", "Bowl", "Clean And Jerk", "Golf Swing", "Tennis Forehand", "Tennis Serve",
)  # fmt: skip
WILD, SPORTS = stand_in("3dpw", "miniature"), stand_in("penn_action", "miniature")
HARDER = "HMMR Tables 2 and 6, {} on 3DPW less Human3.6M"


def as_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """Findings as difficulty.csv has them, each with what the papers print, where they do."""
    rows = [asdict(found) for found in findings]
    for row in rows:
        row["reference"], row["source"] = reference_of(str(row["check"]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def reference_of(check: str) -> tuple[float, str]:
    """A figure of the papers and where it is from; NaN and an empty text where they have none."""
    kind, _, rest = check.partition("-")
    if check == f"jitter-{WILD}":
        return _cell("hmmr", "2", "single-view", "3dpw", "accel_error"), "HMMR Table 2, HMR on 3DPW"
    if check == f"jitter-smoothing-{WILD}":
        plain = _cell("tcmr", "6", "pose2mesh", "3dpw", "accel_error")
        filtered = _cell("tcmr", "text", "pose2mesh-euro-filter", "3dpw", "accel_error")
        return _saved(plain, filtered), "TCMR Table 6 and Sec. 13, Pose2Mesh and a one-euro filter on 3DPW"
    if check == f"jitter-time-{WILD}":
        pair = [_cell("hmmr", "2", row, "3dpw", "accel_error") for row in ("single-view", "contextual")]
        return _saved(*pair), "HMMR Table 2, its model against single-view on 3DPW"
    if kind == "harder" and not rest.endswith("same-actions"):
        metric = "pa_mpjpe" if rest.startswith("pa") else "mpjpe"
        row, model = ("single-view", "HMR") if rest.endswith("single-view") else ("contextual", "HMMR")
        cells = _cell("hmmr", "2", row, "3dpw", metric), _cell("hmmr", "6", row, "h36m", metric)
        return cells[0] - cells[1], HARDER.format(model)
    if check.startswith("future-trained-") and check.endswith(f"-{SPORTS}"):
        horizon = rest.split("-")[1]
        lost = [_lost(actions, horizon) for actions in (BALLISTIC, PERIODIC)]
        return lost[0] - lost[1], "PHD Table 7, means over 7 actions each of Penn Action"
    return float("nan"), ""


def _lost(actions: Sequence[str], horizon: str) -> float:
    """Points of PCK that PHD's model loses from the first frame ahead to a later one, mean over actions."""
    pairs = [
        [_cell("phd", "7", "ar-phi", "penn_action", "pck", action, frame) for frame in ("1", horizon)]
        for action in actions
    ]
    return sum(first - last for first, last in pairs) / len(pairs)


def _saved(plain: float, better: float) -> float:
    return 100 * (1 - better / plain)


def _cell(paper: str, table: str, row: str, dataset: str, metric: str, action: str = "", horizon: str = "") -> float:
    cells = printed(paper, table)
    wanted = {"row_id": row, "dataset": dataset, "metric": metric, "action": action, "horizon": horizon}
    for column, value in wanted.items():
        cells = cells[cells[column] == value]
    if len(cells) != 1:
        raise FatalError(f"difficulty: {len(cells)} cells of {paper}-{table} are {wanted}; expected one")
    return float(cells["number"].iloc[0])
