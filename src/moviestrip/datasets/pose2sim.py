"""The real check: people filmed by calibrated cameras, with a 3D reference triangulated from the detections.

There is no motion capture behind such a video. The reference comes from the same detector as everything
else, seen by several cameras at once, and is uncertain by 20-30 mm: good enough to see that a model which
does well in the miniature world has not learnt only that world, and not for ranking models. It has joints
and no body parameters, so only Procrustes-aligned joint errors mean anything on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy import signal

from moviestrip.config import CurationSettings, PackageSource
from moviestrip.curate.clips import Person, tracked_people
from moviestrip.datasets.base import Dataset
from moviestrip.errors import ConfigError, FatalError
from moviestrip.parts import extract_member, fetch_package
from moviestrip.skeleton import BODY_25, COMMON_14, indices_of
from moviestrip.tables import unstack
from moviestrip.video.fetch import source_in_package, video_id_of

SUBPIXELS = 64  # Qualisys states focal lengths and centres in 64ths of a pixel
MINIMUM_VIEW_CONFIDENCE = 0.3
MAXIMUM_REPROJECTION_PX = 20.0
MAXIMUM_GAP_FRAMES = 5
LOW_PASS_HZ = 6.0
# The detector knows no top of the head, and calls neck the middle of the shoulders. Both joints lie on the line
# from there through the middle of the ears, at these shares of that distance on the free body's template.
NECK_ALONG, HEAD_TOP_ALONG = 0.25, 1.5

Views = Float[np.ndarray, "cameras frames joints 3"]
Points = Float[np.ndarray, "frames joints 3"]


@dataclass(frozen=True)
class Camera:
    """A calibrated camera: camera = rotation @ world + translation, axes x right, y down, z forward."""

    name: str
    intrinsics_px: Float[np.ndarray, " 4"]
    distortion: Float[np.ndarray, " 4"]
    rotation: Float[np.ndarray, "3 3"]
    translation_m: Float[np.ndarray, " 3"]

    @property
    def matrix(self) -> Float[np.ndarray, "3 3"]:
        fx, fy, cx, cy = self.intrinsics_px
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])

    @property
    def extrinsics(self) -> Float[np.ndarray, "3 4"]:
        return np.column_stack([self.rotation, self.translation_m])

    def from_world(self, points_m: Float[np.ndarray, "*points 3"]) -> Float[np.ndarray, "*points 3"]:
        return points_m @ self.rotation.T + self.translation_m

    def project(self, points_m: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 2"]:
        turn, _ = cv2.Rodrigues(self.rotation)
        return cv2.projectPoints(points_m, turn, self.translation_m, self.matrix, self.distortion)[0][:, 0]

    def undistort(self, points_px: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 2"]:
        """Where the rays of some pixels meet the plane z = 1 of the camera frame."""
        return cv2.undistortPoints(points_px.reshape(-1, 1, 2), self.matrix, self.distortion)[:, 0]


def read_qualisys(path: Path) -> dict[str, Camera]:
    """The cameras of a Qualisys calibration file, by name."""
    try:
        cameras = [_camera(element) for element in ElementTree.parse(path).getroot().iterfind("cameras/camera")]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise FatalError(f"{path}: not a Qualisys calibration ({type(error).__name__}: {error})") from error
    if not cameras:
        raise FatalError(f"{path}: names no camera; it is not a Qualisys calibration")
    return {camera.name: camera for camera in cameras}


def _camera(element: ElementTree.Element) -> Camera:
    transform, intrinsic = element.find("transform"), element.find("intrinsic")
    if transform is None or intrinsic is None:
        raise KeyError("transform or intrinsic")
    # its own camera frame has y up and z towards the viewer: half a turn about x from ours
    half_turn = np.diag([1.0, -1.0, -1.0])
    rotation = half_turn @ _numbers(
        transform, [f"r{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3)]
    ).reshape(3, 3)
    position_m = _numbers(transform, "xyz") / 1000
    scaled = ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV")
    curved = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2")
    return Camera(
        name=element.attrib["serial"],
        intrinsics_px=_numbers(intrinsic, scaled) / SUBPIXELS,
        distortion=_numbers(intrinsic, curved),
        rotation=rotation,
        translation_m=-rotation @ position_m,
    )


def _numbers(element: ElementTree.Element, keys: Sequence[str]) -> Float[np.ndarray, " keys"]:
    return np.array([float(element.attrib[key]) for key in keys])


def triangulate(cameras: list[Camera], views: Views) -> tuple[Points, Float[np.ndarray, "cameras frames joints"]]:
    """World positions of every joint in every frame, and each used view's reprojection error in pixels.

    Direct linear transform weighted by confidence. While a view misses its point by more than
    `MAXIMUM_REPROJECTION_PX`, the view whose absence fits best is left out, down to two; fewer give NaN.
    """
    flat = views.reshape(len(cameras), -1, 3).astype(np.float64)
    rays = np.stack([camera.undistort(view[:, :2]) for camera, view in zip(cameras, flat, strict=True)])
    used = flat[..., 2] >= MINIMUM_VIEW_CONFIDENCE
    points, errors = _solve(cameras, rays, flat, used)
    while True:
        doubtful = (np.nanmax(np.where(used, errors, -np.inf), axis=0) > MAXIMUM_REPROJECTION_PX) & (used.sum(0) > 2)
        if not doubtful.any():
            break
        used[:, doubtful] = _without_worst(cameras, rays[:, doubtful], flat[:, doubtful], used[:, doubtful])
        points[doubtful], errors[:, doubtful] = _solve(cameras, rays[:, doubtful], flat[:, doubtful], used[:, doubtful])
    shape = views.shape[1:3]
    return points.reshape(*shape, 3), np.where(used, errors, np.nan).reshape(len(cameras), *shape)


def _solve(
    cameras: list[Camera], rays: np.ndarray, flat: np.ndarray, used: Bool[np.ndarray, "cameras points"]
) -> tuple[np.ndarray, np.ndarray]:
    rows = []
    for camera, ray, view, use in zip(cameras, rays, flat, used, strict=True):
        weight = np.where(use, view[:, 2], 0.0)[:, None, None]
        rows.append(weight * (ray[:, :, None] * camera.extrinsics[2] - camera.extrinsics[:2]))
    homogeneous = np.linalg.svd(np.concatenate(rows, axis=1))[2][:, -1]
    points = homogeneous[:, :3] / homogeneous[:, 3:]
    points[used.sum(axis=0) < 2] = np.nan
    known = np.nan_to_num(points)
    shown = np.stack([camera.project(known) for camera in cameras])
    errors = np.linalg.norm(shown - flat[..., :2], axis=-1)
    return points, np.where(np.isnan(points).any(axis=1), np.nan, errors)


def _without_worst(cameras: list[Camera], rays: np.ndarray, flat: np.ndarray, used: np.ndarray) -> np.ndarray:
    """`used` without the one view of each point whose absence leaves the smallest mean error."""
    means = []
    for camera in range(len(cameras)):
        fewer = used.copy()
        fewer[camera] = False
        _, errors = _solve(cameras, rays, flat, fewer)
        mean = np.where(fewer, errors, 0).sum(axis=0) / np.maximum(fewer.sum(axis=0), 1)
        means.append(np.where(used[camera], mean, np.inf))
    result = used.copy()
    result[np.argmin(means, axis=0), np.arange(used.shape[1])] = False
    return result


def smooth_points(points: Points, fps: float) -> Points:
    """Short gaps filled in a straight line, then a low-pass without delay; joints with longer gaps stay NaN there."""
    filled = np.stack([_bridged(points[:, joint]) for joint in range(points.shape[1])], axis=1)
    numerator, denominator = signal.butter(2, LOW_PASS_HZ, fs=fps)
    smooth = np.full_like(filled, np.nan)
    for joint in range(filled.shape[1]):
        known = np.isfinite(filled[:, joint, 0])
        for first, end in _stretches(known):
            track = filled[first:end, joint]
            padding = min(3 * len(numerator), len(track) - 1)
            smooth[first:end, joint] = signal.filtfilt(numerator, denominator, track, axis=0, padlen=padding)
    return smooth


def _bridged(track: Float[np.ndarray, "frames 3"]) -> Float[np.ndarray, "frames 3"]:
    known = np.isfinite(track[:, 0])
    result = track.copy()
    for first, end in _stretches(~known):
        if first > 0 and end < len(track) and end - first <= MAXIMUM_GAP_FRAMES:
            share = (np.arange(first, end) - first + 1) / (end - first + 1)
            result[first:end] = track[first - 1] + share[:, None] * (track[end] - track[first - 1])
    return result


def _stretches(flags: Bool[np.ndarray, " frames"]) -> list[tuple[int, int]]:
    """Stretches [first, end) of frames where `flags` holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def common_joints(points: Points) -> Float[np.ndarray, "frames 14 3"]:
    """The 14 common joints from BODY_25 in 3D; neck and top of the head lie on the line from shoulders to ears."""
    shoulders, left_ear, right_ear = (points[:, BODY_25.index(name)] for name in ("neck", "left_ear", "right_ear"))
    upward = (left_ear + right_ear) / 2 - shoulders
    limbs = [name for name in COMMON_14 if name not in ("neck", "head_top")]
    result = np.empty((len(points), len(COMMON_14), 3))
    result[:, indices_of(limbs, COMMON_14)] = points[:, indices_of(limbs, BODY_25)]
    result[:, COMMON_14.index("neck")] = shoulders + NECK_ALONG * upward
    result[:, COMMON_14.index("head_top")] = shoulders + HEAD_TOP_ALONG * upward
    return result


def reference_joints(cameras: list[Camera], views: Views, fps: float) -> Float[np.ndarray, "frames 14 3"]:
    """The 3D reference: the 14 common joints in the world, triangulated and smoothed; NaN where too few views agree."""
    points, _ = triangulate(cameras, views)
    return common_joints(smooth_points(points, fps))


class CalibratedCameras(Dataset):
    """One person filmed by synchronised cameras whose calibration file lies in the same package."""

    def labels(self, clips: pd.DataFrame, people: pd.DataFrame, curation: CurationSettings) -> pd.DataFrame:
        """The pseudo-labels of every clip, and the triangulated joints in the frame of the clip's own camera."""
        labels = super().labels(clips, people, curation)
        cameras = self.cameras()
        shown = main_people(people, cameras)
        if len(shown) < 2:
            raise FatalError(
                f"dataset '{self.name}': {len(shown)} of its {len(cameras)} cameras show a person in this shard, and "
                f"triangulation needs two; keep all cameras in one shard (`rendering.shard_videos`)"
            )
        used = [cameras[video_id] for video_id in shown]
        joints = reference_joints(used, views_of(list(shown.values())), self.settings.fps)
        for clip in clips.to_dict("records"):
            person = shown.get(clip["video_id"])
            if person is not None and person.track == clip["track"]:
                _fill_in(labels, clip["clip_id"], cameras[clip["video_id"]], joints)
        return labels

    def cameras(self) -> dict[str, Camera]:
        """The calibrated camera behind each video, by video id; a video's file is named after its camera."""
        source = self.settings.source
        if not isinstance(source, PackageSource) or source.calibration is None:
            raise ConfigError(f"config/datasets/{self.name}.yaml: source.calibration: is required for this dataset")
        archive = fetch_package(source.requirement, source.sha256)
        calibration = extract_member(archive, source.calibration.path, source.calibration.sha256)
        known = read_qualisys(calibration)
        stems = {Path(file.path).stem: file.path for file in source.files}
        missing = sorted(set(stems) - set(known))
        if missing:
            raise ConfigError(
                f"config/datasets/{self.name}.yaml: source.files: {source.calibration.path} has no camera "
                f"'{missing[0]}'; it names {', '.join(sorted(known))}"
            )
        return {video_id_of(source_in_package(source.requirement, path)): known[stem] for stem, path in stems.items()}


def main_people(people: pd.DataFrame, cameras: dict[str, Camera]) -> dict[str, Person]:
    """In each camera's video the person seen longest, in the order of the cameras."""
    main: dict[str, Person] = {}
    for person in tracked_people(people):
        known = main.get(person.video_id)
        if person.video_id in cameras and (known is None or person.detected.sum() > known.detected.sum()):
            main[person.video_id] = person
    return {video_id: main[video_id] for video_id in cameras if video_id in main}


def views_of(people: list[Person]) -> Views:
    """Keypoints of each person by video frame, unseen where a camera shows nobody."""
    n_frames = max(person.first_frame + len(person.keypoints) for person in people)
    views = np.zeros((len(people), n_frames, len(BODY_25), 3))
    for view, person in zip(views, people, strict=True):
        view[person.first_frame : person.first_frame + len(person.keypoints)] = person.keypoints
    return views


def _fill_in(labels: pd.DataFrame, clip_id: str, camera: Camera, joints: Float[np.ndarray, "frames 14 3"]) -> None:
    rows = labels.index[labels["clip_id"] == clip_id]
    chosen = joints[labels.loc[rows, "video_frame"]]
    known = np.isfinite(chosen).all(axis=(1, 2))
    in_camera = np.where(known[:, None, None], camera.from_world(chosen), 0)
    labels.loc[rows, "has_3d"] = known  # has_body stays false: joints are triangulated, no body is fitted
    labels.loc[rows, "joints_3d_m"] = pd.Series(unstack(in_camera), index=rows)
    labels.loc[rows, "intrinsics_px"] = pd.Series(unstack(np.tile(camera.intrinsics_px, (len(rows), 1))), index=rows)
