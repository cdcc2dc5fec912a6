"""Fixed networks that turn the crop of a person into the feature vector phi.

The papers use ResNet-50s trained for single-view 3D pose, whose weights are licensed: bring them as `resnet50-spin`
(VIBE, TCMR) or `resnet50-hmr` (HMMR, PHD). The free default is the last feature of BlazePose's landmark network, also
trained for single-view 3D pose: the one vector from which a linear layer reads its 3D joints.
"""

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as tflite
from jaxtyping import Float, UInt8
from torch import nn

from moviestrip.errors import ConfigError, FatalError
from moviestrip.features import efficient, residual, residual_v2
from moviestrip.features.efficient import load_efficientnet, random_efficientnet
from moviestrip.features.residual import ResNet50, load_spin_weights
from moviestrip.features.residual_v2 import load_hmr_weights
from moviestrip.parts import part_file
from moviestrip.pose.blazepose import Network
from moviestrip.pose.litert_graph import reduced
from moviestrip.pose.tensorflow_graph import one_thread
from moviestrip.storage import digest_file

Crops = UInt8[np.ndarray, "crops side side 3"]
Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation
SYMMETRIC = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # -1 to 1
BLAZEPOSE_JOINTS_3D = "Identity_4"
BATCH_CROPS = 8  # more leave the cache


class Backbone(Protocol):
    """Crops in, phi out. `crop_share` is the side of what it looks at, as a share of the 224 px crop."""

    name: str
    dimension: int
    digest: str
    input_px: int
    crop_share: float

    def __call__(self, crops: Crops) -> Float[np.ndarray, "crops dimension"]: ...


class BlazePoseBackbone:
    """The input of the layer that gives BlazePose's 3D joints."""

    input_px = 256
    crop_share = 0.9  # measured: 3D joints are read out best with the person this large

    def __init__(self, variant: str):
        weights = part_file(f"blazepose-{variant}").read_bytes()
        self.name = f"blazepose-{variant}"
        self.digest = hashlib.sha256(weights).hexdigest()
        self._network = Network(reduced(weights, lambda graph: [feature_tensor(graph)]))
        self.dimension = int(np.prod(self._network.output_shapes[0]))

    def __call__(self, crops: Crops) -> Float[np.ndarray, "crops dimension"]:
        phi = np.empty((len(crops), self.dimension), np.float32)
        for row, crop in zip(phi, crops, strict=True):
            row[:] = self._network(crop.astype(np.float32) / 255)[0].reshape(-1)
        return phi


class ConvolutionalBackbone:
    """The pooled features of a network that takes centred and scaled pictures."""

    crop_share = 1.0

    def __init__(
        self,
        name: str,
        network: nn.Module,
        dimension: int,
        digest: str,
        pixels: Normalisation = IMAGENET,
        input_px: int = 224,
    ):
        self.name = name
        self.input_px = input_px
        self.dimension = dimension
        self.digest = digest
        self._network = network.eval()
        self._mean, self._deviation = map(torch.tensor, pixels)

    def __call__(self, crops: Crops) -> Float[np.ndarray, "crops dimension"]:
        batches = [np.empty((0, self.dimension), np.float32)]
        with torch.inference_mode(), one_thread():
            for start in range(0, len(crops), BATCH_CROPS):
                pixels = torch.from_numpy(crops[start : start + BATCH_CROPS]).float() / 255
                batches.append(self._network(((pixels - self._mean) / self._deviation).permute(0, 3, 1, 2)).numpy())
        return np.concatenate(batches)


def load_backbone(name: str, checkpoint: Path | None = None, seed: int = 0) -> Backbone:
    """The backbone of that name; `checkpoint` is read for those you bring, `seed` for random ones."""
    if name.startswith("blazepose-"):
        return BlazePoseBackbone(name.removeprefix("blazepose-"))
    if name == "efficientnet-lite0":
        weights = part_file(name)
        return _efficient(name, load_efficientnet(weights), digest_file(weights))
    if name == "efficientnet-lite0-random":
        with one_thread():
            return _efficient(name, random_efficientnet(seed), f"random-{seed}")
    if name == "resnet50-random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return ConvolutionalBackbone(name, ResNet50(), residual.FEATURES, f"random-{seed}")
    if name == "resnet50-spin":
        if checkpoint is None:
            raise ConfigError("features.checkpoints.resnet50-spin: needed; give SPIN's checkpoint")
        network, digest = load_spin_weights(checkpoint)
        return ConvolutionalBackbone(name, network, residual.FEATURES, digest)
    if name == "resnet50-hmr":
        if checkpoint is None:
            raise ConfigError(
                "features.checkpoints.resnet50-hmr: needed; give what `moviestrip import-checkpoint` "
                "makes of HMR's checkpoint"
            )
        network_v2, digest = load_hmr_weights(checkpoint)
        return ConvolutionalBackbone(name, network_v2, residual_v2.FEATURES, digest, SYMMETRIC)
    raise ConfigError(f"features.backbone: '{name}' is not known")


def _efficient(name: str, network: efficient.EfficientNetLite0, digest: str) -> ConvolutionalBackbone:
    return ConvolutionalBackbone(name, network.folded(), efficient.FEATURES, digest, input_px=efficient.INPUT_PX)


def feature_tensor(graph: tflite.SubGraphT) -> int:
    """The input of the first layer with weights met walking up from the 3D joints."""
    maker = {output: operator for operator in graph.operators for output in operator.outputs}
    for tensor in graph.outputs:
        if graph.tensors[tensor].name.decode() == BLAZEPOSE_JOINTS_3D:
            operator = maker[tensor]
            while len(operator.inputs) < 3:  # a layer with weights has three: values, weights, biases
                operator = maker[operator.inputs[0]]
            return int(operator.inputs[0])
    raise FatalError(f"BlazePose's landmark network has no output '{BLAZEPOSE_JOINTS_3D}'; is it another version?")
