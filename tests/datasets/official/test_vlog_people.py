"""VLOG-people's reader finds the clips of HMMR's list in the folders of VLOG, and says which are gone."""

from pathlib import Path

import numpy as np
import pytest

from moviestrip.datasets.official import release_named
from moviestrip.datasets.official.vlog_people import VlogPeople, clip_files
from moviestrip.errors import StorageError
from moviestrip.video.decode import probe
from tests.datasets.official.filmed import FRAMES
from tests.datasets.official.write_vlog_people import CLIPS, write_vlog_people


def test_clips_come_back(tmp_path: Path):
    written = write_vlog_people(tmp_path)
    release = release_named("vlog-people")(tmp_path)
    videos = list(release.videos())
    assert {video.name: video.file for video in videos} == dict(list(CLIPS.items())[:2])
    assert {(video.split, video.subject) for video in videos} == {
        ("train", "v_mozQXWErXI4"), ("train", "v_0123456ab_c"),
    }  # fmt: skip
    for video in videos:
        assert probe(tmp_path / video.file).n_frames == FRAMES
        assert len(release.people(video).person) == 0
    missing = dict(release.missing())
    assert tuple(missing) == written.missing
    assert list(missing.values()) == [
        "0/8/-/v_ABCDEFGH08-/123/clip.mp4: not there",
        "k/l/m/v_-_CDEFGHklm/001/clip.mp4: empty, its download failed",
    ]


def test_tracks_serve_where_somebody_has_them(tmp_path: Path):
    written = write_vlog_people(tmp_path, tracked=True)
    release = VlogPeople(tmp_path)
    for video in release.videos():
        people, truth = release.people(video), written.people[video.name]
        assert np.array_equal(people.person, truth.person) and np.array_equal(people.frame, truth.frame)
        assert np.abs(people.keypoints_px - truth.keypoints_px).max() < 1e-3


def test_ids_that_end_in_an_underscore(tmp_path: Path):
    name = "1_o_w_v_DpHpjH61_ow_007_"  # as HMMR lists it
    assert clip_files(name) == ("1/o/w/v_DpHpjH61_ow/007/clip.mp4", "_/o/w/v_DpHpjH61_ow/007/clip.mp4")
    (tmp_path / "vlog_ids.txt").write_text(name)
    file = tmp_path / clip_files(name)[1]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"film")
    assert [video.file for video in VlogPeople(tmp_path).videos()] == [clip_files(name)[1]]


@pytest.mark.parametrize("line", ["X/I/4/v_mozQXWErXI4/016/", "X_I_4_v_mozQXWErXI4_016", "../_I_4_v_mozQXWErXI4_016_"])
def test_lists_of_another_form(tmp_path: Path, line: str):
    (tmp_path / "vlog_ids.txt").write_text(f"X_I_4_v_mozQXWErXI4_016_\n{line}\n")
    with pytest.raises(StorageError, match=r"vlog_ids\.txt: .* is no video's name; a line is like 'X_I_4_v_"):
        list(VlogPeople(tmp_path).videos())


def test_no_list(tmp_path: Path):
    with pytest.raises(StorageError, match=r"vlog_ids\.txt: missing; VLOG-people is expected"):
        list(VlogPeople(tmp_path).videos())
