"""Clips with what every filter says of them, and their labels."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from moviestrip import tables
from moviestrip.config import CurationSettings, DatasetSettings, OfficialSource
from moviestrip.layout import RunFolder
from moviestrip.stages.job import Job, selected_in_shard
from moviestrip.tables import read_table

if TYPE_CHECKING:
    from moviestrip.curate.explain import Explanation


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
    from moviestrip.datasets.plan import read_shard

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
    cuts = None
    if "tracks" in inputs:
        inputs["shots"] = job.run.shots(dataset, shard)
        cuts = read_table(inputs["shots"], tables.SHOTS)
    clips, attributes = job.dataset(dataset).clips(videos, people, job.settings.section(CurationSettings), cuts)
    job.save(job.run.clips(dataset, shard), clips, tables.CLIPS, inputs)
    job.save(job.run.attributes(dataset, shard), attributes, tables.ATTRIBUTES, inputs)


def key_frames(job: Job, dataset: str, shard: str) -> None:
    """Look at a few frames of every candidate clip: how sharp the person is, and a hash to know the frame again."""
    from moviestrip.curate.clips import boxes_of_clips
    from moviestrip.video.key_frames import key_frames_of

    inputs = {kind: getattr(job.run, kind)(dataset, shard) for kind in ("videos", "tracks", "clips")}
    videos, tracks = read_table(inputs["videos"], tables.VIDEOS), read_table(inputs["tracks"], tables.TRACKS)
    clips, settings = read_table(inputs["clips"], tables.CLIPS), job.settings.section(CurationSettings)
    found = key_frames_of(clips, boxes_of_clips(tracks, settings), job.frames_of(videos), settings)
    job.save(job.run.key_frames(dataset, shard), found, tables.KEY_FRAMES, inputs)


def appearance(job: Job, dataset: str, shard: str) -> None:
    """Judge by their key frames the clips that other filters passed; clips of earlier shards are the originals."""
    from moviestrip.curate.clips import selected
    from moviestrip.curate.duplicates import judge_appearance

    inputs = {kind: getattr(job.run, kind)(dataset, shard) for kind in ("clips", "attributes", "key_frames")}
    earlier = {f"before:{each}": job.run.originals(dataset, each) for each in job.run.shards(dataset) if each < shard}
    clips = selected(read_table(inputs["clips"], tables.CLIPS), read_table(inputs["attributes"], tables.ATTRIBUTES))
    frames = read_table(inputs["key_frames"], tables.KEY_FRAMES)
    before = tables.read_tables(earlier.values(), tables.KEY_FRAMES)
    verdicts, originals = judge_appearance(clips, frames, before, job.settings.section(CurationSettings))
    inputs |= earlier
    job.save(job.run.appearance(dataset, shard), verdicts, tables.ATTRIBUTES, inputs)
    job.save(job.run.originals(dataset, shard), originals, tables.KEY_FRAMES, inputs)


def explain(run: RunFolder, clip: str, dataset: str | None = None) -> "Explanation":
    """Why a clip of a run, named by the beginning of its id, is used or not."""
    from moviestrip.curate.duplicates import original_of
    from moviestrip.curate.explain import explain, find_clip

    names = [dataset] if dataset else sorted(path.name for path in (run.root / "clips").glob("*"))
    shards = {run.clips(name, shard): (name, shard) for name in names for shard in run.shards(name)}
    clips = {path: read_table(path, tables.CLIPS) for path in shards if path.is_file()}
    clip_id = find_clip(clip, [each for found in clips.values() for each in found["clip_id"]])
    path = next(path for path, found in clips.items() if clip_id in set(found["clip_id"]))
    name, shard = shards[path]
    row = dict(clips[path].set_index("clip_id", drop=False).loc[clip_id])
    videos = read_table(run.videos(name, shard), tables.VIDEOS).set_index("video_id", drop=False)
    original = ""
    if run.originals(name, shard).is_file():
        before = [run.originals(name, each) for each in run.shards(name) if each < shard]
        key_frames = read_table(run.key_frames(name, shard), tables.KEY_FRAMES)
        own = read_table(run.originals(name, shard), tables.KEY_FRAMES)
        nearest = original_of(clip_id, key_frames, tables.read_tables(before, tables.KEY_FRAMES), own)
        original = nearest[0] if nearest else ""
    verdicts = tables.read_tables(run.verdicts(name, shard), tables.ATTRIBUTES)
    return explain(row, verdicts, dict(videos.loc[row["video_id"]]), original)


def label(job: Job, dataset: str, shard: str) -> None:
    """Write the labels of every frame of the clips that are used."""
    people, inputs = _people(job, dataset, shard)
    clips, clip_inputs = selected_in_shard(job, dataset, shard)
    labels = job.dataset(dataset).labels(clips, people, job.settings.section(CurationSettings))
    job.save(job.run.labels(dataset, shard), labels, tables.LABELS, inputs | clip_inputs)
