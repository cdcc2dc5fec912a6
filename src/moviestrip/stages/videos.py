"""Videos, the people detected in them, and their tracks."""

import pandas as pd

from moviestrip import tables
from moviestrip.config import DatasetSettings, DetectorSettings, RenderedSource, TrackingSettings
from moviestrip.datasets.plan import read_shard
from moviestrip.stages.job import Job
from moviestrip.tables import read_table


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
    settings = job.settings.section(DetectorSettings)
    found = detect_shard(videos, job.frames_of(videos), settings, people, job.run.root)
    job.save(job.run.answers(dataset, shard), found.answers, tables.ANSWERS, {"videos": path})
    job.save(job.run.detections(dataset, shard), found.detections, tables.DETECTIONS, {"videos": path})


def track(job: Job, dataset: str, shard: str) -> None:
    """Link detections into people."""
    from moviestrip.tracking.trackers import track_shard

    path = job.run.detections(dataset, shard)
    tracks = track_shard(read_table(path, tables.DETECTIONS), job.settings.section(TrackingSettings))
    job.save(job.run.tracks(dataset, shard), tracks, tables.TRACKS, {"detections": path})
