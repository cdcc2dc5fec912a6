"""Shards: planned once, appended, dissolved only when they no longer hold."""

from pathlib import Path

import pytest

from moviestrip.config import DatasetSettings, WorldSettings, load_dataset
from moviestrip.datasets.plan import plan_shards, read_shard
from moviestrip.errors import ConfigError
from moviestrip.layout import RunFolder


@pytest.fixture
def studio(repository: Path) -> DatasetSettings:
    return load_dataset("studio", repository / "config")


def planned(run: RunFolder, dataset: DatasetSettings, seed: int = 0, **rendering) -> dict[str, list[str]]:
    shards = plan_shards(run, "studio", dataset, WorldSettings(**rendering), seed)
    return {shard: [video["video_id"] for video in read_shard(run, "studio", shard)["videos"]] for shard in shards}


def test_planning_twice_writes_nothing(tmp_path: Path, studio: DatasetSettings):
    run = RunFolder(tmp_path)
    first = planned(run, studio)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    assert planned(run, studio) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == times


def test_more_videos_append_shards_and_touch_none(tmp_path: Path, studio: DatasetSettings):
    run = RunFolder(tmp_path)
    few = planned(run, studio, frames_scale=0.5, shard_videos=4)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    more = planned(run, studio, frames_scale=1, shard_videos=4)
    assert few.items() < more.items()
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    videos = [video for shard in more.values() for video in shard]
    assert len(videos) == len(set(videos)) == sum(studio.source.videos.values())


def test_a_new_seed_plans_everything_anew(tmp_path: Path, studio: DatasetSettings):
    run = RunFolder(tmp_path)
    first, second = planned(run, studio), planned(run, studio, seed=1)
    assert not {video for shard in first.values() for video in shard} & {v for shard in second.values() for v in shard}


def test_an_unknown_shard_lists_the_planned_ones(tmp_path: Path, studio: DatasetSettings):
    run = RunFolder(tmp_path)
    planned(run, studio)
    with pytest.raises(ConfigError, match=r"no such shard; planned for studio: studio-0000, studio-0001"):
        read_shard(run, "studio", "studio-9999")


def test_a_folder_of_videos_is_a_dataset(tmp_path: Path):
    folder = tmp_path / "videos"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.mp4", "deep/a.MOV", "notes.txt"):
        (folder / name).write_bytes(b"x")
    dataset = DatasetSettings.model_validate({
        "role": "pseudo2d", "title": "Mine", "licence": "mine", "supervision": "pseudo_2d", "tube": "tracks",
        "split": "train", "source": {"kind": "folder", "path": str(folder)},
    })  # fmt: skip
    run = RunFolder(tmp_path / "run")
    shards = plan_shards(run, "mine", dataset, WorldSettings(), 0)
    assert [len(read_shard(run, "mine", shard)["videos"]) for shard in shards] == [2]
