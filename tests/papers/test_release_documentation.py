"""docs/datasets.md is what the adapters say of themselves."""

from pathlib import Path

from moviestrip.config import load_config
from moviestrip.datasets.official import RELEASES, release_named
from moviestrip.papers.release_documentation import HOW_TO_GET, document


def test_the_page_is_written_by_the_command(repository: Path):
    config = load_config([repository / "config.yaml", repository / "config" / "papers.yaml"])
    expected = document(config, repository / "config")
    assert (repository / "docs" / "datasets.md").read_text() == expected, (
        "run `moviestrip dataset document --config config/papers.yaml > docs/datasets.md`"
    )


def test_every_release_says_where_its_layout_is_from(repository: Path):
    page = (repository / "docs" / "datasets.md").read_text()
    for name in RELEASES:
        release = release_named(name)
        assert release.tree in page
        assert release.licence in page
        assert HOW_TO_GET[name]
    assert page.count("layout is taken from") == len(RELEASES)
