"""Clips with what every filter says of them, and their labels."""

from functools import cache
from pathlib import Path

import pandas as pd

from moviestrip import tables
from moviestrip.config import CurationSettings, DatasetSettings, OfficialSource
from moviestrip.datasets.plan import read_shard
from moviestrip.stages.job import Job, selected_in_shard
from moviestrip.tables import read_table


def _people(job: Job, dataset: str, shard: str) -> tuple[pd.DataFrame, dict[str, Path]]:
    """What says where people are, and the input it came from: annotation or tracks."""
    settings = job.settings.section(DatasetSettings)
    if settings.tube == "truth" and isinstance(settings.source, OfficialSource):
        path = job.run.annotations(dataset, shard)
        return read_table(path, tables.TRUTH), {"annotations": path}
    if settings.tube == "truth":
        rendered = job.run.rendered(dataset, shard)
        return read_table(rendered / "truth.parquet", tables.TRUTH), {"rendered": rendered}
    path = job.run.tracks(dataset, shard)
    return read_table(path, tables.TRACKS), {"tracks": path}


def annotate(job: Job, dataset: str, shard: str) -> None:
    """Read what an official release says of the people in the shard's videos."""
    from moviestrip.datasets.official.annotate import annotate_shard, open_release

    settings = job.settings.section(DatasetSettings)
    inputs = {"plan": job.run.plan(dataset, shard), "videos": job.run.videos(dataset, shard), "body": job.run.body}
    planned, videos = read_shard(job.run, dataset, shard)["videos"], read_table(inputs["videos"], tables.VIDEOS)
    annotation = annotate_shard(open_release(dataset, settings), planned, videos, cache(job.body_for))
    job.save(job.run.annotations(dataset, shard), annotation, tables.TRUTH, inputs)


def curate(job: Job, dataset: str, shard: str) -> None:
    """Cut candidate clips and write what every filter says of them."""
    people, inputs = _people(job, dataset, shard)
    inputs["videos"] = job.run.videos(dataset, shard)
    videos = read_table(inputs["videos"], tables.VIDEOS)
    clips, attributes = job.dataset(dataset).clips(videos, people, job.settings.section(CurationSettings))
    job.save(job.run.clips(dataset, shard), clips, tables.CLIPS, inputs)
    job.save(job.run.attributes(dataset, shard), attributes, tables.ATTRIBUTES, inputs)


def label(job: Job, dataset: str, shard: str) -> None:
    """Write the labels of every frame of the clips that are used."""
    people, inputs = _people(job, dataset, shard)
    clips, clip_inputs = selected_in_shard(job, dataset, shard)
    labels = job.dataset(dataset).labels(clips, people, job.settings.section(CurationSettings))
    job.save(job.run.labels(dataset, shard), labels, tables.LABELS, inputs | clip_inputs)
