"""Bursts keep their distance, and the camera's faults change pictures as they say."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from moviestrip.world.wear import BURST_FRAMES, CLEAR_FRAMES, Wear, burst_labels, draw_bursts


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 6), st.integers(1, 200), st.integers(0, 10_000))
def test_bursts_are_short_inside_and_apart(count, n_frames, seed):
    bursts = draw_bursts(count, n_frames, np.random.default_rng(seed))
    assert len(bursts) <= count
    edge = 0
    for burst in bursts:
        assert BURST_FRAMES[0] <= burst.frames <= BURST_FRAMES[1]
        assert burst.start >= edge + CLEAR_FRAMES
        edge = burst.start + burst.frames
    assert edge <= n_frames
    labels = burst_labels(bursts, n_frames)
    assert len(labels) == n_frames and sum(label != "none" for label in labels) == sum(b.frames for b in bursts)


def test_a_blur_burst_blurs_its_frames_only():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (128, 128, 3), dtype=np.uint8)
    for seed in range(40):
        wear = Wear("studio", 128, 64, np.random.default_rng(seed))
        blurred = [frame for burst in wear.bursts if burst.kind == "blur" for frame in range(64) if frame in burst]
        if blurred:
            detail = [np.abs(np.diff(wear.apply(picture, frame).astype(float), axis=1)).mean() for frame in range(64)]
            assert max(np.array(detail)[blurred]) < 0.6 * min(np.delete(detail, blurred))
            return
    raise AssertionError("no blur burst among forty videos")


def test_noise_differs_between_frames_and_repeats_between_runs():
    picture = np.full((96, 96, 3), 120, np.uint8)
    first, second = (Wear("vlog", 96, 8, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.apply(picture, 3), second.apply(picture, 3))
    assert (first.apply(picture, 3) != first.apply(picture, 4)).mean() > 0.3


def test_the_noise_has_the_size_it_should():
    picture = np.full((128, 128, 3), 120, np.uint8)
    deviations = [Wear("vlog", 128, 2, np.random.default_rng(seed)).apply(picture, 0).std((0, 1)).mean()
                  for seed in range(20)]  # fmt: skip
    assert min(deviations) > 2.0 and max(deviations) < 9.0
