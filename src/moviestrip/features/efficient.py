"""EfficientNet-Lite0 up to its pooled features, its modules named as in the package that carries its weights.

ImageNet features know nothing of poses: they show how much of a result is owed to a feature trained for them.
"""

import copy
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moviestrip.body.build import one_thread

# Kernel, expansion, channels, repeats and stride of each stage of EfficientNet-B0, which Lite0 shares.
STAGES = (
    (3, 1, 16, 1, 1), (3, 6, 24, 2, 2), (5, 6, 40, 2, 2), (3, 6, 80, 3, 2), (5, 6, 112, 3, 1), (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)  # fmt: skip
STEM_CHANNELS, FEATURES = 32, 1280
NORM_EPSILON = 1e-3
CLASSIFIER = ("_fc.weight", "_fc.bias")
BATCH_OF_NOISE = 8


class SameConv2d(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow does: the odd pixel goes to the end."""

    def __init__(self, channels: int, output: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(channels, output, kernel, stride, groups=groups, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        margins: list[int] = []
        for length, size, stride in zip(values.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-length // stride) - 1) * stride + size - length, 0)
            margins += [total // 2, total - total // 2]
        return super().forward(nn.functional.pad(values, margins))


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; the input is added where shapes allow."""

    def __init__(self, channels: int, kernel: int, expansion: int, output: int, stride: int):
        super().__init__()
        wide = channels * expansion
        self._expand_conv: SameConv2d | None = None
        if expansion != 1:
            self._expand_conv = SameConv2d(channels, wide, 1)
            self._bn0: nn.Module = nn.BatchNorm2d(wide, NORM_EPSILON)
        self._depthwise_conv = SameConv2d(wide, wide, kernel, stride, groups=wide)
        self._bn1: nn.Module = nn.BatchNorm2d(wide, NORM_EPSILON)
        self._project_conv = SameConv2d(wide, output, 1)
        self._bn2: nn.Module = nn.BatchNorm2d(output, NORM_EPSILON)
        self._adds = stride == 1 and channels == output

    def forward(self, values: Tensor) -> Tensor:
        inner = values
        if self._expand_conv is not None:
            inner = nn.functional.relu6(self._bn0(self._expand_conv(inner)))
        inner = nn.functional.relu6(self._bn1(self._depthwise_conv(inner)))
        inner = self._bn2(self._project_conv(inner))
        return inner + values if self._adds else inner


class EfficientNetLite0(nn.Module):
    """(N, 3, height, width) normalised pixels to (N, 1280) pooled features."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, STEM_CHANNELS, 3, 2)
        self._bn0: nn.Module = nn.BatchNorm2d(STEM_CHANNELS, NORM_EPSILON)
        blocks = []
        channels = STEM_CHANNELS
        for kernel, expansion, output, repeats, stride in STAGES:
            for repeat in range(repeats):
                blocks.append(InvertedResidual(channels, kernel, expansion, output, stride if repeat == 0 else 1))
                channels = output
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(channels, FEATURES, 1)
        self._bn1: nn.Module = nn.BatchNorm2d(FEATURES, NORM_EPSILON)

    def folded(self) -> "EfficientNetLite0":
        """The same function for prediction: normalisations become part of the convolutions before them."""
        network = copy.deepcopy(self).eval()
        for block in network._blocks:
            assert isinstance(block, InvertedResidual)
            if block._expand_conv is not None:
                block._bn0 = _fold(block._expand_conv, block._bn0)
            block._bn1 = _fold(block._depthwise_conv, block._bn1)
            block._bn2 = _fold(block._project_conv, block._bn2)
        network._bn0 = _fold(network._conv_stem, network._bn0)
        network._bn1 = _fold(network._conv_head, network._bn1)
        return network

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1280"]:
        values = nn.functional.relu6(self._bn0(self._conv_stem(pixels)))
        for block in self._blocks:
            values = block(values)
        return nn.functional.relu6(self._bn1(self._conv_head(values))).mean(dim=(2, 3))


def _fold(convolution: SameConv2d, norm: nn.Module) -> nn.Identity:
    """Give a convolution the effect of the normalisation after it, and return what is left of that."""
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
    factor = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    convolution.weight = nn.Parameter(convolution.weight.detach() * factor[:, None, None, None])
    convolution.bias = nn.Parameter(norm.bias.detach() - norm.running_mean * factor)
    return nn.Identity()


def load_efficientnet(path: Path) -> EfficientNetLite0:
    """The network with its published weights, the classifier left aside."""
    weights = torch.load(path, map_location="cpu", weights_only=True)
    network = EfficientNetLite0()
    network.load_state_dict({name: value for name, value in weights.items() if name not in CLASSIFIER})
    return network


def random_efficientnet(seed: int, side_px: int) -> EfficientNetLite0:
    """The network before it has learnt anything, normalised on noise so that signals neither die nor burst."""
    with torch.random.fork_rng(devices=[]), torch.no_grad(), one_thread():
        torch.manual_seed(seed)
        network = EfficientNetLite0().train()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        network(torch.randn(BATCH_OF_NOISE, 3, side_px, side_px))
    return network.eval()
