"""VIBE's and TCMR's databases give back exactly what they were made from, and a wrong file is named."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import h5py
import joblib
import numpy as np
import pytest

from moviestrip.config import CurationSettings, DatasetSettings
from moviestrip.datasets.prepared.base import PreparedSequence
from moviestrip.datasets.prepared.shard import PreparedTables, prepared_tables
from moviestrip.datasets.prepared.vibe_db import (
    ListedSequence,
    VibeDbOptions,
    list_sequences,
    read_sequences,
)
from moviestrip.errors import ConfigError, FatalError, StorageError
from moviestrip.storage import read_features, write_features
from moviestrip.tables import CROPS, FEATURE_INDEX, LABELS, SCHEMAS, read_table, stack, write_table
from moviestrip.training.data import ShardFiles, read_clips
from tests.datasets.prepared.write_vibe_db import FRAMES, TrueSequence, Written, write_vibe_db

FILES = (
    "3dpw_train_db.pt", "3dpw_val_db.pt", "3dpw_test_db.pt", "h36m_train_25fps_db.pt", "mpii3d_train_scale12_db.pt",
    "mpii3d_val_scale12_db.pt", "pennaction_train_db.pt", "posetrack_train_db.pt", "insta_train_db.h5",
)  # fmt: skip


@pytest.fixture(scope="module")
def written_vibe_db(tmp_path_factory: pytest.TempPathFactory, free_body: Path) -> Written:
    return write_vibe_db(tmp_path_factory.mktemp("vibe_db"))


def read_all(path: Path, **options: Any) -> list[PreparedSequence]:
    return list(read_sequences(path, list_sequences(path), VibeDbOptions(**options)))


def by_video(sequences: list[PreparedSequence]) -> Mapping[str, list[PreparedSequence]]:
    found: dict[str, list[PreparedSequence]] = {}
    for sequence in sequences:
        found.setdefault(sequence.name, []).append(sequence)
    return found


def changed(path: Path, folder: Path, change: Callable[[dict[str, Any]], Any], name: str | None = None) -> Path:
    """A copy of a database of which something is different."""
    fields = joblib.load(path)
    change(fields)
    target = folder / (name or path.name)
    joblib.dump(fields, target)
    return target


@pytest.mark.parametrize("file", FILES)
def test_the_truth_comes_back(written_vibe_db: Written, file: str):
    found = by_video(read_all(written_vibe_db.folder / file))
    truth = written_vibe_db.files[file]
    assert list(found) == list(truth)
    for video, pieces in truth.items():
        assert len(found[video]) == len(pieces)
        for sequence, true in zip(found[video], pieces, strict=True):
            assert_equal(sequence, true)


def assert_equal(found: PreparedSequence, true: TrueSequence) -> None:
    assert (found.person, found.first_frame, found.fps) == (true.person, true.first_frame, true.fps)
    np.testing.assert_array_equal(found.phi, true.phi)
    np.testing.assert_array_equal(found.keypoints_px[..., 2], true.keypoints_px[..., 2])
    np.testing.assert_allclose(found.keypoints_px, true.keypoints_px, atol=1e-3)
    np.testing.assert_allclose(found.crop_center_px, true.crop[:, :2], atol=1e-3)
    np.testing.assert_allclose(found.crop_scale, true.crop[:, 2], rtol=1e-6)
    np.testing.assert_array_equal(found.trusted, true.trusted)
    assert (found.has_3d == (true.joints_m is not None)).all()
    assert (found.has_body == (true.pose is not None)).all()
    if true.joints_m is not None:
        np.testing.assert_allclose(found.joints_m, true.joints_m, atol=1e-4)
    if true.trunk_m is None:
        assert np.isnan(found.trunk_m).all()
    else:
        np.testing.assert_allclose(found.trunk_m, true.trunk_m, atol=1e-4)
    if true.pose is not None:
        assert found.pose.tobytes() == true.pose.tobytes() and found.betas.tobytes() == true.betas.tobytes()
    assert found.gender == "unknown" and found.box_scale is None


def test_names_say_who_where_and_which_split(written_vibe_db: Written):
    folder = written_vibe_db.folder
    assert {each.split for each in read_all(folder / "3dpw_val_db.pt")} == {"validation"}
    test = read_all(folder / "mpii3d_val_scale12_db.pt")  # VIBE calls the test set so
    assert [(each.split, each.subject) for each in test] == [("test", "TS1"), ("test", "TS2")]
    train = read_all(folder / "mpii3d_train_scale12_db.pt")[-1]
    assert (train.subject, train.camera, train.name) == ("S1", "4", "subj1_seq2_vid4")
    assert [each.subject for each in read_all(folder / "h36m_train_25fps_db.pt")] == ["S5", "S6"]


def test_human36m_may_have_the_14_joints_alone(written_vibe_db: Written, tmp_path: Path):
    def keep_14(fields: dict[str, Any]) -> None:
        fields["joints3D"] = fields["joints3D"][:, 25:39]

    file = "h36m_test_front_25fps_tight_nosmpl_db.pt"
    path = changed(written_vibe_db.folder / "h36m_train_25fps_db.pt", tmp_path, keep_14, file)
    whole, some = read_all(written_vibe_db.folder / "h36m_train_25fps_db.pt")[0], read_all(path)[0]
    np.testing.assert_array_equal(some.joints_m, whole.joints_m)
    assert np.isnan(some.trunk_m).all() and some.split == "test" and some.crop_scale is not None
    np.testing.assert_allclose(some.crop_scale, 1.2 * np.asarray(whole.crop_scale), rtol=1e-6)


def test_a_gap_ends_a_sequence_unless_asked(written_vibe_db: Written):
    path = written_vibe_db.folder / "3dpw_train_db.pt"
    listed = list_sequences(path)[-1:]
    assert [each.first_frame for each in read_sequences(path, listed)] == [0, FRAMES]
    joined = list(read_sequences(path, listed, VibeDbOptions(across_gaps=True)))
    assert [each.n_frames for each in joined] == [listed[0].n_rows] == [2 * FRAMES - 2]


def test_a_few_sequences_are_read_alone(written_vibe_db: Written):
    path = written_vibe_db.folder / "insta_train_db.h5"
    whole, last = read_all(path), list_sequences(path)[1]
    assert last.first_row == FRAMES
    (alone,) = read_sequences(path, [ListedSequence(**asdict(last))])
    np.testing.assert_array_equal(alone.phi, whole[1].phi)


@pytest.mark.parametrize(
    ("file", "factor"),
    [
        ("mpii3d_train_db.pt", 1.3), ("mpii3d_train_scale12_db.pt", 1.2), ("mpii3d_train_scale12_new_occ_db.pt", 1.2),
        ("mpii3d_train_scale1_db.pt", 1.0),
    ],
)  # fmt: skip
def test_the_name_says_how_far_features_were_cropped(
    written_vibe_db: Written, tmp_path: Path, file: str, factor: float
):
    shutil.copy(written_vibe_db.folder / "mpii3d_train_scale12_db.pt", tmp_path / file)
    first, asked = (read_all(tmp_path / file, **options)[0] for options in ({}, {"crop_factor": 1.1}))
    truth = written_vibe_db.files["mpii3d_train_scale12_db.pt"]["subj1_seq1_vid0"][0].crop[:, 2]
    np.testing.assert_allclose(first.crop_scale, truth * 1.2 / factor, rtol=1e-6)
    np.testing.assert_allclose(asked.crop_scale, truth * 1.2 / 1.1, rtol=1e-6)


def test_what_is_not_a_number_is_absent(written_vibe_db: Written, tmp_path: Path):
    def damage(fields: dict[str, Any]) -> None:
        fields["joints2D"][0, 3] = np.nan
        fields["joints3D"][1, 30] = np.nan
        fields["pose"][2] = np.inf

    path = changed(written_vibe_db.folder / "3dpw_train_db.pt", tmp_path, damage)
    first = read_all(path)[0]
    assert (first.keypoints_px[..., 2].sum(axis=1)[:2] == [11, 12]).all()
    assert np.flatnonzero(~first.has_3d).tolist() == [1] and np.flatnonzero(~first.has_body).tolist() == [2]


def settings(supervision: str = "full_3d") -> DatasetSettings:
    return DatasetSettings(
        role="pseudo2d", title="T", licence="none", supervision=supervision, tube="truth",
        source={"kind": "folder", "path": "."},
    )  # fmt: skip


def shard_of(path: Path, listed: list[ListedSequence], supervision: str = "full_3d") -> PreparedTables:
    sequences = read_sequences(path, listed)
    return prepared_tables(sequences, "3dpw", settings(supervision), "3dpw-0000", "resnet50-spin", CurationSettings())


def test_a_shard_is_written_and_trained_on(written_vibe_db: Written, tmp_path: Path):
    path = written_vibe_db.folder / "3dpw_train_db.pt"
    tables = shard_of(path, list_sequences(path))
    for name in ("videos", "clips", "attributes", "labels", "crops"):
        write_table(tmp_path / name, getattr(tables, name), SCHEMAS[name])
    write_table(tmp_path / "index", tables.index, FEATURE_INDEX)
    write_features(tmp_path / "phi.h5", tables.phi, tables.attributes_of_phi)
    assert read_features(tmp_path / "phi.h5")[1]["backbone"] == "resnet50-spin"
    files = ShardFiles(tmp_path / "phi.h5", tmp_path / "index", tmp_path / "crops", tmp_path / "labels")
    clips = read_clips([files], set(tables.clips["clip_id"]), copies=False)
    assert [clip.n_frames for clip in clips.clips] == [48, 48, 46, 48] and clips.feature_size == 2048
    seen = clips.targets(clips.rows_of(clips.clips[0])).keypoints.numpy()
    true = written_vibe_db.files["3dpw_train_db.pt"]["downtown_arguing_00"][0]
    expected = ((true.keypoints_px[..., :2] - true.crop[:, None, :2]) * true.crop[:, None, 2:]) / 112
    known = true.keypoints_px[..., 2] > 0
    np.testing.assert_allclose(seen[..., :2][known], expected[known], atol=1e-4)
    people = read_table(tmp_path / "videos", SCHEMAS["videos"]).set_index("video_id")
    assert people["n_frames"].tolist() == [48, 96] and (people["fps"] == 30).all()


def test_crops_are_where_features_looked_and_labels_where_the_person_is(written_vibe_db: Written):
    path = written_vibe_db.folder / "posetrack_train_db.pt"
    tables = shard_of(path, list_sequences(path), "truth_2d")
    keypoints, scale = stack(tables.labels["keypoints_2d"], 25, 3), tables.labels["box_scale"].to_numpy()
    places = np.where(keypoints[..., 2:] > 0, keypoints[..., :2], np.nan)
    diagonal = np.linalg.norm(np.nanmax(places, axis=1) - np.nanmin(places, axis=1), axis=1)
    assert np.median(scale * diagonal) == pytest.approx(150, rel=0.05)
    true = written_vibe_db.files["posetrack_train_db.pt"]["000001_bonn_train"]
    crops = np.concatenate([each.crop[:, 2] for each in true])
    np.testing.assert_allclose(tables.crops["box_scale"], crops, rtol=1e-6)
    assert list(tables.crops.columns) == [column.name for column in CROPS.columns]
    assert list(tables.labels.columns) == [column.name for column in LABELS.columns]


BROKEN: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "no features": ("3dpw_test_db.pt", lambda fields: fields.pop("features"), "has no 'features', only bbox"),
    "no bodies": ("3dpw_test_db.pt", lambda fields: fields.pop("pose"), "has no 'pose'"),
    "no names": ("3dpw_test_db.pt", lambda fields: fields.pop("vid_name"), "has no 'vid_name'"),
    "half features": (
        "3dpw_test_db.pt", lambda fields: fields.update(features=fields["features"].astype(np.float16)),
        "features: float16, which has steps of 3.9 mm",
    ),
    "half joints": (
        "3dpw_test_db.pt", lambda fields: fields.update(joints3D=fields["joints3D"].astype(np.float16)),
        "joints3D: float16",
    ),
    "whole numbers": (
        "3dpw_test_db.pt", lambda fields: fields.update(bbox=fields["bbox"].astype(np.int64)), "bbox: int64",
    ),
    "other features": (
        "3dpw_test_db.pt", lambda fields: fields.update(features=fields["features"][:, :512]), r"features: .*512",
    ),
    "other joints": (
        "3dpw_test_db.pt", lambda fields: fields.update(joints3D=fields["joints3D"][:, :13]), r"joints3D: .*13, 3",
    ),
    "fewer rows": (
        "3dpw_test_db.pt", lambda fields: fields.update(pose=fields["pose"][:-1]), r"pose: shape \(189, 72\), .*\(190",
    ),
    "fewer frame numbers": (
        "3dpw_test_db.pt", lambda fields: fields.update(frame_id=fields["frame_id"][:-1]), "frame_id: 189 rows",
    ),
    "features not finite": (
        "3dpw_test_db.pt", lambda fields: fields["features"].__setitem__((50, 3), np.nan),
        "'downtown_arguing_00': phi: not finite in 1 frames, the first of them 2",
    ),
    "frames in no order": (
        "3dpw_test_db.pt", lambda fields: fields["frame_id"].__setitem__(slice(3, 5), [4, 3]), "frames do not rise",
    ),
    "pictures without numbers": (
        "pennaction_train_db.pt", lambda fields: fields["img_name"].__setitem__(0, "a.jpg"), "'a.jpg' ends in no",
    ),
    "no boxes": (
        "pennaction_train_db.pt", lambda fields: fields["bbox"].__setitem__(slice(48), 0), "bbox: 0001 has no box",
    ),
    "flat boxes": (
        "pennaction_train_db.pt", lambda fields: fields["bbox"].__setitem__((0, 3), 1), "width and height of 0001",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_field_is_named(written_vibe_db: Written, tmp_path: Path, case: str):
    file, change, found = BROKEN[case]
    path = changed(written_vibe_db.folder / file, tmp_path, change)
    with pytest.raises(StorageError, match=rf"^{path}: .*{found}"):
        read_all(path)


@pytest.mark.parametrize(
    ("file", "named", "found"),
    [
        ("mpii3d_train_scale12_db.pt", "3dpw_train_db.pt", "has no 'pose'"),
        ("3dpw_train_db.pt", "mpii3d_train_db.pt", "joints2D: .*is it a file of mpii3d"),
        ("h36m_train_25fps_db.pt", "mpii3d_train_db.pt", "not how a sequence of mpii3d is called"),
        ("mpii3d_train_scale12_db.pt", "posetrack_train_db.pt", "not how a sequence of posetrack is called"),
        ("posetrack_train_db.pt", "pennaction_train_db.pt", "joints2D"),
        ("3dpw_train_db.pt", "amass_db.pt", "AMASS's motions"),
    ],
)
def test_a_mislabelled_file_is_named(written_vibe_db: Written, tmp_path: Path, file: str, named: str, found: str):
    shutil.copy(written_vibe_db.folder / file, tmp_path / named)
    with pytest.raises(StorageError, match=f"{named}: .*{found}"):
        read_all(tmp_path / named)


def test_a_file_of_another_name_needs_its_dataset_and_split(written_vibe_db: Written, tmp_path: Path):
    path = tmp_path / "mine.pt"
    shutil.copy(written_vibe_db.folder / "3dpw_train_db.pt", path)
    with pytest.raises(ConfigError, match=r"mine\.pt: of which dataset"):
        read_all(path)
    with pytest.raises(ConfigError, match=r"mine\.pt: of which split"):
        read_all(path, dataset="3dpw")
    assert {each.split for each in read_all(path, dataset="3dpw", split="test")} == {"test"}


def test_a_name_in_two_places_is_refused(written_vibe_db: Written, tmp_path: Path):
    def repeat(fields: dict[str, Any]) -> None:
        fields["vid_name"][-3:] = fields["vid_name"][0]

    path = changed(written_vibe_db.folder / "3dpw_train_db.pt", tmp_path, repeat)
    with pytest.raises(StorageError, match="comes in two places, rows"):
        list_sequences(path)


def test_rows_that_moved_since_the_plan_are_refused(written_vibe_db: Written):
    path = written_vibe_db.folder / "3dpw_train_db.pt"
    listed = list_sequences(path)[1]
    for wrong in (replace(listed, first_row=listed.first_row + 1), replace(listed, n_rows=10**9)):
        with pytest.raises(StorageError, match=r"downtown_arguing_00_1 is no longer in rows"):
            list(read_sequences(path, [wrong]))


def test_one_shard_never_holds_a_clip_twice(written_vibe_db: Written):
    path = written_vibe_db.folder / "3dpw_train_db.pt"
    listed = list_sequences(path)[:1]
    with pytest.raises(FatalError, match="same name"):
        shard_of(path, listed * 2)


def test_a_damaged_hdf5_file_is_named(written_vibe_db: Written, tmp_path: Path):
    data = (written_vibe_db.folder / "insta_train_db.h5").read_bytes()
    path = tmp_path / "insta_train_db.h5"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(StorageError, match=r"insta_train_db\.h5: not a readable HDF5 file"):
        list_sequences(path)
    path.unlink()
    with pytest.raises(StorageError, match="there is no such file"):
        list_sequences(path)
    with h5py.File(path, "w") as file:
        file["features"] = np.zeros((3, 2048), np.float32)
    with pytest.raises(StorageError, match="has no 'vid_name', only features"):
        list_sequences(path)
