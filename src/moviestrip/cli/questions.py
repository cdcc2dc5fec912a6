"""What people ask for apart from a run: a demo, a score, an import, a file's history, the state of the machine."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from moviestrip.cli.options import (
    ConfigFiles,
    Run,
    config_folder,
    configuration,
    job_of,
    plain_table,
    run_folder,
)
from moviestrip.errors import ConfigError
from moviestrip.layout import RunFolder

if TYPE_CHECKING:
    from moviestrip.scoring.score import Report

app = typer.Typer()


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
    smallest_person: Annotated[
        float | None, typer.Option(min=20, help="In pixels; the larger, the faster. [default: an eighth of the height]")
    ] = None,
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
    settings = configuration(files) if files else None
    folder = run_folder(run, files) if run or files else RunFolder(Path("results/miniature"))
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
        smallest_person_px=smallest_person,
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
            "or a folder of such .pkl in folders named by video; forecasts in one file."
        ),
    ],
    truth: Annotated[str, typer.Option(help="A dataset of the run, or a file.")],
    protocol: Annotated[str, typer.Option(help="How to measure: `moviestrip protocols list`.")],
    by: Annotated[
        Literal["pose", "vertices", "joints"] | None, typer.Option(help="What to score. [default: the first there is]")
    ] = None,
    meshes: Annotated[bool, typer.Option("--meshes", help="Mesh errors too: some 300 frames a second.")] = False,
    forecast: Annotated[
        bool, typer.Option("--forecast", help="The file forecasts: score with and without time warping.")
    ] = False,
    horizons: Annotated[
        str | None, typer.Option(help="Of forecasts: frames with commas between, or all. [default: 1,5,10,20,30]")
    ] = None,
    out: Annotated[Path, typer.Option(help="The table as CSV.")] = Path("scores.csv"),
    run: Run = None,
    config: ConfigFiles = None,
) -> None:
    """Score anyone's predictions or forecasts, with intervals (docs/score-my-predictions.md)."""
    from moviestrip.evaluation.dtw import DtwOptions
    from moviestrip.evaluation.protocols import protocol_named
    from moviestrip.scoring.forecasts import COLUMNS, score_forecast_file
    from moviestrip.scoring.score import score_file, write_report
    from moviestrip.scoring.truth import read_truth

    asked = _horizons(horizons)
    if (meshes and forecast) or (asked is not None and not forecast):
        raise ConfigError("--meshes is of predictions, --horizons of forecasts (--forecast); leave one of them out")
    job = job_of(run, None, config)
    body, settings = job.body(), job.settings.config().evaluation
    against, how = read_truth(truth, job.run, body), protocol_named(protocol)
    certainty = (settings.bootstrap_samples, settings.interval_percent)
    if forecast:
        report = score_forecast_file(file, against, how, body, by, asked, DtwOptions.of(settings.dtw), *certainty)
    else:
        report = score_file(file, against, how, body, by, meshes, *certainty, body_of=job.body_for)
    write_report(report, out)
    _print_report(report, COLUMNS if forecast else tuple(report.table.columns))
    print(f"written: {out}")


def _horizons(asked: str | None) -> tuple[int, ...] | Literal["all"] | None:
    if asked is None or asked == "all":
        return "all" if asked else None
    try:
        return tuple(sorted({int(part) for part in asked.split(",")}))
    except ValueError as error:
        raise ConfigError(f"--horizons {asked}: frames with commas between, such as 1,5,10, or all") from error


def _print_report(report: "Report", columns: Sequence[str]) -> None:
    """Within 80 columns, as far as the numbers allow."""
    from moviestrip.evaluation.protocols import UP_TO_HORIZON

    table = plain_table(*(name.replace("_", " ") for name in columns))
    table.padding = (0, 1, 0, 0) if len(columns) > 9 else (0, 1)
    for name in ("metric", "unit"):
        table.columns[columns.index(name)].no_wrap = True
    named = report.table["metric"].str.replace(UP_TO_HORIZON, ", mean")
    for row in report.table.assign(metric=named)[list(columns)].itertuples(index=False):
        table.add_row(*(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row))
    Console().print(table)
    for line in report.lines:
        print(line)


@app.command(rich_help_panel="Questions")
def status(
    run: Run = None,
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only this stage, with every dataset, variant or table.")] = None,
    watch: Annotated[float | None, typer.Option(min=1, metavar="SECONDS", help="Ask again and again.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    config: ConfigFiles = None,
) -> None:
    """How far a run is: done, running, failed and waiting jobs of each stage, from the files alone."""
    from moviestrip.status.show import as_json as values_of
    from moviestrip.status.show import show
    from moviestrip.status.work import Question

    if as_json and watch is not None:
        raise ConfigError("--watch is for people; leave it out, and ask again for new --json")
    question = Question.of(configuration(config), config_folder(config), run_folder(run, config), stage, dataset)
    if as_json:
        print(_json(values_of(question.answer(), question.workload)))
    else:
        show(question, f"snakemake --cores N{_configfiles(config)}", watch)


def _configfiles(files: Sequence[Path] | None) -> str:
    return " --configfile " + " ".join(map(str, files)) if files else ""


@app.command(rich_help_panel="Questions")
def doctor(
    cluster: Annotated[
        bool, typer.Option("--cluster", help="What a run on Slurm needs, and how far this machine has it.")
    ] = False,
    profile: Annotated[Path, typer.Option(help="With --cluster: the profile that a run would use.")] = Path(
        "workflow/profiles/slurm"
    ),
    run: Run = None,
    config: ConfigFiles = None,
) -> None:
    """Say what is installed, which parts will be used, and what an optional package would add."""
    from moviestrip.doctor import cluster_findings, findings

    files = config or ([Path("config.yaml")] if Path("config.yaml").is_file() else None)
    table = plain_table("what", "state", "detail")
    colours = {"ok": "green", "on demand": "cyan", "optional": "yellow", "missing": "red"}
    if cluster:
        found = cluster_findings(profile, run_folder(run, files).root if run or files else Path("results"))
    else:
        found = findings(configuration(files) if files else None)
    for finding in found:
        table.add_row(finding.what, f"[{colours[finding.state]}]{finding.state}[/]", escape(finding.detail))
    Console().print(table)


@app.command(rich_help_panel="Questions")
def why(
    path: Annotated[Path, typer.Argument(help="Any output of a run, such as a table.")],
    row: Annotated[str | None, typer.Option(help="Of a table's CSV: a row's id, label, variant or action.")] = None,
    column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="DATASET@HORIZON:METRIC/ACTION+dtw, what tells it apart.")
    ] = None,
    settings: Annotated[bool, typer.Option("--settings", help="Every key that was read, with its value.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines, with all settings.")] = False,
) -> None:
    """Print how a file, or one cell of a table, came to be, back to the videos."""
    from moviestrip.papers.history import cell_history
    from moviestrip.provenance import chain, links_as_json, tree_lines

    if row is not None or column is not None:
        history = cell_history(path, row, column)
        lines = [_json(history.as_json())] if as_json else history.lines(settings)
    else:
        links = chain(path)
        lines = [_json(links_as_json(links))] if as_json else tree_lines(links, settings)
    print("\n".join(lines))


def _json(found: object) -> str:
    return json.dumps(found, indent=2, ensure_ascii=False)


@app.command(rich_help_panel="Questions")
def gallery(
    to: Annotated[Path, typer.Option(help="A folder; pictures of the same names are replaced.")] = Path(
        "docs/pictures"
    ),
    dataset: Annotated[list[str] | None, typer.Option(help="Only this one. [default: all that are rendered]")] = None,
    run: Run = None,
    config: ConfigFiles = None,
) -> None:
    """Write the README's small pictures from a finished run of the miniature world."""
    from moviestrip.stages.gallery import gallery

    written, left_out = gallery(run_folder(run, config), to, dataset or ())
    for path in written:
        print(f"{path.stat().st_size:9,} bytes  {path}")
    for line in left_out:
        print(f"left out: {line}")


@app.command(rich_help_panel="Questions")
def forget(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Videos, clips, sources or addresses.")],
    reason: Annotated[str, typer.Option(help="Why, for the list of what is forgotten; not who asked.")],
    models: Annotated[bool, typer.Option("--models", help="Remove now what was learnt from them, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    run: Run = None,
    config: ConfigFiles = None,
) -> None:
    """Take videos down: remove what was made of them, and never use them again (docs/rights.md)."""
    from datetime import UTC, datetime

    from moviestrip.stages.forgetting import forget, to_forget

    folder, whole = run_folder(run, config), configuration(config)
    for line in to_forget(folder, whole, ids, models).lines():
        print(line)
    if dry_run:
        return
    if not yes:
        typer.confirm("Remove them?", abort=True)
    forget(folder, whole, config_folder(config), ids, reason, datetime.now(UTC).date().isoformat(), models)
    print(f"removed; listed in {whole.forgotten}")
