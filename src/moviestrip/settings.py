"""The part of the configuration one stage may read.

The workflow hands each rule only the keys its stage reads, so that changing any other key reruns
nothing; a stage that reads a key it was not handed fails loudly. People at a terminal hand over the
whole configuration instead.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from moviestrip.config import (
    BackboneName,
    Config,
    DatasetSettings,
    Section,
    VariantSettings,
    in_world,
    load_dataset,
    load_variant,
    load_variants,
    suggestion,
)
from moviestrip.errors import ConfigError, FatalError

SectionType = TypeVar("SectionType", bound=Section)
# What only people read of one dataset or variant: a better title makes nothing anew. Whoever prints it reads all
# datasets or all variants.
CAPTIONS = {"dataset": ("title", "plays", "licence", "consent"), "variant": ("title",)}
NOT_HANDED_OVER = "(not handed over)"
PLANNED_BY = {"video_s"}  # what only the plan reads of a dataset: no stage is handed it


class StageSettings:
    """Read access to some keys, remembering which were read (that is what provenance records)."""

    def __init__(self, values: Mapping[str, Any]):
        self._values = dict(values)
        self.read: dict[str, Any] = {}

    @classmethod
    def from_json(cls, text: str) -> "StageSettings":
        return cls(json.loads(text))

    @classmethod
    def from_config(
        cls, config: Config, folder: Path, dataset: str | None = None, variant: str | None = None
    ) -> "StageSettings":
        values = config.model_dump(mode="json")
        places = config.data_folders, config.dataset_files
        datasets = {name: load_dataset(name, folder, *places) for name in config.datasets}
        variants = load_variants(config, folder, datasets)
        values["dataset_settings"] = {
            name: found.model_dump(mode="json", exclude=PLANNED_BY) for name, found in datasets.items()
        }
        values["variant_settings"] = {name: found.model_dump(mode="json") for name, found in variants.items()}
        if dataset is not None:
            values["dataset"] = load_dataset(dataset, folder, *places).model_dump(mode="json", exclude=PLANNED_BY)
        if variant is not None:
            chosen = variants.get(variant) or in_world(variant, load_variant(variant, folder), config, datasets)
            values["variant"] = chosen.model_dump(mode="json")
        return cls(values)

    def of(self, dataset: str | None, variant: str | None) -> "StageSettings":
        """The same settings for one dataset or variant among those of the configuration."""
        values = dict(self._values)
        if dataset is not None:
            values["dataset"] = values["dataset_settings"][dataset]
        if variant is not None:
            values["variant"] = values["variant_settings"][variant]
        return StageSettings(values)

    def with_backbone(self, name: str) -> "StageSettings":
        """The same settings with another `features.backbone`."""
        known = get_args(BackboneName)
        if name not in known:
            raise ConfigError(f"features.backbone: '{name}' is not known{suggestion(name, known)}")
        features = self._values["features"]
        weights = {key: path for key, path in features["checkpoints"].items() if key == name}
        return StageSettings({**self._values, "features": {**features, "backbone": name, "checkpoints": weights}})

    def has(self, key: str) -> bool:
        return key in self._values

    def value(self, key: str) -> Any:
        if key not in self._values:
            raise _not_handed(key)
        self.read[key] = self._values[key]
        return self._values[key]

    def section(self, kind: type[SectionType]) -> SectionType:
        return kind.model_validate(self.value(_key_of(kind)))

    def config(self) -> Config:
        """A configuration of the keys that were handed over; to read another is an error."""
        self.read.update(self._values)
        handed = {key: self._values[key] for key in Config.model_fields if key in self._values}
        required = dict.fromkeys(("datasets", "variants", "tables"), ())
        whole = Config.model_validate({"name": "none", "world": "miniature", **required, **handed})
        return _PartOfConfig.of(whole, handed)

    def datasets(self) -> dict[str, DatasetSettings]:
        """All datasets of the configuration, by name."""
        return {name: DatasetSettings.model_validate(found) for name, found in self.value("dataset_settings").items()}

    def variants(self) -> dict[str, VariantSettings]:
        """All variants of the configuration, by name."""
        return {name: VariantSettings.model_validate(found) for name, found in self.value("variant_settings").items()}

    def subset(self, keys: tuple[str, ...]) -> str:
        """JSON of some keys only, as the workflow passes it on; `evaluation.protocol` is one key of a section."""
        chosen: dict[str, Any] = {}
        for key in keys:
            section, _, inner = key.partition(".")
            value = self._values[section]
            if inner:  # of `dataset_settings`, one dataset
                found = _without_captions(section.removesuffix("_settings"), value[inner])
                chosen[section] = {**chosen.get(section, {}), inner: found}
            else:
                chosen[section] = _without_captions(section, value)
        return json.dumps(chosen, sort_keys=True, separators=(",", ":"))


def _without_captions(kind: str, value: Any) -> Any:
    captions = CAPTIONS.get(kind, ())
    return {**value, **dict.fromkeys(captions, NOT_HANDED_OVER)} if captions else value


class _PartOfConfig(Config):
    """A configuration that has only some keys, and says so when another is read."""

    @classmethod
    def of(cls, whole: Config, keys: Iterable[str]) -> "_PartOfConfig":
        part = cls.model_construct(**dict(whole))
        for key in set(Config.model_fields) - set(keys):
            del part.__dict__[key]
        return part

    def __getattr__(self, key: str) -> Any:
        if key in Config.model_fields:
            raise _not_handed(key)
        return super().__getattr__(key)  # type: ignore[misc]


def _not_handed(key: str) -> FatalError:
    return FatalError(f"this stage reads `{key}`, which it was not handed; list it in the rule's `settings`")


def _key_of(kind: type[Section]) -> str:
    if kind is DatasetSettings:
        return "dataset"
    if kind is VariantSettings:
        return "variant"
    return next(name for name, field in Config.model_fields.items() if field.annotation is kind)
