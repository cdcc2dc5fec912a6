"""Triangulation of a known body seen by known cameras, and the calibration format that describes them."""

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from moviestrip.config import CurationSettings, DatasetSettings
from moviestrip.datasets.pose2sim import (
    CalibratedCameras,
    Camera,
    common_joints,
    read_qualisys,
    smooth_points,
    triangulate,
)
from moviestrip.datasets.registry import dataset_named
from moviestrip.errors import FatalError
from moviestrip.skeleton import BODY_25, COMMON_14
from moviestrip.tables import LABELS, TRACKS, VIDEOS, empty, stack, write_table
from moviestrip.video.fetch import source_in_package, video_id_of

SETTINGS = CurationSettings(minimum_frames=10)
N_FRAMES = 30


def look_at(eye):
    """Rotation of a camera at `eye` that looks at the origin, world z up."""
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def four_cameras():
    cameras = []
    for number, degrees in enumerate((20, 110, 200, 290), 1):
        eye = np.array([3.5 * np.cos(np.radians(degrees)), 3.5 * np.sin(np.radians(degrees)), 1.0])
        rotation = look_at(eye)
        cameras.append(
            Camera(
                f"cam{number:02d}", np.array([1600.0, 1610, 540, 960]), np.array([-0.05, 0.14, 6e-4, -3e-4]), rotation,
                -rotation @ eye,
            )
        )  # fmt: skip
    return cameras


def body_in_motion():
    """(frames, 25, 3) metres: a person-sized cloud that sways slowly."""
    rng = np.random.default_rng(0)
    rest = rng.uniform([-0.3, -0.3, -0.8], [0.3, 0.3, 0.8], (len(BODY_25), 3))
    sway = 0.15 * np.sin(2 * np.pi * np.arange(N_FRAMES) / 30)
    return rest + np.stack([sway, 0.5 * sway, 0 * sway], axis=-1)[:, None]


def seen_by(cameras, points):
    views = np.ones((len(cameras), *points.shape[:2], 3))
    for view, camera in zip(views, cameras, strict=True):
        view[..., :2] = camera.project(points.reshape(-1, 3)).reshape(*points.shape[:2], 2)
    return views


def qualisys(cameras):
    """The calibration file of some cameras, written from the format's definition."""
    lines = []
    for camera in cameras:
        own = np.diag([1, -1, -1]) @ camera.rotation  # y up, z towards the viewer
        eye_mm = -1000 * camera.rotation.T @ camera.translation_m
        turn = " ".join(f'r{r + 1}{c + 1}="{own[r, c]!r}"' for r in range(3) for c in range(3))
        fx, fy, cx, cy = camera.intrinsics_px * 64
        k1, k2, p1, p2 = camera.distortion
        lines.append(
            f'<camera serial="{camera.name}" model="none"><transform {turn} x="{eye_mm[0]!r}" y="{eye_mm[1]!r}" '
            f'z="{eye_mm[2]!r}"/><intrinsic focalLengthU="{fx!r}" focalLengthV="{fy!r}" centerPointU="{cx!r}" '
            f'centerPointV="{cy!r}" radialDistortion1="{k1!r}" radialDistortion2="{k2!r}" '
            f'tangentalDistortion1="{p1!r}" tangentalDistortion2="{p2!r}"/></camera>'
        )
    return f"<calibration><cameras>{''.join(lines)}</cameras></calibration>".replace("np.float64(", "").replace(")", "")


def test_a_calibration_is_read_back(tmp_path):
    path = tmp_path / "calibration.txt"
    path.write_text(qualisys(four_cameras()))
    for found, expected in zip(read_qualisys(path).values(), four_cameras(), strict=True):
        assert found.name == expected.name
        for field in ("intrinsics_px", "distortion", "rotation", "translation_m"):
            np.testing.assert_allclose(getattr(found, field), getattr(expected, field), atol=1e-12)


@pytest.mark.parametrize(
    "text", ["", "<html></html>", '<calibration><cameras><camera serial="a"/></cameras></calibration>']
)
def test_what_is_no_calibration_is_refused_by_name(tmp_path, text):
    path = tmp_path / "calibration.txt"
    path.write_text(text)
    with pytest.raises(FatalError, match=r"calibration\.txt: .*not a Qualisys calibration"):
        read_qualisys(path)


def test_projection_agrees_with_opencv_undistorted_rays():
    camera = four_cameras()[0]
    points = body_in_motion()[0]
    rays = camera.undistort(camera.project(points))
    own = camera.from_world(points)
    np.testing.assert_allclose(rays, own[:, :2] / own[:, 2:], atol=1e-6)


def test_exact_views_give_the_exact_body():
    points = body_in_motion()
    found, errors = triangulate(four_cameras(), seen_by(four_cameras(), points))
    np.testing.assert_allclose(found, points, atol=1e-5)
    assert np.nanmax(errors) < 1e-2


def test_two_views_agree_with_opencv():
    cameras, points = four_cameras()[:2], body_in_motion()
    views = seen_by(cameras, points)
    views[..., :2] += np.random.default_rng(1).normal(0, 0.5, views[..., :2].shape)
    found, _ = triangulate(cameras, views)
    rays = [camera.undistort(view[..., :2].reshape(-1, 2)) for camera, view in zip(cameras, views, strict=True)]
    expected = cv2.triangulatePoints(cameras[0].extrinsics, cameras[1].extrinsics, rays[0].T, rays[1].T)
    np.testing.assert_allclose(found.reshape(-1, 3), (expected[:3] / expected[3]).T, atol=1e-6)


def test_a_view_that_is_far_off_is_left_out():
    points = body_in_motion()
    views = seen_by(four_cameras(), points)
    views[2, :, 4, 0] += 80
    found, errors = triangulate(four_cameras(), views)
    np.testing.assert_allclose(found, points, atol=1e-4)
    assert np.isnan(errors[2, :, 4]).all()
    assert np.isfinite(np.delete(errors, 4, axis=2)).all()


def test_a_joint_seen_by_one_camera_has_no_position():
    views = seen_by(four_cameras(), body_in_motion())
    views[1:, 7, 3, 2] = 0.1
    found, _ = triangulate(four_cameras(), views)
    assert np.isnan(found[7, 3]).all()
    assert np.isfinite(np.delete(found.reshape(-1, 3), 7 * 25 + 3, axis=0)).all()


def test_smoothing_keeps_slow_motion_and_removes_jitter():
    points = body_in_motion()
    shaky = points + np.random.default_rng(0).normal(0, 0.01, points.shape)
    smooth = smooth_points(shaky, 30)
    assert np.abs(smooth_points(points, 30) - points)[5:-5].max() < 0.005
    jitter = [np.linalg.norm(np.diff(p, 2, axis=0), axis=-1).mean() for p in (shaky, smooth)]
    assert jitter[1] < 0.35 * jitter[0]
    assert np.linalg.norm(smooth - points, axis=-1).mean() < np.linalg.norm(shaky - points, axis=-1).mean()


def test_short_gaps_are_bridged_and_long_ones_stay_open():
    points = body_in_motion()
    points[5:9, 0] = np.nan
    points[15:25, 1] = np.nan
    smooth = smooth_points(points, 30)
    assert np.isfinite(smooth[:, 0]).all()
    assert np.isnan(smooth[15:25, 1]).all()
    assert np.isfinite(smooth[:15, 1]).all()


def test_common_joints_keep_their_names():
    points = body_in_motion()
    found = common_joints(points)
    np.testing.assert_array_equal(found[:, COMMON_14.index("left_knee")], points[:, BODY_25.index("left_knee")])
    ears = (points[:, BODY_25.index("left_ear")] + points[:, BODY_25.index("right_ear")]) / 2
    neck, top = found[:, COMMON_14.index("neck")], found[:, COMMON_14.index("head_top")]
    np.testing.assert_allclose(np.cross(top - neck, ears - neck), 0, atol=1e-12)


class RecordedCameras(CalibratedCameras):
    """The dataset without its download: the cameras are given."""

    def cameras(self):
        return {video_id_of(source_in_package("demo==1", f"{c.name}.mp4")): c for c in four_cameras()}


def settings():
    files = [{"path": f"{camera.name}.mp4", "sha256": "0" * 64} for camera in four_cameras()]
    source = {"kind": "package", "requirement": "demo==1", "sha256": "0" * 64, "files": files}
    return DatasetSettings(
        role="real_check", title="T", licence="none", supervision="pseudo_2d", tube="tracks", split="test", fps=30,
        source=source,
    )  # fmt: skip


def tables_of(points, cameras):
    rows = [
        {"video_id": video_id, "track": 0, "frame": frame, "keypoints": keypoints.reshape(-1).astype(np.float32)}
        for (video_id, camera), view in zip(cameras.items(), seen_by(list(cameras.values()), points), strict=True)
        for frame, keypoints in enumerate(view)
    ]
    videos = [
        [video_id, "p", "s", "test", "", "", "", "", "", "ok", "", 1080, 1920, 30.0, N_FRAMES, "", 0.0, 0.0, 0.0]
        for video_id in cameras
    ]
    return pd.DataFrame(videos, columns=empty(VIDEOS).columns), pd.DataFrame(rows, columns=empty(TRACKS).columns)


def test_every_camera_gets_the_joints_in_its_own_frame(tmp_path):
    dataset, points = RecordedCameras("pose2sim", settings()), body_in_motion()
    videos, tracks = tables_of(points, dataset.cameras())
    clips, _ = dataset.clips(videos, tracks, SETTINGS)
    labels = dataset.labels(clips, tracks, SETTINGS)
    write_table(tmp_path / "labels.parquet", labels, LABELS)
    assert labels["has_3d"].all()
    assert not stack(labels["pose"]).any()
    for clip in clips.to_dict("records"):
        camera = dataset.cameras()[clip["video_id"]]
        found = stack(labels.loc[labels["clip_id"] == clip["clip_id"], "joints_3d_m"], 14, 3)
        expected = camera.from_world(common_joints(points))
        assert np.abs(found - expected)[5:-5].max() < 0.006  # the low-pass
        np.testing.assert_allclose(stack(labels["intrinsics_px"])[0], camera.intrinsics_px)


def test_one_camera_is_not_enough():
    dataset = RecordedCameras("pose2sim", settings())
    videos, tracks = tables_of(body_in_motion(), dataset.cameras())
    tracks = tracks[tracks["video_id"] == videos.loc[0, "video_id"]]
    clips, _ = dataset.clips(videos, tracks, SETTINGS)
    with pytest.raises(FatalError, match="triangulation needs two"):
        dataset.labels(clips, tracks, SETTINGS)


def test_the_real_check_is_found_by_its_name():
    assert isinstance(dataset_named("pose2sim", settings()), CalibratedCameras)


def test_rotations_are_rotations():
    for camera in four_cameras():
        np.testing.assert_allclose(Rotation.from_matrix(camera.rotation).as_matrix(), camera.rotation, atol=1e-12)
