"""``augpipe convert``: a dataset in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from augpipe.errors import UsageError, one_line

from . import shared

PAIRS = ("voc-to-coco", "coco-to-voc")
EXAMPLE = "Example: augpipe convert voc-to-coco data/voc data/instances.json"
_SHOWN_FAULTS = 10


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(convert)


@shared.handled
def convert(  # noqa: PLR0913, PLR0917 - one parameter an option
    pair: Annotated[str, typer.Argument(metavar="A-to-B", help=f"One of {', '.join(PAIRS)}.")],
    src: shared.Source,
    dst: Annotated[Path, typer.Argument(metavar="DST", help="A .json takes annotations alone, a folder everything.")],
    split: shared.Split = None,
    classes: shared.Classes = None,
    images: shared.Images = None,
    limit: shared.Limit = None,
    voc_origin: shared.VocOrigin = 1,
    overwrite: shared.Overwrite = False,
    debug: shared.Debug = False,
) -> None:
    """Convert a dataset, exactly: boxes, ids and free fields are kept, what B cannot hold is told."""
    from augpipe.convert import convert as run

    if pair not in PAIRS:
        raise UsageError(f"unknown conversion '{one_line(pair)}'; known are {', '.join(PAIRS)}")
    before, _, after = pair.partition("-to-")
    options = shared.source_options(before, split, classes, images, limit, voc_origin=voc_origin)
    with shared.progress_bar(None) as bar:
        report = run(src, dst, after, options, overwrite, bar.update)
    typer.echo(f"{shared.plural(report.pictures, 'picture')}, {shared.plural(report.objects, 'object')} to {dst}")
    if report.dropped:
        typer.echo(f"dropped {shared.plural(report.dropped, 'object')} without a box that makes sense")
    if report.losses:
        typer.echo(f"{after} has no place for: {shared.counted(report.losses)}")
    if report.notes:
        typer.echo(f"found while reading: {shared.counted(report.notes)}")
    shared.say(*(f"note: {one_line(fault)}" for fault in report.faults[:_SHOWN_FAULTS]))
    if len(report.faults) > _SHOWN_FAULTS:
        shared.say(f"note: and {len(report.faults) - _SHOWN_FAULTS} more")
    if report.lost_pictures:
        shared.say(f"augpipe: {shared.plural(report.lost_pictures, 'picture')} could not be converted")
        raise typer.Exit(1)
