"""Where everything came from: the configuration, the software, the data and the digest of every output."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from platform import python_version
from typing import Any

import yaml

from moviestrip import __version__
from moviestrip.config import Config, DatasetSettings
from moviestrip.layout import RunFolder

ROWS_A_STAGE = 250
LIBRARIES = ("torch", "numpy", "scipy", "smplx", "anny", "ai-edge-litert", "av", "opencv-python-headless", "snakemake")
SOURCES = {
    "rendered": "rendered here by the miniature world",
    "package": "videos that come with a package",
    "folder": "a folder of videos",
    "links": "a list of links",
    "official": "a release as its authors distribute it",
    "prepared": "prepared features with their labels",
}


@dataclass(frozen=True)
class Stage:
    """Outputs of one stage; `left_out` of them are not listed."""

    name: str
    rows: tuple[dict[str, Any], ...]
    total: int
    left_out: int = field(default=0)


@dataclass(frozen=True)
class Provenance:
    """What every output was made by; `versions` of moviestrip that made any of them."""

    stages: tuple[Stage, ...]
    versions: tuple[str, ...]

    @property
    def total(self) -> int:
        return sum(stage.total for stage in self.stages)


def read_provenance(run: RunFolder) -> Provenance:
    """Every recorded output but the report's own, by stage."""
    by_stage: dict[str, list[dict[str, Any]]] = defaultdict(list)
    versions: set[str] = set()
    for path in sorted(run.root.rglob(".*.provenance.json")):
        if run.report.parent in path.parents:
            continue
        record = json.loads(path.read_text(encoding="utf-8"))
        output = (path.parent / record["output"]).relative_to(run.root).as_posix()
        by_stage[record["stage"]].append({"path": output, "sha256": record["sha256"], "inputs": len(record["inputs"])})
        versions.add(record["code_version"])
    stages = (
        Stage(name, tuple(rows[:ROWS_A_STAGE]), len(rows), max(0, len(rows) - ROWS_A_STAGE))
        for name, rows in sorted(by_stage.items())
    )
    return Provenance(tuple(stages), tuple(sorted(versions)))


def software(provenance: Provenance) -> list[tuple[str, str]]:
    """What made the outputs, by name and version; libraries are those beside which the page was written."""
    made = ", ".join(provenance.versions) or __version__
    return [("moviestrip", made), ("Python", python_version()), *((name, version(name)) for name in LIBRARIES)]


def data_sources(config: Config, datasets: Mapping[str, DatasetSettings]) -> list[dict[str, str]]:
    """Each dataset with where its videos come from and on what terms."""
    return [
        {
            "title": datasets[name].title,
            "plays": datasets[name].plays or "–",
            "source": SOURCES[datasets[name].source.kind],
            "licence": datasets[name].licence,
        }
        for name in config.datasets
        if name in datasets
    ]


def configuration_text(config: Config) -> str:
    """The whole configuration as YAML, defaults written out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
