import numpy as np
import pytest

from moviestrip.errors import FatalError
from moviestrip.figures import strips
from moviestrip.figures.strips import Row, Strip

CELL_PX = (60, 72)
WHITE = np.array(strips.PAPER)


def plain(colour: int, cell_px=CELL_PX) -> np.ndarray:
    return np.full((cell_px[1], cell_px[0], 3), colour, np.uint8)


def ink(picture: np.ndarray) -> np.ndarray:
    return (picture != WHITE).any(-1)


def test_frames_are_numbered_from_the_present():
    assert strips.frame_numbers((-5, 0, 30)) == ("−5", "0", "+30")


@pytest.mark.parametrize(("columns", "beside", "last_seen"), [(10, 1, 2), (9, 1, None), (3, 3, None), (7, 2, 3)])
def test_strips_fill_the_width_and_no_more(columns, beside, last_seen):
    cell_px = strips.cell_size_px(columns, beside, last_seen is not None)
    strip = Strip(
        "walking", ("0",) * columns, (Row((("video", strips.PAPER),), (plain(0, cell_px),) * columns),), last_seen
    )
    drawn = strips.beside([strips.strip_picture(strip, cell_px, named=index == 0) for index in range(beside)])
    assert strips.WIDTH_PX - columns * beside <= drawn.shape[1] <= strips.WIDTH_PX
    assert strips.below([drawn, drawn]).shape == (2 * len(drawn) + strips.SPACE_PX, strips.WIDTH_PX, 3)


def test_every_cell_is_where_its_row_and_column_are():
    cells = [[plain(10 * row + column + 1) for column in range(4)] for row in range(3)]
    rows = tuple(Row((("name", strips.PAPER),), tuple(line)) for line in cells)
    drawn = strips.strip_picture(Strip("title", ("a", "b", "c", "d"), rows, last_seen=1), CELL_PX)
    tops, lefts = [], []
    for row in range(3):
        for column in range(4):
            place = np.argwhere((drawn == 10 * row + column + 1).all(-1))
            inner = place[place[:, 1] >= strips.NAMES_PX]
            top, left = inner.min(0)
            assert (drawn[top : top + CELL_PX[1], left : left + CELL_PX[0]] == 10 * row + column + 1).all()
            tops.append((row, top))
            lefts.append((column, left))
    assert len(set(tops)) == 3 and len(set(lefts)) == 4  # rows and columns are straight
    steps = np.diff([left for _, left in sorted(set(lefts))])
    assert steps[0] == steps[2] == CELL_PX[0] + strips.GAP_PX and steps[1] == steps[0] + strips.SEAM_PX
    seam = sorted(set(lefts))[1][1] + CELL_PX[0] + strips.SEAM_PX // 2
    assert (drawn[strips.TITLE_PX :, seam] == strips.SEAM).all()


def test_a_cell_that_is_not_there_stays_paper():
    drawn = strips.strip_picture(Strip("t", ("0", "+1"), (Row((), (None, plain(7))),)), CELL_PX)
    top = strips.TITLE_PX + strips.NUMBERS_PX
    assert not ink(drawn[top:, strips.NAMES_PX : strips.NAMES_PX + CELL_PX[0]]).any()


def test_rows_that_do_not_fit_are_refused():
    short = Strip("walking", ("0", "+1"), (Row((("video", strips.PAPER),), (plain(7),)),))
    with pytest.raises(FatalError, match=r"strip 'walking': row 'video' has 1 cells"):
        strips.strip_picture(short, CELL_PX)
    large = Strip("walking", ("0",), (Row((("video", strips.PAPER),), (plain(7, (61, 72)),)),))
    with pytest.raises(FatalError, match=r"\(72, 61, 3\)"):
        strips.strip_picture(large, CELL_PX)


def test_marks():
    cell = plain(90)
    marked = strips.boxed(cell)
    assert (cell == 90).all()
    for edge in (marked[0], marked[-1], marked[:, 0], marked[:, -1]):
        assert (edge == strips.BOX).all()
    assert (marked[12:-12, 12:-12] == 90).all()
    paled = strips.dimmed(cell).astype(int)
    assert (paled > 90).all() and (paled < WHITE).all()


def test_one_scale_fits_the_largest_body(box):
    bodies = [box.v_template * size for size in (0.6, 1.0, 0.8)]
    scale = strips.shared_scale(bodies, CELL_PX)
    heights, feet = [], []
    for vertices in bodies:
        rows, columns = np.nonzero(ink(strips.body_cell(vertices, box.faces, strips.TRUTH, scale, CELL_PX)))
        heights.append(np.ptp(rows) + 1)
        feet.append(rows.max())
        assert columns.min() + columns.max() == pytest.approx(CELL_PX[0] - 1, abs=1)
    assert heights[1] == pytest.approx(strips.BODY_SHARE * CELL_PX[1], abs=2)
    assert np.array(heights) / heights[1] == pytest.approx([0.6, 1.0, 0.8], abs=0.05)
    assert np.ptp(feet) <= 1  # all stand on one line


def test_a_wide_body_is_limited_by_the_width(box):
    lying = box.v_template[:, [1, 0, 2]]
    scale = strips.shared_scale([lying], CELL_PX)
    covered = ink(strips.body_cell(lying, box.faces[:, ::-1], strips.TRUTH, scale, CELL_PX))
    assert np.ptp(np.nonzero(covered.any(0))[0]) + 1 == pytest.approx(strips.BODY_SHARE * CELL_PX[0], abs=2)


def test_the_place_of_a_body_does_not_matter(box):
    scale = strips.shared_scale([box.v_template], CELL_PX)
    cells = [strips.body_cell(box.v_template + shift, box.faces, strips.TRUTH, scale, CELL_PX) for shift in (0, 2.5)]
    assert np.array_equal(*cells)


def test_a_row_of_bodies_has_their_colours_and_gaps(box):
    scale = strips.shared_scale([box.v_template], CELL_PX)
    bodies, colours = [box.v_template, None, box.v_template], [strips.TRUTH, strips.TRUTH, strips.PREDICTED]
    first, gap, last = strips.body_row((), bodies, colours, box.faces, scale, CELL_PX).cells
    assert gap is None
    red, blue = (cell[ink(cell)].mean(0) for cell in (first, last))
    assert red[0] > red[2] and blue[2] > blue[0]


def test_bodies_that_are_not_there_are_refused(box):
    with pytest.raises(FatalError, match="0 bodies to draw"):
        strips.shared_scale([], CELL_PX)
    with pytest.raises(FatalError, match="finite"):
        strips.shared_scale([np.full((8, 3), np.nan)], CELL_PX)


def test_a_filmed_cell_has_the_person_in_its_middle():
    frame = np.full((240, 320, 3), 200, np.uint8)
    frame[45:195, 130:170] = 20  # 150 px tall: at scale 1 the person of a crop
    cell = strips.filmed_cell(frame, np.array([149.5, 119.5]), 1.0, (100, 190))
    rows, columns = np.nonzero((cell < 110).all(-1))
    assert cell.shape == (190, 100, 3)
    assert np.ptp(rows) + 1 == pytest.approx(150, abs=2) and np.ptp(columns) + 1 == pytest.approx(40, abs=2)
    assert rows.mean() == pytest.approx(94.5, abs=1) and columns.mean() == pytest.approx(49.5, abs=1)
