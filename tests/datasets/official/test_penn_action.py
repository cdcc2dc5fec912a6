"""Penn Action's reader gives back exactly what a miniature release was made from, and names what is wrong with one."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from moviestrip.datasets.official import release_named
from moviestrip.datasets.official.penn_action import ACTIONS, PennAction
from moviestrip.errors import StorageError
from moviestrip.skeleton import HMMR_25
from tests.datasets.official.write_penn_action import FRAMES, Written, write_labels, write_penn_action

NAME = "1157"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Written:
    return write_penn_action(tmp_path_factory.mktemp("penn-action"))


def people_in(folder: Path, name: str = NAME):
    release = PennAction(folder)
    return release.people(next(video for video in release.videos() if video.name == name))


def labels_of(folder: Path, name: str = NAME) -> Path:
    return folder / "Penn_Action" / "labels" / f"{name}.mat"


def spoil(folder: Path, **fields) -> Path:
    path = labels_of(folder)
    found = {name: value for name, value in scipy.io.loadmat(path).items() if not name.startswith("__")}
    scipy.io.savemat(path, {name: value for name, value in (found | fields).items() if value is not None})
    return path


def require_truth(people, truth) -> None:
    frames = np.flatnonzero(truth.keypoints_px[..., 2].any(axis=1))
    assert np.array_equal(people.frame, frames) and not people.person.any()
    assert np.abs(people.keypoints_px - truth.keypoints_px[frames]).max() < 1e-3
    assert not people.has_3d.any() and not people.has_body.any() and people.trusted.all()


def test_the_truth_comes_back(written: Written):
    release = release_named("penn-action")(written.folder)
    found = {video.name: video for video in release.videos()}
    assert found.keys() == written.people.keys()
    for name, truth in written.people.items():
        require_truth(release.people(found[name]), truth)
        assert found[name].action == truth.action and found[name].action in ACTIONS
        assert len(list((written.folder / found[name].file).glob("*.jpg"))) == FRAMES


def test_frames_in_which_nothing_is_visible_have_no_row(written: Written):
    assert people_in(written.folder, "2219").frame[0] == 1


def test_the_first_of_each_pair_is_the_persons_right(written: Written):
    path, people = labels_of(written.folder), people_in(written.folder)
    assert np.allclose(people.keypoints_px[:, HMMR_25.index("right_wrist"), 0] + 1, scipy.io.loadmat(path)["x"][:, 5])
    seen = {name for name, confidence in zip(HMMR_25, people.keypoints_px[0, :, 2], strict=True) if confidence}
    assert len(seen) == 13 and {"head_top", "left_ankle"} < seen and not {"neck", "nose", "left_heel"} & seen


def test_the_folder_may_be_the_archives_own(written: Written):
    release = PennAction(written.folder / "Penn_Action")
    video = next(iter(release.videos()))
    assert video.file == "frames/0001"
    require_truth(release.people(video), written.people["0001"])


def test_splits_by_rule(written: Written, tmp_path: Path):
    def splits(rule: str) -> list[str]:
        return [video.split for video in PennAction(written.folder, rule).videos()]

    assert splits("hmmr") == ["train", "validation", "test", "train", "test"]
    assert splits("official") == ["train", "test", "test", "train", "test"]
    assert splits("vibe") == ["train"] * 5
    for number in range(1, 44):
        name = f"{number:04d}"
        (tmp_path / "frames" / name).mkdir(parents=True)
        write_labels(
            tmp_path / "labels" / f"{name}.mat", "bowl", number % 2 == 0, np.zeros((1, 25, 2)), np.zeros((1, 25), bool)
        )
    held_out = [video.name for video in PennAction(tmp_path).videos() if video.split == "validation"]
    assert held_out == ["0001", "0021", "0041"]  # the first, the eleventh and the twenty-first of the odd ones


def test_whole_numbers_serve(copied: Path, written: Written):
    found = scipy.io.loadmat(labels_of(copied))
    spoil(copied, x=np.round(found["x"]).astype(np.uint16), y=np.round(found["y"]).astype(np.uint16),
          visibility=found["visibility"].astype(np.uint8), nframes=np.uint8([[FRAMES]]))  # fmt: skip
    people = people_in(copied)
    assert np.abs(people.keypoints_px - written.people[NAME].keypoints_px).max() <= 0.501


def test_unknown_positions_are_not_positions(copied: Path):
    x = scipy.io.loadmat(labels_of(copied))["x"]
    x[7, 0] = np.nan
    spoil(copied, x=x)
    head = people_in(copied).keypoints_px[:, HMMR_25.index("head_top")]
    assert np.flatnonzero(head[:, 2] == 0).tolist() == [7] and not head[7].any()


def test_pictures_after_the_last_label_are_not_labelled(copied: Path, written: Written):
    folder = copied / "Penn_Action" / "frames" / NAME
    shutil.copy(folder / "000048.jpg", folder / "000049.jpg")
    require_truth(people_in(copied), written.people[NAME])


def refuses(folder: Path, *said: str) -> None:
    with pytest.raises(StorageError) as caught:
        people_in(folder)
    for words in said:
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 60, 0.5, 0.95])
def test_truncated_labels(copied: Path, kept: float):
    path = labels_of(copied)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    refuses(copied, f"{path}: ")


def test_labels_of_other_types(copied: Path):
    found = scipy.io.loadmat(labels_of(copied))
    path = spoil(copied, visibility=None)
    refuses(copied, f"{path}: has no variable visibility; it holds")
    spoil(copied, x=found["x"][:, :12], visibility=found["visibility"])
    refuses(copied, f"{path}: x is float64 (48, 12), expected numbers (48, 13)")
    spoil(copied, x=found["x"].T)
    refuses(copied, f"{path}: x is float64 (13, 48)")
    spoil(copied, x=found["x"] + 1j)
    refuses(copied, f"{path}: x is complex128")
    spoil(copied, x=found["x"], nframes=np.array([[47.5]]))
    refuses(copied, f"{path}: nframes is float64 (1, 1), expected one whole number")
    spoil(copied, nframes=found["nframes"], visibility=3 * found["visibility"])
    refuses(copied, f"{path}: visibility has values other than 0 and 1")
    path.write_bytes(b"<html>Please log in</html>" * 30)
    refuses(copied, f"{path}: damaged, or not a MATLAB file")


def test_mislabelled_videos(copied: Path):
    path, found = labels_of(copied), scipy.io.loadmat(labels_of(copied))
    spoil(copied, action="swimming")
    refuses(copied, f"{path}: action is 'swimming', expected one of baseball_pitch")
    spoil(copied, action="bowl", train=np.array([[2.0]]))
    refuses(copied, f"{path}: train is 2, expected 1 for training or -1")
    spoil(copied, train=found["train"], x=found["x"] + 500)
    refuses(copied, f"{path}: ", "of the visible joints lie outside the pictures of", "160 x 128", "another video")


def test_pictures_that_are_missing_or_none(copied: Path):
    folder = copied / "Penn_Action" / "frames" / NAME
    (folder / "000001.jpg").write_bytes(b"no picture")
    refuses(copied, f"{folder / '000001.jpg'}: is not a picture that can be read")
    (folder / "000001.jpg").unlink()
    refuses(copied, f"{folder}: 47 pictures, but {labels_of(copied)} labels 48 frames")
    shutil.rmtree(folder)
    refuses(copied, f"{folder}: missing, though ", "unpack the archive again")


def test_a_release_that_is_not_whole(copied: Path, tmp_path: Path):
    with pytest.raises(StorageError, match="nowhere: there is no such folder; put Penn Action there"):
        PennAction(tmp_path / "nowhere")
    path = labels_of(copied)
    path.unlink()
    refuses(copied, f"{path}: missing, though ")
    for other in path.parent.iterdir():
        other.unlink()
    refuses(copied, "labels: holds no labels such as 0001.mat")
    shutil.rmtree(path.parent)
    refuses(copied, "labels: missing; Penn Action is expected")
