"""A run's status for people, within 80 columns, and for machines."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from moviestrip.papers.workload import Workload
from moviestrip.status.count import JobState, Row, State, Status
from moviestrip.status.progress import Progress, last_lines, progress_of
from moviestrip.status.work import Question

JSON_VERSION = 1
LISTED = 8  # of subjects, of jobs that run, of those that failed; the rest are counted
STATES: tuple[State, ...] = ("done", "running", "queued", "failed", "interrupted", "waiting")


def as_json(status: Status, workload: Workload) -> dict[str, Any]:
    """Every number, for machines; keys are added, and none changes its meaning while `version` is the same."""
    activity = status.activity
    return {
        "version": JSON_VERSION,
        "run": str(status.run.root),
        "at": _iso(status.now_s),
        "snakemake": {
            "state": activity.state,
            "since": _iso(activity.since_s) if activity.since_s else None,
            "host": activity.host or None,
            "command": activity.command or None,
        },
        "jobs": {"all": len(status.jobs), **{state: status.count(state) for state in STATES}},
        "downloads_bytes": status.downloads_bytes,
        "stages": [_row_as_json(row) for row in status.stages],
        "subjects": [_row_as_json(row) for row in status.subjects],
        "running": [_job_as_json(job) | _progress_as_json(job, workload) for job in status.in_state("running")],
        "queued": [_job_as_json(job) | {"cluster_job": job.detail} for job in status.in_state("queued")],
        "failed": [_job_as_json(job) | {"message": message_of(job)} for job in status.in_state("failed")],
        "interrupted": [_job_as_json(job) for job in status.in_state("interrupted")],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    rounded = {"jobs_a_minute": row.jobs_a_minute, "left_s": row.left_s}
    return {
        "stage": row.stage,
        "backbone": row.backbone or None,
        "subject": row.subject or None,
        "jobs": row.jobs,
        **{state: row.counts[state] for state in STATES},
        "bytes": row.size_bytes,
        "checked_rows": row.checked_rows,
        "bad_rows": dict(row.bad_rows),
        **{key: None if value is None else round(value, 3) for key, value in rounded.items()},
    }


def _job_as_json(job: JobState) -> dict[str, Any]:
    planned = job.job
    names = {"stage": planned.stage, "backbone": planned.backbone or None, "subject": planned.subject or None}
    return names | {"name": planned.name or None, "log": str(planned.log)}


def _progress_as_json(job: JobState, workload: Workload) -> dict[str, Any]:
    found = progress_of(job.job, workload)
    return {"done": found.done, "of": found.total, "left_s": found.left_s, "loss": found.loss}


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s).astimezone().isoformat(timespec="seconds")


def page(status: Status, workload: Workload, retry: str, every_subject: bool, with_bars: bool) -> Group:
    """All that a person wants to know.

    Args:
        retry: the command that goes on, where Snakemake's log does not tell.
        every_subject: not only those that are under way or in trouble.
        with_bars: on a terminal.
    """
    lines = [*_running(status, workload), *_troubles(status), *_what_now(status, retry)]
    notes = [Text.from_markup(line) for line in lines]
    return Group(Text.from_markup(_headline(status)), "", _table(status, every_subject, with_bars), *notes)


def _headline(status: Status) -> str:
    activity, done = status.activity, status.count("done")
    since = datetime.fromtimestamp(activity.since_s).strftime("%d %b %H:%M")
    says = {
        "none": "Snakemake has not worked on it",
        "running": f"Snakemake is at work since {since}",
        "elsewhere": f"Snakemake is at work on {activity.host}, as far as its log says, since {since}",
        "ended": "Snakemake is not running",
        "killed": "Snakemake was killed",
    }[activity.state]
    where = escape(str(status.run.root))
    return f"[bold]{where}[/]: {done:,} of {len(status.jobs):,} jobs done. {says}."


def _table(status: Status, every_subject: bool, with_bars: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("stage", max_width=19, overflow="fold")
    if with_bars:
        table.add_column("", width=8)
    for name in ("done", "now", "failed", "bad rows", "size", "a minute", "left"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in status.stages:
        title = f"{row.stage}\n {row.backbone}" if row.backbone else row.stage
        table.add_row(title, *_cells(row, with_bars))
        same = [each for each in status.subjects if (each.stage, each.backbone) == (row.stage, row.backbone)]
        shown = [each for each in same if every_subject or _is_under_way(each)]
        if len(same) < 2:
            continue
        for each in shown if every_subject else shown[:LISTED]:
            table.add_row(Text(f"  {each.subject}", style="dim"), *_cells(each, with_bars))
        if len(shown) > LISTED and not every_subject:
            table.add_row(Text(f"  and {len(shown) - LISTED} more", style="dim"))
    return table


def _is_under_way(row: Row) -> bool:
    return not row.is_done and row.counts["waiting"] < row.jobs


def _cells(row: Row, with_bars: bool) -> Sequence[Any]:
    trouble = row.counts["failed"] + row.counts["interrupted"]
    bar = (
        [ProgressBar(row.jobs, row.counts["done"], width=8, complete_style="cyan", finished_style="green")]
        if with_bars
        else []
    )
    return [
        *bar,
        f"{row.counts['done']}/{row.jobs}",
        str(row.counts["running"] or ""),
        f"[red]{trouble}[/]" if trouble else "",
        str(sum(row.bad_rows.values()) or ""),
        in_bytes(row.size_bytes) if row.size_bytes else "",
        "" if row.jobs_a_minute is None else three_figures(row.jobs_a_minute),
        "" if row.left_s is None else in_time(row.left_s),
    ]


def _running(status: Status, workload: Workload) -> Iterator[str]:
    jobs = status.in_state("running")
    if jobs:
        yield "\n[bold]running[/]"
    for job in jobs[:LISTED]:
        yield f"  {_named(job)}: {_told(progress_of(job.job, workload), status.now_s - job.started_s)}"
    if len(jobs) > LISTED:
        yield f"  and {len(jobs) - LISTED} more"
    queued = status.count("queued")
    if queued:
        yield f"  {queued} in the cluster's queue"


def _told(progress: Progress, lasting_s: float) -> str:
    parts = [f"for {in_time(lasting_s)}"]
    if progress.done is not None:
        parts.append(f"{progress.done:,} of {progress.total:,}{' steps' if progress.is_training else ''}")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4g}")
    if progress.left_s is not None:
        parts.append(f"{in_time(progress.left_s)} left")
    return ", ".join(parts)


def _troubles(status: Status) -> Iterator[str]:
    """What failed with its own last words, what was broken off, and which rows are unusable."""
    failed, broken = status.in_state("failed"), status.in_state("interrupted")
    if failed:
        yield "\n[bold red]failed[/]"
    for job in failed[:LISTED]:
        yield f"  {_named(job)}: {escape(message_of(job))}\n    {escape(str(job.job.log))}"
    if len(failed) > LISTED:
        yield f"  and {len(failed) - LISTED} more"
    if broken:
        yield "\n[bold red]broken off[/]: marked as being made, and no Snakemake is at work on it"
        yield f"  {', '.join(_named(job) for job in broken[:LISTED])}" + (
            f", and {len(broken) - LISTED} more" if len(broken) > LISTED else ""
        )
    of_cluster = sorted({job.detail for job in broken if job.detail})
    if of_cluster:
        yield f"  the cluster may still run them: squeue --jobs {','.join(of_cluster[:LISTED])}"
    bad = [row for row in status.subjects if row.bad_rows]
    if bad:
        yield "\n[bold]rows that are set aside, with the reason in their table[/]"
    for row in bad:
        counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in row.bad_rows.items())
        yield f"  {row.stage} {row.subject}: {counts}, of {row.checked_rows:,} videos"


def _what_now(status: Status, retry: str) -> Iterator[str]:
    if status.downloads_bytes:
        yield f"\ndownloads: {in_bytes(status.downloads_bytes)}"
    unfinished, working = status.count("done") < len(status.jobs), status.activity.is_working
    in_trouble = status.count("failed") + status.count("interrupted")
    command = escape(retry_command(status, retry))
    if working and in_trouble:
        yield f"\nwhen it has ended, the same command tries what failed again: {command}"
    elif unfinished and not working:
        yield f"\nto go on: {command}"


def retry_command(status: Status, otherwise: str) -> str:
    """The very command of the last time, or as near as its log lets one come."""
    options = status.activity.options or "--cores N"
    return status.activity.command or otherwise.replace("--cores N", options)


def message_of(job: JobState) -> str:
    """What the cluster says, and the last line of the job's own log."""
    lines = last_lines(job.job.log)
    said = job.detail.partition("For further error details")[0].rstrip(" .")
    return "; ".join(filter(None, (said, lines[-1] if lines else ""))) or "ended without a word"


def _named(job: JobState) -> str:
    planned = job.job
    subject = "" if planned.name.startswith(f"{planned.subject}-") else planned.subject
    return " ".join(part for part in (planned.stage, planned.backbone, subject, planned.name) if part)


def three_figures(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def in_bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def in_time(time_s: float) -> str:
    """Two figures are enough: 45 s, 12 min, 3.5 h, 2.1 d."""
    if time_s < 99:
        return f"{time_s:.0f} s"
    if time_s < 90 * 60:
        return f"{time_s / 60:.0f} min"
    return f"{time_s / 3600:.1f} h" if time_s < 36 * 3600 else f"{time_s / 86400:.1f} d"


def show(question: Question, retry: str, watch_s: float | None) -> None:
    """Print the page once; or again every so many seconds until all is done, on a terminal in place."""
    console = Console()

    def ask() -> tuple[Status, Group]:
        status = question.answer()
        every = question.stage is not None
        return status, page(status, question.workload, retry, every, console.is_terminal)

    status, shown = ask()
    live = Live(shown, console=console, auto_refresh=False, vertical_overflow="visible")
    with live if watch_s is not None and console.is_terminal else contextlib.nullcontext():
        while watch_s is not None and status.count("done") < len(status.jobs):
            if not console.is_terminal:
                console.print(shown)
            time.sleep(watch_s)
            status, shown = ask()
            live.update(shown, refresh=console.is_terminal)
    if watch_s is None or not console.is_terminal:
        console.print(shown)
