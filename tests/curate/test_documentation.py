"""docs/curation.md names every filter, its key and its default."""

import re

from moviestrip.config import CurationSettings
from moviestrip.curate.filters import APPEARANCE, FILTERS
from moviestrip.curate.tube import PRESETS


def table_after(page, heading):
    rows = page.split(f"## {heading}\n", 1)[1].split("\n## ")[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("| `")]


def test_every_filter_is_documented_with_its_default(repository):
    rows = table_after((repository / "docs" / "curation.md").read_text(), "The filters")
    assert [row[0].strip("`") for row in rows] == [*FILTERS, *APPEARANCE]
    defaults = CurationSettings()
    for row in rows:
        key, value = re.match(r"`(\w+)` ([\d.]+)", row[-1]).groups()
        assert getattr(defaults, key) == float(value), row


def test_every_preset_is_documented_with_its_constants(repository):
    rows = table_after((repository / "docs" / "curation.md").read_text(), "The box of a person")
    found = {row[0].strip("`"): row[1:4] for row in rows}
    assert found == {
        name: [
            "`minimum_confidence`" if preset.minimum_confidence is None else str(preset.minimum_confidence),
            str(preset.median_frames),
            str(preset.gaussian_sigma_frames),
        ]
        for name, preset in PRESETS.items()
    }
