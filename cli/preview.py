"""``augpipe preview``: a sheet of pictures before and after, with their labels drawn."""

from __future__ import annotations

from typing import Annotated

import typer

from augpipe.core.errors import one_line

from . import progress, shared

EXAMPLE = "Example: augpipe preview data/voc --recipe detection -o sheet.png"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(preview)


@shared.handled
def preview(  # noqa: PLR0913, PLR0917 - one parameter an option
    src: shared.SourceArgument,
    recipe: shared.RecipeName,
    output: Annotated[str, typer.Option("--output", "-o", metavar="PNG", help="The sheet.")],
    copies: Annotated[int, typer.Option("--copies", "-n", help="Augmented pictures beside each original.")] = 3,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Pictures, spread over the dataset.")] = 5,
    seed: shared.Seed = 0,
    tile: Annotated[int, typer.Option("--tile", metavar="PX", help="Longest side of a picture on the sheet.")] = 320,
    overrides: shared.Set = None,
    ops: shared.Ops = None,
    format: shared.From = None,
    split: shared.Split = None,
    classes: shared.Classes = None,
    map: shared.Map = None,
    crowds: shared.Crowds = "keep",
    size_mismatch: shared.SizeMismatch = "keep",
    instances: shared.Instances = "keep",
    images: shared.Images = None,
    exif: shared.Exif = "upright",
    voc_origin: shared.VocOrigin = 1,
    void: shared.Void = 255,
    levels: shared.Range = "auto",
    bands: shared.Bands = None,
    channels: shared.Channels = "source",
    debug: shared.Debug = False,
) -> None:
    """Draw originals and augmented pictures with boxes, masks and keypoints on one sheet."""
    from augpipe.interactive.sheets import preview as drawn
    from augpipe.recipe.load import load

    place = shared.drawing_to(output, "--output", src, images)
    loaded = load(recipe, overrides or (), ops or ())
    source = shared.source_options(
        format,
        split,
        classes,
        images,
        map=map,
        crowds=crowds,
        size_mismatch=size_mismatch,
        instances=instances,
        exif=exif,
        voc_origin=voc_origin,
        void=void,
    )
    reading = shared.pixel_reading(levels, bands, channels)
    with progress.shown() as terminal:
        drawn(
            src,
            loaded,
            place or output,
            copies=copies,
            limit=limit,
            seed=seed,
            tile_px=tile,
            options=source,
            reading=reading,
            progress=terminal,
            note=lambda remark: terminal.say(f"note: {remark}"),
        )
    typer.echo(one_line(output, 4096))
