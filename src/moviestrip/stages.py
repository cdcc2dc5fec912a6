"""One function a stage: read its tables, call the library, write what came out with its provenance.

Nothing here computes; the floors below do. Paths come from the run's layout and settings from the keys the
workflow handed over, so that a stage cannot read what its rule does not declare.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from moviestrip import tables
from moviestrip.config import (
    BodySettings,
    CurationSettings,
    DatasetSettings,
    DetectorSettings,
    FeatureSettings,
    RenderedSource,
    TrackingSettings,
)
from moviestrip.datasets.plan import read_shard
from moviestrip.layout import RunFolder
from moviestrip.parts import cache_folder
from moviestrip.provenance import write_provenance
from moviestrip.settings import StageSettings
from moviestrip.storage import atomic_directory, write_features, write_json
from moviestrip.tables import TableSchema, read_table, write_table

if TYPE_CHECKING:
    from moviestrip.body.load import Body
    from moviestrip.datasets.base import Dataset


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

        rows = {row["video_id"]: row for row in videos.to_dict("records")}
        open_video = frames_of(self.run.root)
        return lambda video_id: open_video(rows[video_id])

    def dataset(self, name: str) -> "Dataset":
        from moviestrip.datasets.registry import dataset_named

        return dataset_named(name, self.settings.section(DatasetSettings))

    def body(self) -> "Body":
        from moviestrip.body.load import load_body

        return load_body(self.settings.section(BodySettings), cache_folder())


def body(job: Job) -> None:
    """Build or find the body once, and write down which one it is."""
    found = job.body()
    job.settings.value("seed")
    write_json(job.run.body, {"name": found.name, "sha256": found.digest, "vertices": found.n_vertices})
    job.record(job.run.body, "body", {})


def motions(job: Job) -> None:
    """Collect every motion source: recorded clips and procedural families."""
    from moviestrip.world.motions import RestSkeleton, motion_library, motions_to_table

    rest = RestSkeleton.from_body(job.body())
    library = motion_library(rest, job.settings.value("seed"), cache_folder())
    job.save(job.run.motions, motions_to_table(library), tables.MOTIONS, {"body": job.run.body})


def render(job: Job, dataset: str, shard: str) -> None:
    """Make the shard's videos and write down the truth of every person in them."""
    from moviestrip.world.motions import motions_from_table
    from moviestrip.world.plan import VideoSpec
    from moviestrip.world.render import render_videos

    library = motions_from_table(read_table(job.run.motions, tables.MOTIONS))
    specs = [VideoSpec.model_validate(video) for video in read_shard(job.run, dataset, shard)["videos"]]
    folder = job.run.rendered(dataset, shard)
    with atomic_directory(folder) as partial:
        truth = render_videos(specs, library, job.body(), partial)
        write_table(partial / "truth.parquet", truth, tables.TRUTH)
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

    source = job.settings.section(DatasetSettings).source
    people = source.people if isinstance(source, RenderedSource) else 1
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


def features(job: Job, dataset: str, shard: str) -> None:
    """Compute phi for every frame of the clips that are used."""
    from moviestrip.features.backbones import load_backbone
    from moviestrip.features.extraction import extract_shard

    settings, seed = job.settings.section(FeatureSettings), job.settings.value("seed")
    clips, inputs = _selected_in_shard(job, dataset, shard)
    inputs |= {"videos": job.run.videos(dataset, shard), "labels": job.run.labels(dataset, shard)}
    backbone = load_backbone(settings.backbone, settings.checkpoint, seed)
    phi, index, crops = extract_shard(
        job.frames_of(read_table(inputs["videos"], tables.VIDEOS)),
        clips,
        read_table(inputs["labels"], tables.LABELS),
        backbone,
        settings,
        seed,
    )
    attributes = {"backbone": backbone.name, "dimension": backbone.dimension, "backbone_sha256": backbone.digest}
    write_features(job.run.features(dataset, shard), phi, attributes)
    job.record(job.run.features(dataset, shard), "features", inputs)
    job.save(job.run.feature_index(dataset, shard), index, tables.FEATURE_INDEX, inputs)
    job.save(job.run.crops(dataset, shard), crops, tables.CROPS, inputs)
