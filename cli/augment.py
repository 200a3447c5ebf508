"""``augpipe augment``: a dataset and a recipe become shards, or a dataset."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from augpipe.core.errors import UsageError, one_line
from augpipe.core.paths import local_path
from augpipe.formats.catalogue import SHARDS, targets

from . import running, shared

if TYPE_CHECKING:
    from augpipe.formats.layout.parting import Parting

EXAMPLE = "Example: augpipe augment data/voc shards --recipe detection --copies 4 --seed 7"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(augment)


@shared.handled
def augment(  # noqa: PLR0913, PLR0917 - one parameter an option
    src: shared.SourceArgument,
    dst: Annotated[str, typer.Argument(metavar="DST", help="Folder for the result; made if missing.")],
    recipe: shared.RecipeName,
    copies: Annotated[
        int | None, typer.Option("--copies", "-n", help="Augmented samples a picture; 1 if not given.")
    ] = None,
    seed: shared.Seed = 0,
    originals: Annotated[bool, typer.Option("--originals", help="Write each picture as it is, too.")] = False,
    to: Annotated[
        str, typer.Option("--to", metavar=f"shards|{'|'.join(targets())}", help="What to write: shards, or a dataset.")
    ] = SHARDS,
    kind: shared.Kind = None,
    ids: shared.Ids = "keep",
    workers: running.Workers = None,
    device: Annotated[
        str, typer.Option("--device", metavar="auto|cpu|cuda[:N|:all]", help="What moves the pixels.")
    ] = "auto",
    codec: Annotated[str, typer.Option("--codec", metavar="auto|cpu|gpu", help="What decodes and encodes.")] = "auto",
    overrides: shared.Set = None,
    format: shared.From = None,
    split: shared.Split = None,
    augment_split: Annotated[
        list[str] | None,
        typer.Option("--augment-split", metavar="S", help="A split that is augmented; train if none is named."),
    ] = None,
    pass_split: Annotated[
        list[str] | None, typer.Option("--pass-split", metavar="S", help="A split that is passed through as it is.")
    ] = None,
    val: Annotated[
        str | None, typer.Option("--val", metavar="P%", help="Make this share val, of a set without splits.")
    ] = None,
    test: Annotated[
        str | None, typer.Option("--test", metavar="P%", help="Make this share test, of a set without splits.")
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option("--group-by", metavar="REGEX", help="Pictures of which it matches the same stay in one split."),
    ] = None,
    classes: shared.Classes = None,
    map: shared.Map = None,
    crowds: shared.Crowds = "keep",
    size_mismatch: shared.SizeMismatch = "keep",
    images: shared.Images = None,
    limit: shared.Limit = None,
    exif: shared.Exif = "upright",
    voc_origin: shared.VocOrigin = 1,
    void: shared.Void = 255,
    levels: shared.Range = "auto",
    bands: shared.Bands = None,
    channels: shared.Channels = "source",
    picture: Annotated[
        str,
        typer.Option(
            "--picture",
            metavar="auto|jpg|png|webp",
            help="Format of the pictures; auto: png of lossless ones, else jpg.",
        ),
    ] = "auto",
    quality: Annotated[int, typer.Option("--quality", help="Quality of jpg and webp, 1 to 100.")] = 90,
    subsampling: Annotated[
        str, typer.Option("--subsampling", metavar="420|444", help="Colors of jpg by fours, or of each pixel.")
    ] = "420",
    sources_per_shard: Annotated[int | None, typer.Option(help="Pictures of a shard; chosen if not given.")] = None,
    max_pixels: Annotated[int, typer.Option(help="Larger pictures are rejected before they are decoded.")] = 64_000_000,
    truncated: Annotated[str, typer.Option(metavar="reject|keep", help="What to do with damaged JPEGs.")] = "reject",
    max_rejects: running.MaxRejects = "1%",
    max_dropped: running.MaxDropped = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Reject pictures of which labels or pixels are not read as they are.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the run in DST first.")] = False,
    check: running.Check = False,
    extend: Annotated[
        int | None, typer.Option("--extend", metavar="N", help="Add copies to the run in DST, up to N.")
    ] = None,
    tasks: Annotated[
        str | None, typer.Option("--tasks", metavar="A..B/N", help="Only pieces A to B (not B itself) of N.")
    ] = None,
    accept_version: running.AcceptVersion = False,
    time_limit: running.TimeLimit = None,
    debug: shared.Debug = False,
) -> None:
    """Augment a dataset into WebDataset shards, or with --to into a dataset of pictures and labels.

    The bytes depend on the data, the recipe, the seed and the options above, not on workers or cores.
    Run again into an unfinished DST to go on.
    """
    folder = local_path(dst)
    running.load_ahead(folder, workers)
    from augpipe.pixels.codec.image import PictureFormat
    from augpipe.recipe.load import load
    from augpipe.run.augment import Execution, Limits, RunOptions
    from augpipe.run.config import parse_slice
    from augpipe.run.devices import device_of

    running.require_form(to, kind, ids)
    _require_one_of("--picture", picture, ("auto", "jpg", "png", "webp"))
    _require_one_of("--subsampling", subsampling, ("420", "444"))
    _require_one_of("--truncated", truncated, ("reject", "keep"))
    loaded = load(recipe, overrides or ())
    chosen = device_of(folder, device, codec, overwrite=overwrite)
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
        void=void,
    )
    source = replace(source, parting=parting_of(val, test, group_by))
    options = RunOptions(
        copies=_copies(copies, extend),
        originals=originals,
        seed=seed,
        source=source,
        picture=PictureFormat(picture, quality, _subsampling(picture, subsampling)),
        reading=shared.pixel_reading(levels, bands, channels),
        sources_per_shard=sources_per_shard,
        max_pixels=max_pixels,
        truncated=truncated,  # type: ignore[arg-type]
        strict=strict,
        device=chosen,
        augment_splits=tuple(augment_split or ()),
        pass_splits=tuple(pass_split or ()),
    )
    execution = Execution(
        workers=workers,
        overwrite=overwrite,
        check=check,
        accept_version=accept_version,
        extend=extend is not None,
        tasks=None if tasks is None else parse_slice(tasks),
        patience=time_limit,
    )
    limits = Limits(max_rejects, max_dropped)
    shared.say(f"device: {chosen.sentence}")
    running.made(src, folder, loaded, options, execution, limits, (to, kind, ids))


def parting_of(val: str | None, test: str | None, group_by: str | None) -> Parting | None:
    """How a set without splits is parted, if it is."""
    from augpipe.formats.layout.parting import Parting, share_of

    if val is None and test is None:
        if group_by is not None:
            raise UsageError("--group-by keeps pictures together where --val or --test part them; say one of these")
        return None
    share = {"--val": 0.0, "--test": 0.0}
    share |= {name: share_of(text, name) for name, text in (("--val", val), ("--test", test)) if text is not None}
    parting = Parting(share["--val"], share["--test"], group_by)
    parting.check()
    return parting


def _copies(copies: int | None, extend: int | None) -> int:
    """The number of copies; beside ``--extend``, ``--copies`` is the number before."""
    if extend is None:
        return 1 if copies is None else copies
    if copies is not None and copies > extend:
        raise UsageError(f"--extend {extend} of --copies {copies}: copies are added, so expected {copies} or more")
    return extend


def _subsampling(picture: str, asked: str) -> str:
    """What run.json says of the colors of pictures: ``none`` where no picture is a JPEG."""
    if picture == "webp" and asked == "444":
        raise UsageError(
            "--subsampling 444: WebP has the colors of each pixel only where it is lossless; take --picture jpg"
        )
    return "none" if picture in ("png", "webp") else ":".join(asked)


def _require_one_of(option: str, value: str, possible: tuple[str, ...]) -> None:
    if value not in possible:
        raise UsageError(f"{option} {one_line(value)}: expected {' or '.join(possible)}")
