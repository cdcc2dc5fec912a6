"""Clips from tracks and from truth, through real tables."""

import numpy as np
import pandas as pd
import pytest

from moviestrip.config import CurationSettings, DatasetSettings
from moviestrip.curate.clips import clip_id_of, curate_shard, funnel, selected
from moviestrip.tables import ATTRIBUTES, CLIPS, TRACKS, TRUTH, VIDEOS, empty, read_table, with_defaults, write_table

SETTINGS = CurationSettings(minimum_frames=10, maximum_frames=30)


def dataset(tube="tracks", supervision="pseudo_2d"):
    source = {"kind": "folder", "path": "."}
    return DatasetSettings(
        role="pseudo2d", title="T", licence="none", supervision=supervision, tube=tube, split="train", source=source
    )


def videos(*ids, status="ok"):
    rows = [
        {
            "video_id": video_id, "dataset": "d", "shard": "s", "split": "train", "subject": "", "action": "wave",
            "source": "", "path": "", "sha256": "", "status": status, "reason": "", "width_px": 640,
            "height_px": 480, "fps": 25.0, "n_frames": 100,
        }
        for video_id in ids
    ]  # fmt: skip
    return with_defaults(pd.DataFrame(rows), VIDEOS)


def person(visible=25):
    keypoints = np.zeros((25, 3), np.float32)
    keypoints[:, 1] = np.linspace(10, 210, 25)
    keypoints[:visible, 2] = 0.9
    return keypoints.reshape(-1)


def track(video_id, number, frames, visible=25):
    return [{"video_id": video_id, "track": number, "frame": f, "keypoints": person(visible)} for f in frames]


def table(*groups):
    return pd.DataFrame([row for group in groups for row in group], columns=empty(TRACKS).columns)


def spans(clips):
    return clips[["track", "first_frame", "n_frames"]].to_numpy().tolist()


def test_a_track_is_one_clip_with_a_stable_id(tmp_path):
    clips, attributes = curate_shard("d", dataset(), videos("v"), table(track("v", 4, range(7, 27))), SETTINGS)
    write_table(tmp_path / "clips.parquet", clips, CLIPS)
    write_table(tmp_path / "attributes.parquet", attributes, ATTRIBUTES)
    clips, attributes = (
        read_table(tmp_path / "clips.parquet", CLIPS),
        read_table(tmp_path / "attributes.parquet", ATTRIBUTES),
    )
    assert spans(clips) == [[4, 7, 20]]
    assert clips["clip_id"].tolist() == [clip_id_of("v", 4, 7)]
    assert clips["action"].tolist() == ["wave"]
    assert spans(selected(clips, attributes)) == [[4, 7, 20]]


def test_a_long_track_is_cut_and_its_short_rest_left_out_by_a_filter():
    clips, attributes = curate_shard("d", dataset(), videos("v"), table(track("v", 0, range(65))), SETTINGS)
    assert spans(clips) == [[0, 0, 30], [0, 30, 30], [0, 60, 5]]
    assert spans(selected(clips, attributes)) == [[0, 0, 30], [0, 30, 30]]


def test_a_track_is_cut_where_little_is_seen():
    rows = track("v", 0, range(20)) + track("v", 0, range(20, 28), visible=3) + track("v", 0, range(28, 50))
    clips, _ = curate_shard("d", dataset(), videos("v"), table(rows), SETTINGS)
    assert spans(clips) == [[0, 0, 20], [0, 28, 22]]


def test_a_gap_the_tracker_bridged_does_not_cut():
    frames = [frame for frame in range(25) if not 8 <= frame < 16]
    clips, _ = curate_shard("d", dataset(), videos("v"), table(track("v", 0, frames)), SETTINGS)
    assert spans(clips) == [[0, 0, 25]]


def test_whoever_is_never_well_seen_stays_in_the_tables_as_a_failed_candidate():
    clips, attributes = curate_shard("d", dataset(), videos("v"), table(track("v", 0, range(20), visible=5)), SETTINGS)
    assert spans(clips) == [[0, 0, 20]]
    failed = attributes[~attributes["passed"].astype(bool)]
    assert "visible_keypoints" in failed["filter"].tolist()
    assert len(selected(clips, attributes)) == 0


def test_a_bad_video_gives_no_clips():
    people = table(track("v", 0, range(20)))
    clips, attributes = curate_shard("d", dataset(), videos("v", status="bad_video"), people, SETTINGS)
    assert (len(clips), len(attributes)) == (0, 0)


def test_an_empty_shard_is_two_empty_tables(tmp_path):
    clips, attributes = curate_shard("d", dataset(), videos("v"), empty(TRACKS), SETTINGS)
    write_table(tmp_path / "clips.parquet", clips, CLIPS)
    write_table(tmp_path / "attributes.parquet", attributes, ATTRIBUTES)
    assert funnel(clips, attributes)["clips"].tolist() == [0] * 6


def test_the_funnel_counts_what_each_filter_leaves():
    people = table(track("v", 0, range(20)), track("v", 1, range(5)), track("v", 2, range(12), visible=5))
    clips, attributes = curate_shard("d", dataset(), videos("v"), people, SETTINGS)
    steps = funnel(clips, attributes).set_index("stage")
    assert steps.loc[["candidates", "length", "visible_keypoints"], "clips"].tolist() == [3, 2, 1]
    assert steps.loc["mean_confidence", "frames"] == 20


def truth(video_id, n_frames, person_number):
    zeros = {"joints_3d_m": 42, "pose": 72, "betas": 10, "translation_m": 3, "intrinsics_px": 4}
    return [
        {
            "video_id": video_id, "frame": frame, "person": person_number, "subject": "S1", "action": "walking",
            "motion_id": "m", "keypoints_2d": person(), "burst": "none",
            **{name: np.zeros(size, np.float32) for name, size in zeros.items()},
        }
        for frame in range(n_frames)
    ]  # fmt: skip


@pytest.mark.parametrize("supervision", ["full_3d", "truth_2d"])
def test_with_annotation_the_followed_person_is_one_clip_of_the_whole_video(supervision):
    people = with_defaults(pd.DataFrame(truth("v", 45, 0) + truth("v", 45, 1)), TRUTH)
    clips, attributes = curate_shard("d", dataset("truth", supervision), videos("v"), people, SETTINGS)
    assert spans(clips) == [[0, 0, 45]]
    assert clips.loc[0, ["subject", "action", "motion_id", "supervision"]].tolist() == [
        "S1",
        "walking",
        "m",
        supervision,
    ]
    assert len(selected(clips, attributes)) == 1


def test_a_release_keeps_every_clip_in_which_somebody_is_seen():
    source = {"kind": "official", "release": "3dpw", "splits": ["test"]}
    settings = DatasetSettings(
        role="wild3d", title="T", licence="none", supervision="full_3d", tube="truth", source=source
    )  # fmt: skip
    people = with_defaults(pd.DataFrame(truth("v", 5, 0) + truth("w", 5, 1)), TRUTH)
    unseen = people["video_id"] == "w"
    people.loc[unseen, "keypoints_2d"] = pd.Series([np.zeros(75, np.float32)] * 5, people.index[unseen])
    clips, attributes = curate_shard("d", settings, videos("v", "w"), people, SETTINGS)
    assert len(clips) == 2
    assert SETTINGS.minimum_frames > 5
    assert selected(clips, attributes)["video_id"].tolist() == ["v"]
    short = settings.model_copy(update={"supervision": "pseudo_2d"})
    assert len(selected(*curate_shard("d", short, videos("v", "w"), people, SETTINGS))) == 0
