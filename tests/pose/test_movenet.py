"""MoveNet on rendered people with known joints, and its maps against those of its published graph."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from moviestrip.parts import part_file, part_states
from moviestrip.pose import movenet
from moviestrip.pose.blazepose import Network
from moviestrip.pose.movenet import MAPS, MoveNetFinder
from moviestrip.pose.people import PeopleDetector
from moviestrip.pose.tensorflow_graph import TensorFlowGraph
from moviestrip.skeleton import BODY_25, COCO_17, SMPL_24, indices_of

DATA = Path(__file__).resolve().parents[1] / "data" / "pose"
LIMBS = ["left_knee", "right_knee", "left_ankle", "right_ankle", "left_elbow", "right_elbow"]


@pytest.fixture(scope="module")
def finder() -> MoveNetFinder:
    states = {found.part.name: found.state for found in part_states()}
    if states["movenet-weights"] == "cannot be fetched":
        pytest.skip("npm is not installed, so MoveNet's weights cannot be fetched")
    return MoveNetFinder()


@pytest.fixture(scope="module")
def row(people) -> tuple[np.ndarray, np.ndarray]:
    """Three people side by side in one frame, and their joints."""
    frames, joints_px = people
    return np.concatenate(frames, axis=1), joints_px + np.array([[[0, 0]], [[256, 0]], [[512, 0]]])


def test_the_maps_are_those_of_the_published_graph(finder):
    """Where people are, in the corners and elsewhere; computed node by node with torch."""
    golden = np.load(DATA / "movenet_maps.npz")
    frame = cv2.cvtColor(cv2.imread(str(DATA / "crowd_0.jpg")), cv2.COLOR_BGR2RGB)
    picture, _ = movenet.scaled_to_multiple(frame, 500)
    graph = TensorFlowGraph(part_file("movenet-graph"), part_file("movenet-weights"))
    maps = Network(graph.litert_file((1, *picture.shape), MAPS))(picture)
    found = np.concatenate([each[tuple(golden["cells"].T)] for each in maps], axis=1)
    np.testing.assert_allclose(found, golden["maps"], atol=1e-3)


def test_keypoints_of_several_people_lie_on_the_true_joints(finder, row):
    frame, joints_px = row
    found = [candidate.keypoints for candidate in finder.candidates(frame)]
    assert len(found) == 3
    found.sort(key=lambda keypoints: keypoints[0, 0])
    apart = np.array(found)[:, indices_of(LIMBS, COCO_17), :2] - joints_px[:, indices_of(LIMBS, SMPL_24)]
    assert np.median(np.abs(apart)) < 4 and np.abs(apart).mean() < 6


def test_everyone_in_the_frame_gets_landmarks(finder, row):
    frame, joints_px = row
    people = PeopleDetector(finder="movenet", maximum_people=6)(frame)
    assert len(people) == 3
    people = people[np.argsort(people[:, BODY_25.index("mid_hip"), 0])]
    apart = people[:, indices_of(LIMBS, BODY_25), :2] - joints_px[:, indices_of(LIMBS, SMPL_24)]
    assert np.abs(apart).mean() < 3.5


def test_the_same_frame_gives_the_same_bits(finder, row):
    first, again = finder.candidates(row[0]), MoveNetFinder().candidates(row[0])
    assert all(a.keypoints.tobytes() == b.keypoints.tobytes() for a, b in zip(first, again, strict=True))


def test_nobody_is_found_in_an_empty_frame(finder):
    assert finder(np.full((200, 300, 3), 120, np.uint8)) == []


def test_a_region_stands_along_the_trunk_and_holds_every_visible_point():
    keypoints = np.zeros((17, 3))
    keypoints[:, 2] = 0.9
    keypoints[movenet.SHOULDERS, :2] = [[40, 100], [60, 100]]
    keypoints[movenet.HIPS, :2] = [[45, 150], [55, 150]]
    keypoints[:5, :2], keypoints[7:11, :2], keypoints[13:, :2] = [50, 80], [50, 140], [50, 240]
    region = movenet.region_of(keypoints)
    assert (region.center_x_px, region.center_y_px, region.angle) == pytest.approx((50, 150, 0))
    assert region.side_px == pytest.approx(2 * 1.25 * 1.08 * 90)
    assert movenet.has_trunk(keypoints)
    keypoints[movenet.HIPS, 2] = 0
    assert not movenet.has_trunk(keypoints)


def test_pictures_are_scaled_and_padded_to_sides_the_network_divides():
    picture, scale = movenet.scaled_to_multiple(np.full((110, 333, 3), 255, np.uint8), 320)
    assert picture.shape == (128, 320, 3) and scale == pytest.approx(320 / 333)
    assert picture[:106].all() and not picture[106:].any()


def test_keypoints_are_taken_near_where_the_body_has_them():
    """A stronger place on the person beside does not draw them; offsets move within the cell."""
    rough = np.full((17, 2), 20.0)
    rough[indices_of(["left_hip", "right_hip"], COCO_17)] = 30.0
    heat_maps, offsets = np.zeros((60, 60, 17), np.float32), np.full((60, 60, 17, 2), 0.25, np.float32)
    heat_maps[21, 20], heat_maps[20, 50] = 0.6, 1.0
    keypoints = movenet.refined_keypoints(rough, heat_maps, offsets)
    np.testing.assert_allclose(keypoints[0, :2], [21.25, 20.25])
    assert 0.4 < keypoints[0, 2] < 0.6
