import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moviestrip.pose import blazepose
from moviestrip.pose.blazepose import LandmarkNetwork, PersonFinder, Region
from moviestrip.pose.body25 import body_25_from_blazepose
from moviestrip.skeleton import BODY_25, SMPL_24, indices_of

LIMBS = (
    "left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_knee right_knee left_ankle "
    "right_ankle"
).split()


@pytest.fixture(scope="module")
def finder() -> PersonFinder:
    return PersonFinder()


@pytest.fixture(scope="module")
def landmarks() -> LandmarkNetwork:
    return LandmarkNetwork("full")


def limb_error(keypoints: np.ndarray, joints_px: np.ndarray) -> float:
    """Mean distance of the limbs' keypoints from the true joints, as a share of the body's extent."""
    found = body_25_from_blazepose(keypoints)[indices_of(LIMBS, BODY_25), :2]
    apart = np.linalg.norm(found - joints_px[indices_of(LIMBS, SMPL_24)], axis=1)
    return float(apart.mean() / np.linalg.norm(np.ptp(joints_px, axis=0)))


def test_rendered_people_are_found_and_their_limbs_lie_on_the_true_joints(finder, landmarks, people):
    for frame, joints_px in zip(*people, strict=True):
        found = finder(frame)
        assert len(found) == 1
        person = landmarks(frame, found[0].region)
        assert limb_error(person.keypoints, joints_px) < 0.03
        assert person.score > 0.9


def test_left_and_right_are_the_persons_own(finder, landmarks, people):
    """Mirroring the picture mirrors the keypoints and swaps the sides."""
    frame, joints_px = people[0][2], people[1][2]
    mirrored = np.ascontiguousarray(frame[:, ::-1])
    person = landmarks(mirrored, finder(mirrored)[0].region)
    swapped = joints_px.copy()
    swapped[:, 0] = frame.shape[1] - 1 - swapped[:, 0]
    swapped = swapped[[SMPL_24.index(_other_side(name)) for name in SMPL_24]]
    assert limb_error(person.keypoints, swapped) < 0.03


def _other_side(name: str) -> str:
    side, _, rest = name.partition("_")
    return {"left": "right_" + rest, "right": "left_" + rest}.get(side, name)


def test_the_same_frame_gives_the_same_bits(finder, landmarks, people):
    region = finder(people[0][0])[0].region
    first = landmarks(people[0][0], region).keypoints
    landmarks(people[0][1], finder(people[0][1])[0].region)
    again = LandmarkNetwork("full")(people[0][0], PersonFinder()(people[0][0])[0].region).keypoints
    assert first.tobytes() == again.tobytes()


def test_an_empty_frame_has_nobody(finder, landmarks):
    empty = np.full((120, 200, 3), 90, np.uint8)
    assert finder(empty) == []
    assert landmarks(empty, Region(100, 60, 100, 0.0)) is None


def test_a_shifted_person_is_found_at_the_shifted_place(finder, people):
    frame = people[0][1]
    wider = cv2.copyMakeBorder(frame, 30, 10, 200, 0, cv2.BORDER_REPLICATE)
    here, there = finder(frame)[0], finder(wider)[0]
    np.testing.assert_allclose(there.points_px - here.points_px, np.tile([200.0, 30.0], (4, 1)), atol=12)
    windowed = finder.in_windows(wider, [(200, 30, 256, 256)])[0]
    np.testing.assert_allclose(windowed.points_px - here.points_px, np.tile([200.0, 30.0], (4, 1)), atol=1e-9)


def test_anchors_follow_the_published_layout():
    anchors = blazepose.anchor_centres()
    assert anchors.shape == (2 * 28 * 28 + 2 * 14 * 14 + 6 * 7 * 7, 2)
    np.testing.assert_allclose(anchors[:2], 0.5 / 28)
    np.testing.assert_allclose(anchors[2], [1.5 / 28, 0.5 / 28])
    np.testing.assert_allclose(anchors[-1], 6.5 / 7)


def test_overlapping_detections_become_their_weighted_average():
    boxes = np.array([[0, 0, 1, 1], [0.1, 0, 1.1, 1], [3, 3, 4, 4]])
    points = np.arange(24, dtype=np.float64).reshape(3, 4, 2)
    merged = blazepose.merged_detections(np.array([0.6, 0.9, 0.7]), boxes, points)
    assert [score for score, _ in merged] == [0.9, 0.7]
    np.testing.assert_allclose(merged[0][1], (0.6 * points[0] + 0.9 * points[1]) / 1.5)
    np.testing.assert_array_equal(merged[1][1], points[2])


def test_overlap_of_boxes_is_intersection_over_union():
    overlaps = blazepose.box_overlap(np.array([0, 0, 2, 2.0]), np.array([[1, 1, 3, 3], [0, 0, 2, 2], [5, 5, 6, 6.0]]))
    np.testing.assert_allclose(overlaps, [1 / 7, 1, 0])


@given(st.floats(-3.1, 3.1), st.floats(1, 500), st.floats(-50, 900), st.floats(-50, 900))
def test_a_region_stands_upright_in_its_crop(angle, radius, center_x, center_y):
    """Its edge point lies straight above the crop's centre; its centre is the crop's centre."""
    centre = np.array([center_x, center_y])
    edge = centre + radius * np.array([math.sin(angle), -math.cos(angle)])
    region = blazepose.region_around(centre, edge)
    to_frame = blazepose.region_to_frame(region, 256)
    up = 256 / (2 * blazepose.REGION_MARGIN)
    np.testing.assert_allclose(to_frame @ [127.5, 127.5, 1], centre, atol=1e-6)
    np.testing.assert_allclose(to_frame @ [127.5, 127.5 - up, 1], edge, atol=1e-6 * radius + 1e-6)


def test_heat_maps_move_only_landmarks_they_are_sure_of():
    at = np.full((39, 2), 102.0)
    heat_maps = np.full((64, 64, 39), -20.0)
    heat_maps[26, 27, 0] = 20.0
    refined = blazepose.refined(at, heat_maps)
    np.testing.assert_allclose(refined[0], [27 * 4, 26 * 4], atol=1e-4)
    np.testing.assert_array_equal(refined[1:], at[1:])
    outside = np.full((39, 2), 400.0)
    np.testing.assert_array_equal(blazepose.refined(outside, heat_maps), outside)
