"""What variants say of the clips they are scored on."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from moviestrip import tables
from moviestrip.config import ComputeSettings, EvaluationSettings, SmoothingMetric, VariantSettings
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
    from moviestrip.training.smoothing import Filter


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
    """Validation and test clips: the former choose the smoothing baseline's filter. All, where none are held out."""
    from moviestrip.training.data import read_clips

    clips = selected_clips(job, [dataset])
    held_out = clips[clips["split"] != "train"]
    clips = held_out if len(held_out) else clips
    return read_clips(shard_files(job, [dataset], variant), list(clips["clip_id"]), copies=False)


def _smoothed(
    job: Job,
    variant: VariantSettings,
    predictions: Mapping[str, pd.DataFrame],
    clips: "Mapping[str, ClipDataset]",
    points: "PosedPoints",
) -> dict[str, pd.DataFrame]:
    """Predictions filtered over time, by the filter of the variant's kind that is best on the validation clips."""
    from moviestrip.evaluation.baselines import smoothing_candidates
    from moviestrip.training.predict import smooth_predictions

    settings = job.settings.section(EvaluationSettings)
    candidates = smoothing_candidates(variant.smoothing, settings)
    if len(candidates) > 1:
        candidates = [_best_filter(job, variant, candidates, predictions, points, settings.smoothing_metric)]
    rates = _frame_rates(selected_clips(job, list(predictions)))
    return {
        dataset: smooth_predictions(table, clips[dataset], points, candidates[0], rates, variant.projection)
        for dataset, table in predictions.items()
    }


def _best_filter(
    job: Job,
    variant: VariantSettings,
    candidates: "Sequence[Filter]",
    predictions: Mapping[str, pd.DataFrame],
    points: "PosedPoints",
    metric: SmoothingMetric,
) -> "Filter":
    """The filter with the lowest error on the validation clips known in 3D."""
    from moviestrip.evaluation.baselines import choose_filter, validation_error
    from moviestrip.training.data import read_clips
    from moviestrip.training.predict import smooth_predictions

    known = validation_clips(job, list(predictions))
    rates = _frame_rates(pd.concat(known.values())) if known else {}
    labels = {dataset: labels_of(job, dataset) for dataset in known}
    said = {
        dataset: table[table["clip_id"].isin(known[dataset]["clip_id"])].reset_index(drop=True)
        for dataset, table in predictions.items()
        if dataset in known
    }
    held = {
        dataset: read_clips(shard_files(job, [dataset], variant), list(chosen["clip_id"]), copies=False)
        for dataset, chosen in known.items()
    }

    def error_of(candidate: "Filter") -> float:
        smoothed = {
            dataset: smooth_predictions(table, held[dataset], points, candidate, rates, variant.projection)
            for dataset, table in said.items()
        }
        return validation_error(smoothed, labels, known, metric)

    best, errors = choose_filter(candidates, error_of)
    tried = "; ".join(f"{candidate}: {error:.2f}" for candidate, error in errors.items())
    print(f"chosen by {metric} on validation clips: {best} (tried {tried})", file=sys.stderr)
    return best


def validation_clips(job: Job, datasets: Sequence[str]) -> dict[str, pd.DataFrame]:
    """CLIPS that choose a filter: the validation clips known in 3D, of the datasets that have some."""
    chosen = {dataset: selected_clips(job, [dataset], ["validation"]) for dataset in datasets}
    known = {dataset: clips[clips["supervision"] == "full_3d"] for dataset, clips in chosen.items()}
    return {dataset: clips.reset_index(drop=True) for dataset, clips in known.items() if len(clips)}


def _frame_rates(clips: pd.DataFrame) -> dict[str, float]:
    return dict(zip(clips["clip_id"], clips["fps"], strict=True))
