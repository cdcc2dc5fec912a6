import numpy as np
import pytest

from moviestrip import skeleton
from moviestrip.errors import FatalError
from moviestrip.figures import draw


def keypoints_at(**places: tuple[float, float]) -> np.ndarray:
    keypoints = np.zeros((25, 3))
    for name, place in places.items():
        keypoints[skeleton.HMMR_25.index(name)] = (*place, 1)
    return keypoints


def test_a_joint_is_drawn_where_it_is_and_in_its_sides_colour():
    image = np.zeros((101, 101, 3), np.uint8)
    drawn = draw.draw_skeleton(image, keypoints_at(left_wrist=(30, 40), right_wrist=(70, 60)), thickness_px=4)
    assert tuple(drawn[40, 30]) == draw.LEFT
    assert tuple(drawn[60, 70]) == draw.RIGHT
    assert image.max() == 0  # the picture handed in is left alone


def test_the_centre_of_a_dot_is_the_joint_to_a_tenth_of_a_pixel():
    place = (30.25, 41.75)
    drawn = draw.draw_skeleton(np.zeros((81, 81, 3), np.uint8), keypoints_at(nose=place), thickness_px=8)
    weight = drawn[..., 0].astype(float)
    rows, columns = np.mgrid[:81, :81]
    centre = (columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()
    assert centre == pytest.approx(place, abs=0.1)


def test_a_bone_joins_two_visible_joints_only():
    both = keypoints_at(left_hip=(20, 20), left_knee=(20, 60))
    drawn = draw.draw_skeleton(np.zeros((81, 81, 3), np.uint8), both, thickness_px=3)
    assert tuple(drawn[40, 20]) == draw.LEFT
    both[skeleton.HMMR_25.index("left_knee"), 2] = 0
    assert draw.draw_skeleton(np.zeros((81, 81, 3), np.uint8), both, thickness_px=3)[40, 20].max() == 0


def test_unknown_and_far_joints_do_no_harm():
    keypoints = keypoints_at(left_wrist=(np.nan, 3), right_wrist=(1e12, -1e12), nose=(np.inf, 0))
    assert draw.draw_skeleton(np.zeros((20, 20, 3), np.uint8), keypoints).shape == (20, 20, 3)


def test_a_joint_set_of_another_size_is_named():
    with pytest.raises(FatalError, match=r"\(25, 3\).*\(17, 3\)"):
        draw.draw_skeleton(np.zeros((20, 20, 3), np.uint8), np.zeros((17, 3)))


@pytest.mark.parametrize(
    ("names", "colour"),
    [
        (("left_hip", "left_knee"), draw.LEFT),
        (("right_ear",), draw.RIGHT),
        (("left_hip", "right_hip"), draw.CENTRE),
        (("neck", "nose"), draw.CENTRE),
        (("nose", "left_eye"), draw.CENTRE),
    ],
)
def test_sides_follow_from_names(names, colour):
    assert draw.side_colour(names) == colour


def test_captions_fit_their_picture():
    image = np.full((60, 80, 3), 200, np.uint8)
    drawn = draw.draw_caption(image, "a very long caption that cannot fit into eighty pixels")
    assert drawn.shape == image.shape
    assert (drawn[:30] == 200).all()
    assert (drawn[-10:] != 200).any()
    assert np.array_equal(drawn, draw.draw_caption(image, "a very long caption that cannot fit into eighty pixels"))
