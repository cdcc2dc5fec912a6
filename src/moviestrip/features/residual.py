"""A ResNet-50 up to its pooled features, its modules named as torchvision and SPIN name them."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from moviestrip.errors import StorageError
from moviestrip.storage import digest_file

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride of the first
EXPANSION = 4
FEATURES = 2048


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 convolutions round a shortcut."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * EXPANSION)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != width * EXPANSION:
            shortcut = nn.Conv2d(channels, width * EXPANSION, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(width * EXPANSION))

    def forward(self, values: Tensor) -> Tensor:
        inner = torch.relu(self.bn1(self.conv1(values)))
        inner = torch.relu(self.bn2(self.conv2(inner)))
        return torch.relu(self.bn3(self.conv3(inner)) + self.downsample(values))


class ResNet50(nn.Module):
    """(N, 3, 224, 224) normalised pixels to (N, 2048) pooled features."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        channels = 64
        for index, (width, blocks, stride) in enumerate(STAGES, start=1):
            layers = [Bottleneck(channels, width, stride)]
            channels = width * EXPANSION
            layers += [Bottleneck(channels, width, 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{index}", nn.Sequential(*layers))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 2048"]:
        values = self.maxpool(torch.relu(self.bn1(self.conv1(pixels))))
        for index in range(1, len(STAGES) + 1):
            values = getattr(self, f"layer{index}")(values)
        return values.mean(dim=(2, 3))


def random_resnet(seed: int) -> ResNet50:
    """The network before it has learnt anything."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ResNet50()


def load_spin_weights(path: Path) -> tuple[ResNet50, str]:
    """A ResNet-50 with the weights of SPIN's checkpoint (its 'model', the head left aside), and the file's digest."""
    network = ResNet50()
    return network, load_weights(network, path, "SPIN's checkpoint")


def load_weights(network: nn.Module, path: Path, origin: str) -> str:
    """Fill a network from the 'model' of a file that should be `origin`; returns the file's digest."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise StorageError(f"features.checkpoints: {path}: there is no such file") from error
    except Exception as error:  # torch raises many kinds for a damaged or unsafe file
        reason = str(error).splitlines()[0]
        raise StorageError(f"features.checkpoints: {path}: not a checkpoint that is safe to load ({reason})") from error
    expected = network.state_dict()
    found = stored.get("model", {}) if isinstance(stored, dict) else {}
    wrong = [name for name, value in expected.items() if getattr(found.get(name), "shape", None) != value.shape]
    if wrong:
        first = wrong[0]
        raise StorageError(
            f"features.checkpoints: {path}: model['{first}'] has shape {getattr(found.get(first), 'shape', None)}, "
            f"expected {tuple(expected[first].shape)}, and {len(wrong) - 1} more; is it {origin}?"
        )
    network.load_state_dict({name: found[name] for name in expected})
    return digest_file(path)
