"""Programs run side by side, none of which outlives its call.

Each runs in a process group of its own. The group is ended as a whole when the program is done, takes too
long or is no longer wanted; and when this process itself is killed, a watchdog that waits for it to close
its end of a pipe ends the group.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

from moviestrip.errors import FatalError, RetryableError

SECONDS_BETWEEN_LOOKS = 0.2
SAID_LINES = 8
SAID_BYTES = 2000
WATCHDOG = ("sh", "-c", 'read -r _; kill -s KILL -- "-$0"')
NOT_FOUND_STATUS = (126, 127)  # a shell's, and the loader's when a shared library is missing

# One thread; and glibc keeps large buffers for the next frame, which saves a sixth of the time with MoveNet.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**28),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}
Result = TypeVar("Result")


def run_program(
    arguments: Sequence[str],
    timeout_s: float,
    said: Path,
    unwanted: threading.Event,
    pointless_to_repeat: Sequence[int] = NOT_FOUND_STATUS,
) -> None:
    """Run a program to its end, what it says kept in the file `said`; nothing it started outlives this call.

    Raises RetryableError when it fails, is killed, or runs for longer than `timeout_s`; FatalError when it cannot
    be run or ends with a status that says so.
    """
    program = Path(arguments[0]).name
    with program_group(arguments, said) as process:
        if not _ended(process, timeout_s, unwanted):
            problem = "no longer wanted" if unwanted.is_set() else f"still running after {timeout_s:g} s"
            raise RetryableError(f"{program}: {problem}, ended; {_tail(said)}")
    status = process.returncode
    if status != 0:
        how = f"was ended by signal {-status}" if status < 0 else f"failed with exit code {status}"
        failure = FatalError if status in pointless_to_repeat else RetryableError
        raise failure(f"{program}: {how}; {_tail(said)}")


@contextlib.contextmanager
def program_group(arguments: Sequence[str], said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running program and all it starts, ended when the context is left or this process dies."""
    environment: Mapping[str, str] = {**ENVIRONMENT, **os.environ}
    with said.open("wb") as file:
        try:
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, start_new_session=True
            )
        except OSError as error:
            raise FatalError(
                f"detector.command: {arguments[0]!r} cannot be run ({error.strerror}); give the path of an OpenPose "
                f"program, or `embedded`"
            ) from error
    watchdog = None
    try:
        watchdog = subprocess.Popen(
            [*WATCHDOG, str(process.pid)], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        yield process
    finally:
        _end_group(process)
        if watchdog is not None:
            _end_group(watchdog)
            assert watchdog.stdin is not None
            watchdog.stdin.close()


def _ended(process: subprocess.Popen[bytes], timeout_s: float, unwanted: threading.Event) -> bool:
    """Whether the program ends by itself, in time."""
    deadline = time.monotonic() + timeout_s
    while (left_s := deadline - time.monotonic()) > 0 and not unwanted.is_set():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(left_s, SECONDS_BETWEEN_LOOKS))
            return True
    return False


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the program and everything it started; a group that is already gone is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(said: Path) -> str:
    with said.open("rb") as file:
        file.seek(max(0, said.stat().st_size - SAID_BYTES))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return "it said: " + " | ".join(lines[-SAID_LINES:]) if lines else "it said nothing"


def several_at_once(
    tasks: Sequence[Callable[[], Result]], at_once: int, unwanted: threading.Event
) -> Generator[Result | None, None, None]:
    """What each task gives, as soon as it does, and None every moment in between.

    Close this iterator, or leave it by an exception, and `unwanted` is set, upon which running tasks must end soon;
    it then waits for them.
    """
    pool = ThreadPoolExecutor(at_once)
    try:
        running: set[Future[Result]] = {pool.submit(task) for task in tasks}
        while running:
            done, running = wait(running, SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED)
            yield from (future.result() for future in done)
            if running:
                yield None
    except BaseException:
        unwanted.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def termination_as_exception() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that what was started and written for a while goes, too.

    Whoever handles the signal already goes on doing so; only a main thread can be told of one.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, _: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would cut the unwinding short
    raise SystemExit(128 + number)
