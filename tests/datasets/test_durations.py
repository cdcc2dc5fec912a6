"""How many videos a shard holds: by the time that was asked for, from the configuration alone."""

from pathlib import Path
from typing import Any

import pytest

from moviestrip.config import DatasetSettings, FetchSettings, ShardSettings, WorldSettings, load_config, load_dataset
from moviestrip.datasets.durations import (
    expected_minutes,
    frames_a_video,
    images_mb,
    limit_minutes,
    longest_stage,
    stages_of,
    videos_a_shard,
)
from moviestrip.datasets.plan import plan_shards, read_shard
from moviestrip.errors import ConfigError
from moviestrip.layout import RunFolder


def linked(people: int = 1, path: str = "ids.txt", **keys: Any) -> DatasetSettings:
    lists = [{"kind": "ids", "path": path, "url": "http://127.0.0.1:9/{id}.mp4"}]
    return DatasetSettings.model_validate({
        "role": "pseudo2d", "title": "Mine", "licence": "mine", "supervision": "pseudo_2d", "tube": "tracks", **keys,
        "source": {"kind": "links", "lists": lists, "people": people},
    })  # fmt: skip


def size(dataset: DatasetSettings, minutes: float = 60, shard_videos: int | None = None, **rendering: Any) -> int:
    shards = ShardSettings(minutes=minutes, rendered_minutes=minutes)
    return videos_a_shard("mine", dataset, WorldSettings(**rendering), FetchSettings(shard_videos=shard_videos), shards)


@pytest.mark.parametrize(
    ("people", "video_s", "videos"),
    [(1, None, 648), (3, None, 101), (3, 10, 60), (1, 6, 648), (3, 388, 1)],  # 0.037 and 0.237 s a frame, 25 a second
)
def test_an_hour_of_the_detector_is_a_shard(people: int, video_s: float | None, videos: int):
    dataset = linked(people, video_s=video_s)
    assert size(dataset) == videos
    frames = 25 * (video_s or 6)
    assert videos * frames * (0.237 if people > 1 else 0.037) <= 3600
    assert (videos + 1) * frames * (0.237 if people > 1 else 0.037) > 3600


def test_without_a_detector_features_take_longest():
    assert longest_stage(linked(3), WorldSettings())[0] == "detect"
    known = linked(3, keypoints="json")
    assert "detect" not in stages_of(known)
    assert longest_stage(known, WorldSettings()) == ("features", pytest.approx(150 * 0.025 / 60))


def test_twice_the_time_is_twice_the_videos_and_longer_ones_are_fewer(repository: Path):
    studio = load_dataset("studio", repository / "config")
    assert size(studio, 4) == 2 * size(studio, 2)
    assert size(studio, 4, clip_frames=96) == size(studio, 2, clip_frames=48)
    assert frames_a_video(studio, WorldSettings(clip_frames=96)) == 96


def test_how_many_were_asked_for_goes_before_how_long(repository: Path):
    assert size(linked(), shard_videos=5) == 5
    assert size(linked(), shard_videos=5, minutes=1e-3) == 5
    studio = load_dataset("studio", repository / "config")
    own = WorldSettings(shard_videos=7)
    assert videos_a_shard("studio", studio, own, FetchSettings(), ShardSettings()) == 7


def test_too_little_time_for_one_video_says_how_much_it_needs():
    says = r"shards.minutes: 0.5 is too little for one video of 'mine': detect of its 150 frames takes (0\.6) minutes; "
    with pytest.raises(ConfigError, match=says + r"ask for as many, or set fetch\.shard_videos"):
        size(linked(3), 0.5)
    assert size(linked(3), 0.6) == 1


def test_of_rendered_videos_the_other_key_is_named(repository: Path):
    with pytest.raises(ConfigError, match=r"shards.rendered_minutes: 0.01 .* or set rendering\.shard_videos"):
        size(load_dataset("studio", repository / "config"), 0.01)


@pytest.mark.parametrize(
    ("override", "shards"), [([], 13), (["config/smoke.yaml"], 5), (["config/full.yaml"], 37)], ids=str
)
def test_the_worlds_that_come_with_it_have_few_shards(
    repository: Path, tmp_path: Path, override: list[str], shards: int
):
    config = load_config([repository / "config.yaml", *(repository / each for each in override)])
    run, world, planned = RunFolder(tmp_path / "run"), config.rendering, []
    for name in config.datasets:
        dataset = load_dataset(name, repository / "config")
        for shard in plan_shards(run, name, dataset, world, 0, config.fetch, frozenset(), config.shards):
            videos = len(read_shard(run, name, shard)["videos"])
            planned.append(expected_minutes(dataset, world, longest_stage(dataset, world)[0], videos))
    assert len(planned) == shards
    assert max(planned) <= config.shards.rendered_minutes


def test_a_video_added_dissolves_no_shard(tmp_path: Path):
    path, run = tmp_path / "ids.txt", RunFolder(tmp_path / "run")
    shards = ShardSettings(minutes=6)

    def planned(count: int) -> dict[str, bytes]:
        path.write_text("".join(f"tag/{number}\n" for number in range(count)))
        dataset = linked(3, str(path))
        names = plan_shards(run, "mine", dataset, WorldSettings(), 0, FetchSettings(), frozenset(), shards)
        return {name: run.plan("mine", name).read_bytes() for name in names}

    few, more = planned(25), planned(26)
    assert len(few) == 3  # ten, ten and five: 360 s of 150 frames at 0.237 s
    assert few.items() < more.items()


def test_a_job_may_take_several_times_what_is_expected_and_grows_with_its_shard():
    dataset, world = linked(3), WorldSettings()
    for stage in ("shots", "detect", "key_frames"):
        limits = [limit_minutes(dataset, world, stage, videos) for videos in (1, 64, 640)]
        assert limits[0] >= 60 and limits == sorted(limits)
        assert limits[2] >= 4 * expected_minutes(dataset, world, stage, 640)
    assert limit_minutes(dataset, world, "detect", 64) == 60 + 152  # 37.9 minutes, four times over
    assert limit_minutes(dataset, world, "fetch", 64) == 180 + 64  # hosts, not cores, decide
    assert images_mb(dataset, world, 64) == 1000 + 2 * 64 * 150 * 0.2
