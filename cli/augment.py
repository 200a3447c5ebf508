"""``augpipe augment``: a dataset and a recipe become shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augpipe.errors import UsageError, one_line

from . import shared

if TYPE_CHECKING:
    from augpipe.run.augment import Summary

EXAMPLE = "Example: augpipe augment data/voc shards --recipe detection --copies 4 --seed 7"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(augment)


@shared.handled
def augment(  # noqa: PLR0913, PLR0917 - one parameter an option
    src: shared.Source,
    dst: Annotated[Path, typer.Argument(metavar="DST", help="Folder for the shards; made if missing.")],
    recipe: shared.RecipeName,
    copies: Annotated[int, typer.Option("--copies", "-n", help="Augmented samples a picture.")] = 1,
    seed: shared.Seed = 0,
    originals: Annotated[bool, typer.Option("--originals", help="Write each picture as it is, too.")] = False,
    workers: Annotated[int | None, typer.Option("--workers", "-w", help="Processes; one a core if not given.")] = None,
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="What moves the pixels.")] = "auto",
    codec: Annotated[str, typer.Option("--codec", metavar="auto|cpu|gpu", help="What decodes and encodes.")] = "auto",
    overrides: shared.Set = None,
    format: shared.From = None,
    split: shared.Split = None,
    classes: shared.Classes = None,
    images: shared.Images = None,
    limit: shared.Limit = None,
    exif: shared.Exif = "upright",
    voc_origin: shared.VocOrigin = 1,
    void: shared.Void = 255,
    picture: Annotated[str, typer.Option("--picture", metavar="jpg|png", help="Format of the pictures.")] = "jpg",
    quality: Annotated[int, typer.Option("--quality", help="JPEG quality, 1 to 100.")] = 90,
    sources_per_shard: Annotated[int | None, typer.Option(help="Pictures of a shard; chosen if not given.")] = None,
    max_pixels: Annotated[int, typer.Option(help="Larger pictures are rejected before they are decoded.")] = 64_000_000,
    truncated: Annotated[str, typer.Option(metavar="reject|keep", help="What to do with damaged JPEGs.")] = "reject",
    max_rejects: Annotated[
        str, typer.Option(metavar="N|P%", help="Pictures that may be rejected before the run counts as failed.")
    ] = "1%",
    max_dropped: Annotated[
        str | None, typer.Option(metavar="N|P%", help="Objects that may be dropped before the run counts as failed.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Reject pictures of which a label had to be dropped, mended or guessed.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the run in DST first.")] = False,
    debug: shared.Debug = False,
) -> None:
    """Augment a dataset into WebDataset shards.

    The bytes of the shards depend on the data, the recipe, the seed and the options above, not on workers or cores.
    Run again into an unfinished DST to go on.
    """
    from augpipe.pixels.codec import PictureFormat
    from augpipe.recipe.load import load
    from augpipe.run.augment import Limits, RunOptions
    from augpipe.run.augment import augment as run

    _require_one_of("--picture", picture, ("jpg", "png"))
    _require_one_of("--truncated", truncated, ("reject", "keep"))
    if workers is not None and workers < 0:
        raise UsageError(f"--workers {workers}: expected 0 (in this process) or more")
    chosen = _device(device, codec)
    source = shared.source_options(format, split, classes, images, limit, exif=exif, voc_origin=voc_origin, void=void)
    subsampling = "4:2:0" if picture == "jpg" else "none"
    options = RunOptions(
        copies=copies,
        originals=originals,
        seed=seed,
        source=source,
        picture=PictureFormat(picture, quality, subsampling),
        sources_per_shard=sources_per_shard,
        max_pixels=max_pixels,
        truncated=truncated,  # type: ignore[arg-type]
        strict=strict,
    )
    loaded = load(recipe, overrides or ())
    shared.say(f"device: {chosen}")
    with shared.progress_bar(None) as bar:
        summary = run(
            src,
            dst,
            loaded,
            options,
            workers=workers,
            limits=Limits(max_rejects, max_dropped),
            overwrite=overwrite,
            watcher=_watcher(bar),
        )
    _print(summary)
    if summary.failed:
        shared.say(f"augpipe: {summary.failed}")
        raise typer.Exit(1)


def _require_one_of(option: str, value: str, possible: tuple[str, ...]) -> None:
    if value not in possible:
        raise UsageError(f"{option} {one_line(value)}: expected {' or '.join(possible)}")


def _device(device: str, codec: str) -> str:
    """What the run uses, as one line says it.

    Raises:
        UsageError: something is asked for that this version cannot do.
    """
    from augpipe.device import resolve

    return resolve(device, codec)


def _watcher(bar: Any) -> Any:
    from augpipe.run.augment import Watcher

    class BarWatcher(Watcher):
        rejected = 0

        def started(self, dataset: Any, done_pictures: int) -> None:
            pictures = shared.plural(len(dataset.entries), "picture")
            shared.say(
                f"source: {dataset.format}, {pictures}, {shared.plural(len(dataset.categories), 'class')[:-1]}es"
                if len(dataset.categories) != 1
                else f"source: {dataset.format}, {pictures}, 1 class"
            )
            shared.say(*(f"note: {one_line(remark)}" for remark in self.remarks))
            if done_pictures:
                shared.say(f"going on: {shared.plural(done_pictures, 'picture')} are done already")
            bar.reset(total=len(dataset.entries))
            bar.update(done_pictures)

        def progress(self, pictures: int, rejected: int) -> None:
            self.rejected += rejected
            if self.rejected:
                bar.set_postfix(rejected=self.rejected, refresh=False)
            bar.update(pictures)

    return BarWatcher()


def _work(summary: Summary) -> str:
    """What this call did of it, in what time; samples that were there before it have no part in the rate."""
    took = f"in {summary.seconds:.1f} s"
    if not summary.made:
        return f"all of them made before; closed {took}" if summary.written else took
    rate = f" ({summary.made / summary.seconds:,.0f} samples/s)" if summary.seconds > 0 else ""
    return f"{took}{rate}" if summary.made == summary.written else f"{summary.made:,} of them now, {took}{rate}"


def _print(summary: Summary) -> None:
    if summary.already_done:
        typer.echo(f"{summary.folder}: nothing to do, the run is finished")
        return
    typer.echo(
        f"{shared.plural(summary.written, 'sample')} of {shared.plural(summary.pictures, 'picture')} in "
        f"{shared.plural(summary.shards, 'shard')}, {shared.megabytes(summary.bytes)}, {_work(summary)}"
    )
    dropped = sum(summary.dropped.values())
    told = f", truncated {summary.truncated:,}" if summary.truncated else ""
    told += f"; dropped {dropped:,}: {shared.counted(summary.dropped)}" if dropped else ""
    typer.echo(f"{shared.plural(summary.objects, 'object')}{told}")
    if summary.notes:
        typer.echo(f"found while reading: {shared.counted(summary.notes)}")
    if summary.rejected:
        typer.echo(
            f"rejected {shared.plural(summary.rejected, 'sample')} of "
            f"{shared.plural(summary.rejected_pictures, 'picture')}: {shared.counted(summary.rejects)}"
        )
    typer.echo(str(summary.folder))
