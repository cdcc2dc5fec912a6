"""Labels under each kind of supervision, written and read back as real tables."""

import numpy as np
import pandas as pd
import pytest

from moviestrip.config import CurationSettings, DatasetSettings
from moviestrip.curate.clips import curate_shard, selected
from moviestrip.datasets.base import Dataset
from moviestrip.datasets.labels import label_shard, pseudo_keypoints
from moviestrip.datasets.registry import dataset_named
from moviestrip.errors import FatalError
from moviestrip.skeleton import BODY_25, HMMR_25
from moviestrip.tables import LABELS, TRACKS, TRUTH, VIDEOS, empty, read_table, stack, with_defaults, write_table

SETTINGS = CurationSettings(minimum_frames=10)
COLUMNS_3D = {"joints_3d_m": 42, "pose": 72, "betas": 10, "translation_m": 3, "intrinsics_px": 4}
N_FRAMES = 30


def dataset(supervision, tube):
    return DatasetSettings(
        role="pseudo2d", title="T", licence="none", supervision=supervision, tube=tube, split="train",
        source={"kind": "folder", "path": "."},
    )  # fmt: skip


VIDEO = pd.DataFrame(
    [["v", "d", "s", "train", "", "", "", "", "", "ok", "", 640, 480, 25.0, N_FRAMES, "", 0.0, 0.0, 0.0]],
    columns=empty(VIDEOS).columns,
)


def person(frame, joints):
    """Someone 200 px tall, stepping 2 px a frame."""
    keypoints = np.ones((joints, 3), np.float32)
    keypoints[:, 0] = 100 + 2 * frame + np.linspace(0, 40, joints)
    keypoints[:, 1] = np.linspace(50, 250, joints)
    return keypoints


def truth():
    rng = np.random.default_rng(0)
    rows = [
        {
            "video_id": "v", "frame": frame, "person": number, "subject": "S1", "action": "walking", "motion_id": "m",
            "keypoints_2d": person(frame + 100 * number, 25).reshape(-1),
            "burst": "blur" if frame in (4, 5) else "none",
            **{name: rng.normal(size=size).astype(np.float32) for name, size in COLUMNS_3D.items()},
        }
        for frame in range(N_FRAMES)
        for number in (0, 1)
    ]  # fmt: skip
    return with_defaults(pd.DataFrame(rows), TRUTH).sample(frac=1, random_state=0)  # order must not matter


def tracks(missing=()):
    rows = [
        {"video_id": "v", "track": 0, "frame": frame, "keypoints": person(frame, 25).reshape(-1)}
        for frame in range(N_FRAMES)
        if frame not in missing
    ]
    return pd.DataFrame(rows, columns=empty(TRACKS).columns)


def labelled(settings, people, tmp_path):
    clips, attributes = curate_shard("d", settings, VIDEO, people, SETTINGS)
    labels = label_shard(settings, selected(clips, attributes), people, SETTINGS)
    write_table(tmp_path / "labels.parquet", labels, LABELS)
    return read_table(tmp_path / "labels.parquet", LABELS)


def test_full_3d_keeps_the_annotation_of_the_followed_person(tmp_path):
    people = truth()
    labels = labelled(dataset("full_3d", "truth"), people, tmp_path)
    expected = people[people["person"] == 0].sort_values("frame")
    assert labels["has_3d"].all()
    for name in ("keypoints_2d", *COLUMNS_3D):
        np.testing.assert_array_equal(stack(labels[name]), stack(expected[name]))
    assert labels["burst"].tolist() == expected["burst"].tolist()


def test_truth_2d_has_no_3d_left_in_any_column(tmp_path):
    people = truth()
    labels = labelled(dataset("truth_2d", "truth"), people, tmp_path)
    assert not labels["has_3d"].any()
    assert not any(stack(labels[name]).any() for name in COLUMNS_3D)
    assert (labels["burst"] == "blur").sum() == 2
    assert stack(labels["keypoints_2d"]).any()


def test_pseudo_2d_takes_the_tracked_keypoints_over_by_name(tmp_path):
    labels = labelled(dataset("pseudo_2d", "tracks"), tracks(), tmp_path)
    found = stack(labels["keypoints_2d"], 25, 3)
    for name in set(HMMR_25) & set(BODY_25):
        here, there = HMMR_25.index(name), BODY_25.index(name)
        np.testing.assert_allclose(found[3, here], person(3, 25)[there])
    assert (found[:, HMMR_25.index("head_top"), 2] == 0).all()
    assert not labels["has_3d"].any()
    assert set(labels["burst"]) == {"none"}


def test_frames_and_boxes_follow_the_person_over_a_gap(tmp_path):
    labels = labelled(dataset("pseudo_2d", "tracks"), tracks(missing=range(12, 16)), tmp_path)
    assert labels["frame"].tolist() == labels["video_frame"].tolist() == list(range(N_FRAMES))
    assert not stack(labels["keypoints_2d"])[12:16].any()
    centers = stack(labels["box_center_px"])
    np.testing.assert_allclose(centers[8:20, 0], 120 + 2 * np.arange(8, 20), atol=0.2)
    np.testing.assert_allclose(labels["box_scale"], 150 / np.hypot(40, 200), rtol=1e-5)


def test_what_is_hardly_seen_is_not_labelled():
    keypoints = np.ones((1, 25, 3), np.float32)
    keypoints[0, BODY_25.index("left_knee"), 2] = 0.09
    keypoints[0, BODY_25.index("right_knee")] = [np.nan, 1, 1]
    labels = pseudo_keypoints(keypoints, 0.1)[0]
    assert not labels[HMMR_25.index("left_knee")].any()
    assert not labels[HMMR_25.index("right_knee")].any()
    assert labels[HMMR_25.index("nose"), 2] == 1


def test_no_clips_no_labels(tmp_path):
    write_table(
        tmp_path / "labels.parquet",
        label_shard(dataset("pseudo_2d", "tracks"), empty(TRACKS), empty(TRACKS), SETTINGS),
        LABELS,
    )


@pytest.mark.parametrize("kept", [0, 20])
def test_clips_that_do_not_fit_the_people_are_an_error(kept):
    settings, people = dataset("pseudo_2d", "tracks"), tracks()
    clips, _ = curate_shard("d", settings, VIDEO, people, SETTINGS)
    with pytest.raises(FatalError, match="curate the shard again"):
        label_shard(settings, clips, people[people["frame"] < kept], SETTINGS)


def test_the_contract_chains_clips_to_labels():
    plain = dataset_named("mine", dataset("full_3d", "truth"))
    assert type(plain) is Dataset
    clips, _ = plain.clips(VIDEO, truth(), SETTINGS)
    labels = plain.labels(clips, truth(), SETTINGS)
    assert set(clips["dataset"]) == {"mine"}
    assert labels.groupby("clip_id").size().tolist() == clips["n_frames"].tolist()
