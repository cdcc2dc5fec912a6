"""Kinetics-400's reader finds clips under every public downloader's layout, and says which are gone."""

import csv
import shutil
import time
from pathlib import Path

import pytest

from moviestrip.datasets.official import release_named
from moviestrip.datasets.official.kinetics import Kinetics400
from moviestrip.errors import StorageError
from moviestrip.video.decode import probe
from tests.datasets.official.filmed import FRAMES
from tests.datasets.official.write_kinetics import CLIPS, DAMAGED, FAILED, Written, write_kinetics


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Written:
    return write_kinetics(tmp_path_factory.mktemp("kinetics"))


def test_clips_come_back(written: Written):
    release = release_named("kinetics-400")(written.folder)
    videos = list(release.videos())
    assert {video.name: video.file for video in videos} == written.files
    for video in videos:
        label, split, _ = CLIPS[video.name]
        assert (video.action, video.split) == (label, {"train": "train", "val": "validation"}[split])
        assert video.subject == video.name[:11]
        assert probe(written.folder / video.file).n_frames == FRAMES
        assert len(release.people(video).person) == 0
    assert any(video.name == DAMAGED and video.file.startswith("replacement/") for video in videos)


def test_what_is_gone_is_counted(written: Written):
    missing = dict(Kinetics400(written.folder).missing())
    assert tuple(missing) == written.missing
    assert missing["_bcdefghij2_000003_000013"] == "_bcdefghij2_000003_000013.mp4: in none of the folders"
    assert missing[FAILED] == f"val/bee_keeping/{FAILED}.mp4: empty, its download failed"


def test_lists_by_their_other_names(copied: Path, written: Written):
    (copied / "annotations" / "val.csv").rename(copied / "validate.csv")
    (copied / "annotations" / "train.csv").rename(copied / "kinetics-400_train.csv")
    assert {video.name for video in Kinetics400(copied).videos()} == set(written.files)


def test_a_list_without_labels(copied: Path):
    name = "abc-efghij6_000001_000011"
    (copied / "test.csv").write_text("youtube_id,time_start,time_end,split\nabc-efghij6,1,11,test\n")
    (copied / "test").mkdir()
    shutil.copy(copied / "train" / "abcdefghij0_000059_000069.mp4", copied / "test" / f"{name}.mp4")
    video = next(video for video in Kinetics400(copied).videos() if video.name == name)
    assert (video.split, video.action, video.file) == ("test", "", f"test/{name}.mp4")


def test_a_clip_of_two_splits_stays_in_the_first(copied: Path):
    name = "abcdefghij0_000059_000069"
    with (copied / "annotations" / "val.csv").open("a") as file:
        file.write("abseiling,abcdefghij0,59,69,val,0\r\n" * 2)
    assert [video.split for video in Kinetics400(copied).videos() if video.name == name] == ["train"]
    assert (name, "val.csv: it is for train too") in list(Kinetics400(copied).missing())


@pytest.mark.slow
def test_listing_three_hundred_thousand_clips(tmp_path: Path):
    with (tmp_path / "train.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "youtube_id", "time_start", "time_end", "split"])
        writer.writerows(["bee keeping", f"abcd{number:07d}", 1, 11, "train"] for number in range(306_245))
    begun = time.perf_counter()
    assert sum(1 for _ in Kinetics400(tmp_path).missing()) == 306_245
    assert time.perf_counter() - begun < 10


@pytest.mark.parametrize(
    "content, said",
    [
        ("", "lacks the columns youtube_id, time_start, time_end; its first line is nothing"),
        ("label,video,split\n", "lacks the columns youtube_id, time_start, time_end; its first line is label, video"),
        ("label,youtube_id,time_start,time_end,split\n", "lists no clip"),
        ("youtube_id,time_start,time_end\nabcdefg", "line 2: youtube_id 'abcdefg', expected 11 letters"),
        ("youtube_id,time_start,time_end\n../../../ab,1,11\n", "line 2: youtube_id '../../../ab'"),
        ("youtube_id,time_start,time_end\nabcdefghijk,1", "line 2: time_start '1' and time_end ''"),
        ("youtube_id,time_start,time_end\nabcdefghijk,11,1\n", "time_start '11' and time_end '1'"),
        ("youtube_id,time_start,time_end,split\nabcdefghijk,1,11,test\n", "split is 'test', but the file is the list"),
        ("youtube_id,time_start,time_end\n" + "a" * 200_000, "is damaged (field larger"),
        ("a" * 200_000, "is damaged (field larger"),
    ],
)
def test_lists_that_are_damaged(copied: Path, content: str, said: str):
    path = copied / "annotations" / "train.csv"
    path.write_text(content)
    with pytest.raises(StorageError) as caught:
        list(Kinetics400(copied).videos())
    assert str(path) in str(caught.value) and said in str(caught.value) and "\n" not in str(caught.value)


def test_no_list(copied: Path):
    shutil.rmtree(copied / "annotations")
    with pytest.raises(StorageError, match=r"annotations/train\.csv: missing, and so are val\.csv and test\.csv"):
        list(Kinetics400(copied).videos())
