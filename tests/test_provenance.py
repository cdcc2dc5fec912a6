"""The chain from an output back to what it was made from."""

from pathlib import Path

import pytest

from moviestrip.errors import FatalError
from moviestrip.provenance import chain, tree_lines, write_provenance


def make(path: Path, text: str, stage: str, inputs: dict[str, Path]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    write_provenance(path, stage, inputs, {"seed": 0})
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    videos = [make(tmp_path / "videos" / name, name, "fetch", {}) for name in ("a", "b")]
    clips = make(tmp_path / "clips" / "c", "c", "curate", {f"videos:{path.name}": path for path in videos})
    return make(tmp_path / "tables" / "t.csv", "t", "table", {"clips": clips})


def test_the_chain_leads_back_with_one_example_a_kind(table: Path):
    links = chain(table)
    assert [(link.depth, link.path.name, link.stage, link.more) for link in links] == [
        (0, "t.csv", "table", 0),
        (1, "c", "curate", 0),
        (2, "a", "fetch", 1),
    ]
    assert all(link.intact for link in links)


def test_a_changed_input_shows(table: Path):
    (table.parents[1] / "clips" / "c").write_text("altered")
    assert [link.path.name for link in chain(table) if not link.intact] == ["c"]


def test_an_input_made_again_after_it_was_read_shows(table: Path):
    make(table.parents[1] / "clips" / "c", "newer", "curate", {})
    assert {link.path.name: link.state for link in chain(table) if not link.intact} == {"c": "remade since it was read"}


def test_a_sibling_that_is_not_what_was_read_is_listed(table: Path):
    make(table.parents[1] / "videos" / "b", "newer", "fetch", {})
    assert [(link.path.name, link.state, link.more) for link in chain(table)][2:] == [
        ("a", "as recorded", 0),
        ("b", "remade since it was read", 0),
    ]
    (table.parents[1] / "videos" / "b").unlink()
    assert [link.state for link in chain(table)][3:] == ["gone"]


def test_a_file_from_outside_is_held_against_what_was_read(tmp_path: Path):
    plan = tmp_path / "plan.json"
    plan.write_text("{}")
    video = make(tmp_path / "video", "v", "fetch", {"plan": plan})
    assert [link.state for link in chain(video)] == ["as recorded"] * 2
    plan.write_text("[]")
    assert [(link.stage, link.state) for link in chain(video)][1:] == [("from outside", "changed since")]


def test_the_tree_fits_80_columns_and_says_what_was_read(tmp_path: Path):
    source = make(tmp_path / ("a" * 60), "a", "fetch", {})
    output = make(tmp_path / ("b" * 60), "b", "curate", {"source": source})
    lines = tree_lines(chain(output), with_settings=True)
    assert max(map(len, lines[1:])) <= 80
    assert sum("moviestrip" in line and "seed=0" in line for line in lines) == 2
    assert lines[-1] == "2 files, each as recorded"
    source.write_text("altered")
    assert tree_lines(chain(output))[-1] == "1 of 2 files not as recorded: 1 changed since"


def test_an_absent_file_is_one_line(tmp_path: Path):
    with pytest.raises(FatalError, match="there is no such file"):
        chain(tmp_path / "none")
