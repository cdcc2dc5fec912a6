"""Clips from tracks and from truth, through real tables."""

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from moviestrip.config import CurationSettings, DatasetSettings
from moviestrip.curate.clips import BENCHMARK, clip_id_of, curate_shard, filters_of, select, selected
from moviestrip.curate.filters import APPEARANCE, FILTERS
from moviestrip.errors import ConfigError, FatalError
from moviestrip.tables import (
    ATTRIBUTES,
    CLIPS,
    TRACKS,
    TRUTH,
    VIDEOS,
    empty,
    read_table,
    with_defaults,
    write_table,
)

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


def shots(video_id, *starts, n_frames=100):
    lengths = np.diff([*starts, n_frames])
    return pd.DataFrame({"video_id": video_id, "shot": range(len(starts)), "first_frame": starts, "n_frames": lengths})


def verdict_of(attributes, clip, name):
    rows = attributes[(attributes["clip_id"] == clip) & (attributes["filter"] == name)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_cuts_are_counted_within_each_clip():
    people = table(track("v", 0, range(10, 40)), track("v", 1, range(40, 60)), track("w", 0, range(20)))
    found = pd.concat([shots("v", 0, 10, 25, 30, 40, 60), shots("w", 0)])
    clips, attributes = curate_shard("d", dataset(), videos("v", "w"), people, SETTINGS, found)
    counts = [verdict_of(attributes, clip, "shot_cuts")["value"] for clip in clips["clip_id"]]
    assert counts == [2, 0, 0]  # a clip may begin where a shot does, and end where the next begins
    assert selected(clips, attributes)["clip_id"].tolist() == clips["clip_id"].tolist()[1:]
    bold = SETTINGS.model_copy(update={"maximum_shot_cuts": 2})
    assert len(selected(*curate_shard("d", dataset(), videos("v", "w"), people, bold, found))) == 3


def test_without_shots_nobody_looked_for_cuts(tmp_path):
    _, attributes = curate_shard("d", dataset(), videos("v"), table(track("v", 0, range(20))), SETTINGS)
    write_table(tmp_path / "attributes.parquet", attributes, ATTRIBUTES)
    attributes = read_table(tmp_path / "attributes.parquet", ATTRIBUTES)
    verdict = verdict_of(attributes, clip_id_of("v", 0, 0), "shot_cuts")
    assert np.isnan(verdict["value"]) and verdict["passed"]


def test_shots_that_leave_out_a_video_are_an_error():
    with pytest.raises(FatalError, match="shots: none of video v"):
        curate_shard("d", dataset(), videos("v"), table(track("v", 0, range(20))), SETTINGS, shots("w", 0))


def test_every_filter_has_a_row_for_every_clip_and_a_threshold():
    people = table(track("v", 0, range(65)), track("v", 1, range(20), visible=5))
    clips, attributes = curate_shard("d", dataset(), videos("v"), people, SETTINGS, shots("v", 0))
    assert attributes.groupby("clip_id", sort=False)["filter"].apply(list).tolist() == [list(FILTERS)] * len(clips)
    assert attributes["threshold"].notna().all()


THRESHOLDS = {
    "minimum_frames": 25,
    "minimum_person_height_px": 500.0,
    "minimum_mean_confidence": 0.95,
    "minimum_motion": 0.1,
    "minimum_detected_fraction": 0.9,
}


@pytest.mark.parametrize("key", THRESHOLDS)
def test_a_threshold_changes_verdicts_and_nothing_else(key):
    """So that it can be moved without looking at a picture again."""
    frames = [frame for frame in range(20) if not 5 <= frame < 9]
    people = table(track("v", 0, frames), track("v", 1, range(4), visible=5))
    before = curate_shard("d", dataset(), videos("v"), people, SETTINGS)
    moved = SETTINGS.model_copy(update={key: THRESHOLDS[key]})
    after = curate_shard("d", dataset(), videos("v"), people, moved)
    pd.testing.assert_frame_equal(before[0], after[0])
    pd.testing.assert_frame_equal(before[1][["clip_id", "filter", "value"]], after[1][["clip_id", "filter", "value"]])
    assert (len(selected(*before)), len(selected(*after))) == (1, 0)


def test_a_filter_may_be_left_out_of_the_query():
    people = table(track("v", 0, range(20)), track("v", 1, range(5)), track("v", 2, range(12), visible=5))
    clips, attributes = curate_shard("d", dataset(), videos("v"), people, SETTINGS)
    assert select(clips, attributes)["track"].tolist() == [0]
    assert select(clips, attributes, except_for=["length"])["track"].tolist() == [0, 1]
    assert select(clips, attributes, except_for=FILTERS)["track"].tolist() == [0, 1, 2]
    with pytest.raises(ConfigError, match="'lenght' is not known; did you mean 'length'"):
        select(clips, attributes, except_for=["lenght"])


def test_what_pictures_show_counts_where_it_is_known():
    people = table(track("v", 0, range(20)), track("v", 1, range(20)))
    clips, attributes = curate_shard("d", dataset(), videos("v"), people, SETTINGS)
    looks = pd.DataFrame([
        {"clip_id": clip, "filter": name, "value": 5.0, "threshold": 31.0, "passed": number != 1 or name == "sharpness"}
        for number, clip in enumerate(clips["clip_id"]) for name in APPEARANCE
    ])  # fmt: skip
    judged = pd.concat([attributes, looks], ignore_index=True)
    assert selected(clips, judged)["track"].tolist() == [0]
    assert select(clips, judged, except_for=["near_duplicate"])["track"].tolist() == [0, 1]


def test_of_a_release_with_annotation_no_filter_is_forgotten():
    """A filter that is new must say what it asks of a benchmark: that somebody is seen."""
    source = {"kind": "official", "release": "3dpw", "splits": ["test"]}
    release = DatasetSettings(
        role="wild3d", title="T", licence="none", supervision="full_3d", tube="truth", source=source
    )  # fmt: skip
    thresholds = {key for key in CurationSettings.model_fields if key.startswith(("minimum_", "maximum_", "duplicate"))}
    assert thresholds - set(BENCHMARK) == {"maximum_frames", "minimum_confidence"}  # no filters
    people = with_defaults(pd.DataFrame(truth("v", 1, 0)), TRUTH)
    strict = CurationSettings(minimum_motion=9, minimum_sharpness=1, minimum_detected_fraction=1)
    assert len(selected(*curate_shard("d", release, videos("v"), people, strict))) == 1
    assert filters_of(release, strict).duplicate_bits == -1


def first_clip_of_hmmr(counts):
    """HMMR's rule as its release applies it to the visible keypoints of a track: (first frame, frames), or None."""
    smooth = signal.medfilt(np.asarray(counts, float), 5)
    first = int(np.argmax(smooth > 6)) if smooth[0] <= 6 else 0
    low = np.flatnonzero(signal.medfilt(np.asarray(counts[first:], float), 5) <= 4)
    n_frames = int(low[0]) if len(low) else len(counts) - first
    return (first, min(n_frames, 500)) if n_frames >= 40 else None


def tracked_counts(counts):
    """A track in which so many keypoints are visible in each frame."""
    return table([row for frame, count in enumerate(counts) for row in track("v", 0, [frame], visible=count)])


SEEN_WELL = [25] * 3  # beyond the ends the release's median sees zeros, ours the first and last frame


@hypothesis.settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 25), st.integers(1, 60)), max_size=12))
def test_the_first_clip_of_a_track_seen_well_at_first_is_hmmrs(stretches):
    counts = [*SEEN_WELL, *(count for count, n_frames in stretches for _ in range(n_frames)), *SEEN_WELL]
    clips, attributes = curate_shard("d", dataset(), videos("v"), tracked_counts(counts), CurationSettings())
    first = clips.sort_values("first_frame").head(1)
    kept = select(first, attributes, except_for=set(FILTERS) - {"length", "visible_keypoints"})
    found = [(row["first_frame"], row["n_frames"]) for row in kept.to_dict("records")]
    expected = first_clip_of_hmmr(counts)
    assert found == ([] if expected is None else [expected])


@given(st.lists(st.integers(0, 25), min_size=1, max_size=120))
@hypothesis.settings(deadline=None, max_examples=40)
def test_every_stretch_of_a_track_is_a_candidate_and_none_overlap(counts):
    clips, attributes = curate_shard("d", dataset(), videos("v"), tracked_counts(counts), SETTINGS)
    edges = [edge for _, first, n_frames in sorted(spans(clips)) for edge in (first, first + n_frames)]
    assert edges == sorted(edges) and edges[0] >= 0 and edges[-1] <= len(counts)
    assert (clips["n_frames"] <= SETTINGS.maximum_frames).all() and clips["clip_id"].is_unique
    kept = selected(clips, attributes)["clip_id"]
    for row in clips.to_dict("records"):
        judged = attributes[attributes["clip_id"] == row["clip_id"]]
        assert (row["clip_id"] in set(kept)) == judged["passed"].all()


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
