"""The command line: parse, call the library, print. One file a command.

Nothing heavy is imported here or at the top of a command's file: ``augpipe --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from augpipe import __version__

from . import augment, convert, doctor, inspect, plan, preview, recipes, retry, verify

# NumPy's BLAS would start a thread a core, and a program without threads can fork (augpipe.core.parallel).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

app = typer.Typer(
    name="augpipe",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Preprocess and augment vision datasets offline, with labels that stay right.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"augpipe {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for module in (augment, retry, convert, preview, plan, inspect, verify, doctor):
    module.add_to(app)
app.add_typer(recipes.app, name="recipes")


def main() -> None:
    """Entry point of the ``augpipe`` command."""
    if sys.platform == "win32":
        sys.exit("augpipe does not run on Windows yet; it does in WSL")
    app()
