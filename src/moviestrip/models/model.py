"""A model assembled: features to strips, and strips to bodies now, shortly before, shortly after, and later.

The four papers share this plan. They differ in what encodes time, in the heads that read its strips, and in what is
supervised. What a variant lacks is left out and what variants share keeps its name, so that weights pass from one to
the next and an official checkpoint becomes one of these by renaming.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moviestrip.config import EncoderName, ScaleSettings, VariantSettings
from moviestrip.errors import FatalError
from moviestrip.models.autoregressor import Autoregressor, PoseAutoregressor
from moviestrip.models.hallucinator import Hallucinator
from moviestrip.models.movie_strip import GROUPS, MovieStripEncoder, NormName, PaddingName
from moviestrip.models.parameters import CAMERA_SIZE, RotationForm, ThetaLayout
from moviestrip.models.pose_forecast import INTEGRATION_WIDTH, WINDOW_FRAMES, PoseForecastEncoder, PoseForecastName
from moviestrip.models.recurrent import LAYERS, RecurrentEncoder
from moviestrip.models.regressor import IDENTITY_CAMERA, DynamicsRegressor, ThetaRegressor

PAPERS_WIDTH = 2048
SMALLEST_GROUP = 8  # channels normalised together: of a single frame, one or two would say nothing (papers: 64)
STANDARD_DEVIATION_FLOOR = 0.2  # most channels of a phone network's features are dead: never divide by nearly 0
STANDARD_CLAMP = 5.0
CONDITION_FRAMES = 15  # PHD: what a forecast looks at


@dataclass(frozen=True)
class Branch:
    """What the heads say about one run of strips: the pose of each frame, and the poses `step` frames away."""

    name: str
    strip: Float[Tensor, "batch frames width"]
    theta: Float[Tensor, "batch frames theta"]
    deltas: dict[int, Float[Tensor, "batch frames theta"]] = field(default_factory=dict)
    first_frame: int = 0  # of the window: the one that the first row speaks of
    has_camera: bool = True  # a forecast has none: it does not see how the crop moves

    def float(self) -> "Branch":
        deltas = {step: theta.float() for step, theta in self.deltas.items()}
        return replace(self, strip=self.strip.float(), theta=self.theta.float(), deltas=deltas)


@dataclass(frozen=True)
class Output:
    """The strip as the encoder saw it and, where a variant has them, the other ways to arrive at one."""

    contextual: Branch
    hallucinated: Branch | None = None  # from each frame alone
    past: Branch | None = None  # from the frames before
    future: Branch | None = None  # from the frames after
    forecast: Branch | None = None  # from earlier strips
    attention: Float[Tensor, "batch frames 3"] | None = None  # of past, all and future

    @property
    def branches(self) -> Iterator[Branch]:
        every = (self.contextual, self.hallucinated, self.past, self.future, self.forecast)
        return (branch for branch in every if branch is not None)

    def float(self) -> "Output":
        """In single precision, whatever the model computed in."""
        attention = None if self.attention is None else self.attention.float()
        return Output(**{branch.name: branch.float() for branch in self.branches}, attention=attention)


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
class ModelDesign:
    """Every choice that decides which weights a model has and what it computes with them."""

    feature_size: int
    encoder: EncoderName = "movie-strip"
    width: int = PAPERS_WIDTH
    regressor_width: int = 1024
    recurrent_width: int = 1024
    recurrent_layers: int = LAYERS
    integration_width: int = INTEGRATION_WIDTH
    dropout: float = 0.5
    rotation: RotationForm = "axis-angle"
    rectified: bool = True
    norm: NormName = "group-norm-over-time"
    norm_groups: int = GROUPS
    residual_blocks: int = 3
    causal: bool = False
    ends: PaddingName = "zeros"
    bidirectional: bool = False
    residual: bool = True
    pose_forecast: PoseForecastName = "none"
    window_frames: int = WINDOW_FRAMES
    delta_frames: tuple[int, ...] = ()
    hallucinator: bool = False
    autoregressor: str = "none"
    readout: bool = False
    standardise: bool = False

    @property
    def temporal(self) -> bool:
        return self.encoder != "none"


class MotionModel(nn.Module):
    """phi (batch, frames, features) to Theta of every frame, and to the poses around and after it."""

    def __init__(self, design: ModelDesign):
        super().__init__()
        self.design = design
        self.layout = ThetaLayout(design.rotation)
        width, hidden, dropout = design.width, design.regressor_width, design.dropout
        self.standardiser = FeatureStandardiser(design.feature_size) if design.standardise else nn.Identity()
        same = design.feature_size == width
        self.projection = nn.Identity() if same else nn.Linear(design.feature_size, width)
        self.encoder = encoder_of(design)
        self.regressor = ThetaRegressor(width, self.layout, hidden, dropout, design.readout, design.rectified)
        self.deltas = nn.ModuleDict(
            {delta_name(step): DynamicsRegressor(width, self.layout, hidden, dropout) for step in design.delta_frames}
        )
        self.hallucinator = Hallucinator(width) if design.hallucinator else None
        self.autoregressor = autoregressor_of(design, self.layout)

    def forward(self, phi: Float[Tensor, "batch frames features"], forecast_steps: int = 0) -> Output:
        """Everything the variant says about a window.

        Args:
            forecast_steps: how many of its own predictions the autoregressor is fed in a row; the frames after the
                first 15 are forecast in pieces of that length, 0 for none.
        """
        frames = self.frames(phi)
        encoded = self.encode(frames)
        contextual = encoded.contextual
        hallucinated = None if self.hallucinator is None else self.read("hallucinated", self.hallucinator(frames))
        forecast = self._forecast_pieces(frames, forecast_steps) if forecast_steps else None
        return Output(contextual, hallucinated, encoded.past, encoded.future, forecast, encoded.attention)

    def frames(self, phi: Float[Tensor, "batch frames features"]) -> Float[Tensor, "batch frames width"]:
        """Features at the width of the strips."""
        if phi.ndim != 3 or phi.shape[-1] != self.design.feature_size:
            raise FatalError(
                f"features are {tuple(phi.shape)}, this model reads (batch, frames, {self.design.feature_size}): "
                f"extract them with the backbone it was trained on"
            )
        return self.projection(self.standardiser(phi))

    def encode(self, frames: Float[Tensor, "batch frames width"]) -> Output:
        """The encoder's strips, read; those of PoseForecast are of the frames that have a whole window around them."""
        if not isinstance(self.encoder, PoseForecastEncoder):
            return Output(self.read("contextual", self.encoder(frames)))
        batch, size = len(frames), self.design.window_frames
        if frames.shape[1] < size:
            raise FatalError(
                f"the encoder reads windows of {size} frames and was given {frames.shape[1]}; pad the clip"
            )
        windows = frames.unfold(1, size, 1).transpose(2, 3).flatten(0, 1)
        integrated, current = self.encoder(windows), self.encoder.current

        def branch(name: str, strip: Tensor) -> Branch:
            return self.read(name, strip.unflatten(0, (batch, -1)), first_frame=current)

        contextual = branch("contextual", integrated.strip)
        if integrated.past is None or integrated.future is None or integrated.attention is None:
            return Output(contextual)
        past, future = branch("past", integrated.past), branch("future", integrated.future)
        return Output(contextual, past=past, future=future, attention=integrated.attention.unflatten(0, (batch, -1)))

    def read(
        self, name: str, strip: Float[Tensor, "batch frames width"], first_frame: int = 0, has_camera: bool = True
    ) -> Branch:
        """The heads' reading of a strip."""
        theta = self.regressor(strip)
        deltas = {step: self.deltas[delta_name(step)](strip, theta) for step in self.design.delta_frames}
        return Branch(name, strip, theta, deltas, first_frame, has_camera)

    def present(self, phi: Float[Tensor, "batch frames features"]) -> Branch:
        """The pose of every frame of a clip: beyond its ends, windows see its first or last frame again."""
        return self._encode_every(phi).contextual

    def attention(self, phi: Float[Tensor, "batch frames features"]) -> Float[Tensor, "batch frames 3"]:
        """What every frame of a clip believes of its past, of its whole window and of its future (TCMR)."""
        attention = self._encode_every(phi).attention
        if attention is None:
            raise FatalError(
                "this variant integrates no past and future; take one with `encoder: pose-forecast` and a "
                "`pose_forecast` other than none"
            )
        return attention

    def _encode_every(self, phi: Float[Tensor, "batch frames features"]) -> Output:
        """A clip encoded at each of its frames, its ends repeated for the encoders that need whole windows."""
        frames = self.frames(phi)
        if isinstance(self.encoder, PoseForecastEncoder):
            before, after = self.encoder.current, self.design.window_frames - 1 - self.encoder.current
            first, last = frames[:, :1].expand(-1, before, -1), frames[:, -1:].expand(-1, after, -1)
            frames = torch.cat([first, frames, last], dim=1)
        return self.encode(frames)

    def hallucinate(self, phi: Float[Tensor, "batch frames features"]) -> Branch:
        """The pose of every frame, and of those around it, from that frame alone."""
        if self.hallucinator is None:
            raise FatalError("this variant has no hallucinator; take one with `hallucinator: true`")
        return self.read("hallucinated", self.hallucinator(self.frames(phi)))

    def forecast(
        self, phi: Float[Tensor, "batch frames features"], steps: int, condition_frames: int = CONDITION_FRAMES
    ) -> Branch:
        """The `steps` frames after the first `condition_frames`, of which nothing later is seen."""
        seen = self.encode(self.frames(phi[:, :condition_frames])).contextual
        return self._roll_out(seen.strip, seen.theta, steps, condition_frames)

    def _forecast_pieces(self, frames: Float[Tensor, "batch frames width"], steps: int) -> Branch:
        """Forecasts of `steps` frames each, one after the other, from the true frames before each of them.

        Those are encoded by themselves, as in `forecast`: statistics over time would tell them what is to come.
        """
        starts = list(range(CONDITION_FRAMES, frames.shape[1] - steps + 1, steps))
        if not starts:
            raise FatalError(
                f"a window of {frames.shape[1]} frames leaves no {steps} to forecast after the first "
                f"{CONDITION_FRAMES}; raise the variant's clip_frames or lower its forecast_frames"
            )
        seen = self.encode(torch.cat([frames[:, start - CONDITION_FRAMES : start] for start in starts])).contextual
        branch = self._roll_out(seen.strip, seen.theta, steps, CONDITION_FRAMES)
        strip, theta = (torch.cat(values.chunk(len(starts)), dim=1) for values in (branch.strip, branch.theta))
        return Branch("forecast", strip, theta, first_frame=CONDITION_FRAMES, has_camera=False)

    def _roll_out(self, strips: Tensor, theta: Tensor, steps: int, first_frame: int) -> Branch:
        if isinstance(self.autoregressor, PoseAutoregressor):
            poses = self.autoregressor.roll_out(theta[..., CAMERA_SIZE:], steps)
            camera = theta.new_tensor(IDENTITY_CAMERA).expand(*poses.shape[:-1], CAMERA_SIZE)
            no_strip = strips[:, :0]
            return Branch("forecast", no_strip, torch.cat([camera, poses], -1), {}, first_frame, has_camera=False)
        if isinstance(self.autoregressor, Autoregressor):
            following = self.autoregressor.roll_out(strips, steps)
            return Branch("forecast", following, self.regressor(following), {}, first_frame, has_camera=False)
        raise FatalError("this variant does not forecast; take one with an `autoregressor`")


def encoder_of(design: ModelDesign) -> nn.Module:
    width = design.width
    if design.encoder == "movie-strip":
        return MovieStripEncoder(
            width, design.residual_blocks, design.norm, design.causal, design.ends, design.norm_groups
        )
    if design.encoder == "gru":
        return RecurrentEncoder(
            width, design.recurrent_width, design.recurrent_layers, design.bidirectional, design.residual
        )
    if design.encoder == "pose-forecast":
        return PoseForecastEncoder(
            width,
            design.recurrent_width,
            design.pose_forecast,
            design.residual,
            design.window_frames,
            design.integration_width,
            design.recurrent_layers,
        )
    return nn.Identity()


def autoregressor_of(design: ModelDesign, layout: ThetaLayout) -> nn.Module | None:
    if design.autoregressor == "strip":
        return Autoregressor(design.width, design.residual_blocks, design.norm, design.norm_groups)
    if design.autoregressor == "theta":
        size = layout.size - CAMERA_SIZE
        return PoseAutoregressor(size, design.width, design.residual_blocks, design.norm, design.norm_groups)
    return None


def delta_name(step_frames: int) -> str:
    return f"past{-step_frames}" if step_frames < 0 else f"future{step_frames}"


def design_of(variant: VariantSettings, scale: ScaleSettings, feature_size: int) -> ModelDesign:
    """The model a variant asks for, at the run's scale; sizes the papers print for a width of 2048 shrink with it."""
    return ModelDesign(
        feature_size=feature_size,
        encoder=variant.encoder,
        width=scale.width,
        regressor_width=scale.regressor_width,
        recurrent_width=scaled(1024, scale),
        integration_width=scaled(INTEGRATION_WIDTH, scale),
        dropout=scale.dropout,
        rotation="6d" if variant.regressor == "spin" else scale.rotation,
        rectified=variant.regressor == "hmr",
        norm=variant.norm,
        norm_groups=max(1, math.gcd(GROUPS, scale.width // SMALLEST_GROUP)),
        residual_blocks=variant.residual_blocks,
        causal=variant.causal,
        ends=variant.ends,
        bidirectional=variant.bidirectional,
        residual=variant.residual,
        pose_forecast=variant.pose_forecast,
        delta_frames=tuple(variant.delta_frames),
        hallucinator=variant.hallucinator,
        autoregressor=variant.autoregressor,
        readout=scale.readout_start,
        standardise=scale.standardise_features,
    )


def scaled(papers_size: int, scale: ScaleSettings) -> int:
    """A size printed for a width of 2048, at this width; never below 16."""
    return max(16, papers_size * scale.width // PAPERS_WIDTH)


def take_over(model: nn.Module, weights: dict[str, Tensor], origin: str) -> list[str]:
    """Copy the weights that an earlier variant has too; returns the names that are new to this one.

    Heads that only the earlier variant has are dropped: a variant without dynamics may start from one with them.
    """
    own = model.state_dict()
    shared = {name: value for name, value in weights.items() if name in own}
    for name, value in shared.items():
        if own[name].shape != value.shape:
            raise FatalError(
                f"{origin}: its {name} is {tuple(value.shape)}, this variant's is {tuple(own[name].shape)}; "
                f"train both with the same scale, features and regressor"
            )
    if not shared:
        raise FatalError(f"{origin}: none of its weights has a place in this variant; choose another start_from")
    model.load_state_dict(shared, strict=False)
    return [name for name in own if name not in shared]


def parameter_count(module: nn.Module, below: Sequence[str] = ("",)) -> int:
    """How many numbers are learned under some names."""
    return sum(value.numel() for name, value in module.named_parameters() if name.startswith(tuple(below)))
