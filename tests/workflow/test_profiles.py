"""What the profiles ask for, held against the rules."""

import re
from pathlib import Path

import pytest
import yaml


@pytest.fixture(scope="module")
def rules(repository: Path) -> dict[str, str]:
    """Text of each rule by its name."""
    text = "\n".join(path.read_text() for path in sorted((repository / "workflow/rules").glob("*.smk")))
    return dict(re.findall(r"^rule (\w+):\n((?:(?:    .*)?\n)+)", text, flags=re.MULTILINE))


@pytest.fixture(scope="module")
def slurm(repository: Path) -> dict:
    return yaml.safe_load((repository / "workflow/profiles/slurm/config.yaml").read_text())


def test_no_rule_retries_by_itself(rules: dict[str, str]):
    """A rule's own retries stay inside one Slurm allocation, so that more memory never reaches Slurm."""
    assert len(rules) > 20
    assert not [name for name, text in rules.items() if re.search(r"^    retries:", text, flags=re.MULTILINE)]


def test_retries_stand_where_they_count(repository: Path, slurm: dict):
    """Snakemake lets the default profile go before the one that is named."""
    default = yaml.safe_load((repository / "workflow/profiles/default/config.yaml").read_text())
    assert default["retries"] >= 1
    assert not set(default) & set(slurm)


def test_the_profile_names_only_rules_that_are_submitted(rules: dict[str, str], slurm: dict):
    submitted = {name for name, text in rules.items() if "localrule: True" not in text}
    assert set(slurm["set-resources"]) | set(slurm["groups"]) <= submitted
    assert set(slurm["group-components"]) <= set(slurm["groups"].values())


def test_a_second_attempt_asks_for_more(slurm: dict):
    asked = [slurm["default-resources"], *slurm["set-resources"].values()]
    given = [resources[key] for resources in asked for key in ("mem_mb", "runtime") if key in resources]
    assert given and all(text.startswith("attempt * ") for text in given)


def test_what_a_group_asks_is_known_before_its_inputs_are(slurm: dict):
    for rule in slurm["groups"]:
        assert "input." not in str(slurm["set-resources"].get(rule, {})), rule


def test_every_job_on_gpus_is_switched_by_one_line(slurm: dict, repository: Path):
    text = (repository / "workflow/profiles/slurm/config.yaml").read_text()
    switched = yaml.safe_load(text.replace("gpu: &gpu 0", "gpu: &gpu 1"))
    on = {rule for rule, asked in switched["set-resources"].items() if asked.get("gpu") == 1}
    assert on == {"features", "occluded_features", "predict", "forecast"}
    assert not any(asked.get("gpu") for asked in slurm["set-resources"].values())
