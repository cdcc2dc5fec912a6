"""What a trained model says about whole clips, as the tables every evaluation starts from.

Joints are relative to the body's rest place and not to the camera: a weak-perspective camera has a scale and no
depth. A forecast, and what is hallucinated about the frames around one, have no camera at all: nobody sees how the
crop will move.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from moviestrip.config import InferenceRule
from moviestrip.errors import FatalError
from moviestrip.geometry import (
    matrices_to_pose,
    pixels_of_normalised,
    pose_to_matrices,
    procrustes_align,
    project_crop_perspective,
    project_weak_perspective,
    source_from_crop,
)
from moviestrip.models.model import CONDITION_FRAMES, MotionModel
from moviestrip.models.parameters import ThetaLayout
from moviestrip.tables import FORECASTS, PREDICTIONS, stack, unstack
from moviestrip.training.checkpoint import Checkpoint, read_checkpoint
from moviestrip.training.data import Clip, ClipDataset
from moviestrip.training.inference import (
    FRAMES_AT_ONCE,
    device_of,
    hallucination_of_clip,
    present_of_clip,
)
from moviestrip.training.losses import COMMON, BodyPoints
from moviestrip.training.smoothing import Filter, Motion, smooth_clips

ReadsName = Literal["strip", "hallucination"]
ForecastKind = Literal["forecast", "dynamics"]
CPU = torch.device("cpu")
BODIES_AT_ONCE = 4096
FORECAST_STEPS = 30  # PHD's longest horizon
FORECAST_EVERY_FRAMES = 25  # PHD on Human3.6M; on Penn Action every frame


@dataclass(frozen=True)
class Estimates:
    """Bodies of every row of a dataset, in its order, on the CPU."""

    camera: Float[Tensor, "rows 3"]
    rotations: Float[Tensor, "rows 24 3 3"]
    betas: Float[Tensor, "rows 10"]
    points_m: Float[Tensor, "rows 25 3"]


@torch.inference_mode()
def estimate(
    model: MotionModel,
    dataset: ClipDataset,
    body_points: BodyPoints,
    reads: ReadsName = "strip",
    rule: InferenceRule = "whole",
    frame_stride: int = 1,
) -> Estimates:
    """Run a model over whole clips.

    Args:
        body_points: on the model's device.
        reads: what is predicted from: the encoder's strip, or the one hallucinated from each frame.
        rule: how a clip is cut; see `inference`.
        frame_stride: n predicts n interleaved sequences, each of every n-th frame.
    """
    was_training = model.training
    model.eval()
    clips = [dataset.phi[dataset.rows_of(clip)] for clip in dataset.clips]
    if reads == "hallucination":
        theta = torch.cat([hallucination_of_clip(model, phi) for phi in clips])
    else:
        theta = torch.cat([present_of_clip(model, phi, rule, frame_stride) for phi in clips])
    model.train(was_training)
    return estimates_of(theta, model.layout, body_points, device_of(model))


def estimates_of(
    theta: Float[Tensor, "rows theta"], layout: ThetaLayout, body_points: BodyPoints, device: torch.device
) -> Estimates:
    camera, pose, betas = layout.split(theta)
    return posed(camera, layout.rotations(pose), betas, body_points, device)


def posed(
    camera: Float[Tensor, "rows 3"],
    rotations: Float[Tensor, "rows 24 3 3"],
    betas: Float[Tensor, "rows 10"],
    body_points: BodyPoints,
    device: torch.device = CPU,
) -> Estimates:
    """Estimates with the points of their bodies; `body_points` computes on `device`."""
    parts = zip(rotations.split(BODIES_AT_ONCE), betas.split(BODIES_AT_ONCE), strict=True)
    points_m = [body_points(turned.to(device), shape.to(device)).cpu() for turned, shape in parts]
    return Estimates(camera, rotations, betas, torch.cat(points_m))


def predict_clips(
    checkpoint: Path,
    dataset: ClipDataset,
    body_points: BodyPoints,
    reads: ReadsName = "strip",
    rule: InferenceRule = "whole",
    frame_stride: int = 1,
    device: torch.device = CPU,
) -> pd.DataFrame:
    """PREDICTIONS of every clip of a dataset; `body_points` computes on `device` too."""
    trained = checkpoint_for(checkpoint, dataset)
    estimates = estimate(trained.model().to(device), dataset, body_points, reads, rule, frame_stride)
    return predictions_table(estimates, dataset, trained.projection)


def checkpoint_for(path: Path, dataset: ClipDataset) -> Checkpoint:
    """A checkpoint that was trained on features like those of the dataset."""
    trained = read_checkpoint(path)
    if (trained.backbone, trained.design.feature_size) != (dataset.backbone, dataset.feature_size):
        raise FatalError(
            f"{path}: was trained on {trained.design.feature_size} features of '{trained.backbone}', these are "
            f"{dataset.feature_size} of '{dataset.backbone}'; train again or extract features with that backbone"
        )
    return trained


def predictions_table(estimates: Estimates, dataset: ClipDataset, projection: str = "weak-perspective") -> pd.DataFrame:
    """PREDICTIONS of a dataset's rows, their keypoints under the camera that the model was trained with."""
    project = project_crop_perspective if projection == "perspective" else project_weak_perspective
    crop_px = pixels_of_normalised(project(estimates.points_m, estimates.camera))
    source_px = source_from_crop(crop_px, dataset.box_center_px.cpu(), dataset.box_scale.cpu())
    columns = {
        "clip_id": clip_of_rows(dataset),
        "frame": np.concatenate([np.arange(clip.n_frames) for clip in dataset.clips]),
        "camera": unstack(estimates.camera.numpy()),
        "pose": unstack(matrices_to_pose(estimates.rotations).numpy()),
        "betas": unstack(estimates.betas.numpy()),
        "joints_3d_m": unstack(estimates.points_m[:, COMMON].numpy()),
        "keypoints_2d": unstack(source_px.numpy()),
    }
    return pd.DataFrame(columns)[[column.name for column in PREDICTIONS.columns]]


def clip_of_rows(dataset: ClipDataset) -> list[str]:
    return [clip.clip_id for clip in dataset.clips for _ in range(clip.n_frames)]


@torch.inference_mode()
def smooth_predictions(
    predictions: pd.DataFrame,
    dataset: ClipDataset,
    body_points: BodyPoints,
    chosen: Filter,
    frame_rates: Mapping[str, float],
    projection: str = "weak-perspective",
    device: torch.device = CPU,
) -> pd.DataFrame:
    """PREDICTIONS under a filter over time, clip by clip; joints and keypoints follow from the smoothed bodies.

    Args:
        frame_rates: of every clip by its id, in frames a second.
    """
    if predictions["clip_id"].to_list() != clip_of_rows(dataset):
        raise FatalError("predictions and clips are not the same, in the same order; predict these clips first")
    camera, betas = (torch.from_numpy(stack(predictions[name], size)) for name, size in (("camera", 3), ("betas", 10)))
    rotations = pose_to_matrices(torch.from_numpy(stack(predictions["pose"], 72)))
    lengths = [clip.n_frames for clip in dataset.clips]
    clips = zip(camera.split(lengths), rotations.split(lengths), betas.split(lengths), strict=True)
    rates = [frame_rates[clip.clip_id] for clip in dataset.clips]
    motions = smooth_clips([Motion(*clip) for clip in clips], chosen, rates)
    smoothed = posed(
        torch.cat([motion.camera for motion in motions]),
        torch.cat([motion.rotations for motion in motions]),
        torch.cat([motion.betas for motion in motions]),
        body_points,
        device,
    )
    return predictions_table(smoothed, dataset, projection)


@torch.inference_mode()
def forecast_clips(
    checkpoint: Path,
    dataset: ClipDataset,
    body_points: BodyPoints,
    steps: int = FORECAST_STEPS,
    condition_frames: int = CONDITION_FRAMES,
    every_frames: int = FORECAST_EVERY_FRAMES,
    device: torch.device = CPU,
) -> pd.DataFrame:
    """FORECASTS of the `steps` frames after some frames of every clip, from the `condition_frames` up to each.

    A clip's first forecast follows its first `condition_frames`, the next ones come `every_frames` later, as long as
    all forecast frames are in the clip. Horizon 0 is the last frame seen, estimated from the same frames: what the
    constant baseline repeats.
    """
    trained = checkpoint_for(checkpoint, dataset)
    model, first = trained.model().to(device), condition_frames - 1
    starts = starts_in_clips(dataset.clips, first, steps, every_frames)
    seen = torch.tensor([row for _, _, row in starts])[:, None] + torch.arange(-first, 1)
    theta = []
    for rows in seen.split(max(1, FRAMES_AT_ONCE // condition_frames)):
        phi = dataset.phi[rows].to(device)
        following = model.forecast(phi, steps, condition_frames).theta
        theta.append(torch.cat([model.present(phi).theta[:, -1:], following], dim=1).cpu())
    estimates = estimates_of(torch.cat(theta).flatten(0, 1), model.layout, body_points, device)
    return forecasts_table("forecast", starts, range(steps + 1), estimates)


@torch.inference_mode()
def dynamics_clips(
    checkpoint: Path,
    dataset: ClipDataset,
    body_points: BodyPoints,
    every_frames: int = 1,
    device: torch.device = CPU,
) -> pd.DataFrame:
    """FORECASTS of the frames around single frames, hallucinated from each of them alone (HMMR's Table 5).

    The horizons are the steps of the model's dynamics predictors and 0. Only frames count whose neighbours at all
    horizons are in the clip, so that every horizon is scored over the same moments.
    """
    trained = checkpoint_for(checkpoint, dataset)
    model, steps = trained.model().to(device), trained.design.delta_frames
    if not steps:
        raise FatalError(f"{checkpoint}: '{trained.variant}' has no dynamics predictors; give it delta_frames")
    horizons = sorted({0, *steps})
    starts = starts_in_clips(dataset.clips, max(0, -horizons[0]), max(0, horizons[-1]), every_frames)
    theta = []
    for rows in torch.tensor([row for _, _, row in starts]).split(FRAMES_AT_ONCE):
        branch = model.hallucinate(dataset.phi[rows][None].to(device))
        said = {0: branch.theta, **branch.deltas}
        theta.append(torch.stack([said[horizon][0] for horizon in horizons], dim=1).cpu())
    estimates = estimates_of(torch.cat(theta).flatten(0, 1), model.layout, body_points, device)
    return forecasts_table("dynamics", starts, horizons, estimates)


def starts_in_clips(clips: Sequence[Clip], before: int, after: int, every_frames: int) -> list[tuple[str, int, int]]:
    """Clip, frame and row of every n-th frame that has so many frames before and after it in its clip."""
    starts = [
        (clip.clip_id, frame, clip.first_row + frame)
        for clip in clips
        for frame in range(before, clip.n_frames - after, every_frames)
    ]
    if not starts:
        longest = max((clip.n_frames for clip in clips), default=0)
        raise FatalError(
            f"nothing to forecast: it takes clips of {before + 1 + after} frames and the longest of "
            f"{len(clips)} has {longest}; forecast fewer steps or make longer clips"
        )
    return starts


def forecasts_table(
    kind: ForecastKind, starts: Sequence[tuple[str, int, int]], horizons: Sequence[int], estimates: Estimates
) -> pd.DataFrame:
    """FORECASTS of estimates that hold all horizons of the first start, then of the second, and so on."""
    columns = {
        "clip_id": [clip_id for clip_id, _, _ in starts for _ in horizons],
        "kind": kind,
        "start_frame": [frame for _, frame, _ in starts for _ in horizons],
        "horizon": list(horizons) * len(starts),
        "pose": unstack(matrices_to_pose(estimates.rotations).numpy()),
        "betas": unstack(estimates.betas.numpy()),
        "joints_3d_m": unstack(estimates.points_m[:, COMMON].numpy()),
        "points_3d_m": unstack(estimates.points_m.numpy()),
    }
    return pd.DataFrame(columns)[[column.name for column in FORECASTS.columns]]


def pa_mpjpe_mm(estimates: Estimates, dataset: ClipDataset) -> float:
    """Mean joint error after Procrustes alignment, over the frames known in 3D; NaN where there are none."""
    rows = dataset.rows_3d()
    target = dataset.targets(rows).joints_3d_m.cpu()
    aligned = procrustes_align(estimates.points_m[rows.cpu()][:, COMMON], target)
    return float((aligned - target).norm(dim=-1).mean() * 1000)
