"""How far one job is, from what it writes while it runs: lines in its log, and a training's own table."""

import re
from dataclasses import dataclass
from pathlib import Path

from moviestrip.errors import StorageError
from moviestrip.layout import RunFolder
from moviestrip.papers.workload import PlannedJob, Workload
from moviestrip.tables import TRAINING_LOG, read_table

TAIL_BYTES = 2**14
_LINE = re.compile(r"^.*: (\d+) of (\d+)(?:, (\d+) s left)?$")
_TRAININGS = ("train", "motion-prior")


@dataclass(frozen=True)
class Progress:
    """What is known of a job that has begun: videos, clips or steps, and of a training its loss."""

    done: int | None = None
    total: int | None = None
    left_s: float | None = None
    loss: float | None = None
    is_training: bool = False


def progress_of(job: PlannedJob, workload: Workload) -> Progress:
    """The last that a job said of itself; of a training the steps of earlier attempts count, too."""
    said = next(filter(None, map(_LINE.match, reversed(last_lines(job.log)))), None)
    done, total, left_s = (int(text) if text else None for text in said.groups()) if said else (None, None, None)
    if job.stage not in _TRAININGS:
        return Progress(done, total, left_s)
    steps = workload.steps_of(job.subject)
    logged, loss = _logged(workload.run, job)
    if done is not None and total is not None:  # a training that goes on counts only what was left
        done += steps - total
    return Progress(max(done or 0, logged), steps, left_s, loss, True)


def _logged(run: RunFolder, job: PlannedJob) -> tuple[int, float | None]:
    """The last step of a training's log, and the loss there."""
    path = run.training_log(job.subject, int(job.name.removeprefix("seed-")))
    if not path.is_file():
        return 0, None
    try:
        log = read_table(path, TRAINING_LOG)
    except StorageError:
        return 0, None  # replaced this very moment
    losses = log.loc[log["loss"] == "total", "value"]
    return int(log["step"].max()) if len(log) else 0, float(losses.iloc[-1]) if len(losses) else None


def last_lines(log: Path) -> list[str]:
    """The last lines of a log that say something."""
    if not log.is_file():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
