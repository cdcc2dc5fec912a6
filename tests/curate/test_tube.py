"""The tube against the released code's outputs, and its properties."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage, signal

from moviestrip.config import CurationSettings
from moviestrip.curate.tube import PRESETS, box_constants, fill_gaps, frame_boxes, person_tube
from moviestrip.errors import FatalError

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "bbox_smooth.npz"
ROUNDING = 1e-7  # of the golden's float32, relative


def golden_clip(track, confidence):
    """Keypoints from the first to the last measured frame, and the release's boxes of them, before and after."""
    golden, name = np.load(GOLDEN), f"{track}_thr{round(10 * confidence)}"
    first, end = golden[f"{name}_start_end"]
    keypoints = np.where(golden[f"{track}_present"][:, None, None], golden[f"{track}_kps"], 0)
    return keypoints, slice(first, end), golden[f"{name}_raw"], golden[f"{name}_smooth"][first:]


@pytest.mark.parametrize("track", ["a", "b"])
@pytest.mark.parametrize("confidence", [0.1, 0.3])
def test_parity_with_the_release(track, confidence):
    keypoints, span, raw, smooth = golden_clip(track, confidence)
    boxes = frame_boxes(keypoints, confidence)
    measured = np.flatnonzero(np.isfinite(boxes[:, 0]))
    assert (measured[0], measured[-1] + 1) == (span.start, span.stop)
    np.testing.assert_allclose(fill_gaps(boxes[span]), raw, rtol=ROUNDING)
    tube = person_tube(keypoints[span], CurationSettings(box="hmmr", box_minimum_confidence=confidence))
    np.testing.assert_allclose(tube, smooth, rtol=ROUNDING)


@pytest.mark.parametrize("track", ["a", "b"])
def test_presets_are_the_releases_constants(track):
    """HMMR's against the golden; VIBE's, which has another sigma, against what its release calls on the golden."""
    keypoints, span, _, smooth = golden_clip(track, 0.1)
    np.testing.assert_allclose(person_tube(keypoints[span], CurationSettings(box="hmmr")), smooth, rtol=ROUNDING)
    keypoints, span, raw, smooth = golden_clip(track, 0.3)
    np.testing.assert_allclose(by_scipy(raw, 3), smooth, rtol=ROUNDING)
    vibe = person_tube(keypoints[span], CurationSettings(box="vibe"))
    np.testing.assert_allclose(vibe, by_scipy(raw, 8), rtol=ROUNDING)


def by_scipy(raw, sigma):
    steady = np.stack([signal.medfilt(axis.astype(np.float64), 11) for axis in raw.T], axis=1)
    return ndimage.gaussian_filter1d(steady, sigma, axis=0)


def test_the_default_is_hmmrs_but_for_the_ends():
    keypoints, span, _, smooth = golden_clip("a", 0.1)
    inside = slice(5 + 4 * 3, -5 - 4 * 3)  # half a median and where the Gaussian ends
    tube = person_tube(keypoints[span], CurationSettings())
    np.testing.assert_allclose(tube[inside], smooth[inside], rtol=ROUNDING)
    assert not np.allclose(tube, smooth, rtol=1e-3)


def test_a_key_replaces_one_constant_of_a_preset():
    constants = box_constants(CurationSettings(box="vibe", box_gaussian_sigma_frames=2, box_edges="nearest"))
    assert (constants.gaussian_sigma_frames, constants.edges) == (2, "nearest")
    assert (constants.median_frames, constants.minimum_confidence) == (11, PRESETS["vibe"].minimum_confidence)


def test_without_a_confidence_of_its_own_a_box_is_of_the_keypoints_that_count():
    keypoints = keypoints_of(10, 20, 60, 80, 20)
    keypoints = np.concatenate([keypoints, np.full((20, 1, 3), [500, 500, 0.2])], axis=1)
    assert person_tube(keypoints, CurationSettings(minimum_confidence=0.25))[0, 0] == pytest.approx(40)
    assert person_tube(keypoints, CurationSettings())[0, 0] == pytest.approx(255)
    assert person_tube(keypoints, CurationSettings(box="vibe", box_edges="nearest"))[0, 0] == pytest.approx(40)


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
