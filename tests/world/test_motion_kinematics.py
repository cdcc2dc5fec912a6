"""Forward kinematics, limbs and the foot lock, against smplx and against properties."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from moviestrip.body.load import Body, load_body
from moviestrip.config import BodySettings
from moviestrip.errors import StorageError
from moviestrip.world.footlock import detect_contacts, lock_feet, stretches
from moviestrip.world.kinematics import (
    FEET,
    JOINT,
    Motion,
    RestSkeleton,
    foot_height_m,
    forward_kinematics,
    pose_of_global,
    skate_m_per_s,
)
from moviestrip.world.limbs import ARMS, LEGS, bend_direction, solve_limb

FLOATS = st.floats(-1, 1, allow_nan=False)


@pytest.fixture(scope="module")
def body(free_body: Path, cache: Path) -> Body:
    return load_body(BodySettings(), cache)


def sliding_walk(rest: RestSkeleton, frames: int = 40) -> Motion:
    """Standing legs carried forward at 0.3 m/s: feet that skate."""
    translation = np.zeros((frames, 3), np.float32)
    translation[:, 1] = -rest.sole_y_m - 0.02
    translation[:, 2] = np.arange(frames) * 0.3 / 25
    pose = np.zeros((frames, 72), np.float32)
    pose.reshape(-1, 24, 3)[:, [1, 2], 0] = -0.2
    pose.reshape(-1, 24, 3)[:, [4, 5], 0] = 0.4
    pose.reshape(-1, 24, 3)[:, [7, 8], 0] = -0.2
    return Motion("slide-0", "slide", "slide", "test", False, 25.0, pose, translation, np.zeros((frames, 2), bool))


def test_forward_kinematics_agrees_with_smplx(body: Body):
    rng = np.random.default_rng(3)
    rest = RestSkeleton.from_body(body)
    pose, translation = rng.normal(size=(7, 72)) * 0.6, rng.normal(size=(7, 3))
    joints, _ = forward_kinematics(pose, translation, rest)
    _, expected = body.forward(pose.astype(np.float32), np.zeros(10, np.float32), translation.astype(np.float32))
    np.testing.assert_allclose(joints, expected, atol=2e-5)


def test_rest_skeleton_of_a_file_is_that_of_the_loaded_body(body: Body, free_body: Path):
    loaded = RestSkeleton.from_body(body)
    np.testing.assert_allclose(RestSkeleton.from_body(free_body).joints, loaded.joints, atol=1e-5)


def test_a_file_that_is_no_body_is_refused(tmp_path: Path):
    path = tmp_path / "body.npz"
    np.savez(path, faces=np.zeros(3))
    with pytest.raises(StorageError, match=r"body\.npz: no body.*J_regressor.*v_template"):
        RestSkeleton.from_body(path)


def test_global_rotations_round_trip(rest: RestSkeleton):
    pose = np.random.default_rng(1).normal(size=(5, 72)) * 0.5
    _, rotations = forward_kinematics(pose, np.zeros((5, 3)), rest)
    np.testing.assert_allclose(pose_of_global(rotations), pose, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.tuples(FLOATS, FLOATS, FLOATS), st.tuples(FLOATS, FLOATS, FLOATS), st.sampled_from(["leg", "arm"]))
def test_a_limb_reaches_its_target_and_bends_towards_its_pole(rest, direction, pole, kind):
    limb = (LEGS if kind == "leg" else ARMS)["left"]
    target, pole = np.array([direction]), np.array([pole])
    sine = np.linalg.norm(np.cross(target, pole)) / max(np.linalg.norm(target) * np.linalg.norm(pole), 1e-9)
    total = rest.leg_length_m if kind == "leg" else rest.arm_length_m
    distance = np.linalg.norm(target)
    if distance < 0.1 or np.linalg.norm(pole) < 0.1 or sine < 0.1:
        return
    target = target / distance * np.clip(distance, 0.25, 0.99) * total
    upper, lower = solve_limb(rest, limb, np.zeros((1, 3)), target, pole)
    middle = upper @ rest.offset(limb.middle)
    np.testing.assert_allclose(middle + lower @ rest.offset(limb.end), target, atol=1e-9)
    assert np.linalg.det(upper[0]) == pytest.approx(1)
    away = middle - np.sum(middle * target, axis=1) / np.sum(target**2) * target
    assert np.sum(away * pole) > 0


def test_the_bend_of_a_limb_is_read_back(rest: RestSkeleton):
    pose = np.zeros((1, 72))
    pose.reshape(24, 3)[JOINT["left_knee"], 0] = 0.9
    joints, rotations = forward_kinematics(pose, np.zeros((1, 3)), rest)
    direction = bend_direction(joints, rotations, LEGS["left"])[0]
    assert direction[2] > 0.85


def test_feet_that_skate_are_held(rest: RestSkeleton):
    motion = sliding_walk(rest)
    before, _ = forward_kinematics(motion.pose, motion.translation_m, rest)
    assert np.median(skate_m_per_s(before, np.ones((40, 2), bool), 25)) == pytest.approx(0.3, abs=1e-3)
    locked = lock_feet(motion, rest)
    after, _ = forward_kinematics(locked.pose, locked.translation_m, rest)
    assert locked.contacts.mean() > 0.8
    assert skate_m_per_s(after, locked.contacts, 25).max() < 0.01
    assert abs(foot_height_m(after)[locked.contacts]).max() < 0.02


def test_a_contact_the_legs_cannot_hold_is_given_up(rest: RestSkeleton):
    motion = sliding_walk(rest, frames=120)
    motion.translation_m[:, 2] *= 6
    locked = lock_feet(motion, rest, np.ones((120, 2), bool))
    assert 0 < locked.contacts.mean() < 1


def test_contacts_need_a_low_and_slow_foot(rest: RestSkeleton):
    motion = sliding_walk(rest)
    joints, _ = forward_kinematics(motion.pose, motion.translation_m, rest)
    assert detect_contacts(joints, 25).all()
    assert not detect_contacts(joints + np.array([0, 0.2, 0]), 25).any()
    assert not detect_contacts(joints * np.array([1, 1, 4]), 25).any()


def test_stretches_are_runs_of_true():
    assert stretches(np.array([1, 1, 0, 1, 0, 0, 1], bool)) == [(0, 2), (3, 4), (6, 7)]
    assert stretches(np.zeros(3, bool)) == []


def test_turning_the_root_turns_every_joint(rest: RestSkeleton):
    pose = np.random.default_rng(2).normal(size=(3, 72)) * 0.4
    turn = Rotation.from_euler("y", 1.1)
    turned = pose.copy()
    turned[:, :3] = (turn * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    joints, _ = forward_kinematics(pose, -np.tile(rest.joints[0], (3, 1)), rest)
    again, _ = forward_kinematics(turned, -np.tile(rest.joints[0], (3, 1)), rest)
    np.testing.assert_allclose(again.reshape(-1, 3), turn.apply(joints.reshape(-1, 3)), atol=1e-9)
    assert FEET.tolist() == [10, 11]
