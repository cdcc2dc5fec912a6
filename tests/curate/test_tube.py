"""The tube against the released code's outputs, and its properties."""

from pathlib import Path

import numpy as np
import pytest

from moviestrip.config import CurationSettings
from moviestrip.curate.tube import fill_gaps, frame_boxes, person_tube, smooth_boxes
from moviestrip.errors import FatalError

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "bbox_smooth.npz"
TOLERANCE = np.array([1e-3, 1e-3, 1e-5])  # px, px, scale


@pytest.mark.parametrize("track", ["a", "b"])
@pytest.mark.parametrize("confidence", [1, 3])
def test_parity_with_the_release(track, confidence):
    golden = np.load(GOLDEN)
    keypoints = np.where(golden[f"{track}_present"][:, None, None], golden[f"{track}_kps"], 0)
    name = f"{track}_thr{confidence}"
    boxes = frame_boxes(keypoints, confidence / 10)
    measured = np.flatnonzero(np.isfinite(boxes[:, 0]))
    first, end = measured[0], measured[-1] + 1
    assert [first, end] == golden[f"{name}_start_end"].tolist()
    filled = fill_gaps(boxes[first:end])
    assert (abs(filled - golden[f"{name}_raw"]) <= TOLERANCE).all()
    smooth = smooth_boxes(filled, 11, 3, edges="zeros")
    assert (abs(smooth - golden[f"{name}_smooth"][first:]) <= TOLERANCE).all()


def keypoints_of(left_px, top_px, width_px, height_px, n_frames=1):
    corners = np.array([[left_px, top_px, 1], [left_px + width_px, top_px + height_px, 1]], np.float32)
    return np.repeat(corners[None], n_frames, axis=0)


def test_the_scale_takes_the_diagonal_to_150_px():
    center_x, center_y, scale = frame_boxes(keypoints_of(10, 20, 60, 80), 0.1)[0]
    assert (center_x, center_y) == (40, 60)
    assert scale * 100 == pytest.approx(150)


def test_invisible_keypoints_do_not_count():
    keypoints = np.concatenate([keypoints_of(10, 20, 60, 80), [[[999, 999, 0.05], [np.nan, 3, 0.9]]]], axis=1)
    np.testing.assert_array_equal(frame_boxes(keypoints, 0.1), frame_boxes(keypoints[:, :2], 0.1))


def test_one_keypoint_alone_measures_nobody():
    assert np.isnan(frame_boxes(keypoints_of(5, 5, 0, 0), 0.1)).all()


def test_a_still_person_has_a_still_box_to_the_very_ends():
    tube = person_tube(keypoints_of(10, 20, 60, 80, 30), CurationSettings())
    np.testing.assert_allclose(tube, np.repeat([[40, 60, 1.5]], 30, axis=0), rtol=1e-6)


def test_a_gap_is_bridged_in_a_straight_line():
    keypoints = np.concatenate([keypoints_of(x, 0, 60, 80) for x in range(20)])
    keypoints[5:9] = 0
    filled = fill_gaps(frame_boxes(keypoints, 0.1))
    np.testing.assert_allclose(filled[:, 0], 30 + np.arange(20))


def test_one_wild_frame_does_not_move_the_box():
    keypoints = keypoints_of(10, 20, 60, 80, 40)
    keypoints[20] = keypoints_of(500, 500, 5, 5)[0]
    np.testing.assert_allclose(person_tube(keypoints, CurationSettings())[:, 0], 40)


def test_nobody_at_all_is_an_error_that_says_what_to_do():
    with pytest.raises(FatalError, match="label selected clips only"):
        person_tube(np.zeros((7, 25, 3), np.float32), CurationSettings())
