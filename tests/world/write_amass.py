"""AMASS as it is released, in small: written from known motions by other means than those that read it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from moviestrip.world.kinematics import RestSkeleton

# y up to z up: a quarter turn about x.
TO_Z_UP = Rotation.from_euler("x", 90, degrees=True)


@dataclass(frozen=True)
class Written:
    """What one file was made from: a motion on the rest skeleton, y up, at the rate it was recorded."""

    name: str
    path: Path
    split: str
    fps: float
    pose: np.ndarray
    translation_m: np.ndarray


# Folder and name, frames, rate, split: each recommended split under an early and a late name of its subset.
RECORDINGS = (
    ("ACCAD/Male2Walking_c3d/B15 -  Walk turn around_poses.npz", 330, 120.0, "train"),
    ("CMU/01/01_01_poses.npz", 320, 100.0, "train"),
    ("EyesJapanDataset/Eyes_Japan_Dataset/aita/walk-09-handbag-aita_poses.npz", 140, 50.0, "train"),
    ("KIT/3/jump_poses.npz", 236, 100.0, "train"),  # 59 frames at 25 fps
    ("HumanEva/S1/Walking_1_poses.npz", 300, 120.0, "validation"),
    ("MoSh/50002/misc_stageii.npz", 300, 100.0, "validation"),
    ("SSM_synced/20160930_50032/chicken_wings_poses.npz", 150, 59.0, "test"),
    ("Transitions/mazen_c3d/dance_stand_stageii.npz", 300, 120.0, "test"),
)


def write_amass(folder: Path, rest: RestSkeleton, seed: int = 0) -> list[Written]:
    """Every file of a small release, in the order of `RECORDINGS`; and files beside them that are no motions."""
    draw = np.random.default_rng(seed)
    written = []
    for place, frames, fps, split in RECORDINGS:
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        pose, translation_m = swinging(draw, frames, fps)
        write = write_smplx if place.endswith("_stageii.npz") else write_smplh
        write(path, pose, translation_m, fps, rest, draw)
        name = place.removesuffix("_poses.npz").removesuffix("_stageii.npz")
        written.append(Written(name, path, split, fps, pose, translation_m))
    np.savez(folder / "CMU/01/shape.npz", betas=draw.normal(size=16), gender=np.array("male"))
    np.savez(folder / "MoSh/50002/male_stagei.npz", betas=draw.normal(size=16), gender=np.array("male"))
    (folder / "EyesJapanDataset/Eyes_Japan_Dataset/aita/walk-09-handbag-aita.mp4").write_bytes(b"a video")
    return written


def swinging(draw: np.random.Generator, frames: int, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Slow swings of every joint about standing, walking in a bow; float64, as AMASS stores them."""
    seconds = np.arange(frames)[:, None] / fps
    pose = draw.normal(0, 0.15, 72) * np.sin(2 * np.pi * draw.uniform(0.2, 0.5, 72) * seconds + draw.uniform(0, 6, 72))
    pose[:, 1] += 0.4 * seconds[:, 0]
    translation = np.concatenate([0.5 * np.sin(0.3 * seconds), 0.02 * np.sin(6 * seconds), 0.8 * seconds], axis=1)
    return pose, translation


def released_arrays(
    pose: np.ndarray, translation_m: np.ndarray, rest: RestSkeleton, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Root, body and hands as AMASS has them, z up, and the translation: the pelvis is turned about the origin."""
    root = (TO_Z_UP * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    hands = draw.normal(0, 0.1, (len(pose), 30, 3))
    hands[:, 0], hands[:, 15] = pose[:, 66:69], pose[:, 69:72]
    return root, pose[:, 3:66], hands.reshape(-1, 90), TO_Z_UP.apply(translation_m + rest.joints[0]) - rest.joints[0]


def write_smplh(
    path: Path, pose: np.ndarray, translation_m: np.ndarray, fps: float, rest: RestSkeleton, draw: np.random.Generator
) -> None:
    root, body, hands, trans = released_arrays(pose, translation_m, rest, draw)
    np.savez(
        path, poses=np.concatenate([root, body, hands], axis=1), trans=trans, betas=draw.normal(size=16),
        gender=np.array("female"), dmpls=draw.normal(size=(len(pose), 8)), mocap_framerate=np.array(fps),
    )  # fmt: skip


def write_smplx(
    path: Path, pose: np.ndarray, translation_m: np.ndarray, fps: float, rest: RestSkeleton, draw: np.random.Generator
) -> None:
    """With lists of markers as pickled objects, which a reader must leave alone."""
    root, body, hands, trans = released_arrays(pose, translation_m, rest, draw)
    eyes_and_jaw = draw.normal(0, 0.1, (len(pose), 9))
    np.savez(
        path, gender=np.array("male"), surface_model_type=np.array("smplx"), mocap_frame_rate=np.array(fps),
        mocap_time_length=np.array(len(pose) / fps), markers_latent=draw.normal(size=(53, 3)),
        latent_labels=np.array(["C7", "CLAV"], dtype=object), markers_latent_vids=np.array({"C7": 3470}, dtype=object),
        trans=trans, poses=np.concatenate([root, body, eyes_and_jaw, hands], axis=1), betas=draw.normal(size=16),
        num_betas=np.array(16), root_orient=root, pose_body=body, pose_hand=hands, pose_jaw=eyes_and_jaw[:, :3],
        pose_eye=eyes_and_jaw[:, 3:],
    )  # fmt: skip
