"""Shards: planned once, appended, dissolved only when they no longer hold."""

import time
from pathlib import Path

import pytest

from moviestrip.config import DatasetSettings, FetchSettings, WorldSettings, load_dataset
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


def linked(path: Path) -> DatasetSettings:
    return DatasetSettings.model_validate({
        "role": "pseudo2d", "title": "Mine", "licence": "mine", "supervision": "pseudo_2d", "tube": "tracks",
        "source": {"kind": "links", "lists": [{"kind": "ids", "path": str(path), "url": "http://127.0.0.1:9/{id}.mp4"}]},
    })  # fmt: skip


def test_as_many_links_as_instavariety_has_are_planned_in_ten_seconds(tmp_path: Path):
    path = tmp_path / "ids.txt"
    path.write_text(
        "".join(f"tag{number % 92}/44782930_{number:015d}_7225259367065452544_n\n" for number in range(28_272))
    )
    run = RunFolder(tmp_path / "run")
    start_s = time.process_time()
    shards = plan_shards(run, "mine", linked(path), WorldSettings(), 0, FetchSettings())
    assert time.process_time() - start_s < 10
    assert len(shards) * 8 < 10_000  # jobs, of about eight stages a shard
    videos = [video["video_id"] for shard in shards for video in read_shard(run, "mine", shard)["videos"]]
    assert len(videos) == len(set(videos)) == 28_272


def test_a_forgotten_video_is_planned_no_more_and_the_others_live_on(tmp_path: Path):
    path = tmp_path / "ids.txt"
    path.write_text("".join(f"tag/{number}\n" for number in range(10)))
    run, fetching = RunFolder(tmp_path / "run"), FetchSettings(shard_videos=4)
    first = plan_shards(run, "mine", linked(path), WorldSettings(shard_videos=1), 0, fetching)
    assert [len(read_shard(run, "mine", shard)["videos"]) for shard in first] == [4, 4, 2]
    gone = read_shard(run, "mine", first[1])["videos"][2]["video_id"]
    kept = [run.plan("mine", first[0]).read_bytes(), run.plan("mine", first[2]).read_bytes()]
    again = plan_shards(run, "mine", linked(path), WorldSettings(), 0, fetching, frozenset([gone]))
    assert [run.plan("mine", shard).read_bytes() for shard in again[:2]] == kept
    assert first[1] not in again
    assert not run.plan("mine", first[1]).exists()
    videos = [video["video_id"] for shard in again for video in read_shard(run, "mine", shard)["videos"]]
    assert len(set(videos)) == 9
    assert gone not in videos
    assert plan_shards(run, "mine", linked(path), WorldSettings(), 0, fetching, frozenset([gone])) == again
