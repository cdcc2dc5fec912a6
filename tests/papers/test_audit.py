"""Each note is about cells that exist, names the numbers that they print, and is seen where they are."""

import html
import re
from pathlib import Path

import pandas as pd
import pytest

from moviestrip.papers import render
from moviestrip.papers.audit import MARKS, audit_notes, audit_page, notes_of_cell, notes_of_claim, notes_of_table
from moviestrip.papers.claims import FAILS, judge_claims
from moviestrip.papers.printed import printed, printed_claims, printed_tables, table_names
from moviestrip.papers.table import build_table
from moviestrip.papers.worlds import Setting

NOTES = {note.name: note for note in audit_notes()}
PLACES = [(note.name, place) for note in NOTES.values() for place in note.places]
SETTING = Setting("miniature", "b", "d", "k", "papers", ("street",), ("contextual",), (0,), 10, 95.0, 0)
# What paper_tables.csv's description lists as ambiguous or suspected: the numbers of each are in some note.
KNOWN = [
    ("14.3", "15.2"), ("78.7", "79.6"), ("67.8",), ("63.2", "62.5"), ("6.8", "7.1"), ("27.3",), ("18.3",),
    ("59.1", "55.7"), ("57.6", "51.9"), ("58.1",), ("80.7", "81.5", "79.2", "79.8"), ("76.7", "73.6"),
]  # fmt: skip


def decimals(text: str) -> set[str]:
    return set(re.findall(r"(?<![\d.])\d+\.\d(?!\d)", re.sub(r"Human3\.6M|(Table|Section)s? [\d.]+", "", text)))


@pytest.mark.parametrize(("name", "place"), PLACES, ids=lambda value: getattr(value, "claim", None) and "claim")
def test_a_place_has_cells_and_prints_what_it_says(name, place):
    if place.claim:
        assert place.claim in set(printed_claims()["claim_id"]) and not place.table and not place.wanted
        return
    cells = [cell for _, cell in printed(*place.table.split("-")).iterrows() if place.has(cell)]
    assert cells
    if place.printed:
        assert [cell["value"] for cell in cells] == [place.printed]


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_the_numbers_of_a_note_are_the_printed_ones(note):
    assert decimals(note.text) <= {place.printed for place in note.places}
    assert 15 < len(note.text) < 260 and note.text.endswith(".") and note.source


def test_every_known_disagreement_has_its_note():
    for numbers in KNOWN:
        assert any(set(numbers) <= decimals(note.text) for note in NOTES.values()), numbers


def test_what_notes_say_of_several_cells_is_so():
    cells = printed_tables().set_index(["paper", "table"])
    vibe = cells.loc[("vibe", "1")].replace({"row_id": {
        "hmr-cited": "hmr", "spin-cited": "spin", "temporal-hmr": "hmmr", "vibe-direct-comp": "vibe-no-3dpw"
    }})  # fmt: skip
    both = vibe.merge(cells.loc[("tcmr", "6")], on=["row_id", "dataset", "metric"])
    both = both[(both["value_x"] != "") & (both["value_y"] != "")]
    assert len(both) > 30 and (both["number_x"] == both["number_y"]).all()  # the order of columns is right in both
    assert (both["value_x"] != both["value_y"]).sum() <= 1  # "88" and "88.0"
    for number in ("4", "5", "6", "7"):  # 'All' is not the mean of the actions
        rows = cells.loc[("phd", number)]
        means = rows[rows["action"] != "All"].groupby("horizon")["number"].mean()
        alls = rows[rows["action"] == "All"].set_index("horizon")["number"]
        assert ((means - alls).abs() > 0.05).any()
    seventh = cells.loc[("tcmr", "7")].set_index(["row_id", "metric"])["value"]
    first = cells.loc[("tcmr", "1")].set_index(["row_id", "metric"])["value"]
    for row in ("baseline", "tcmr-ablation"):
        assert seventh.loc[row].to_dict() == first.loc[row].to_dict()
    lowered = pd.concat([cells.loc[("phd", number)].assign(warped=number == "5") for number in ("5", "7")])
    pairs = lowered.pivot(index=["action", "horizon"], columns="warped", values="number")
    assert set(pairs.index[pairs[True] < pairs[False]]) == {("Squat", "5"), ("Strum Guitar", "10")}


def test_every_claim_that_fails_on_the_printed_numbers_has_a_note_that_says_so():
    ledger = judge_claims(None).set_index("claim_id")
    failing = set(ledger.index[ledger["verdict_printed"] == FAILS])
    saying = {name.removesuffix("-fails") for name in NOTES if name.endswith("-fails")}
    assert failing == saying and len(failing) == 6
    for claim in failing:
        (note,) = [note for note in notes_of_claim(claim) if note.name.endswith("-fails")]
        assert decimals(note.text) <= decimals(ledger.loc[claim, "values_printed"])


@pytest.mark.parametrize("table", table_names())
def test_notes_and_their_marks_are_drawn_in_every_format(table):
    cells = build_table(*table.split("-"), None, None, SETTING)
    notes = notes_of_table(table)
    markdown, page, latex = (draw(cells, SETTING) for draw in (render.to_markdown, render.to_html, render.to_latex))
    flat = " ".join(markdown.split())
    for found in notes:
        assert render._markdown_escape(found.note.text) in flat
        assert found.note.text in html.unescape(page)
        assert render.latex_escape(found.note.text) in latex
    of_cells = [notes_of_cell(cell) for _, cell in cells.iterrows() if cell["printed"]]
    marked = [found.mark for found in notes if found.mark]
    assert page.count("<sup>") == latex.count(r"\mathrm") == len(marked) + sum(map(bool, of_cells))
    raised = "".join(MARKS).translate(render.RAISED)
    assert sum(markdown.count(letter) for letter in raised) == len(marked) + sum(map(len, of_cells))
    assert all(cells["note"].str.contains(f"docs/audit.md: {found.note.name}").any() for found in notes if found.mark)


def test_a_mark_stands_at_its_cells_alone():
    cells = build_table("hmmr", "6", None, None, SETTING)
    marked = cells[[bool(notes_of_cell(cell)) for _, cell in cells.iterrows()]]
    acceleration = marked[marked["note"].str.contains("hmmr-acceleration")]
    assert acceleration["printed"].tolist() == ["14.3", "15.2"]
    assert "14.3ᵃ" in render.to_markdown(cells, SETTING) and "14.3<sup>a</sup>" in render.to_html(cells, SETTING)
    assert "14.3$^{\\mathrm{a}}$" in render.to_latex(cells, SETTING)


def test_the_page_of_the_documentation_is_that_of_the_data():
    page = (Path(__file__).parents[2] / "docs/audit.md").read_text(encoding="utf-8")
    assert page == audit_page()
