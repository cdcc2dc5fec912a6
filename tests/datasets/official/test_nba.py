"""NBA's reader gives back exactly what miniature records were made from, and names what is wrong with one."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from moviestrip.datasets.official import release_named
from moviestrip.datasets.official.nba import Nba
from moviestrip.errors import StorageError
from moviestrip.skeleton import HMMR_25
from tests.datasets.official.write_nba import FIRST_FRAME, FRAMES, Written, example, write_nba, write_record

NAME = "val/game03_shot001"
STEM = "game03_shot001"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Written:
    return write_nba(tmp_path_factory.mktemp("nba"))


def people_in(folder: Path, name: str = NAME):
    release = Nba(folder)
    return release.people(next(video for video in release.videos() if video.name == name))


def record_of(folder: Path) -> Path:
    return folder / f"{NAME}.tfrecord"


def fields_of(written: Written, stem: str = STEM) -> dict:
    paths = [f"/scratch1/nba/frames/{stem}/{frame + 1:06d}.jpg" for frame in range(FIRST_FRAME, FRAMES)]
    return example(paths, written.people[NAME].keypoints_px, (FIRST_FRAME, FRAMES))


def require_truth(people, truth) -> None:
    assert np.array_equal(people.frame, truth.frame) and not people.person.any()
    assert np.abs(people.keypoints_px - truth.keypoints_px).max() < 1e-3
    assert not people.has_3d.any() and not people.has_body.any() and people.trusted.all()


def test_the_truth_comes_back(written: Written):
    release = release_named("nba")(written.folder)
    found = {video.name: video for video in release.videos()}
    assert found.keys() == written.people.keys()
    for name, truth in written.people.items():
        require_truth(release.people(found[name]), truth)
        assert len(list((written.folder / found[name].file).glob("*.jpg"))) == FRAMES


def test_splits(written: Written):
    splits = [video.split for video in Nba(written.folder).videos()]
    assert splits == ["train", "train", "validation", "validation", "test", "test"]


def test_several_records_are_several_people(copied: Path, written: Written):
    fields = fields_of(written)
    write_record(record_of(copied), [fields, fields])
    people = people_in(copied)
    assert np.array_equal(np.unique(people.person), [0, 1])
    assert np.array_equal(people.keypoints_px[people.person == 0], people.keypoints_px[people.person == 1])


def test_records_without_feet_serve(copied: Path, written: Written):
    fields = fields_of(written)
    del fields["image/toe_pts"]
    write_record(record_of(copied), [fields])
    keypoints, truth = people_in(copied).keypoints_px, written.people[NAME].keypoints_px
    assert np.abs(keypoints[:, :19] - truth[:, :19]).max() < 1e-3 and not keypoints[:, 19:].any()


def test_frames_in_which_nothing_is_visible_have_no_row(copied: Path, written: Written):
    fields = fields_of(written)
    fields["image/visibilities"][:14] = [0] * 14
    for name in ("image/face_pts", "image/toe_pts"):
        fields[name][0, 2] = 0
    write_record(record_of(copied), [fields])
    assert people_in(copied).frame[0] == FIRST_FRAME + 1


def test_unknown_positions_are_not_positions(copied: Path, written: Written):
    fields = fields_of(written)
    fields["image/xys"][5, 0, HMMR_25.index("neck")] = np.nan
    write_record(record_of(copied), [fields])
    neck = people_in(copied).keypoints_px[:, HMMR_25.index("neck")]
    assert np.flatnonzero(neck[:, 2] == 0).tolist() == [5] and not neck[5].any()


def refuses(folder: Path, *said: str) -> None:
    with pytest.raises(StorageError) as caught:
        people_in(folder)
    for words in said:
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_records_made_for_training(copied: Path, written: Written):
    path, fields = record_of(copied), fields_of(written)
    write_record(path, [fields | {"image/scale_factors": np.repeat(fields["image/scale_factors"], 2)}])
    refuses(
        copied, f"{path}: is a record made for training (92 scale_factors for 46 frames", "for evaluation, or import"
    )
    write_record(path, [fields | {"image/heightwidths": [300] * 92}])
    refuses(copied, f"{path}: is a record made for training", "crops of 300 px")


@pytest.mark.parametrize("kept", [0, 5, 0.3, 0.999])
def test_truncated_records(copied: Path, kept: float):
    path = record_of(copied)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept if kept >= 1 else kept * len(content))])
    refuses(copied, f"{path}: ")


def test_records_that_are_none(copied: Path):
    path = record_of(copied)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refuses(copied, f"{path}: ")
    path.write_bytes(b"<html>Please log in</html>" * 30)
    refuses(copied, f"{path}: ")


def test_fields_that_are_missing_or_wrong(copied: Path, written: Written):
    path, fields = record_of(copied), fields_of(written)
    without = {name: value for name, value in fields.items() if name != "image/xys"}
    for spoilt, said in (
        (without, "has no numbers image/xys; it holds image/"),
        ({**fields, "image/xys": [b"x"]}, "has no numbers image/xys"),
        ({**fields, "image/xys": fields["image/xys"][:, :, :13]}, "image/xys has 1196 numbers, expected (46, 2, 14)"),
        ({**fields, "meta/N": [0]}, "meta/N is 0, expected a number of frames"),
        ({**fields, "meta/N": [45]}, "expected (45, 2, 14)"),
        ({**fields, "meta/N": [46, 46]}, "meta/N has 2 numbers, expected (1,)"),
        ({**fields, "image/crop_pts": [1, 2]}, "image/crop_pts has 2 numbers"),
        (
            {**fields, "image/scale_factors": np.zeros(46)},
            "image/scale_factors are not scales of pictures of 160 x 128",
        ),
        ({**fields, "image/filenames": fields["image/filenames"][:-1]}, "are not the names of 46 files"),
        ({**fields, "image/filenames": fields["image/filenames"][::-1]}, "are not in the order of the pictures"),
    ):
        write_record(path, [spoilt])
        refuses(copied, f"{path}: ", said)


def test_records_and_pictures_of_another_sequence(copied: Path, written: Written):
    path = record_of(copied)
    write_record(path, [fields_of(written, "game03_shot007")])
    refuses(copied, f"{path}: is of /scratch1/nba/frames/game03_shot007/000003.jpg, not of a picture in")
    write_record(path, [fields_of(written) | {"image/crop_pts": [2000] * 92}])
    refuses(copied, f"{path}: ", "of the visible joints lie outside the pictures", "160 x 128")


def test_pictures_that_are_missing_or_none(copied: Path):
    folder = copied / "frames" / STEM
    (folder / "000009.jpg").unlink()
    refuses(copied, f"{folder / '000009.jpg'}: missing, though {record_of(copied)} names it")
    (folder / "000001.jpg").write_bytes(b"no picture")
    refuses(copied, f"{folder / '000001.jpg'}: is not a picture that can be read")
    for path in folder.iterdir():
        path.unlink()
    refuses(copied, f"{folder}: holds no picture")
    folder.rmdir()
    refuses(copied, f"{folder}: missing; the NBA dataset of HMMR is expected")


def test_y_was_multiplied_by_the_factor_of_the_width(copied: Path, written: Written):
    folder, fields = copied / "frames" / STEM, fields_of(written)
    for path in folder.iterdir():
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (321, 128)))
    factor = np.floor(321 * fields["image/scale_factors"]) / 321
    crop_y = fields["image/xys"][:, 1, HMMR_25.index("right_knee")]
    y = (crop_y + np.array(fields["image/crop_pts"]).reshape(-1, 2)[:, 1] - 224) / factor
    assert np.abs(people_in(copied).keypoints_px[:, HMMR_25.index("right_knee"), 1] - y).max() < 1e-3


def test_a_release_that_is_not_whole(copied: Path, tmp_path: Path):
    with pytest.raises(StorageError, match="nowhere: there is no such folder; put the NBA dataset of HMMR there"):
        Nba(tmp_path / "nowhere")
    record_of(copied).with_name("game03_shot007.tfrecord").unlink()
    record_of(copied).unlink()
    refuses(copied, "val: holds no record such as SEQUENCE.tfrecord")
    (copied / "val").rmdir()
    refuses(copied, "val: missing; the NBA dataset of HMMR is expected")
