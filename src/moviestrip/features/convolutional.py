"""Backbones that torch runs: networks whose weights you bring, and random ones."""

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from moviestrip.body.build import one_thread
from moviestrip.features.backbones import Crops, Normalisation

BATCH_CROPS = 8  # more leave the cache


class ConvolutionalBackbone:
    """The pooled features of a network that takes centred and scaled pictures of 224 px."""

    input_px = 224
    crop_share = 1.0

    def __init__(self, name: str, network: nn.Module, dimension: int, digest: str, pixels: Normalisation):
        self.name = name
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
