"""HMMR's losses, each a plain function, and their sum over everything a model says about a batch.

The present is judged through the predicted camera. A dynamics prediction is judged against the frame it speaks
of, through the camera that fits it best, so that it learns how the pose changes and not how the crop moves.
What the hallucinator's strip leads to is judged exactly like what the real strip leads to.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from moviestrip.config import LossWeights
from moviestrip.geometry import SCALE_BOUNDS, optimal_camera, project_weak_perspective
from moviestrip.models.hmmr import Branch, HmmrOutput
from moviestrip.models.parameters import ThetaLayout
from moviestrip.skeleton import COMMON_14, HMMR_25, indices_of
from moviestrip.training.data import Targets

BodyPoints = Callable[[Tensor, Tensor], Tensor]  # (N, 24, 3, 3) rotations, (N, 10) betas -> (N, 25, 3) metres
COMMON = torch.from_numpy(indices_of(COMMON_14, HMMR_25))
HIPS = torch.from_numpy(indices_of(["right_hip", "left_hip"], COMMON_14))


def keypoint_loss(projected: Float[Tensor, "*n 25 2"], keypoints: Float[Tensor, "*n 25 3"]) -> Float[Tensor, ""]:
    """Mean absolute difference over the visible keypoints, each weighted by its confidence."""
    confidence = keypoints[..., 2]
    difference = (projected - keypoints[..., :2]).abs().sum(-1)
    return (confidence * difference).sum() / (2 * (confidence > 0).sum()).clamp(min=1)


def joints_3d_loss(
    joints_m: Float[Tensor, "*n 14 3"], target_m: Float[Tensor, "*n 14 3"], has_3d: Bool[Tensor, "*n"]
) -> Float[Tensor, ""]:
    """Half the mean squared difference, both centred between the hips, of frames known in 3D."""
    return _half_mean_square(centred(joints_m) - centred(target_m), has_3d)


def centred(joints_m: Float[Tensor, "*n 14 3"]) -> Float[Tensor, "*n 14 3"]:
    return joints_m - joints_m[..., HIPS, :].mean(-2, keepdim=True)


def smpl_loss(
    rotations: Float[Tensor, "*n 24 3 3"],
    betas: Float[Tensor, "*n 10"],
    target_rotations: Float[Tensor, "*n 24 3 3"],
    target_betas: Float[Tensor, "*n 10"],
    has_3d: Bool[Tensor, "*n"],
) -> Float[Tensor, ""]:
    """Half the mean squared difference of the 216 rotation entries and 10 betas of frames known in 3D."""
    difference = torch.cat([(rotations - target_rotations).flatten(-3), betas - target_betas], dim=-1)
    return _half_mean_square(difference, has_3d)


def _half_mean_square(difference: Tensor, known: Bool[Tensor, "*n"]) -> Float[Tensor, ""]:
    each = difference.square().reshape(*known.shape, -1).mean(-1)
    return 0.5 * (each * known).sum() / known.sum().clamp(min=1)


def constant_shape_loss(betas: Float[Tensor, "clips frames 10"]) -> Float[Tensor, ""]:
    """Half the mean squared change of shape from one frame of a clip to the next: it is the same person."""
    return 0.5 * (betas[:, 1:] - betas[:, :-1]).square().mean()


def shape_prior_loss(betas: Float[Tensor, "*n 10"]) -> Float[Tensor, ""]:
    """Mean squared beta: people near the average are likelier."""
    return betas.square().mean()


def prior_loss(judgements: Float[Tensor, "poses outputs"]) -> Float[Tensor, ""]:
    """What the prior holds against predicted poses: squared distance from 'real', summed over its outputs."""
    return (judgements - 1).square().mean(0).sum()


def discriminator_loss(
    real: Float[Tensor, "poses outputs"], predicted: Float[Tensor, "poses outputs"]
) -> Float[Tensor, ""]:
    """Least squares: 1 for real poses, 0 for predicted ones."""
    return (real - 1).square().mean(0).sum() + predicted.square().mean(0).sum()


def hallucination_loss(hallucinated: Float[Tensor, "*n width"], strip: Float[Tensor, "*n width"]) -> Float[Tensor, ""]:
    """Mean squared difference; the gradient reaches the real strip as well, as in the release."""
    return (hallucinated - strip).square().mean()


@dataclass(frozen=True)
class View:
    """One head's estimates and the labels of the frames they speak of."""

    name: str
    theta: Float[Tensor, "clips frames theta"]
    targets: Targets
    solved_camera: bool


@dataclass(frozen=True)
class PosedView:
    """A view with the body that its estimates stand for."""

    view: View
    camera: Float[Tensor, "clips frames 3"]
    rotations: Float[Tensor, "clips frames 24 3 3"]
    betas: Float[Tensor, "clips frames 10"]
    points_m: Float[Tensor, "clips frames 25 3"]


def views_of(output: HmmrOutput, targets: Targets) -> list[View]:
    """Everything the model says, each beside its labels: present and dynamics, of both branches."""
    views = _branch_views(output.contextual, targets, "")
    if output.hallucinated is not None:
        views += _branch_views(output.hallucinated, targets, "hallucinated_")
    return views


def _branch_views(branch: Branch, targets: Targets, prefix: str) -> list[View]:
    frames = branch.theta.shape[1]
    views = [View(f"{prefix}present", branch.theta, targets, solved_camera=False)]
    for step, theta in branch.deltas.items():
        first, last = max(0, -step), frames - max(0, step)  # frames whose neighbour is in the window
        if first < last:
            moved = targets.frames(first + step, last + step)
            views.append(View(f"{prefix}dynamics", theta[:, first:last], moved, solved_camera=True))
    return views


def pose_views(views: list[View], layout: ThetaLayout, body_points: BodyPoints) -> list[PosedView]:
    """Pose the bodies of all views in one go: many small calls cost more than one large one."""
    flat = torch.cat([view.theta.flatten(0, 1) for view in views])
    camera, pose, betas = layout.split(flat)
    rotations = layout.rotations(pose)
    points = body_points(rotations, betas)
    shapes = [view.theta.shape[:2] for view in views]
    counts = [clips * frames for clips, frames in shapes]
    pieces = zip(*(values.split(counts) for values in (camera, rotations, betas, points)), strict=True)
    return [
        PosedView(view, *(piece.unflatten(0, shape) for piece in four))
        for view, shape, four in zip(views, shapes, pieces, strict=True)
    ]


def view_losses(posed: PosedView) -> dict[str, Tensor]:
    """The losses of L_t, unweighted."""
    targets = posed.view.targets
    camera = _solved_camera(posed) if posed.view.solved_camera else posed.camera
    projected = project_weak_perspective(posed.points_m, camera)
    losses = {
        "keypoints": keypoint_loss(projected, targets.keypoints),
        "joints_3d": joints_3d_loss(posed.points_m[..., COMMON, :], targets.joints_3d_m, targets.has_3d),
        "smpl": smpl_loss(posed.rotations, posed.betas, targets.rotations, targets.betas, targets.has_3d),
    }
    if not posed.view.solved_camera:  # dynamics predictions repeat the shape of the present
        losses["betas"] = shape_prior_loss(posed.betas)
    return losses


def _solved_camera(posed: PosedView) -> Float[Tensor, "clips frames 3"]:
    """The camera that fits best, within HMMR's bounds; no gradient passes through it."""
    keypoints = posed.view.targets.keypoints
    with torch.no_grad():
        camera = optimal_camera(posed.points_m[..., :2], keypoints[..., :2], keypoints[..., 2], SCALE_BOUNDS)
    return camera.nan_to_num(0.0)  # nothing visible: the loss there has no weight


def encoder_losses(output: HmmrOutput, posed: list[PosedView], weights: LossWeights) -> dict[str, Tensor]:
    """All weighted terms but the adversarial one, summed over the views; a name a term."""
    terms: dict[str, Tensor] = {}
    for view in posed:
        for name, value in view_losses(view).items():
            terms[name] = terms.get(name, value.new_zeros(())) + getattr(weights, name) * value
    terms["constant_shape"] = weights.constant_shape * constant_shape_loss(posed[0].betas)
    if output.hallucinated is not None:
        difference = hallucination_loss(output.hallucinated.strip, output.contextual.strip)
        terms["hallucination"] = weights.hallucination * difference
    return terms
