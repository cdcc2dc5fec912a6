"""What a trained model says about whole clips, as the table every evaluation starts from.

A clip goes through the model whole, so that every frame has all the context there is. Joints are relative to the
body's rest place and not to the camera: a weak-perspective camera has a scale and no depth.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import roma
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from moviestrip.errors import FatalError
from moviestrip.geometry import (
    matrices_to_pose,
    pixels_of_normalised,
    pose_to_matrices,
    procrustes_align,
    project_weak_perspective,
    source_from_crop,
)
from moviestrip.models.hmmr import Hmmr
from moviestrip.tables import PREDICTIONS, stack, unstack
from moviestrip.training.checkpoint import read_checkpoint
from moviestrip.training.data import ClipDataset
from moviestrip.training.losses import COMMON, BodyPoints


@dataclass(frozen=True)
class Estimates:
    """Bodies of every row of a dataset, in its order."""

    camera: Float[Tensor, "rows 3"]
    rotations: Float[Tensor, "rows 24 3 3"]
    betas: Float[Tensor, "rows 10"]
    points_m: Float[Tensor, "rows 25 3"]


@torch.inference_mode()
def estimate(model: Hmmr, dataset: ClipDataset, body_points: BodyPoints) -> Estimates:
    """Run a model over whole clips."""
    was_training = model.training
    model.eval()
    theta = torch.cat([model_theta(model, dataset.phi[dataset.rows_of(clip)]) for clip in dataset.clips])
    model.train(was_training)
    camera, pose, betas = model.layout.split(theta)
    rotations = model.layout.rotations(pose)
    return Estimates(camera, rotations, betas, body_points(rotations, betas))


def model_theta(model: Hmmr, phi: Float[Tensor, "frames features"]) -> Float[Tensor, "frames theta"]:
    """The present of each frame of one clip; the heads that training added are not asked."""
    frames = model.projection(model.standardiser(phi[None]))
    return model.regressor(model.encoder(frames))[0]


def predict_clips(checkpoint: Path, dataset: ClipDataset, body_points: BodyPoints) -> pd.DataFrame:
    """PREDICTIONS of every clip of a dataset."""
    trained = read_checkpoint(checkpoint)
    if (trained.backbone, trained.design.feature_size) != (dataset.backbone, dataset.feature_size):
        raise FatalError(
            f"{checkpoint}: was trained on {trained.design.feature_size} features of '{trained.backbone}', these are "
            f"{dataset.feature_size} of '{dataset.backbone}'; train again or extract features with that backbone"
        )
    return predictions_table(estimate(trained.model(), dataset, body_points), dataset)


def predictions_table(estimates: Estimates, dataset: ClipDataset) -> pd.DataFrame:
    projected = project_weak_perspective(estimates.points_m, estimates.camera)
    source_px = source_from_crop(pixels_of_normalised(projected), dataset.box_center_px, dataset.box_scale)
    columns = {
        "clip_id": [clip.clip_id for clip in dataset.clips for _ in range(clip.n_frames)],
        "frame": np.concatenate([np.arange(clip.n_frames) for clip in dataset.clips]),
        "camera": unstack(estimates.camera.numpy()),
        "pose": unstack(matrices_to_pose(estimates.rotations).numpy()),
        "betas": unstack(estimates.betas.numpy()),
        "joints_3d_m": unstack(estimates.points_m[:, COMMON].numpy()),
        "keypoints_2d": unstack(source_px.numpy()),
    }
    return pd.DataFrame(columns)[[column.name for column in PREDICTIONS.columns]]


@torch.inference_mode()
def smooth_predictions(
    predictions: pd.DataFrame, sigma_frames: float, dataset: ClipDataset, body_points: BodyPoints
) -> pd.DataFrame:
    """Predictions under a Gaussian over time: the plain baseline that a temporal encoder has to beat.

    Rotations are averaged as matrices and brought back to the nearest rotation, cameras and shapes as they are;
    joints and keypoints follow from them. Ends repeat the first and last frame.
    """
    names = [clip.clip_id for clip in dataset.clips for _ in range(clip.n_frames)]
    if predictions["clip_id"].to_list() != names:
        raise FatalError("predictions and clips are not the same, in the same order; predict these clips first")
    rotations = pose_to_matrices(torch.from_numpy(stack(predictions["pose"], 72))).numpy()
    parts = (stack(predictions["camera"], 3), rotations, stack(predictions["betas"], 10))
    camera, mean_rotations, betas = (torch.from_numpy(_smooth(part, sigma_frames, dataset)) for part in parts)
    nearest = roma.special_procrustes(mean_rotations)
    return predictions_table(Estimates(camera, nearest, betas, body_points(nearest, betas)), dataset)


def _smooth(values: np.ndarray, sigma_frames: float, dataset: ClipDataset) -> np.ndarray:
    pieces = [values[clip.first_row : clip.first_row + clip.n_frames] for clip in dataset.clips]
    return np.concatenate([gaussian_filter1d(piece, sigma_frames, axis=0, mode="nearest") for piece in pieces])


def pa_mpjpe_mm(estimates: Estimates, dataset: ClipDataset) -> float:
    """Mean joint error after Procrustes alignment, over the frames known in 3D; NaN where there are none."""
    rows = dataset.rows_3d()
    target = dataset.targets(rows).joints_3d_m
    aligned = procrustes_align(estimates.points_m[rows][:, COMMON], target)
    return float((aligned - target).norm(dim=-1).mean() * 1000)
