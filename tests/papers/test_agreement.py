"""Runs that differ in their seeds alone, made by the real stages from scores that are known."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import sem

from moviestrip import stages
from moviestrip.config import Config, load_config, load_dataset
from moviestrip.errors import ConfigError
from moviestrip.layout import RunFolder
from moviestrip.papers.agreement import (
    AGREE,
    CONTRADICT,
    DIFFER,
    NOT_COMPARED,
    agreement_of,
    comparison_rows,
    summary_lines,
)
from moviestrip.papers.claims import FAILS, HOLDS, NOT_APPLICABLE, PENDING, UNDECIDED
from moviestrip.provenance import write_provenance
from moviestrip.settings import StageSettings
from moviestrip.storage import write_text
from moviestrip.tables import SCORES, read_table, write_table

CLIPS = 24
VARIANTS = ("single-view", "contextual")


@pytest.fixture(scope="module")
def config(repository: Path) -> Config:
    return load_config([repository / "config.yaml"]).model_copy(
        update={"datasets": ("street",), "variants": VARIANTS, "tables": ("hmmr-2",), "motion_priors": ()}
    )


@dataclass(frozen=True)
class Maker:
    """Makes runs under one folder."""

    folder: Path
    config: Config
    datasets: dict[str, Any]

    def run(
        self, seed: int, gain_mm: float, trained: tuple[int, ...] = (0,), steps: int = 100, noise_mm: float = 1.0
    ) -> RunFolder:
        """A run whose contextual model has an MPJPE so much lower than the single-view one, for each training seed
        ten times its number more."""
        name = f"world-{seed}-{len(trained)}-{steps}"
        evaluation = self.config.evaluation.model_copy(update={"bootstrap_samples": 200})
        config = self.config.model_copy(
            update={"seed": seed, "name": name, "training_seeds": trained, "evaluation": evaluation}
        )
        run = RunFolder(self.folder / name)
        random = np.random.default_rng(seed)
        hard = random.gamma(2, 60, CLIPS)
        for number in trained:
            gains = gain_mm + 10 * number + random.normal(0, noise_mm, CLIPS)
            read = {"seed": seed, "scale": {"steps": steps}}
            for variant, values in {"single-view": hard, "contextual": hard - gains}.items():
                write_text(run.checkpoint(variant, number), variant)
                write_provenance(run.checkpoint(variant, number), "train", {}, read)
                write_table(run.scores(variant, number, "street"), scores_of(variant, number, values), SCORES)
                behind = {"predictions": run.checkpoint(variant, number)}
                write_provenance(run.scores(variant, number, "street"), "scores", behind, {})
        settings = config.model_dump(mode="json") | {"dataset_settings": self.datasets, "variant_settings": {}}
        for stage in (lambda job: stages.table(job, "hmmr-2"), stages.claims):
            stage(stages.Job(run, StageSettings(settings)))
        return run


def scores_of(variant: str, seed: int, values: np.ndarray) -> pd.DataFrame:
    shared = {"variant": variant, "seed": seed, "protocol": "hmmr", "dataset": "street", "action": "walk",
              "metric": "mpjpe", "condition": "all", "horizon": 0, "dtw": False, "unit": "mm", "frames": 9,
              "degenerate_frames": 0}  # fmt: skip
    clips = pd.DataFrame({"clip_id": [f"c{clip:02d}" for clip in range(CLIPS)], "value": values})
    return clips.assign(group=clips["clip_id"], **shared)[[column.name for column in SCORES.columns]]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory, config: Config, repository: Path) -> Maker:
    datasets = {"street": load_dataset("street", repository / "config").model_dump(mode="json")}
    return Maker(tmp_path_factory.mktemp("seeds"), config, datasets)


@pytest.fixture(scope="module")
def three(make: Maker) -> list[RunFolder]:
    """hmmr-03 holds in two worlds and fails in the third."""
    return [make.run(seed, gain) for seed, gain in enumerate((12, 14, -10))]


@pytest.mark.parametrize(
    ("verdicts", "found"),
    [
        ((HOLDS, HOLDS, HOLDS), AGREE),
        ((UNDECIDED, UNDECIDED), AGREE),
        ((HOLDS, UNDECIDED, HOLDS), DIFFER),
        ((FAILS, UNDECIDED), DIFFER),
        ((HOLDS, FAILS, UNDECIDED), CONTRADICT),
        ((HOLDS, PENDING, FAILS), NOT_COMPARED),
        ((NOT_APPLICABLE, NOT_APPLICABLE), NOT_COMPARED),
    ],
)
def test_what_is_called_agreement(verdicts, found):
    assert agreement_of(verdicts) == found


def test_the_worst_comes_first_with_every_runs_effect(three: list[RunFolder]):
    compared = stages.compare_runs(three)
    assert len(compared) == 70 and compared["runs"].unique().tolist() == ["seed 0; seed 1; seed 2"]
    first = compared.iloc[0]
    assert (first["claim_id"], first["agreement"]) == ("hmmr-03", CONTRADICT)
    assert first["verdicts"] == "holds; holds; fails"
    assert [float(part) for part in first["effects"].split("; ")] == pytest.approx([12, 14, -10], abs=0.8)
    assert set(compared["agreement"].iloc[1:]) == {NOT_COMPARED}
    assert summary_lines(compared) == [
        "1 of 70 claims are judged in every run",
        "0 (0%) have the same verdict in all: 0 holds, 0 fails, 0 undecided",
        "0 (0%) without contradiction: none holds in one run and fails in another",
    ]
    alike = stages.compare_runs(three[:2])
    assert summary_lines(alike)[1] == "1 (100%) have the same verdict in all: 1 holds, 0 fails, 0 undecided"
    assert comparison_rows(alike)[1] == []


def test_together_the_effect_is_the_mean_and_what_differs_between_runs_widens_its_interval(make, three):
    pooled = stages.compare_runs(three, pooled=True).set_index("claim_id").loc["hmmr-03"]
    effects = [float(part) for part in pooled["effects"].split("; ")]
    assert pooled["pooled_effect"] == pytest.approx(np.mean(effects), abs=1e-3)
    assert pooled["pooled_verdict"] == UNDECIDED
    assert pooled["pooled_low"] < 0 < 10 < pooled["pooled_high"]  # of each run alone it is a millimetre wide
    calm = stages.compare_runs([*three[:2], make.run(3, 13)], pooled=True).set_index("claim_id").loc["hmmr-03"]
    assert calm["pooled_verdict"] == HOLDS and 0 < calm["pooled_low"] < 10  # 12, 14 and 13: by Student's t 7.3 to 18.7


def test_training_seeds_of_one_run_are_compared_on_the_same_clips(make: Maker):
    run = make.run(5, 2, trained=(0, 1, 2))
    compared = stages.compare_runs([run]).set_index("claim_id").loc["hmmr-03"]
    assert compared["runs"] == "training 0; training 1; training 2"
    assert [float(part) for part in compared["effects"].split("; ")] == pytest.approx([2, 12, 22], abs=0.8)


def test_how_far_claims_move_is_told_in_standard_errors_over_clips(make: Maker):
    run = make.run(8, 2, trained=(0, 1, 2), steps=300, noise_mm=30)
    gains = []
    for number in (0, 1, 2):
        alone, in_context = (
            read_table(run.scores(variant, number, "street"), SCORES).set_index("clip_id")["value"]
            for variant in VARIANTS
        )
        gains.append(alone - in_context)
    expected = np.std(np.mean(gains, axis=1), ddof=1) / np.sqrt(np.mean(sem(gains, axis=1) ** 2))
    compared = stages.compare_runs([run])
    assert compared.set_index("claim_id").loc["hmmr-03", "moves"] == pytest.approx(expected, rel=0.1)
    said = f"claims move from run to run by {compared['moves'].iloc[0]:.2f} standard errors of their intervals"
    assert summary_lines(compared)[-1] == said
    assert 0.5 < expected < 3


def test_runs_that_differ_in_more_than_seeds_are_named(make: Maker, three: list[RunFolder]):
    longer = make.run(7, 12, steps=200)
    said = rf"{three[0].root} and {longer.root} differ in more than seeds: scale\.steps \(100 and 200\); .*docs/claims"
    with pytest.raises(ConfigError, match=said):
        stages.compare_runs([three[0], longer])
    with pytest.raises(ConfigError, match=r"have the same seeds \(seed 0\)"):
        stages.compare_runs([three[0], three[0]])
    with pytest.raises(ConfigError, match="has one training seed"):
        stages.compare_runs([three[0]])
    with pytest.raises(ConfigError, match=r"claims\.csv: not made yet"):
        stages.compare_runs([three[0], RunFolder(make.folder / "nowhere")])


def test_the_command_prints_eighty_columns_and_writes_every_claim(three: list[RunFolder], tmp_path: Path):
    file = tmp_path / "agreement.csv"
    program = str(Path(sys.executable).with_name("moviestrip"))
    command = [program, "claims", "compare", *(str(run.root) for run in three), "--pooled", "--csv", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "80", "PATH": ""}).stdout
    assert all(len(line) <= 80 for line in said.splitlines())
    assert "hmmr-03" in said and "contradict" in said and "1 of 70 claims are judged in every run" in said
    written = pd.read_csv(file)
    assert len(written) == 70 and written["pooled_verdict"].iloc[0] == UNDECIDED
