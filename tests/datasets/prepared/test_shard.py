"""A shard of imported sequences holds what the stages would have made of videos."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from moviestrip.config import CurationSettings, DatasetSettings
from moviestrip.curate.clips import clip_id_of, selected
from moviestrip.curate.filters import FILTERS
from moviestrip.curate.tube import person_tube
from moviestrip.datasets.prepared.base import PreparedSequence
from moviestrip.datasets.prepared.shard import PreparedTables, prepared_tables
from moviestrip.errors import FatalError
from moviestrip.tables import SCHEMAS, read_table, stack, write_table
from moviestrip.video.fetch import video_id_of

FRAMES = 45
CURATION = CurationSettings()


def a_sequence(name: str = "walk", frames: int = FRAMES, **changed: Any) -> PreparedSequence:
    """Someone 200 px tall, stepping 2 px a frame, of whom everything is known."""
    random = np.random.default_rng(len(name))
    keypoints = np.ones((frames, 25, 3), np.float32)
    keypoints[..., 0] = 100 + 2 * np.arange(frames)[:, None] + np.linspace(0, 40, 25)
    keypoints[..., 1] = np.linspace(50, 250, 25)
    keypoints[:, 5, 2] = 0.05
    shapes = {"joints_m": (14, 3), "trunk_m": (3, 3), "pose": (72,), "betas": (10,), "intrinsics_px": (4,)}
    known = {each: random.normal(size=(frames, *shape)).astype(np.float32) for each, shape in shapes.items()}
    given = {
        "split": "train", "fps": 30.0, "phi": random.normal(size=(frames, 16)).astype(np.float32),
        "keypoints_px": keypoints, "has_3d": np.arange(frames) > 0, "has_body": np.arange(frames) > 1,
        "crop_center_px": np.full((frames, 2), 90, np.float32), "crop_scale": np.full(frames, 0.7, np.float32),
    }  # fmt: skip
    return PreparedSequence.of(name, **(given | known | changed))


def tables_of(*sequences: PreparedSequence, supervision: str = "full_3d", **curation: Any) -> PreparedTables:
    settings = DatasetSettings(
        role="pseudo2d", title="T", licence="none", supervision=supervision, tube="truth",
        source={"kind": "folder", "path": "."},
    )  # fmt: skip
    curated = CURATION.model_copy(update=curation)
    return prepared_tables(iter(sequences), "d", settings, "d-0000", "resnet50-spin", curated)


def test_full_3d_keeps_everything_that_is_known(tmp_path):
    sequence = a_sequence(subject="S1", camera="left", gender="female", trusted=np.arange(FRAMES) % 2 == 0)
    tables = tables_of(sequence)
    for name in ("videos", "clips", "attributes", "labels", "crops"):
        write_table(tmp_path / name, getattr(tables, name), SCHEMAS[name])
    labels = read_table(tmp_path / "labels", SCHEMAS["labels"])
    clips = read_table(tmp_path / "clips", SCHEMAS["clips"])
    assert clips["clip_id"].tolist() == [clip_id_of(video_id_of("d/train/walk"), 0, 0)]
    assert clips[["subject", "camera", "fps", "n_frames"]].iloc[0].tolist() == ["S1", "left", 30, FRAMES]
    np.testing.assert_array_equal(stack(labels["keypoints_2d"], 25, 3), sequence.keypoints_px)
    np.testing.assert_array_equal(stack(labels["pose"])[2:], sequence.pose[2:])
    np.testing.assert_array_equal(stack(labels["trunk_3d_m"], 3, 3)[1:], sequence.trunk_m[1:])
    assert not stack(labels["joints_3d_m"])[0].any() and not stack(labels["betas"])[:2].any()
    assert np.isnan(stack(labels["trunk_3d_m"])[0]).all()
    assert labels["has_3d"].tolist() == sequence.has_3d.tolist()
    assert labels["has_body"].tolist() == sequence.has_body.tolist()
    assert labels["trusted"].tolist() == sequence.trusted.tolist() and (labels["gender"] == "female").all()
    np.testing.assert_array_equal(tables.phi, sequence.phi)


def test_truth_2d_lets_no_3d_through():
    labels = tables_of(a_sequence(), supervision="truth_2d").labels
    assert not labels["has_3d"].any() and not labels["has_body"].any()
    for name in ("joints_3d_m", "pose", "betas", "translation_m", "intrinsics_px"):
        assert not stack(labels[name]).any()
    assert np.isnan(stack(labels["trunk_3d_m"])).all()


def test_a_detectors_keypoints_count_from_the_minimum_on():
    confidence = stack(tables_of(a_sequence(), supervision="pseudo_2d").labels["keypoints_2d"], 25, 3)[:, 5]
    assert not confidence.any()


def test_the_box_is_measured_where_none_is_given():
    sequence = a_sequence()
    labels = tables_of(sequence).labels
    tube = person_tube(sequence.keypoints_px, CURATION)
    np.testing.assert_allclose(labels["box_scale"], tube[:, 2], rtol=1e-6)
    np.testing.assert_allclose(stack(labels["box_center_px"], 2), tube[:, :2], rtol=1e-6)
    box = {"box_center_px": np.full((FRAMES, 2), 7, np.float32), "box_scale": np.full(FRAMES, 2, np.float32)}
    tables = tables_of(a_sequence(**box, crop_center_px=None, crop_scale=None))
    for table in (tables.labels, tables.crops):
        assert (table["box_scale"] == 2).all() and (stack(table["box_center_px"]) == 7).all()


def test_a_clip_that_fails_keeps_its_verdicts_and_nothing_else():
    short, long = a_sequence("short", 20), a_sequence("long")
    tables = tables_of(short, long)
    assert tables.clips["n_frames"].tolist() == [20, FRAMES] and len(tables.attributes) == 2 * len(FILTERS)
    used = selected(tables.clips, tables.attributes)["clip_id"].tolist()
    assert used == tables.index["clip_id"].tolist() == pd.unique(tables.labels["clip_id"]).tolist()
    np.testing.assert_array_equal(tables.phi, long.phi)


def test_people_and_pieces_of_a_video_share_its_row():
    pieces = a_sequence(subject="a"), a_sequence(subject="b", person=1), a_sequence(subject="a", first_frame=60)
    tables = tables_of(*pieces, a_sequence(split="test"))
    assert tables.videos["n_frames"].tolist() == [105, 45] and tables.videos["subject"].tolist() == ["", ""]
    assert tables.clips["clip_id"].is_unique and tables.clips["track"].tolist() == [0, 1, 0, 0]
    assert tables.index["start"].tolist() == [0, 45, 90, 135]
    np.testing.assert_array_equal(tables.labels["video_frame"][90:135], np.arange(60, 105))


def test_what_cannot_be_one_shard_is_refused():
    with pytest.raises(FatalError, match="same name, person and first frame"):
        tables_of(a_sequence(), a_sequence())
    with pytest.raises(FatalError, match=r"30\.0 and 25\.0 frames"):
        tables_of(a_sequence(), a_sequence(fps=25.0, person=1))
    with pytest.raises(FatalError, match=r"\[8, 16\] dimensions"):
        tables_of(a_sequence(), a_sequence("other", phi=np.zeros((FRAMES, 8), np.float32)))
    with pytest.raises(FatalError, match="d-0000: no sequence"):
        tables_of()


def test_an_empty_shard_has_tables():
    tables = tables_of(a_sequence(frames=3))
    assert len(tables.labels) == len(tables.crops) == len(tables.index) == 0 and tables.phi.shape == (0, 16)
    assert list(tables.labels.columns) == [column.name for column in SCHEMAS["labels"].columns]
