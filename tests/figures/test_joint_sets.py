"""The joint sets' page and picture are what the code makes of them now."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moviestrip.body.load import Body, load_body
from moviestrip.config import BodySettings
from moviestrip.figures import joint_sets
from moviestrip.figures.contact_sheet import write_picture
from moviestrip.figures.draw import LEFT, RIGHT
from moviestrip.skeleton import JOINT_SETS


@pytest.fixture(scope="module")
def body(cache: Path, free_body: Path) -> Body:
    return load_body(BodySettings(), cache)


def test_every_joint_of_every_set_has_a_place(body: Body):
    points = joint_sets.known_points_m(body)
    for name in set(JOINT_SETS) - {"spin_49"}:
        placed = joint_sets.place_joints_m(name, points)
        assert tuple(placed) == tuple(JOINT_SETS[name])
        for joint, (place, _) in placed.items():
            assert np.isfinite(place).all()
            if {"left", "right"} & set(joint.split("_")):
                assert (place[0] > 0.005) == ("left" in joint) or joint.endswith("collar"), joint


def test_rules_are_weighted_means():
    for rules in (joint_sets.RULES, *joint_sets.RULES_OF_SET.values()):
        assert all(sum(rule.values()) == pytest.approx(1) for rule in rules.values())


def test_every_set_is_drawn_or_said_to_be_part_of_one():
    said = " ".join([*joint_sets.PANELS, *joint_sets.PANELS.values()])
    assert all(name in said for name in JOINT_SETS)


def test_leaders_do_not_cross_and_labels_stay_apart(body: Body):
    points = joint_sets.known_points_m(body)
    placed = joint_sets.place_joints_m("h36m_32", points)
    labels = list(joint_sets._labels(joint_sets._dots(placed, top_m=1.0)))
    for side in (LEFT, RIGHT):
        column = [(dot, start) for dot, start in labels if (start[0] > 380) == (side == LEFT)]
        assert np.diff(sorted(start[1] for _, start in column)).min() >= joint_sets.LABEL_GAP_PX - 1
        for dot, start in column:
            for other, begin in column:
                assert not _cross(start, dot.place_px, begin, other.place_px)


def _cross(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> bool:
    def turn(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> float:
        return float((q - p)[0] * (r - p)[1] - (q - p)[1] * (r - p)[0])

    return turn(a, b, c) * turn(a, b, d) < -1e-6 and turn(c, d, a) * turn(c, d, b) < -1e-6


def test_the_page_holds_the_tables_of_today(repository: Path):
    page = (repository / joint_sets.PAGE).read_text()
    assert page == joint_sets.page_with_tables(page), "run python -m moviestrip.figures.joint_sets"


def test_the_picture_is_that_of_today(repository: Path, body: Body, tmp_path: Path):
    """Within what another encoder may change: a joint moved by 3 cm changes 1,500 pixels, a letter perhaps ten."""
    write_picture(tmp_path / "now.webp", joint_sets.joint_sets_picture(body), joint_sets.QUALITY)
    committed, now = (decoded(path) for path in (repository / joint_sets.PICTURE, tmp_path / "now.webp"))
    assert committed.shape == now.shape, "run python -m moviestrip.figures.joint_sets"
    assert (np.abs(committed - now) > 48).any(-1).sum() < 40, "run python -m moviestrip.figures.joint_sets"


def decoded(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB"), np.int16)
