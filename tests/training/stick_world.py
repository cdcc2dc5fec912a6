"""A world small enough to train on in seconds: a stick body, smooth motions, and features that are a fixed
non-linear function of the pose plus noise. Nothing here needs a body file, a video or a network."""

import numpy as np
import torch
from torch import Tensor

from moviestrip.config import ScaleSettings
from moviestrip.geometry import PERSON_PX, axis_angle_to_matrix, matrices_to_pose
from moviestrip.skeleton import COMMON_14, HMMR_25, SMPL_24, SMPL_PARENTS, indices_of
from moviestrip.training.data import Clip, ClipDataset, TrainingData
from moviestrip.training.motions import RealMotions

OFFSETS_CM = (
    (0, 0, 0), (7, -9, 0), (-7, -9, 0), (0, 11, 0), (3, -38, 0), (-3, -38, 0), (0, 13, 0), (0, -40, -4), (0, -40, -4),
    (0, 6, 0), (3, -5, 12), (-3, -5, 12), (0, 21, 0), (7, 12, 0), (-7, 12, 0), (0, 8, 4), (11, 4, 0), (-11, 4, 0),
    (26, 0, 0), (-26, 0, 0), (25, 0, 0), (-25, 0, 0), (8, 0, 0), (-8, 0, 0),
)  # fmt: skip
FACE_CM = {"nose": (0, 5, 9), "left_eye": (3, 8, 7), "right_eye": (-3, 8, 7), "left_ear": (7, 6, 0)}
FACE_CM |= {"right_ear": (-7, 6, 0), "head_top": (0, 18, 0)}
FOOT_CM = {"heel": (0, -6, -4), "big_toe": (1, -2, 8), "small_toe": (-4, -2, 7)}
FEATURES = 48
SHOULDERS = indices_of(["left_shoulder", "right_shoulder"], SMPL_24)


def _carrier(name: str) -> tuple[str, tuple[float, float, float]]:
    """The SMPL joint that carries a keypoint, and the offset from it in centimetres."""
    if name in FACE_CM:
        return "head", FACE_CM[name]
    side, _, part = name.partition("_")
    if part in FOOT_CM:
        return f"{side}_ankle" if part == "heel" else f"{side}_foot", FOOT_CM[part]
    return name, (0, 0, 0)


class StickBody:
    """(N, 24, 3, 3) rotations and (N, 10) betas to HMMR's 25 keypoints; the first beta makes it taller."""

    def __init__(self) -> None:
        carriers = [_carrier(name) for name in HMMR_25]
        self.bones = torch.tensor(OFFSETS_CM) / 100
        self.joint = torch.from_numpy(indices_of([joint for joint, _ in carriers], SMPL_24))
        self.offset = torch.tensor([offset for _, offset in carriers]) / 100

    def __call__(self, rotations: Tensor, betas: Tensor) -> Tensor:
        size = 1 + 0.04 * betas[:, :1]
        turned, placed = [rotations[:, 0]], [torch.zeros_like(rotations[:, 0, :, 0])]
        for joint, parent in enumerate(SMPL_PARENTS[1:], start=1):
            bone = self.bones[joint].to(rotations) * size
            placed.append(placed[parent] + (turned[parent] @ bone[..., None])[..., 0])
            turned.append(turned[parent] @ rotations[:, joint])
        bones, places = torch.stack(turned, 1)[:, self.joint], torch.stack(placed, 1)[:, self.joint]
        return places + size[:, None] * (bones @ self.offset.to(rotations)[..., None])[..., 0]


def motion(generator: np.random.Generator, n_frames: int) -> Tensor:
    """(T, 24, 3, 3): every joint swings in its own slow rhythm, upright before a camera with y down."""
    time = np.arange(n_frames)[:, None, None] / 25
    rate, phase = generator.uniform(0.3, 1.2, (24, 3)), generator.uniform(0, 2 * np.pi, (24, 3))
    swing = generator.normal(0, 0.3, (24, 3)) * np.sin(2 * np.pi * rate * time + phase)
    swing += generator.normal(0, 0.1, (24, 3))
    swing[:, 0] *= 0.3
    swing[:, SHOULDERS, 2] += (-1.2, 1.2)  # arms hang, as they mostly do
    rotations = axis_angle_to_matrix(torch.from_numpy(swing).float())
    upright = axis_angle_to_matrix(torch.tensor([np.pi, 0.0, 0.0]).float())
    rotations[:, 0] = upright @ rotations[:, 0]
    return rotations


def stick_clips(
    name: str, clips: int, n_frames: int = 30, seed: int = 0, share_3d: float = 0.5, noise: float = 0.3
) -> ClipDataset:
    """Clips of the stick world: half with 3D truth, all with 2D, in frames of 256 px."""
    generator = np.random.default_rng([seed, len(name), clips])
    mixing = torch.from_numpy(np.random.default_rng(7).normal(0, 0.5, (24 * 6 + 3, FEATURES))).float()
    total, body = clips * n_frames, StickBody()
    rotations = torch.cat([motion(generator, n_frames) for _ in range(clips)])
    betas = torch.from_numpy(generator.normal(0, 1, (clips, 10))).float().repeat_interleave(n_frames, 0)
    points = body(rotations, betas)
    center = 128 + torch.from_numpy(generator.normal(0, 6, (total, 2))).float()
    pixels = 80 * points[..., :2] + 128
    person = 0.85 * (pixels.amax(1) - pixels.amin(1))  # a close crop, inside the bounds of the solved camera
    shift = (center - 128) / 80
    hidden = torch.cat([rotations[..., :2].flatten(1), shift, betas[:, :1]], dim=-1) @ mixing
    phi = torch.tanh(hidden) + noise * torch.from_numpy(generator.normal(0, 1, (total, FEATURES))).float()
    known = torch.arange(clips) < round(share_3d * clips)
    confidence = torch.from_numpy(generator.uniform(0, 1, (total, 25, 1)) > 0.1).float()
    return ClipDataset(
        clips=tuple(Clip(f"{name}-{i:02d}", i * n_frames, n_frames, bool(known[i])) for i in range(clips)),
        backbone="stick",
        phi=phi,
        box_center_px=center,
        box_scale=PERSON_PX / person.norm(dim=-1),
        mirrored=torch.zeros(total, dtype=torch.bool),
        label_of_row=torch.arange(total),
        keypoints_px=torch.cat([pixels, confidence], dim=-1),
        has_3d=known.repeat_interleave(n_frames),
        has_body=known.repeat_interleave(n_frames),
        rotations=rotations,
        betas=betas,
        joints_3d_m=points[:, torch.from_numpy(indices_of(COMMON_14, HMMR_25))],
    )


def stick_data(train_clips: int = 12, validation_clips: int = 3, seed: int = 0) -> TrainingData:
    return TrainingData(
        stick_clips("train", train_clips, seed=seed), stick_clips("held", validation_clips, seed=seed, share_3d=1.0)
    )


def small_scale(**over: object) -> ScaleSettings:
    """Steps of a few milliseconds."""
    settings = {
        "width": 32,
        "regressor_width": 32,
        "steps": 12,
        "temporal_steps": 12,
        "batch_clips": 4,
        "kept_step": "best",
    }
    settings |= {"clip_frames": 14, "validate_every_steps": 4, "judged_poses": 32}
    return ScaleSettings.model_validate({**settings, **over})


def stick_motions(sequences: int = 6, n_frames: int = 80) -> RealMotions:
    """Long motions of the stick world, as from a motion-capture archive."""
    generator = np.random.default_rng(3)
    pose = torch.cat([matrices_to_pose(motion(generator, n_frames)) for _ in range(sequences)])
    names = tuple(f"motion-{index}" for index in range(sequences))
    return RealMotions(names, np.arange(sequences) * n_frames, np.full(sequences, n_frames), pose, ())
