"""Starting values of a model from linear regressions on the training clips.

With the few thousand labelled frames of the miniature world a ridge regression from features to pose is hard to
beat, and a network that starts from random weights spends its whole budget getting there. So the projection
starts as the principal components of the features, and the regressor's estimate as the ridge regression on them.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moviestrip.errors import ConfigError
from moviestrip.geometry import optimal_camera
from moviestrip.models.model import FeatureStandardiser, MotionModel
from moviestrip.models.parameters import ThetaLayout
from moviestrip.training.data import ClipDataset, TrainingData
from moviestrip.training.losses import BodyPoints

WHITENING_FLOOR = 0.3  # of the mean spread: weak components are not blown up to the size of strong ones
RIDGE_GRID = (1e-3, 1e-2, 1e-1, 1.0)  # times the number of frames
RIDGE_WITHOUT_VALIDATION = 1e-1


@torch.no_grad()
def start_from_regression(model: MotionModel, data: TrainingData, body_points: BodyPoints) -> None:
    """Set the projection, the mean parameters and the readout of a new model."""
    if model.layout.rotation != "6d":
        raise ConfigError(
            "scale.readout_start: needs scale.rotation: 6d; axis-angle jumps at the upright root rotation"
        )
    rows = data.train.rows_with_body()
    if len(rows) == 0:
        raise ConfigError("scale.readout_start: no training clip has 3D truth; set it to false or add such a dataset")
    if isinstance(model.projection, nn.Linear):
        fit_projection(model.projection, model.standardiser(data.train.phi))
    strips = frame_strips(model, data.train, rows)
    targets = true_theta(data.train, rows, model.layout, body_points)
    penalty = RIDGE_WITHOUT_VALIDATION
    if data.validation is not None and len(data.validation.rows_with_body()):
        held_rows = data.validation.rows_with_body()
        held = frame_strips(model, data.validation, held_rows)
        held_targets = true_theta(data.validation, held_rows, model.layout, body_points)
        penalty = min(RIDGE_GRID, key=lambda p: _error(*ridge(strips, targets, p), held, held_targets))
    weight, bias = ridge(strips, targets, penalty)
    assert model.regressor.readout is not None
    model.regressor.readout.weight.copy_(weight)
    model.regressor.mean.copy_(bias[None])


def fit_standardiser(model: MotionModel, dataset: ClipDataset) -> None:
    if isinstance(model.standardiser, FeatureStandardiser):
        model.standardiser.fit(dataset.phi)


def frame_strips(model: MotionModel, dataset: ClipDataset, rows: Tensor) -> Float[Tensor, "rows width"]:
    """What the regressor of a single-view model reads."""
    return model.projection(model.standardiser(dataset.phi[rows]))


def fit_projection(projection: nn.Linear, phi: Float[Tensor, "rows features"]) -> None:
    """The strongest principal components, nearly whitened, with a sign that does not depend on the solver."""
    mean = phi.mean(0)
    offset = (phi - mean).double()
    spread, axes = torch.linalg.eigh(offset.T @ offset / len(phi))
    count = min(projection.out_features, projection.in_features)
    spread, axes = spread.flip(0)[:count].clamp(min=0).sqrt(), axes.flip(1)[:, :count]
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    weight = (axes / (spread + WHITENING_FLOOR * spread.mean())).T.float()
    projection.weight[:count] = weight
    projection.bias[:count] = -(weight @ mean)


def true_theta(
    dataset: ClipDataset, rows: Tensor, layout: ThetaLayout, body_points: BodyPoints
) -> Float[Tensor, "rows theta"]:
    """The labels as an estimate: the camera is the one under which the true body fits its keypoints."""
    targets = dataset.targets(rows)
    points = body_points(targets.rotations, targets.betas)
    keypoints = targets.keypoints
    camera = optimal_camera(points[..., :2], keypoints[..., :2], keypoints[..., 2])
    usable = camera.isfinite().all(-1, keepdim=True)
    typical = camera[usable[:, 0]].mean(0)
    return layout.join(torch.where(usable, camera, typical), layout.encode(targets.rotations), targets.betas)


def ridge(
    inputs: Float[Tensor, "rows inputs"], targets: Float[Tensor, "rows outputs"], penalty: float
) -> tuple[Float[Tensor, "outputs inputs"], Float[Tensor, " outputs"]]:
    """Weight and bias of least squares with `penalty` * rows on the squared weight."""
    x, y = inputs.double(), targets.double()
    x_mean, y_mean = x.mean(0), y.mean(0)
    gram = (x - x_mean).T @ (x - x_mean) + penalty * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
    weight = torch.linalg.solve(gram, (x - x_mean).T @ (y - y_mean)).T
    return weight.float(), (y_mean - weight @ x_mean).float()


def _error(weight: Tensor, bias: Tensor, inputs: Tensor, targets: Tensor) -> float:
    return float((inputs @ weight.T + bias - targets).square().mean())
