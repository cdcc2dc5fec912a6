"""A stage reads only the keys it was handed."""

import json
from pathlib import Path

import pytest

from moviestrip.config import (
    DatasetSettings,
    FeatureSettings,
    ScaleSettings,
    TrackingSettings,
    load_config,
    load_dataset,
    load_variant,
)
from moviestrip.errors import ConfigError, FatalError
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


def test_of_a_configuration_too_only_keys_that_were_handed_over_can_be_read(whole: StageSettings):
    part = StageSettings.from_json(whole.subset(("shots", "dataset_settings"))).config()
    assert part.shots == whole.config().shots
    for key in ("fetch", "variants", "name"):
        with pytest.raises(FatalError, match=f"reads `{key}`, which it was not handed"):
            getattr(part, key)


def test_a_better_title_changes_nothing_that_a_stage_is_handed_of_one_dataset(whole: StageSettings):
    dataset = whole.value("dataset")
    other = StageSettings({**whole._values, "dataset": {**dataset, "title": "Better", "licence": "Looked up"}})
    assert other.subset(("dataset",)) == whole.subset(("dataset",))
    assert StageSettings.from_json(other.subset(("dataset",))).section(DatasetSettings).source.kind == "rendered"


def test_how_long_videos_are_expected_to_be_is_for_the_plan_alone(repository: Path):
    config = load_config([repository / "config.yaml"])
    whole = StageSettings.from_config(config, repository / "config", dataset="sports2d-demo")
    assert load_dataset("sports2d-demo", repository / "config").video_s == 4
    assert "video_s" not in whole.subset(("dataset", "dataset_settings"))
    assert whole.section(DatasetSettings).video_s is None


def test_a_variant_may_have_a_learning_rate_of_its_own(repository: Path):
    variant, scale = load_variant("contextual", repository / "config"), ScaleSettings()
    assert variant.scaled(scale) == scale
    own = variant.model_copy(update={"learning_rate": 1e-5})
    assert own.scaled(scale).model_dump() == {**scale.model_dump(), "learning_rate": 1e-5}


def test_what_was_read_is_remembered(whole: StageSettings):
    whole.section(TrackingSettings)
    assert set(whole.read) == {"tracking"}


def test_one_key_of_a_section_can_be_handed_over_alone(whole: StageSettings):
    keys = ("features.backbone", "features.augmented_copies", "seed")
    assert json.loads(whole.subset(keys)) == {
        "features": {"backbone": "blazepose-full", "augmented_copies": 1}, "seed": 0,
    }  # fmt: skip


def test_another_backbone_replaces_the_configurations_and_nothing_else(whole: StageSettings):
    other = whole.with_backbone("blazepose-lite")
    assert other.section(FeatureSettings).backbone == "blazepose-lite"
    assert whole.section(FeatureSettings).backbone == "blazepose-full"
    assert other.subset(("features.augmented_copies", "seed")) == whole.subset(("features.augmented_copies", "seed"))
    with pytest.raises(ConfigError, match=r"features\.backbone: 'blazepose-light' is not known; did you mean"):
        whole.with_backbone("blazepose-light")


def test_a_subset_is_stable_text(whole: StageSettings):
    text = whole.subset(("seed", "dataset"))
    assert text == whole.subset(("dataset", "seed"))
    assert list(json.loads(text)) == ["dataset", "seed"]
