"""HMMR assembled: features to movie strips, and movie strips to bodies now, shortly before and shortly after.

The same module is the single-view baseline (no temporal encoder) and the papers' ablations: what a variant
lacks is left out, what it shares keeps its name, so that weights pass from one variant to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moviestrip.config import ScaleSettings, VariantSettings
from moviestrip.errors import FatalError
from moviestrip.models.hallucinator import Hallucinator
from moviestrip.models.movie_strip import MovieStripEncoder, NormName
from moviestrip.models.parameters import RotationForm, ThetaLayout
from moviestrip.models.regressor import DynamicsRegressor, ThetaRegressor

STANDARD_DEVIATION_FLOOR = 0.2  # most channels of a phone network's features are dead: never divide by nearly 0
STANDARD_CLAMP = 5.0


@dataclass(frozen=True)
class Branch:
    """What the heads say about one strip: the present, and the pose `step` frames away."""

    strip: Float[Tensor, "batch frames width"]
    theta: Float[Tensor, "batch frames theta"]
    deltas: dict[int, Float[Tensor, "batch frames theta"]]


@dataclass(frozen=True)
class HmmrOutput:
    """The strip as the encoder saw it, and as the hallucinator guesses it from each frame alone."""

    contextual: Branch
    hallucinated: Branch | None


class FeatureStandardiser(nn.Module):
    """(phi - mean) / (standard deviation + floor), clamped; the statistics travel with the weights."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, feature_size: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(feature_size))
        self.register_buffer("deviation", torch.ones(feature_size))

    def fit(self, phi: Float[Tensor, "frames features"]) -> None:
        self.mean.copy_(phi.mean(0))
        self.deviation.copy_(phi.std(0) + STANDARD_DEVIATION_FLOOR)

    def forward(self, phi: Float[Tensor, "... features"]) -> Float[Tensor, "... features"]:
        return ((phi - self.mean) / self.deviation).clamp(-STANDARD_CLAMP, STANDARD_CLAMP)


@dataclass(frozen=True)
class HmmrDesign:
    """Every choice that decides which weights a model has."""

    feature_size: int
    width: int = 2048
    regressor_width: int = 1024
    dropout: float = 0.5
    rotation: RotationForm = "axis-angle"
    temporal: bool = True
    norm: NormName = "group-norm-over-time"
    residual_blocks: int = 3
    delta_frames: tuple[int, ...] = (-5, 5)
    hallucinator: bool = True
    readout: bool = False
    standardise: bool = False


class Hmmr(nn.Module):
    """phi (batch, frames, features) to Theta of every frame, and to the poses around it."""

    def __init__(self, design: HmmrDesign):
        super().__init__()
        self.design = design
        self.layout = ThetaLayout(design.rotation)
        width, hidden, dropout = design.width, design.regressor_width, design.dropout
        self.standardiser = FeatureStandardiser(design.feature_size) if design.standardise else nn.Identity()
        same = design.feature_size == width
        self.projection = nn.Identity() if same else nn.Linear(design.feature_size, width)
        self.encoder = (
            MovieStripEncoder(width, design.residual_blocks, design.norm) if design.temporal else nn.Identity()
        )
        self.regressor = ThetaRegressor(width, self.layout, hidden, dropout, design.readout)
        self.deltas = nn.ModuleDict(
            {delta_name(step): DynamicsRegressor(width, self.layout, hidden, dropout) for step in design.delta_frames}
        )
        self.hallucinator = Hallucinator(width) if design.hallucinator else None

    def forward(self, phi: Float[Tensor, "batch frames features"]) -> HmmrOutput:
        if phi.ndim != 3 or phi.shape[-1] != self.design.feature_size:
            raise FatalError(
                f"features are {tuple(phi.shape)}, this model reads (batch, frames, {self.design.feature_size}): "
                f"extract them with the backbone it was trained on"
            )
        frame = self.projection(self.standardiser(phi))
        hallucinated = None if self.hallucinator is None else self.read(self.hallucinator(frame))
        return HmmrOutput(self.read(self.encoder(frame)), hallucinated)

    def read(self, strip: Float[Tensor, "batch frames width"]) -> Branch:
        """The heads' reading of a strip."""
        theta = self.regressor(strip)
        deltas = {step: self.deltas[delta_name(step)](strip, theta) for step in self.design.delta_frames}
        return Branch(strip, theta, deltas)


def delta_name(step_frames: int) -> str:
    return f"past{-step_frames}" if step_frames < 0 else f"future{step_frames}"


def design_of(variant: VariantSettings, scale: ScaleSettings, feature_size: int) -> HmmrDesign:
    """The model a variant asks for, at the run's scale."""
    return HmmrDesign(
        feature_size=feature_size,
        width=scale.width,
        regressor_width=scale.regressor_width,
        dropout=scale.dropout,
        rotation=scale.rotation,
        temporal=variant.encoder == "movie-strip",
        norm=variant.norm,
        residual_blocks=variant.residual_blocks,
        delta_frames=tuple(variant.delta_frames),
        hallucinator=variant.hallucinator,
        readout=scale.readout_start,
        standardise=scale.standardise_features,
    )


def take_over(model: nn.Module, weights: dict[str, Tensor], origin: str, expected: Sequence[str]) -> None:
    """Copy the weights of an earlier variant; only what lies under `expected` names may be new."""
    result = model.load_state_dict(weights, strict=False)
    unknown = list(result.unexpected_keys)
    missing = [key for key in result.missing_keys if not key.startswith(tuple(expected))]
    if unknown or missing:
        raise FatalError(
            f"{origin}: its weights do not fit this variant: it lacks {missing[:3]} and has {unknown[:3]} too many; "
            f"train both with the same scale"
        )
