"""The numbers and claims that the four papers print, carried as data.

Everything is kept as the text that was printed, so that `130.0` stays `130.0`; `number` beside it is the same
as a float, NaN where the paper prints a dash.
"""

import functools
from pathlib import Path

import pandas as pd

from moviestrip.errors import ConfigError

DATA = Path(__file__).parent / "data"
PAPERS = ("hmmr", "vibe", "phd", "tcmr")
PAPER_TITLES = {"hmmr": "HMMR", "vibe": "VIBE", "phd": "PHD", "tcmr": "TCMR"}
CELL_KEY = ["paper", "table", "row_id", "dataset", "metric", "horizon", "action", "dtw"]


@functools.cache
def _all_printed() -> pd.DataFrame:
    frame = pd.read_csv(DATA / "paper_tables.csv", dtype=str, keep_default_na=False)
    return frame.assign(number=pd.to_numeric(frame["value"], errors="coerce"))


def printed_tables() -> pd.DataFrame:
    """Every printed cell of the four papers, blanks included; table `text` holds figures given in prose."""
    return _all_printed().copy()


def table_names() -> list[str]:
    """The 25 numbered tables, as `paper-number`, in the order of the papers."""
    frame = _all_printed()
    numbered = frame[frame["table"] != "text"]
    pairs = numbered[["paper", "table"]].drop_duplicates().itertuples(index=False)
    return sorted((f"{paper}-{number}" for paper, number in pairs), key=_reading_order)


def _reading_order(name: str) -> tuple[int, int]:
    paper, number = name.split("-")
    return PAPERS.index(paper), int(number)


def printed(paper: str, number: str) -> pd.DataFrame:
    """The cells of one table in the order printed."""
    frame = _all_printed()
    chosen = frame[(frame["paper"] == paper) & (frame["table"] == str(number))]
    if chosen.empty:
        raise ConfigError(f"tables: there is no '{paper}-{number}'; known: {', '.join(table_names())}")
    return chosen.reset_index(drop=True)


@functools.cache
def _all_claims() -> pd.DataFrame:
    return pd.read_csv(DATA / "claims.csv", dtype=str, keep_default_na=False)


def printed_claims() -> pd.DataFrame:
    """What the papers claim, each with a check in the language of `claims.py`."""
    return _all_claims().copy()
