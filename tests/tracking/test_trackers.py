"""The trackers on people whose identities are known, and on the failure that Detect-and-Track is known for."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from moviestrip.config import TrackingSettings
from moviestrip.errors import FatalError
from moviestrip.skeleton import BODY_25
from moviestrip.tables import DETECTIONS, SHOTS, TRACKS, empty, unstack, write_table
from moviestrip.tracking.trackers import TRACKERS, detect_and_track, moviestrip_tracker, track_shard, track_video

SETTINGS = TrackingSettings()
BOTH = pytest.mark.parametrize("settings", [TrackingSettings(tracker=name) for name in TRACKERS], ids=list(TRACKERS))
FAITHFUL = TrackingSettings(tracker="detect-and-track")


def person(x_px: float, y_px: float = 200, height_px: float = 100, seed: int = 0) -> np.ndarray:
    """A (25, 3) person of some fixed pose, centred at x, y."""
    pose = np.random.default_rng(seed).uniform(-0.5, 0.5, (len(BODY_25), 2)) * [0.4, 1.0]
    return np.column_stack([pose * height_px + [x_px, y_px], np.full(len(BODY_25), 0.9)]).astype(np.float32)


def crossing(n_frames: int = 60, jitter_px: float = 1.5) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Two people of different build walking through each other, in shuffled order, and who is who."""
    rng = np.random.default_rng(5)
    people, identities = [], []
    for frame in range(n_frames):
        pair = np.stack([person(100 + 5 * frame, 200, 120, 1), person(400 - 5 * frame, 205, 110, 2)])
        pair[..., :2] += rng.normal(0, jitter_px, pair[..., :2].shape)
        order = rng.permutation(2)
        people.append(pair[order])
        identities.append(order)
    return people, identities


def switches(found: list[np.ndarray], true: list[np.ndarray]) -> int:
    """How often a true person's identity changes between the frames it has one."""
    names: dict[int, list[int]] = {}
    for ids, truth in zip(found, true, strict=True):
        for identity, who in zip(ids, truth, strict=True):
            if identity >= 0:
                names.setdefault(int(who), []).append(int(identity))
    return sum(int((np.diff(sequence) != 0).sum()) for sequence in names.values())


def test_people_who_cross_keep_their_identities():
    people, truth = crossing()
    found = moviestrip_tracker(people, SETTINGS)
    assert switches(found, truth) == 0
    assert {int(i) for ids in found for i in ids} == {0, 1}


@pytest.mark.parametrize("gap_frames", [1, 3, 10, 11, SETTINGS.maximum_gap_frames])
def test_a_gap_up_to_the_limit_keeps_the_identity(gap_frames):
    people = [person(100 + frame)[None] for frame in range(60)]
    for frame in range(20, 20 + gap_frames):
        people[frame] = people[frame][:0]
    found = np.concatenate(moviestrip_tracker(people, SETTINGS))
    assert (found == 0).all()


def test_a_longer_gap_begins_a_new_track():
    gap = range(20, 21 + SETTINGS.maximum_gap_frames)
    people = [person(100)[None][: int(frame not in gap)] for frame in range(70)]
    found = np.concatenate(moviestrip_tracker(people, SETTINGS))
    assert sorted(set(found.tolist())) == [0, 1]


def test_a_distorted_last_sight_does_not_end_a_track():
    """Half behind an obstacle, a person shrinks to a stub; behind it gone; then back where they were."""
    people = [person(100)[None] for _ in range(40)]
    for frame in (18, 19):
        people[frame] = person(125, 160, 35, seed=7)[None]
    for frame in range(20, 25):
        people[frame] = people[frame][:0]
    found = np.concatenate(moviestrip_tracker(people, SETTINGS))
    assert (np.delete(found, [18, 19]) == 0).all()
    assert set(found.tolist()) <= {0, -1}


def test_people_occluded_while_crossing_are_told_apart_by_their_motion():
    people, truth = crossing(jitter_px=0.5)
    for frame in range(28, 33):  # the one behind is not seen
        keep = truth[frame] == 0
        people[frame], truth[frame] = people[frame][keep], truth[frame][keep]
    assert switches(moviestrip_tracker(people, SETTINGS), truth) == 0


def test_a_flicker_and_a_weak_detection_found_no_track():
    people = [person(100)[None] for _ in range(30)]
    ghost = person(400, seed=3)[None]
    people[10] = np.concatenate([people[10], ghost])
    weak = person(700, seed=3)[None]
    weak[..., 2] = 0.2
    for frame in range(15, 25):
        people[frame] = np.concatenate([people[frame], weak])
    found = moviestrip_tracker(people, SETTINGS)
    assert [ids.tolist() for ids in found] == [[0, -1] if len(p) == 2 else [0] for p in people]


def test_a_weak_detection_carries_a_track_on():
    people = [person(100)[None] for _ in range(20)]
    for frame in range(8, 14):
        people[frame][..., 2] = 0.15
    assert (np.concatenate(moviestrip_tracker(people, SETTINGS)) == 0).all()


def test_detect_and_track_loses_a_person_after_one_missed_frame():
    people = [person(100)[None] if frame != 10 else person(100)[None][:0] for frame in range(20)]
    found = np.concatenate(detect_and_track(people, FAITHFUL))
    assert found.tolist() == [0] * 10 + [1] * 9


def test_detect_and_track_links_people_who_do_not_touch():
    """No gate: when one leaves as another enters far away, they share an identity. Ours keeps them apart."""
    people = [person(100 if frame < 10 else 900, seed=0 if frame < 10 else 4)[None] for frame in range(20)]
    assert set(np.concatenate(detect_and_track(people, FAITHFUL)).tolist()) == {0}
    assert np.concatenate(moviestrip_tracker(people, SETTINGS)).tolist() == [0] * 10 + [1] * 10


def test_detect_and_track_keeps_apart_people_who_stand_apart():
    people = [np.stack([person(100 + f), person(400 - f, seed=2)]) for f in range(30)]
    assert [ids.tolist() for ids in detect_and_track(people, FAITHFUL)] == [[0, 1]] * 30


@pytest.mark.faults
@BOTH
def test_fault_16_no_people_a_hundred_people_and_nobody_visible(settings):
    nobody = np.zeros((0, 25, 3), np.float32)
    assert [len(ids) for ids in track_video([nobody] * 3, settings)] == [0, 0, 0]
    unseen = np.zeros((2, 25, 3), np.float32)
    broken = np.full((1, 25, 3), np.nan, np.float32)
    crowd = np.stack([person(60 * (i % 10), 150 * (i // 10), seed=i) for i in range(100)])
    found = track_video([crowd, nobody, unseen, broken, crowd, crowd, crowd], settings)
    assert [len(ids) for ids in found] == [100, 0, 2, 1, 100, 100, 100]
    last = [ids.tolist() for ids in found[-3:]]
    assert last[0] == last[1] == last[2]
    assert len(set(last[0])) == 100


def chaos(seed: int, n_frames: int = 24) -> list[np.ndarray]:
    """A few people who drift, are missed, seen in part, broken, repeated or made up."""
    rng = np.random.default_rng(seed)
    starts, speeds = rng.uniform(50, 400, (4, 2)), rng.normal(0, 6, (4, 2))
    frames = []
    for frame in range(n_frames):
        group = [person(*place, 100, who) for who, place in enumerate(starts + frame * speeds)]
        group += [person(*rng.uniform(0, 500, 2), rng.uniform(20, 150), 9) for _ in range(rng.poisson(0.4))]
        people = np.stack(group)[rng.random(len(group)) < 0.8]
        people[..., :2] += rng.normal(0, 2, people[..., :2].shape)
        people[..., 2] *= rng.choice([0, 0.2, 1], people[..., 2].shape, p=[0.2, 0.1, 0.7])
        people[rng.random(len(people)) < 0.05] = rng.choice([0, np.nan, np.inf])
        frames.append(people)
    return frames


@pytest.mark.faults
@BOTH
@tried(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_fault_16_whatever_is_detected_a_track_has_at_most_one_detection_a_frame(settings, seed):
    people = chaos(seed)
    found = track_video(people, settings)
    assert [len(ids) for ids in found] == [len(group) for group in people]
    for ids in found:
        kept = ids[ids >= 0]
        assert len(set(kept.tolist())) == len(kept)
    numbers = np.unique(np.concatenate(found))
    assert numbers[numbers >= 0].tolist() == list(range(sum(numbers >= 0)))


def partition(found: list[np.ndarray], order: list[np.ndarray]) -> set[frozenset[tuple[int, int]]]:
    """Which detections, named by frame and original place, are one person."""
    members: dict[int, set[tuple[int, int]]] = {}
    for frame, (ids, places) in enumerate(zip(found, order, strict=True)):
        for identity, place in zip(ids.tolist(), places.tolist(), strict=True):
            members.setdefault(identity, set()).add((frame, place))
    return {frozenset(group) for identity, group in members.items() if identity >= 0}


@tried(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_identities_do_not_depend_on_the_order_of_detections(seed):
    """Ours only: without a gate, Detect-and-Track links people who share nothing, and such links all cost the same."""
    people, rng = chaos(seed), np.random.default_rng(seed)
    order = [rng.permutation(len(group)) for group in people]
    shuffled = [group[places] for group, places in zip(people, order, strict=True)]
    plain = [np.arange(len(group)) for group in people]
    base = partition(track_video(people, SETTINGS), plain)
    assert base
    assert partition(track_video(shuffled, SETTINGS), order) == base


def test_a_confirmed_track_needs_so_many_detections():
    people = [person(100)[None][: int(frame in (3, 4, 5, 6))] for frame in range(12)]
    kept = [
        int((np.concatenate(track_video(people, TrackingSettings(confirmed_after_frames=needed))) >= 0).sum())
        for needed in (4, 5)
    ]
    assert kept == [4, 0]


def test_two_people_hidden_for_long_are_told_apart_by_where_both_come_from_and_go():
    """Both vanish behind something for longer than motion is predicted ahead, and come out on the other side."""
    people, truth = crossing(60, jitter_px=0.5)
    for frame in range(22, 38):
        people[frame], truth[frame] = people[frame][:0], truth[frame][:0]
    slow = [group.copy() for group in people]
    for frame, group in enumerate(slow):  # half as fast: within reach
        pair = np.stack([person(190 + 1.5 * frame, 200, 120, 1), person(310 - 1.5 * frame, 205, 110, 2)])
        group[:] = pair[truth[frame]]
    assert switches(moviestrip_tracker(slow, SETTINGS), truth) == 0


def test_a_person_seen_twice_in_one_frame_keeps_the_identity():
    """A distorted sight leads the track away in the very frame in which a good one could begin another."""
    people = [person(100 + 10 * max(frame - 20, 0))[None] for frame in range(40)]
    people[20] = np.stack([person(92, 195, 85), person(125)])
    for frame in range(21, 40):
        people[frame] = person(130)[None]
    found = moviestrip_tracker(people, SETTINGS)
    assert {int(ids.max()) for ids in found} == {0}
    assert (found[20] >= 0).sum() == 1


def detections_of(videos: dict[str, list[np.ndarray]]) -> pd.DataFrame:
    rows = [
        (video, frame, index, keypoints.reshape(-1))
        for video, people in videos.items()
        for frame, group in enumerate(people)
        for index, keypoints in enumerate(group)
    ]
    return pd.DataFrame(rows, columns=empty(DETECTIONS).columns)


def shots_of(first_frames: dict[str, list[int]], n_frames: int) -> pd.DataFrame:
    rows = [
        (video, shot, first, (*begins[1:], n_frames)[shot] - first)
        for video, begins in first_frames.items()
        for shot, first in enumerate(begins)
    ]
    return pd.DataFrame(rows, columns=empty(SHOTS).columns)


@BOTH
def test_nobody_is_tracked_across_a_cut(settings):
    people, _ = crossing(40)
    detections = detections_of({"a": people, "b": people})
    whole = track_shard(detections, settings)
    cut = track_shard(detections, settings, shots_of({"a": [0, 11, 25], "b": [0]}, 40))
    assert whole.groupby("video_id")["track"].nunique().tolist() == [2, 2]
    assert cut.groupby("video_id")["track"].nunique().tolist() == [6, 2]
    in_a = cut[cut["video_id"] == "a"]
    shot = np.searchsorted([11, 25], in_a["frame"], side="right")
    assert in_a.groupby("track").agg(lambda column: shot[column.index[0]])["frame"].tolist() == [0, 0, 1, 1, 2, 2]
    assert pd.Series(shot).groupby(in_a["track"].to_numpy()).nunique().max() == 1
    same = cut[cut["video_id"] == "b"].reset_index(drop=True)
    expected = whole[whole["video_id"] == "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, expected)


@tried(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(1, 23), max_size=4, unique=True))
def test_a_cut_video_is_tracked_as_its_shots_are(seed, cuts):
    people, begins = chaos(seed), [0, *sorted(cuts)]
    people = [np.nan_to_num(group, nan=0, posinf=0) for group in people]
    tracks = track_shard(detections_of({"a": people}), SETTINGS, shots_of({"a": begins}, 24))
    assert not tracks.duplicated(["track", "frame"]).any()
    count = 0
    for first, end in zip(begins, [*begins[1:], 24], strict=True):
        alone = np.concatenate(track_video(people[first:end], SETTINGS))
        inside = tracks[tracks["frame"].between(first, end - 1)]
        assert len(inside) == (alone >= 0).sum()
        assert set(inside["track"]) == set(range(count, count + int(alone.max(initial=-1)) + 1))
        count += int(alone.max(initial=-1)) + 1


def test_a_video_without_its_shots_is_refused():
    detections = detections_of({"a": crossing(20)[0]})
    with pytest.raises(FatalError, match="video a: people are detected in it but it has no shots"):
        track_shard(detections, SETTINGS, shots_of({"b": [0]}, 20))


def test_a_shard_becomes_a_table_of_tracks(tmp_path):
    people, _ = crossing(20)
    rows = [
        {"video_id": video, "frame": frame + 3, "person": index, "keypoints": keypoints.reshape(-1)}
        for video in ("b", "a")
        for frame, group in enumerate(people)
        for index, keypoints in enumerate(group)
    ]
    tracks = track_shard(pd.DataFrame(rows, columns=empty(DETECTIONS).columns), SETTINGS)
    write_table(tmp_path / "tracks.parquet", tracks, TRACKS)
    assert list(tracks["video_id"].unique()) == ["a", "b"]
    assert tracks.groupby(["video_id", "track"]).size().tolist() == [20] * 4
    assert tracks["frame"].min() == 3


def test_a_shard_without_detections_is_an_empty_table(tmp_path):
    write_table(tmp_path / "tracks.parquet", track_shard(empty(DETECTIONS), SETTINGS), TRACKS)
    lonely = pd.DataFrame([{"video_id": "a", "frame": 0, "person": 0, "keypoints": unstack(person(0)[None])[0]}])
    write_table(tmp_path / "lonely.parquet", track_shard(lonely, SETTINGS), TRACKS)
