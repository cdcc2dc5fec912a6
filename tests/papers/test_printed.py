"""The carried numbers are complete and the 25 layouts put every one of them in a place of its own."""

import pytest

from moviestrip.errors import ConfigError
from moviestrip.papers.layout import TITLES, layout
from moviestrip.papers.printed import CELL_KEY, printed, printed_claims, printed_tables, table_names
from moviestrip.papers.worlds import PAPER_DATASETS

CELLS = {
    "hmmr": [30, 24, 15, 15, 12, 90],
    "vibe": [99, 28, 10],
    "phd": [6, 50, 8, 80, 75, 80, 75, 50],
    "tcmr": [8, 4, 6, 44, 18, 110, 8, 4],
}


def test_every_cell_of_every_table_is_carried():
    cells = printed_tables()
    assert len(cells) == 958 and (cells["value"] != "").sum() == 833
    assert not cells.duplicated(CELL_KEY).any()
    for paper, counts in CELLS.items():
        assert [len(printed(paper, str(number + 1))) for number in range(len(counts))] == counts
    assert cells["number"].notna().equals(cells["value"] != "")
    assert len(printed_claims()) == 70


def test_the_text_keeps_its_digits():
    cells = printed("hmmr", "2")
    chosen = cells[(cells["row_id"] == "single-view") & (cells["metric"] == "mpjpe")]
    assert chosen["value"].item() == "130.0"


def test_there_are_25_tables_and_each_has_a_title_and_known_datasets():
    names = table_names()
    assert len(names) == 25 and names[0] == "hmmr-1" and names[-1] == "tcmr-8"
    assert list(TITLES) == names
    assert set(printed_tables()["dataset"]) - {""} == set(PAPER_DATASETS)


@pytest.mark.parametrize("name", table_names())
def test_each_layout_gives_every_cell_one_place(name):
    paper, number = name.split("-")
    shape = layout(paper, number)
    cells = printed(paper, number)
    rows = cells["action"].nunique() if shape.side == "action" else cells["row_id"].nunique()
    assert rows * len(shape.columns) == len(cells)
    places = {(shape.row_label(cell), cell["row_id"], *shape.column_key(cell)) for _, cell in cells.iterrows()}
    assert len(places) == len(cells)


def test_what_runs_down_the_side_is_what_is_printed_there():
    sides = {name: layout(*name.split("-")).side for name in table_names()}
    assert {name for name, side in sides.items() if side == "action"} == {"phd-4", "phd-5", "phd-6", "phd-7"}
    assert {name for name, side in sides.items() if side == "dataset"} == {"hmmr-1"}


def test_an_unknown_table_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"no 'hmmr-7'; known: hmmr-1, .*, tcmr-8"):
        printed("hmmr", "7")
