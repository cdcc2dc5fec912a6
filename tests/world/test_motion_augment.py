"""Edits of motions: each keeps what it must keep."""

import numpy as np
import pytest

from moviestrip.errors import ConfigError, FatalError
from moviestrip.world import augment
from moviestrip.world.kinematics import Motion, RestSkeleton, forward_kinematics, lowest_point_m, skate_m_per_s
from moviestrip.world.motions import MotionLibrary, draw_motion
from moviestrip.world.procedural import procedural_motion


@pytest.fixture(scope="module")
def walk(rest: RestSkeleton) -> Motion:
    return procedural_motion("walking", 1, 80, rest=rest)


def joints_of(motion: Motion, rest: RestSkeleton) -> np.ndarray:
    return forward_kinematics(motion.pose, motion.translation_m, rest)[0]


def test_mirror_twice_is_the_same(walk: Motion):
    again = augment.mirror(augment.mirror(walk))
    np.testing.assert_array_equal(again.pose, walk.pose)
    np.testing.assert_array_equal(again.translation_m, walk.translation_m)
    np.testing.assert_array_equal(again.contacts, walk.contacts)


def test_mirror_reflects_the_joints(walk: Motion):
    rest = RestSkeleton(symmetric_joints())
    mirrored = joints_of(augment.mirror(walk), rest)
    expected = joints_of(walk, rest)[:, augment.MIRROR] * [-1, 1, 1]
    np.testing.assert_allclose(mirrored, expected, atol=1e-6)


def symmetric_joints() -> np.ndarray:
    joints = np.random.default_rng(0).normal(size=(24, 3))
    return (joints + joints[augment.MIRROR] * [-1, 1, 1]) / 2


def test_resampling_at_the_frames_changes_nothing(walk: Motion):
    same = augment.resample(walk, np.arange(len(walk), dtype=float))
    np.testing.assert_allclose(same.pose, walk.pose, atol=1e-5)
    np.testing.assert_array_equal(same.contacts, walk.contacts)


def test_warped_time_runs_forward_at_about_the_speed():
    at = augment.warp_frames(100, 25.0, np.random.default_rng(0), speed=1.2)
    assert at[0] == 0 and (np.diff(at) > 0.9).all() and (np.diff(at) < 1.6).all()


def test_a_cyclic_motion_goes_on_where_it_ended(library: MotionLibrary):
    walk = next(motion for motion in library if motion.motion_id == "deepmimic-walk")
    long = augment.loop(walk, library.rest, 150)
    assert len(long) == 150
    joints = joints_of(long, library.rest)
    assert np.linalg.norm(np.diff(joints[:, 0], axis=0), axis=-1).max() * 25 < 3
    assert np.linalg.norm(joints[-1, 0] - joints[0, 0]) > 3, "it keeps walking"
    assert np.median(skate_m_per_s(joints, long.contacts, 25)) < 0.05


def test_a_motion_that_does_not_close_goes_back_and_forth(library: MotionLibrary):
    getup = next(motion for motion in library if motion.motion_id == "deepmimic-getup-faceup")
    long = augment.loop(getup, library.rest, 2 * len(getup))
    np.testing.assert_array_equal(long.pose[: len(getup)], getup.pose)
    np.testing.assert_array_equal(long.pose[len(getup)], getup.pose[-2])


def test_a_transition_is_smooth_and_keeps_the_first_id(rest: RestSkeleton, walk: Motion):
    other = procedural_motion("waiting", 2, 120, rest=rest)
    joined = augment.transition(walk, other, rest, np.random.default_rng(0), 64)
    joints = joints_of(joined, rest)
    assert joined.motion_id == walk.motion_id
    assert np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).max() * 625 < 150
    assert np.median(skate_m_per_s(joints, joined.contacts, 25)) < 0.05


def test_borrowed_arms_leave_the_legs(rest: RestSkeleton, walk: Motion):
    donor = procedural_motion("phoning", 2, 30, rest=rest)
    mixed = augment.mix_upper_body(walk, donor, 5)
    legs = [1, 2, 4, 5, 7, 8, 10, 11]
    before, after = walk.pose.reshape(-1, 24, 3), mixed.pose.reshape(-1, 24, 3)
    np.testing.assert_array_equal(before[:, legs], after[:, legs])
    np.testing.assert_array_equal(after[0, 18], donor.pose.reshape(-1, 24, 3)[5, 18])


def test_cutting_beyond_the_end_says_so(walk: Motion):
    with pytest.raises(FatalError, match="frames 70 to 90 asked of 80"):
        augment.cut(walk, 70, 20)


def test_drawn_clips_hold_their_feet_and_their_split(library: MotionLibrary):
    split_of = dict(zip((motion.motion_id for motion in library), library.splits, strict=True))
    for seed in range(45):
        split = ("train", "validation", "test")[seed % 3]
        motion = draw_motion(library, None, split, 64, np.random.default_rng(seed))
        joints = joints_of(motion, library.rest)
        speed = skate_m_per_s(joints, motion.contacts, 25)
        assert len(motion) == 64 and motion.fps == 25 and split_of[motion.motion_id] == split
        assert motion.pose.dtype == np.float32 and np.isfinite(motion.pose).all()
        assert len(speed) == 0 or np.median(speed) < 0.05, (seed, motion.motion_id)
        assert lowest_point_m(joints).min() > -0.05, (seed, motion.motion_id)


def test_a_draw_repeats_with_its_generator(library: MotionLibrary):
    first, second = (draw_motion(library, "golf_swing", "train", 40, np.random.default_rng(9)) for _ in range(2))
    assert first.action == "golf_swing" and np.array_equal(first.pose, second.pose)


def test_an_action_no_source_shows_is_named(library: MotionLibrary):
    with pytest.raises(ConfigError, match=r"'juggling' in split 'test'; known: .*squats"):
        draw_motion(library, "juggling", "test", 40, np.random.default_rng(0))
