"""Whether runs with other seeds come to the same verdicts, from what they left behind."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from moviestrip import tables
from moviestrip.errors import ConfigError, FatalError
from moviestrip.layout import RunFolder
from moviestrip.provenance import read_record
from moviestrip.settings import StageSettings
from moviestrip.stages.evaluation import CELL_TEXTS, ledger

if TYPE_CHECKING:
    from moviestrip.papers.agreement import Evidence


def compare_runs(runs: Sequence[RunFolder], pooled: bool = False) -> pd.DataFrame:
    """Compare the ledgers of several runs, or those that each training seed of one run gives by itself.

    Training seeds are told how far claims move on the same clips, which is what `evaluation.training_noise` stands for;
    runs, with `pooled`, how far they move beside their intervals as these are.
    """
    from moviestrip.papers.agreement import compare, pool, require_seeds_alone, with_movement, with_pooled

    if len(runs) == 1:
        evidence = _of_training_seeds(runs[0])
        ledgers = {each.label: each.ledger() for each in evidence}
        moving = [replace(each, setting=replace(each.setting, training_noise=0.0)) for each in evidence]
    else:
        labels = _labels(runs)
        ledgers = {label: ledger(run) for label, run in zip(labels, runs, strict=True)}
        require_seeds_alone({str(run.root): run.claims for run in runs})
        evidence = [_evidence(run, label) for label, run in zip(labels, runs, strict=True)] if pooled else []
        moving = evidence
    compared = compare(ledgers)
    compared = with_movement(compared, moving) if moving else compared
    return with_pooled(compared, pool(evidence)) if pooled else compared


def _record(run: RunFolder) -> dict[str, Any]:
    ledger(run)  # its message says how to make one
    record = read_record(run.claims)
    if record is None:
        raise FatalError(f"{run.claims}: nothing is recorded beside it; make the claims again")
    return record


def _labels(runs: Sequence[RunFolder]) -> list[str]:
    """Each run's seeds; two with the same seeds are the same run twice."""
    labels: dict[str, RunFolder] = {}
    for run in runs:
        settings = _record(run)["settings"]
        trained = settings["training_seeds"]
        label = f"seed {settings['seed']}" + (f"/{','.join(map(str, trained))}" if trained != [0] else "")
        if label in labels:
            raise ConfigError(f"{labels[label].root} and {run.root} have the same seeds ({label}); give runs of others")
        labels[label] = run
    return list(labels)


def _evidence(run: RunFolder, label: str) -> "Evidence":
    """Tables and scores as the ledger's record names them."""
    from moviestrip.papers.agreement import Evidence
    from moviestrip.papers.table import build_table
    from moviestrip.papers.worlds import Setting

    record = _record(run)
    setting = Setting.of(StageSettings(record["settings"]).config())
    kinds: dict[str, list[Path]] = {"table": [], "scores": [], "log": []}
    for name, found in record["inputs"].items():
        kinds[kind if (kind := name.partition(":")[0]) in kinds else "scores"].append(run.root / found["path"])
    if not kinds["scores"]:
        raise ConfigError(f"{run.claims}: no scores are behind it; make a table that compares models")
    scores = tables.read_tables(kinds["scores"], tables.SCORES)
    made = [pd.read_csv(path, dtype=CELL_TEXTS, keep_default_na=False) for path in kinds["table"]]
    cells = pd.concat([*made, build_table("vibe", "text", scores, None, setting)], ignore_index=True)
    return Evidence(label, cells, scores, setting)


def _of_training_seeds(run: RunFolder) -> list["Evidence"]:
    """What each training seed of one run says by itself, on the same clips."""
    from moviestrip.papers.layout import counts_data
    from moviestrip.papers.table import build_table

    whole = _evidence(run, "")
    if len(whole.setting.seeds) < 2:
        raise ConfigError(f"{run.root}: has one training seed; name runs of other seeds, or set `training_seeds`")
    names = [tuple(str(name).rsplit("-", 1)) for name in _record(run)["settings"]["tables"]]
    measured = [(paper, number) for paper, number in names if not counts_data(paper, number)]
    found = []
    for seed in whole.setting.seeds:
        scores, setting = whole.scores[whole.scores["seed"] == seed], replace(whole.setting, seeds=(seed,))
        built = [build_table(*name, scores, None, setting) for name in [*measured, ("vibe", "text")]]
        cells = pd.concat(built, ignore_index=True)
        found.append(replace(whole, label=f"training {seed}", tables=cells, scores=scores, setting=setting))
    return found
