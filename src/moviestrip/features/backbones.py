"""Fixed networks that turn the crop of a person into the feature vector phi.

The papers use ResNet-50s trained for single-view 3D pose, whose weights are licensed: bring them as `resnet50-spin`
(VIBE, TCMR) or `resnet50-hmr` (HMMR, PHD). The free default is the last feature of BlazePose's landmark network, also
trained for single-view 3D pose: the one vector from which a linear layer reads its 3D joints.

Torch takes seconds to import, so that only those backbones that need it do.
"""

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np
from ai_edge_litert import schema_py_generated as tflite
from jaxtyping import Float, UInt8

from moviestrip.errors import ConfigError, FatalError
from moviestrip.parts import cache_folder, part_file
from moviestrip.pose.blazepose import Network
from moviestrip.pose.litert_graph import reduced
from moviestrip.storage import atomic_path, digest_file

Crops = UInt8[np.ndarray, "crops side side 3"]
Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation
SYMMETRIC = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # -1 to 1
BLAZEPOSE_JOINTS_3D = "Identity_4"
BATCH_CROPS = 4  # fewer leave work undone in parallel, more leave the cache
EFFICIENTNET_PX = 96  # of its 224: a fifth of the time, for what only shows what such features lack
EFFICIENTNET_VERSION = 1  # raise it with any change of `litert_file`: files of another version are not used


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
            row[:] = self._network(np.divide(crop, np.float32(255)))[0].reshape(-1)
        return phi


class EfficientNetBackbone:
    """The pooled features of EfficientNet-Lite0."""

    input_px = EFFICIENTNET_PX
    crop_share = 1.0

    def __init__(self, name: str, litert_file: bytes, digest: str):
        self.name = name
        self.digest = digest
        self._network = Network(litert_file)
        self.dimension = int(np.prod(self._network.output_shapes[0]))

    def __call__(self, crops: Crops) -> Float[np.ndarray, "crops dimension"]:
        """A batch that is not full is filled up with black: another size would be laid out in memory anew."""
        phi = np.empty((len(crops), self.dimension), np.float32)
        mean, deviation = np.array(IMAGENET, np.float32)
        for start in range(0, len(crops), BATCH_CROPS):
            some = crops[start : start + BATCH_CROPS]
            pixels = np.zeros((BATCH_CROPS, *crops.shape[1:]), np.float32)
            pixels[: len(some)] = (np.divide(some, np.float32(255)) - mean) / deviation
            phi[start : start + BATCH_CROPS] = self._network.of_batch(pixels)[0][: len(some)]
        return phi


def load_backbone(name: str, checkpoint: Path | None = None, seed: int = 0) -> Backbone:
    """The backbone of that name; `checkpoint` is read for those you bring, `seed` for random ones."""
    if name.startswith("blazepose-"):
        return BlazePoseBackbone(name.removeprefix("blazepose-"))
    if name.startswith("efficientnet-lite0"):
        return _efficientnet(name, seed)
    return _residual(name, checkpoint, seed)


def _efficientnet(name: str, seed: int) -> EfficientNetBackbone:
    weights: Path | None = None
    match name:
        case "efficientnet-lite0":
            weights = part_file(name)
            digest = digest_file(weights)
        case "efficientnet-lite0-random":
            digest = f"random-{seed}"
        case _:
            raise _unknown(name)
    made = f"{name}-{digest[:16]}-{EFFICIENTNET_PX}px-{EFFICIENTNET_VERSION}.tflite"
    path = cache_folder() / "networks" / made
    if not path.is_file():
        with atomic_path(path) as partial:
            partial.write_bytes(_efficientnet_file(weights, seed))
    return EfficientNetBackbone(name, path.read_bytes(), digest)


def _efficientnet_file(weights: Path | None, seed: int) -> bytes:
    from moviestrip.features.efficient import load_efficientnet, random_efficientnet
    from moviestrip.features.efficient_graph import litert_file

    network = random_efficientnet(seed, EFFICIENTNET_PX) if weights is None else load_efficientnet(weights)
    return litert_file(network, EFFICIENTNET_PX)


def _residual(name: str, checkpoint: Path | None, seed: int) -> Backbone:
    from moviestrip.features import residual, residual_v2
    from moviestrip.features.convolutional import ConvolutionalBackbone

    match name:
        case "resnet50-random":
            return ConvolutionalBackbone(
                name, residual.random_resnet(seed), residual.FEATURES, f"random-{seed}", IMAGENET
            )
        case "resnet50-spin":
            if checkpoint is None:
                raise ConfigError("features.checkpoints.resnet50-spin: needed; give SPIN's checkpoint")
            network, digest = residual.load_spin_weights(checkpoint)
            return ConvolutionalBackbone(name, network, residual.FEATURES, digest, IMAGENET)
        case "resnet50-hmr":
            if checkpoint is None:
                raise ConfigError(
                    "features.checkpoints.resnet50-hmr: needed; give what `moviestrip import-checkpoint` "
                    "makes of HMR's checkpoint"
                )
            network_v2, digest = residual_v2.load_hmr_weights(checkpoint)
            return ConvolutionalBackbone(name, network_v2, residual_v2.FEATURES, digest, SYMMETRIC)
        case _:
            raise _unknown(name)


def _unknown(name: str) -> ConfigError:
    return ConfigError(f"features.backbone: '{name}' is not known")


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
