"""Optimisers, and how fast they learn at each step."""

import inspect
import math
from collections.abc import Collection, Iterable

import torch
from torch import Tensor, nn

from moviestrip.config import ScaleSettings
from moviestrip.errors import FatalError
from moviestrip.training.compute import Compute

WARM_UP = 0.05  # share of the steps over which the learning rate rises
PLATEAU_PATIENCE = 5  # validations without a better one before the rate is divided
PLATEAU_FACTOR = 0.1


class AdamW(torch.optim.AdamW):
    """Torch's own without its guards against its compiler, which load that: a second of every training."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


def model_optimiser(model: nn.Module, scale: ScaleSettings, new: Collection[str]) -> torch.optim.Optimizer:
    """AdamW over what may learn, in which the parameters named `new` may learn faster than those taken over."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(scale.new_layers_rate if name in new else 1.0, []).append(parameter)
    return _adam(groups, scale.learning_rate, scale.weight_decay)


def discriminator_optimiser(discriminators: nn.Module, scale: ScaleSettings) -> torch.optim.Optimizer:
    return _adam({1.0: list(discriminators.parameters())}, scale.discriminator_learning_rate, 0.0)


def _adam(groups: dict[float, list[nn.Parameter]], rate: float, weight_decay: float) -> torch.optim.Optimizer:
    named = [{"params": parameters, "relative_rate": relative} for relative, parameters in groups.items()]
    return AdamW(named, rate, weight_decay=weight_decay)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * group["relative_rate"]


def rate_factor(schedule: str, step: int, steps: int, drops: int) -> float:
    """What the learning rate is multiplied with: a short rise, then by the schedule's name."""
    rise = min(1.0, (step + 1) / max(1.0, WARM_UP * steps))
    if schedule == "cosine":
        return rise * 0.5 * (1 + math.cos(math.pi * step / steps))
    return rise * (PLATEAU_FACTOR**drops if schedule == "plateau" else 1.0)


def descend(
    optimiser: torch.optim.Optimizer, module: nn.Module, loss: Tensor, longest: float, step: int, compute: Compute
) -> Tensor:
    """One step down the gradient of the whole batch, cut to `longest`; returns how long it was."""
    require_finite([("the loss", loss)], step)
    optimiser.zero_grad()
    loss.backward()
    compute.add_up_gradients(module)
    length = nn.utils.clip_grad_norm_(module.parameters(), longest)
    if not bool(length.isfinite()):
        gradients = ((f"the gradient of {name}", value.grad) for name, value in module.named_parameters())
        require_finite(((name, value) for name, value in gradients if value is not None), step)
    optimiser.step()
    return length


def require_finite(named: Iterable[tuple[str, Tensor]], step: int) -> None:
    for name, value in named:
        if not bool(value.isfinite().all()):
            raise FatalError(f"{name} is not a finite number at step {step}; lower scale.learning_rate")
