"""``augpipe preview``: a sheet of pictures before and after, with their labels drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from augpipe.core.errors import RunError, UsageError, one_line

from . import progress, shared

if TYPE_CHECKING:
    from augpipe.run.dry_run import Sample
    from augpipe.viz.sheet import Tile

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
    format: shared.From = None,
    split: shared.Split = None,
    classes: shared.Classes = None,
    map: shared.Map = None,
    crowds: shared.Crowds = "keep",
    size_mismatch: shared.SizeMismatch = "keep",
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
    from augpipe.core.errors import Reject
    from augpipe.formats.registry import open_dataset
    from augpipe.recipe.load import load
    from augpipe.run.dry_run import augmented_part, samples
    from augpipe.storage.remote import shown
    from augpipe.viz.sheet import save_png, sheet

    if not (0 <= copies <= 20 and 1 <= limit <= 200 and 32 <= tile <= 2000):
        raise UsageError("expected 0 to 20 copies, 1 to 200 pictures and tiles of 32 to 2000 pixels")
    place = shared.drawing_to(output, "--output", src, images)
    loaded = load(recipe, overrides or ())
    source = shared.source_options(
        format,
        split,
        classes,
        images,
        map=map,
        crowds=crowds,
        size_mismatch=size_mismatch,
        exif=exif,
        voc_origin=voc_origin,
        void=void,
    )
    reading = shared.pixel_reading(levels, bands, channels)
    rows, keys = [], []
    with progress.shown() as terminal:
        dataset, remark = augmented_part(open_dataset(src, source))
        if remark:
            terminal.say(f"note: {remark}")
        terminal.begin(min(limit, len(dataset.entries)))
        for sampled in samples(dataset, loaded, seed, copies, limit, reading=reading, source=src):
            terminal.update(1)
            if isinstance(sampled, Reject):
                terminal.say(f"note: {one_line(sampled.message)}")
                continue
            rows.append([_tile(sample, copy) for copy, sample in enumerate(sampled.samples, start=-1)])
            keys.append(sampled.key)
    if not rows:
        raise RunError(f"{src}: no picture could be read")
    categories = {c.id: c for c in dataset.categories}
    title = f"{Path(shown(src)).name} · {loaded.name} · seed {seed}"
    save_png(place or output, sheet(rows, categories, tile_px=tile, title=title, keys=keys))
    typer.echo(one_line(output, 4096))


def _tile(sample: Sample, copy: int) -> Tile:
    from augpipe.viz.sheet import Tile

    annotations = sample.labels.annotations
    if copy < 0:
        h, w = sample.pixels.shape[:2]
        caption = f"{w}×{h} · {shared.plural(len(annotations.objects), 'object')}"
        return Tile(sample.pixels, annotations, caption, "original")
    names = [drawn.name.rpartition("/")[2] for drawn in sample.plan.drawn]
    return Tile(sample.pixels, annotations, " · ".join(names), f"copy {copy}")
