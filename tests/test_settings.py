"""A stage reads only the keys it was handed."""

import json
from pathlib import Path

import pytest

from moviestrip.config import TrackingSettings, load_config
from moviestrip.errors import FatalError
from moviestrip.settings import StageSettings


@pytest.fixture
def whole(repository: Path) -> StageSettings:
    return StageSettings.from_config(load_config([repository / "config.yaml"]), repository / "config", dataset="studio")


def test_a_subset_gives_back_the_same_section_and_nothing_else(whole: StageSettings):
    part = StageSettings.from_json(whole.subset(("tracking", "seed")))
    assert part.section(TrackingSettings) == whole.section(TrackingSettings)
    assert part.value("seed") == 0
    with pytest.raises(FatalError, match="reads `curation`, which it was not handed"):
        part.value("curation")


def test_what_was_read_is_remembered(whole: StageSettings):
    whole.section(TrackingSettings)
    assert set(whole.read) == {"tracking"}


def test_a_subset_is_stable_text(whole: StageSettings):
    text = whole.subset(("seed", "dataset"))
    assert text == whole.subset(("dataset", "seed"))
    assert list(json.loads(text)) == ["dataset", "seed"]
