"""Frames that were not shown: forecasts, dynamics around a frame, the baselines', and their scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from moviestrip import tables
from moviestrip.config import ComputeSettings, EvaluationSettings, VariantSettings
from moviestrip.errors import ConfigError
from moviestrip.stages.job import Job, feature_inputs, keypoints_of, labels_of, selected_clips, shard_files
from moviestrip.tables import read_table

if TYPE_CHECKING:
    import torch

    from moviestrip.body.points import PosedPoints
    from moviestrip.training.data import ClipDataset, ShardFiles


def forecast(job: Job, row: str, seed: int, datasets: Sequence[str] | None = None) -> None:
    """What a variant or a baseline says of the frames after others, or around them, in the test clips of some datasets.

    The settings of a baseline are those of the variant whose estimates it repeats or searches with.
    """
    from moviestrip.papers.forecasts import forecast_every_frames

    world = job.settings.value("world")
    for dataset in datasets or _forecast_datasets(job, row):
        table, inputs = _forecasts(job, row, seed, dataset, forecast_every_frames(world, dataset))
        job.save(job.run.forecasts(row, seed, dataset), table, tables.FORECASTS, {"body": job.run.body} | inputs)


def _forecast_datasets(job: Job, row: str) -> list[str]:
    """Datasets of this run for which a table prints forecasts of a row."""
    from moviestrip.papers.forecasts import FORECAST_TABLES, forecasts_of

    world, known, behind = job.settings.value("world"), job.settings.value("datasets"), _variant_behind(row)
    printed = [dataset for name, _, dataset in forecasts_of(FORECAST_TABLES, world, known, behind, (0,)) if name == row]
    if not printed:
        raise ConfigError(f"no table prints forecasts of '{row}' on {', '.join(known)}; name datasets with --dataset")
    return printed


def _variant_behind(row: str) -> tuple[str, ...]:
    """The variant whose estimates make a row: itself, a baseline's source, or none."""
    from moviestrip.papers.worlds import BASELINES

    source = BASELINES.get(row, row)
    return () if source is None else (source,)


def _forecasts(job: Job, row: str, seed: int, dataset: str, every_frames: int) -> tuple[pd.DataFrame, dict[str, Path]]:
    """FORECASTS of a row on a dataset, and the files they come from."""
    from moviestrip.training.compute import device_named
    from moviestrip.training.predict import dynamics_clips, forecast_clips

    points = keypoints_of(job.body())
    if row == "oracle-nn":
        return _oracle_forecasts(job, dataset, points)
    if row == "constant-hallucinated":
        return _held_forecasts(job, row, seed, dataset)
    settings = job.settings.section(VariantSettings)
    device = device_named(job.settings.section(ComputeSettings).device)
    (behind,) = _variant_behind(row)
    checkpoint, files = job.run.checkpoint(settings.weights_of or behind, seed), shard_files(job, [dataset], settings)
    inputs = {"checkpoint": checkpoint} | feature_inputs(files)
    clips = _clips_of(job, dataset, "test", files)
    if row in ("constant", "nearest-neighbour"):
        training = _clips_of(job, dataset, "train", files) if row == "nearest-neighbour" else None
        return _similar_forecasts(checkpoint, clips, training, points, device, every_frames), inputs
    if settings.autoregressor != "none":
        return forecast_clips(checkpoint, clips, points.to(device), every_frames=every_frames, device=device), inputs
    if settings.reads == "hallucination":
        return dynamics_clips(checkpoint, clips, points.to(device), device=device), inputs
    raise ConfigError(
        f"variant '{row}' does not forecast: it has no `autoregressor` and does not read its hallucination"
    )


def _clips_of(job: Job, dataset: str, split: str, files: "Sequence[ShardFiles]") -> "ClipDataset":
    from moviestrip.training.data import read_clips

    return read_clips(files, list(selected_clips(job, [dataset], [split])["clip_id"]), copies=False)


def _similar_forecasts(
    checkpoint: Path,
    clips: "ClipDataset",
    training: "ClipDataset | None",
    points: "PosedPoints",
    device: "torch.device",
    every_frames: int,
) -> pd.DataFrame:
    """PHD's baselines: the last estimate held, or with training clips what followed the most similar one."""
    from moviestrip.evaluation.baselines import nearest_forecasts, require_causal, still_forecasts
    from moviestrip.training.predict import checkpoint_for, estimate

    trained = checkpoint_for(checkpoint, clips)
    require_causal(trained.design, checkpoint)
    model = trained.model().to(device)
    estimates = estimate(model, clips, points.to(device))
    if training is None:
        return still_forecasts(estimates, clips, every_frames=every_frames)
    known = estimate(model, training, points)
    return nearest_forecasts(estimates, clips, known, training, points.to("cpu"), every_frames=every_frames)


def _held_forecasts(job: Job, row: str, seed: int, dataset: str) -> tuple[pd.DataFrame, dict[str, Path]]:
    """HMMR's constant baseline, from the forecasts of the model whose present it repeats."""
    from moviestrip.evaluation.baselines import held_still

    (behind,) = _variant_behind(row)
    path = job.run.forecasts(behind, seed, dataset)
    return held_still(read_table(path, tables.FORECASTS)), {"forecasts": path}


def _oracle_forecasts(job: Job, dataset: str, points: "PosedPoints") -> tuple[pd.DataFrame, dict[str, Path]]:
    """HMMR's oracle baseline, from the labels alone."""
    from moviestrip.evaluation.baselines import oracle_forecasts, read_truth

    paths = {f"labels:{shard}": job.run.labels(dataset, shard) for shard in job.run.shards(dataset)}
    labels = tables.read_tables(paths.values(), tables.LABELS)
    test, train = (
        read_truth(labels, list(selected_clips(job, [dataset], [split])["clip_id"]), points)
        for split in ("test", "train")
    )
    return oracle_forecasts(test, train), paths


def evaluate_forecasts(job: Job, row: str, seed: int, datasets: Sequence[str] | None = None) -> None:
    """Score what `forecast` made, with and without dynamic time warping, under every protocol that a table needs."""
    from moviestrip.evaluation.dtw import DtwOptions
    from moviestrip.evaluation.forecasts import score_forecasts
    from moviestrip.papers.forecasts import forecast_protocols

    evaluation, world = job.settings.section(EvaluationSettings), job.settings.value("world")
    for dataset in datasets or _forecast_datasets(job, row):
        path = job.run.forecasts(row, seed, dataset)
        forecasts, labels = read_table(path, tables.FORECASTS), labels_of(job, dataset)
        clips = selected_clips(job, [dataset], ["test"])
        scores = [
            score_forecasts(forecasts, labels, clips, protocol, row, seed, DtwOptions.of(evaluation.dtw))
            for protocol in forecast_protocols(row, dataset, world, evaluation.protocol)
        ]
        inputs = {"forecasts": path} | {
            f"labels:{shard}": job.run.labels(dataset, shard) for shard in job.run.shards(dataset)
        }
        table = pd.concat(scores, ignore_index=True)
        job.save(job.run.forecast_scores(row, seed, dataset), table, tables.SCORES, inputs)
