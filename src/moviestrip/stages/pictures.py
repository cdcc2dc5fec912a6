"""Everything to look at: contact sheets, overlay clips, the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from moviestrip.config import DatasetSettings, ReportSettings
from moviestrip.stages.job import Job
from moviestrip.storage import write_text

if TYPE_CHECKING:
    from moviestrip.datasets.check import DatasetReport
    from moviestrip.datasets.official.report import ReleaseReport


def check(job: Job, dataset: str) -> "DatasetReport":
    """Hold a dataset's tables against each other, and draw its contact sheet."""
    from moviestrip.datasets.check import check_dataset

    contact_sheet(job, dataset)
    return check_dataset(dataset, job.run)


def check_release(name: str, settings: DatasetSettings, whole: bool) -> "ReleaseReport":
    """Read a release directly, as it lies in its folder."""
    from moviestrip.datasets.official.annotate import open_release
    from moviestrip.datasets.official.report import report_on_release

    return report_on_release(open_release(name, settings), whole)


def release_picture(job: Job, name: str, settings: DatasetSettings) -> tuple[Path | None, list[str]]:
    """Draw a release's labels over its own frames: the picture, if anything can be shown, and what cannot."""
    from moviestrip.datasets.official.annotate import open_release
    from moviestrip.figures.contact_sheet import write_picture
    from moviestrip.figures.release_sheet import release_sheet

    sheet, problems = release_sheet(open_release(name, settings))
    if sheet is None:
        return None, problems
    path = job.run.figures / "releases" / f"{name}.png"
    write_picture(path, sheet)
    job.record(path, "release sheet", {})
    return path, problems


def is_labelled(job: Job, dataset: str) -> bool:
    """Whether a run has labels of a dataset, all of its shards."""
    shards = job.run.shards(dataset)
    return bool(shards) and all(job.run.labels(dataset, shard).is_file() for shard in shards)


def overlays(job: Job, datasets: Sequence[str] | None = None) -> None:
    """Render the same few test clips for every variant."""
    from moviestrip.figures.overlay_clips import render_overlays

    datasets = datasets or job.scored_datasets()
    variants, seed = job.settings.value("variants"), job.settings.value("training_seeds")[0]
    count = job.settings.section(ReportSettings).overlay_clips
    render_overlays(job.run, datasets, variants, seed, job.body(), count)
    inputs = {
        f"predictions:{variant}/{dataset}": job.run.predictions(variant, seed, dataset)
        for variant in variants
        for dataset in datasets
    }
    job.record(job.run.figures / "overlays", "overlays", inputs)


def contact_sheet(job: Job, dataset: str) -> Path:
    """Draw labelled frames of a dataset's clips."""
    from moviestrip.figures.contact_sheet import run_sheet, write_picture

    path = job.run.sheet(dataset)
    write_picture(path, run_sheet(job.run, dataset))
    shards = job.run.shards(dataset)
    job.record(path, "contact sheet", {f"labels:{shard}": job.run.labels(dataset, shard) for shard in shards})
    return path


def people_sheet(job: Job, dataset: str) -> Path:
    """Draw everyone that is tracked in a dataset's videos, with their numbers, over whole frames."""
    from moviestrip.figures.contact_sheet import write_picture
    from moviestrip.figures.people_sheet import run_people_sheet

    path = job.run.sheet(dataset, people=True)
    write_picture(path, run_people_sheet(job.run, dataset))
    shards = job.run.shards(dataset)
    job.record(path, "people sheet", {f"tracks:{shard}": job.run.tracks(dataset, shard) for shard in shards})
    return path


def card(job: Job, dataset: str) -> Path:
    """Write what anyone who uses a dataset should know of it."""
    from moviestrip.datasets.card import card_of

    path = job.run.card(dataset)
    write_text(path, card_of(dataset, job.settings.datasets()[dataset], job.run, job.settings.config()))
    return path


def funnels(job: Job) -> None:
    """Count where videos, people and clips go, dataset by dataset."""
    from moviestrip.datasets.funnel import funnels_of, write_funnels

    write_funnels(job.run.funnel, funnels_of(job.run, list(job.settings.datasets())))


def report(job: Job) -> None:
    """Write the report: one self-contained page."""
    from moviestrip.papers.figures import FIGURES
    from moviestrip.report.build import build_report

    config = job.settings.config()
    build_report(job.run.root, config, job.settings.datasets(), job.settings.variants())
    inputs = {f"table:{name}": job.run.table(name, "html") for name in config.tables}
    inputs |= {f"figure:{figure.name}": job.run.figure(figure.name) for figure in FIGURES}
    inputs |= {"claims": job.run.claims, "overlays": job.run.figures / "overlays", "smoothing": job.run.smoothing}
    inputs |= {"difficulty": job.run.difficulty, "real check": job.run.real_check, "real": job.run.real_pictures}
    job.record(job.run.report, "report", {name: path for name, path in inputs.items() if path.exists()})
