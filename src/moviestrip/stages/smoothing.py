"""Learned models against static ones that are smoothed over time."""

import sys
from pathlib import Path

import pandas as pd

from moviestrip import tables
from moviestrip.config import EvaluationSettings, FeatureSettings
from moviestrip.errors import ConfigError, StorageError
from moviestrip.layout import RunFolder
from moviestrip.stages.job import Job, labels_of
from moviestrip.stages.prediction import validation_clips
from moviestrip.storage import atomic_path
from moviestrip.tables import read_table


def smoothing(job: Job) -> None:
    """Hold every temporal model of this run's tables against the best smoothed static one."""
    from moviestrip.papers.cells import read_cells
    from moviestrip.papers.resamples import Resamples
    from moviestrip.papers.smoothing import against_smoothing, smoothed_baselines, tables_beside_smoothing
    from moviestrip.papers.worlds import Setting

    setting, variants = Setting.of(job.settings.config()), job.settings.variants()
    scored, baselines = job.scored_datasets(), smoothed_baselines(variants)
    paths = {f"table:{name}": job.run.table(name) for name in tables_beside_smoothing(job.settings.value("tables"))}
    scores, predictions = (
        {
            f"{kind}:{variant}/{seed}/{dataset}": getattr(job.run, kind)(variant, seed, dataset)
            for variant in names
            for seed in setting.seeds
            for dataset in scored
        }
        for kind, names in (("scores", variants), ("predictions", baselines))
    )
    compared = against_smoothing(
        [read_cells(path) for path in paths.values()],
        variants,
        job.settings.section(FeatureSettings).backbone,
        _validation_errors(job, baselines, setting.seeds, scored),
        Resamples(tables.read_tables(scores.values(), tables.SCORES), setting),
        setting.interval_percent,
    )
    with atomic_path(job.run.smoothing) as partial:
        compared.to_csv(partial, index=False, float_format="%.6g")
    job.record(job.run.smoothing, "smoothing", paths | scores | predictions)


def _validation_errors(job: Job, baselines: list[str], seeds: tuple[int, ...], datasets: list[str]) -> dict[str, float]:
    """Of each smoothed model over all seeds, by the metric that chose its filter."""
    from moviestrip.evaluation.baselines import validation_error

    metric = job.settings.section(EvaluationSettings).smoothing_metric
    known = validation_clips(job, datasets)
    labels = {dataset: labels_of(job, dataset) for dataset in known}

    def error_of(name: str, seed: int) -> float:
        said = {dataset: read_table(job.run.predictions(name, seed, dataset), tables.PREDICTIONS) for dataset in known}
        return validation_error(said, labels, known, metric)

    errors = {name: sum(error_of(name, seed) for seed in seeds) / len(seeds) for name in baselines}
    for name, error in errors.items():
        print(f"{name}: {metric} {error:.2f} on validation clips", file=sys.stderr)
    return errors


def smoothing_comparison(run: RunFolder) -> pd.DataFrame:
    """What `smoothing` found, texts as texts and numbers as numbers."""
    from moviestrip.papers.smoothing import COLUMNS, NUMBERS

    path: Path = run.smoothing
    if not path.is_file():
        raise ConfigError(f"{path}: not made yet; run `snakemake --cores 2 {path}`")
    found = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise StorageError(f"{path}: lacks the columns {missing}; an older version made it: make it again")
    return found.assign(**{name: pd.to_numeric(found[name]) for name in NUMBERS})
