"""Statue moments: the filter against a convolution written out, and the moment of accuracies that are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from moviestrip.errors import FatalError
from moviestrip.evaluation.protocols import protocol_named
from moviestrip.evaluation.statues import (
    FUTURE_FRAMES,
    LEAST_WINDOWS,
    accuracy_change,
    best_window,
    future_accuracy,
    predictability,
    smoothed,
)
from moviestrip.tables import unstack
from tests.evaluation.test_forecasts import clip_table, labels_of, true_estimates
from tests.training.stick_world import stick_clips

PHD = protocol_named("phd")
JUMP = 20  # the last frame seen from which on the forecasts below are right


@pytest.fixture(scope="module")
def clips():
    return stick_clips("statue", 2, n_frames=50, share_3d=0.0)


def forecasts_of(dataset, horizons=range(31)) -> pd.DataFrame:
    """Forecasts of the first clip from every frame that has 15 before it and all horizons after it.

    They are the truth from frame `JUMP` on; before it, every point is 20 cm beside it, more or less.
    """
    points = true_estimates(dataset).points_m[: dataset.clips[0].n_frames].numpy()
    wrong = points + np.random.default_rng(1).normal(0, 0.2, points.shape).astype(np.float32)
    rows = [
        (start, horizon, (points if start >= JUMP else wrong)[start + horizon])
        for start in range(14, len(points) - horizons[-1])
        for horizon in horizons
    ]
    starts, ahead, posed = zip(*rows, strict=True)
    said = np.stack(posed)
    return pd.DataFrame(
        {
            "clip_id": dataset.clips[0].clip_id,
            "kind": "forecast",
            "start_frame": starts,
            "horizon": ahead,
            "joints_3d_m": unstack(said[:, :14]),
            "points_3d_m": unstack(said),
        }
    )


def test_the_moment_is_where_forecasts_become_right(clips):
    curve = predictability(forecasts_of(clips, range(16)), labels_of(clips), clip_table(clips).head(1), PHD)
    assert curve.last_seen.tolist() == list(range(14, 35))
    before = curve.last_seen < JUMP
    assert curve.accuracy_percent[before].max() < 60 and curve.accuracy_percent[~before].min() > 95
    assert curve.window is not None and curve.last_seen[curve.window] in (JUMP - 1, JUMP)
    assert curve.statue_frame == curve.last_seen[curve.window] + 1
    assert curve.change_percent[curve.window] == curve.change_percent.max() > 0


def test_only_the_next_15_frames_count(clips):
    labels, clip = labels_of(clips), clip_table(clips).head(1)
    near = forecasts_of(clips, range(16))
    far = forecasts_of(clips, range(18))
    far.loc[far["horizon"] > FUTURE_FRAMES, "points_3d_m"] = None  # nobody may look at them
    both = near["start_frame"].unique()[:-2]
    assert predictability(far, labels, clip, PHD).accuracy_percent.tolist() == (
        predictability(near, labels, clip, PHD).accuracy_percent[: len(both)].tolist()
    )


def test_a_window_needs_8_frames_that_count(clips):
    labels, clip = labels_of(clips), clip_table(clips).head(1)
    keypoints = np.stack(labels["keypoints_2d"]).reshape(-1, 25, 3)
    keypoints[25:34, :, 2] = 0  # nine frames without a person, in the first clip
    curve = predictability(forecasts_of(clips, range(16)), labels.assign(keypoints_2d=unstack(keypoints)), clip, PHD)
    hidden = [sum(start < frame <= start + 15 for frame in range(25, 34)) for start in curve.last_seen]
    assert np.isnan(curve.accuracy_percent).tolist() == [15 - count < 8 for count in hidden]
    assert curve.window is not None and np.isfinite(curve.accuracy_percent[curve.window])
    assert np.isfinite(curve.smoothed_percent).all()


def test_a_clip_with_too_few_windows_has_no_statue(clips):
    forecasts, labels, clip = forecasts_of(clips, range(16)), labels_of(clips), clip_table(clips).head(1)
    few = forecasts[forecasts["start_frame"].between(17, 16 + LEAST_WINDOWS - 1)]
    curve = predictability(few, labels, clip, PHD)
    assert curve.window is None and curve.statue_frame is None and np.isfinite(curve.accuracy_percent).all()
    enough = forecasts[forecasts["start_frame"].between(17, 16 + LEAST_WINDOWS)]
    assert predictability(enough, labels, clip, PHD).window is not None
    blind = replace(PHD, minimum_visible_2d=26)
    assert predictability(forecasts, labels, clip, blind).window is None


@pytest.mark.parametrize("kept", [lambda t: t["start_frame"] % 2 == 0, lambda t: t["horizon"] < 15])
def test_forecasts_at_some_frames_or_of_too_few_are_refused(clips, kept):
    forecasts = forecasts_of(clips, range(16))
    with pytest.raises(FatalError, match="forecast again with every_frames 1"):
        predictability(forecasts[kept(forecasts)], labels_of(clips), clip_table(clips).head(1), PHD)


def test_the_filter_is_the_slope_of_a_gaussian_average():
    accuracy = np.random.default_rng(0).uniform(0, 100, 40)
    at = np.arange(-8, 9)
    weights = np.exp(-(at**2) / 8)
    weights /= weights.sum()
    padded = np.pad(accuracy, 8, mode="edge")
    average = np.convolve(padded, weights, "valid")
    slope = np.convolve(padded, -at / 4 * weights, "valid")
    np.testing.assert_allclose(smoothed(accuracy), average, rtol=1e-12)
    np.testing.assert_allclose(accuracy_change(accuracy), slope, rtol=1e-10, atol=1e-12)


def test_a_steady_rise_is_its_own_slope_and_a_constant_has_none():
    assert np.allclose(accuracy_change(3.0 * np.arange(40))[8:-8], 3, rtol=1e-3)
    assert np.allclose(accuracy_change(np.full(20, 60.0)), 0)


@pytest.mark.parametrize("period_frames", [2, 3])
def test_what_flickers_does_not_pass(period_frames):
    flicker = 10 * np.cos(2 * np.pi * np.arange(60) / period_frames)
    assert np.abs(accuracy_change(flicker)[8:-8]).max() < 0.3 and np.abs(np.diff(flicker)).max() > 10


def test_a_gap_is_bridged_but_not_chosen():
    accuracy = np.repeat([20.0, 80.0], 15)
    whole = accuracy_change(accuracy)
    assert best_window(accuracy, whole) in (14, 15)
    accuracy[14:16] = np.nan
    change = accuracy_change(accuracy)
    assert np.isfinite(change).all() and best_window(accuracy, change) in (13, 16)
    np.testing.assert_allclose(change[[13, 16]], change[[16, 13]], rtol=1e-6)


def test_an_accuracy_that_only_falls_has_no_moment():
    falling = np.linspace(90, 10, 30)
    assert best_window(falling, accuracy_change(falling)) is None
    with pytest.raises(FatalError, match="at least one that has an accuracy"):
        accuracy_change(np.full(10, np.nan))


def test_accuracy_is_the_mean_of_the_frames_that_count():
    values = np.arange(30.0).reshape(2, 15)
    counted = np.ones((2, 15), bool)
    counted[0, :7], counted[1, :8] = False, False
    found = future_accuracy(values, counted)
    assert found[0] == values[0, 7:].mean() and np.isnan(found[1])
