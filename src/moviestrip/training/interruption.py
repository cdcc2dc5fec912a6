"""Requests to stop: a training that is asked to ends after its running step, saved, so that a later call goes on.

Slurm asks with SIGTERM, at a time limit and when a job must make room for another, and earlier with the signal that
`--signal` names. A request is noted when it comes and heeded between two steps, so that none finds the run half-way
through a step or a file.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

REQUESTS = (signal.SIGTERM, signal.SIGUSR1)


@dataclass
class Interruption:
    """Whether this process was asked to stop, and by which signal."""

    signal_name: str = ""

    def note(self, number: int, _: FrameType | None = None) -> None:
        self.signal_name = signal.Signals(number).name


@contextlib.contextmanager
def requests_noted() -> Iterator[Interruption]:
    """Note requests instead of dying of them; only a main thread can be sent any.

    After one, further signals change nothing until the process ends: it is already on its way out.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    earlier = {number: signal.signal(number, interruption.note) for number in REQUESTS}
    try:
        yield interruption
    finally:
        for number, handler in earlier.items():
            signal.signal(number, signal.SIG_IGN if interruption.signal_name else handler)
