"""``augpipe crops``: each object becomes a picture of its own."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from . import shared, windows

EXAMPLE = "Example: augpipe crops data/voc words --margin 0.1 --min-side 8"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(crops)


@shared.handled
@windows.with_run_options
def crops(
    src: shared.SourceArgument,
    dst: windows.Destination,
    run: windows.RunArguments,
    margin: Annotated[
        str,
        typer.Option("--margin", metavar="SHARE|PX", help="Beside the box: a share of its sides as 0.1, or 16px."),
    ] = "0.1",
    square: Annotated[bool, typer.Option("--square", help="Widen windows to squares, as far as pictures go.")] = False,
    others: Annotated[
        bool, typer.Option("--others", help="Keep the labels of other objects that a window shows, too.")
    ] = False,
    min_side: Annotated[
        float, typer.Option("--min-side", metavar="PX", help="Leave out objects whose box has a shorter side.")
    ] = 0.0,
) -> None:
    """Cut a picture out around each object, with its class as tag and its own labels, as WebDataset shards."""
    from augpipe.windows.spec import object_windows_of

    spec = partial(object_windows_of, margin, square=square, others=others, min_side=min_side)
    windows.carried_out(src, dst, "crops", spec, {}, run)
