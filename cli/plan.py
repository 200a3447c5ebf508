"""``augpipe plan``: what would be done, without doing it."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from augpipe.core.errors import UsageError

from . import interrupts, shared, streams

EXAMPLE = "Example: augpipe plan data/voc --recipe detection --limit 3"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(plan)


@shared.handled
def plan(  # noqa: PLR0913, PLR0917 - one parameter an option
    src: shared.SourceArgument,
    recipe: shared.RecipeName,
    copies: Annotated[int, typer.Option("--copies", "-n", help="Plans a picture.")] = 1,
    seed: shared.Seed = 0,
    overrides: shared.Set = None,
    format: shared.From = None,
    split: shared.Split = None,
    classes: shared.Classes = None,
    map: shared.Map = None,
    crowds: shared.Crowds = "keep",
    size_mismatch: shared.SizeMismatch = "keep",
    images: shared.Images = None,
    limit: shared.Limit = None,
    exif: shared.Exif = "upright",
    voc_origin: shared.VocOrigin = 1,
    debug: shared.Debug = False,
) -> None:
    """Print the plans of a recipe on a dataset, one JSON object a line. No picture is decoded."""
    import msgspec

    from augpipe.formats.registry import open_dataset
    from augpipe.recipe.load import load
    from augpipe.run.dry_run import augmented_part, plans

    if copies < 1:
        raise UsageError(f"--copies {copies}: expected 1 or more")
    loaded = load(recipe, overrides or ())
    source = shared.source_options(
        format,
        split,
        classes,
        images,
        limit,
        map=map,
        crowds=crowds,
        size_mismatch=size_mismatch,
        exif=exif,
        voc_origin=voc_origin,
    )
    dataset, remark = augmented_part(open_dataset(src, source))
    shared.say(*([f"note: {remark}"] if remark else []))
    for row in plans(dataset, loaded, seed, copies):
        typer.echo(msgspec.json.encode(row, order="sorted").decode())
        if streams.reader_gone():  # as after `| head`: the rest is for nobody
            raise typer.Exit(interrupts.end_by(signal.SIGPIPE))
