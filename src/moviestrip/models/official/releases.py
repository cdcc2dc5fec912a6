"""The released models, each a module that wraps ours and answers as the release does.

Theta is always 85 numbers here: camera (scale, tx, ty), 24 axis-angle rotations, 10 shape coefficients.
"""

import re
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from moviestrip.errors import FatalError
from moviestrip.features.residual import ResNet50
from moviestrip.models.discriminator import JUDGED_JOINTS, PoseDiscriminator
from moviestrip.models.model import Branch, ModelDesign, MotionModel
from moviestrip.models.motion_discriminator import MotionDiscriminator, PoolingName
from moviestrip.models.official.weights import (
    COUNTER,
    ONE_COLUMN_EACH,
    ONE_NUMBER_EACH,
    POINTWISE,
    Weight,
    gru,
    gru_layers,
    renamed,
    size,
    spin_regressor,
    strip_encoder,
    strip_encoder_blocks,
    tensorflow_layers,
    three_layers,
)
from moviestrip.models.parameters import ThetaLayout
from moviestrip.models.pose_forecast import WINDOW_FRAMES
from moviestrip.models.spin import Spin, spin_design

Tensors = Mapping[str, np.ndarray]
OPTIMISER = r"(^|/)Adam(_\d+)?$|^beta[12]_power$|^global_step$"
IMAGE_ENCODER = r"^resnet_v2_50/"
DISCRIMINATORS = r"^D(_\w+)?/"
GENERATORS = r"^(pred_)?AZ_FC_|^single_view_ief|^3D_module/|^fc2_res/|^mean_param$"
BODY_BUFFERS = r"^regressor\.smpl\."


class Release(nn.Module):
    """A released model: what it is recognised by, which names its weights go by, and its sizes."""

    kind: ClassVar[str]
    marks: ClassVar[tuple[str, ...]]
    elsewhere: ClassVar[str] = BODY_BUFFERS
    weights: tuple[Weight, ...] = ()

    @classmethod
    @abstractmethod
    def weights_of(cls, names: Collection[str]) -> Iterator[Weight]:
        """The correspondence of names, for the parts that a checkpoint has."""

    @classmethod
    @abstractmethod
    def sized(cls, tensors: Tensors) -> Self:
        """The model at the tensors' sizes, its values not set."""

    @classmethod
    def recognises(cls, names: Collection[str]) -> bool:
        return all(any(re.search(mark, name) for name in names) for mark in cls.marks)


def theta_85(layout: ThetaLayout, theta: Float[Tensor, "... theta"]) -> Float[Tensor, "... 85"]:
    """An estimate with its pose as axis-angle."""
    camera, pose, betas = layout.split(theta)
    return torch.cat([camera, layout.axis_angle(pose), betas], dim=-1)


class ModelRelease(Release):
    """A release whose weights all have a place in one `MotionModel`."""

    def __init__(self, design: ModelDesign):
        super().__init__()
        self.model = MotionModel(design)

    def theta(self, branch: Branch) -> Float[Tensor, "batch frames 85"]:
        return theta_85(self.model.layout, branch.theta)


class Vibe(ModelRelease):
    """VIBE's generator; one GRU direction as released, or both as printed."""

    kind = "vibe"
    marks = (r"^encoder\.gru\.", r"^encoder\.linear\.", r"^regressor\.decpose\.")

    @classmethod
    def weights_of(cls, names: Collection[str]) -> Iterator[Weight]:
        yield from gru("model.encoder.gru", "encoder.gru", names)
        yield from renamed({"model.encoder.linear": "encoder.linear"})
        yield from spin_regressor("model.regressor", "regressor.")

    @classmethod
    def sized(cls, tensors: Tensors) -> Self:
        width = size(tensors, "encoder.linear.weight", 0)
        return cls(
            ModelDesign(
                feature_size=width,
                encoder="gru",
                width=width,
                recurrent_width=size(tensors, "encoder.gru.weight_hh_l0", 1),
                recurrent_layers=gru_layers("encoder.gru", tensors),
                bidirectional="encoder.gru.weight_ih_l0_reverse" in tensors,
                regressor_width=size(tensors, "regressor.fc1.weight", 0),
                rotation="6d",
                rectified=False,
            )
        )

    def forward(self, phi: Float[Tensor, "batch frames features"]) -> dict[str, Tensor]:
        contextual = self.model(phi).contextual
        return {"features": contextual.strip, "theta": self.theta(contextual)}


class Tcmr(ModelRelease):
    """TCMR: the current frame of a window of 16, and what the past and the future alone say of it."""

    kind = "tcmr"
    marks = (r"^encoder\.gru_cur\.", r"^encoder\.gru_bef\.", r"^encoder\.gru_aft\.", r"^regressor\.decpose\.")

    @classmethod
    def weights_of(cls, names: Collection[str]) -> Iterator[Weight]:
        for ours, official in (("all", "cur"), ("past", "bef"), ("future", "aft")):
            yield from gru(f"model.encoder.{ours}_gru", f"encoder.gru_{official}", names)
            yield from renamed({f"model.encoder.{ours}_linear": f"encoder.linear_{official}"})
        yield from renamed({"model.encoder.integration.resize": "encoder.attention.fc"})
        for layer in (0, 2, 4):
            yield from renamed({f"model.encoder.integration.score.{layer}": f"encoder.attention.attention.{layer}"})
        yield from spin_regressor("model.regressor", "regressor.")

    @classmethod
    def sized(cls, tensors: Tensors) -> Self:
        width = size(tensors, "encoder.linear_cur.weight", 0)
        return cls(
            ModelDesign(
                feature_size=width,
                encoder="pose-forecast",
                width=width,
                recurrent_width=size(tensors, "encoder.gru_cur.weight_hh_l0", 1),
                recurrent_layers=gru_layers("encoder.gru_cur", tensors),
                integration_width=size(tensors, "encoder.attention.fc.weight", 0),
                regressor_width=size(tensors, "regressor.fc1.weight", 0),
                rotation="6d",
                rectified=False,
                residual=False,
                pose_forecast="without-current",
            )
        )

    def forward(self, phi: Float[Tensor, "windows 16 features"]) -> dict[str, Tensor]:
        if phi.ndim != 3 or phi.shape[1] != WINDOW_FRAMES:
            raise FatalError(f"features are {tuple(phi.shape)}, TCMR reads (windows, {WINDOW_FRAMES}, features)")
        output = self.model(phi)
        return {
            "features": output.contextual.strip[:, 0],
            "theta": self.theta(output.contextual)[:, 0],
            "theta_past": self.theta(output.past)[:, 0],
            "theta_future": self.theta(output.future)[:, 0],
            "attention": output.attention[:, 0],
        }


class SpinNetwork(Release):
    """SPIN: images to features and Theta."""

    kind = "spin"
    marks = (r"^conv1\.weight$", r"^layer4\.", r"^decpose\.")

    def __init__(self, regressor_width: int):
        super().__init__()
        self.spin = Spin(regressor_width)

    @property
    def model(self) -> MotionModel:
        """What follows the features."""
        return self.spin.head

    @classmethod
    def weights_of(cls, names: Collection[str]) -> Iterator[Weight]:
        with torch.device("meta"):
            backbone = ResNet50().state_dict()
        for name in backbone:
            if not name.endswith(COUNTER) or name in names:  # releases of before PyTorch 0.4.1 count no batches
                yield Weight(f"spin.backbone.{name}", (name,))
        yield from spin_regressor("spin.head.regressor", "")

    @classmethod
    def sized(cls, tensors: Tensors) -> Self:
        return cls(size(tensors, "fc1.weight", 0))

    def forward(self, images: Float[Tensor, "images 3 224 224"]) -> dict[str, Tensor]:
        branch = self.spin(images)
        return {"features": branch.strip, "theta": theta_85(self.model.layout, branch.theta)}


class SpinRegressor(ModelRelease):
    """SPIN's regressor alone, its tensors named as in SPIN or, below `regressor.`, as in VIBE and TCMR."""

    kind = "spin-regressor"
    marks = (r"^(regressor\.)?decpose\.", r"^(regressor\.)?fc1\.")

    @classmethod
    def weights_of(cls, names: Collection[str]) -> Iterator[Weight]:
        return spin_regressor("model.regressor", _regressor_prefix(names))

    @classmethod
    def sized(cls, tensors: Tensors) -> Self:
        return cls(spin_design(size(tensors, f"{_regressor_prefix(tensors)}fc1.weight", 0)))

    def forward(self, features: Float[Tensor, "... features"]) -> dict[str, Tensor]:
        layout, regressor = self.model.layout, self.model.regressor
        estimates = regressor.feedback.estimates(features, regressor.start(features))
        outputs = {"theta": theta_85(layout, estimates[-1])}
        for iteration, estimate in enumerate(estimates, start=1):
            outputs[f"theta_iter{iteration}"] = theta_85(layout, estimate)
            outputs[f"pose6d_iter{iteration}"] = layout.split(estimate).pose
        return outputs | {"rotmat": layout.rotations(layout.split(estimates[-1]).pose)}


def _regressor_prefix(names: Collection[str]) -> str:
    return "regressor." if any(name.startswith("regressor.") for name in names) else ""


class Hmr(ModelRelease):
    """HMR's regressor, from the features of its own image encoder."""

    kind = "hmr"
    marks = (r"^3D_module/fc1/", r"^mean_param$")
    elsewhere = f"{OPTIMISER}|{IMAGE_ENCODER}|{DISCRIMINATORS}"

    @classmethod
    def weights_of(cls, names: Collection[str]) -> Iterator[Weight]:
        yield Weight("model.regressor.mean", ("mean_param",))
        yield from three_layers("model.regressor.feedback", "3D_module")

    @classmethod
    def sized(cls, tensors: Tensors) -> Self:
        width = size(tensors, "3D_module/fc1/weights", 0) - ThetaLayout("axis-angle").size
        hidden = size(tensors, "3D_module/fc1/weights", 1)
        return cls(ModelDesign(feature_size=width, encoder="none", width=width, regressor_width=hidden))

    def forward(self, features: Float[Tensor, "... features"]) -> dict[str, Tensor]:
        return {"theta": self.model.regressor(features)}


class Hmmr(ModelRelease):
    """HMMR: the movie strip, the hallucinated one, and what the heads say about both."""

    kind = "hmmr"
    marks = (r"^AZ_FC_block_preact_gn1block_0/", r"^single_view_ief/3D_module/")
    elsewhere = f"{OPTIMISER}|{IMAGE_ENCODER}|{DISCRIMINATORS}"
    delta_frames: ClassVar[tuple[int, ...]] = (-5, 5)
    encoder: ClassVar[str] = "AZ_FC_block"

    @classmethod
    def weights_of(cls, names: Collection[str]) -> Iterator[Weight]:
        yield Weight("model.regressor.mean", ("mean_param",))
        yield from strip_encoder("model.encoder", cls.encoder, strip_encoder_blocks(cls.encoder, names))
        yield from three_layers("model.regressor.feedback", "single_view_ief/3D_module")
        for delta in ("past5", "future5"):
            yield from three_layers(f"model.deltas.{delta}.feedback", f"single_view_ief_{delta}/3D_module")
        yield from three_layers("model.hallucinator", "fc2_res")

    @classmethod
    def sized(cls, tensors: Tensors) -> Self:
        width = size(tensors, "AZ_FC_block2_conv1block_0/weights", 3)
        return cls(
            ModelDesign(
                feature_size=width,
                width=width,
                residual_blocks=strip_encoder_blocks(cls.encoder, tensors),
                regressor_width=size(tensors, "single_view_ief/3D_module/fc1/weights", 1),
                delta_frames=cls.delta_frames,
                hallucinator=True,
            )
        )

    def forward(self, phi: Float[Tensor, "batch frames features"]) -> dict[str, Any]:
        output = self.model(phi)
        contextual, hallucinated = output.contextual, output.hallucinated
        return {
            "movie_strip": contextual.strip,
            "theta": contextual.theta,
            "deltas": contextual.deltas,
            "hallucinated": hallucinated.strip,
            "hallucinated_theta": hallucinated.theta,
            "hallucinated_deltas": hallucinated.deltas,
        }


class Phd(ModelRelease):
    """PHD: strips of what has been seen, and forecasts of those to come. Dynamics predictors where a file has them."""

    kind = "phd"
    marks = (r"^AZ_FC_causal_block_preact_gn1block_0/", r"^pred_AZ_FC_causal_block_preact_gn1block_0/")
    elsewhere = f"{OPTIMISER}|{IMAGE_ENCODER}|{DISCRIMINATORS}"
    encoder: ClassVar[str] = "AZ_FC_causal_block"

    @classmethod
    def weights_of(cls, names: Collection[str]) -> Iterator[Weight]:
        blocks = strip_encoder_blocks(cls.encoder, names)
        yield Weight("model.regressor.mean", ("mean_param",))
        yield from strip_encoder("model.encoder", cls.encoder, blocks)
        yield from strip_encoder("model.autoregressor", f"pred_{cls.encoder}", blocks)
        yield from three_layers("model.regressor.feedback", "single_view_ief/3D_module")
        for name, _ in _deltas(names):
            yield from three_layers(f"model.deltas.{name}.feedback", f"single_view_ief_{name}/3D_module")

    @classmethod
    def sized(cls, tensors: Tensors) -> Self:
        width = size(tensors, f"{cls.encoder}2_conv1block_0/weights", 3)
        return cls(
            ModelDesign(
                feature_size=width,
                width=width,
                residual_blocks=strip_encoder_blocks(cls.encoder, tensors),
                causal=True,
                ends="edge",
                regressor_width=size(tensors, "single_view_ief/3D_module/fc1/weights", 1),
                delta_frames=tuple(step for _, step in _deltas(tensors)),
                autoregressor="strip",
            )
        )

    def forward(self, phi: Float[Tensor, "batch frames features"]) -> dict[str, Any]:
        contextual = self.model(phi).contextual
        return {"movie_strip": contextual.strip, "theta": contextual.theta, "deltas": contextual.deltas}

    def forecast(
        self, phi: Float[Tensor, "batch frames features"], steps: int = 25, condition: int = 15
    ) -> dict[str, Tensor]:
        """The `steps` frames after the first `condition`, of which nothing later is seen."""
        branch = self.model.forecast(phi, steps, condition)
        return {"movie_strip": branch.strip, "theta": branch.theta}


def _deltas(names: Collection[str]) -> list[tuple[str, int]]:
    """Name and step of each dynamics predictor, from the past to the future."""
    found = set()
    for name in names:
        if match := re.match(r"single_view_ief_((past|future)(\d+))/", name):
            found.add((match[1], int(match[3]) * (-1 if match[2] == "past" else 1)))
    return sorted(found, key=lambda delta: delta[1])


class VibeDiscriminator(Release):
    """VIBE's motion discriminator; how it pools its states is read off its last layer."""

    kind = "vibe-discriminator"
    marks = (r"^gru\.weight_ih_l0$", r"^fc\.weight$")

    def __init__(self, discriminator: MotionDiscriminator):
        super().__init__()
        self.discriminator = discriminator

    @classmethod
    def weights_of(cls, names: Collection[str]) -> Iterator[Weight]:
        yield from gru("discriminator.gru", "gru", names)
        yield from renamed({"discriminator.fc": "fc"})
        for layer in _attention_layers(names):
            yield from renamed({f"discriminator.attention.layers.{layer}": f"attention.attention.{layer}"})

    @classmethod
    def sized(cls, tensors: Tensors) -> Self:
        hidden = size(tensors, "gru.weight_hh_l0", 1)
        layers = _attention_layers(tensors)
        pooling: PoolingName = "attention" if layers else "last"
        if size(tensors, "fc.weight", 1) == 2 * hidden:
            pooling = "concat"
        width = size(tensors, "attention.attention.0.weight", 0) if len(layers) > 1 else hidden
        return cls(MotionDiscriminator(hidden, gru_layers("gru", tensors), pooling, max(0, len(layers) - 1), width))

    def forward(self, pose: Float[Tensor, "motions frames 69"]) -> dict[str, Tensor]:
        judgement = self.discriminator(pose)
        attention = {} if judgement.attention is None else {"attention": judgement.attention}
        return {"score": judgement.score} | attention


def _attention_layers(names: Collection[str]) -> list[int]:
    """Places of its linear layers: 0, 3, 6, ..., between them tanh and dropout."""
    matches = (re.fullmatch(r"attention\.attention\.(\d+)\.weight", name) for name in names)
    return sorted(int(match[1]) for match in matches if match)


class HmrDiscriminator(Release):
    """The pose prior of HMR and HMMR, under whichever scope it was trained; HMR's judges the shape too."""

    kind = "hmr-discriminator"
    marks = (r"(^|/)D_conv1/weights$", r"(^|/)pose_out_j0/weights$")
    elsewhere = f"{OPTIMISER}|{IMAGE_ENCODER}|{GENERATORS}|^D_(delta|shape)/"

    def __init__(self, discriminator: PoseDiscriminator):
        super().__init__()
        self.discriminator = discriminator

    @classmethod
    def weights_of(cls, names: Collection[str]) -> Iterator[Weight]:
        scope, ours = _discriminator_scope(names), "discriminator"
        joints = [f"{scope}pose_out_j{joint}" for joint in range(JUDGED_JOINTS)]
        shared = {f"{ours}.shared.0": f"{scope}D_conv1", f"{ours}.shared.2": f"{scope}D_conv2"}
        yield from tensorflow_layers(shared, POINTWISE)
        yield Weight(f"{ours}.joint_weight", tuple(f"{joint}/weights" for joint in joints), ONE_COLUMN_EACH)
        yield Weight(f"{ours}.joint_bias", tuple(f"{joint}/biases" for joint in joints), ONE_NUMBER_EACH)
        for place, layer in ((0, "fc1"), (2, "fc2"), (4, "out")):
            yield from tensorflow_layers({f"{ours}.whole.{place}": f"{scope}D_alljoints_{layer}"})
        if _judges_shape(names):
            for place, layer in ((0, "shape_fc1/shape_fc1_1"), (2, "shape_fc1/shape_fc1_2"), (4, "shape_final")):
                yield from tensorflow_layers({f"{ours}.shape.{place}": f"{scope}{layer}"})

    @classmethod
    def sized(cls, tensors: Tensors) -> Self:
        hidden = size(tensors, f"{_discriminator_scope(tensors)}D_alljoints_fc1/weights", 1)
        return cls(PoseDiscriminator(hidden, _judges_shape(tensors)))

    def forward(
        self, rotations: Float[Tensor, "poses 23 3 3"], betas: Float[Tensor, "poses 10"] | None = None
    ) -> dict[str, Tensor]:
        """Scores of the 23 joints and the whole pose; with shapes, and where it judges them, of the shape too."""
        score = self.discriminator.judge_body(rotations)
        if betas is None or self.discriminator.shape is None:
            return {"score": score}
        return {"score": torch.cat([score, self.discriminator.shape(betas)], dim=-1)}


def _discriminator_scope(names: Collection[str]) -> str:
    """What stands before `D_conv1`, with its slash; HMMR's scope is `D_pose`, HMR's `D`."""
    return next((name.removesuffix("D_conv1/weights") for name in names if name.endswith("D_conv1/weights")), "")


def _judges_shape(names: Collection[str]) -> bool:
    return f"{_discriminator_scope(names)}shape_final/weights" in names


# From the most to the least particular: a release is recognised as the first whose marks it bears.
RELEASES: tuple[type[Release], ...] = (
    Tcmr,
    Vibe,
    SpinNetwork,
    SpinRegressor,
    Phd,
    Hmmr,
    Hmr,
    VibeDiscriminator,
    HmrDiscriminator,
)
