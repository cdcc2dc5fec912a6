"""Models on videos of real people: the table of what they measure there, and pictures of what they look like."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from moviestrip import tables
from moviestrip.config import DatasetSettings, EvaluationSettings, VariantSettings
from moviestrip.stages.job import Job, labels_of, selected_clips
from moviestrip.storage import atomic_path
from moviestrip.tables import read_table

if TYPE_CHECKING:
    from moviestrip.evaluation.real_check import Known
    from moviestrip.evaluation.real_videos import Calibrated, RealVideo

WORLDS = ("wild3d",)  # roles of the miniature world's datasets whose ranking is held against the real one


def real_check(job: Job) -> None:
    """Measure every variant on the real datasets of a run, and draw a few moments of them."""
    from moviestrip.evaluation.real_check import summary, transfers
    from moviestrip.stages.real_pictures import draw_real_check

    settings, seed = job.settings.section(EvaluationSettings), job.settings.value("seed")
    datasets, variants = job.settings.datasets(), job.settings.variants()
    filmed = {name: _video(job, name, dataset) for name, dataset in datasets.items() if dataset.is_real_check}
    real = pd.concat([_values(job, video, truth, variants) for video, truth in filmed.values()], ignore_index=True)
    miniature, known = _miniature(job, datasets, list(variants))
    known = {name: _known(job, video, datasets[name]) for name, (video, _) in filmed.items()} | known
    titles = {name: variant.title for name, variant in variants.items()} | TITLES
    sure = (settings.bootstrap_samples, settings.interval_percent, seed)
    values = pd.concat([real, miniature], ignore_index=True)
    table = pd.concat(
        [summary(values, titles, known, *sure), transfers(miniature, real, known, *sure)], ignore_index=True
    )
    table = with_training_notes(table, variants)
    with atomic_path(job.run.real_check) as partial:
        table.to_csv(partial, index=False, float_format="%.6g")
    inputs = _inputs(job, filmed, variants)
    job.record(job.run.real_check, "real check", inputs)
    draw_real_check(job, filmed, table, variants)
    job.record(job.run.real_pictures, "real check", inputs)


TITLES = {"reference": "Triangulated reference"}


def _video(job: Job, name: str, settings: DatasetSettings) -> "tuple[RealVideo, Calibrated | None]":
    """A real dataset's clips in blocks; with calibrated cameras, what these make of the person."""
    from moviestrip.datasets.pose2sim import CalibratedCameras, main_people, views_of
    from moviestrip.datasets.registry import dataset_named
    from moviestrip.evaluation.real_videos import calibrated, in_blocks

    clips, labels = selected_clips(job, [name]), labels_of(job, name)
    dataset = dataset_named(name, settings)
    if not isinstance(dataset, CalibratedCameras):
        return in_blocks(name, clips, labels, {}, int(clips.groupby(["video_id", "track"]).ngroups)), None
    tracks = tables.read_tables([job.run.tracks(name, shard) for shard in job.run.shards(name)], tables.TRACKS)
    cameras = dataset.cameras()
    people = main_people(tracks, cameras)
    main = clips[[people[video].track == track for video, track in zip(clips["video_id"], clips["track"], strict=True)]]
    view_of = {clip["clip_id"]: cameras[clip["video_id"]].name for clip in main.to_dict("records")}
    scale = labels.merge(main[["clip_id", "video_id"]], on="clip_id").groupby("video_id")["box_scale"].median()
    truth = calibrated(
        [cameras[video_id] for video_id in people],
        views_of(list(people.values())),
        settings.fps,
        scale.loc[list(people)].to_numpy(np.float64),
    )
    return in_blocks(name, main, labels, view_of, 1), truth


def _values(
    job: Job, video: "RealVideo", truth: "Calibrated | None", variants: Mapping[str, VariantSettings]
) -> pd.DataFrame:
    from moviestrip.evaluation.real_videos import measure, reference_values

    found = [] if truth is None else [reference_values(video, truth)]
    for variant, settings in variants.items():
        for seed in job.settings.value("training_seeds"):
            predictions = read_table(job.run.predictions(variant, seed, video.dataset), tables.PREDICTIONS)
            found.append(measure(video, predictions, variant, seed, truth, settings.frame_stride))
    return pd.concat(found, ignore_index=True)


def _miniature(
    job: Job, datasets: Mapping[str, DatasetSettings], variants: Sequence[str]
) -> "tuple[pd.DataFrame, dict[str, Known]]":
    """What the same models measure in the miniature world, where the truth is known."""
    from moviestrip.evaluation.real_check import Known
    from moviestrip.evaluation.real_videos import VALUES, miniature_values

    found, known = [pd.DataFrame(columns=list(VALUES))], {}
    for name, dataset in datasets.items():
        if dataset.is_scored and dataset.role in WORLDS:
            paths = [job.run.scores(*key, name) for key in _models(job, variants)]
            found.append(miniature_values(tables.read_tables(paths, tables.SCORES)))
            clips = selected_clips(job, [name], ["test"])
            note = f"{dataset.title}, for comparison: this is the miniature world, and its truth is exact"
            known[name] = Known(len(clips), clips["subject"].nunique(), note)
    return pd.concat(found[1:] or found, ignore_index=True), known


def _models(job: Job, variants: Sequence[str]) -> list[tuple[str, int]]:
    return [(variant, seed) for variant in variants for seed in job.settings.value("training_seeds")]


def _known(job: Job, video: "RealVideo", dataset: DatasetSettings) -> "Known":
    from moviestrip.evaluation.real_check import Known

    people = f"{video.people} {'person' if video.people == 1 else 'people'}"
    seconds = video.labels["video_frame"].nunique() / dataset.fps
    return Known(video.cut_from, video.people, f"{people}, {seconds:.1f} s of video at {dataset.fps:g} frames a second")


def with_training_notes(table: pd.DataFrame, variants: Mapping[str, VariantSettings]) -> pd.DataFrame:
    """The table, with a word where a model was trained on the very video it is looked at on."""

    def trained_on(dataset: str, variant: str) -> bool:
        settings = variants.get(variant)
        weights = variants.get(settings.weights_of) if settings is not None and settings.weights_of else settings
        return weights is not None and dataset in weights.datasets

    seen = [trained_on(*key) for key in zip(table["dataset"], table["variant"], strict=True)]
    word = "; the detector's keypoints of this very video were among its training data"
    return table.assign(note=[note + word * own for note, own in zip(table["note"], seen, strict=True)])


def _inputs(job: Job, filmed: Mapping[str, object], variants: Mapping[str, VariantSettings]) -> dict:
    inputs = {"body": job.run.body}
    for name in filmed:
        inputs |= {f"labels:{shard}": job.run.labels(name, shard) for shard in job.run.shards(name)}
        for variant, seed in _models(job, list(variants)):
            inputs[f"predictions:{variant}/{seed}/{name}"] = job.run.predictions(variant, seed, name)
    return inputs
