"""Scores, tables and the ledger of claims."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from moviestrip import tables
from moviestrip.config import ScaleSettings
from moviestrip.errors import ConfigError, StorageError
from moviestrip.layout import RunFolder
from moviestrip.stages.job import Job, labels_of, selected_clips
from moviestrip.storage import atomic_path, write_text
from moviestrip.tables import read_table

if TYPE_CHECKING:
    from moviestrip.papers.causes import Learning
    from moviestrip.papers.worlds import Setting


def evaluate(job: Job, variant: str, seed: int, datasets: Sequence[str] | None = None) -> None:
    """Score predictions on the test clips of some datasets, under every protocol that a table needs there."""
    from moviestrip.evaluation.score import MESH_METRICS, score_under
    from moviestrip.papers.protocols import metrics_on, protocols_on

    body, known = job.body(), job.settings.datasets()
    chosen = job.settings.value("evaluation")["protocol"]
    stride = job.settings.value("variant")["frame_stride"] if job.settings.has("variant") else 1
    for dataset in datasets or job.scored_datasets():
        if dataset not in known:
            raise ConfigError(f"--dataset {dataset} is not in this configuration; known: {', '.join(known)}")
        role, path = known[dataset].role, job.run.predictions(variant, seed, dataset)
        meshes = not metrics_on(role).isdisjoint(MESH_METRICS)
        protocols, clips = protocols_on(role, chosen), selected_clips(job, [dataset], ["test"])
        predictions, labels = read_table(path, tables.PREDICTIONS), labels_of(job, dataset)
        scores = score_under(
            protocols, predictions, labels, clips, variant, seed, body, meshes, stride, body_of=job.body_for
        )
        inputs = {"predictions": path, "body": job.run.body} | {
            f"labels:{shard}": job.run.labels(dataset, shard) for shard in job.run.shards(dataset)
        }
        job.save(job.run.scores(variant, seed, dataset), scores, tables.SCORES, inputs)


def table(job: Job, *names: str) -> None:
    """Write some of the papers' tables beside this run's numbers."""
    from moviestrip.papers.layout import counts_data
    from moviestrip.papers.render import render_table
    from moviestrip.papers.table import build_table, prints_input_frames
    from moviestrip.papers.worlds import Setting

    read_scores = cache(lambda *paths: tables.read_tables(paths, tables.SCORES))  # most tables read the same
    for name in names:
        paper, number = name.rsplit("-", 1)
        setting = Setting.of(job.settings.config(), _input_frames(job) if prints_input_frames(paper, number) else None)
        scores = statistics = None
        if counts_data(paper, number):
            statistics, inputs = _statistics(job)
        else:
            inputs = _score_files(job, setting.variants, setting.seeds) | _forecast_score_files(job, name, setting)
            scores = read_scores(*inputs.values())
        cells = build_table(paper, number, scores, statistics, setting)
        files = {job.run.table(name, suffix): text for suffix, text in render_table(cells, setting).items()}
        for path, text in files.items():
            write_text(path, text)
        job.record(list(files), "table", inputs)


def _statistics(job: Job) -> tuple[pd.DataFrame, dict[str, Path]]:
    """What the run's datasets hold, and the files that say so."""
    from moviestrip.papers.table import dataset_statistics

    datasets = job.settings.datasets()
    shards = [(dataset, shard) for dataset in datasets for shard in job.run.shards(dataset)]
    inputs = {f"clips:{shard}": job.run.clips(dataset, shard) for dataset, shard in shards}
    return dataset_statistics(selected_clips(job, list(datasets)), datasets), inputs


def _input_frames(job: Job) -> dict[str, int]:
    from moviestrip.papers.variants import input_frames

    scale = job.settings.section(ScaleSettings)
    return {name: input_frames(variant, scale) for name, variant in job.settings.variants().items()}


def _score_files(job: Job, variants: Sequence[str], seeds: Sequence[int]) -> dict[str, Path]:
    scored = job.scored_datasets()
    keys = [(variant, seed, dataset) for variant in variants for seed in seeds for dataset in scored]
    return {
        f"scores:{variant}/{seed}/{dataset}": job.run.scores(variant, seed, dataset) for variant, seed, dataset in keys
    }


def _forecast_score_files(job: Job, table: str, setting: "Setting") -> dict[str, Path]:
    from moviestrip.papers.forecasts import forecasts_of

    keys = forecasts_of([table], setting.world, setting.datasets, setting.variants, setting.seeds)
    return {
        f"forecast scores:{row}/{seed}/{dataset}": job.run.forecast_scores(row, seed, dataset)
        for row, seed, dataset in keys
    }


def _prior_score_files(job: Job, setting: "Setting") -> dict[str, Path]:
    """What motion priors make of the test motions: no table prints it, but a claim asks."""
    from moviestrip.papers.worlds import MOTIONS

    keys = [(prior, seed) for prior in setting.motion_priors for seed in setting.seeds]
    return {f"scores:{prior}/{seed}/{MOTIONS}": job.run.scores(prior, seed, MOTIONS) for prior, seed in keys}


def _log_files(job: Job, setting: "Setting") -> dict[str, Path]:
    """Training logs of the run's models."""
    trained = [name for name, variant in job.settings.variants().items() if variant.is_trained]
    keys = [(variant, seed) for variant in trained for seed in setting.seeds]
    return {f"log:{variant}/{seed}": job.run.training_log(variant, seed) for variant, seed in keys}


def _learning(job: Job, setting: "Setting") -> dict[str, "Learning"]:
    """How the model of each variant learned last; one without weights of its own has another's."""
    from moviestrip.papers.causes import learning_of

    found: dict[str, Learning] = {}
    for name, variant in job.settings.variants().items():
        paths = [job.run.training_log(variant.weights_of or name, seed) for seed in setting.seeds]
        learned = learning_of([read_table(path, tables.TRAINING_LOG) for path in paths])
        if learned is not None:
            found[name] = learned
    return found


CELL_TEXTS = {"table": str, "horizon": str, "dtw": str}  # as they are printed, not as pandas would read them


def claims(job: Job) -> None:
    """Judge the papers' claims on the printed numbers and on this run's tables, by the scores behind them.

    Of those that do not hold, the logs of the models tell whether these were still learning.
    """
    from moviestrip.papers.claims import judge_claims
    from moviestrip.papers.layout import counts_data
    from moviestrip.papers.resamples import Resamples
    from moviestrip.papers.table import build_table
    from moviestrip.papers.worlds import Setting

    setting = Setting.of(job.settings.config())
    names = job.settings.value("tables")
    paths = {f"table:{name}": job.run.table(name) for name in names}
    finished = [pd.read_csv(path, dtype=CELL_TEXTS, keep_default_na=False) for path in paths.values()]
    scores: dict[str, Path] = {}
    for name in [name for name in names if not counts_data(*name.rsplit("-", 1))]:
        scores |= _score_files(job, setting.variants, setting.seeds) | _forecast_score_files(job, name, setting)
    scores |= _prior_score_files(job, setting)
    found = tables.read_tables(scores.values(), tables.SCORES) if scores else None
    resamples = None if found is None else Resamples(found, setting, setting.verdict_samples)
    finished.append(build_table("vibe", "text", found, None, setting))  # of motion priors
    with atomic_path(job.run.claims) as partial:
        cells = pd.concat(finished, ignore_index=True)
        ledger = judge_claims(cells, resamples, setting, _learning(job, setting))
        ledger.to_csv(partial, index=False, float_format="%.6g")
    job.record(job.run.claims, "claims", paths | scores | _log_files(job, setting))


def ledger(run: RunFolder) -> pd.DataFrame:
    """The finished ledger of claims, blank texts as blanks."""
    from moviestrip.papers.claims import ENDS

    path = run.claims
    if not path.is_file():
        raise ConfigError(f"{path}: not made yet; run `snakemake --cores 2 {path}`")
    found = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [name for name in (*ENDS, "cause", "evidence") if name not in found]
    if missing:
        raise StorageError(f"{path}: lacks the columns {missing}; an older version made it: make the claims again")
    return found.assign(**{name: pd.to_numeric(found[name]) for name in ENDS})
