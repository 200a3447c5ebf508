"""``augpipe tile``: large pictures become shards of windows that cover them."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from . import shared, windows

EXAMPLE = "Example: augpipe tile data/dota tiles --size 1024 --overlap 0.2 --keep-empty 10%"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(tile)


@shared.handled
@windows.with_run_options
def tile(
    src: shared.SourceArgument,
    dst: windows.Destination,
    size: Annotated[str, typer.Option("--size", metavar="N|WxH", help="Pixels of a window.")],
    run: windows.RunArguments,
    overlap: Annotated[
        str, typer.Option("--overlap", metavar="SHARE|PX", help="What neighbours share at least, as 0.2, 20% or 200px.")
    ] = "0.2",
    min_visibility: Annotated[
        float, typer.Option("--min-visibility", help="Least share of an object that a window shows, to keep its label.")
    ] = 0.1,
    keep_empty: Annotated[
        str, typer.Option("--keep-empty", metavar="P%", help="Share of the windows without labels that stay.")
    ] = "100%",
    pad: Annotated[
        bool, typer.Option("--pad", help="Fill up windows of pictures that are smaller, to the right and below.")
    ] = False,
) -> None:
    """Cut pictures into windows of one size, with their labels, as WebDataset shards.

    Windows cover each picture; the last of a row or column is moved back into it. The pixels are the source's own.
    """
    from augpipe.windows.spec import tiles_of

    spec = partial(tiles_of, size, overlap, keep_empty, pad=pad)
    windows.carried_out(src, dst, "tile", spec, {"min_visibility": min_visibility}, run)
