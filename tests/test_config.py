"""A mistake in the configuration is one line with the key's path and the nearest valid name."""

from pathlib import Path

import pytest

from moviestrip.config import (
    Config,
    check_variants,
    load_config,
    load_dataset,
    load_variant,
    load_variants,
    merge,
    validate_config,
)
from moviestrip.errors import ConfigError

GOOD = {"name": "x", "world": "miniature", "datasets": ["studio"], "variants": ["contextual"], "tables": ["hmmr-2"]}


@pytest.mark.faults
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trackin": {}}, "trackin: unknown key; did you mean 'tracking'?"),
        ({"tracking": {"maximum_gap": 3}}, "tracking.maximum_gap: unknown key; did you mean 'maximum_gap_frames'?"),
        ({"tracking": {"tracker": "moviestrips"}}, "tracking.tracker: 'moviestrips' is not known; did you mean 'movie"),
        ({"world": "minature"}, "world: 'minature' is not known; did you mean 'miniature'?"),
        ({"seed": "one"}, "seed: Input should be a valid integer"),
        ({"scale": {"dropout": 2}}, "scale.dropout: Input should be less than 1, got 2"),
        ({"name": "../x"}, "name: String should match pattern"),
    ],
)
def test_fault_24_a_typo_is_one_line_with_the_nearest_name(change: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        validate_config({**GOOD, **change}, "config.yaml")
    assert str(caught.value).startswith(f"config.yaml: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.faults
def test_fault_24_an_unknown_dataset_or_variant_is_one_line(repository: Path):
    with pytest.raises(ConfigError, match=r"there is no 'studoi' in .*; did you mean 'studio'\?"):
        load_dataset("studoi", repository / "config")
    with pytest.raises(ConfigError, match=r"there is no 'contextuel' in .*; did you mean 'contextual'\?"):
        load_variant("contextuel", repository / "config")


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match=r"config.yaml: tables: this key is required"):
        validate_config({key: value for key, value in GOOD.items() if key != "tables"}, "config.yaml")


def test_variants_extend_each_other_but_not_in_a_circle(tmp_path: Path):
    folder = tmp_path / "variants"
    folder.mkdir()
    (folder / "a.yaml").write_text("title: A\npaper: hmmr\nencoder: movie-strip\ndelta_frames: [-5, 5]\n")
    (folder / "b.yaml").write_text("extends: a\ntitle: B\ndelta_frames: []\n")
    variant = load_variant("b", tmp_path)
    assert (variant.title, variant.encoder, variant.delta_frames) == ("B", "movie-strip", ())
    (folder / "a.yaml").write_text("extends: b\n")
    with pytest.raises(ConfigError, match="circle: b -> a -> b"):
        load_variant("b", tmp_path)


def test_merge_is_deep_for_mappings_and_replaces_lists():
    assert merge({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3]}}) == {"a": {"b": 1, "c": [3]}}


@pytest.mark.parametrize("extra", [[], ["smoke"], ["papers-scale"], ["papers-scale", "papers-scale-vibe"], ["hmmr"]])
def test_the_shipped_configurations_are_valid(repository: Path, extra: list[str]):
    folder = repository / "config"
    config = load_config([repository / "config.yaml", *(folder / f"{name}.yaml" for name in extra)])
    datasets = {name: load_dataset(name, folder) for name in config.datasets}
    check_variants(load_variants(config, folder, datasets), config.features.backbone)


def test_a_file_that_is_not_yaml_is_one_line(tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text("name: [unclosed\n")
    with pytest.raises(ConfigError) as caught:
        load_config([path])
    assert "not YAML" in str(caught.value)
    assert "\n" not in str(caught.value)


def papers_world(**changes) -> Config:
    values = {"name": "p", "world": "papers", "datasets": ["h36m"], "variants": ["single-view"], "tables": ["hmmr-4"]}
    return Config.model_validate(values | changes)


def test_variants_train_on_what_stands_for_the_papers_datasets(repository: Path):
    folder = repository / "config"
    miniature = load_config([repository / "config.yaml"])
    datasets = {name: load_dataset(name, folder) for name in miniature.datasets}
    found = load_variants(miniature, folder, datasets)
    assert found["single-view"].datasets == ("studio", "gym", "court")
    assert found["contextual-instavariety"].datasets[-2:] == ("insta-mini", "sports2d-demo")


def test_a_dataset_that_nobody_has_is_asked_for_or_left_out_by_name(repository: Path):
    folder = repository / "config"
    datasets = {"h36m": load_dataset("h36m", folder)}
    with pytest.raises(ConfigError, match=r"'single-view' trains on 'penn-action'.*train_without"):
        load_variants(papers_world(), folder, datasets)
    left = load_variants(papers_world(train_without=["penn-action", "nba"]), folder, datasets)
    assert left["single-view"].datasets == ("h36m",)
    with pytest.raises(ConfigError, match="nothing left to train on"):
        load_variants(papers_world(train_without=["h36m", "penn-action", "nba"]), folder, {})


def test_a_backbone_has_a_stand_in(repository: Path):
    folder = repository / "config"
    config = papers_world(
        variants=["hmr-backbone"], train_without=["penn-action", "nba", "mpi-inf-3dhp", "instavariety"],
        features={"stand_ins": {"blazepose-lite": "resnet50-hmr"}},
    )  # fmt: skip
    found = load_variants(config, folder, {"h36m": load_dataset("h36m", folder)})
    assert found["hmr-backbone"].backbone == "resnet50-hmr"


def test_a_dataset_that_is_brought_lies_where_the_configuration_says(repository: Path, tmp_path: Path):
    found = load_dataset("h36m", repository / "config", {"h36m": tmp_path})
    assert found.source.path == tmp_path
    with pytest.raises(ConfigError, match=r"data_folders\.studio"):
        load_dataset("studio", repository / "config", {"studio": tmp_path})
