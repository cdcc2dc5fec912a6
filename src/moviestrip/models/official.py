"""Weights under the released models' own names, brought to ours.

HMMR's release is a TensorFlow checkpoint. Its convolutions are stored as (3, 1, in, out) and its fully
connected layers as (in, out); ours are (out, in, 3) and (out, in). Only names listed here are read.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from moviestrip.errors import FatalError

Convert = Callable[[np.ndarray], np.ndarray]


def _same(values: np.ndarray) -> np.ndarray:
    return values


def _convolution(values: np.ndarray) -> np.ndarray:
    return values[:, 0].transpose(2, 1, 0)


def _fully_connected(values: np.ndarray) -> np.ndarray:
    return values.T


def hmmr_names() -> dict[str, tuple[str, Convert]]:
    """Our name -> the release's name, and the conversion of its values."""
    names: dict[str, tuple[str, Convert]] = {"regressor.mean": ("mean_param", _same)}
    for block in range(3):
        for half in (1, 2):
            ours = f"encoder.blocks.{block}"
            norm, convolution = f"AZ_FC_block_preact_gn{half}block_{block}", f"AZ_FC_block2_conv{half}block_{block}"
            names[f"{ours}.norm{half}.weight"] = (f"{norm}/gamma", _same)
            names[f"{ours}.norm{half}.bias"] = (f"{norm}/beta", _same)
            names[f"{ours}.conv{half}.weight"] = (f"{convolution}/weights", _convolution)
            names[f"{ours}.conv{half}.bias"] = (f"{convolution}/biases", _same)
    for ours, theirs in (
        ("regressor.feedback", "single_view_ief/3D_module"),
        ("deltas.past5.feedback", "single_view_ief_past5/3D_module"),
        ("deltas.future5.feedback", "single_view_ief_future5/3D_module"),
        ("hallucinator", "fc2_res"),
    ):
        for layer in ("fc1", "fc2", "fc3"):
            names[f"{ours}.{layer}.weight"] = (f"{theirs}/{layer}/weights", _fully_connected)
            names[f"{ours}.{layer}.bias"] = (f"{theirs}/{layer}/biases", _same)
    return names


def import_hmmr(variables: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The release's variables, by name without `:0`, as a state of `Hmmr` at the papers' width."""
    names = hmmr_names()
    missing = [theirs for theirs, _ in names.values() if theirs not in variables]
    if missing:
        raise FatalError(f"not the released HMMR: {len(missing)} of {len(names)} variables are missing, {missing[:3]}")
    return {
        ours: torch.from_numpy(np.ascontiguousarray(convert(variables[theirs])))
        for ours, (theirs, convert) in names.items()
    }
