"""What there is: datasets, variants, tables, claims, protocols, configuration keys; listed, shown, checked."""

import sys
from pathlib import Path
from typing import Annotated

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

dataset_app = typer.Typer(help="List, check and look at datasets.", no_args_is_help=True)
variants_app = typer.Typer(help="The models: what each is, and the table rows it fills.", no_args_is_help=True)
tables_app = typer.Typer(help="The 25 tables of the four papers.", no_args_is_help=True)
figures_app = typer.Typer(help="The papers' figures that a run can remake.", no_args_is_help=True)
claims_app = typer.Typer(help="Judge the papers' claims on this run's tables; or list and show the verdicts.")
protocols_app = typer.Typer(help="Named evaluation choices.", no_args_is_help=True)
config_app = typer.Typer(help="Check the configuration, or print its documentation.", no_args_is_help=True)


@dataset_app.command("list")
def dataset_list(config: ConfigFiles = None) -> None:
    """Datasets that are defined: their role, what they play, whether this configuration uses them."""
    from moviestrip.config import load_dataset

    folder, used = config_folder(config), configuration(config).datasets
    table = plain_table("dataset", "role", "plays", "supervision", "splits", "used")
    for file in sorted((folder / "datasets").glob("*.yaml")):
        dataset = load_dataset(file.stem, folder)
        splits = ", ".join(split for split in ("train", "validation", "test") if split in dataset.splits)
        used_here = "yes" if file.stem in used else ""
        table.add_row(file.stem, dataset.role, dataset.plays, dataset.supervision, splits, used_here)
    Console().print(table)


@dataset_app.command("check")
def dataset_check(name: Dataset, run: Run = None, config: ConfigFiles = None) -> None:
    """Check a dataset's files in a run, count them, and draw a contact sheet with the labels over the frames."""
    folder = run_folder(run, config)
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
    stages.contact_sheet(stages.Job(run_folder(run, config), StageSettings({})), name)


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
def claims_list(run: Run = None, config: ConfigFiles = None) -> None:
    """Every claim: the verdict on the printed numbers and on ours, and by how much."""
    from moviestrip.papers.claims import claim_list

    table = plain_table("claim", "printed", "ours", "effect", "low", "high", "unit")
    for row in claim_list(stages.ledger(run_folder(run, config))).itertuples(index=False):
        table.add_row(*(escape(str(value)) for value in row))
    Console().print(table)


@claims_app.command("show")
def claims_show(
    claim: Annotated[str, typer.Argument(help="Such as hmmr-01.")], run: Run = None, config: ConfigFiles = None
) -> None:
    """Everything about one claim: its check, both sides' numbers, and the tables they stand in."""
    from moviestrip.papers.claims import claim_page

    print(claim_page(claim, stages.ledger(run_folder(run, config))))


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
    datasets = {name: load_dataset(name, folder, config.data_folders) for name in config.datasets}
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
