"""The chain from an output back to what it was made from."""

from pathlib import Path

import pytest

from moviestrip.errors import FatalError
from moviestrip.provenance import chain, write_provenance


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


def test_an_absent_file_is_one_line(tmp_path: Path):
    with pytest.raises(FatalError, match="there is no such file"):
        chain(tmp_path / "none")
