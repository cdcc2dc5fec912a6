"""Finding one cell of a finished table by what a person types.

A row is named by its id (`ar-phi`), its label, the variant that makes it, or what runs down the table's side (an
action, a dataset). A column is `DATASET@HORIZON:METRIC/ACTION+dtw`: every part may be left out that the table does
not need to tell its cells apart, and a lone word may be a dataset, a metric or an action.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from moviestrip.config import suggestion
from moviestrip.errors import ConfigError, StorageError
from moviestrip.papers.layout import METRIC_TITLES, layout
from moviestrip.papers.printed import table_names
from moviestrip.papers.table import COLUMNS, cells_of, plain_action
from moviestrip.papers.worlds import PAPER_DATASETS, variant_of

PARTS = {"@": "horizon", ":": "metric", "/": "action"}
DTW_ENDINGS = {"+dtw": "true", "-dtw": "false"}
CANDIDATES = 16  # as many as an action table has rows


def cell_id(cell: Mapping[Hashable, object]) -> str:
    """The address of a cell in HTML, such as `cell-phd-2-ar-phi-h36m-pa_mpjpe-at10-dtw`: the same in every run."""
    parts = [str(cell[name]) for name in ("paper", "table", "row_id", "dataset", "metric")]
    parts += [f"at{cell['horizon']}"] if cell["horizon"] else []
    parts += [plain_action(str(cell["action"]))] if cell["action"] else []
    parts += [{"true": "dtw", "false": "no-dtw"}[str(cell["dtw"])]] if cell["dtw"] else []
    return "-".join(["cell", *filter(None, parts)])


def read_cells(path: Path) -> pd.DataFrame:
    """The cells of a table's CSV, all as text, with the printed `kind` of each row, which the file does not hold."""
    if path.suffix != ".csv" or path.stem not in table_names():
        raise ConfigError(f"{path}: a row and a column can be chosen in a table's CSV, such as tables/phd-2.csv")
    if not path.is_file():
        raise ConfigError(f"{path}: not made yet; run `snakemake --cores 2 {path}`")
    cells = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [name for name in COLUMNS if name not in cells]
    if missing or cells.empty:
        raise StorageError(f"{path}: lacks {f'the columns {missing}' if missing else 'cells'}; make the table again")
    kinds = cells_of(*path.stem.split("-")).drop_duplicates("row_id").set_index("row_id")["kind"]
    return cells.assign(kind=kinds.reindex(cells["row_id"]).fillna("ours").to_numpy())


def find_cell(cells: pd.DataFrame, row: str | None, column: str | None) -> pd.Series:
    """The one cell of `read_cells` in a row and a column; ConfigError with the names near by, or the candidates."""
    found = cells if row is None else _of_row(cells, row)
    if column is not None:
        found = _of_column(found, column)
    if len(found) == 1:
        return found.iloc[0]
    asked = " ".join(f"--{name} {text}" for name, text in (("row", row), ("column", column)) if text is not None)
    raise ConfigError(f"{_name_of(cells)}: {len(found)} cells are '{asked}'; {_candidates(found, cells, row)}")


def _candidates(found: pd.DataFrame, cells: pd.DataFrame, row: str | None) -> str:
    """What would have chosen one of several cells."""
    columns = [column_name(cell, cells) for _, cell in found.iterrows()]
    if row is not None:
        names, asked, between = columns, "which --column?", ", "
    else:
        rows = found["row_id"]
        names = [f"--row {row_id} --column {column}" for row_id, column in zip(rows, columns, strict=True)]
        asked, between = "which of", "; "
    more = f" and {len(names) - CANDIDATES} more" if len(names) > CANDIDATES else ""
    return f"{asked} {between.join(names[:CANDIDATES])}{more}"


def column_name(cell: pd.Series, cells: pd.DataFrame) -> str:
    """A cell's column in as few parts as tell it from the others of its table, such as `h36m@10`."""
    same_dataset = cells[cells["dataset"] == cell["dataset"]]
    parts = [str(cell["dataset"] or cell["metric"])]
    parts += [f"@{cell['horizon']}"] if cell["horizon"] else []
    parts += [f":{cell['metric']}"] if cell["dataset"] and same_dataset["metric"].nunique() > 1 else []
    parts += [f"/{cell['action']}"] if same_dataset["action"].nunique() > 1 else []
    if same_dataset["dtw"].nunique() > 1:
        parts.append(next(ending for ending, value in DTW_ENDINGS.items() if value == cell["dtw"]))
    return "".join(parts)


def _name_of(cells: pd.DataFrame) -> str:
    return f"{cells['paper'].iat[0]}-{cells['table'].iat[0]}"


def _of_row(cells: pd.DataFrame, text: str) -> pd.DataFrame:
    exact = cells[cells["row_id"] == text]
    if len(exact):
        return exact
    side = layout(*_name_of(cells).split("-")).side
    named = [_plain(text) in map(_plain, _names_of_row(cell, side)) for _, cell in cells.iterrows()]
    if not any(named):
        known = cells["action" if side == "action" else "row_id"].unique()
        labels = [label for label in cells["row"].unique() if side != "action"]
        raise ConfigError(f"{_name_of(cells)} has no row '{text}'{_nearest(text, known, labels)}")
    return cells[named]


def _names_of_row(cell: pd.Series, side: str) -> list[str]:
    variant = variant_of(cell["paper"], cell["row_id"], cell["kind"])
    if side == "action":
        return [plain_action(cell["action"]), cell["action"], cell["row"], variant or ""]
    return [cell["row"], variant or "", *(_names_of_dataset(cell["dataset"]) if side == "dataset" else ())]


def _names_of_dataset(paper_dataset: str) -> list[str]:
    """A dataset's name in the papers, in ours, and as it is printed."""
    known = PAPER_DATASETS.get(paper_dataset)
    return [paper_dataset, *((known.title, known.miniature, known.papers) if known else ())]


def _of_column(cells: pd.DataFrame, text: str) -> pd.DataFrame:
    for part, wanted in _parts_of(text, cells).items():
        names = NAMES[part]
        kept = cells[[_plain(wanted) in map(_plain, names(value)) for value in cells[part]]]
        if kept.empty:
            raise ConfigError(f"--column {text}: {_name_of(cells)} has {_why_none(part, wanted, cells[part].unique())}")
        cells = kept
    return cells


def _parts_of(text: str, cells: pd.DataFrame) -> dict[str, str]:
    """The parts of a column by the CSV's name for each, in the order in which they narrow it down."""
    body, dtw = (text[:-4], text[-4:]) if text.endswith(tuple(DTW_ENDINGS)) else (text, "")
    word, *rest = re.split(r"([@:/])", body)
    parts = {PARTS[mark]: value for mark, value in zip(rest[::2], rest[1::2], strict=True)}
    if len(parts) < len(rest) // 2 or not all(parts.values()) or not text:
        raise ConfigError(f"--column '{text}' is not of the form DATASET@HORIZON:METRIC/ACTION+dtw")
    if word:
        parts = {_kind_of(word, cells): word} | parts
    return parts | ({"dtw": DTW_ENDINGS[dtw]} if dtw else {})


def _kind_of(word: str, cells: pd.DataFrame) -> str:
    """Whether the first word of a column is a dataset of some cells, or else a metric or an action of them."""
    for part in ("dataset", "metric", "action"):
        if any(_plain(word) in map(_plain, NAMES[part](value)) for value in cells[part].unique()):
            return part
    return "dataset"


NAMES: Mapping[str, Callable[[str], list[str]]] = {
    "dataset": _names_of_dataset,
    "horizon": lambda value: [value],
    "metric": lambda value: [value, METRIC_TITLES.get(value, value)],
    "action": lambda value: [value, plain_action(value)],
    "dtw": lambda value: [value],
}


def _why_none(part: str, wanted: str, values: Iterable[str]) -> str:
    """What is there instead of a part that no cell has."""
    known = [value for value in values if value]
    if not known:
        return f"no {part} in this row"
    if part == "dtw":
        return f"numbers {'without' if wanted == 'true' else 'with'} dynamic time warping only"
    if part == "horizon":
        return f"no horizon {wanted} in this row; known: {', '.join(known)}"
    names = [name for value in known for name in NAMES[part](value)]
    return f"no {part} '{wanted}' in this row{_nearest(wanted, known, names)}"


def _plain(name: str) -> str:
    """A name without case, spaces and marks; of a horizon the sign stays, if it is one."""
    if re.fullmatch(r"[+-]?\d+", name):
        return str(int(name))
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _nearest(name: str, known: Iterable[str], others: Iterable[str]) -> str:
    """The nearest of all valid names, or else the list of the known."""
    near = suggestion(name, dict.fromkeys([*known, *others]))
    return near if near.startswith("; did") else f"; known: {', '.join(known)}"
