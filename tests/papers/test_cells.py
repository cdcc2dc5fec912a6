"""One cell is found by what a person types; what is not there is answered with what is."""

import pandas as pd
import pytest

from moviestrip.errors import ConfigError
from moviestrip.papers.cells import cell_id, column_name, find_cell, read_cells
from moviestrip.papers.printed import table_names
from moviestrip.papers.table import cells_of


def cells(name: str) -> pd.DataFrame:
    return cells_of(*name.split("-"))


@pytest.mark.parametrize("name", table_names())
def test_the_shortest_name_of_every_cell_finds_that_cell(name):
    table = cells(name)
    for _, cell in table.iterrows():
        assert find_cell(table, cell["row_id"], column_name(cell, table)).name == cell.name


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("ar-phi", "h36m@10"),
        ("AR on Φ", "Human3.6M@+10"),
        ("AR-PHI", "studio@10:pa_mpjpe"),
        ("ar-phi", "h36m@10:PA-MPJPE+dtw"),
        ("ar-phi", "PA-MPJPE@10"),
    ],
)
def test_a_cell_has_many_names(row, column):
    cell = find_cell(cells("phd-2"), row, column)
    assert cell[["row_id", "dataset", "metric", "horizon", "value"]].tolist() == [
        "ar-phi", "h36m", "pa_mpjpe", "10", "61.1",
    ]  # fmt: skip


def test_rows_may_be_variants_actions_or_datasets():
    assert find_cell(cells("phd-2"), "nearest-neighbour", "h36m@1")["row_id"] == "nn"
    assert find_cell(cells("phd-4"), "sitting_down", "@10")["action"] == "Sitting Down"
    assert find_cell(cells("phd-4"), "ar-phi", "@10/sitting down")["action"] == "Sitting Down"
    assert find_cell(cells("hmmr-1"), "studio", "frames")["value"] == "581"


def test_a_number_of_frames_is_not_taken_for_its_opposite():
    past, future = (find_cell(cells("hmmr-5"), "hallucinator", column)["horizon"] for column in ("@-5", "@5"))
    assert (past, future) == ("-5", "5")


@pytest.mark.parametrize(
    ("row", "column", "answer"),
    [
        ("ar-ph", "h36m@10", "phd-2 has no row 'ar-ph'; did you mean 'ar-phi'"),
        ("ar-phi", "h36@10", "no dataset 'h36' in this row; did you mean 'h36m'"),
        ("ar-phi", "h36m@10:mpjpe", "no metric 'mpjpe' in this row; did you mean 'pa_mpjpe'"),
        ("ar-phi", "h36m@11", "no horizon 11 in this row; known: 1, 5, 10, 20, 30"),
        ("ar-phi", "h36m@10-dtw", "numbers with dynamic time warping only"),
        ("ar-phi", "h36m@10/walking", "no action in this row"),
        ("ar-phi", "h36m@", "not of the form DATASET@HORIZON:METRIC/ACTION"),
        ("ar-phi", "h36m@1@5", "not of the form DATASET@HORIZON:METRIC/ACTION"),
        ("ar-phi", "h36m", "5 cells are .* which --column\\? h36m@1, h36m@5, h36m@10, h36m@20, h36m@30$"),
        (None, "h36m@10", "5 cells are .* --row constant --column h36m@10; --row nn --column h36m@10$"),
    ],
)
def test_a_mistake_is_answered_with_what_is_there(row, column, answer):
    with pytest.raises(ConfigError, match=answer):
        find_cell(cells("phd-2"), row, column)


def test_only_a_papers_table_has_cells(tmp_path):
    with pytest.raises(ConfigError, match=r"scores\.csv: a row and a column can be chosen in a table's CSV"):
        read_cells(tmp_path / "scores.csv")
    with pytest.raises(ConfigError, match=r"phd-2\.csv: not made yet"):
        read_cells(tmp_path / "phd-2.csv")


def test_every_cell_of_the_25_tables_has_an_address_that_tells_where_it_stands():
    addresses = [cell_id(cell) for name in table_names() for cell in cells(name).to_dict("records")]
    assert len(set(addresses)) == len(addresses) > 833
    assert {
        "cell-hmmr-2-contextual-3dpw-pck", "cell-phd-2-ar-phi-h36m-pa_mpjpe-at10-dtw",
        "cell-hmmr-5-constant-h36m-pa_mpjpe-at-5", "cell-phd-5-ar-phi-penn_action-pck-at20-pullup-dtw",
    } <= set(addresses)  # fmt: skip
