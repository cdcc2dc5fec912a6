"""A trained model in one file: tensors and plain values only, so that reading one can run nothing.

The file is a function of its content: two trainings that agree bit for bit leave the same bytes.
"""

import io
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from moviestrip.errors import StorageError
from moviestrip.models.model import ModelDesign, MotionModel
from moviestrip.storage import atomic_path

FORMAT = "moviestrip-model-2"


@dataclass(frozen=True)
class Checkpoint:
    """Weights with what is needed to build their model and to feed it."""

    variant: str
    seed: int
    step: int
    backbone: str
    validation_pa_mpjpe_mm: float
    projection: str
    design: ModelDesign
    weights: dict[str, Tensor]

    def model(self) -> MotionModel:
        model = MotionModel(self.design)
        model.load_state_dict(self.weights)
        return model.eval()


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    fields = {name: value for name, value in vars(checkpoint).items() if name != "design"}
    write_tensors(path, {"format": FORMAT, "design": asdict(checkpoint.design), **fields})


def read_checkpoint(path: Path) -> Checkpoint:
    fields = read_tensors(path)
    if fields.pop("format", None) != FORMAT:
        raise StorageError(f"{path}: not a {FORMAT} file; train the variant again")
    try:
        design = fields.pop("design")
        design["delta_frames"] = tuple(design["delta_frames"])
        return Checkpoint(design=ModelDesign(**design), **fields)
    except (KeyError, TypeError) as error:
        raise StorageError(f"{path}: lacks a field of {FORMAT} ({error}); train the variant again") from error


def write_tensors(path: Path, values: Mapping[str, Any]) -> None:
    """Nested plain values and tensors, atomically; the file's bytes do not depend on its name."""
    buffer = io.BytesIO()
    torch.save(dict(values), buffer)
    with atomic_path(path) as partial:
        partial.write_bytes(buffer.getvalue())


def read_tensors(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError as error:
        raise StorageError(f"{path}: there is no such checkpoint; train that variant first") from error
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise StorageError(f"{path}: not a readable checkpoint ({reason}); delete it and train again") from error
