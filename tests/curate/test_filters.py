"""Each filter on keypoints made to sit on either side of its threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moviestrip.config import CurationSettings
from moviestrip.curate.filters import (
    FACE_AND_SHOULDERS,
    FILTERS,
    Candidate,
    face_only,
    motion,
    visible_count,
    visible_runs,
)
from moviestrip.skeleton import BODY_25, HMMR_25, indices_of

SETTINGS = CurationSettings()
FPS = 25.0


def clip(n_frames=50, joints=BODY_25, height_px=200.0, confidence=0.8):
    """A whole visible person, `height_px` tall."""
    keypoints = np.zeros((n_frames, len(joints), 3), np.float32)
    keypoints[..., 1] = np.linspace(0, height_px, len(joints))
    keypoints[..., 2] = confidence
    return keypoints


def judged(name, keypoints, joints=BODY_25, cuts=None):
    return FILTERS[name](Candidate(keypoints, joints, FPS, cuts), SETTINGS)


@pytest.mark.parametrize("joints", [BODY_25, HMMR_25])
def test_a_whole_clear_person_passes_every_filter(joints):
    assert all(judged(name, clip(joints=joints), joints, cuts=0).passed for name in FILTERS)


@pytest.mark.parametrize(("n_frames", "passed"), [(39, False), (40, True)])
def test_length(n_frames, passed):
    verdict = judged("length", clip(n_frames))
    assert (verdict.value, verdict.threshold, verdict.passed) == (n_frames, 40, passed)


@pytest.mark.parametrize(("count", "passed"), [(6, False), (7, True)])
def test_visible_keypoints(count, passed):
    keypoints = clip()
    keypoints[:, count:, 2] = 0
    verdict = judged("visible_keypoints", keypoints)
    assert (verdict.value, verdict.passed) == (count, passed)


@pytest.mark.parametrize(("hidden_frames", "passed"), [(19, True), (20, False)])
def test_face_and_shoulders_in_two_fifths_of_the_frames_is_too_much(hidden_frames, passed):
    keypoints = clip()
    below = np.delete(np.arange(25), indices_of([n for n in FACE_AND_SHOULDERS if n in BODY_25], BODY_25))
    keypoints[:hidden_frames, below, 2] = 0
    verdict = judged("face_only", keypoints)
    assert verdict.value == pytest.approx(hidden_frames / 50)
    assert verdict.passed == passed


def test_frames_without_a_person_are_no_faces():
    keypoints = clip()
    keypoints[:30, :, 2] = 0
    assert face_only(Candidate(keypoints, BODY_25, FPS), SETTINGS).value == 0


@pytest.mark.parametrize(("height_px", "passed"), [(59, False), (60, True)])
def test_person_height(height_px, passed):
    verdict = judged("person_height", clip(height_px=height_px))
    assert verdict.value == pytest.approx(height_px)
    assert verdict.passed == passed


@pytest.mark.parametrize(("confidence", "passed"), [(0.25, False), (0.35, True)])
def test_mean_confidence(confidence, passed):
    keypoints = clip(confidence=confidence)
    keypoints[:, :10, 2] = 0.01  # not visible: no part of the mean
    verdict = judged("mean_confidence", keypoints)
    assert verdict.value == pytest.approx(confidence)
    assert verdict.passed == passed


def test_nobody_fails_but_raises_nothing():
    nobody = np.zeros((50, 25, 3), np.float32)
    assert [name for name in FILTERS if not judged(name, nobody).passed] == [
        "visible_keypoints", "detected_fraction", "person_height", "mean_confidence",
    ]  # fmt: skip
    assert np.isnan(judged("motion", nobody).value)


@pytest.mark.parametrize(("seen_frames", "passed"), [(24, False), (25, True)])
def test_a_detector_that_fires_in_less_than_half_of_the_frames_does_not_fire_consistently(seen_frames, passed):
    keypoints = clip()
    keypoints[seen_frames:, :, 2] = 0
    verdict = judged("detected_fraction", keypoints)
    assert (verdict.value, verdict.threshold, verdict.passed) == (seen_frames / 50, 0.5, passed)


@pytest.mark.parametrize(("cuts", "passed"), [(0, True), (1, False)])
def test_a_cut_within_the_clip_is_one_too_many(cuts, passed):
    verdict = judged("shot_cuts", clip(), cuts=cuts)
    assert (verdict.value, verdict.threshold, verdict.passed) == (cuts, 0, passed)


def test_where_nobody_looked_for_cuts_nothing_is_measured():
    verdict = judged("shot_cuts", clip())
    assert np.isnan(verdict.value) and verdict.passed


HEIGHT_PX = 200.0
WRISTS = indices_of(["left_wrist", "right_wrist"], BODY_25)


def swinging(n_frames=100, fps=FPS, amplitude_px=60.0, joints=WRISTS, zoom=1.0):
    """A body whose wrists swing from side to side once a second."""
    keypoints = clip(n_frames, height_px=HEIGHT_PX)
    keypoints[:, joints, 0] = amplitude_px * np.sin(2 * np.pi * np.arange(n_frames) / fps)[:, None]
    keypoints[..., :2] *= zoom
    return keypoints


def motion_of(keypoints, fps=FPS, **settings):
    return motion(Candidate(keypoints, BODY_25, fps), CurationSettings(**settings))


def test_motion_is_the_mean_speed_over_joints_in_heights_a_second():
    # 4 x 60 px a cycle and wrist, 2 of 25 joints; a median and a step of 0.2 s cut the swing's corners.
    expected = 2 / 25 * 4 * 60 / np.median([np.hypot(HEIGHT_PX, abs(x)) for x in swinging()[:, WRISTS[0], 0]])
    assert motion_of(swinging()).value == pytest.approx(expected, rel=0.15)


def test_a_body_carried_along_does_not_move():
    still = clip(100)
    still[..., :2] += np.cumsum(
        np.random.default_rng(0).normal(3, 5, (100, 1, 2)), axis=0
    )  # a walk, or a shaken camera
    assert motion_of(still).value == pytest.approx(0, abs=1e-4)
    carried = swinging()
    carried[..., 0] += 4 * np.arange(100)[:, None]
    assert motion_of(carried).value == pytest.approx(motion_of(swinging()).value, rel=0.1)


@given(st.floats(0.2, 5))
def test_motion_does_not_depend_on_the_size_of_the_picture(zoom):
    assert motion_of(swinging(zoom=zoom)).value == pytest.approx(motion_of(swinging()).value, rel=1e-4)


@pytest.mark.parametrize("fps", [15, 30, 50])
def test_motion_hardly_depends_on_the_frame_rate(fps):
    keypoints = swinging(4 * fps, fps)
    assert motion_of(keypoints, fps).value == pytest.approx(motion_of(swinging()).value, rel=0.1)


def test_jitter_and_single_false_keypoints_are_little_motion():
    noise = np.random.default_rng(1)
    still = clip(200, height_px=HEIGHT_PX)
    still[..., :2] += noise.normal(0, 0.01 * HEIGHT_PX, (200, 25, 2))  # a hundredth of the height
    assert motion_of(still).value < 0.06
    naive = np.linalg.norm(np.diff(still[..., :2], axis=0), axis=-1).mean() / HEIGHT_PX * FPS
    assert naive > 0.4  # what the speed from frame to frame makes of it
    before = motion_of(still).value
    still[::10, 7, :2] += 500
    assert motion_of(still).value == pytest.approx(before, rel=0.1)


def test_unseen_joints_and_frames_say_nothing_of_motion():
    keypoints = swinging()
    keypoints[40:50, :, 2] = 0
    keypoints[40:50, :, :2] = np.nan
    assert motion_of(keypoints).value == pytest.approx(motion_of(swinging()).value, rel=0.1)
    keypoints[:, WRISTS, 2] = 0.01
    assert motion_of(keypoints).value == pytest.approx(0, abs=1e-6)
    verdict = motion_of(clip(5), minimum_motion=0.5)
    assert np.isnan(verdict.value) and verdict.passed


def test_who_moves_too_little_is_left_out():
    assert not motion_of(clip(), minimum_motion=0.01).passed
    assert motion_of(swinging(), minimum_motion=0.01).passed


def test_two_bad_frames_do_not_change_the_count():
    keypoints = clip()
    keypoints[20:22, :, 2] = 0
    assert (visible_count(keypoints, SETTINGS) == 25).all()


def test_runs_start_above_one_level_and_end_at_another():
    counts = np.array([0, 5, 6, 7, 5, 5, 4, 5, 6, 7, 8])
    assert visible_runs(counts, start_above=6, end_at=4) == [(3, 6), (9, 11)]


@given(st.lists(st.integers(0, 25), max_size=60))
def test_runs_are_ordered_apart_and_above_the_lower_level(counts):
    runs = visible_runs(np.array(counts, int), 6, 4)
    assert [edge for run in runs for edge in run] == sorted({edge for run in runs for edge in run})
    inside = {frame for first, end in runs for frame in range(first, end)}
    assert all(counts[frame] > 4 for frame in inside)
    assert all(counts[first] > 6 for first, _ in runs)
    assert all(counts[frame] <= 6 for frame in range(len(counts)) if frame not in inside)
