"""The command line: one command a stage, and the questions people ask of a run. Parse, call, report; no logic.

A stage is handed its settings as JSON by the workflow, or reads the whole configuration for a person:
`moviestrip track insta-mini insta-mini-0000` works in a fresh checkout as it does inside a rule.
Imports are inside the commands, so that each starts as fast as what it needs.
"""

import sys
from typing import Annotated

import typer

from moviestrip import __version__
from moviestrip.cli import catalogues, questions, stages
from moviestrip.errors import MoviestripError

app = typer.Typer(
    help="From videos to the papers' tables. Most people run `snakemake --cores 2`; each stage also runs alone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(stages.app)
app.add_typer(questions.app)
app.add_typer(catalogues.dataset_app, name="dataset")
app.add_typer(catalogues.variants_app, name="variants")
app.add_typer(catalogues.tables_app, name="tables")
app.add_typer(catalogues.figures_app, name="figures")
app.add_typer(catalogues.claims_app, name="claims", rich_help_panel="Stages")
app.add_typer(catalogues.smoothing_app, name="smoothing", rich_help_panel="Stages")
app.add_typer(catalogues.protocols_app, name="protocols")
app.add_typer(catalogues.config_app, name="config")


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


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if show:
        print(__version__)
