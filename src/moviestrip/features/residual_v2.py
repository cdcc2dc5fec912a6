"""HMR's image network: the ResNet-50 whose blocks normalise before they convolve, as TensorFlow's slim builds it.

Its features are what HMMR and PHD read. It differs from torchvision's in more than the order of layers: the stride
sits on the last unit of a block, and strided windows are padded as TensorFlow does.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from moviestrip.errors import FatalError
from moviestrip.features.residual import load_weights

BLOCKS = ((64, 3, 2), (128, 4, 2), (256, 6, 2), (512, 3, 1))  # width, units, stride of the last
EXPANSION = 4
FEATURES = 2048
NORM_EPSILON = 1e-5
SCOPE = "resnet_v2_50"


class BottleneckV2(nn.Module):
    """Normalise, then 1x1, 3x3 (with the stride), 1x1 convolutions round a shortcut.

    The shortcut of a unit that widens starts behind the normalisation, that of any other before it.
    """

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        output = width * EXPANSION
        self.preact = nn.BatchNorm2d(channels, NORM_EPSILON)
        self.shortcut = nn.Conv2d(channels, output, 1, stride) if channels != output else None
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width, NORM_EPSILON)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width, NORM_EPSILON)
        self.conv3 = nn.Conv2d(width, output, 1)
        self.stride = stride

    def forward(self, values: Tensor) -> Tensor:
        start = torch.relu(self.preact(values))
        kept = values[..., :: self.stride, :: self.stride] if self.shortcut is None else self.shortcut(start)
        inner = torch.relu(self.norm1(self.conv1(start)))
        inner = torch.relu(self.norm2(self.conv2(inner)))
        return kept + self.conv3(inner)


class ResNet50V2(nn.Module):
    """(N, 3, 224, 224) pixels from -1 to 1 to (N, 2048) pooled features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3)
        channels = 64
        for index, (width, units, stride) in enumerate(BLOCKS, start=1):
            strides = [1] * (units - 1) + [stride]
            inputs = [channels] + [width * EXPANSION] * (units - 1)
            block = [BottleneckV2(size, width, step) for size, step in zip(inputs, strides, strict=True)]
            setattr(self, f"block{index}", nn.Sequential(*block))
            channels = width * EXPANSION
        self.postnorm = nn.BatchNorm2d(channels, NORM_EPSILON)

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 2048"]:
        values = pool_same(self.conv1(pixels))
        for index in range(1, len(BLOCKS) + 1):
            values = getattr(self, f"block{index}")(values)
        return torch.relu(self.postnorm(values)).mean(dim=(2, 3))


def pool_same(values: Float[Tensor, "batch channels height width"]) -> Tensor:
    """The largest of each 3x3, every second pixel, padded as TensorFlow does: an odd pixel goes to the end."""
    margins: list[int] = []
    for length in values.shape[:1:-1]:
        total = max((-(-length // 2) - 1) * 2 + 3 - length, 0)
        margins += [total // 2, total - total // 2]
    return nn.functional.max_pool2d(pad(values, margins, value=-torch.inf), 3, 2)


def load_hmr_weights(path: Path) -> tuple[ResNet50V2, str]:
    """The network with the weights that `moviestrip import-checkpoint` took from HMR's, and the file's digest."""
    network = ResNet50V2()
    return network, load_weights(network, path, "what `moviestrip import-checkpoint` wrote of HMR's checkpoint")


def network_of(variables: Mapping[str, np.ndarray]) -> ResNet50V2:
    """The network with a TensorFlow checkpoint's variables, in evaluation mode; others in it are left aside."""
    network = ResNet50V2()
    state = network.state_dict()
    for ours, theirs in names():
        if theirs not in variables:
            raise FatalError(f"the image network lacks the variable '{theirs}'; is it HMR's checkpoint?")
        values = variables[theirs]
        converted = values.transpose(3, 2, 0, 1) if values.ndim == 4 else values
        if converted.shape != state[ours].shape:
            raise FatalError(f"the variable '{theirs}' is {values.shape}, ResNet-50 needs {tuple(state[ours].shape)}")
        state[ours] = torch.from_numpy(np.ascontiguousarray(converted))
    network.load_state_dict(state)
    return network.eval()


def names() -> Iterator[tuple[str, str]]:
    """Our name and slim's of every number that is learned or counted."""
    yield from convolution("conv1", f"{SCOPE}/conv1", bias=True)
    yield from norm("postnorm", f"{SCOPE}/postnorm")
    for index, (_, units, _) in enumerate(BLOCKS, start=1):
        for unit in range(units):
            ours, theirs = f"block{index}.{unit}", f"{SCOPE}/block{index}/unit_{unit + 1}/bottleneck_v2"
            yield from norm(f"{ours}.preact", f"{theirs}/preact")
            if unit == 0:  # the one that widens
                yield from convolution(f"{ours}.shortcut", f"{theirs}/shortcut", bias=True)
            for layer in (1, 2):
                yield from convolution(f"{ours}.conv{layer}", f"{theirs}/conv{layer}", bias=False)
                yield from norm(f"{ours}.norm{layer}", f"{theirs}/conv{layer}/BatchNorm")
            yield from convolution(f"{ours}.conv3", f"{theirs}/conv3", bias=True)


def convolution(ours: str, theirs: str, bias: bool) -> Iterator[tuple[str, str]]:
    yield f"{ours}.weight", f"{theirs}/weights"
    if bias:
        yield f"{ours}.bias", f"{theirs}/biases"


def norm(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.weight", f"{theirs}/gamma"
    yield f"{ours}.bias", f"{theirs}/beta"
    yield f"{ours}.running_mean", f"{theirs}/moving_mean"
    yield f"{ours}.running_var", f"{theirs}/moving_variance"
