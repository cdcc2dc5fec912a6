import numpy as np
import pytest

from moviestrip.pose.body25 import OPENPOSE_POINTS, body_25_from_blazepose, body_25_from_openpose
from moviestrip.skeleton import BLAZEPOSE_33, BODY_25

# Where the correspondence is known by number: OpenPose's index and BlazePose's.
BY_NUMBER = {
    0: 0, 2: 12, 3: 14, 4: 16, 5: 11, 6: 13, 7: 15, 9: 24, 10: 26, 11: 28, 12: 23, 13: 25, 14: 27, 15: 5, 16: 2,
    17: 8, 18: 7, 19: 31, 21: 29, 22: 32, 24: 30,
}  # fmt: skip


def numbered() -> np.ndarray:
    return np.arange(33 * 3, dtype=np.float64).reshape(33, 3)


def test_points_known_to_both_are_taken_over_by_name():
    converted = body_25_from_blazepose(numbered())
    for ours, theirs in BY_NUMBER.items():
        np.testing.assert_array_equal(converted[ours], numbered()[theirs])


def test_neck_and_mid_hip_lie_midway_and_are_as_sure_as_the_less_sure_end():
    keypoints = numbered()
    keypoints[BLAZEPOSE_33.index("left_hip"), 2] = 0.25
    keypoints[BLAZEPOSE_33.index("right_hip"), 2] = 0.75
    converted = body_25_from_blazepose(keypoints)
    np.testing.assert_allclose(converted[BODY_25.index("mid_hip"), :2], keypoints[[23, 24], :2].mean(0))
    assert converted[BODY_25.index("mid_hip"), 2] == 0.25
    np.testing.assert_allclose(converted[BODY_25.index("neck"), :2], keypoints[[11, 12], :2].mean(0))


def test_small_toes_are_unknown_and_any_batch_works():
    converted = body_25_from_blazepose(np.ones((2, 5, 33, 3)))
    assert converted.shape == (2, 5, 25, 3)
    for name in ("left_small_toe", "right_small_toe"):
        assert not converted[..., BODY_25.index(name), :].any()
    assert body_25_from_blazepose(np.zeros((0, 33, 3))).shape == (0, 25, 3)


# OpenPose's own numbers (poseParameters.cpp): of BODY_25, of COCO, of BODY_135; None where a model has no such point.
OPENPOSE_NUMBERS = {
    "nose": (0, 0, 0), "neck": (1, 1, None), "right_shoulder": (2, 2, 6), "right_elbow": (3, 3, 8),
    "right_wrist": (4, 4, 10), "left_shoulder": (5, 5, 5), "left_elbow": (6, 6, 7), "left_wrist": (7, 7, 9),
    "mid_hip": (8, None, None), "right_hip": (9, 8, 12), "right_knee": (10, 9, 14), "right_ankle": (11, 10, 16),
    "left_hip": (12, 11, 11), "left_knee": (13, 12, 13), "left_ankle": (14, 13, 15), "right_eye": (15, 14, 2),
    "left_eye": (16, 15, 1), "right_ear": (17, 16, 4), "left_ear": (18, 17, 3), "left_big_toe": (19, None, 19),
    "left_small_toe": (20, None, 20), "left_heel": (21, None, 21), "right_big_toe": (22, None, 22),
    "right_small_toe": (23, None, 23), "right_heel": (24, None, 24),
}  # fmt: skip


@pytest.mark.parametrize(("model_pose", "column"), [("COCO", 1), ("BODY_135", 2)])
def test_openposes_other_models_are_taken_over_by_their_numbers(model_pose: str, column: int):
    keypoints = np.random.default_rng(0).uniform(1, 9, (2, 3, len(OPENPOSE_POINTS[model_pose]), 3))
    converted = body_25_from_openpose(keypoints, model_pose)
    assert converted.shape == (2, 3, 25, 3)
    for name, numbers in OPENPOSE_NUMBERS.items():
        ours, theirs = numbers[0], numbers[column]
        if theirs is not None:
            np.testing.assert_array_equal(converted[..., ours, :], keypoints[..., theirs, :], name)
        elif name not in ("neck", "mid_hip"):
            assert not converted[..., ours, :].any(), name


@pytest.mark.parametrize(("model_pose", "midway"), [("COCO", {8: (8, 11)}), ("BODY_135", {8: (11, 12), 1: (5, 6)})])
def test_what_a_model_lacks_between_two_points_is_as_sure_as_the_less_sure_and_nowhere_without_one(model_pose, midway):
    keypoints = np.random.default_rng(1).uniform(1, 9, (len(OPENPOSE_POINTS[model_pose]), 3))
    converted = body_25_from_openpose(keypoints, model_pose)
    for ours, (first, second) in midway.items():
        np.testing.assert_allclose(converted[ours, :2], (keypoints[first, :2] + keypoints[second, :2]) / 2)
        assert converted[ours, 2] == min(keypoints[first, 2], keypoints[second, 2])
        unseen = keypoints.copy()
        unseen[second] = 0
        assert not body_25_from_openpose(unseen, model_pose)[ours].any()


def test_body_25_stays_as_it_is():
    keypoints = np.random.default_rng(2).random((4, 25, 3))
    np.testing.assert_array_equal(body_25_from_openpose(keypoints, "BODY_25"), keypoints)
