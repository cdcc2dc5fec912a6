"""One training in several processes: torchrun's launcher, and what their ends mean for the job they are.

Each node runs one launcher, which starts a process a GPU. Launchers of several nodes meet at the first one's address.
A launcher that is asked to stop passes that on, once, and waits until its processes have saved.
"""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from types import FrameType

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher import LaunchConfig, elastic_launch

from moviestrip.errors import ConfigError, FatalError, MoviestripError, RetryableError
from moviestrip.training.interruption import REQUESTS

LAUNCHED = "WORLD_SIZE"  # set in every process that torchrun started
ANY_FREE_PORT = "localhost:0"
SAVING_S = ("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "600")  # before processes are killed; a cluster kills far earlier


def is_launched() -> bool:
    """Whether this is one of several processes already."""
    return LAUNCHED in os.environ


def train_together(
    arguments: Sequence[str], processes: int, nodes: int = 1, rendezvous: str | None = None, name: str = "training"
) -> None:
    """Run `python ARGUMENTS` in so many processes on this node, together with those of the other nodes.

    Args:
        rendezvous: host:port of the first node, the same on all; needed for more than one.
        name: of the training, the same on all nodes.
    """
    os.environ.setdefault(*SAVING_S)
    with tempfile.TemporaryDirectory(prefix="moviestrip-") as folder, _requests_passed_on():
        config = LaunchConfig(
            nodes,
            nodes,
            processes,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
            run_id=name,
            rdzv_endpoint=rendezvous or ANY_FREE_PORT,
            rdzv_backend="c10d",
            max_restarts=0,  # the workflow starts it again, with what it needs
            local_addr="127.0.0.1" if nodes == 1 else None,
            signals_to_handle="SIGINT,SIGHUP,SIGQUIT",
        )
        try:
            elastic_launch(config, sys.executable)(*arguments)
        except SignalException as request:
            if request.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise RetryableError("training: asked to stop; its processes have ended, run it again to go on") from None
        except ChildFailedError as error:
            raise failure_of([failure.exitcode for failure in error.failures.values()]) from None


def failure_of(exit_codes: Collection[int]) -> MoviestripError:
    """What the ends of a training's processes mean: each has said why itself; a signal's number is negative."""
    said = f"training: its processes ended with {', '.join(str(code) for code in exit_codes)}; each says why above"
    for kind in (ConfigError, FatalError):
        if kind.exit_code in exit_codes:
            return kind(said)
    may_succeed_later = all(code in (0, RetryableError.exit_code) or code < 0 for code in exit_codes)
    return RetryableError(said) if may_succeed_later else MoviestripError(said)


@contextlib.contextmanager
def _requests_passed_on() -> Iterator[None]:
    """Let the first request to stop unwind the launcher, which then asks its processes; no second one disturbs it."""
    earlier = {number: signal.signal(number, _unwind) for number in REQUESTS}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            if signal.getsignal(number) == _unwind:
                signal.signal(number, handler)


def _unwind(number: int, _: FrameType | None) -> None:
    for each in REQUESTS:
        signal.signal(each, signal.SIG_IGN)
    raise SignalException(f"asked to stop by {signal.Signals(number).name}", signal.SIGTERM)
