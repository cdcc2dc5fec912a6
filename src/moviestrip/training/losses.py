"""The papers' losses, each a plain function, and their sum over everything a model says about a batch.

The present is judged through the predicted camera. A dynamics prediction or a forecast is judged against the frame it
speaks of, through the camera that fits it best, so that it learns how the pose changes and not how the crop moves.
What the hallucinator's strip leads to is judged exactly like what the real strip leads to; what PoseForecast's past
and future lead to, by the truth of the frame that a variant names.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from moviestrip.config import VariantSettings
from moviestrip.geometry import SCALE_BOUNDS, optimal_camera, project_crop_perspective, project_weak_perspective
from moviestrip.models.model import Branch, Output
from moviestrip.models.parameters import ThetaLayout
from moviestrip.skeleton import COMMON_14, HMMR_25, indices_of
from moviestrip.training.compute import mean_over
from moviestrip.training.data import Targets

BodyPoints = Callable[[Tensor, Tensor], Tensor]  # (N, 24, 3, 3) rotations, (N, 10) betas -> (N, 25, 3) metres
COMMON = torch.from_numpy(indices_of(COMMON_14, HMMR_25))
HIPS = torch.from_numpy(indices_of(["right_hip", "left_hip"], COMMON_14))
PROJECTIONS = {"weak-perspective": project_weak_perspective, "perspective": project_crop_perspective}
NEIGHBOUR = {"past": -1, "future": 1}  # the frame next to the current one that each of them has seen


def keypoint_loss(projected: Float[Tensor, "*n 25 2"], keypoints: Float[Tensor, "*n 25 3"]) -> Float[Tensor, ""]:
    """HMMR: mean absolute difference over the visible keypoints, each weighted by its confidence."""
    confidence = keypoints[..., 2]
    difference = (projected - keypoints[..., :2]).abs().mean(-1)
    return mean_over(confidence * difference, confidence > 0)


def squared_keypoint_loss(
    projected: Float[Tensor, "*n 25 2"], keypoints: Float[Tensor, "*n 25 3"]
) -> Float[Tensor, ""]:
    """VIBE: mean squared difference over all keypoints, each weighted by its confidence."""
    return mean_over(keypoints[..., 2] * (projected - keypoints[..., :2]).square().mean(-1))


def squared_joint_loss(
    joints_m: Float[Tensor, "*n 14 3"], target_m: Float[Tensor, "*n 14 3"], known: Bool[Tensor, "*n"]
) -> Float[Tensor, ""]:
    """Mean squared difference, both centred between the hips, of the frames known in 3D; HMMR takes half of it."""
    return _mean_square(centred(joints_m) - centred(target_m), known)


def centred(joints_m: Float[Tensor, "*n 14 3"]) -> Float[Tensor, "*n 14 3"]:
    return joints_m - joints_m[..., HIPS, :].mean(-2, keepdim=True)


def smpl_loss(
    rotations: Float[Tensor, "*n 24 3 3"],
    betas: Float[Tensor, "*n 10"],
    target_rotations: Float[Tensor, "*n 24 3 3"],
    target_betas: Float[Tensor, "*n 10"],
    known: Bool[Tensor, "*n"],
) -> Float[Tensor, ""]:
    """HMMR: half the mean squared difference of the 216 rotation entries and 10 betas of frames whose body is known."""
    difference = torch.cat([(rotations - target_rotations).flatten(-3), betas - target_betas], dim=-1)
    return 0.5 * _mean_square(difference, known)


def _mean_square(difference: Tensor, known: Bool[Tensor, "*n"]) -> Float[Tensor, ""]:
    return mean_over(difference.square().reshape(*known.shape, -1).mean(-1), known)


def constant_shape_loss(betas: Float[Tensor, "clips frames 10"]) -> Float[Tensor, ""]:
    """Half the mean squared change of shape from one frame of a clip to the next: it is the same person."""
    return 0.5 * mean_over((betas[:, 1:] - betas[:, :-1]).square())


def shape_prior_loss(betas: Float[Tensor, "*n 10"]) -> Float[Tensor, ""]:
    """Mean squared beta: people near the average are likelier."""
    return mean_over(betas.square())


def prior_loss(judgements: Float[Tensor, "poses outputs"]) -> Float[Tensor, ""]:
    """What a discriminator holds against predictions: squared distance from 'real', summed over its outputs."""
    return judgements.shape[-1] * mean_over((judgements - 1).square())


def discriminator_loss(
    real: Float[Tensor, "poses outputs"], predicted: Float[Tensor, "poses outputs"]
) -> Float[Tensor, ""]:
    """Least squares: 1 for real, 0 for predicted."""
    return real.shape[-1] * (mean_over((real - 1).square()) + mean_over(predicted.square()))


def strip_loss(guessed: Float[Tensor, "*n width"], strip: Float[Tensor, "*n width"]) -> Float[Tensor, ""]:
    """Mean squared difference of a hallucinated or forecast strip from the real one.

    The gradient reaches the real strip as well, as in HMMR's release.
    """
    return mean_over((guessed - strip).square())


@dataclass(frozen=True)
class View:
    """One head's estimates and the labels of the frames they speak of."""

    name: str
    theta: Float[Tensor, "clips frames theta"]
    targets: Targets
    has_camera: bool


@dataclass(frozen=True)
class PosedView:
    """A view with the body that its estimates stand for."""

    view: View
    camera: Float[Tensor, "clips frames 3"]
    rotations: Float[Tensor, "clips frames 24 3 3"]
    betas: Float[Tensor, "clips frames 10"]
    points_m: Float[Tensor, "clips frames 25 3"]


def views_of(output: Output, targets: Targets, variant: VariantSettings) -> list[View]:
    """Everything the model says, each beside its labels; the present of the contextual branch comes first."""
    views: list[View] = []
    for branch in output.branches:
        of_pose_forecast = branch.name in NEIGHBOUR
        if of_pose_forecast and variant.pose_forecast_target == "none":
            continue
        neighbours = of_pose_forecast and variant.pose_forecast_target == "neighbours"
        views += _branch_views(branch, targets, NEIGHBOUR[branch.name] if neighbours else 0)
    return views


def _branch_views(branch: Branch, targets: Targets, offset_frames: int) -> Iterator[View]:
    window, rows = targets.keypoints.shape[1], branch.theta.shape[1]
    at = branch.first_frame + offset_frames
    yield View(branch.name, branch.theta, targets.frames(at, at + rows), branch.has_camera)
    for step, theta in branch.deltas.items():
        first, last = max(0, -step - at), min(rows, window - at - step)  # rows whose neighbour is in the window
        if first < last:
            moved = targets.frames(at + first + step, at + last + step)
            yield View(f"{branch.name}{step:+d}", theta[:, first:last], moved, has_camera=False)


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


def view_losses(posed: PosedView, variant: VariantSettings) -> dict[str, Tensor]:
    """The losses of one view, unweighted, in the variant's form."""
    targets = posed.view.targets
    if posed.view.has_camera:
        projected = PROJECTIONS[variant.projection](posed.points_m, posed.camera)
    else:
        projected = project_weak_perspective(posed.points_m, _solved_camera(posed))
    joints_m = posed.points_m[..., COMMON, :]
    joints_3d = squared_joint_loss(joints_m, targets.joints_3d_m, targets.has_3d)
    if variant.losses == "vibe":
        return {
            "keypoints": squared_keypoint_loss(projected, targets.keypoints),
            "joints_3d": joints_3d,
            "smpl": _mean_square(posed.rotations - targets.rotations, targets.has_body),
            "shape": _mean_square(posed.betas - targets.betas, targets.has_body),
        }
    known = (targets.rotations, targets.betas, targets.has_body)
    losses = {
        "keypoints": keypoint_loss(projected, targets.keypoints),
        "joints_3d": 0.5 * joints_3d,
        "smpl": smpl_loss(posed.rotations, posed.betas, *known),
    }
    if posed.view.has_camera:  # dynamics predictions repeat the shape of the present
        losses["betas"] = shape_prior_loss(posed.betas)
    return losses


def _solved_camera(posed: PosedView) -> Float[Tensor, "clips frames 3"]:
    """The camera that fits best, within HMMR's bounds; no gradient passes through it."""
    keypoints = posed.view.targets.keypoints
    with torch.no_grad():
        camera = optimal_camera(posed.points_m[..., :2], keypoints[..., :2], keypoints[..., 2], SCALE_BOUNDS)
    return camera.nan_to_num(0.0)  # nothing visible: the loss there has no weight


def model_losses(output: Output, posed: list[PosedView], variant: VariantSettings) -> dict[str, Tensor]:
    """All weighted terms but those of discriminators and priors, summed over the views; a name a term."""
    weights, terms = variant.loss_weights, dict[str, Tensor]()
    for view in posed:
        for name, value in view_losses(view, variant).items():
            terms[name] = terms.get(name, value.new_zeros(())) + getattr(weights, name) * value
    if weights.constant_shape > 0:
        terms["constant_shape"] = weights.constant_shape * constant_shape_loss(posed[0].betas)
    strip, hallucinated, forecast = output.contextual.strip, output.hallucinated, output.forecast
    if hallucinated is not None and weights.hallucination > 0:
        terms["hallucination"] = weights.hallucination * strip_loss(hallucinated.strip, strip)
    if forecast is not None and forecast.strip.shape[1] and weights.movie_strip > 0:
        seen = strip[:, forecast.first_frame : forecast.first_frame + forecast.strip.shape[1]]
        terms["movie_strip"] = weights.movie_strip * strip_loss(forecast.strip, seen)
    return terms
