"""One command a stage. The workflow hands each its settings as JSON; a person, a whole configuration."""

import sys
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from moviestrip import stages
from moviestrip.cli.options import (
    ConfigFiles,
    Dataset,
    Datasets,
    Run,
    Seed,
    SettingsJson,
    Shard,
    TableNames,
    Variant,
    config_folder,
    configuration,
    job_of,
    plain_table,
    run_folder,
)
from moviestrip.config import FetchSettings
from moviestrip.errors import ConfigError
from moviestrip.settings import StageSettings

app = typer.Typer()


@app.command(rich_help_panel="Stages")
def plan(config: ConfigFiles = None) -> None:
    """Decide which videos belong to which shard. Planned shards stay as they are; new videos append shards."""
    from moviestrip.config import load_dataset
    from moviestrip.datasets.durations import longest_stage, stages_of
    from moviestrip.datasets.forgotten import read_forgotten
    from moviestrip.datasets.plan import plan_shards, read_shard

    settings, run = configuration(config), run_folder(None, config)
    forgotten = read_forgotten(settings.forgotten)
    table = plain_table("dataset", "role", "shards", "videos", "minutes a shard", numbers=3)
    for name in settings.datasets:
        dataset = load_dataset(name, config_folder(config), settings.data_folders, settings.dataset_files)
        rendering, fetching = settings.rendering, settings.fetch
        shards = plan_shards(run, name, dataset, rendering, settings.seed, fetching, forgotten, settings.shards)
        videos = [len(read_shard(run, name, shard)["videos"]) for shard in shards]
        row = name, dataset.role, str(len(shards)), str(sum(videos))
        if stages_of(dataset):
            stage, minutes = longest_stage(dataset, rendering)
            table.add_row(*row, f"{stage} {minutes * max(videos, default=0):.1f}")
        else:
            table.add_row(*row, "")
    Console().print(table)


@app.command(rich_help_panel="Stages")
def body(run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Build the free body, or check the official one."""
    stages.body(job_of(run, settings, config))


@app.command(rich_help_panel="Stages")
def motions(run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Collect the motion sources of the miniature world."""
    stages.motions(job_of(run, settings, config))


@app.command(rich_help_panel="Stages")
def render(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Make the videos of a shard of the miniature world, and their truth."""
    stages.render(job_of(run, settings, config, dataset), dataset, shard)


@app.command(rich_help_panel="Stages")
def collect(name: Dataset, config: ConfigFiles = None) -> None:
    """Ask the pages that a dataset takes videos from (hashtags, channels) what they list today, and write it down."""
    from moviestrip.config import load_dataset
    from moviestrip.datasets.links import collect
    from moviestrip.video.fetch import downloads_folder

    whole = configuration(config)
    downloads = downloads_folder(whole.fetch, run_folder(None, config).root)
    table = plain_table("page", "written to", "listed", "new", "in all", numbers=3)
    for page in collect(name, load_dataset(name, config_folder(config)), whole.fetch, downloads):
        table.add_row(page.page, str(page.file), str(page.listed), str(page.new), str(page.total))
    Console().print(table)


@app.command(rich_help_panel="Stages")
def fetch(
    dataset: Dataset,
    shard: Annotated[str | None, typer.Argument(help="Such as studio-0000. [default: all planned]")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what was found to be gone or no video.")] = False,
    run: Run = None,
    settings: SettingsJson = None,
    fetching: Annotated[str | None, typer.Option(hidden=True, help="How hosts are asked, as JSON.")] = None,
    config: ConfigFiles = None,
) -> None:
    """Bring in videos and check every frame; bad ones keep their row with the reason."""
    job = job_of(run, settings, config, dataset)
    asking = StageSettings.from_json(fetching) if fetching else job.settings
    shards = [shard] if shard else job.run.shards(dataset)
    if not shards:
        raise ConfigError(f"fetch: no shard of {dataset} is planned in {job.run.root}; run `moviestrip plan` first")
    for each in shards:
        videos = stages.fetch(job, dataset, each, asking.section(FetchSettings), retry)
        _show_unusable(videos)


def _show_unusable(rows: pd.DataFrame) -> None:
    bad = rows[rows["status"] != "ok"]
    for video_id, status, reason in zip(bad["video_id"], bad["status"], bad["reason"], strict=True):
        print(f"quarantined {video_id}: {status}: {reason}", file=sys.stderr)


@app.command(rich_help_panel="Stages")
def shots(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Find where a shard's videos are cut from one shot to another."""
    stages.shots(job_of(run, settings, config, dataset), dataset, shard)


@app.command(rich_help_panel="Stages")
def detect(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Detect 2D poses in a shard with OpenPose, or the embedded program that speaks its command line."""
    _show_unusable(stages.detect(job_of(run, settings, config, dataset), dataset, shard))


@app.command(rich_help_panel="Stages")
def track(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Link a shard's detections into people."""
    stages.track(job_of(run, settings, config, dataset), dataset, shard)


@app.command(rich_help_panel="Stages")
def annotate(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Read what an official release says of the people in a shard's videos."""
    stages.annotate(job_of(run, settings, config, dataset), dataset, shard)


@app.command(rich_help_panel="Stages")
def curate(
    dataset: Annotated[str | None, typer.Argument(help="Name of a file in config/datasets.")] = None,
    shard: Annotated[str | None, typer.Argument(help="Name of a planned shard, such as insta-mini-0000.")] = None,
    explain: Annotated[str | None, typer.Option(metavar="CLIP", help="Say why a clip is used or not.")] = None,
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Cut candidate clips out of a shard and write what every filter says of them; or explain one clip."""
    if explain is not None:
        Console().print(stages.explain(run_folder(run, config), explain, dataset))
        return
    if dataset is None or shard is None:
        raise ConfigError("curate: needs a dataset and a shard, as in `insta-mini insta-mini-0000`, or --explain CLIP")
    stages.curate(job_of(run, settings, config, dataset), dataset, shard)


@app.command("key-frames", rich_help_panel="Stages")
def key_frames(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Look at a few frames of every clip of a shard: sharpness, and a hash to know them again."""
    stages.key_frames(job_of(run, settings, config, dataset), dataset, shard)


@app.command(rich_help_panel="Stages")
def appearance(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Judge a shard's clips by their key frames: blurred, or seen before in an earlier video."""
    stages.appearance(job_of(run, settings, config, dataset), dataset, shard)


@app.command(rich_help_panel="Stages")
def label(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Write the labels of every frame of a shard's clips."""
    stages.label(job_of(run, settings, config, dataset), dataset, shard)


@app.command(rich_help_panel="Stages")
def features(
    dataset: Dataset,
    shard: Shard,
    backbone: Annotated[
        str | None, typer.Option(help="Network that turns crops into phi. [default: features.backbone]")
    ] = None,
    occluded: Annotated[bool, typer.Option("--occluded", help="Of occluded copies of its training clips.")] = False,
    held_out_only: Annotated[bool, typer.Option("--held-out-only", help="Without its training clips.")] = False,
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Compute phi for every frame of a shard's clips."""
    job = job_of(run, settings, config, dataset)
    if backbone is not None:
        job = stages.Job(job.run, job.settings.with_backbone(backbone))
    stages.features(job, dataset, shard, occluded, held_out_only)


@app.command("import-features", rich_help_panel="Stages")
def import_features(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Import features that come with labels, in place of fetch to features (docs/import-features.md)."""
    stages.import_features(job_of(run, settings, config, dataset), dataset, shard)


@app.command("motion-prior", rich_help_panel="Stages")
def motion_prior(
    name: Annotated[str, typer.Argument(help="mposer, or vposer for its frame-wise twin.")],
    seed: Seed,
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Train a prior over real motions, and score how well it reconstructs others."""
    stages.motion_prior(job_of(run, settings, config), name, seed)


@app.command(rich_help_panel="Stages")
def train(
    variant: Variant,
    seed: Seed,
    dataset: Datasets = None,
    rendezvous: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Of a training on several nodes: the first's; run on each.")
    ] = None,
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Train one variant with one seed."""
    stages.train(job_of(run, settings, config, variant=variant), variant, seed, dataset, rendezvous)


@app.command(rich_help_panel="Stages")
def predict(
    variant: Variant,
    seed: Seed,
    dataset: Datasets = None,
    score: Annotated[bool, typer.Option("--score", help="Then do what `evaluate` does.")] = False,
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Predict the validation and test clips of some datasets."""
    stages.predict(job_of(run, settings, config, variant=variant), variant, seed, dataset)
    if score:
        job = job_of(run, settings, config, variant=variant)
        scored = [name for name in job.scored_datasets() if not dataset or name in dataset]
        stages.evaluate(job, variant, seed, scored)


@app.command(rich_help_panel="Stages")
def evaluate(
    variant: Variant,
    seed: Seed,
    dataset: Datasets = None,
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Score predictions on the test clips of some datasets."""
    from moviestrip.config import variant_names

    defined = variant if variant in variant_names(config_folder(config)) else None  # else predictions from elsewhere
    stages.evaluate(job_of(run, settings, config, variant=defined), variant, seed, dataset)


ForecastRow = Annotated[
    str,
    typer.Argument(
        help="A variant that forecasts or hallucinates, or a baseline: constant, nearest-neighbour, "
        "constant-hallucinated, oracle-nn."
    ),
]


@app.command(rich_help_panel="Stages")
def forecast(
    row: ForecastRow,
    seed: Seed,
    dataset: Datasets = None,
    score: Annotated[bool, typer.Option("--score", help="Then do what `evaluate-forecasts` does.")] = False,
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Forecast the test clips of some datasets, or hallucinate the frames around each of theirs."""
    from moviestrip.papers.worlds import BASELINES

    stages.forecast(job_of(run, settings, config, variant=BASELINES.get(row, row)), row, seed, dataset)
    if score:
        stages.evaluate_forecasts(job_of(run, settings, config), row, seed, dataset)


@app.command("evaluate-forecasts", rich_help_panel="Stages")
def evaluate_forecasts(
    row: ForecastRow,
    seed: Seed,
    dataset: Datasets = None,
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Score forecasts, with and without dynamic time warping."""
    stages.evaluate_forecasts(job_of(run, settings, config), row, seed, dataset)


@app.command("real-check", rich_help_panel="Stages")
def real_check(run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Look at every variant on videos of real people: what it measures there, and pictures."""
    stages.real_check(job_of(run, settings, config))


@app.command(rich_help_panel="Stages")
def table(name: TableNames, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Write the papers' tables as CSV, Markdown, LaTeX and HTML."""
    stages.table(job_of(run, settings, config), *name)


@app.command(rich_help_panel="Stages")
def figure(
    name: Annotated[str, typer.Argument(help="Such as phd-statues: `moviestrip figures list`.")],
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Draw one of the papers' figures from this run."""
    stages.figure(job_of(run, settings, config), name)


@app.command(rich_help_panel="Stages")
def difficulty(run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Check that the miniature world is hard where reality is hard: jitter, bursts, depth, detector, futures."""
    console = Console(width=DIFFICULTY_COLUMNS)
    console.print(difficulty_table(stages.difficulty(job_of(run, settings, config))))


DIFFICULTY_COLUMNS = 80


def difficulty_table(found: pd.DataFrame) -> Table:
    """Each check's number, its interval, what was expected and whether it is there."""
    table = plain_table("check", "", "measured", "interval", "printed", numbers=3)
    for row in found.to_dict("records"):
        mark = VERDICT_MARKS[row["verdict"]]
        interval = "" if pd.isna(row["low"]) or not row["seeds"] else f"{row['low']:.3g} to {row['high']:.3g}"
        printed = "" if pd.isna(row["reference"]) else f"{row['reference']:.3g}"
        table.add_row(row["check"], mark, f"{row['measured']:.3g} {row['unit']}", interval, printed)
    counts = found["verdict"].value_counts()
    table.caption = ", ".join(f"{counts.get(name, 0)} {name} ({mark})" for name, mark in VERDICT_MARKS.items())
    return table


VERDICT_MARKS = {"present": "+", "absent": "-", "undecided": "?"}


@app.command(rich_help_panel="Stages")
def funnel(run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Count where videos, people and clips go, by stage and reason, and write a card for every dataset."""
    job = job_of(run, settings, config)
    stages.funnels(job)
    for name in job.settings.datasets():
        stages.card(job, name)


@app.command(rich_help_panel="Stages")
def overlays(
    dataset: Datasets = None, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Render short clips of every variant: input, 2D skeleton, mesh, side view."""
    stages.overlays(job_of(run, settings, config), dataset)


@app.command(rich_help_panel="Stages")
def report(run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Write the report: one self-contained page."""
    job = job_of(run, settings, config)
    stages.report(job)
