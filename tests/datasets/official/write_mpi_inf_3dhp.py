"""A miniature MPI-INF-3DHP in the layout of the release, made from people whose joints are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import scipy.io
import torch

from moviestrip.body.load import Body, load_body
from moviestrip.body.points import PosedPoints
from moviestrip.config import BodySettings
from moviestrip.datasets.official.base import TRUNK_3
from moviestrip.geometry import look_at
from moviestrip.parts import cache_folder
from moviestrip.skeleton import (
    COMMON_14,
    H36M_17,
    HMMR_25,
    MPI_INF_3DHP_17,
    MPI_INF_3DHP_28,
    bone_indices,
    convert,
    indices_of,
)
from moviestrip.world.kinematics import RestSkeleton, local_rotations
from moviestrip.world.procedural import procedural_motion
from tests.datasets.official.write_mat73 import write_mat73

FRAMES, SIDE_PX, N_CAMERAS = 48, 160, 14
WIDE_PX = (192, 108)  # TS5 and TS6 are filmed with another camera
FILMED_BY = (0, 8)  # of the 14 cameras all have annotation; two have videos
SEQUENCES = (  # sequence, frames a second, what is done
    ("S1/Seq1", 25, "walking"), ("S1/Seq2", 50, "posing"), ("S4/Seq1", 25, "eating"), ("S4/Seq2", 25, "directions"),
    ("S8/Seq1", 25, "greeting"), ("S8/Seq2", 25, "smoking"),
)  # fmt: skip
TEST_SEQUENCES = (("walking", 0.93), ("eating", 0.95), ("posing", 0.9), ("photo", 1.04), ("greeting", 0.97),
                  ("walking_dog", 0.92))  # fmt: skip


@dataclass(frozen=True)
class TruePeople:
    """What one video's labels must be, frame by frame."""

    keypoints_px: np.ndarray  # frames, 25, 3
    joints_m: np.ndarray  # frames, 14, 3
    trunk_m: np.ndarray  # frames, 3, 3
    intrinsics_px: np.ndarray  # 4
    trusted: np.ndarray


@dataclass(frozen=True)
class Written:
    folder: Path
    people: Mapping[str, TruePeople]  # by the name of the video


@dataclass(frozen=True)
class _Camera:
    lens: np.ndarray  # fx, fy, cx, cy
    size_px: tuple[int, int]
    rotation: np.ndarray
    position_m: np.ndarray

    def see(self, points_m: np.ndarray) -> np.ndarray:
        """World, y up, to the camera's frame."""
        return (points_m - self.position_m) @ self.rotation.T

    def project(self, seen_m: np.ndarray) -> np.ndarray:
        return seen_m[..., :2] / seen_m[..., 2:] * self.lens[:2] + self.lens[2:]


def write_mpi_inf_3dhp(folder: Path, seed: int = 0) -> Written:
    """Three subjects of two sequences by two cameras, and the six test sequences, of 48 frames each."""
    body = load_body(BodySettings(), cache_folder())
    points = PosedPoints(body, body.joint_regressor_h36m)
    cameras, people = _studio(np.random.default_rng(seed)), {}
    for number, (sequence, fps, family) in enumerate(SEQUENCES):
        joints_m = _act(body, points, family, fps, 100 * seed + number)
        people |= _write_sequence(folder, sequence, fps, cameras, joints_m)
    for number, (family, scale) in enumerate(TEST_SEQUENCES, start=1):
        joints_m = _act(body, points, family, 25, 100 * seed + 50 + number)
        people[f"TS{number}"] = _write_test(folder, number, cameras[number], joints_m, scale)
    return Written(folder, people)


def _studio(draw: np.random.Generator) -> list[_Camera]:
    """Cameras all around; number 8 stands so near that feet leave the picture."""
    cameras = []
    for number in range(N_CAMERAS):
        angle, near = 2 * np.pi * number / N_CAMERAS, number == 8
        distance = (1.9 if near else 4.0) + draw.uniform(0, 0.2)
        eye = np.array([distance * np.sin(angle), draw.uniform(0.8, 1.6), distance * np.cos(angle)])
        rotation, _ = look_at(eye, np.array([0, 0.95, 0]))
        wide = number in (5, 6)
        focal = 1.05 * WIDE_PX[1] if wide else 0.73 * SIDE_PX * 1.5
        size = WIDE_PX if wide else (SIDE_PX, SIDE_PX)
        lens = np.array([focal + number / 7, focal - number / 9, size[0] / 2 + 0.3, size[1] / 2 + number / 11])
        cameras.append(_Camera(lens, size, rotation, eye))
    return cameras


def _act(body: Body, points: PosedPoints, family: str, fps: int, seed: int) -> np.ndarray:
    """(frames, 17, 3) metres, y up, joints of MPI_INF_3DHP_17."""
    motion = procedural_motion(family, seed, FRAMES, fps, rest=RestSkeleton.from_body(body))
    betas = torch.from_numpy(np.random.default_rng(seed).normal(0, 0.7, 10).astype(np.float32))
    rotations = torch.from_numpy(local_rotations(motion.pose)).float()
    joints = points(rotations, betas.expand(FRAMES, 10)).numpy().astype(np.float64) + motion.translation_m[:, None]
    joints[..., [0, 2]] -= joints[..., [0, 2]].mean((0, 1))
    return joints[:, indices_of(MPI_INF_3DHP_17, H36M_17)]


def _write_sequence(
    folder: Path, sequence: str, fps: int, cameras: list[_Camera], joints_m: np.ndarray
) -> dict[str, TruePeople]:
    place = folder / sequence
    place.mkdir(parents=True)
    seen = [camera.see(_all_28(joints_m)) for camera in cameras]
    write_annot(place / "annot.mat", [camera.project(one) for camera, one in zip(cameras, seen, strict=True)], seen)
    write_calibration(place / "camera.calibration", cameras)
    people = {}
    for number in FILMED_BY:
        camera, chosen_m = cameras[number], cameras[number].see(joints_m)
        _write_video(place / "imageSequence" / f"video_{number}.avi", camera.project(chosen_m), camera.size_px, fps)
        people[f"{sequence}/video_{number}"] = _truth(camera, chosen_m, camera.project(chosen_m))
    return people


def _all_28(joints_m: np.ndarray) -> np.ndarray:
    """The 28 joints; those that no label takes lie aside."""
    result = joints_m[:, :1].repeat(28, axis=1) + 0.03 * np.arange(1, 29)[:, None]
    result[:, indices_of(MPI_INF_3DHP_17, MPI_INF_3DHP_28)] = joints_m
    return result


def _truth(camera: _Camera, seen_m: np.ndarray, pixels: np.ndarray, trusted: np.ndarray | None = None) -> TruePeople:
    inside = ((pixels >= 0) & (pixels < camera.size_px)).all(axis=-1, keepdims=True)
    keypoints = np.concatenate([np.where(inside, pixels, 0), inside], axis=-1)
    return TruePeople(
        keypoints_px=convert(keypoints, MPI_INF_3DHP_17, HMMR_25),
        joints_m=seen_m[:, indices_of(COMMON_14, MPI_INF_3DHP_17)],
        trunk_m=seen_m[:, indices_of(TRUNK_3, MPI_INF_3DHP_17)],
        intrinsics_px=camera.lens,
        trusted=np.ones(FRAMES, bool) if trusted is None else trusted,
    )


def write_annot(
    path: Path, pixels: list[np.ndarray], seen_m: list[np.ndarray], order: tuple[int, ...] = tuple(range(N_CAMERAS))
) -> None:
    """annot.mat of version 5: a column cell a camera, a row a frame, `cameras` and `frames` counted from 0."""
    columns, seen_mm, universal_mm = {}, [1000 * seen for seen in seen_m], [940 * seen for seen in seen_m]
    for name, values in (("annot2", pixels), ("annot3", seen_mm), ("univ_annot3", universal_mm)):
        columns[name] = np.empty((len(order), 1), object)
        for place, camera in enumerate(order):
            columns[name][place, 0] = values[camera].reshape(len(values[camera]), -1)
    rows = np.arange(len(pixels[0]), dtype=float)[:, None]
    content = {**columns, "cameras": np.array([order], float), "frames": rows}
    scipy.io.savemat(path, content, do_compression=True)


def write_calibration(path: Path, cameras: list[_Camera]) -> None:
    lines = ["Skeletool Camera Calibration File V1.0"]
    for number, camera in enumerate(cameras):
        fx, fy, cx, cy = (repr(float(value)) for value in camera.lens)
        placed = np.eye(4)
        placed[:3, :3], placed[:3, 3] = camera.rotation, -1000 * camera.rotation @ camera.position_m
        lines += [
            f"name          {number}",
            "  sensor      10 10",
            f"  size        {camera.size_px[0]} {camera.size_px[1]}",
            "  animated    0",
            f"  intrinsic   {fx} 0 {cx} 0 0 {fy} {cy} 0 0 0 1 0 0 0 0 1 ",
            f"  extrinsic   {' '.join(str(value) for value in placed.ravel())} ",
            "  radial      0",
        ]
    path.write_text("\n".join(lines) + "\n")


def _write_test(folder: Path, number: int, camera: _Camera, joints_m: np.ndarray, scale: float) -> TruePeople:
    place = folder / "mpi_inf_3dhp_test_set" / f"TS{number}"
    seen_m = camera.see(joints_m)
    pixels, trusted = camera.project(seen_m), np.arange(FRAMES) % (number + 1) != 1
    write_annot_data(place / "annot_data.mat", pixels, seen_m, scale, trusted)
    (place / "imageSequence").mkdir()
    for frame, image in enumerate(_pictures(pixels, camera.size_px), start=1):
        cv2.imwrite(str(place / "imageSequence" / f"img_{frame:06d}.jpg"), image)
    return _truth(camera, scale * seen_m, pixels, trusted)


def write_annot_data(path: Path, pixels: np.ndarray, seen_m: np.ndarray, scale: float, trusted: np.ndarray) -> None:
    """annot_data.mat of version 7.3; the universal skeleton keeps the pelvis of the person."""
    pelvis_m = seen_m[:, [MPI_INF_3DHP_17.index("pelvis")]]
    universal_m = scale * (seen_m - pelvis_m) + pelvis_m
    write_mat73(path, {
        "activity_annotation": np.full((1, len(pixels)), 1.0),
        "annot2": pixels.transpose(2, 1, 0)[:, :, None],
        "annot3": 1000 * seen_m.transpose(2, 1, 0)[:, :, None],
        "bb_crop": np.zeros((34, len(pixels))),
        "univ_annot3": 1000 * universal_m.transpose(2, 1, 0)[:, :, None],
        "valid_frame": trusted[None].astype(float),
    })  # fmt: skip


def _pictures(pixels: np.ndarray, size_px: tuple[int, int]) -> list[np.ndarray]:
    """A stick figure before a wall."""
    rows, columns = np.mgrid[: size_px[1], : size_px[0]]
    wall = np.stack([90 + 40 * np.sin(columns / 9), 110 + rows / 4, 120 + 30 * np.cos(rows / 13)], axis=-1)
    images = []
    for points in pixels:
        image = wall.astype(np.uint8)
        for first, second in bone_indices(MPI_INF_3DHP_17):
            ends = [tuple(round(float(value)) for value in points[end]) for end in (first, second)]
            cv2.line(image, ends[0], ends[1], (200, 60 + 5 * int(first), 40), 4)
        images.append(image)
    return images


def _write_video(path: Path, pixels: np.ndarray, size_px: tuple[int, int], fps: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height = size_px
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, fps)
        for number, image in enumerate(_pictures(pixels, size_px)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
