"""How far a triangulated reference can be trusted, on cameras and bodies that are known exactly."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from moviestrip.datasets.pose2sim import Camera
from moviestrip.evaluation.metrics import pa_mpjpe
from moviestrip.evaluation.reference import (
    PLACED_12,
    confirmed_joints,
    distances_in_views_px,
    limb_lengths_m,
    pa_mpjpe_of_known,
    place_bodies,
    seen_12,
    sides_exchanged,
    without_each_view,
)
from moviestrip.skeleton import BODY_25, COMMON_14, indices_of, mirror_permutation

FPS, FRAMES = 30.0, 30


def four_cameras():
    cameras = []
    for number, degrees in enumerate((15, 100, 190, 280), 1):
        eye = np.array([4 * np.cos(np.radians(degrees)), 4 * np.sin(np.radians(degrees)), 1.2])
        forward = -eye / np.linalg.norm(eye)
        right = np.cross(forward, [0, 0, 1])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        lens = np.array([-0.05, 0.1, 5e-4, -3e-4])
        cameras.append(Camera(f"cam{number}", np.array([1500.0, 1500, 540, 960]), lens, rotation, -rotation @ eye))
    return cameras


def body(frames=FRAMES):
    """(frames, 25, 3) metres: a cloud of a person's size that sways slowly and does not bend."""
    rest = np.random.default_rng(3).uniform([-0.4, -0.3, -0.8], [0.4, 0.3, 0.8], (len(BODY_25), 3))
    sway = 0.05 * np.sin(2 * np.pi * np.arange(frames) / 30)
    return rest + np.stack([sway, sway, 0 * sway], axis=-1)[:, None]


def seen_by(cameras, points):
    views = np.ones((len(cameras), *points.shape[:2], 3))
    for view, camera in zip(views, cameras, strict=True):
        view[..., :2] = camera.project(points.reshape(-1, 3)).reshape(*points.shape[:2], 2)
    return views


def placed_12(points):
    return points[:, indices_of(PLACED_12, BODY_25)]


def test_exact_views_confirm_every_joint():
    cameras, views = four_cameras(), seen_by(four_cameras(), body())
    without = without_each_view(cameras, views, FPS)
    assert without.shape == (4, FRAMES, 14, 3)
    assert confirmed_joints(without.mean(0), without).all()
    assert limb_lengths_m(without).std(axis=1).max() < 1e-3


def test_a_joint_that_hangs_on_one_camera_is_not_confirmed():
    views = seen_by(four_cameras(), body())
    wrist = BODY_25.index("left_wrist")
    views[1:3, :, wrist, 2] = 0  # two cameras are left, and neither can be spared
    without = without_each_view(four_cameras(), views, FPS)
    confirmed = confirmed_joints(np.nanmean(without, axis=0), without)
    assert not confirmed[:, COMMON_14.index("left_wrist")].any()
    assert np.delete(confirmed, COMMON_14.index("left_wrist"), axis=1).all()


def test_a_view_that_takes_left_for_right_is_named():
    views = seen_by(four_cameras(), body())
    views[2, 10:20] = views[2, 10:20][:, mirror_permutation(BODY_25)]
    found = sides_exchanged(four_cameras(), seen_12(views), placed_12(body()))
    expected = np.zeros((4, FRAMES), bool)
    expected[2, 10:20] = True
    np.testing.assert_array_equal(found, expected)


def test_a_body_of_unknown_size_and_place_is_put_where_it_was_seen():
    points = placed_12(body())
    directions = 0.5 * points + np.array([3.0, -1, 2])
    placed = place_bodies(four_cameras(), seen_12(seen_by(four_cameras(), body())), directions)
    np.testing.assert_allclose(placed, points, atol=1e-5)


def test_a_wrong_body_is_put_about_as_well_as_a_nonlinear_search_can():
    cameras, seen = four_cameras(), seen_12(seen_by(four_cameras(), body(1)))
    directions = placed_12(body(1)) + np.random.default_rng(0).normal(0, 0.08, (1, 12, 3))

    def off_px(solution):
        points = solution[0] * directions + solution[1:]
        shown = [camera.project(points[0]) for camera in cameras]
        return (np.stack(shown) - seen[:, 0, :, :2]).ravel()

    best = least_squares(off_px, [1.0, 0, 0, 0]).cost
    placed = place_bodies(cameras, seen, directions)
    ours = 0.5 * (distances_in_views_px(cameras, seen, placed) ** 2).sum()
    assert best <= ours < 1.02 * best


def test_a_body_that_nobody_sees_has_no_place():
    seen = seen_12(seen_by(four_cameras(), body(2)))
    seen[:, 1, :, 2] = 0
    placed = place_bodies(four_cameras(), seen, placed_12(body(2)))
    assert np.isfinite(placed[0]).all()
    assert np.isnan(placed[1]).all()


def test_errors_over_known_joints_are_those_of_a_smaller_set():
    random = np.random.default_rng(1)
    predicted, target = random.normal(size=(3, 14, 3)), random.normal(size=(3, 14, 3))
    known = np.ones((3, 14), bool)
    known[1, [0, 5]] = False
    known[2, 7:] = False
    found = pa_mpjpe_of_known(predicted, target, known)
    assert found[0] == pytest.approx(pa_mpjpe(predicted, target)[0])
    assert found[1] == pytest.approx(pa_mpjpe(predicted[:, known[1]], target[:, known[1]])[1])
    assert np.isnan(found[2])  # seven joints are too few
