"""A miniature Human3.6M in the layout of the release, made from people whose bodies are known."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from cdflib.cdfwrite import CDF
from scipy.spatial.transform import Rotation

from moviestrip.body.load import Body, load_body
from moviestrip.body.points import PosedPoints
from moviestrip.config import BodySettings
from moviestrip.datasets.official.base import TRUNK_3
from moviestrip.geometry import look_at
from moviestrip.parts import cache_folder
from moviestrip.skeleton import COMMON_14, H36M_17, HMMR_25, bone_indices, convert, indices_of
from moviestrip.world.kinematics import RestSkeleton, local_rotations
from moviestrip.world.procedural import procedural_motion

FRAMES, FPS, SIDE_PX = 96, 50, 160
CAMERAS = ("54138969", "55011271", "58860488", "60457274")
SEQUENCES = (  # subject, sequence, index of the camera, what is done, whether MoSh fitted it
    ("S1", "Directions 1", 0, "directions", True),
    ("S5", "Eating", 3, "eating", True),
    ("S5", "Posing 1", 0, "posing", False),
    ("S6", "Walking", 1, "walking", True),
    ("S7", "Photo", 2, "photo", True),
    ("S8", "WalkDog 1", 3, "walking_dog", True),
    ("S9", "Greeting 1", 3, "greeting", True),
    ("S11", "Smoking", 3, "smoking", True),
)
Z_UP_FROM_Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
# Where the 17 joints and their doubles stand among the 32, counted off the skeleton in metadata.xml.
PLACES = {
    "pelvis": (0, 11), "right_hip": (1,), "right_knee": (2,), "right_ankle": (3,), "left_hip": (6,), "left_knee": (7,),
    "left_ankle": (8,), "spine": (12,), "neck": (13, 16, 24), "head": (14,), "head_top": (15,), "left_shoulder": (17,),
    "left_elbow": (18,), "left_wrist": (19, 20), "right_shoulder": (25,), "right_elbow": (26,),
    "right_wrist": (27, 28),
}  # fmt: skip


@dataclass(frozen=True)
class TruePeople:
    """What one video's labels must be, frame by frame."""

    action: str
    keypoints_px: np.ndarray  # frames, 25, 3
    joints_m: np.ndarray  # frames, 14, 3
    trunk_m: np.ndarray  # frames, 3, 3
    has_body: np.ndarray
    pose: np.ndarray  # frames, 72, float32
    betas: np.ndarray
    intrinsics_px: np.ndarray  # 4


@dataclass(frozen=True)
class Written:
    folder: Path
    people: Mapping[str, TruePeople]  # by the name of the video


def write_h36m(folder: Path, seed: int = 0) -> Written:
    """Eight videos of 96 frames at 50 fps, a corrupt one, a long one that repeats the others, poses, cameras, fits."""
    body = load_body(BodySettings(), cache_folder())
    points = PosedPoints(body, body.joint_regressor_h36m)
    lenses, places = _lenses(), _places(np.random.default_rng(seed))
    folder.mkdir(parents=True, exist_ok=True)
    _write_metadata(folder / "metadata.xml", lenses, places)
    people = {}
    for number, (subject, sequence, index, family, fitted) in enumerate(SEQUENCES):
        scene = _Scene(places[index, int(subject[1:]) - 1], lenses[index])
        acted = _act(body, points, family, seed * len(SEQUENCES) + number)
        name = f"{sequence}.{CAMERAS[index]}"
        people[f"{subject}/{name}"] = _write_recording(folder, subject, sequence, index, acted, scene, fitted)
    for number, name in enumerate(("Directions.54138969", "_ALL.54138969")):
        (folder / "S11" / "Videos" / f"{name}.mp4").write_bytes(bytes([number]) * 2000)
    return Written(folder, people)


@dataclass(frozen=True)
class _Scene:
    """A camera of the studio by the 6 and the 9 numbers of metadata.xml."""

    place: np.ndarray
    lens: np.ndarray

    @property
    def rotation(self) -> np.ndarray:
        return Rotation.from_euler("XYZ", self.place[:3]).as_matrix()

    def see(self, points_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points in the camera's frame, and their pixels."""
        seen = (points_mm - self.place[3:]) @ self.rotation.T
        matrix = np.array([[self.lens[0], 0, self.lens[2]], [0, self.lens[1], self.lens[3]], [0, 0, 1]])
        distortion = np.array([*self.lens[4:6], *self.lens[7:9], self.lens[6]])
        pixels = cv2.projectPoints(seen.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), matrix, distortion)[0]
        return seen, pixels.reshape(*seen.shape[:-1], 2)


@dataclass(frozen=True)
class _Acted:
    pose: np.ndarray  # the root in the room, z up
    betas: np.ndarray
    joints_mm: np.ndarray  # frames, 17, 3


def _lenses() -> np.ndarray:
    focal, centre = 1.145 * SIDE_PX, SIDE_PX / 2
    wide = [focal, focal * 0.999, centre + 0.5, centre + 0.6]
    return np.array([
        [wide[0] + index, wide[1] + index, wide[2], wide[3] - index, -0.2, 0.24, -0.003, -0.0014, -0.001 + index / 1e4]
        for index in range(4)
    ])  # fmt: skip


def _places(draw: np.random.Generator) -> np.ndarray:
    """(4 cameras, 11 subjects, 6): each subject's cameras stand a little otherwise."""
    result = np.zeros((4, 11, 6))
    for index, (x, depth) in enumerate(((1.8, 4.9), (1.8, -5.1), (-1.8, 5.2), (-1.8, -3.8))):
        for subject in range(11):
            eye = np.array([x, 1.6, -depth]) + draw.normal(0, 0.1, 3)
            rotation, _ = look_at(eye, np.array([0, 0.95, 0]))
            angles = Rotation.from_matrix(rotation @ Z_UP_FROM_Y_UP.T).as_euler("XYZ")
            result[index, subject] = [*angles, *(1000 * Z_UP_FROM_Y_UP @ eye)]
    return result


def _write_metadata(path: Path, lenses: np.ndarray, places: np.ndarray) -> None:
    numbers = " ".join(repr(float(number)) for number in [*places.ravel(), *lenses.ravel()])
    path.write_text(f'<?xml version="1.0"?>\n<meta><dbcameras><w0>[1]</w0></dbcameras><w0>[{numbers}]</w0></meta>\n')


def _act(body: Body, points: PosedPoints, family: str, seed: int) -> _Acted:
    motion = procedural_motion(family, seed, FRAMES, FPS, rest=RestSkeleton.from_body(body))
    betas = np.random.default_rng(seed).normal(0, 0.7, 10).astype(np.float32)
    rotations = torch.from_numpy(local_rotations(motion.pose)).float()
    joints = points(rotations, torch.from_numpy(betas).expand(FRAMES, 10)).numpy() + motion.translation_m[:, None]
    joints[..., [0, 2]] -= joints[..., [0, 2]].mean((0, 1))
    pose = np.asarray(motion.pose, np.float64).copy()
    pose[:, :3] = (Rotation.from_matrix(Z_UP_FROM_Y_UP) * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    return _Acted(pose, betas, 1000 * joints.astype(np.float64) @ Z_UP_FROM_Y_UP.T)


def _write_recording(
    folder: Path, subject: str, sequence: str, index: int, acted: _Acted, scene: _Scene, fitted: bool
) -> TruePeople:
    stem = f"{sequence}.{CAMERAS[index]}"
    seen, pixels = scene.see(_all_32(acted.joints_mm))
    poses = folder / subject / "MyPoseFeatures"
    write_pose(poses / "D2_Positions" / f"{stem}.cdf", pixels)
    write_pose(poses / "D3_Positions_mono" / f"{stem}.cdf", seen)
    write_pose(poses / "D3_Positions" / f"{sequence}.cdf", _all_32(acted.joints_mm))
    _write_video(folder / subject / "Videos" / f"{stem}.mp4", scene.see(acted.joints_mm)[1])
    truth = _truth(sequence, acted, scene, fitted)
    if fitted:
        fits = truth.pose[truth.has_body].astype(np.float64)
        path = folder / "neutrMosh" / "neutrSMPL_H3.6" / subject / f"{sequence}_cam{index}_aligned.pkl"
        write_fit(path, fits, acted.betas)
    return truth


def _truth(sequence: str, acted: _Acted, scene: _Scene, fitted: bool) -> TruePeople:
    seen, pixels = scene.see(acted.joints_mm)
    visible = np.concatenate([pixels, np.ones((*pixels.shape[:2], 1))], axis=-1)
    has_body = fitted & (np.arange(FRAMES) % 5 == 0)
    pose = acted.pose.copy()
    pose[:, :3] = (Rotation.from_matrix(scene.rotation) * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    action = {"Photo": "TakingPhoto", "WalkDog": "WalkingDog"}.get(sequence.split()[0], sequence.split()[0])
    return TruePeople(
        action=action,
        keypoints_px=convert(visible, H36M_17, HMMR_25),
        joints_m=seen[:, indices_of(COMMON_14, H36M_17)] / 1000,
        trunk_m=seen[:, indices_of(TRUNK_3, H36M_17)] / 1000,
        has_body=has_body,
        pose=np.where(has_body[:, None], pose, 0).astype(np.float32),
        betas=np.where(has_body[:, None], acted.betas, 0).astype(np.float32),
        intrinsics_px=scene.lens[:4],
    )


def _all_32(joints_mm: np.ndarray) -> np.ndarray:
    """The 32 joints; feet and hands, which no label takes, lie aside."""
    result = joints_mm[:, :1].repeat(32, axis=1) + 77 * np.arange(1, 33)[:, None]
    for name, places in PLACES.items():
        result[:, list(places)] = joints_mm[:, [H36M_17.index(name)]]
    return result


def write_pose(path: Path, points: np.ndarray) -> None:
    """`Pose`, CDF_FLOAT (1, frames, joints * dimensions)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    values = points.reshape(1, len(points), -1).astype(np.float32)
    file = CDF(path)
    file.write_var(
        {"Variable": "Pose", "Data_Type": CDF.CDF_FLOAT, "Num_Elements": 1, "Rec_Vary": True,
         "Dim_Sizes": list(values.shape[1:]), "Var_Type": "zVariable"},
        var_data=values,
    )  # fmt: skip
    file.close()


def write_fit(path: Path, poses: np.ndarray, betas: np.ndarray) -> None:
    """A pickle as Python 2's numpy wrote it, its people standing on their heads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    turned = poses.copy()
    turned[:, :3] = (Rotation.from_rotvec(poses[:, :3]) * Rotation.from_rotvec([np.pi, 0, 0])).as_rotvec()
    fields = {"new_poses": turned, "betas": betas.astype(np.float64)}
    path.write_bytes(pickle.dumps(fields, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))


def _write_video(path: Path, pixels: np.ndarray) -> None:
    """A stick figure before a wall."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    wall = np.stack([90 + 40 * np.sin(columns / 9), 110 + rows / 4, 120 + 30 * np.cos(rows / 13)], axis=-1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width = stream.height = SIDE_PX
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, FPS)
        for number, points in enumerate(pixels):
            image = wall.astype(np.uint8)
            for first, second in bone_indices(H36M_17):
                ends = [tuple(round(float(value)) for value in points[end]) for end in (first, second)]
                cv2.line(image, ends[0], ends[1], (200, 60 + 5 * int(first), 40), 4)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
