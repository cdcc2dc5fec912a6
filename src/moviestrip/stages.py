"""One function a stage: read its tables, call the library, write what came out with its provenance.

Nothing here computes; the floors below do. Paths come from the run's layout and settings from the keys the
workflow handed over, so that a stage cannot read what its rule does not declare.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from moviestrip import tables
from moviestrip.config import (
    BodySettings,
    ComputeSettings,
    CurationSettings,
    DatasetSettings,
    DetectorSettings,
    EvaluationSettings,
    FeatureSettings,
    MotionPriorSettings,
    MotionSettings,
    RenderedSource,
    ReportSettings,
    ScaleSettings,
    TrackingSettings,
    VariantSettings,
)
from moviestrip.datasets.plan import read_shard
from moviestrip.errors import ConfigError, StorageError
from moviestrip.layout import RunFolder
from moviestrip.parts import cache_folder
from moviestrip.provenance import write_provenance
from moviestrip.settings import StageSettings
from moviestrip.storage import atomic_directory, atomic_path, write_features, write_json, write_text
from moviestrip.tables import TableSchema, read_table, write_table

if TYPE_CHECKING:
    import torch

    from moviestrip.body.load import Body
    from moviestrip.body.points import PosedPoints
    from moviestrip.datasets.base import Dataset
    from moviestrip.datasets.check import DatasetReport
    from moviestrip.papers.worlds import Setting
    from moviestrip.training.data import ClipDataset, ShardFiles, TrainingData
    from moviestrip.training.motions import RealMotions
    from moviestrip.world.kinematics import RestSkeleton


@dataclass(frozen=True)
class Job:
    """A run's folder and the settings handed to one stage of it."""

    run: RunFolder
    settings: StageSettings

    def save(self, path: Path, frame: pd.DataFrame, schema: TableSchema, inputs: Mapping[str, Path]) -> None:
        write_table(path, frame, schema)
        self.record(path, schema.name, inputs)

    def record(self, path: Path, stage: str, inputs: Mapping[str, Path]) -> None:
        write_provenance(path, stage, inputs, self.settings.read)

    def frames_of(self, videos: pd.DataFrame) -> Callable[[str], Iterator]:
        """From a video's id to its decoded frames."""
        from moviestrip.video.fetch import frames_of

        rows = videos.set_index("video_id", drop=False)
        open_video = frames_of(self.run.root)
        return lambda video_id: open_video({str(key): value for key, value in rows.loc[video_id].items()})

    def dataset(self, name: str) -> "Dataset":
        from moviestrip.datasets.registry import dataset_named

        return dataset_named(name, self.settings.section(DatasetSettings))

    def datasets_of(self, variant: VariantSettings) -> list[str]:
        """What a variant learns from: the datasets it names, or all that have training videos."""
        known = self.settings.datasets() if not variant.datasets else {}
        return list(variant.datasets) or [name for name, dataset in known.items() if dataset.is_trained_on]

    def backbone_of(self, variant: VariantSettings) -> str:
        """The backbone whose features a variant reads."""
        return variant.backbone or self.settings.section(FeatureSettings).backbone

    def scored_datasets(self) -> list[str]:
        return [name for name, dataset in self.settings.datasets().items() if dataset.is_scored]

    def body(self) -> "Body":
        from moviestrip.body.load import load_body

        return load_body(self.settings.section(BodySettings), cache_folder())


def body(job: Job) -> None:
    """Build or find the body once, and write down which one it is."""
    found = job.body()
    job.settings.value("seed")
    write_json(job.run.body, {"name": found.name, "sha256": found.digest, "vertices": found.n_vertices})
    job.record(job.run.body, "body", {})


def _rest_skeleton(body: "Body") -> "RestSkeleton":
    from moviestrip.world.kinematics import RestSkeleton

    _, joints = body.forward(np.zeros(72, np.float32), np.zeros(10, np.float32))
    return RestSkeleton(joints.astype(np.float64), tuple(body.parents))


def motions(job: Job) -> None:
    """Collect every motion source: recorded clips and procedural families."""
    from moviestrip.world.motions import motion_library, motions_to_table

    cmu_folder = job.settings.section(MotionSettings).cmu_folder
    library = motion_library(_rest_skeleton(job.body()), job.settings.value("seed"), cmu_folder)
    job.save(job.run.motions, motions_to_table(library), tables.MOTIONS, {"body": job.run.body})


def render(job: Job, dataset: str, shard: str) -> None:
    """Make the shard's videos and write down the truth of every person in them."""
    from moviestrip.progress import track
    from moviestrip.world.motions import motions_from_table
    from moviestrip.world.plan import VideoSpec
    from moviestrip.world.render import render_video

    body = job.body()
    library = motions_from_table(read_table(job.run.motions, tables.MOTIONS), _rest_skeleton(body))
    specs = [VideoSpec.model_validate(video) for video in read_shard(job.run, dataset, shard)["videos"]]
    folder = job.run.rendered(dataset, shard)
    with atomic_directory(folder) as partial:
        truth = [
            render_video(spec, library, body, partial / f"{spec.video_id}.mp4")
            for spec in track(specs, f"render {shard}")
        ]
        write_table(partial / "truth.parquet", pd.concat(truth, ignore_index=True), tables.TRUTH)
    inputs = {"plan": job.run.plan(dataset, shard), "body": job.run.body, "motions": job.run.motions}
    job.record(folder, "render", inputs)


def fetch(job: Job, dataset: str, shard: str) -> pd.DataFrame:
    """Bring in the shard's videos and check every frame of them."""
    source = job.dataset(dataset)
    videos = source.videos(shard, read_shard(job.run, dataset, shard)["videos"], job.run.root)
    inputs = {"plan": job.run.plan(dataset, shard)}
    if isinstance(source.settings.source, RenderedSource):
        inputs["rendered"] = job.run.rendered(dataset, shard)
    job.save(job.run.videos(dataset, shard), videos, tables.VIDEOS, inputs)
    return videos


def detect(job: Job, dataset: str, shard: str) -> None:
    """Run the 2D pose detector over the shard."""
    from moviestrip.pose.openpose import detect_shard

    people = job.settings.section(DatasetSettings).source.people
    path = job.run.videos(dataset, shard)
    videos = read_table(path, tables.VIDEOS)
    detections = detect_shard(videos, job.frames_of(videos), job.settings.section(DetectorSettings), people)
    job.save(job.run.detections(dataset, shard), detections, tables.DETECTIONS, {"videos": path})


def track(job: Job, dataset: str, shard: str) -> None:
    """Link detections into people."""
    from moviestrip.tracking.trackers import track_shard

    path = job.run.detections(dataset, shard)
    tracks = track_shard(read_table(path, tables.DETECTIONS), job.settings.section(TrackingSettings))
    job.save(job.run.tracks(dataset, shard), tracks, tables.TRACKS, {"detections": path})


def _people(job: Job, dataset: str, shard: str) -> tuple[pd.DataFrame, dict[str, Path]]:
    """What says where people are, and the input it came from: annotation or tracks."""
    if job.settings.section(DatasetSettings).tube == "truth":
        rendered = job.run.rendered(dataset, shard)
        return read_table(rendered / "truth.parquet", tables.TRUTH), {"rendered": rendered}
    path = job.run.tracks(dataset, shard)
    return read_table(path, tables.TRACKS), {"tracks": path}


def curate(job: Job, dataset: str, shard: str) -> None:
    """Cut candidate clips and write what every filter says of them."""
    people, inputs = _people(job, dataset, shard)
    inputs["videos"] = job.run.videos(dataset, shard)
    videos = read_table(inputs["videos"], tables.VIDEOS)
    clips, attributes = job.dataset(dataset).clips(videos, people, job.settings.section(CurationSettings))
    job.save(job.run.clips(dataset, shard), clips, tables.CLIPS, inputs)
    job.save(job.run.attributes(dataset, shard), attributes, tables.ATTRIBUTES, inputs)


def selected_clips(job: Job, datasets: Sequence[str], splits: Sequence[str] | None = None) -> pd.DataFrame:
    """Clips of some datasets that passed every filter, sorted by id, so that no result depends on the sharding."""
    from moviestrip.curate.clips import selected

    shards = [(dataset, shard) for dataset in datasets for shard in job.run.shards(dataset)]
    clips = tables.read_tables([job.run.clips(*shard) for shard in shards], tables.CLIPS)
    attributes = tables.read_tables([job.run.attributes(*shard) for shard in shards], tables.ATTRIBUTES)
    chosen = selected(clips, attributes)
    if splits is not None:
        chosen = chosen[chosen["split"].isin(splits)]
    return chosen.sort_values("clip_id", ignore_index=True)


def _selected_in_shard(job: Job, dataset: str, shard: str) -> tuple[pd.DataFrame, dict[str, Path]]:
    from moviestrip.curate.clips import selected

    inputs = {"clips": job.run.clips(dataset, shard), "attributes": job.run.attributes(dataset, shard)}
    clips = selected(read_table(inputs["clips"], tables.CLIPS), read_table(inputs["attributes"], tables.ATTRIBUTES))
    return clips, inputs


def label(job: Job, dataset: str, shard: str) -> None:
    """Write the labels of every frame of the clips that are used."""
    people, inputs = _people(job, dataset, shard)
    clips, clip_inputs = _selected_in_shard(job, dataset, shard)
    labels = job.dataset(dataset).labels(clips, people, job.settings.section(CurationSettings))
    job.save(job.run.labels(dataset, shard), labels, tables.LABELS, inputs | clip_inputs)


def features(job: Job, dataset: str, shard: str, occluded: bool = False) -> None:
    """Compute phi for every frame of the clips that are used, or of occluded copies of those to train on."""
    from moviestrip.features.backbones import load_backbone
    from moviestrip.features.extraction import extract_occluded, extract_shard
    from moviestrip.features.occlusion import occluders_of

    settings, seed = job.settings.section(FeatureSettings), job.settings.value("seed")
    clips, inputs = _selected_in_shard(job, dataset, shard)
    inputs |= {"videos": job.run.videos(dataset, shard), "labels": job.run.labels(dataset, shard)}
    backbone = load_backbone(settings.backbone, settings.checkpoint, seed)
    frames_of = job.frames_of(read_table(inputs["videos"], tables.VIDEOS))
    labels = read_table(inputs["labels"], tables.LABELS)
    if occluded:
        inputs |= {"occluders": settings.occluder_folder} if settings.occluder_folder else {}
        occluders = occluders_of(settings, seed)
        phi, index, crops = extract_occluded(frames_of, clips, labels, backbone, settings, occluders, seed)
    else:
        phi, index, crops = extract_shard(frames_of, clips, labels, backbone, settings, seed)
    attributes = {"backbone": backbone.name, "dimension": backbone.dimension, "backbone_sha256": backbone.digest}
    files = job.run.features(backbone.name, dataset, shard, occluded)
    write_features(files.phi, phi, attributes)
    job.record(files.phi, "features", inputs)
    job.save(files.index, index, tables.FEATURE_INDEX, inputs)
    job.save(files.crops, crops, tables.CROPS, inputs)


def _shard_files(job: Job, datasets: Sequence[str], variant: VariantSettings) -> "list[ShardFiles]":
    """The features a variant reads of some datasets, with their labels."""
    return _files_of(job, datasets, job.backbone_of(variant))


def _learning_files(job: Job, datasets: Sequence[str], variant: VariantSettings) -> "list[ShardFiles]":
    """As `_shard_files`, and the occluded copies where the variant learns from them."""
    files = _shard_files(job, datasets, variant)
    return files + (_files_of(job, datasets, job.backbone_of(variant), True) if variant.occluded_copies else [])


def _files_of(job: Job, datasets: Sequence[str], backbone: str, occluded: bool = False) -> "list[ShardFiles]":
    from moviestrip.training.data import ShardFiles

    shards = [(dataset, shard) for dataset in datasets for shard in job.run.shards(dataset)]
    found = [(job.run.features(backbone, *shard, occluded), job.run.labels(*shard)) for shard in shards]
    return [ShardFiles(features.phi, features.index, features.crops, labels) for features, labels in found]


def _feature_inputs(files: "Sequence[ShardFiles]") -> dict[str, Path]:
    """Inputs by kind and shard, as provenance lists them."""
    features = {f"features:{shard.features.stem}": shard.features for shard in files}
    return features | {f"labels:{shard.labels.stem}": shard.labels for shard in files}


def _keypoints_of(body: "Body") -> "PosedPoints":
    from moviestrip.body.points import PosedPoints, keypoint_regressor

    return PosedPoints(body, keypoint_regressor(body))


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
    train_motion_prior(settings, design, name, run_seed, training, validation, _keypoints_of(body), folder)
    inputs = {"body": job.run.body, "motions": job.run.motions}
    job.record(job.run.checkpoint(name, seed), "motion prior", inputs)
    job.record(job.run.training_log(name, seed), "motion prior", inputs)
    _score_motion_prior(job, name, seed, settings.frames, training, body)
    inputs["checkpoint"] = job.run.checkpoint(name, seed)
    job.record(job.run.reconstruction(name, seed), "motion prior", inputs)


def _score_motion_prior(job: Job, name: str, seed: int, frames: int, training: "RealMotions", body: "Body") -> None:
    """Per-vertex error on test motions beside that of the mean pose, each with its interval over motions."""
    from moviestrip.evaluation.statistics import interval
    from moviestrip.training.motion_prior import mean_pose, read_motion_prior, reconstruction_errors
    from moviestrip.training.motions import read_motions

    evaluation = job.settings.section(EvaluationSettings)
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
    columns = ["name", "split", "motions", "frames", "pve_mm", "low", "high"]
    with atomic_path(job.run.reconstruction(name, seed)) as partial:
        pd.DataFrame(rows, columns=columns).to_csv(partial, index=False, float_format="%.3f")


def train(job: Job, variant: str, seed: int, datasets: Sequence[str] | None = None) -> None:
    """Train one variant on the training clips of some datasets; validation clips choose the best step."""
    from moviestrip.training.compute import start_compute
    from moviestrip.training.loop import Training, train_variant
    from moviestrip.training.motion_prior import read_motion_prior
    from moviestrip.training.motions import read_motions

    settings, scale = job.settings.section(VariantSettings), job.settings.section(ScaleSettings)
    datasets = datasets or job.datasets_of(settings)
    files = _learning_files(job, datasets, settings)
    inputs = {"body": job.run.body} | _feature_inputs(files)
    start = real_motions = prior = None
    if settings.start_from:
        start = inputs["start"] = job.run.checkpoint(settings.start_from, seed)
    if settings.motion_discriminator:
        inputs["motions"] = job.run.motions
        real_motions = read_motions(job.run.motions, "train")
    if settings.motion_prior:
        inputs["motion_prior"] = job.run.checkpoint(settings.motion_prior, seed)
        prior = read_motion_prior(inputs["motion_prior"])
    data, points = _training_data(job, datasets, files, settings), _keypoints_of(job.body())
    with start_compute(job.settings.section(ComputeSettings)) as compute:
        training = Training(settings, scale, data, points, real_motions, prior, compute)
        train_variant(training, variant, job.settings.value("seed") + seed, job.run.model(variant, seed), start)
        if compute.writes:
            job.record(job.run.checkpoint(variant, seed), "train", inputs)
            job.record(job.run.training_log(variant, seed), "train", inputs)


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


def _clips_to_predict(job: Job, dataset: str, variant: VariantSettings) -> "ClipDataset":
    """Validation and test clips: the former choose the smoothing baseline's filter."""
    from moviestrip.training.data import read_clips

    clips = selected_clips(job, [dataset], ["validation", "test"])
    return read_clips(_shard_files(job, [dataset], variant), list(clips["clip_id"]), copies=False)


def predict(job: Job, variant: str, seed: int, datasets: Sequence[str] | None = None) -> None:
    """Run a variant over the validation and test clips of some datasets, and smooth what it says if it asks for that.

    A variant of another's weights differs from it in what is read from them or in what is done afterwards.
    """
    from moviestrip.training.compute import device_named
    from moviestrip.training.predict import predict_clips

    settings = job.settings.section(VariantSettings)
    datasets = datasets or job.scored_datasets()
    checkpoint, points = job.run.checkpoint(settings.weights_of or variant, seed), _keypoints_of(job.body())
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
        inputs |= _feature_inputs(_shard_files(job, [dataset], settings))
        job.save(job.run.predictions(variant, seed, dataset), table, tables.PREDICTIONS, inputs)


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
    labels = {dataset: _labels(job, dataset) for dataset in known}

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


def _labels(job: Job, dataset: str) -> pd.DataFrame:
    return tables.read_tables([job.run.labels(dataset, shard) for shard in job.run.shards(dataset)], tables.LABELS)


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
        predictions, labels = read_table(path, tables.PREDICTIONS), _labels(job, dataset)
        scores = score_under(protocols, predictions, labels, clips, variant, seed, body, meshes, stride)
        inputs = {"predictions": path, "body": job.run.body} | {
            f"labels:{shard}": job.run.labels(dataset, shard) for shard in job.run.shards(dataset)
        }
        job.save(job.run.scores(variant, seed, dataset), scores, tables.SCORES, inputs)


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

    points = _keypoints_of(job.body())
    if row == "oracle-nn":
        return _oracle_forecasts(job, dataset, points)
    if row == "constant-hallucinated":
        return _held_forecasts(job, row, seed, dataset)
    settings = job.settings.section(VariantSettings)
    device = device_named(job.settings.section(ComputeSettings).device)
    (behind,) = _variant_behind(row)
    checkpoint, files = job.run.checkpoint(settings.weights_of or behind, seed), _shard_files(job, [dataset], settings)
    inputs = {"checkpoint": checkpoint} | _feature_inputs(files)
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
        forecasts, labels = read_table(path, tables.FORECASTS), _labels(job, dataset)
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


def table(job: Job, name: str) -> None:
    """Write one of the papers' tables beside this run's numbers."""
    from moviestrip.papers.render import render_table
    from moviestrip.papers.table import build_table, counts_data, dataset_statistics
    from moviestrip.papers.worlds import Setting

    setting = Setting.of(job.settings.config())
    paper, number = name.rsplit("-", 1)
    scores = statistics = None
    if counts_data(paper, number):
        datasets = job.settings.datasets()
        statistics = dataset_statistics(selected_clips(job, list(datasets)), datasets)
        shards = [(dataset, shard) for dataset in datasets for shard in job.run.shards(dataset)]
        inputs = {f"clips:{shard}": job.run.clips(dataset, shard) for dataset, shard in shards}
    else:
        inputs = _score_files(job, setting.variants, setting.seeds) | _forecast_score_files(job, name, setting)
        scores = tables.read_tables(inputs.values(), tables.SCORES)
    cells = build_table(paper, number, scores, statistics, setting)
    for suffix, text in render_table(cells, setting).items():
        write_text(job.run.table(name, suffix), text)
        job.record(job.run.table(name, suffix), "table", inputs)


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


CELL_TEXTS = {"table": str, "horizon": str, "dtw": str}  # as they are printed, not as pandas would read them


def claims(job: Job) -> None:
    """Judge the papers' claims on the printed numbers and on this run's tables, by the scores behind them."""
    from moviestrip.papers.claims import judge_claims
    from moviestrip.papers.resamples import Resamples
    from moviestrip.papers.table import counts_data
    from moviestrip.papers.worlds import Setting

    setting = Setting.of(job.settings.config())
    names = job.settings.value("tables")
    paths = {f"table:{name}": job.run.table(name) for name in names}
    finished = [pd.read_csv(path, dtype=CELL_TEXTS, keep_default_na=False) for path in paths.values()]
    scores: dict[str, Path] = {}
    for name in [name for name in names if not counts_data(*name.rsplit("-", 1))]:
        scores |= _score_files(job, setting.variants, setting.seeds) | _forecast_score_files(job, name, setting)
    resamples = Resamples(tables.read_tables(scores.values(), tables.SCORES), setting) if scores else None
    with atomic_path(job.run.table("claims")) as partial:
        ledger = judge_claims(pd.concat(finished, ignore_index=True), resamples, setting.interval_percent)
        ledger.to_csv(partial, index=False, float_format="%.6g")
    job.record(job.run.table("claims"), "claims", paths | scores)


def ledger(run: RunFolder) -> pd.DataFrame:
    """The finished ledger of claims, blank texts as blanks."""
    from moviestrip.papers.claims import ENDS

    path = run.table("claims")
    if not path.is_file():
        raise ConfigError(f"{path}: not made yet; run `snakemake --cores 2 {path}`")
    found = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [name for name in ENDS if name not in found]
    if missing:
        raise StorageError(f"{path}: lacks the columns {missing}; an older version made it: make the claims again")
    return found.assign(**{name: pd.to_numeric(found[name]) for name in ENDS})


def check(job: Job, dataset: str) -> "DatasetReport":
    """Hold a dataset's tables against each other, and draw its contact sheet."""
    from moviestrip.datasets.check import check_dataset

    contact_sheet(job, dataset)
    return check_dataset(dataset, job.run)


def overlays(job: Job, datasets: Sequence[str] | None = None) -> None:
    """Render the same few test clips for every variant."""
    from moviestrip.figures.overlay_clips import render_overlays

    datasets = datasets or job.scored_datasets()
    variants, seed = job.settings.value("variants"), job.settings.value("training_seeds")[0]
    count = job.settings.section(ReportSettings).overlay_clips
    render_overlays(job.run, datasets, variants, seed, job.body(), count)
    inputs = {
        f"predictions:{variant}/{dataset}": job.run.predictions(variant, seed, dataset)
        for variant in variants
        for dataset in datasets
    }
    job.record(job.run.figures / "overlays", "overlays", inputs)


def contact_sheet(job: Job, dataset: str) -> Path:
    """Draw labelled frames of a dataset's clips."""
    from moviestrip.figures.contact_sheet import run_sheet, write_picture

    path = job.run.figures / "datasets" / f"{dataset}.png"
    write_picture(path, run_sheet(job.run, dataset))
    shards = job.run.shards(dataset)
    job.record(path, "contact sheet", {f"labels:{shard}": job.run.labels(dataset, shard) for shard in shards})
    return path


def report(job: Job) -> None:
    """Write the report: one self-contained page."""
    from moviestrip.report.build import build_report

    config = job.settings.config()
    build_report(job.run.root, config, job.settings.datasets(), job.settings.variants())
    inputs = {f"table:{name}": job.run.table(name, "html") for name in config.tables}
    job.record(job.run.report, "report", inputs | {"overlays": job.run.figures / "overlays"})
