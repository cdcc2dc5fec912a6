"""Clips with what every filter says of them, and their labels."""

from pathlib import Path

import pandas as pd

from moviestrip import tables
from moviestrip.config import CurationSettings, DatasetSettings
from moviestrip.stages.job import Job, selected_in_shard
from moviestrip.tables import read_table


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


def label(job: Job, dataset: str, shard: str) -> None:
    """Write the labels of every frame of the clips that are used."""
    people, inputs = _people(job, dataset, shard)
    clips, clip_inputs = selected_in_shard(job, dataset, shard)
    labels = job.dataset(dataset).labels(clips, people, job.settings.section(CurationSettings))
    job.save(job.run.labels(dataset, shard), labels, tables.LABELS, inputs | clip_inputs)
