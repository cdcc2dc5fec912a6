import numpy as np

from moviestrip.pose.body25 import body_25_from_blazepose
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
