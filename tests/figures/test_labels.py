"""Labels are near what they name, and none covers another."""

import numpy as np
import pytest
from PIL import ImageFont

from moviestrip.figures.draw import _font
from moviestrip.figures.labels import LINE_HEIGHT, place_beside, spread_out, text_size_pt


def test_positions_apart_stay_where_they_are():
    wanted = np.array([30.0, 0.0, 12.0])
    np.testing.assert_array_equal(spread_out(wanted, 10), wanted)


@pytest.mark.parametrize("seed", range(5))
def test_crowded_positions_keep_their_order_and_their_gap(seed):
    wanted = np.random.default_rng(seed).normal(0, 12, 9)
    placed = spread_out(wanted, 10)
    assert (np.diff(placed[np.argsort(wanted)]) >= 10 - 1e-9).all()
    assert placed.mean() == pytest.approx(wanted.mean(), abs=40)
    assert len(spread_out(np.zeros(0), 10)) == 0


def test_a_pair_moves_apart_around_its_middle():
    np.testing.assert_allclose(spread_out(np.array([4.0, 2.0, 100.0]), 10), [8, -2, 100])


@pytest.mark.parametrize("seed", range(3))
def test_no_label_covers_another_or_a_point(seed):
    random = np.random.default_rng(seed)
    points = random.uniform((60, 60), (440, 340), (40, 2))
    sizes = np.stack([random.uniform(20, 90, 40), np.full(40, 10.0)], axis=1)
    low = place_beside(points, sizes, (0, 0, 500, 400), np.zeros((0, 2)))
    high = low + sizes
    assert (low >= 0).all() and (high <= (500, 400)).all()
    for label in range(40):
        apart = (low[label] >= high) | (low >= high[label])
        assert apart.any(-1)[np.arange(40) != label].all()
        assert not ((points > low[label]) & (points < high[label])).all(-1).any()


def test_a_label_moves_off_a_thin_line():
    point, size = np.array([[100.0, 100.0]]), np.array([[40.0, 10.0]])
    along = np.stack([np.linspace(100, 200, 60), np.full(60, 100.0)], axis=1)
    corner = place_beside(point, size, (0, 0, 300, 200), along)[0]
    assert not ((along > corner) & (along < corner + size[0])).all(-1).any()


def test_text_is_as_wide_as_it_is_drawn():
    font = _font(100)
    assert isinstance(font, ImageFont.FreeTypeFont)
    width, height = text_size_pt("tcmr-baseline", 100)
    assert width == pytest.approx(font.getlength("tcmr-baseline"), rel=0.02)
    assert height == LINE_HEIGHT * 100
