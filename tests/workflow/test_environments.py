"""A rule's conda environment has what its command imports, seen in the run of the tiny world."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BESIDE = {"moviestrip", "pip", "setuptools"}  # in every environment


@pytest.fixture(scope="module")
def environments(repository: Path) -> dict[str, set[str]]:
    """The conda files that rules name for each of moviestrip's commands."""
    found = defaultdict(set)
    for file in (repository / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^(?:rule|checkpoint) ", file.read_text(), flags=re.MULTILINE)[1:]:
            if named := re.search(r'"\.\./\.\./envs/(.+?)"', rule):
                for command in re.findall(r"\bmoviestrip ([a-z-]+)", rule):
                    found[command].add(named[1])
    return found


def installed(conda_file: Path) -> set[str]:
    """What pip puts there: the pins and all that they need."""
    waiting = [Requirement(pin) for pin in yaml.safe_load(conda_file.read_text())["dependencies"][-1]["pip"]]
    found: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in found:
            found.add(name)
            waiting += needed_by(name)
    return found


def needed_by(name: str) -> Iterator[Requirement]:
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # of another platform
        return
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def test_the_environment_of_a_rule_holds_what_its_command_imports(
    finished: Path, imports: Path, environments: dict[str, set[str]], repository: Path
):
    distributions = metadata.packages_distributions()
    imported = defaultdict(set)
    for file in imports.iterdir():
        said = json.loads(file.read_text())
        names = {canonicalize_name(name) for module in said["modules"] for name in distributions.get(module, ())}
        imported[said["command"]] |= names - BESIDE
    assert (
        {"render", "detect", "features", "train", "predict", "table", "report"}
        <= imported.keys()
        <= environments.keys()
    )
    lacking = {
        f"{command} in {name}": sorted(missing)
        for command, packages in imported.items()
        for name in environments[command]
        if (missing := packages - installed(repository / "envs" / name))
    }
    assert lacking == {}
