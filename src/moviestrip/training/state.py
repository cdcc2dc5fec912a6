"""All that changes during a training, written so that a run that was broken off goes on to the same bytes."""

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from moviestrip.config import ScaleSettings, VariantSettings
from moviestrip.errors import StorageError
from moviestrip.models.model import MotionModel
from moviestrip.storage import digest_array
from moviestrip.training.checkpoint import read_tensors, write_tensors
from moviestrip.training.compute import Compute
from moviestrip.training.data import TrainingData
from moviestrip.training.log import LogRow


@dataclass
class Run:
    """One training at one moment."""

    model: MotionModel
    discriminators: nn.ModuleDict
    model_optimiser: torch.optim.Optimizer
    discriminator_optimiser: torch.optim.Optimizer | None
    generator: np.random.Generator
    step: int = 0
    best_error_mm: float = math.inf
    kept_error_mm: float = math.nan
    kept_step: int = 0
    kept_weights: dict[str, Tensor] = field(default_factory=dict)
    stalled_validations: int = 0  # since the best one
    stalled_since_drop: int = 0
    rate_drops: int = 0
    rows: list[LogRow] = field(default_factory=list)
    recent: dict[str, float] = field(default_factory=dict)

    def stateful(self) -> dict[str, Any]:
        parts = {name: getattr(self, name) for name in _STATEFUL}
        return {name: part for name, part in parts.items() if part is not None}


_STATEFUL = ("model", "discriminators", "model_optimiser", "discriminator_optimiser")
_PLAIN = (
    "step", "best_error_mm", "kept_error_mm", "kept_step", "kept_weights", "stalled_validations", "stalled_since_drop",
    "rate_drops", "rows", "recent",
)  # fmt: skip


def fingerprint_of(
    variant: VariantSettings,
    name: str,
    scale: ScaleSettings,
    data: TrainingData,
    seed: int,
    compute: Compute,
    others: Mapping[str, Tensor],
) -> str:
    """What a run depends on: a run that was broken off goes on only where this is the same.

    Args:
        others: further tensors it depends on, such as the weights it starts from.
    """
    sets = [dataset for dataset in (data.train, data.validation) if dataset is not None]
    tensors = [value for dataset in sets for value in vars(dataset).values() if isinstance(value, Tensor)]
    facts = {
        "variant": variant.model_dump(mode="json"),
        "name": name,
        "scale": scale.model_dump(mode="json"),
        "seed": seed,
        "compute": [compute.device.type, compute.processes, compute.bfloat16],
        "data": [digest_array(value.cpu().numpy()) for value in tensors],
        "clips": [vars(clip) for dataset in sets for clip in dataset.clips],
        "others": {key: digest_array(value.cpu().numpy()) for key, value in others.items()},
    }
    return json.dumps(facts, sort_keys=True)


def save(run: Run, path: Path, fingerprint: str, compute: Compute) -> None:
    """All that changes, and the state of every random generator."""
    modules = {name: part.state_dict() for name, part in run.stateful().items()}
    plain = {name: getattr(run, name) for name in _PLAIN}
    random = {"numpy": json.dumps(run.generator.bit_generator.state), "torch": torch.get_rng_state()}
    states = compute.random_states()
    if compute.writes:
        write_tensors(path, {"fingerprint": fingerprint, **modules, **plain, **random, "dropout": states})


def resume(run: Run, path: Path, fingerprint: str, compute: Compute) -> None:
    """Go on from where an equal run was broken off; anything else there is of no use and is passed over."""
    if not path.exists():
        return
    with contextlib.suppress(StorageError):  # a damaged state costs the steps it held, nothing more
        state: dict[str, Any] = read_tensors(path)
        if state.get("fingerprint") == fingerprint:
            _restore(run, state, compute)


def _restore(run: Run, state: dict[str, Any], compute: Compute) -> None:
    for name, part in run.stateful().items():
        part.load_state_dict(state[name])
    for name in _PLAIN:
        setattr(run, name, state[name])
    run.generator.bit_generator.state = json.loads(state["numpy"])
    torch.set_rng_state(state["torch"])
    compute.restore_random_state(state["dropout"])
