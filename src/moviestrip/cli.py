"""The command line: one command a stage, and the questions people ask of a run. Parse, call, report; no logic.

A stage is handed its settings as JSON by the workflow, or reads the whole configuration for a person:
`moviestrip track insta-mini insta-mini-0000` works in a fresh checkout as it does inside a rule.
Imports are inside the commands, so that each starts as fast as what it needs.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from moviestrip import __version__, stages
from moviestrip.config import Config, load_config
from moviestrip.errors import ConfigError, MoviestripError
from moviestrip.layout import RunFolder
from moviestrip.settings import StageSettings

app = typer.Typer(
    help="From videos to the papers' tables. Most people run `snakemake --cores 2`; each stage also runs alone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
dataset_app = typer.Typer(help="List, check and look at datasets.", no_args_is_help=True)
variants_app = typer.Typer(help="The models: what each is, and the table rows it fills.", no_args_is_help=True)
tables_app = typer.Typer(help="The 25 tables of the four papers.", no_args_is_help=True)
claims_app = typer.Typer(help="Judge the papers' claims on this run's tables; or list and show the verdicts.")
protocols_app = typer.Typer(help="Named evaluation choices.", no_args_is_help=True)
config_app = typer.Typer(help="Check the configuration, or print its documentation.", no_args_is_help=True)
app.add_typer(dataset_app, name="dataset")
app.add_typer(variants_app, name="variants")
app.add_typer(tables_app, name="tables")
app.add_typer(claims_app, name="claims", rich_help_panel="Stages")
app.add_typer(protocols_app, name="protocols")
app.add_typer(config_app, name="config")

WIDE_COLUMNS = 240

Dataset = Annotated[str, typer.Argument(help="Name of a file in config/datasets.")]
Shard = Annotated[str, typer.Argument(help="Name of a planned shard, such as studio-0000.")]
Variant = Annotated[str, typer.Argument(help="Name of a file in config/variants.")]
Seed = Annotated[int, typer.Argument(help="Training seed.")]
TableName = Annotated[str, typer.Argument(help="Paper and number, such as hmmr-2.")]
Datasets = Annotated[
    list[str] | None,
    typer.Option("--dataset", help="May be given several times. [default: all the configuration has for this stage]"),
]
ConfigFiles = Annotated[
    list[Path] | None, typer.Option("--config", help="Configuration files, later over earlier. [default: config.yaml]")
]
Run = Annotated[Path | None, typer.Option("--run", help="The run's folder. [default: results/<name>]")]
SettingsJson = Annotated[
    str | None, typer.Option("--settings", help="Only the keys this stage may read, as JSON (used by the workflow).")
]


def main() -> None:
    """Run the command line; a failure on purpose is one line on standard error."""
    try:
        app(standalone_mode=False)
    except MoviestripError as error:
        print(f"moviestrip: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        show_usage = getattr(error, "show", None)  # of the option parser's own errors
        if show_usage is None:
            raise
        show_usage()
        sys.exit(getattr(error, "exit_code", 1))


def _config(files: list[Path] | None) -> Config:
    return load_config(files or [Path("config.yaml")])


def _config_folder(files: list[Path] | None) -> Path:
    """The folder with datasets/ and variants/: config/ beside the first file, or the file's own folder."""
    beside = (files or [Path("config.yaml")])[0].parent
    return next((folder for folder in (beside / "config", beside) if (folder / "datasets").is_dir()), beside)


def _run(run: Path | None, files: list[Path] | None) -> RunFolder:
    if run is not None:
        return RunFolder(run)
    config = _config(files)
    return RunFolder(config.results / config.name)


def _job(
    run: Path | None,
    settings: str | None,
    files: list[Path] | None,
    dataset: str | None = None,
    variant: str | None = None,
) -> stages.Job:
    if settings is not None:
        return stages.Job(_run(run, files), StageSettings.from_json(settings))
    whole = StageSettings.from_config(_config(files), _config_folder(files), dataset, variant)
    return stages.Job(_run(run, files), whole)


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if show:
        print(__version__)


@app.command(rich_help_panel="Stages")
def plan(config: ConfigFiles = None) -> None:
    """Decide which videos belong to which shard. Planned shards stay as they are; new videos append shards."""
    from moviestrip.config import load_dataset
    from moviestrip.datasets.plan import plan_shards, read_shard

    settings, run = _config(config), _run(None, config)
    table = _table("dataset", "role", "shards", "videos", numbers=2)
    for name in settings.datasets:
        dataset = load_dataset(name, _config_folder(config))
        shards = plan_shards(run, name, dataset, settings.rendering, settings.seed)
        videos = sum(len(read_shard(run, name, shard)["videos"]) for shard in shards)
        table.add_row(name, dataset.role, str(len(shards)), str(videos))
    Console().print(table)


@app.command(rich_help_panel="Stages")
def body(run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Build the free body, or check the official one."""
    stages.body(_job(run, settings, config))


@app.command(rich_help_panel="Stages")
def motions(run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Collect the motion sources of the miniature world."""
    stages.motions(_job(run, settings, config))


@app.command(rich_help_panel="Stages")
def render(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Make the videos of a shard of the miniature world, and their truth."""
    stages.render(_job(run, settings, config, dataset), dataset, shard)


@app.command(rich_help_panel="Stages")
def fetch(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Bring in the videos of a shard and check every frame; bad ones keep their row with the reason."""
    videos = stages.fetch(_job(run, settings, config, dataset), dataset, shard)
    bad = videos[videos["status"] != "ok"]
    for video_id, status, reason in zip(bad["video_id"], bad["status"], bad["reason"], strict=True):
        print(f"quarantined {video_id}: {status}: {reason}", file=sys.stderr)


@app.command(rich_help_panel="Stages")
def detect(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Detect 2D poses in a shard with OpenPose, or the embedded program that speaks its command line."""
    stages.detect(_job(run, settings, config, dataset), dataset, shard)


@app.command(rich_help_panel="Stages")
def track(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Link a shard's detections into people."""
    stages.track(_job(run, settings, config, dataset), dataset, shard)


@app.command(rich_help_panel="Stages")
def curate(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Cut candidate clips out of a shard and write what every filter says of them."""
    stages.curate(_job(run, settings, config, dataset), dataset, shard)


@app.command(rich_help_panel="Stages")
def label(
    dataset: Dataset, shard: Shard, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Write the labels of every frame of a shard's clips."""
    stages.label(_job(run, settings, config, dataset), dataset, shard)


@app.command(rich_help_panel="Stages")
def features(
    dataset: Dataset,
    shard: Shard,
    backbone: Annotated[
        str | None, typer.Option(help="Network that turns crops into phi. [default: features.backbone]")
    ] = None,
    occluded: Annotated[bool, typer.Option("--occluded", help="Of occluded copies of its training clips.")] = False,
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Compute phi for every frame of a shard's clips."""
    job = _job(run, settings, config, dataset)
    if backbone is not None:
        job = stages.Job(job.run, job.settings.with_backbone(backbone))
    stages.features(job, dataset, shard, occluded)


@app.command("motion-prior", rich_help_panel="Stages")
def motion_prior(
    name: Annotated[str, typer.Argument(help="mposer, or vposer for its frame-wise twin.")],
    seed: Seed,
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Train a prior over real motions, and score how well it reconstructs others."""
    stages.motion_prior(_job(run, settings, config), name, seed)


@app.command(rich_help_panel="Stages")
def train(
    variant: Variant,
    seed: Seed,
    dataset: Datasets = None,
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Train one variant with one seed."""
    stages.train(_job(run, settings, config, variant=variant), variant, seed, dataset)


@app.command(rich_help_panel="Stages")
def predict(
    variant: Variant,
    seed: Seed,
    dataset: Datasets = None,
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Predict the validation and test clips of some datasets."""
    stages.predict(_job(run, settings, config, variant=variant), variant, seed, dataset)


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

    defined = variant if variant in variant_names(_config_folder(config)) else None  # else predictions from elsewhere
    stages.evaluate(_job(run, settings, config, variant=defined), variant, seed, dataset)


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
    run: Run = None,
    settings: SettingsJson = None,
    config: ConfigFiles = None,
) -> None:
    """Forecast the test clips of some datasets, or hallucinate the frames around each of theirs."""
    from moviestrip.papers.worlds import BASELINES

    stages.forecast(_job(run, settings, config, variant=BASELINES.get(row, row)), row, seed, dataset)


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
    stages.evaluate_forecasts(_job(run, settings, config), row, seed, dataset)


@app.command(rich_help_panel="Stages")
def table(name: TableName, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Write one of the papers' tables as CSV, Markdown, LaTeX and HTML."""
    stages.table(_job(run, settings, config), name)


@claims_app.callback(invoke_without_command=True)
def claims(context: typer.Context, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Judge the papers' claims on this run's tables; or list and show the verdicts."""
    if context.invoked_subcommand is None:
        stages.claims(_job(run, settings, config))


@claims_app.command("list")
def claims_list(run: Run = None, config: ConfigFiles = None) -> None:
    """Every claim: the verdict on the printed numbers and on ours, and by how much."""
    from moviestrip.papers.claims import claim_list

    table = _table("claim", "printed", "ours", "effect", "low", "high", "unit")
    for row in claim_list(stages.ledger(_run(run, config))).itertuples(index=False):
        table.add_row(*(escape(str(value)) for value in row))
    Console().print(table)


@claims_app.command("show")
def claims_show(
    claim: Annotated[str, typer.Argument(help="Such as hmmr-01.")], run: Run = None, config: ConfigFiles = None
) -> None:
    """Everything about one claim: its check, both sides' numbers, and the tables they stand in."""
    from moviestrip.papers.claims import claim_page

    print(claim_page(claim, stages.ledger(_run(run, config))))


@app.command(rich_help_panel="Stages")
def overlays(
    dataset: Datasets = None, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Render short clips of every variant: input, 2D skeleton, mesh, side view."""
    stages.overlays(_job(run, settings, config), dataset)


@app.command(rich_help_panel="Stages")
def report(run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Write the report: one self-contained page."""
    job = _job(run, settings, config)
    stages.report(job)


@app.command("import-checkpoint", rich_help_panel="Models")
def import_checkpoint(
    file: Annotated[Path, typer.Argument(help="VIBE, TCMR, SPIN: .pth.tar. HMR, HMMR, PHD: .index, or without it.")],
    out: Annotated[Path | None, typer.Option(help="The model's file. [default: imported/KIND.pt]")] = None,
) -> None:
    """Bring the papers' released weights: recognise a checkpoint and write it as ours."""
    from moviestrip.imports import describe, import_checkpoint

    for line in describe(import_checkpoint(file, out)):
        print(line)


@app.command(rich_help_panel="Questions")
def demo(
    source: Annotated[Path, typer.Argument(metavar="VIDEO|FOLDER", help="A video, or a folder of images.")],
    model: Annotated[str, typer.Option(help="A trained variant of the run, or a checkpoint file.")],
    run: Run = None,
    seed: Annotated[int, typer.Option(help="Training seed of the variant.")] = 0,
    forecast: Annotated[int, typer.Option(min=0, help="Frames to forecast after everyone's last.")] = 0,
    hallucinate: Annotated[bool, typer.Option("--hallucinate", help="Past and future of each frame alone.")] = False,
    smooth: Annotated[Literal["none", "gaussian", "slerp"], typer.Option(help="Filter over time.")] = "none",
    out: Annotated[Path, typer.Option(help="Files go to OUT/<name of the source>.")] = Path("demo"),
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where the model runs.")] = "auto",
    fps: Annotated[float | None, typer.Option(min=1, help="Frames a second, if not the video's; images: 25.")] = None,
    focal: Annotated[float | None, typer.Option(min=1, help="In pixels, if not the picture's diagonal.")] = None,
    minimum_detections: Annotated[int, typer.Option(min=1, help="Leave out who is found more rarely.")] = 25,
    maximum_people: Annotated[int, typer.Option(min=1, help="Looked for in each frame.")] = 8,
    tracker: Annotated[
        Literal["moviestrip", "detect-and-track"] | None, typer.Option(help="If not the configured one.")
    ] = None,
    no_video: Annotated[bool, typer.Option("--no-video", help="Draw nothing.")] = False,
    export: Annotated[str, typer.Option(help="Files to write, with commas between.")] = "parquet,vibe,amass,bvh",
    config: ConfigFiles = None,
) -> None:
    """Everyone's body in a video: tracks, SMPL parameters, exports, an overlay and a side view."""
    from moviestrip.demo.bodies import Wanted, model_file
    from moviestrip.demo.run import Request, export_names, pipeline_of, run_demo

    files = config or ([Path("config.yaml")] if Path("config.yaml").is_file() else None)
    settings = _config(files) if files else None
    folder = _run(run, files) if run or files else RunFolder(Path("results/miniature"))
    request = Request(
        source=source,
        checkpoint=model_file(model, folder, seed),
        out=out,
        wanted=Wanted(forecast, hallucinate, smooth),
        exports=export_names(export),
        video=not no_video,
        fps=fps,
        focal_px=focal,
        minimum_detections=minimum_detections,
        maximum_people=maximum_people,
        device=device,
    )
    for line in run_demo(request, pipeline_of(settings, tracker)).lines():
        print(line)


@app.command(rich_help_panel="Questions")
def score(
    file: Annotated[
        Path,
        typer.Argument(
            help="vibe_output.pkl, tcmr_output.pkl, hmmr_output.pkl, .npz, .h5, .parquet, "
            "or a folder of such .pkl in folders named by video."
        ),
    ],
    truth: Annotated[str, typer.Option(help="A dataset of the run, or a file.")],
    protocol: Annotated[str, typer.Option(help="How to measure: `moviestrip protocols list`.")],
    by: Annotated[
        Literal["pose", "vertices", "joints"] | None, typer.Option(help="What to score. [default: the first there is]")
    ] = None,
    meshes: Annotated[bool, typer.Option("--meshes", help="Mesh errors too: some 300 frames a second.")] = False,
    out: Annotated[Path, typer.Option(help="The table as CSV.")] = Path("scores.csv"),
    run: Run = None,
    config: ConfigFiles = None,
) -> None:
    """Score anyone's predictions, with intervals (docs/score-my-predictions.md)."""
    from moviestrip.evaluation.protocols import protocol_named
    from moviestrip.scoring.score import score_file, write_report
    from moviestrip.scoring.truth import read_truth

    job = _job(run, None, config)
    body, settings = job.body(), job.settings.config().evaluation
    report = score_file(
        file,
        read_truth(truth, job.run, body),
        protocol_named(protocol),
        body,
        by,
        meshes,
        settings.bootstrap_samples,
        settings.interval_percent,
    )
    write_report(report, out)
    table = _table(*(name.replace("_", " ") for name in report.table.columns))
    for name in ("metric", "unit"):
        table.columns[list(report.table.columns).index(name)].no_wrap = True
    for row in report.table.itertuples(index=False):
        table.add_row(*(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row))
    Console().print(table)
    for line in (*report.lines, f"written: {out}"):
        print(line)


@app.command(rich_help_panel="Questions")
def doctor(config: ConfigFiles = None) -> None:
    """Say what is installed, which parts will be used, and what an optional package would add."""
    from moviestrip.doctor import findings

    files = config or ([Path("config.yaml")] if Path("config.yaml").is_file() else None)
    table = _table("what", "state", "detail")
    colours = {"ok": "green", "on demand": "cyan", "optional": "yellow", "missing": "red"}
    for finding in findings(_config(files) if files else None):
        table.add_row(finding.what, f"[{colours[finding.state]}]{finding.state}[/]", escape(finding.detail))
    Console().print(table)


@app.command(rich_help_panel="Questions")
def why(path: Annotated[Path, typer.Argument(help="Any output of a run, such as a table.")]) -> None:
    """Print how a file came to be, back to the videos."""
    from moviestrip.provenance import chain

    for link in chain(path):
        others = f" [dim]and {link.more} more like it[/]" if link.more else ""
        state = "" if link.intact else " [red]changed or gone since[/]"
        name = escape(str(link.path.relative_to(Path.cwd()) if link.path.is_relative_to(Path.cwd()) else link.path))
        Console(soft_wrap=True, highlight=False).print(
            f"{'  ' * link.depth}{name}  [cyan]{link.stage}[/] [dim]{link.sha256[:12]}[/]{others}{state}"
        )


@dataset_app.command("list")
def dataset_list(config: ConfigFiles = None) -> None:
    """Datasets that are defined: their role, what they play, whether this configuration uses them."""
    from moviestrip.config import load_dataset

    folder, used = _config_folder(config), _config(config).datasets
    table = _table("dataset", "role", "plays", "supervision", "splits", "used")
    for file in sorted((folder / "datasets").glob("*.yaml")):
        dataset = load_dataset(file.stem, folder)
        splits = ", ".join(split for split in ("train", "validation", "test") if split in dataset.splits)
        used_here = "yes" if file.stem in used else ""
        table.add_row(file.stem, dataset.role, dataset.plays, dataset.supervision, splits, used_here)
    Console().print(table)


@dataset_app.command("check")
def dataset_check(name: Dataset, run: Run = None, config: ConfigFiles = None) -> None:
    """Check a dataset's files in a run, count them, and draw a contact sheet with the labels over the frames."""
    folder = _run(run, config)
    found = stages.check(stages.Job(folder, StageSettings({})), name)
    for what, count in found.counts.items():
        print(f"{count:8,} {what}")
    for problem in found.problems:
        print(f"problem: {problem}", file=sys.stderr)
    print(f"picture: {folder.figures / 'datasets' / name}.png")
    if found.problems:
        raise typer.Exit(3)


@dataset_app.command("sheet")
def dataset_sheet(name: Dataset, run: Run = None, config: ConfigFiles = None) -> None:
    """Draw a dataset's contact sheet."""
    stages.contact_sheet(stages.Job(_run(run, config), StageSettings({})), name)


@variants_app.command("list")
def variants_list(
    run: Annotated[Path | None, typer.Option("--run", help="Say how far this run's folder has each.")] = None,
    wide: Annotated[bool, typer.Option("--wide", help="Every column, for a wide terminal.")] = False,
    config: ConfigFiles = None,
) -> None:
    """Every model that is defined, and the table rows it fills."""
    from moviestrip.papers.variants import variant_list

    folder = RunFolder(run) if run is not None else None
    found = variant_list(_config(config), _config_folder(config), folder)
    hidden = ["title", "rows", "backbone", *(["weights"] if run else [])]
    shown = found.drop(columns=["tables"] if wide else hidden)
    table = _table(*shown.columns)
    for column in (table.columns[0], table.columns[-1]):
        column.no_wrap = True
    for row in shown.itertuples(index=False):
        table.add_row(*(escape(value) for value in row))
    Console(width=WIDE_COLUMNS if wide else None).print(table)


@variants_app.command("show")
def variants_show(name: Variant, config: ConfigFiles = None) -> None:
    """Everything a model is: each key, the file that sets it, and how many numbers its parts learn."""
    from moviestrip.config import load_variant
    from moviestrip.papers.variants import backbone_of, parameters_of, rows_of_variants, variant_page

    settings, folder = _config(config), _config_folder(config)
    table = _table("key", "value", "set in")
    for row in variant_page(name, settings, folder).itertuples(index=False):
        table.add_row(*(escape(value) for value in row))
    console = Console(highlight=False)
    console.print(table)
    variant = load_variant(name, folder)
    backbone = backbone_of(variant, settings)
    counts = parameters_of(variant, settings.scale, backbone)
    console.print(f"\nfills: {', '.join(rows_of_variants().get(name, [])) or 'no row'}")
    console.print(f"reads: {backbone}")
    parts = ", ".join(f"{part} {count:,}" for part, count in counts.items())
    console.print(f"learns: {sum(counts.values()):,} numbers at width {settings.scale.width} ({parts})")


@tables_app.command("list")
def tables_list(config: ConfigFiles = None) -> None:
    """All 25 tables: which rows this configuration fills, and what is missing."""
    from moviestrip.papers.states import table_states

    table = _table("table", "title", "state", "ours", "missing")
    for row in table_states(_config(config)).itertuples():
        table.add_row(*(escape(str(value)) for value in row[1:]))
    Console().print(table)


@tables_app.command("show")
def tables_show(name: TableName, run: Run = None, config: ConfigFiles = None) -> None:
    """Print a finished table."""
    path = _run(run, config).table(name, "md")
    if not path.is_file():
        raise ConfigError(f"{path}: not made yet; run `snakemake --cores 2 {path}`")
    print(path.read_text())


@protocols_app.command("list")
def protocols_list() -> None:
    """Names of the protocols."""
    from moviestrip.evaluation.protocols import PROTOCOLS

    for name, protocol in PROTOCOLS.items():
        print(f"{name}: {protocol.title}")


@protocols_app.command("show")
def protocols_show(name: Annotated[str, typer.Argument()]) -> None:
    """Every choice of a protocol, and where it comes from."""
    from moviestrip.evaluation.protocols import describe, protocol_named

    print(describe(protocol_named(name)))


@config_app.command("check")
def config_check(files: Annotated[list[Path] | None, typer.Argument()] = None) -> None:
    """Check configuration files, and the datasets and variants they name."""
    from moviestrip.config import check_variants, load_dataset, load_variant

    config = _config(files)
    for name in config.datasets:
        load_dataset(name, _config_folder(files))
    variants = {name: load_variant(name, _config_folder(files)) for name in config.variants}
    check_variants(variants, config.datasets, config.features.backbone)
    print(f"ok: {config.name}, {len(config.datasets)} datasets, {len(config.variants)} variants")


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema (workflow/schemas/config.schema.json)."""
    from moviestrip.config_documentation import json_schema

    print(json_schema(), end="")


@config_app.command("document")
def config_document() -> None:
    """Print every key with its meaning (config/README.md)."""
    from moviestrip.config_documentation import markdown

    print(markdown(), end="")


def _table(*columns: str, numbers: int = 0) -> Table:
    """A plain table whose last `numbers` columns are numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        is_number = index >= len(columns) - numbers
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    return table


if __name__ == "__main__":
    main()
