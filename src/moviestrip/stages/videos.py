"""Videos, where they are cut, the people detected in them, and their tracks."""

from typing import TYPE_CHECKING

import pandas as pd

from moviestrip import tables
from moviestrip.config import (
    DatasetSettings,
    DetectorSettings,
    FetchSettings,
    RenderedSource,
    ShotSettings,
    TrackingSettings,
)
from moviestrip.stages.job import Job
from moviestrip.storage import write_text
from moviestrip.tables import read_table

if TYPE_CHECKING:
    from moviestrip.pose.keypoint_json import Detected


def fetch(
    job: Job, dataset: str, shard: str, fetching: FetchSettings | None = None, retry: bool = False
) -> pd.DataFrame:
    """Bring in the shard's videos and check every frame of them."""
    from moviestrip.datasets.plan import read_shard
    from moviestrip.video.fetch import unfinished

    source = job.dataset(dataset)
    videos = source.videos(shard, read_shard(job.run, dataset, shard)["videos"], job.run.root, fetching, retry)
    inputs = {"plan": job.run.plan(dataset, shard)}
    if isinstance(source.settings.source, RenderedSource):
        inputs["rendered"] = job.run.rendered(dataset, shard)
    if unfinished(videos):
        _count_unfinished(job, dataset, shard)
    job.save(job.run.videos(dataset, shard), videos, tables.VIDEOS, inputs)
    return videos


def _count_unfinished(job: Job, dataset: str, shard: str) -> None:
    """One run more in which a host was too busy: the workflow sees the number change, and asks again next time."""
    path = job.run.unfinished(dataset, shard)
    before = int(path.read_text()) if path.is_file() else 0
    write_text(path, f"{before + 1}\n")


def shots(job: Job, dataset: str, shard: str) -> None:
    """Find where the shard's videos are cut from one shot to another."""
    from moviestrip.video.shots import shots_of

    path = job.run.videos(dataset, shard)
    videos = read_table(path, tables.VIDEOS)
    found = shots_of(videos, job.frames_of(videos), job.settings.section(ShotSettings))
    job.save(job.run.shots(dataset, shard), found, tables.SHOTS, {"videos": path})


def detect(job: Job, dataset: str, shard: str) -> pd.DataFrame:
    """Run the 2D pose detector over the shard, or take over what one has written."""
    path = job.run.videos(dataset, shard)
    found = _detected(job, read_table(path, tables.VIDEOS))
    job.save(job.run.answers(dataset, shard), found.answers, tables.ANSWERS, {"videos": path})
    job.save(job.run.detections(dataset, shard), found.detections, tables.DETECTIONS, {"videos": path})
    return found.answers


def _detected(job: Job, videos: pd.DataFrame) -> "Detected":
    from moviestrip.pose.keypoint_json import import_keypoints
    from moviestrip.pose.openpose import detect_shard
    from moviestrip.video.images import shown_at

    dataset, detector = job.settings.section(DatasetSettings), job.settings.section(DetectorSettings)
    if dataset.keypoints is not None:
        return import_keypoints(videos, dataset.keypoints, detector.model_pose, shown_at)
    people, smallest_px = dataset.source.people, dataset.smallest_person_px
    return detect_shard(videos, job.frames_of(videos), detector, people, job.run.root, smallest_px)


def track(job: Job, dataset: str, shard: str) -> None:
    """Link detections into people, within each shot."""
    from moviestrip.tracking.trackers import track_shard

    inputs = {"detections": job.run.detections(dataset, shard), "shots": job.run.shots(dataset, shard)}
    detections, cuts = read_table(inputs["detections"], tables.DETECTIONS), read_table(inputs["shots"], tables.SHOTS)
    tracks = track_shard(detections, job.settings.section(TrackingSettings), cuts)
    job.save(job.run.tracks(dataset, shard), tracks, tables.TRACKS, inputs)
