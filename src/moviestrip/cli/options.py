"""Arguments that many commands take, and what they stand for: a configuration, a run's folder, a stage's job."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from moviestrip import stages
from moviestrip.config import Config, load_config
from moviestrip.layout import RunFolder
from moviestrip.settings import StageSettings

Dataset = Annotated[str, typer.Argument(help="Name of a file in config/datasets.")]
Shard = Annotated[str, typer.Argument(help="Name of a planned shard, such as studio-0000.")]
Variant = Annotated[str, typer.Argument(help="Name of a file in config/variants.")]
Seed = Annotated[int, typer.Argument(help="Training seed.")]
TableName = Annotated[str, typer.Argument(help="Paper and number, such as hmmr-2.")]
TableNames = Annotated[list[str], typer.Argument(metavar="NAME...", help="Papers and numbers, such as hmmr-2.")]
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
WIDE_COLUMNS = 240


def configuration(files: list[Path] | None) -> Config:
    return load_config(files or [Path("config.yaml")])


def config_folder(files: list[Path] | None) -> Path:
    """The folder with datasets/ and variants/: config/ beside the first file, or the file's own folder."""
    beside = (files or [Path("config.yaml")])[0].parent
    return next((folder for folder in (beside / "config", beside) if (folder / "datasets").is_dir()), beside)


def run_folder(run: Path | None, files: list[Path] | None) -> RunFolder:
    if run is not None:
        return RunFolder(run)
    config = configuration(files)
    return RunFolder(config.results / config.name)


def job_of(
    run: Path | None,
    settings: str | None,
    files: list[Path] | None,
    dataset: str | None = None,
    variant: str | None = None,
) -> stages.Job:
    if settings is not None:
        return stages.Job(run_folder(run, files), StageSettings.from_json(settings))
    whole = StageSettings.from_config(configuration(files), config_folder(files), dataset, variant)
    return stages.Job(run_folder(run, files), whole)


def plain_table(*columns: str, numbers: int = 0) -> Table:
    """A plain table whose last `numbers` columns are numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        is_number = index >= len(columns) - numbers
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    return table
