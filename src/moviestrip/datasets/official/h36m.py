"""Human3.6M as its authors distribute it, with the MoSh fits of SMPL where a user has them.

Where each field's layout is taken from, all of it public:

- folders, file names, 50 fps, what D2_Positions, D3_Positions and D3_Positions_mono are: README.data of the
  release's own code ("Human3.6M dataset and code organization"); the same folders are read by HMMR
  (src/datasets/h36/read_human36m.py), SPIN (datasets/preprocess/h36m_train.py) and VideoPose3D (DATASETS.md)
- `Pose`, CDF_FLOAT (1, frames, 96) or (1, frames, 64), millimetres and pixels: HMMR's read_poses, SPIN, mmhuman3d
- `data`, a cell with (frames, 96), in .cdf.mat: VideoPose3D's convert_cdf_to_mat.m and prepare_data_h36m.py
- the vector <w0> of metadata.xml, 11 subjects x 4 cameras x 6 and 4 x 9: HMMR's read_cam_parameters, which follows
  H36MDataBase.m of the release's own code; a camera sees R (X - T), R = Rx Ry Rz
- which 17 of the 32 joints: HMMR's joint_ids, SPIN's h36m_idx (the duplicates of one joint have one position)
- S11's corrupt video: VideoPose3D, h36m-fetch; a later download mended it (H36M-Toolbox, issue 2)
- MoSh: neutrMosh/neutrSMPL_H3.6/S1/Directions 1_cam0_aligned.pkl with `new_poses` of every fifth frame and `betas`,
  cameras counted from 0 in the order of their serial numbers: mmhuman3d (data_converters/h36m.py); that new_poses fit
  the picture: HMR's author in its issue 62; that people stand on their heads there, and how to turn them: issue 50

Not confirmed by anything public: whether D2_Positions count pixels from 0 or from 1 (nobody who reads them takes 1
off, and neither does this reader), and the time offset of the 200 Hz fits in the world's frame that lie beside the
aligned ones (`Directions 1.pkl`; one public reader aligns them by hand): they are not read.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import cdflib
import cv2
import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from moviestrip.config import Split
from moviestrip.datasets.official.base import TRUNK_3, People, Release, ReleasedVideo
from moviestrip.datasets.official.matlab import read_mat
from moviestrip.errors import StorageError
from moviestrip.skeleton import COMMON_14, H36M_17, HMMR_25, convert, indices_of
from moviestrip.unpickle import unpickle

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
# The one HMMR tests on, its 'cam_3' counted from 0, and the frontal one of SPIN's and TCMR's second protocol.
FRONTAL_CAMERA = CAMERAS[3]
FPS = 50.0
MOSH_EVERY_FRAMES = 5

# As the skeleton of metadata.xml lists them. What follows a joint under the same name lies where that joint lies.
H36M_32 = tuple(
    """
    pelvis right_hip right_knee right_ankle right_toe_base right_toe_end left_hip left_knee left_ankle left_toe_base
    left_toe_end pelvis_2 spine neck head head_top neck_2 left_shoulder left_elbow left_wrist left_wrist_2 left_thumb
    left_hand_end left_hand_end_2 neck_3 right_shoulder right_elbow right_wrist right_wrist_2 right_thumb
    right_hand_end right_hand_end_2
    """.split()
)
CHOSEN = indices_of(H36M_17, H36M_32)

# The actions by the names most subjects have, and as three subjects' files call two of them.
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases", "Sitting", "SittingDown",
    "Smoking", "TakingPhoto", "Waiting", "Walking", "WalkingDog", "WalkTogether",
)  # fmt: skip
ALSO_CALLED = {"Photo": "TakingPhoto", "WalkDog": "WalkingDog"}

SPLITS: dict[str, dict[str, Split]] = {
    "hmmr": {
        "S1": "train", "S6": "train", "S7": "train", "S8": "train", "S5": "validation", "S9": "test", "S11": "test",
    },
    "vibe": {
        "S1": "train", "S5": "train", "S6": "train", "S7": "train", "S8": "train", "S9": "test", "S11": "test",
    },
}  # fmt: skip
_CORRUPT = "its video was released corrupt and mended in later downloads only"
LEFT_OUT: dict[str, dict[str, str]] = {
    "hmmr": {
        "S11/Directions": f"HMMR leaves its four cameras out ({_CORRUPT} for 54138969)",
        "S11/Phoning 2": "HMMR leaves it out for want of data",
    },
    "vibe": {"S11/Directions.54138969": _CORRUPT},
}

_VIDEO = re.compile(r"(?P<sequence>(?P<action>[A-Za-z]+)(?: \d)?)\.(?P<camera>\d+)\.mp4")
_EVERYTHING = "_ALL"  # long recordings that repeat the others
_POSE_SUFFIXES = (".cdf", ".cdf.mat", ".mat")
_MOSH_FOLDERS = ("neutrMosh/neutrSMPL_H3.6", "neutrSMPL_H3.6", "mosh/neutrMosh/neutrSMPL_H3.6")
_SUBJECTS_OF_W0, _EXTRINSIC, _INTRINSIC = 11, 6, 9
MAXIMUM_POSE_BYTES = 2**30
MAXIMUM_METADATA_BYTES = 16 * 2**20
MAXIMUM_REPROJECTION_FOCALS = 0.0175  # a degree, 20 px: the annotation itself is exact
CHECK_EVERY_FRAMES = 25
TRUNK_LENGTH_M = (0.2, 1.0)
MAXIMUM_MOSH_ANGLE_DEGREES = 45.0


@dataclass(frozen=True)
class Camera:
    """A camera as one subject was filmed by it; millimetres become metres, its frame is x right, y down, z forward."""

    rotation: Float[np.ndarray, "3 3"]
    position_m: Float[np.ndarray, " 3"]
    intrinsics_px: Float[np.ndarray, " 4"]
    distortion: Float[np.ndarray, " 5"]  # as OpenCV orders it: k1 k2 p1 p2 k3

    def from_world(self, points_m: Float[np.ndarray, "*points 3"]) -> Float[np.ndarray, "*points 3"]:
        return (points_m - self.position_m) @ self.rotation.T

    def project(self, points_m: Float[np.ndarray, "*points 3"]) -> Float[np.ndarray, "*points 2"]:
        """Pixels of points in the camera's frame, with the lens's distortion."""
        fx, fy, cx, cy = self.intrinsics_px
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        flat = np.asarray(points_m, np.float64).reshape(-1, 1, 3)
        pixels = cv2.projectPoints(flat, np.zeros(3), np.zeros(3), matrix, self.distortion)[0]
        return pixels.reshape(*points_m.shape[:-1], 2)


class Human36M(Release):
    """Seven actors, fifteen actions twice each, four cameras, 50 frames a second.

    A video's `camera` is its serial number. HMMR tests on `FRONTAL_CAMERA` alone. Every annotated frame is trusted:
    all four papers evaluate on S9 in full, though three of its sequences drift (Learnable Triangulation names
    Greeting, SittingDown and Waiting and leaves them out). A fit gives no place, so `translation_m` stays 0.
    """

    name = "h36m"
    title = "Human3.6M"
    homepage = "http://vision.imar.ro/human3.6m"
    licence = "free of charge for academic use after registration; no redistribution"
    rules = ("hmmr", "vibe")
    # With the rule 'hmmr': 30 sequences a subject (VideoPose3D counts its files) by 4 cameras, less those left out.
    # The frames are HMMR's Table 1, at 25 fps and rounded.
    expected: ClassVar[Mapping[str, int]] = {
        "train videos": 480, "validation videos": 120, "test videos": 232, "train frames at 25 fps": 581_000,
    }  # fmt: skip
    tree = """
h36m/
  metadata.xml                                  from the release's code archive; or in Release-v1.2/ beside S1/
  S1/  (and S5, S6, S7, S8, S9, S11)
    Videos/Directions 1.54138969.mp4            sequence, camera
    MyPoseFeatures/
      D2_Positions/Directions 1.54138969.cdf    pixels
      D3_Positions_mono/Directions 1.54138969.cdf   millimetres in the camera's frame; or else
      D3_Positions/Directions 1.cdf             millimetres in the room
  neutrMosh/neutrSMPL_H3.6/                     only for those who have the MoSh fits
    S1/Directions 1_cam0_aligned.pkl
""".strip("\n")

    def videos(self) -> Iterator[ReleasedVideo]:
        for subject, split in SPLITS[self.rule].items():
            folder = self.require(subject, "Videos")
            found = 0
            for path in sorted(folder.glob("*.mp4")):
                if path.name.startswith((_EVERYTHING, ".")):
                    continue
                found += 1
                sequence, action, camera = _parts(path)
                if not self._left_out(f"{subject}/{sequence}", camera):
                    yield ReleasedVideo(
                        name=f"{subject}/{sequence}.{camera}", split=split, file=f"{subject}/Videos/{path.name}",
                        fps=FPS, subject=subject, action=action, camera=camera,
                    )  # fmt: skip
            if not found:
                raise StorageError(f"{folder}: holds no video such as 'Directions 1.54138969.mp4'")

    def _left_out(self, sequence: str, camera: str) -> bool:
        return bool({sequence, f"{sequence}.{camera}"} & LEFT_OUT[self.rule].keys())

    def people(self, video: ReleasedVideo) -> People:
        sequence = Path(video.file).name.removesuffix(f".{video.camera}.mp4")
        camera = self.cameras[video.subject, video.camera]
        points_m, points_file = self._points_m(video, sequence, camera)
        pixels_file = self._pose_file(video.subject, "D2_Positions", f"{sequence}.{video.camera}")
        pixels = read_pose(pixels_file, 2)[:, CHOSEN]
        if len(pixels) != len(points_m):
            raise StorageError(
                f"{pixels_file}: {len(pixels)} frames, but {points_file} has {len(points_m)}; extract both again"
            )
        _require_one_recording(points_m, points_file, pixels, pixels_file, camera)
        frames = np.arange(len(points_m))
        return People.of(
            np.zeros(len(frames), np.int64), frames,
            keypoints_px=_keypoints(pixels),
            **_joints(points_m),
            **self._fits(video, sequence, points_m),
            intrinsics_px=np.tile(camera.intrinsics_px, (len(frames), 1)),
        )  # fmt: skip

    def _points_m(
        self, video: ReleasedVideo, sequence: str, camera: Camera
    ) -> tuple[Float[np.ndarray, "frames 17 3"], Path]:
        """The joints in the camera's frame, and where they were read."""
        if self._pose_folder(video.subject, "D3_Positions_mono").is_dir():
            path = self._pose_file(video.subject, "D3_Positions_mono", f"{sequence}.{video.camera}")
            return read_pose(path, 3)[:, CHOSEN] / 1000, path
        path = self._pose_file(video.subject, "D3_Positions", sequence)
        return camera.from_world(read_pose(path, 3)[:, CHOSEN] / 1000), path

    def _pose_folder(self, subject: str, kind: str) -> Path:
        """Of the archives as they unpack, or as h36m-fetch (the usual downloader) unpacks them."""
        flat = self.folder / subject / f"Poses_{kind}"
        return flat if flat.is_dir() else self.folder / subject / "MyPoseFeatures" / kind

    def _pose_file(self, subject: str, kind: str, stem: str) -> Path:
        folder = self._pose_folder(subject, kind)
        for suffix in _POSE_SUFFIXES:
            if (folder / (stem + suffix)).is_file():
                return folder / (stem + suffix)
        raise StorageError(f"{folder / stem}.cdf: missing; unpack the archive Poses_{kind}_{subject}.tgz again")

    @cached_property
    def cameras(self) -> dict[tuple[str, str], Camera]:
        """The cameras of metadata.xml by subject and serial number."""
        found = [*self.folder.glob("metadata.xml"), *sorted(self.folder.glob("*/metadata.xml"))]
        return read_cameras(found[0] if found else self.require("metadata.xml"))

    def _fits(self, video: ReleasedVideo, sequence: str, points_m: Float[np.ndarray, "frames 17 3"]) -> dict[str, Any]:
        """The columns that a MoSh fit gives, on every fifth frame; none where there is no fit."""
        name = f"{sequence}_cam{CAMERAS.index(video.camera)}_aligned.pkl"
        found = [self.folder / part / video.subject / name for part in _MOSH_FOLDERS]
        path = next((path for path in found if path.is_file()), None)
        if path is None:
            return {}
        poses, betas = read_fit(path, len(points_m))
        fitted = np.arange(0, len(points_m), MOSH_EVERY_FRAMES)
        poses = _upright(path, poses[: len(fitted)], points_m[fitted])
        pose = np.zeros((len(points_m), 72), np.float32)
        known = np.zeros(len(points_m), bool)
        known[fitted] = np.isfinite(poses).all(axis=1)
        pose[known] = poses[known[fitted]]
        shape = np.where(known[:, None], betas, 0)
        return {"has_body": known, "pose": pose, "betas": shape, "gender": {0: "neutral"}}


def _parts(path: Path) -> tuple[str, str, str]:
    """Sequence, action and camera that a video's name says."""
    match = _VIDEO.fullmatch(path.name)
    action = ALSO_CALLED.get(match["action"], match["action"]) if match else ""
    if match is None or action not in ACTIONS or match["camera"] not in CAMERAS:
        raise StorageError(
            f"{path}: is no video of the release; names are like 'Directions 1.54138969.mp4', of the actions "
            f"{', '.join(ACTIONS)} and the cameras {', '.join(CAMERAS)}"
        )
    return match["sequence"], action, match["camera"]


def read_pose(path: Path, dimensions: int) -> Float[np.ndarray, "frames 32 dimensions"]:
    """The positions of all joints in a .cdf, or in a .mat made of one, as float64."""
    value = _read_mat_pose(path) if path.suffix == ".mat" else _read_cdf_pose(path)
    width = len(H36M_32) * dimensions
    shape = value.shape[1:] if value.ndim == 3 and value.shape[0] == 1 else value.shape
    if value.dtype not in (np.float32, np.float64) or len(shape) != 2 or shape[1] != width or shape[0] == 0:
        raise StorageError(
            f"{path}: Pose is {value.dtype} {value.shape}, expected float32 (1, frames, {width}): "
            f"{len(H36M_32)} joints of {dimensions} numbers; extract the archive again"
        )
    return value.reshape(-1, len(H36M_32), dimensions).astype(np.float64)


def _read_cdf_pose(path: Path) -> np.ndarray:
    try:
        file = cdflib.CDF(path)
        found = [*file.cdf_info().zVariables, *file.cdf_info().rVariables]
        facts = file.varinq("Pose") if "Pose" in found else None
        promised = 0 if facts is None else 8 * math.prod(facts.Dim_Sizes) * (facts.Last_Rec + 1)
        value = file.varget("Pose") if facts is not None and promised <= MAXIMUM_POSE_BYTES else None
    except Exception as error:  # a damaged CDF may raise anything
        raise StorageError(
            f"{path}: damaged, or not a CDF file ({type(error).__name__}: {error}); extract the archive again"
        ) from error
    if facts is None:
        raise StorageError(f"{path}: has no variable Pose; it holds {', '.join(found) or 'none'}")
    if value is None:
        raise StorageError(f"{path}: Pose promises {promised:,} bytes, refused above {MAXIMUM_POSE_BYTES:,}")
    return np.asarray(value)


def _read_mat_pose(path: Path) -> np.ndarray:
    found = read_mat(path)
    value = found.get("Pose", found.get("data"))
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, np.ndarray):
        raise StorageError(
            f"{path}: neither Pose nor data is an array; it holds {', '.join(sorted(found)) or 'nothing'}"
        )
    return value


def read_cameras(path: Path) -> dict[tuple[str, str], Camera]:
    """The cameras in metadata.xml's <w0>, by subject and serial number."""
    if path.stat().st_size > MAXIMUM_METADATA_BYTES:
        raise StorageError(f"{path}: {path.stat().st_size:,} bytes, refused above {MAXIMUM_METADATA_BYTES:,}")
    try:
        text = ElementTree.parse(path).getroot().findtext("w0") or ""
        numbers = np.array([float(word) for word in text.strip().strip("[]").split()])
    except (ElementTree.ParseError, ValueError) as error:
        raise StorageError(f"{path}: is not the release's metadata.xml ({error})") from error
    extrinsics = len(CAMERAS) * _SUBJECTS_OF_W0 * _EXTRINSIC
    expected = extrinsics + len(CAMERAS) * _INTRINSIC
    if len(numbers) != expected or not np.isfinite(numbers).all():
        raise StorageError(
            f"{path}: <w0> has {len(numbers)} numbers, expected {expected} finite ones: 6 for each of 4 cameras and "
            f"11 subjects, then 9 for each camera"
        )
    placed = numbers[:extrinsics].reshape(len(CAMERAS), _SUBJECTS_OF_W0, _EXTRINSIC)
    lenses = numbers[extrinsics:].reshape(len(CAMERAS), _INTRINSIC)
    return {
        (f"S{subject + 1}", serial): _camera(placed[index, subject], lenses[index])
        for index, serial in enumerate(CAMERAS)
        for subject in range(_SUBJECTS_OF_W0)
    }


def _camera(place: Float[np.ndarray, " 6"], lens: Float[np.ndarray, " 9"]) -> Camera:
    return Camera(
        rotation=Rotation.from_euler("XYZ", place[:3]).as_matrix(),
        position_m=place[3:] / 1000,
        intrinsics_px=lens[:4],
        distortion=lens[[4, 5, 7, 8, 6]],
    )


def _require_one_recording(
    points_m: Float[np.ndarray, "frames 17 3"],
    points_file: Path,
    pixels: Float[np.ndarray, "frames 17 2"],
    pixels_file: Path,
    camera: Camera,
) -> None:
    """That both files say the same of the same camera, in the units they should."""
    some = slice(None, None, CHECK_EVERY_FRAMES)
    ends = points_m[some][:, indices_of(("pelvis", "neck"), H36M_17)]
    trunk_m = float(np.nanmedian(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=-1)))
    if not TRUNK_LENGTH_M[0] < trunk_m < TRUNK_LENGTH_M[1]:
        raise StorageError(
            f"{points_file}: from pelvis to neck it is {1000 * trunk_m:.4g} mm; the release counts in millimetres"
        )
    away_px = float(np.nanmedian(np.linalg.norm(camera.project(points_m[some]) - pixels[some], axis=-1)))
    if not away_px <= MAXIMUM_REPROJECTION_FOCALS * camera.intrinsics_px[0]:
        raise StorageError(
            f"{pixels_file}: lies {away_px:.0f} px from the joints of {points_file} as its camera sees them; one of "
            f"them is of another sequence or camera, or metadata.xml of another release"
        )


def _keypoints(pixels: Float[np.ndarray, "frames 17 2"]) -> Float[np.ndarray, "frames 25 3"]:
    seen = np.isfinite(pixels).all(axis=-1, keepdims=True)
    return convert(np.concatenate([np.where(seen, pixels, 0), seen], axis=-1), H36M_17, HMMR_25)


def _joints(points_m: Float[np.ndarray, "frames 17 3"]) -> dict[str, np.ndarray]:
    common = points_m[:, indices_of(COMMON_14, H36M_17)]
    known = np.isfinite(common).all(axis=(1, 2))
    return {
        "has_3d": known,
        "joints_m": np.where(known[:, None, None], common, 0),
        "trunk_m": np.where(known[:, None, None], points_m[:, indices_of(TRUNK_3, H36M_17)], np.nan),
    }


def read_fit(path: Path, n_frames: int) -> tuple[Float[np.ndarray, "fits 72"], Float[np.ndarray, " 10"]]:
    """Poses of every fifth frame and the shape, as MoSh's pickle has them."""
    try:
        fields = unpickle(path)
    except StorageError as error:
        raise StorageError(f"{path}: is not a MoSh fit that can be read ({error})") from error
    missing = [name for name in ("new_poses", "betas") if name not in fields]
    if missing:
        raise StorageError(f"{path}: lacks {', '.join(missing)}; it holds {', '.join(sorted(fields)) or 'nothing'}")
    poses, betas = np.asarray(fields["new_poses"]), np.asarray(fields["betas"])
    fits = math.ceil(n_frames / MOSH_EVERY_FRAMES)
    for name, value in (("new_poses", poses), ("betas", betas)):
        if value.dtype not in (np.float32, np.float64):
            raise StorageError(f"{path}: {name} is {value.dtype}, expected float64")
    if poses.ndim != 2 or poses.shape[1] != 72 or betas.size != 10:
        raise StorageError(f"{path}: new_poses {poses.shape} and betas {betas.shape}, expected (fits, 72) and (10,)")
    if not fits <= len(poses) < 2 * fits + MOSH_EVERY_FRAMES:
        raise StorageError(
            f"{path}: {len(poses)} poses, but {n_frames} frames are annotated; a fit has one for every "
            f"{MOSH_EVERY_FRAMES} frames, here {fits}"
        )
    return poses, betas.reshape(10)


def _upright(
    path: Path, poses: Float[np.ndarray, "fits 72"], points_m: Float[np.ndarray, "fits 17 3"]
) -> Float[np.ndarray, "fits 72"]:
    """The poses with heads up in the camera's frame.

    The released fits stand on their heads: half a turn about the body's own x axis, left to right, is missing. Some
    copies had it added in place, as public scripts do. The joints tell which copy it is, and whether it belongs here.
    """
    finite = np.isfinite(poses).all(axis=1) & np.isfinite(points_m).all(axis=(1, 2))
    if not finite.any():
        return poses
    root = Rotation.from_rotvec(np.where(np.isfinite(poses[:, :3]), poses[:, :3], 0))
    axes = root.as_matrix()[finite]
    left, right, neck, pelvis = (points_m[finite, H36M_17.index(name)] for name in _ORIENTING)
    angle = float(np.median(_angles_degrees(axes[:, :, 0], left - right)))
    if angle > MAXIMUM_MOSH_ANGLE_DEGREES:
        raise StorageError(
            f"{path}: its people's hips are {angle:.0f} degrees from those of the annotated joints; it is a fit of "
            f"another sequence or camera"
        )
    if np.median(_angles_degrees(axes[:, :, 1], neck - pelvis)) <= 90:
        return poses
    turned = root * Rotation.from_rotvec([np.pi, 0, 0])
    return np.where(np.isfinite(poses), np.concatenate([turned.as_rotvec(), poses[:, 3:]], axis=1), np.nan)


_ORIENTING = ("left_hip", "right_hip", "neck", "pelvis")


def _angles_degrees(
    first: Float[np.ndarray, "fits 3"], second: Float[np.ndarray, "fits 3"]
) -> Float[np.ndarray, " fits"]:
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return np.degrees(np.arccos(np.clip((first * second).sum(-1) / lengths, -1, 1)))
