"""How many jobs of each stage are done, running, failed or waiting; how fast they come, and how many rows are bad."""

import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from moviestrip.layout import RunFolder
from moviestrip.papers.workload import STAGES, PlannedJob, Workload
from moviestrip.status.snakemake import Activity, activity_of

State = Literal["done", "running", "queued", "failed", "interrupted", "waiting"]
RATE_JOBS = 50  # the last so many tell how fast a stage is


@dataclass(frozen=True)
class JobState:
    """Where one job stands.

    Attributes:
        finished_s: when its last output was written; 0 before.
        started_s: of what runs, when it was started or put into the queue.
        detail: of what failed, what Snakemake or the cluster says; of what runs on a cluster, the cluster's id.
    """

    job: PlannedJob
    state: State
    finished_s: float = 0.0
    started_s: float = 0.0
    size_bytes: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """A stage, or one dataset, variant, table or figure of it.

    Attributes:
        checked_rows: videos whose outcome the stage has written down.
        bad_rows: how many of them cannot be used, by status.
        jobs_a_minute: of the jobs finished last since Snakemake was started; None before two.
        left_s: until the last job is done, at that rate, while the stage is being worked on.
    """

    stage: str
    backbone: str
    subject: str
    jobs: int
    counts: Mapping[State, int]
    size_bytes: int
    checked_rows: int = 0
    bad_rows: Mapping[str, int] = field(default_factory=dict)
    jobs_a_minute: float | None = None
    left_s: float | None = None

    @property
    def is_done(self) -> bool:
        return self.counts["done"] == self.jobs


@dataclass(frozen=True)
class Status:
    """A run at one moment."""

    run: RunFolder
    now_s: float
    activity: Activity
    jobs: list[JobState]
    stages: list[Row]  # a row a stage and backbone
    subjects: list[Row]  # the same by dataset, variant, table or figure
    downloads_bytes: int = 0

    def count(self, state: State) -> int:
        return sum(row.counts[state] for row in self.stages)

    def in_state(self, *states: State) -> list[JobState]:
        return [job for job in self.jobs if job.state in states]


def status_of(
    workload: Workload, stage: str | None = None, dataset: str | None = None, downloads: Path | None = None
) -> Status:
    """Count a run's jobs, all or those of one stage or dataset.

    Args:
        downloads: where fetched files lie, whose bytes are counted apart: runs share them.
    """
    root, now_s = Path(os.path.realpath(workload.run.root)), time.time()
    activity, folders = activity_of(root), Folders()
    here = Workload(workload.config, workload.datasets, workload.variants, RunFolder(root))
    wanted = [
        job
        for job in here.jobs()
        if stage in (None, job.stage) and (dataset is None or dataset in (job.subject, job.name.rpartition("/")[2]))
    ]
    jobs = [_state_of(job, activity, folders) for job in wanted]
    bad = {job.log: outcomes for job in wanted if (outcomes := _outcomes(job, folders)) is not None}
    by_stage = [_row(jobs, bad, activity, now_s, "") for jobs in _grouped(jobs, lambda job: (job.stage, job.backbone))]
    by_subject = [
        _row(jobs, bad, activity, now_s, jobs[0].job.subject)
        for jobs in _grouped(jobs, lambda job: (job.stage, job.backbone, job.subject))
    ]
    size_bytes = 0 if downloads is None else folders.size_of_tree(str(downloads))
    return Status(workload.run, now_s, activity, jobs, by_stage, by_subject, size_bytes)


class Folders:
    """What lies in folders, each listed once: a run of 28,000 videos has thousands of files in a hundred folders."""

    def __init__(self) -> None:
        self._listed: dict[str, dict[str, os.stat_result]] = {}

    def find(self, path: str) -> os.stat_result | None:
        parent, _, name = path.rpartition(os.sep)
        if parent not in self._listed:
            self._listed[parent] = dict(_entries(parent))
        return self._listed[parent].get(name)

    def size_of_tree(self, folder: str) -> int:
        """Bytes of all files in a folder and in those within; 0 where there is none."""
        return sum(
            self.size_of_tree(f"{folder}{os.sep}{name}") if stat.S_ISDIR(found.st_mode) else found.st_size
            for name, found in _entries(folder)
        )


def _entries(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    yield entry.name, entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # renamed or removed meanwhile
    except (FileNotFoundError, NotADirectoryError):
        return


def _state_of(job: PlannedJob, activity: Activity, folders: Folders) -> JobState:
    paths = [str(output) for output in job.outputs]
    found = [folders.find(path) for path in paths]
    markers = [marker for path in paths if (marker := activity.markers.get(path)) is not None]
    if markers:
        since_s, external_id = max((marker.since_s, marker.external_id) for marker in markers)
        if not any(map(activity.is_live, markers)):
            return JobState(job, "interrupted", started_s=since_s, detail=external_id)
        log = folders.find(str(job.log))
        begun = not external_id or (log is not None and log.st_mtime >= since_s)
        return JobState(job, "running" if begun else "queued", started_s=since_s, detail=external_id)
    there = [entry for entry in found if entry is not None]
    if len(there) == len(paths):
        size_bytes = sum(_size(path, entry, folders) for path, entry in zip(paths, there, strict=True))
        if job.stage == "fetch":  # the videos themselves lie beside their table, unless they were downloaded
            size_bytes += folders.size_of_tree(paths[0].removesuffix(".parquet"))
        return JobState(job, "done", finished_s=max(entry.st_mtime for entry in there), size_bytes=size_bytes)
    said = activity.errors.get(str(job.log))
    return JobState(job, "waiting") if said is None else JobState(job, "failed", detail=said)


def _size(path: str, entry: os.stat_result, folders: Folders) -> int:
    return folders.size_of_tree(path) if stat.S_ISDIR(entry.st_mode) else entry.st_size


def _outcomes(job: PlannedJob, folders: Folders) -> Counter[str] | None:
    """Of a stage that says of each video whether it can be used: how many rows have which status."""
    tables = [path for path in job.outputs if path.parent.parent.name in ("videos", "answers")]
    if job.stage not in ("fetch", "import-features", "detect") or folders.find(str(tables[0])) is None:
        return None
    return statuses(tables[0])


def statuses(table: Path) -> Counter[str]:
    """Rows by status, from the file's own statistics where they are all alike; a damaged file is one bad row."""
    found: Counter[str] = Counter()
    try:
        with pq.ParquetFile(table) as file:
            column = file.schema_arrow.get_field_index("status")
            for number in range(file.num_row_groups):
                group = file.metadata.row_group(number)
                known = group.column(column).statistics
                if known is not None and known.has_min_max and known.min == known.max and not known.null_count:
                    found[known.min] += group.num_rows
                else:
                    found.update(file.read_row_group(number, ["status"])["status"].to_pylist())
    except FileNotFoundError:
        return found  # removed meanwhile
    except (OSError, pa.ArrowException):
        found["damaged table"] += 1
    return found


def _grouped(jobs: Sequence[JobState], key: Callable[[PlannedJob], tuple[str, ...]]) -> Iterator[list[JobState]]:
    """Jobs that have a key in common, in the order of the stages."""
    order = {stage: number for number, stage in enumerate(STAGES)}
    ordered = sorted(jobs, key=lambda each: (order[each.job.stage], key(each.job)))
    for _, group in groupby(ordered, key=lambda each: key(each.job)):
        yield list(group)


def _row(
    jobs: Sequence[JobState], bad: Mapping[Path, Counter[str]], activity: Activity, now_s: float, subject: str
) -> Row:
    counts = Counter(job.state for job in jobs)
    outcomes = sum((bad.get(job.job.log, Counter()) for job in jobs), Counter())
    is_going_on = activity.is_working and counts["running"] > 0
    finished = [job.finished_s for job in jobs if job.finished_s >= activity.since_s and activity.state != "none"]
    rate = jobs_a_minute(finished, now_s if is_going_on else None)
    left = len(jobs) - counts["done"]
    return Row(
        jobs[0].job.stage,
        jobs[0].job.backbone,
        subject,
        len(jobs),
        counts,
        sum(job.size_bytes for job in jobs),
        outcomes.total(),
        {status: count for status, count in sorted(outcomes.items()) if status != "ok"},
        rate,
        60 * left / rate if rate and is_going_on else None,
    )


def jobs_a_minute(finished_s: Iterable[float], now_s: float | None) -> float | None:
    """Of the jobs finished last; the time since the last one counts, too, where it is longer than they took."""
    times = sorted(finished_s)[-RATE_JOBS:]
    if len(times) < 2 or times[-1] == times[0]:
        return None
    mean_s = (times[-1] - times[0]) / (len(times) - 1)
    if now_s is not None:
        mean_s = max(mean_s, (now_s - times[0]) / len(times))
    return 60 / mean_s
