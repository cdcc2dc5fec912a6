"""Where a training runs: on which device, in how many processes, in which precision.

Several processes (started by torchrun, or as `training.together` does) each take a share of every batch. A loss is a
mean over the whole batch, of which each process holds its part: parts are divided by the count of all processes, so
that they, and their gradients, simply add up. One process and many therefore follow the same curve, but for the order
of additions and for dropout.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from moviestrip.config import ComputeSettings
from moviestrip.errors import ConfigError, RetryableError
from moviestrip.training.interruption import Interruption, requests_noted

CPU = torch.device("cpu")
Value = TypeVar("Value")
DETERMINISTIC_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with this


@dataclass(frozen=True)
class Compute:
    """One process of a training; the default is a single one on the CPU."""

    device: torch.device = CPU
    rank: int = 0
    processes: int = 1
    bfloat16: bool = False
    compiled: bool = False
    interruption: Interruption = field(default_factory=Interruption, compare=False)

    @property
    def writes(self) -> bool:
        """Whether this process writes files: one of them does."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """Every n-th of the batch's clips: kinds of clips that follow each other are spread over the processes."""
        return rows[self.rank :: self.processes]

    def precision(self) -> AbstractContextManager[object]:
        """Matrix products in bfloat16 where that was asked for; weights, losses and sums stay float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def add_up(self, values: Tensor) -> Tensor:
        """The sum over all processes, without a gradient."""
        if self.processes == 1:
            return values
        total = values.detach().clone()
        with _lost_process_named():
            distributed.all_reduce(total)
        return total

    def is_asked_to_stop(self) -> bool:
        """Whether any process was: all stop after the same step."""
        asked = bool(self.interruption.signal_name)
        return asked if self.processes == 1 else bool(self.add_up(torch.tensor(int(asked), device=self.device)).item())

    def gather(self, own: Value) -> list[Value]:
        """What every process has, by rank."""
        values = [own] * self.processes
        if self.processes > 1:
            with _lost_process_named():
                distributed.all_gather_object(values, own)
        return values

    def wait_for_all(self) -> None:
        """Until every process has come here."""
        self.add_up(torch.zeros(1, device=self.device)).tolist()

    def add_up_gradients(self, module: nn.Module) -> None:
        if self.processes == 1:
            return
        gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        with _lost_process_named():
            distributed.all_reduce(flat)
        for gradient, total in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(total.view_as(gradient))


ALONE = Compute()


def mean_over(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """This process's part of the mean of `values` over the batch, or of their mean under `weights`.

    `weights` have the shape of `values` and are 0 for what does not count; nothing that counts is a mean of 0.
    """
    weights = torch.ones_like(values) if weights is None else weights.to(values)
    count = weights.sum().detach()
    if distributed.is_initialized():
        with _lost_process_named():
            distributed.all_reduce(count)
    return (values * weights).sum() / torch.where(count > 0, count, 1.0)


@contextlib.contextmanager
def _lost_process_named() -> Iterator[None]:
    """An exchange fails where another process of the training is gone: killed with its node, or out of memory."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise RetryableError(f"training: another of its processes is gone ({reason}); run it again") from error


@contextlib.contextmanager
def start_compute(settings: ComputeSettings) -> Iterator[Compute]:
    """The process this is: alone, or one of those that torchrun started. Inside, requests to stop are noted."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    rank, local_rank = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    device = device_named(settings.device, local_rank)
    if device.type == "cuda":
        os.environ.setdefault(*DETERMINISTIC_WORKSPACE)
        torch.cuda.set_device(device)
    with requests_noted() as interruption:
        compute = Compute(
            device, rank, processes, settings.precision == "bfloat16", settings.compile, interruption=interruption
        )
        if processes == 1:
            yield compute
            return
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", rank=rank, world_size=processes)
        try:
            yield compute
        finally:
            distributed.destroy_process_group()


def processes_on_this_machine(settings: ComputeSettings, gpus: int) -> int:
    """Of one training: one on each of the `gpus` its variant asks for, or on `compute.processes` cores."""
    if device_named(settings.device).type == "cpu":
        return settings.processes
    there = torch.cuda.device_count()
    if gpus > there:
        raise ConfigError(
            f"gpus: the variant asks for {gpus} and torch sees {there} on this machine; ask the scheduler for more "
            f"(docs/cluster.md), or lower it"
        )
    return max(gpus, 1)


def device_named(name: str, index: int = 0) -> torch.device:
    """`cpu`, `cuda`, or with `auto` the GPU where there is one."""
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ConfigError("compute.device: cuda was asked for and torch sees no GPU; use cpu or auto")
    return torch.device("cuda", index) if there and name != "cpu" else torch.device("cpu")
