"""Annotation meets the frames that are shown: at the rate that a file itself says, where its release says none."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moviestrip.config import DatasetSettings
from moviestrip.datasets.official.annotate import annotate_shard, planned_videos
from moviestrip.datasets.official.base import People, Release, ReleasedVideo
from moviestrip.errors import FatalError, StorageError
from moviestrip.tables import stack
from moviestrip.video.fetch import PlannedVideo, fetch_shard, frames_of
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
