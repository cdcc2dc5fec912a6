"""PoseTrack18's reader gives back exactly what a miniature release was made from, and names what is wrong with one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from moviestrip.datasets.official import release_named
from moviestrip.datasets.official.posetrack import PoseTrack18
from moviestrip.errors import StorageError
from moviestrip.skeleton import HMMR_25
from tests.datasets.official.write_posetrack import NAMES, Written, write_posetrack

NAME = "val/000342_mpii_test"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Written:
    return write_posetrack(tmp_path_factory.mktemp("posetrack"))


def people_in(folder: Path, name: str = NAME):
    release = PoseTrack18(folder)
    return release.people(next(video for video in release.videos() if video.name == name))


def annotation_of(folder: Path, name: str = NAME) -> Path:
    return folder / "posetrack_data" / "annotations" / f"{name}.json"


def spoil(folder: Path, change, name: str = NAME) -> Path:
    """The annotation after `change` was made to its content."""
    path = annotation_of(folder, name)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def require_truth(people, truth) -> None:
    assert np.array_equal(people.person, truth.person) and np.array_equal(people.frame, truth.frame)
    assert np.abs(people.keypoints_px - truth.keypoints_px).max() < 1e-3
    assert not people.has_3d.any() and not people.has_body.any() and people.trusted.all()


def test_the_truth_comes_back(written: Written):
    release = release_named("posetrack18")(written.folder)
    found = {video.name: video for video in release.videos()}
    assert found.keys() == written.people.keys()
    for name, truth in written.people.items():
        require_truth(release.people(found[name]), truth)
        assert (written.folder / found[name].file / "000000.jpg").is_file()


def test_the_lower_head_is_the_neck_and_ears_are_not_annotated(written: Written):
    people = people_in(written.folder)
    seen = {name for name, confidence in zip(HMMR_25, people.keypoints_px[0, :, 2], strict=True) if confidence}
    assert len(seen) == 15 and {"neck", "head_top", "nose", "left_ankle"} < seen
    assert not {"left_ear", "right_ear", "left_heel", "left_eye"} & seen


def test_frames_without_labels_and_people_without_joints_have_no_row(written: Written):
    assert people_in(written.folder, "train/000001_bonn_train").frame.min() == 2
    people = people_in(written.folder)
    assert set(people.frame[people.person == 0]) - set(people.frame[people.person == 1]) == {30, 31, 32}
    assert np.diff(people_in(written.folder, "val/009473_mpii_test").frame).max() == 4


def test_splits_by_rule(written: Written):
    def splits(rule: str) -> list[str]:
        return [video.split for video in PoseTrack18(written.folder, rule).videos()]

    assert splits("official") == ["train", "train", "validation", "validation"]
    assert splits("val-is-test") == ["train", "train", "test", "test"]
    assert splits("vibe") == ["train", "train"]


def test_annotations_may_lie_beside_the_images(copied: Path, written: Written):
    (copied / "posetrack_data" / "annotations").rename(copied / "annotations")
    (copied / "posetrack_data").rmdir()
    require_truth(people_in(copied), written.people[NAME])


def test_joints_are_found_by_their_names(copied: Path, written: Written):
    def reverse(content: dict) -> None:
        content["categories"][0]["keypoints"] = NAMES[::-1]
        for label in content["annotations"]:
            triples = np.array(label["keypoints"]).reshape(-1, 3)
            label["keypoints"] = triples[::-1].ravel().tolist()

    spoil(copied, reverse)
    require_truth(people_in(copied), written.people[NAME])


def test_unknown_positions_are_not_positions(copied: Path):
    def scatter(content: dict) -> None:
        for number, value in enumerate((float("nan"), -3000, 40000)):
            content["annotations"][2 * number]["keypoints"][3 * NAMES.index("head_top")] = value

    spoil(copied, scatter)
    head = people_in(copied).keypoints_px[:, HMMR_25.index("head_top")]
    assert not head[:3].any() and head[3:48, 2].all()


def test_pictures_after_the_last_label_may_lack(copied: Path, written: Written):
    name = "val/009473_mpii_test"  # labelled up to frame 44
    for frame in (45, 47):
        (copied / "images" / name / f"{frame:06d}.jpg").unlink()
    require_truth(people_in(copied, name), written.people[name])


def test_a_video_in_which_nobody_is_labelled(copied: Path):
    spoil(copied, lambda content: content["annotations"].clear())
    people = people_in(copied)
    assert people.keypoints_px.shape == (0, 25, 3) and people.keypoints_px.dtype == np.float32


def refuses(folder: Path, *said: str) -> None:
    with pytest.raises(StorageError) as caught:
        people_in(folder)
    for words in said:
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 0.3, 0.999])
def test_truncated_annotations(copied: Path, kept: float):
    path = annotation_of(copied)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    refuses(copied, f"{path}: damaged, or not a JSON file", "extract it again")


def test_annotations_of_another_layout(copied: Path):
    path = annotation_of(copied)
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    refuses(copied, f"{path}: damaged, or not a JSON file")
    path.write_text("[1, 2]")
    refuses(copied, f"{path}: is a JSON list")
    path.write_text(json.dumps({"annolist": []}))
    refuses(copied, f"{path}: has no list 'images'; it holds annolist")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content.pop("annotations"), "has no list 'annotations'"),
        (lambda content: content["annotations"][5].pop("track_id"), "annotations[5].track_id is None, expected int"),
        (lambda content: content["images"][1].update(id="17"), "images[1].id is '17', expected int"),
        (lambda content: content["images"].append(7), "images[48].id is None, expected int"),
        (lambda content: content["annotations"][3].update(keypoints=[1.0] * 45), "have shape (45,), expected (51,)"),
        (lambda content: content["annotations"][3].update(keypoints=["x"] * 51), "are not numbers"),
        (lambda content: content["annotations"][3].update(keypoints=[[1, 2], [3]]), "are not numbers"),
        (lambda content: content["annotations"][3].update(image_id=5), "image 5, which is not among its images"),
        (lambda content: content["annotations"][1].update(track_id=0), "track_id 0 is twice in frame 0"),
        (lambda content: content["categories"].clear(), "categories name no joint nose, head_bottom"),
        (
            lambda content: content["categories"][0].update(keypoints=["neck", *NAMES[2:], "nose"]),
            "categories name no joint head_bottom; is it of another year's release?",
        ),
        (
            lambda content: content["images"][0].update(file_name="images/val/000522_mpii_test/000000.jpg"),
            "images/val/000522_mpii_test/000000.jpg is not in val/000342_mpii_test",
        ),
    ],
)
def test_fields_that_are_missing_or_wrong(copied: Path, change, said: str):
    path = spoil(copied, change)
    refuses(copied, f"{path}: ", said)


def test_labels_of_another_video(copied: Path):
    def move(content: dict) -> None:
        for label in content["annotations"]:
            label["keypoints"][::3] = [value + 300 for value in label["keypoints"][::3]]

    path = spoil(copied, move)
    refuses(copied, f"{path}: ", "of the visible joints lie outside the pictures of", "160 x 128")


def test_pictures_that_are_missing(copied: Path):
    folder = copied / "images" / NAME
    (folder / "000009.jpg").unlink()
    refuses(copied, f"{folder / '000009.jpg'}: missing, though {annotation_of(copied)} names it")
    shutil.rmtree(folder)
    refuses(copied, f"{folder}: missing, though there is {annotation_of(copied)}")


def test_a_release_that_is_not_whole(copied: Path, tmp_path: Path):
    with pytest.raises(StorageError, match="nowhere: there is no such folder; put PoseTrack18 there"):
        PoseTrack18(tmp_path / "nowhere")
    for path in annotation_of(copied).parent.iterdir():
        path.unlink()
    refuses(copied, "annotations/val: holds no annotation such as")
    shutil.rmtree(copied / "posetrack_data")
    refuses(copied, f"{copied / 'annotations'}: missing; PoseTrack18 is expected")
