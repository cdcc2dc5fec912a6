"""All that changes during a training, written so that a run that was broken off goes on to the same bytes.

The state lies beside the checkpoint and belongs to no rule of the workflow, which deletes what a failed job was to
make: whoever runs the training removes it when the checkpoint needs it no more.
"""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from moviestrip.config import ScaleSettings, VariantSettings
from moviestrip.errors import RetryableError, StorageError
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
    step: int = 0
    best_error_mm: float = math.inf
    kept_error_mm: float = math.nan
    kept_step: int = 0
    kept_weights: dict[str, Tensor] = field(default_factory=dict)
    stalled_validations: int = 0  # since the best one
    stalled_since_drop: int = 0
    rate_drops: int = 0
    rows: list[LogRow] = field(default_factory=list)
    recent: dict[str, float] = field(default_factory=dict)  # this process's part of the sums since a validation

    def stateful(self) -> dict[str, Any]:
        parts = {name: getattr(self, name) for name in _STATEFUL}
        return {name: part for name, part in parts.items() if part is not None}


_STATEFUL = ("model", "discriminators", "model_optimiser", "discriminator_optimiser")
_PLAIN = (
    "step", "best_error_mm", "kept_error_mm", "kept_step", "kept_weights", "stalled_validations", "stalled_since_drop",
    "rate_drops", "rows",
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
        "variant": variant.model_dump(mode="json", exclude={"gpus", "nodes"}),
        "name": name,
        "scale": scale.model_dump(mode="json"),
        "seed": seed,
        "compute": [compute.device.type, compute.processes, compute.bfloat16],
        "data": [digest_array(value.cpu().numpy()) for value in tensors],
        "clips": [vars(clip) for dataset in sets for clip in dataset.clips],
        "others": {key: digest_array(value.cpu().numpy()) for key, value in others.items()},
    }
    return json.dumps(facts, sort_keys=True)


def state_file(folder: Path) -> Path:
    """Where the training of one model keeps its state."""
    return folder / "last.pt"


def save(run: Run, path: Path, fingerprint: str, compute: Compute) -> None:
    """All that changes; when it returns, the file is there for everyone. What is random follows from the step."""
    modules = {name: part.state_dict() for name, part in run.stateful().items()}
    plain = {name: getattr(run, name) for name in _PLAIN}
    of_every_process = compute.gather(run.recent)
    if compute.writes:
        write_tensors(path, {"fingerprint": fingerprint, **modules, **plain, "recent": of_every_process})
    compute.wait_for_all()


def resume(run: Run, path: Path, fingerprint: str, compute: Compute) -> None:
    """Go on from where an equal run was broken off; anything else there is of no use, and that is said."""
    found = _found(run, path, fingerprint, compute)
    if found and compute.writes:
        print(f"moviestrip: {path}: {found}", file=sys.stderr)
    steps = compute.gather(run.step)
    if len(set(steps)) > 1:
        raise RetryableError(
            f"{path}: processes found different states (steps {steps}), as where files are seen late; run it again"
        )


def _found(run: Run, path: Path, fingerprint: str, compute: Compute) -> str:
    """What is there, and what becomes of it."""
    if not path.exists():
        return ""
    try:
        state: dict[str, Any] = read_tensors(path)
    except StorageError as error:  # it costs the steps it held, nothing more
        return f"training begins anew: {error}"
    if state.get("fingerprint") != fingerprint:
        return "of other settings, data or processes; training begins anew"
    _restore(run, state, compute)
    return f"going on from step {run.step}"


def _restore(run: Run, state: dict[str, Any], compute: Compute) -> None:
    for name, part in run.stateful().items():
        part.load_state_dict(state[name])
    for name in _PLAIN:
        setattr(run, name, state[name])
    run.recent = state["recent"][compute.rank]
