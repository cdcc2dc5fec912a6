"""The lock file, the conda files and the project's ranges agree, and name no host."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

# Made by and for the package on the right, which cannot be installed without it.
PART_OF = {"pydantic_core": "pydantic", "MarkupSafe": "jinja2", "markupsafe": "jinja2", "cycler": "matplotlib"}


@pytest.fixture
def locked(repository: Path) -> dict[str, str]:
    lines = (repository / "requirements.lock").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonical(name): version for name, version in pins}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_satisfies_every_range(repository: Path, locked: dict[str, str]):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    for text in project["dependencies"] + project["optional-dependencies"]["dev"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(locked[canonical(requirement.name)]), text


def test_what_the_package_imports_is_a_dependency_of_its_own(repository: Path):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    required = {canonical(Requirement(text).name) for text in project["dependencies"]}
    optional = {canonical(Requirement(text).name) for text in project["optional-dependencies"]["slurm"]}
    distributions = metadata.packages_distributions()
    for file in (repository / "src").rglob("*.py"):
        for module in imported_by(file) - sys.stdlib_module_names - {"moviestrip"}:
            found = {PART_OF.get(name, canonical(name)) for name in distributions.get(module, [module])}
            assert found & (required | optional), f"{file.name} imports {module}"


def imported_by(file: Path) -> set[str]:
    """First parts of the names of all modules that are imported anywhere in a file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_conda_files_pin_what_the_lock_pins(repository: Path, locked: dict[str, str]):
    files = sorted((repository / "envs").glob("*.yaml"))
    assert files
    for file in files:
        pip = yaml.safe_load(file.read_text())["dependencies"][-1]["pip"]
        for pin in pip:
            name, version = pin.split("==")
            assert locked[canonical(name)] == version, f"{file.name}: {pin}"


def test_every_rule_names_a_conda_file_that_exists(repository: Path):
    for rules in (repository / "workflow" / "rules").glob("*.smk"):
        for name in re.findall(r'"\.\./\.\./envs/(.+?)"', rules.read_text()):
            assert (repository / "envs" / name).is_file(), f"{rules.name}: {name}"


def test_no_address_is_locked(repository: Path):
    text = (repository / "requirements.lock").read_text()
    assert "://" not in text
    assert "--" not in text
