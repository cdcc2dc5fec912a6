"""Motion priors and variants."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from moviestrip import tables
from moviestrip.config import (
    BodySettings,
    ComputeSettings,
    EvaluationSettings,
    MotionPriorSettings,
    ScaleSettings,
    VariantSettings,
)
from moviestrip.errors import ConfigError
from moviestrip.stages.job import (
    Job,
    feature_files,
    feature_inputs,
    keypoints_of,
    selected_clips,
    shard_files,
)
from moviestrip.storage import atomic_path

if TYPE_CHECKING:
    from moviestrip.body.load import Body
    from moviestrip.training.data import ShardFiles, TrainingData
    from moviestrip.training.motions import RealMotions


def motion_prior(job: Job, name: str, seed: int) -> None:
    """Train a motion prior on the motions of the train split, and score it on those of the test split."""
    from moviestrip.training.motion_prior import prior_design, train_motion_prior
    from moviestrip.training.motions import read_motions

    settings, body = job.settings.section(MotionPriorSettings), job.body()
    design = prior_design(name, settings, job.settings.section(ScaleSettings))
    training, validation = (read_motions(job.run.motions, split) for split in ("train", "validation"))
    if training.dropped:
        print(f"left out, for being short: {', '.join(training.dropped)}", file=sys.stderr)
    run_seed, folder = job.settings.value("seed") + seed, job.run.model(name, seed)
    train_motion_prior(settings, design, name, run_seed, training, validation, keypoints_of(body), folder)
    inputs = {"body": job.run.body, "motions": job.run.motions}
    job.record(job.run.checkpoint(name, seed), "motion prior", inputs)
    job.record(job.run.training_log(name, seed), "motion prior", inputs)
    inputs["checkpoint"] = job.run.checkpoint(name, seed)
    _score_motion_prior(job, name, seed, settings.frames, training, body, inputs)


def _score_motion_prior(
    job: Job,
    name: str,
    seed: int,
    frames: int,
    training: "RealMotions",
    body: "Body",
    inputs: Mapping[str, Path],
) -> None:
    """Per-vertex error on test motions beside that of the mean pose, each with its interval over motions.

    The errors of every motion are kept as scores, so that the ledger can compare two priors on the same motions.
    """
    from moviestrip.evaluation.statistics import interval
    from moviestrip.papers.priors import reconstruction_scores
    from moviestrip.papers.worlds import MOTIONS
    from moviestrip.training.motion_prior import mean_pose, read_motion_prior, reconstruction_errors
    from moviestrip.training.motions import read_motions

    evaluation = EvaluationSettings()  # whatever the tables' intervals are: nobody trains anew for another
    motions = read_motions(job.run.motions, "test")
    prior = read_motion_prior(job.run.checkpoint(name, seed))
    rows = []
    for title, reconstruct in ((name, prior.reconstruct), ("mean-pose", mean_pose(training))):
        errors = reconstruction_errors(reconstruct, motions, body, frames)
        weights = errors["frames"].to_numpy()
        found = interval(
            errors["pve_mm"].to_numpy()[None], weights, evaluation.bootstrap_samples, evaluation.interval_percent
        )
        rows.append((title, "test", len(errors), int(weights.sum()), *found))
        if title == name:
            scores = reconstruction_scores(errors, name, seed)
            job.save(job.run.scores(name, seed, MOTIONS), scores, tables.SCORES, inputs)
    columns = ["name", "split", "motions", "frames", "pve_mm", "low", "high"]
    with atomic_path(job.run.reconstruction(name, seed)) as partial:
        pd.DataFrame(rows, columns=columns).to_csv(partial, index=False, float_format="%.3f")
    job.record(job.run.reconstruction(name, seed), "motion prior", inputs)


TRAIN_KEYS = ("variant", "scale", "body", "seed", "compute", "features.backbone")


def train(
    job: Job, variant: str, seed: int, datasets: Sequence[str] | None = None, rendezvous: str | None = None
) -> None:
    """Train one variant on the training clips of some datasets; validation clips choose the best step.

    Where several processes share it, this one starts them and waits for their end.

    Args:
        rendezvous: of a training on several nodes, host:port of the first.
    """
    from moviestrip.training.compute import processes_on_this_machine
    from moviestrip.training.state import state_file
    from moviestrip.training.together import is_launched, train_together

    settings = job.settings.section(VariantSettings)
    datasets = datasets or job.datasets_of(settings)
    if is_launched():
        return _train(job, settings, variant, seed, datasets)
    processes = processes_on_this_machine(job.settings.section(ComputeSettings), settings.gpus)
    if settings.nodes > 1 and rendezvous is None:
        raise ConfigError(
            f"nodes: '{variant}' asks for {settings.nodes}; run this on each with --rendezvous HOST:PORT of the first, "
            f"as the workflow does on Slurm (docs/cluster.md)"
        )
    if processes * settings.nodes == 1:
        _train(job, settings, variant, seed, datasets)
    else:
        chosen = [part for name in datasets for part in ("--dataset", name)]
        places = ["--run", str(job.run.root), "--settings", job.settings.subset(TRAIN_KEYS)]
        again = ["-m", "moviestrip.cli", "train", variant, str(seed), *chosen, *places]
        train_together(again, processes, settings.nodes, rendezvous, f"{variant}-{seed}")
    state_file(job.run.model(variant, seed)).unlink(missing_ok=True)  # only now is all there that it was kept for


def _train(job: Job, settings: VariantSettings, variant: str, seed: int, datasets: Sequence[str]) -> None:
    """Train in this process, whether alone or as one of several."""
    from moviestrip.body.mean_parameters import read_mean_parameters
    from moviestrip.training.compute import start_compute
    from moviestrip.training.loop import Training, train_variant
    from moviestrip.training.motion_prior import read_motion_prior
    from moviestrip.training.motions import read_motions

    scale = settings.scaled(job.settings.section(ScaleSettings))
    files = _learning_files(job, datasets, settings)
    inputs = {"body": job.run.body} | feature_inputs(files)
    start = real_motions = prior = None
    if settings.start_from:
        start = inputs["start"] = job.run.checkpoint(settings.start_from, seed)
    if settings.motion_discriminator:
        inputs["motions"] = job.run.motions
        real_motions = read_motions(job.run.motions, "train")
    if settings.motion_prior:
        inputs["motion_prior"] = job.run.checkpoint(settings.motion_prior, seed)
        prior = read_motion_prior(inputs["motion_prior"])
    mean = None
    if (path := job.settings.section(BodySettings).mean_parameters) is not None:
        mean = read_mean_parameters(path)
        inputs["mean_parameters"] = path
    data, points = _training_data(job, datasets, files, settings), keypoints_of(job.body())
    with start_compute(job.settings.section(ComputeSettings)) as compute:
        training = Training(settings, scale, data, points, real_motions, prior, mean, compute)
        train_variant(training, variant, job.settings.value("seed") + seed, job.run.model(variant, seed), start)
        if compute.writes:
            job.record(job.run.checkpoint(variant, seed), "train", inputs)
            job.record(job.run.training_log(variant, seed), "train", inputs)


def _learning_files(job: Job, datasets: Sequence[str], variant: VariantSettings) -> "list[ShardFiles]":
    """As `shard_files`, and the occluded copies where the variant learns from them."""
    files = shard_files(job, datasets, variant)
    return files + (feature_files(job, datasets, job.backbone_of(variant), True) if variant.occluded_copies else [])


def _training_data(
    job: Job, datasets: Sequence[str], files: "Sequence[ShardFiles]", variant: VariantSettings
) -> "TrainingData":
    """Training clips with their copies, and the validation clips known in 3D."""
    from moviestrip.training.data import TrainingData, read_clips

    training, validation = (selected_clips(job, datasets, [split]) for split in ("train", "validation"))
    validation = validation[validation["supervision"] == "full_3d"]
    joints_only = training.loc[training["dataset"].isin(variant.joints_only), "clip_id"]
    return TrainingData(
        read_clips(files, list(training["clip_id"]), copies=True).without_body(list(joints_only)),
        read_clips(files, list(validation["clip_id"]), copies=False) if len(validation) else None,
    )
