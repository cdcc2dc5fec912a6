"""HMMR's TFRecords give back what they were made from, and name the field that is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moviestrip.datasets.prepared.hmmr_records import read_folder, read_sequences
from moviestrip.errors import StorageError
from tests.datasets.official.filmed import FRAMES
from tests.datasets.prepared.tfrecord_files import serialised, write_records
from tests.datasets.prepared.write_hmmr_records import (
    SHARDS,
    TrueSequence,
    Written,
    evaluation_fields,
    training_fields,
    write_hmmr_records,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Written:
    return write_hmmr_records(tmp_path_factory.mktemp("insta_variety"))


def shard(written: Written, number: int = 0) -> Path:
    return written.folder / "train" / f"{SHARDS[number]}.tfrecord"


def test_features_and_labels_come_back(written: Written):
    found = {sequence.name: sequence for sequence in read_folder(written.folder)}
    expected = {name: truth for name, truth in written.sequences.items() if truth.phi is not None}
    assert found.keys() == expected.keys()
    for name, truth in expected.items():
        sequence = found[name]
        assert np.array_equal(sequence.phi, truth.phi)
        assert np.abs(sequence.keypoints_px - truth.keypoints_px).max() < 1e-3
        assert np.array_equal(sequence.box_center_px, np.full((FRAMES, 2), 112)) and (sequence.box_scale == 1).all()
        assert (sequence.split, sequence.fps, sequence.subject[:5]) == ("train", 25, "4518_")
        assert sequence.has_3d.all() == (truth.joints_m is not None) == sequence.has_3d.any()
        assert sequence.has_body.all() == (truth.pose is not None) == sequence.has_body.any()
        if truth.joints_m is not None:
            assert np.array_equal(sequence.joints_m, truth.joints_m)
            assert np.array_equal(sequence.pose, truth.pose)
            assert np.array_equal(sequence.betas, np.tile(truth.betas, (FRAMES, 1)))
        else:
            assert not sequence.joints_m.any() and not sequence.pose.any()


def test_test_records_are_one_video_of_several_people(written: Written):
    found = list(read_sequences(written.folder / "test" / "golf_4369_n.tfrecord", "test"))
    assert [(sequence.name, sequence.person) for sequence in found] == [("golf_4369_n", 0), ("golf_4369_n", 1)]
    for sequence in found:
        truth = written.sequences[f"{sequence.name}/{sequence.person}"]
        assert np.array_equal(sequence.keypoints_px, truth.keypoints_px)
        assert sequence.phi is None and sequence.pose is None and sequence.time_frames == (0, FRAMES)
        assert sequence.filenames[0] == "frames_raw/golf/4369_n/frame00001.jpg"
    with pytest.raises(StorageError, match=r"golf_4369_n\.tfrecord: golf_4369_n has no image/phis"):
        list(read_folder(written.folder, "test"))


def test_pictures_are_read_when_asked_for(written: Written, tmp_path: Path):
    sequence = next(read_sequences(shard(written), "train"))
    truth = written.sequences[sequence.name]
    assert tuple(sequence.picture(frame) for frame in range(FRAMES)) == truth.pictures
    fields = evaluation_fields(truth, "a/b")
    del fields["image/encoded"], fields["image/filenames"]
    write_records(tmp_path / "x.tfrecord", [serialised(fields)])
    (bare,) = read_sequences(tmp_path / "x.tfrecord", "test")
    assert bare.filenames == ()
    with pytest.raises(StorageError, match="x was made without pictures"):
        bare.picture(0)
    write_records(tmp_path / "y.tfrecord", [serialised({**fields, "image/encoded": [b"GIF89a"] * FRAMES})])
    (strange,) = read_sequences(tmp_path / "y.tfrecord", "test")
    with pytest.raises(StorageError, match="image/encoded of frame 2 is no JPEG file"):
        strange.picture(2)


def test_without_faces_and_toes_they_are_not_seen(written: Written, tmp_path: Path):
    truth = next(iter(written.sequences.values()))
    fields = training_fields(truth, "a/b")
    del fields["image/face_pts"]
    fields["image/toe_pts"] = np.zeros(0)
    write_records(tmp_path / "x.tfrecord", [serialised(fields)])
    (sequence,) = read_sequences(tmp_path / "x.tfrecord", "train")
    assert not sequence.keypoints_px[:, 14:].any() and sequence.keypoints_px[:, :14].any()


def test_what_is_not_a_number_is_not_seen(written: Written, tmp_path: Path):
    truth = next(iter(written.sequences.values()))
    fields = training_fields(truth, "a/b")
    places = np.array(fields["image/xys"])
    places[3, 0, 5] = np.nan
    write_records(tmp_path / "x.tfrecord", [serialised({**fields, "image/xys": places})])
    (sequence,) = read_sequences(tmp_path / "x.tfrecord", "train")
    assert not sequence.keypoints_px[3, 5].any() and sequence.keypoints_px[4, 5, 2]


WRONG: dict[str, tuple[Any, str]] = {
    "meta/N": (None, "meta/N: absent; the record holds image/cams, "),
    "image/xys": (np.zeros((FRAMES, 2, 13)), f"image/xys: 1248 values, expected {FRAMES} x 2 x 14"),
    "image/visibilities": (np.zeros((FRAMES, 14)), "image/visibilities: a list of float32, expected int64"),
    "image/phis": (np.zeros((FRAMES, 1024)), f"image/phis: 49152 values, expected {FRAMES} x 2048"),
    "image/toe_pts": ([b"x"], "image/toe_pts: a list of bytes, expected float32"),
    "image/encoded": ([b"\xff\xd8"], f"image/encoded: 1 values, expected {FRAMES} of bytes"),
    "image/filenames": (np.zeros(3), "image/filenames: a list of float32, expected bytes"),
    "mosh/gt3ds": (np.zeros((FRAMES, 13, 3)), f"mosh/gt3ds: 1872 values, expected {FRAMES} x 14 x 3"),
    "mosh/poses": (np.zeros((FRAMES, 69)), f"mosh/poses: 3312 values, expected {FRAMES} x 72"),
    "mosh/shape": (np.zeros(300), "mosh/shape: 300 values, expected 10"),
}


@pytest.mark.parametrize("field", WRONG)
def test_fields_that_are_wrong(written: Written, tmp_path: Path, field: str):
    value, said = WRONG[field]
    labelled = next(truth for truth in written.sequences.values() if truth.pose is not None)
    refuses(tmp_path, labelled, {field: value}, said)


def test_values_that_are_wrong(written: Written, tmp_path: Path):
    truth = next(iter(written.sequences.values()))
    pixels = truth.keypoints_px.transpose(0, 2, 1)[:, :2, :14]
    refuses(tmp_path, truth, {"image/xys": pixels}, "beside features, the crop is from -1 to 1")
    refuses(tmp_path, truth, {"image/encoded": np.arange(FRAMES)}, f"image/encoded: {FRAMES} values, expected")
    refuses(tmp_path, truth, {"meta/N": np.array([0])}, "meta/N: 0, expected a number of frames")
    refuses(tmp_path, truth, {"meta/N": np.array([-4])}, "meta/N: -4, expected a number of frames")
    refuses(tmp_path, truth, {"meta/N": np.array([2**40])}, "meta/N: 1099511627776, expected")
    refuses(tmp_path, truth, {"image/phis": np.full((FRAMES, 2048), np.nan)}, "phi: not finite in 48 frames")


def refuses(folder: Path, truth: TrueSequence, changes: dict[str, Any], said: str) -> None:
    path = folder / "train" / "x.tfrecord"
    fields = {name: value for name, value in (training_fields(truth, "a/b") | changes).items() if value is not None}
    write_records(path, [serialised(fields)])
    with pytest.raises(StorageError) as caught:
        list(read_folder(folder))
    assert str(path) in str(caught.value) and said in str(caught.value) and "\n" not in str(caught.value)


def test_a_truncated_shard(written: Written, tmp_path: Path):
    path = tmp_path / "train" / "x.tfrecord"
    path.parent.mkdir()
    content = shard(written).read_bytes()
    path.write_bytes(content[: len(content) - 1000])
    sequences = read_folder(tmp_path)
    assert next(sequences).name == "x/0000"
    with pytest.raises(StorageError, match=r"x\.tfrecord: damaged: it ends at byte"):
        next(sequences)


def test_no_records(tmp_path: Path):
    with pytest.raises(StorageError, match=r"train: holds no \*\.tfrecord"):
        list(read_folder(tmp_path))
