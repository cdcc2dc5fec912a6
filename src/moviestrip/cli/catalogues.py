"""What there is: datasets, variants, tables, claims, protocols, configuration keys; listed, shown, checked."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from moviestrip import stages
from moviestrip.cli.options import (
    WIDE_COLUMNS,
    ConfigFiles,
    Dataset,
    Run,
    SettingsJson,
    TableName,
    Variant,
    config_folder,
    configuration,
    job_of,
    plain_table,
    run_folder,
)
from moviestrip.errors import ConfigError
from moviestrip.layout import RunFolder
from moviestrip.settings import StageSettings
from moviestrip.storage import write_text

if TYPE_CHECKING:
    from moviestrip.config import DatasetSettings

dataset_app = typer.Typer(help="List, check and look at datasets.", no_args_is_help=True)
variants_app = typer.Typer(help="The models: what each is, and the table rows it fills.", no_args_is_help=True)
tables_app = typer.Typer(help="The 25 tables of the four papers.", no_args_is_help=True)
figures_app = typer.Typer(help="The papers' figures that a run can remake.", no_args_is_help=True)
claims_app = typer.Typer(help="Judge the papers' claims on this run's tables; or list and show the verdicts.")
smoothing_app = typer.Typer(help="Hold learned models against smoothed static ones; or show what came out.")
protocols_app = typer.Typer(help="Named evaluation choices.", no_args_is_help=True)
config_app = typer.Typer(help="Check the configuration, or print its documentation.", no_args_is_help=True)

SHORT_STATES = {
    "no path is given": "not given",
    "there is no such folder": "no folder",
    "there is no such file": "no file",
}


@dataset_app.command("list")
def dataset_list(
    wide: Annotated[bool, typer.Option("--wide", help="Every column, for a wide terminal.")] = False,
    config: ConfigFiles = None,
) -> None:
    """Datasets that are defined: their role, whether this configuration uses them, and whether they are there."""
    from moviestrip.config import load_dataset
    from moviestrip.papers.readiness import source_state

    folder, settings = config_folder(config), configuration(config)
    further = ("supervision", "splits", "place") if wide else ()
    table = plain_table("dataset", "role", "plays", "used", "state", *further)
    table.columns[0].no_wrap = True
    for file in sorted((folder / "datasets").glob("*.yaml")):
        dataset = load_dataset(file.stem, folder, settings.data_folders)
        splits = ", ".join(split for split in ("train", "validation", "test") if split in dataset.splits)
        used_here = "yes" if file.stem in settings.datasets else ""
        state, _, place = source_state(file.stem, dataset).partition(": ")
        more = (dataset.supervision, splits, escape(place)) if wide else ()
        table.add_row(file.stem, dataset.role, dataset.plays, used_here, SHORT_STATES.get(state, state), *more)
    Console(width=WIDE_COLUMNS if wide else None).print(table)


@dataset_app.command("check")
def dataset_check(
    name: Dataset,
    run: Run = None,
    whole: Annotated[bool, typer.Option("--all", help="Of a release: read every label, not a few videos'.")] = False,
    config: ConfigFiles = None,
) -> None:
    """Check a dataset: as a run has it, with a picture of its labels; or a release that no run has read yet.

    Of a release it counts the videos of each split beside the totals that its authors print, and the labels of a few
    videos or of all; whatever cannot be read is named, and the next video is tried.
    """
    from moviestrip.config import OfficialSource, load_dataset
    from moviestrip.stages.pictures import is_labelled

    job = stages.Job(run_folder(run, config), StageSettings({}))
    chosen = configuration(config)
    settings = load_dataset(name, config_folder(config), chosen.data_folders, chosen.dataset_files)
    if isinstance(settings.source, OfficialSource) and (whole or not is_labelled(job, name)):
        print(f"{settings.title}, the release in {settings.source.path}, split by the rule '{settings.source.rule}'")
        _check_release(name, settings, whole)
        return
    found = stages.check(job, name)
    for what, count in found.counts.items():
        print(f"{count:8,} {what}")
    print(f"picture: {job.run.figures / 'datasets' / name}.png")
    _end_with(found.problems)


def _check_release(name: str, settings: "DatasetSettings", whole: bool) -> None:
    from moviestrip.datasets.official.report import lines_of
    from moviestrip.stages.pictures import check_release

    found = check_release(name, settings, whole)
    for line in lines_of(found):
        print(line)
    _end_with(found.problems)


def _end_with(problems: Sequence[str]) -> None:
    """Name what is wrong on standard error; with anything wrong the exit code is 3."""
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    if problems:
        raise typer.Exit(3)


@dataset_app.command("show")
def dataset_show(name: Dataset, run: Run = None, config: ConfigFiles = None) -> None:
    """Everything about a dataset: licence, expected files, what is found, which tables need it, and a picture."""
    from moviestrip.config import OfficialSource, load_dataset
    from moviestrip.papers.release_documentation import facts_of
    from moviestrip.stages.pictures import is_labelled, release_picture

    job, whole = stages.Job(run_folder(run, config), StageSettings({})), configuration(config)
    settings = load_dataset(name, config_folder(config), whole.data_folders, whole.dataset_files)
    for line in facts_of(name, settings, whole, config_folder(config)):
        print(line)
    picture: Path | None = None
    problems: list[str] = []
    if isinstance(settings.source, OfficialSource):
        if settings.source.path is not None and settings.source.path.is_dir():
            picture, problems = release_picture(job, name, settings)
    elif is_labelled(job, name):
        picture = stages.contact_sheet(job, name)
    if picture is not None:
        print(f"picture: {picture}")
    _end_with(problems)


@dataset_app.command("card")
def dataset_card(name: Dataset, run: Run = None, config: ConfigFiles = None) -> None:
    """Write a dataset's card: source, counts, licence, consent, dates, limits, how to have a video removed."""
    job = job_of(run, None, config)
    path = stages.card(job, name)
    print(path.read_text(encoding="utf-8"))
    print(f"written to {path}", file=sys.stderr)


@dataset_app.command("export")
def dataset_export(
    name: Dataset,
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    run: Run = None,
    config: ConfigFiles = None,
) -> None:
    """Write a dataset's ids, clips and keypoints without a pixel, to give away what may be given away."""
    from moviestrip.config import load_dataset
    from moviestrip.datasets.export import export_dataset

    whole = configuration(config)
    settings = load_dataset(name, config_folder(config), whole.data_folders, whole.dataset_files)
    for what, count in export_dataset(run_folder(run, config), name, settings, out).items():
        print(f"{count:8,} {what}")
    print(f"written to {out}")


@dataset_app.command("document")
def dataset_document(config: ConfigFiles = None) -> None:
    """Print every release of the papers (docs/datasets.md)."""
    from moviestrip.papers.release_documentation import document

    print(document(configuration(config), config_folder(config)), end="")


@dataset_app.command("sheet")
def dataset_sheet(
    name: Dataset,
    people: Annotated[bool, typer.Option("--people", help="Everyone tracked, numbered, over whole frames.")] = False,
    run: Run = None,
    config: ConfigFiles = None,
) -> None:
    """Draw a dataset's contact sheet: its labels on the people, or everyone that is tracked."""
    draw = stages.people_sheet if people else stages.contact_sheet
    print(draw(stages.Job(run_folder(run, config), StageSettings({})), name), file=sys.stderr)


@variants_app.command("list")
def variants_list(
    run: Annotated[Path | None, typer.Option("--run", help="Say how far this run's folder has each.")] = None,
    wide: Annotated[bool, typer.Option("--wide", help="Every column, for a wide terminal.")] = False,
    config: ConfigFiles = None,
) -> None:
    """Every model that is defined, and the table rows it fills."""
    from moviestrip.papers.variants import variant_list

    folder = RunFolder(run) if run is not None else None
    found = variant_list(configuration(config), config_folder(config), folder)
    hidden = ["title", "rows", "backbone", *(["weights"] if run else [])]
    shown = found.drop(columns=["tables"] if wide else hidden)
    table = plain_table(*shown.columns)
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

    settings, folder = configuration(config), config_folder(config)
    table = plain_table("key", "value", "set in")
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

    table = plain_table("table", "title", "state", "ours", "missing")
    for row in table_states(configuration(config)).itertuples():
        table.add_row(*(escape(str(value)) for value in row[1:]))
    Console().print(table)


@tables_app.command("show")
def tables_show(name: TableName, run: Run = None, config: ConfigFiles = None) -> None:
    """Print a finished table."""
    path = run_folder(run, config).table(name, "md")
    if not path.is_file():
        raise ConfigError(f"{path}: not made yet; run `snakemake --cores 2 {path}`")
    print(path.read_text())


@figures_app.command("list")
def figures_list(run: Run = None, config: ConfigFiles = None) -> None:
    """Every figure: where it is from, and whether this configuration can draw it."""
    from moviestrip.papers.figures import FIGURES
    from moviestrip.papers.worlds import Setting

    setting, folder = Setting.of(configuration(config)), run_folder(run, config)
    table = plain_table("figure", "title", "source", "state")
    for figure in FIGURES:
        state = "drawn" if folder.figure(figure.name).is_dir() else figure.missing_in(setting) or "can be drawn"
        table.add_row(figure.name, figure.title, figure.source, state)
    Console().print(table)


@claims_app.callback(invoke_without_command=True)
def claims(context: typer.Context, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None) -> None:
    """Judge the papers' claims on this run's tables; or list and show the verdicts."""
    if context.invoked_subcommand is None:
        stages.claims(job_of(run, settings, config))


@claims_app.command("list")
def claims_list(
    verdict: Annotated[str | None, typer.Option(help="Only these: holds, fails, undecided, ...")] = None,
    run: Run = None,
    config: ConfigFiles = None,
) -> None:
    """Every claim: the verdict on the printed numbers and on ours, by how much, and why not."""
    from moviestrip.papers.claims import claim_list

    ledger = stages.ledger(run_folder(run, config))
    verdicts = sorted(ledger["verdict"].unique())
    if verdict is not None and verdict not in verdicts:
        raise ConfigError(f"--verdict {verdict}: no claim has it; here: {', '.join(verdicts)}")
    table = plain_table("claim", "printed", "ours", "effect", "cause")
    for row in claim_list(ledger if verdict is None else ledger[ledger["verdict"] == verdict]).itertuples(index=False):
        table.add_row(*(escape(str(value)) for value in row))
    Console().print(table)


@claims_app.command("show")
def claims_show(
    claim: Annotated[str, typer.Argument(help="Such as hmmr-01.")], run: Run = None, config: ConfigFiles = None
) -> None:
    """Everything about one claim: its check, both sides' numbers, and the tables they stand in."""
    from moviestrip.papers.claims import claim_page

    print(claim_page(claim, stages.ledger(run_folder(run, config))))


@claims_app.command("compare")
def claims_compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Folders of runs with other seeds; or one, of several training seeds."),
    ],
    pooled: Annotated[bool, typer.Option("--pooled", help="Judge all of them together, too.")] = False,
    every: Annotated[bool, typer.Option("--all", help="List claims that agree, and those not compared, too.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write every claim to this file.")] = None,
) -> None:
    """Whether runs with other seeds come to the same verdicts (docs/claims.md)."""
    from moviestrip.papers.agreement import LEGEND, comparison_rows, summary_lines

    compared = stages.compare_runs([RunFolder(run) for run in runs], pooled)
    if csv is not None:
        write_text(csv, compared.to_csv(index=False, float_format="%.6g"))
    header, rows = comparison_rows(compared, every)
    table = plain_table(*header)
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*map(escape, row))
    if rows:
        Console().print(table)
        print(LEGEND)
    for line in summary_lines(compared):
        print(line)


@smoothing_app.callback(invoke_without_command=True)
def smoothing(
    context: typer.Context, run: Run = None, settings: SettingsJson = None, config: ConfigFiles = None
) -> None:
    """Hold learned models against smoothed static ones; or show what came out."""
    if context.invoked_subcommand is None:
        stages.smoothing(job_of(run, settings, config))


@smoothing_app.command("show")
def smoothing_show(
    cells: Annotated[bool, typer.Option("--cells", help="Every cell with its interval, for a wide terminal.")] = False,
    run: Run = None,
    config: ConfigFiles = None,
) -> None:
    """Where temporal models beat the best smoothed static one of their table, and where not (docs/evaluation.md)."""
    from moviestrip.papers.smoothing import comparison_list, summary, tally

    compared = stages.smoothing_comparison(run_folder(run, config))
    shown = comparison_list(compared) if cells else tally(compared)
    table = plain_table(*shown.columns)
    for row in shown.itertuples(index=False):
        table.add_row(*(escape(str(value)) for value in row))
    if len(shown):
        Console(width=WIDE_COLUMNS if cells else None).print(table)
    for line in summary(compared):
        print(line)


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
    from moviestrip.config import check_variants, load_dataset, load_variants

    config = configuration(files)
    folder = config_folder(files)
    places = config.data_folders, config.dataset_files
    datasets = {name: load_dataset(name, folder, *places) for name in config.datasets}
    check_variants(load_variants(config, folder, datasets), config.features.backbone, datasets)
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
