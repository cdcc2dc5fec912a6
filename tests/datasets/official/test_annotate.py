"""Annotation meets the frames that are shown: at the rate that a file itself says, where its release says none."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from moviestrip.body.load import Body, load_body
from moviestrip.config import BodySettings, CurationSettings, DatasetSettings, WorldSettings
from moviestrip.curate.clips import curate_shard, selected
from moviestrip.datasets.labels import label_shard
from moviestrip.datasets.official.annotate import (
    annotate_shard,
    open_release,
    planned_videos,
    released_video,
    resampled,
)
from moviestrip.datasets.official.base import TRUNK_3, People, Release, ReleasedVideo
from moviestrip.datasets.plan import plan_shards, read_shard
from moviestrip.errors import ConfigError, FatalError, StorageError
from moviestrip.layout import RunFolder
from moviestrip.skeleton import COMMON_14, H36M_17, indices_of
from moviestrip.tables import TRUTH, VIDEOS, empty, read_table, stack, write_table
from moviestrip.video.fetch import PlannedVideo, fetch_shard, frames_of
from moviestrip.video.images import shown_at
from tests.datasets.official.write_penn_action import write_penn_action
from tests.video.video_files import number_of, write_video

FRAMES = 50


class Fetched(Release):
    """Videos as people fetch them, each of its own rate; a joint lies as far to the right as its frame's number."""

    name = "fetched"
    title = homepage = licence = tree = ""

    def videos(self) -> Iterator[ReleasedVideo]:
        for path in sorted(self.folder.glob("*.mp4")):
            yield ReleasedVideo(path.stem, "train", path.name, fps=0.0)

    def people(self, video: ReleasedVideo) -> People:
        frames = np.arange(FRAMES)
        keypoints = np.zeros((FRAMES, 25, 3))
        keypoints[..., 0], keypoints[..., 2] = frames[:, None], 1
        return People.of(np.zeros(FRAMES, np.int64), frames, keypoints_px=keypoints)


def no_body(gender: str):
    raise FatalError("no body is needed here")


@pytest.fixture
def fetched(tmp_path: Path):
    folder = tmp_path / "release"
    folder.mkdir()
    for name, fps in (("a", 25), ("b", 50), ("c", 30)):
        write_video(folder / f"{name}.mp4", FRAMES, fps=fps)
    settings = DatasetSettings(
        role="pseudo2d", title="T", licence="none", supervision="pseudo_2d", tube="truth", fps=25,
        source={"kind": "official", "release": "instavariety", "splits": ["train"]},
    )  # fmt: skip
    release = Fetched(folder)
    planned = planned_videos(release, settings)
    videos = fetch_shard("d", settings, "d-0000", [PlannedVideo.from_plan(entry) for entry in planned], tmp_path / "r")
    return release, planned, videos, tmp_path / "r"


def test_a_file_is_resampled_from_its_own_rate(fetched):
    release, planned, videos, results = fetched
    assert videos["filmed_fps"].tolist() == [25, 50, 30]
    truth = annotate_shard(release, planned, videos, no_body)
    for video in videos.to_dict("records"):
        rows = truth[truth["video_id"] == video["video_id"]]
        shown = [number_of(image) for image in frames_of(results)(video)]
        marked = stack(rows["keypoints_2d"], 25, 3)[:, 0, 0].astype(int)
        assert rows["frame"].tolist() == list(range(video["n_frames"])) == list(range(len(shown)))
        np.testing.assert_array_equal(marked, shown)


def test_a_table_that_does_not_know_the_rate_is_refused(fetched):
    release, planned, videos, _ = fetched
    with pytest.raises(StorageError, match=r"does not know its rate.*fetch"):
        annotate_shard(release, planned, videos.assign(filmed_fps=0.0), no_body)


def test_videos_that_are_unusable_need_no_rate(fetched):
    release, planned, videos, _ = fetched
    gone = videos.assign(filmed_fps=0.0, status="bad_video")
    assert isinstance(annotate_shard(release, planned, gone, no_body), pd.DataFrame)


# Resampling, without videos


def pairs(frame: np.ndarray, filmed_fps: float, fps: float, n_frames: int) -> list[tuple[int, int]]:
    """Frame as shown and frame as annotated, of every row after resampling."""
    rows, shown = resampled(frame, filmed_fps, fps, n_frames)
    return list(zip(shown.tolist(), frame[rows].tolist(), strict=True))


def test_every_second_frame_of_50_a_second_is_shown():
    assert pairs(np.arange(8), 50, 25, 4) == [(0, 0), (1, 2), (2, 4), (3, 6)]


def test_every_sixth_frame_of_30_a_second_is_left_out():
    assert [old for _, old in pairs(np.arange(13), 30, 25, 11)] == [0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 12]


def test_its_own_rate_changes_nothing():
    assert pairs(np.arange(7), 25, 25, 7) == [(frame, frame) for frame in range(7)]


def test_what_is_shown_twice_is_annotated_twice():
    assert [old for _, old in pairs(np.arange(3), 12.5, 25, 5)] == [0, 1, 1, 2, 2]


def test_annotation_beyond_the_video_has_no_frame():
    assert pairs(np.arange(100), 50, 25, 4) == [(0, 0), (1, 2), (2, 4), (3, 6)]


def test_frames_beyond_the_annotation_have_no_row():
    assert pairs(np.arange(4), 25, 25, 9) == [(frame, frame) for frame in range(4)]


def test_gaps_stay_gaps():
    assert pairs(np.array([0, 1, 5, 6]), 25, 25, 7) == [(0, 0), (1, 1), (5, 5), (6, 6)]
    assert pairs(np.array([1, 3, 4, 5]), 50, 25, 4) == [(2, 4)]


def test_everyone_in_a_frame_is_kept():
    frame = np.array([0, 1, 2, 3, 1, 2, 3, 4])  # two people
    assert sorted(pairs(frame, 50, 25, 3)) == [(0, 0), (1, 2), (1, 2), (2, 4)]


RATES = [10, 15, 24, 25, 29.97, 30, 50, 59.94, 60]


@given(st.integers(1, 200), st.sampled_from(RATES), st.sampled_from([12.5, 25, 30]))
@tried(deadline=None, max_examples=150)
def test_rows_are_those_of_the_frames_that_are_shown(n_frames: int, filmed_fps: float, fps: float):
    shown = shown_at(n_frames, filmed_fps, fps)
    found = dict(pairs(np.arange(n_frames), filmed_fps, fps, len(shown)))
    assert all(shown[new] == old for new, old in found.items())
    # How long the video was as released is not known here: an instant after its last frame may stay without a row.
    rate, wanted = (Fraction(value).limit_denominator(100_000) for value in (filmed_fps, fps))
    within = [new for new in range(len(shown)) if new / wanted * rate <= n_frames - 1]
    assert set(within) <= found.keys() and len(shown) - len(found) <= 1


# A release of any people


class Staged(Release):
    """Videos of given people."""

    name = "staged"
    title = homepage = licence = tree = ""

    def __init__(self, folder: Path, people: Mapping[str, People], fps: float = 25):
        super().__init__(folder)
        self.staged, self.fps = people, fps

    def videos(self) -> Iterator[ReleasedVideo]:
        for name in self.staged:
            yield ReleasedVideo(name, "train", f"{name}.mp4", self.fps, subject=name, action="a", camera="7")

    def people(self, video: ReleasedVideo) -> People:
        return self.staged[video.name]


SETTINGS = DatasetSettings.model_validate({
    "role": "wild3d", "title": "T", "licence": "none", "supervision": "full_3d", "tube": "truth", "fps": 25,
    "source": {"kind": "official", "release": "3dpw", "splits": ["train"]},
})  # fmt: skip


def fetched_rows(planned: list[dict[str, Any]], n_frames: int, fps: float = 25, **changed: Any) -> pd.DataFrame:
    """What `fetch` would say of videos that nobody needs to decode here."""
    rows = [
        {"video_id": entry["video_id"], "dataset": "d", "shard": "d-0000", "split": entry["split"],
         "subject": entry["subject"], "action": entry["action"], "source": entry["source"], "path": "v", "sha256": "",
         "status": "ok", "reason": "", "width_px": 640, "height_px": 480, "fps": 25.0, "n_frames": n_frames,
         "camera": entry["camera"], "filmed_fps": fps, **changed}
        for entry in planned
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=empty(VIDEOS).columns)


def annotated(folder: Path, people: Mapping[str, People], body_of: Any = no_body, n_frames: int = 48) -> pd.DataFrame:
    release = Staged(folder, people)
    planned = planned_videos(release, SETTINGS)
    return annotate_shard(release, planned, fetched_rows(planned, n_frames), body_of)


SIZES = {"neutral": 1.0, "unknown": 1.0, "male": 1.2, "female": 0.9}


@pytest.fixture(scope="module")
def bodies(cache: Path, free_body: Path) -> dict[str, Body]:
    """The free body with joints farther from the camera or nearer to it, as one's gender says."""
    body = load_body(BodySettings(), cache)
    return {
        gender: replace(body, joint_regressor_h36m=np.float32(size) * body.joint_regressor_h36m)
        for gender, size in SIZES.items()
    }


def posed(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    keypoints = draw.uniform(50, 400, (rows, 25, 3))
    keypoints[..., 2] = 1
    return {
        "keypoints_px": keypoints,
        "pose": draw.normal(0, 0.2, (rows, 72)),
        "betas": draw.normal(size=(rows, 10)),
        "translation_m": draw.normal(0, 1, (rows, 3)) + np.array([0, 0, 4]),
        "has_body": np.ones(rows, bool),
    }


def test_joints_are_those_of_a_body_of_one_s_gender(tmp_path: Path, bodies: dict[str, Body]):
    person, frame = np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4)
    people = People.of(person, frame, **posed(12), gender={0: "female", 1: "male", 2: "neutral"})
    truth = annotated(tmp_path, {"v": people}, bodies.__getitem__)
    assert truth["gender"].tolist() == [*["female"] * 3, *["male"] * 3, *["neutral"] * 3, *["unknown"] * 3]
    assert truth["has_3d"].all() and truth["has_body"].all()
    for number, gender in enumerate(("female", "male", "neutral", "unknown")):
        own = people.person == number
        vertices_m, _ = bodies[gender].forward(people.pose[own], people.betas[own], people.translation_m[own])
        expected = np.einsum("jv,nvk->njk", bodies[gender].joint_regressor_h36m, vertices_m)
        rows = truth[truth["person"] == number]
        for column, names in (("joints_3d_m", COMMON_14), ("trunk_3d_m", TRUNK_3)):
            found = stack(rows[column], len(names), 3)
            np.testing.assert_allclose(found, expected[:, indices_of(names, H36M_17)], atol=1e-5)
    np.testing.assert_array_equal(stack(truth["pose"]), people.pose)
    np.testing.assert_array_equal(stack(truth["translation_m"]), people.translation_m)


def test_only_bodies_that_are_there_are_asked_for(tmp_path: Path, bodies: dict[str, Body]):
    asked = []

    def body_of(gender: str) -> Body:
        asked.append(gender)
        return bodies[gender]

    known = posed(6) | {"has_body": np.arange(6) < 3}
    people = People.of(np.repeat([0, 1], 3), np.tile(np.arange(3), 2), **known, gender={0: "male", 1: "female"})
    annotated(tmp_path, {"v": people, "w": people}, body_of)
    assert set(asked) == {"male"}


def test_joints_of_the_release_come_before_those_of_bodies(tmp_path: Path, bodies: dict[str, Body]):
    draw = np.random.default_rng(1)
    joints, trunk = draw.normal(size=(4, 14, 3)), draw.normal(size=(4, 3, 3))
    has_3d, has_body = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    known = posed(4) | {"has_body": has_body, "has_3d": has_3d, "joints_m": joints, "trunk_m": trunk}
    people = People.of(np.zeros(4, int), np.arange(4), **known)
    truth = annotated(tmp_path, {"v": people}, bodies.__getitem__)
    assert truth["has_3d"].tolist() == [True, True, True, False]
    assert truth["has_body"].tolist() == has_body.tolist()
    found = stack(truth["joints_3d_m"], 14, 3)
    np.testing.assert_array_equal(found[[0, 1, 3]], joints.astype(np.float32)[[0, 1, 3]])
    assert np.abs(found[2] - joints[2]).max() > 0.1
    np.testing.assert_array_equal(people.joints_m, joints.astype(np.float32)), "what the adapter gave is not written to"


def test_two_people_are_two_clips(tmp_path: Path):
    person, frame = np.repeat([0, 3], [48, 45]), np.concatenate([np.arange(48), np.arange(2, 47)])
    people = People.of(person, frame, keypoints_px=posed(93)["keypoints_px"])
    release = Staged(tmp_path, {"v": people})
    planned = planned_videos(release, SETTINGS)
    videos = fetched_rows(planned, 48)
    truth = annotate_shard(release, planned, videos, no_body)
    clips, attributes = curate_shard("d", SETTINGS, videos, truth, CurationSettings())
    assert clips[["track", "first_frame", "n_frames", "camera"]].to_numpy().tolist() == [
        [0, 0, 48, "7"],
        [3, 2, 45, "7"],
    ]
    labels = label_shard(SETTINGS, selected(clips, attributes), truth, CurationSettings())
    np.testing.assert_array_equal(stack(labels["keypoints_2d"], 25, 3), people.keypoints_px)
    assert labels["video_frame"].tolist() == frame.tolist() and not labels["has_3d"].any()


@pytest.mark.parametrize("supervision", ["truth_2d", "pseudo_2d"])
def test_a_release_s_detections_count_as_far_as_they_are_seen(tmp_path: Path, supervision: str):
    keypoints = posed(48)["keypoints_px"]
    keypoints[:, 3, 2] = 0.05  # below curation.minimum_confidence
    release = Staged(tmp_path, {"v": People.of(np.zeros(48, int), np.arange(48), keypoints_px=keypoints)})
    planned = planned_videos(release, SETTINGS)
    videos, settings = fetched_rows(planned, 48), SETTINGS.model_copy(update={"supervision": supervision})
    truth = annotate_shard(release, planned, videos, no_body)
    clips, attributes = curate_shard("d", settings, videos, truth, CurationSettings())
    labels = label_shard(settings, selected(clips, attributes), truth, CurationSettings())
    assert bool(stack(labels["keypoints_2d"], 25, 3)[:, 3].any()) == (supervision == "truth_2d")


def test_videos_in_which_nobody_is_annotated_are_no_clips(tmp_path: Path):
    nobody = People.of(np.zeros(0, int), np.zeros(0, int))
    release = Staged(tmp_path, {"v": nobody, "w": nobody})
    planned = planned_videos(release, SETTINGS)
    videos = fetched_rows(planned, 48)
    truth = annotate_shard(release, planned, videos, no_body)
    write_table(tmp_path / "truth.parquet", truth, TRUTH)
    truth = read_table(tmp_path / "truth.parquet", TRUTH)
    assert len(truth) == 0
    clips, attributes = curate_shard("d", SETTINGS, videos, truth, CurationSettings())
    labels = label_shard(SETTINGS, selected(clips, attributes), truth, CurationSettings())
    assert len(clips) == len(attributes) == len(labels) == 0


def test_an_empty_video_beside_another_changes_nothing_of_it(tmp_path: Path, bodies: dict[str, Body]):
    some = People.of(np.zeros(5, int), np.arange(5), **posed(5))
    nobody = People.of(np.zeros(0, int), np.zeros(0, int))
    alone = annotated(tmp_path, {"v": some}, bodies.__getitem__)
    beside = annotated(tmp_path, {"u": nobody, "v": some}, bodies.__getitem__)
    for file, table in (("alone", alone), ("beside", beside)):
        write_table(tmp_path / f"{file}.parquet", table, TRUTH)
    pd.testing.assert_frame_equal(*(read_table(tmp_path / f"{file}.parquet", TRUTH) for file in ("alone", "beside")))


def test_a_bad_video_has_no_annotation_and_the_others_keep_theirs(tmp_path: Path):
    people = {name: People.of(np.zeros(5, int), np.arange(5)) for name in ("a", "b", "c")}
    release = Staged(tmp_path, people)
    planned = planned_videos(release, SETTINGS)
    videos = fetched_rows(planned, 5)
    videos.loc[1, ["status", "reason", "n_frames", "filmed_fps"]] = ["bad_video", "b.mp4: damaged", 0, 0.0]
    truth = annotate_shard(release, planned, videos, no_body)
    assert truth["video_id"].unique().tolist() == [planned[0]["video_id"], planned[2]["video_id"]]


# The plan


def penn_settings(folder: Path, splits: tuple[str, ...] = ("train", "validation", "test")) -> DatasetSettings:
    source = {"kind": "official", "release": "penn-action", "path": str(folder), "splits": splits}
    return DatasetSettings.model_validate({
        "role": "sports2d", "title": "T", "licence": "none", "supervision": "truth_2d", "tube": "truth",
        "source": source,
    })  # fmt: skip


@pytest.fixture(scope="module")
def penn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_penn_action(tmp_path_factory.mktemp("penn")).folder


def test_a_release_is_planned_alike_wherever_it_lies(penn: Path, tmp_path: Path):
    elsewhere = tmp_path / "moved"
    elsewhere.symlink_to(penn)
    here, there = (planned_videos(open_release("p", penn_settings(at)), penn_settings(at)) for at in (penn, elsewhere))
    assert [video["video_id"] for video in here] == [video["video_id"] for video in there]
    assert len({video["video_id"] for video in here}) == len(here) == 5
    assert [{**video, "file": ""} for video in here] == [{**video, "file": ""} for video in there]


def test_other_splits_change_no_video_s_plan(penn: Path):
    every = planned_videos(open_release("p", penn_settings(penn)), penn_settings(penn))
    for split in ("train", "validation", "test"):
        settings = penn_settings(penn, (split,))
        assert planned_videos(open_release("p", settings), settings) == [v for v in every if v["split"] == split]


def test_a_plan_finds_the_video_of_the_release_again(penn: Path):
    release = open_release("p", penn_settings(penn))
    entries = json.loads(json.dumps(planned_videos(release, penn_settings(penn))))
    assert [released_video(entry) for entry in entries] == list(release.videos())


def test_planning_again_writes_nothing_and_more_splits_append(penn: Path, tmp_path: Path):
    run, world = RunFolder(tmp_path), WorldSettings(shard_videos=2)
    first = plan_shards(run, "p", penn_settings(penn, ("train",)), world, 0)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    assert plan_shards(run, "p", penn_settings(penn, ("train",)), world, 0) == first
    more = plan_shards(run, "p", penn_settings(penn), world, 0)
    assert set(first) < set(more) and all(path.stat().st_mtime_ns == time for path, time in times.items())
    videos = [video["video_id"] for shard in more for video in read_shard(run, "p", shard)["videos"]]
    assert len(videos) == len(set(videos)) == 5


def test_a_release_without_a_folder_says_which_key_is_missing():
    settings = SETTINGS.model_copy(update={"title": "3DPW"})
    with pytest.raises(ConfigError, match=r"data_folders.d: is required: the folder of 3DPW, see docs/datasets.md"):
        open_release("d", settings)
