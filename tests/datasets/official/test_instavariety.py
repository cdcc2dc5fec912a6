"""InstaVariety's reader gives back what a miniature release was made from, says which videos are gone, and is quick."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from moviestrip.datasets.official import release_named
from moviestrip.datasets.official.instavariety import KEYPOINTS, InstaVariety, read_frame, read_track
from moviestrip.errors import StorageError
from moviestrip.skeleton import HMMR_25
from moviestrip.video.decode import probe
from tests.datasets.official.filmed import FRAMES
from tests.datasets.official.write_instavariety import (
    FETCHED,
    NAMES,
    SECOND_SHOT,
    SPLITS,
    Written,
    fields_of,
    write_instavariety,
)

NAME = FETCHED[0]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Written:
    return write_instavariety(tmp_path_factory.mktemp("instavariety"))


def people_in(folder: Path, name: str = NAME):
    release = InstaVariety(folder)
    return release.people(next(video for video in release.videos() if video.name == name))


def frame_path(folder: Path, frame: int = 5) -> Path:
    return folder / "InstaVariety_tracks" / NAME / "0" / f"{frame:05d}.json"


def test_the_truth_comes_back(written: Written):
    release = release_named("instavariety")(written.folder)
    found = {video.name: video for video in release.videos()}
    assert found.keys() == written.people.keys()
    for name, truth in written.people.items():
        people = release.people(found[name])
        assert np.array_equal(people.person, truth.person) and np.array_equal(people.frame, truth.frame)
        assert people.keypoints_px.dtype == np.float32
        assert np.abs(people.keypoints_px - truth.keypoints_px).max() < 1e-3
        assert not people.has_3d.any() and not people.has_body.any() and people.trusted.all()
        assert probe(written.folder / found[name].file).n_frames == FRAMES > people.frame.max()


def test_names_are_those_of_the_release():
    assert len(KEYPOINTS) == 25 and {*NAMES.values(), "Hip"} == set(KEYPOINTS)
    assert {"R Big Toe", "L Heel", "Nose", "Neck", "R Ankle"} < set(KEYPOINTS)


def test_heels_and_ankles_are_their_own_and_nobody_has_a_head(written: Written):
    keypoints = people_in(written.folder).keypoints_px
    heel, ankle = (keypoints[:, HMMR_25.index(name)] for name in ("left_heel", "left_ankle"))
    both = (heel[:, 2] > 0) & (ankle[:, 2] > 0)
    assert both.any() and (heel[both, :2] != ankle[both, :2]).any()
    assert not keypoints[:, HMMR_25.index("head_top")].any()


def test_tracks_are_people_in_the_order_of_their_numbers(written: Written):
    people = people_in(written.folder, FETCHED[1])
    assert people.frame[people.person == 0].max() < SECOND_SHOT <= people.frame[people.person == 1].min()
    assert people.person.max() == 1


def test_splits_tags_and_what_is_gone(written: Written):
    release = InstaVariety(written.folder)
    videos = {video.name: video for video in release.videos()}
    assert {name for name, video in videos.items() if video.split == "test"} == set(SPLITS["test"][:2])
    assert videos[NAME].action == "deadlift" and videos[NAME].file == f"videos/{NAME}.mp4"
    missing = dict(release.missing())
    assert tuple(missing) == written.missing
    assert missing[SPLITS["train"][2]] == f"videos/{SPLITS['train'][2]}.mp4: not there"
    assert missing[SPLITS["test"][2]].endswith(".mp4: empty, its download failed")


def test_every_post_by_the_rule_all(written: Written):
    release = InstaVariety(written.folder, "all")
    videos = {video.name: video for video in release.videos()}
    (untracked,) = videos.keys() - written.people.keys()
    assert videos[untracked].split == "train" and videos[untracked].file == f"videos/{untracked}"
    assert len(release.people(videos[untracked]).frame) == 0
    assert tuple(name for name, _ in release.missing()) == written.missing


def test_videos_that_were_not_tracked_are_counted(copied: Path):
    shutil.rmtree(copied / "InstaVariety_tracks" / NAME)
    release = InstaVariety(copied)
    assert NAME not in {video.name for video in release.videos()}
    assert dict(release.missing())[NAME] == f"InstaVariety_tracks/{NAME}: not there"


def test_other_containers_serve(copied: Path):
    (copied / "videos" / f"{NAME}.mp4").rename(copied / "videos" / f"{NAME}.mkv")
    assert f"videos/{NAME}.mkv" in {video.file for video in InstaVariety(copied).videos()}


def test_listing_every_video_opens_no_track(tmp_path: Path):
    names = [f"tag{number % 92}/{44782930 + number}_274333323423402_n" for number in range(28_272)]
    (tmp_path / "insta_variety_train.txt").write_text("\n".join(names[:2000]))
    (tmp_path / "insta_variety_test.txt").write_text("\n".join(names[2000:2545]))
    posts = [{"download_tag": name.split("/")[0], "urls": [name.split("/")[1] + ".mp4"]} for name in names]
    (tmp_path / "InstaVariety.json").write_text(json.dumps(posts))
    (tmp_path / "InstaVariety_tracks").mkdir()
    begun = time.perf_counter()
    release = InstaVariety(tmp_path, "all")
    assert not list(release.videos()) and sum(1 for _ in release.missing()) == 28_272
    assert time.perf_counter() - begun < 10


def test_points_that_are_not_numbers_are_not_seen(copied: Path):
    path = frame_path(copied)
    fields = json.loads(path.read_text())
    fields["L Knee"]["x"], fields["R Knee"]["logits"], fields["L Hip"]["logits"] = float("nan"), float("nan"), -0.2
    fields["R Hip"] |= {"x": 31, "y": 45.5, "logits": 1.02}
    del fields["Hip"]
    path.write_text(json.dumps({**fields, "Head": None, "Background": None}))
    people = people_in(copied)
    (row,) = people.keypoints_px[(people.person == 0) & (people.frame == 5)]
    for name in ("left_knee", "right_knee", "left_hip"):
        assert not row[HMMR_25.index(name)].any()
    assert row[HMMR_25.index("right_hip")].tolist() == [31, 45.5, 1]


def refuses(folder: Path, *said: str) -> None:
    with pytest.raises(StorageError) as caught:
        people_in(folder)
    for words in said:
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 1, 0.5, 0.99])
def test_truncated_frames(copied: Path, kept: float):
    path = frame_path(copied)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else 1])
    refuses(copied, f"{path}: damaged, or not JSON")


def test_frames_of_another_layout(copied: Path):
    path = frame_path(copied)
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in fields.items() if name != "R Big Toe"}))
    refuses(copied, f"{path}: lacks R Big Toe; it holds Hip, L Ankle")
    path.write_text(json.dumps({"version": 1.3, "people": []}))
    refuses(copied, f"{path}: lacks frame, Nose")
    path.write_text(json.dumps([fields]))
    refuses(copied, f"{path}: is a list")
    path.write_text(json.dumps({**fields, "L Knee": [1, 2, 0.5]}))
    refuses(copied, f"{path}: 'L Knee' is [1, 2, 0.5], expected numbers")
    path.write_text(json.dumps({**fields, "L Knee": {"x": None, "y": 2, "logits": 0.5}}))
    refuses(copied, f"{path}: 'L Knee' is ")
    path.write_text("[" * 100_000)
    refuses(copied, f"{path}: damaged, or not JSON")
    path.write_bytes(b" " * (2**20 + 1))
    refuses(copied, f"{path}: 1,048,577 bytes, refused")


def test_frames_that_are_of_another_frame(copied: Path):
    path = frame_path(copied)
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, "frame": 6}))
    refuses(copied, f"{path}: frame is 6, imloc 'frame00006.jpg'; frames count from 0 and pictures from 1")
    path.write_text(json.dumps({**fields, "frame": 6, "imloc": "frame00007.jpg"}))
    refuses(copied, "is of frame 6, and so is ")
    for frame in (-1, 2.5, "5", None, True):
        path.write_text(json.dumps({**fields, "frame": frame}))
        refuses(copied, f"{path}: frame is {frame}")


def test_a_frame_whose_picture_has_no_number(tmp_path: Path):
    path = tmp_path / "0.json"
    path.write_text(json.dumps({**fields_of(np.ones((25, 3), np.float32), 7), "imloc": "picture"}))
    assert read_frame(path)[0] == 7


def test_a_release_that_is_not_whole(copied: Path):
    train = copied / "insta_variety_train.txt"
    content = train.read_text()
    for spoilt, said in (
        ("", "is empty"), ("<html>\n", "'<html>' is no video's name"), (content + "../../etc/passwd\n", "'../../etc"),
        (content + content, "is listed twice"), (content + SPLITS["test"][0], f"{SPLITS['test'][0]} is in "),
    ):  # fmt: skip
        train.write_text(spoilt)
        with pytest.raises(StorageError, match=r"insta_variety_t(rain|est)\.txt: ") as caught:
            list(InstaVariety(copied).videos())
        assert said in str(caught.value)
    train.write_text(content)
    posts = copied / "InstaVariety.json"
    for spoilt, said in (
        ("{}", "is a dict"), ("[{}]", "post 0 lacks"), ("[1]", "post 0 lacks"), ('[{"a"', "damaged"),
        ('[{"download_tag": "yoga", "urls": ["https://instagram.com/p/1"]}]', "names the file"),
    ):  # fmt: skip
        posts.write_text(spoilt)
        with pytest.raises(StorageError, match=r"InstaVariety\.json: ") as caught:
            list(InstaVariety(copied, "all").videos())
        assert said in str(caught.value)
    shutil.rmtree(copied / "InstaVariety_tracks")
    with pytest.raises(StorageError, match="InstaVariety_tracks: missing"):
        list(InstaVariety(copied).videos())
    train.unlink()
    with pytest.raises(StorageError, match=r"insta_variety_train\.txt: missing"):
        list(InstaVariety(copied, "all").missing())


def test_a_hidden_file_that_an_archive_left_is_not_a_frame(tmp_path):
    point = {"x": 5.0, "y": 6.0, "logits": 0.9, "probability": 0.9}
    joints = dict.fromkeys(KEYPOINTS, point)
    box = {"xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9}
    frame = {"frame": 0, "imloc": "frame000001.png", "track_id": 0, "bbox": box}
    (tmp_path / "frame0.json").write_text(json.dumps(frame | joints))
    found = read_track(tmp_path)
    (tmp_path / "._frame0.json").write_bytes(b"\x00\x05\x16\x07")
    again = read_track(tmp_path)
    assert found is not None
    assert again is not None
    assert again[1].tolist() == found[1].tolist()
