"""Features that others computed, with the labels of their frames, in place of six stages."""

from moviestrip import tables
from moviestrip.config import CurationSettings, DatasetSettings
from moviestrip.stages.job import Job
from moviestrip.storage import write_features


def import_features(job: Job, dataset: str, shard: str) -> None:
    """Write what fetch, curate, label and features write of videos, from a shard of a database without pictures."""
    from moviestrip.datasets.plan import read_shard
    from moviestrip.datasets.prepared.planned import import_planned

    settings, curation = job.settings.section(DatasetSettings), job.settings.section(CurationSettings)
    inputs = {"plan": job.run.plan(dataset, shard)}  # its files are gigabytes: the plan holds their sizes
    found = import_planned(dataset, settings, shard, read_shard(job.run, dataset, shard)["videos"], curation)
    files = job.run.features(found.attributes_of_phi["backbone"], dataset, shard)
    job.save(job.run.videos(dataset, shard), found.videos, tables.VIDEOS, inputs)
    job.save(job.run.clips(dataset, shard), found.clips, tables.CLIPS, inputs)
    job.save(job.run.attributes(dataset, shard), found.attributes, tables.ATTRIBUTES, inputs)
    job.save(job.run.labels(dataset, shard), found.labels, tables.LABELS, inputs)
    write_features(files.phi, found.phi, found.attributes_of_phi)
    job.record(files.phi, "features", inputs)
    job.save(files.index, found.index, tables.FEATURE_INDEX, inputs)
    job.save(files.crops, found.crops, tables.CROPS, inputs)
