"""Progress with an estimate of what is left, for people at a terminal and for logs."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")
SECONDS_BETWEEN_LOG_LINES = 10.0


def track(iterable: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items, drawing a bar on a terminal, or writing a line every ten seconds elsewhere."""
    count = total if total is not None else _length(iterable)
    if sys.stderr.isatty():
        yield from _with_bar(iterable, description, count)
    else:
        yield from _with_lines(iterable, description, count)


def _with_bar(iterable: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield from progress.track(iterable, total=total, description=description)


def _with_lines(iterable: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    start = last = time.monotonic()
    for done, item in enumerate(iterable):
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LOG_LINES:
            last = now
            left = f", {(now - start) / done * (total - done):.0f} s left" if total and done else ""
            print(f"{description}: {done} of {total or '?'}{left}", file=sys.stderr, flush=True)
        yield item


def _length(iterable: Iterable[Item]) -> int | None:
    return len(iterable) if isinstance(iterable, Sized) else None
