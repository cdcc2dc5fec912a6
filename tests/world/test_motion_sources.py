"""Every source motion: recognisable by numbers only in part, so also looked at; here what can be measured."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from moviestrip.errors import ConfigError, StorageError
from moviestrip.tables import MOTIONS, read_table, write_table
from moviestrip.world.deepmimic import CLIPS, read_deepmimic
from moviestrip.world.footlock import detect_contacts
from moviestrip.world.kinematics import (
    JOINT,
    Motion,
    RestSkeleton,
    foot_height_m,
    forward_kinematics,
    lowest_point_m,
    skate_m_per_s,
)
from moviestrip.world.motions import (
    DRAW_SPLITS,
    RECORDED_SPLITS,
    MotionLibrary,
    motions_from_table,
    motions_to_table,
    split_of,
)
from moviestrip.world.procedural import FAMILIES, FAMILY_NAMES, H36M_ACTIONS, PENN_ACTIONS, procedural_motion

AIRBORNE = {"pull_ups"}


def joints_of(motion: Motion, rest: RestSkeleton) -> np.ndarray:
    return forward_kinematics(motion.pose, motion.translation_m, rest)[0]


def independent_contacts(joints: np.ndarray) -> np.ndarray:
    """By height alone, unlike the library's: a foot within 1.5 cm of the floor that does not move vertically."""
    height = foot_height_m(joints)
    vertical = np.abs(np.gradient(height, axis=0)) * 25
    return (height < 0.015) & (vertical < 0.05)


def test_every_source_keeps_its_feet(library: MotionLibrary):
    for motion in library:
        joints = joints_of(motion, library.rest)
        off_the_ground = joints[:, :1, 1] > 0.35  # a crawling person's feet do drag
        detected, by_height = detect_contacts(joints, motion.fps), independent_contacts(joints)
        for contacts, fastest_m_per_s in (
            (motion.contacts, 0.05),
            (detected & off_the_ground, 0.1),  # takes a jumping jack's foot for standing while it still lands
            (by_height & off_the_ground, 0.05),
        ):
            speed = skate_m_per_s(joints, contacts, motion.fps)
            assert len(speed) == 0 or np.median(speed) < fastest_m_per_s, motion.motion_id


def test_no_source_goes_through_the_floor_or_floats(library: MotionLibrary):
    for motion in library:
        low = lowest_point_m(joints_of(motion, library.rest))
        assert low.min() > -0.04, motion.motion_id
        if motion.family not in AIRBORNE:
            assert low.min() < 0.05, motion.motion_id


def test_knees_and_elbows_bend_the_right_way(library: MotionLibrary):
    """A knee turns about its own x alone, an elbow about its own y, towards flexion."""
    for motion in library:
        turns = motion.pose.reshape(-1, 24, 3)
        for side, sign in (("left", -1), ("right", 1)):
            knee, elbow = turns[:, JOINT[f"{side}_knee"]], turns[:, JOINT[f"{side}_elbow"]]
            assert knee[:, 0].min() > -0.2, (motion.motion_id, side, "knee")
            assert (sign * elbow[:, 1]).min() > -0.3, (motion.motion_id, side, "elbow")
            assert np.linalg.norm(knee, axis=1).max() < 2.9, motion.motion_id


def test_there_are_many_sources_and_they_differ(library: MotionLibrary):
    families = {motion.family: motion for motion in library}
    assert len(families) >= 55
    middles = np.stack(
        [joints_of(motion, library.rest)[:: max(1, len(motion) // 10)][:10] for motion in families.values()]
    )
    middles = middles - middles[:, :, :1]
    distance = np.linalg.norm(middles[:, None] - middles[None], axis=-1).mean(axis=(2, 3))
    others = distance[~np.eye(len(distance), dtype=bool)]
    assert others.mean() > 0.25
    assert others.min() > 0.02


def test_draws_of_a_family_differ_by_more_than_tempo(rest: RestSkeleton):
    """No frame-by-frame alignment in time brings two draws of a family together."""
    for family in FAMILY_NAMES:
        first, second = (joints_of(procedural_motion(family, seed, 125, rest=rest), rest) for seed in (0, 1))
        first, second = first - first[:, :1], second - second[:, :1]
        pairs = np.linalg.norm(first[:, None] - second[None], axis=-1).mean(axis=-1)
        assert pairs.min(axis=1).mean() > 0.02, family


def test_the_papers_actions_are_there():
    assert len(PENN_ACTIONS) == 15 and len(H36M_ACTIONS) == 15
    assert set(PENN_ACTIONS) | set(H36M_ACTIONS) <= set(FAMILIES)


def test_a_seed_gives_the_same_bits(rest: RestSkeleton):
    first, second = (procedural_motion("tennis_serve", 5, 60, rest=rest) for _ in range(2))
    assert np.array_equal(first.pose, second.pose) and np.array_equal(first.translation_m, second.translation_m)
    other = procedural_motion("tennis_serve", 6, 60, rest=rest)
    assert not np.array_equal(first.pose, other.pose)


def test_an_unknown_family_is_named_with_the_known_ones(rest: RestSkeleton):
    with pytest.raises(ConfigError, match="'juggling'; known: baseball_pitch"):
        procedural_motion("juggling", 0, 10, rest=rest)


def test_splits_never_share_a_source(library: MotionLibrary):
    split_by_id = dict(zip((motion.motion_id for motion in library), library.splits, strict=True))
    assert len(split_by_id) == len(library)
    clips = [clip for names in RECORDED_SPLITS.values() for clip in names]
    assert sorted(clips) == sorted(name.replace("_", "-") for name in CLIPS)
    for split in ("train", "validation", "test"):
        assert len({motion.family for motion in library.of_split(split)}) >= 40
    assert split_of(f"squats-{len(DRAW_SPLITS) - 1}") == "test"
    with pytest.raises(ConfigError, match="squats-99"):
        split_of("squats-99")


def test_procedural_sources_do_not_repeat_across_draws(library: MotionLibrary):
    digests = {motion.pose.tobytes() for motion in library}
    assert len(digests) == len(library)


def test_the_table_round_trips(library: MotionLibrary, tmp_path: Path):
    part = MotionLibrary(library.motions[:4], library.splits[:4], library.rest)
    write_table(tmp_path / "motions.parquet", motions_to_table(part), MOTIONS)
    again = motions_from_table(read_table(tmp_path / "motions.parquet", MOTIONS), library.rest)
    assert again.splits == part.splits
    for before, after in zip(part, again, strict=True):
        assert before.motion_id == after.motion_id and before.cyclic == after.cyclic and before.fps == after.fps
        assert np.array_equal(before.pose, after.pose) and np.array_equal(before.contacts, after.contacts)
        assert np.array_equal(before.translation_m, after.translation_m)


def hand_written_wheel(path: Path, frames: list[list[float]], names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as wheel:
        for name in names:
            wheel.writestr(f"pybullet_data/data/motions/humanoid3d_{name}.txt", json.dumps({"Frames": frames}))
    return path


def upright_frames(n_frames: int = 12) -> list[list[float]]:
    frame = [1 / 30, 0, 0.9, 0] + [1, 0, 0, 0] * 3 + [1, 0, 0, 0] + [-0.3] + [1, 0, 0, 0] * 2 + [0.4]
    frame += [1, 0, 0, 0] + [-0.3] + [1, 0, 0, 0] * 2 + [0.4]
    return [frame] * n_frames


def test_a_recorded_clip_faces_forward_and_stands(rest: RestSkeleton, tmp_path: Path):
    archive = hand_written_wheel(tmp_path / "motions.whl", upright_frames(), sorted(CLIPS))
    motion = read_deepmimic(archive, rest)[0]
    joints = joints_of(motion, rest)
    assert motion.fps == 25 and len(motion) == 10
    assert joints[0, JOINT["left_shoulder"], 0] > joints[0, JOINT["right_shoulder"], 0] + 0.2
    assert joints[0, JOINT["left_foot"], 2] > joints[0, JOINT["left_ankle"], 2]
    assert joints[0, JOINT["left_wrist"], 1] < joints[0, JOINT["left_elbow"], 1] < joints[0, JOINT["left_shoulder"], 1]
    assert abs(foot_height_m(joints)).max() < 0.03


def test_a_wheel_without_a_clip_or_with_a_broken_one_is_refused(rest: RestSkeleton, tmp_path: Path):
    with pytest.raises(StorageError, match=r"lacks \['humanoid3d_walk.txt'\]"):
        read_deepmimic(hand_written_wheel(tmp_path / "a.whl", upright_frames(), sorted(set(CLIPS) - {"walk"})), rest)
    with pytest.raises(StorageError, match=r"shape \(3, 2\), expected"):
        read_deepmimic(hand_written_wheel(tmp_path / "b.whl", [[0.1, 2]] * 3, sorted(CLIPS)), rest)
    (tmp_path / "c.whl").write_bytes(b"no archive")
    with pytest.raises(StorageError, match=r"c\.whl: damaged"):
        read_deepmimic(tmp_path / "c.whl", rest)
