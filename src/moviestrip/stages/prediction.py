"""What variants say of the clips they are scored on."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from moviestrip import tables
from moviestrip.config import ComputeSettings, EvaluationSettings, VariantSettings
from moviestrip.stages.job import (
    Job,
    feature_inputs,
    keypoints_of,
    labels_of,
    selected_clips,
    shard_files,
)

if TYPE_CHECKING:
    from moviestrip.body.points import PosedPoints
    from moviestrip.training.data import ClipDataset


def predict(job: Job, variant: str, seed: int, datasets: Sequence[str] | None = None) -> None:
    """Run a variant over the validation and test clips of some datasets, and smooth what it says if it asks for that.

    A variant of another's weights differs from it in what is read from them or in what is done afterwards.
    """
    from moviestrip.training.compute import device_named
    from moviestrip.training.predict import predict_clips

    settings = job.settings.section(VariantSettings)
    datasets = datasets or job.scored_datasets()
    checkpoint, points = job.run.checkpoint(settings.weights_of or variant, seed), keypoints_of(job.body())
    device = device_named(job.settings.section(ComputeSettings).device)
    rule = job.settings.section(EvaluationSettings).inference
    clips = {dataset: _clips_to_predict(job, dataset, settings) for dataset in datasets}
    predictions = {
        dataset: predict_clips(
            checkpoint, found, points.to(device), settings.reads, rule, settings.frame_stride, device
        )
        for dataset, found in clips.items()
    }
    if settings.smoothing != "none":
        predictions = _smoothed(job, settings, predictions, clips, points.to("cpu"))
    for dataset, table in predictions.items():
        inputs = {"checkpoint": checkpoint, "body": job.run.body}
        inputs |= feature_inputs(shard_files(job, [dataset], settings))
        job.save(job.run.predictions(variant, seed, dataset), table, tables.PREDICTIONS, inputs)


def _clips_to_predict(job: Job, dataset: str, variant: VariantSettings) -> "ClipDataset":
    """Validation and test clips: the former choose the smoothing baseline's filter."""
    from moviestrip.training.data import read_clips

    clips = selected_clips(job, [dataset], ["validation", "test"])
    return read_clips(shard_files(job, [dataset], variant), list(clips["clip_id"]), copies=False)


def _smoothed(
    job: Job,
    variant: VariantSettings,
    predictions: Mapping[str, pd.DataFrame],
    clips: "Mapping[str, ClipDataset]",
    points: "PosedPoints",
) -> dict[str, pd.DataFrame]:
    """Predictions filtered over time; a Gaussian has the width that is best on the validation clips."""
    from moviestrip.training.predict import smooth_predictions

    def smoothed(dataset: str, sigma_frames: float | None) -> pd.DataFrame:
        table, found = predictions[dataset], clips[dataset]
        return smooth_predictions(table, found, points, variant.smoothing, sigma_frames, variant.projection)

    sigma = job.settings.section(EvaluationSettings).gaussian_sigma_frames
    if variant.smoothing == "gaussian" and sigma is None:
        sigma = _best_sigma(job, list(predictions), smoothed)
    return {dataset: smoothed(dataset, sigma) for dataset in predictions}


SIGMAS_FRAMES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)


def _best_sigma(job: Job, datasets: Sequence[str], smoothed: Callable[[str, float], pd.DataFrame]) -> float:
    """The Gaussian whose PA-MPJPE is lowest on the validation clips known in 3D, as models are chosen too."""
    from moviestrip.evaluation.baselines import choose_sigma
    from moviestrip.evaluation.protocols import HMMR
    from moviestrip.evaluation.score import score_predictions

    validation = {dataset: selected_clips(job, [dataset], ["validation"]) for dataset in datasets}
    known = {dataset: clips for dataset, clips in validation.items() if (clips["supervision"] == "full_3d").any()}
    labels = {dataset: labels_of(job, dataset) for dataset in known}

    def error_mm(sigma_frames: float) -> float:
        scores = pd.concat(
            score_predictions(smoothed(name, sigma_frames), labels[name], clips, HMMR, "validation", 0)
            for name, clips in known.items()
        )
        return scores.loc[(scores["metric"] == "pa_mpjpe") & (scores["condition"] == "all"), "value"].mean()

    sigma, errors = choose_sigma(SIGMAS_FRAMES, error_mm)
    tried = ", ".join(f"{width}: {error:.1f} mm" for width, error in errors.items())
    print(f"sigma {sigma} frames, by PA-MPJPE on validation clips ({tried})", file=sys.stderr)
    return sigma
