"""An export is read back by this project's own readers: the adapter of InstaVariety, and tables of links."""

import json

import numpy as np
import pandas as pd
import pytest

from moviestrip.config import DatasetSettings
from moviestrip.datasets.export import export_dataset, own_frames, tag_of
from moviestrip.datasets.link_table import read_links
from moviestrip.datasets.official.annotate import resampled
from moviestrip.datasets.official.instavariety import InstaVariety
from moviestrip.errors import FatalError, StorageError
from moviestrip.layout import RunFolder
from moviestrip.skeleton import BODY_25, HMMR_25, convert
from moviestrip.tables import TRACKS, VIDEOS, read_table, stack, write_table
from tests.datasets.write_run import source_of, video_id, write_found
from tests.video.video_files import write_video

SETTINGS = DatasetSettings(
    role="pseudo2d", title="Found", licence="each its poster's", supervision="pseudo_2d", tube="tracks", split="train",
    consent="nobody was asked", source={"kind": "folder", "path": "."},
)  # fmt: skip


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "results" / "tiny")
    write_found(run)
    return run


def test_the_adapter_reads_the_same_keypoints_back(run, tmp_path):
    folder = tmp_path / "export"
    assert export_dataset(run, "found", SETTINGS, folder) == {"videos": 2, "clips": 2, "frames": 110, "people": 2}
    for number in (0, 8):
        place = folder / "videos" / "dance" / f"{video_id(number)}.mp4"
        place.parent.mkdir(parents=True, exist_ok=True)
        write_video(place, 4)
    release = InstaVariety(folder, "listed")
    read = {video.name: (video, release.people(video)) for video in release.videos()}
    assert sorted(read) == [f"dance/{video_id(0)}", f"dance/{video_id(8)}"]
    for number, shard in ((0, "found-0000"), (8, "found-0001")):
        video, people = read[f"dance/{video_id(number)}"]
        tracks = read_table(run.tracks("found", shard), TRACKS)
        mine = tracks[(tracks["video_id"] == video_id(number)) & (tracks["track"] == 0)]
        keypoints = stack(mine["keypoints"], 25, 3)
        expected = convert(np.where(keypoints[..., 2:] > 0, keypoints, 0), BODY_25, HMMR_25)
        np.testing.assert_array_equal(people.keypoints_px, expected)
        assert people.frame.tolist() == mine["frame"].tolist() and set(people.person) == {0}
        assert (video.split, video.action) == ("train", "dance")


def test_keypoints_lie_in_a_table_too_and_only_of_the_clips_that_are_used(run, tmp_path):
    export_dataset(run, "found", SETTINGS, tmp_path / "export")
    found = read_table(tmp_path / "export" / "keypoints.parquet", TRACKS)
    clips = pd.read_csv(tmp_path / "export" / "clips.csv", dtype={"video_id": str})
    assert found.groupby("video_id").size().to_dict() == dict(zip(clips["video_id"], clips["n_frames"], strict=True))
    tracks = read_table(run.tracks("found", "found-0001"), TRACKS)
    mine = found[found["video_id"] == video_id(8)].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, tracks)


def test_the_links_are_a_table_of_links_with_the_same_sources(run, tmp_path):
    part = f"{source_of(8)}#t=1.5,3"
    rows = read_table(run.videos("found", "found-0001"), VIDEOS)
    write_table(
        run.videos("found", "found-0001"), rows.assign(source=rows["source"].replace(source_of(8), part)), VIDEOS
    )
    export_dataset(run, "found", SETTINGS, tmp_path / "export")
    links = list(read_links(tmp_path / "export" / "links.csv"))
    assert sorted(link.source for link in links) == [source_of(0), part]
    assert {(link.split, link.action) for link in links} == {("train", "dance")}


def test_a_file_of_this_machine_is_named_without_its_folders(run, tmp_path):
    rows = read_table(run.videos("found", "found-0000"), VIDEOS)
    local = rows.assign(source=rows["source"].replace(source_of(0), "/home/somebody/private/dance.mp4"))
    write_table(run.videos("found", "found-0000"), local, VIDEOS)
    export_dataset(run, "found", SETTINGS, tmp_path / "export")
    assert "dance.mp4" in (tmp_path / "export" / "links.csv").read_text()
    texts = [path.read_bytes() for path in (tmp_path / "export").rglob("*") if path.is_file()]
    assert not any(b"somebody" in text for text in texts)


def test_there_are_no_pixels_and_a_page_says_what_there_is(run, tmp_path):
    export_dataset(run, "found", SETTINGS, tmp_path / "export")
    assert {path.suffix for path in (tmp_path / "export").rglob("*") if path.is_file()} == {
        ".txt", ".csv", ".parquet", ".json", ".md",
    }  # fmt: skip
    page = (tmp_path / "export" / "README.md").read_text()
    assert "each its poster's" in page and "nobody was asked" in page and "2 clips, 110 frames of 2 people" in page
    assert "{" not in page


@pytest.mark.parametrize(
    ("filmed_fps", "lossless"), [(25.0, True), (30.0, True), (50.0, True), (0.0, True), (12.5, False)]
)
def test_frames_count_as_the_video_does_and_come_back_when_it_is_resampled(filmed_fps, lossless):
    frame = np.arange(3, 60)
    own = own_frames(frame, 25.0, filmed_fps)
    chosen, shown = resampled(np.unique(own), filmed_fps or 25.0, 25.0, 60)
    back = dict(zip(shown.tolist(), np.unique(own)[chosen].tolist(), strict=True))
    assert [back[each] for each in frame.tolist()] == own.tolist()
    assert (len(np.unique(own)) == len(own)) == lossless


def test_a_file_of_a_frame_has_the_fields_of_the_release(run, tmp_path):
    export_dataset(run, "found", SETTINGS, tmp_path / "export")
    path = next((tmp_path / "export" / "InstaVariety_tracks" / "dance" / video_id(0) / "0").glob("000007.json"))
    fields = json.loads(path.read_text())
    assert {"frame", "imloc", "track_id", "bbox", "Neck", "R Big Toe", "L Ear", "Hip"} <= set(fields)
    assert (fields["frame"], fields["imloc"]) == (7, "frame000008.jpg")
    assert set(fields["Neck"]) == {"x", "y", "logits", "probability"}


@pytest.mark.faults
@pytest.mark.parametrize("title", ["../../etc", "a\0b", "dance " * 60, "танец/ダンス", "", "..", "Break Dance!"])
def test_fault_12_a_title_never_becomes_a_path(title):
    tag = tag_of(title, "found")
    assert 0 < len(tag) <= 60 and set(tag) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


def test_what_cannot_be_exported_says_why(run, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(FatalError, match="there: is there already"):
        export_dataset(run, "found", SETTINGS, tmp_path / "there")
    with pytest.raises(FatalError, match="none of its clips is used"):
        export_dataset(run, "other", SETTINGS, tmp_path / "export")
    annotated = SETTINGS.model_copy(update={"tube": "truth"})
    with pytest.raises(FatalError, match="nobody is tracked in it"):
        export_dataset(run, "found", annotated, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_the_adapter_wants_one_list_at_least(tmp_path):
    with pytest.raises(StorageError, match="has none of insta_variety_train"):
        list(InstaVariety(tmp_path, "listed").videos())
