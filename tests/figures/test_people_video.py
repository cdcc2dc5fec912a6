"""Bodies are drawn where their camera puts them, in their person's colour, and turned for the side view."""

from dataclasses import replace

import numpy as np
import pytest

from moviestrip.figures.people_video import (
    BEYOND_THE_VIDEO,
    FORECAST,
    DrawnBody,
    PeoplePainter,
    drawing_zoom,
    turned_quarter,
    with_frames_beyond,
)

GREY = np.full((320, 640, 3), 90, np.uint8)
BELOW_TAGS = 80  # the body's highest point is at 70


@pytest.fixture
def body(box) -> DrawnBody:
    """A box 0.5 m wide, 1.6 m tall and 0.2 m deep, a metre being 100 px."""
    return DrawnBody(0, "seen", box.v_template.astype(np.float32), np.zeros((24, 3)), np.array([200.0, 150.0]), 100.0)


@pytest.fixture
def painter(box) -> PeoplePainter:
    return PeoplePainter(640, 320, box.faces)


def extent(picture: np.ndarray, background: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what differs from the background below the tags."""
    rows, columns = np.nonzero((np.abs(picture.astype(int) - background) > 12).any(-1)[BELOW_TAGS:])
    return columns.min(), rows.min() + BELOW_TAGS, columns.max(), rows.max() + BELOW_TAGS


def test_a_body_covers_its_place_and_no_more(painter: PeoplePainter, body: DrawnBody):
    overlay, _ = painter(GREY, [body])
    left, _, right, bottom = extent(overlay, GREY)
    assert (left, right, bottom) == pytest.approx((175, 225, 230), abs=2)
    assert overlay.shape == GREY.shape


def test_from_the_side_its_depth_is_its_width(painter: PeoplePainter, body: DrawnBody):
    overlay, both = painter(GREY, [body])
    np.testing.assert_array_equal(both[:, :640], overlay)
    _, plain = painter(GREY, [])
    left, _, right, bottom = extent(both[:, 640:], plain[:, 640:])
    assert (left, right, bottom) == pytest.approx((190, 210, 230), abs=2)


def test_a_quarter_turn_takes_depth_to_the_right_and_keeps_height():
    points = np.random.default_rng(0).normal(size=(5, 3))
    turned = turned_quarter(points)
    np.testing.assert_array_equal(turned[:, :2], points[:, [2, 1]])
    np.testing.assert_allclose(turned_quarter(turned_quarter(turned_quarter(turned))), points)


def test_a_nearer_body_hides_another(painter: PeoplePainter, body: DrawnBody):
    behind = replace(body, identity=1, pixels_per_metre=60.0)
    together, _ = painter(GREY, [behind, body])
    alone, _ = painter(GREY, [body])
    np.testing.assert_array_equal(together[140:160, 190:210], alone[140:160, 190:210])
    only_behind, _ = painter(GREY, [behind])
    assert (together[140:160, 190:210] != only_behind[140:160, 190:210]).any()


def test_people_and_kinds_have_their_own_colours(painter: PeoplePainter, body: DrawnBody):
    colours = {kind: replace(body, kind=kind).colour for kind in ("seen", "forecast", "past", "future")}
    assert len(set(colours.values())) == 4
    assert colours["forecast"] == FORECAST
    assert replace(body, identity=1).colour != body.colour
    forecast, _ = painter(GREY, [replace(body, kind="forecast")])
    red, _, blue = forecast[150, 200].astype(int)
    assert red > 1.5 * blue


def test_what_is_hallucinated_is_a_skeleton(painter: PeoplePainter, body: DrawnBody):
    joints = np.zeros((24, 3))
    joints[1] = (0.5, 0, 0)  # one bone, half a metre to the right
    overlay, _ = painter(GREY, [replace(body, kind="future", joints_m=joints)])
    left, top, right, bottom = extent(overlay, GREY)
    assert (left, right) == pytest.approx((200, 250), abs=6)
    assert bottom - top < 16


def test_frames_that_do_not_exist_are_dark(painter: PeoplePainter):
    dark, _ = painter(GREY, [], exists=False)
    assert np.abs(dark - 90 * BEYOND_THE_VIDEO).max() <= 1
    frames = list(with_frames_beyond(iter([GREY, dark]), 2))
    assert [exists for _, exists in frames] == [True, True, False, False]
    assert frames[2][0] is dark


@pytest.mark.parametrize(("size", "longer_px"), [((256, 256), 512), ((1921, 1079), 960), ((700, 500), 700)])
def test_drawings_have_an_even_size_within_bounds(box, size: tuple[int, int], longer_px: int):
    painter = PeoplePainter(*size, box.faces)
    assert max(painter.width_px, painter.height_px) == longer_px
    assert painter.width_px % 2 == painter.height_px % 2 == 0
    assert drawing_zoom(*size) == pytest.approx(longer_px / max(size))
    overlay, both = painter(np.zeros((size[1], size[0], 3), np.uint8), [])
    assert overlay.shape == (painter.height_px, painter.width_px, 3)
    assert both.shape == (painter.height_px, 2 * painter.width_px, 3)
