"""Each filter on keypoints made to sit on either side of its threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moviestrip.config import CurationSettings
from moviestrip.curate.filters import FACE_AND_SHOULDERS, FILTERS, face_only, visible_count, visible_runs
from moviestrip.skeleton import BODY_25, HMMR_25, indices_of

SETTINGS = CurationSettings()


def clip(n_frames=50, joints=BODY_25, height_px=200.0, confidence=0.8):
    """A whole visible person, `height_px` tall."""
    keypoints = np.zeros((n_frames, len(joints), 3), np.float32)
    keypoints[..., 1] = np.linspace(0, height_px, len(joints))
    keypoints[..., 2] = confidence
    return keypoints


def judged(name, keypoints, joints=BODY_25):
    return FILTERS[name](keypoints, joints, SETTINGS)


@pytest.mark.parametrize("joints", [BODY_25, HMMR_25])
def test_a_whole_clear_person_passes_every_filter(joints):
    assert all(judge(clip(joints=joints), joints, SETTINGS).passed for judge in FILTERS.values())


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
    assert face_only(keypoints, BODY_25, SETTINGS).value == 0


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
    assert [name for name, judge in FILTERS.items() if not judge(nobody, BODY_25, SETTINGS).passed] == [
        "visible_keypoints", "person_height", "mean_confidence",
    ]  # fmt: skip


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
