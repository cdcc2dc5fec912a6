"""The trackers on people whose identities are known, and on the failure that Detect-and-Track is known for."""

import numpy as np
import pandas as pd
import pytest

from moviestrip.config import TrackingSettings
from moviestrip.skeleton import BODY_25
from moviestrip.tables import DETECTIONS, TRACKS, empty, unstack, write_table
from moviestrip.tracking.trackers import detect_and_track, moviestrip_tracker, track_shard, track_video

SETTINGS = TrackingSettings()
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


@pytest.mark.parametrize("gap_frames", [1, 3, 10])
def test_a_gap_up_to_the_limit_keeps_the_identity(gap_frames):
    people = [person(100 + 3 * frame)[None] for frame in range(50)]
    for frame in range(20, 20 + gap_frames):
        people[frame] = people[frame][:0]
    found = np.concatenate(moviestrip_tracker(people, SETTINGS))
    assert (found == 0).all()


def test_a_longer_gap_begins_a_new_track():
    people = [person(100)[None] if frame < 20 or frame > 31 else person(100)[None][:0] for frame in range(60)]
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
@pytest.mark.parametrize("settings", [SETTINGS, FAITHFUL], ids=["moviestrip", "detect-and-track"])
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


@pytest.mark.parametrize("settings", [SETTINGS, FAITHFUL], ids=["moviestrip", "detect-and-track"])
def test_identities_do_not_depend_on_the_order_of_detections(settings):
    people, truth = crossing()
    base = track_video(people, settings)
    turned = track_video([group[::-1] for group in people], settings)
    for a, b, who in zip(base, turned, truth, strict=True):
        order = np.argsort(who)
        assert len(a) == len(b) == len(order)
    assert switches(turned, [who[::-1] for who in truth]) == switches(base, truth)


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
