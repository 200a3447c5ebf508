"""What ``tile`` and ``crops`` share: the options of a run that makes its samples by windows and by no recipe."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from augpipe.core.errors import UsageError, one_line
from augpipe.core.paths import local_path
from augpipe.formats.catalogue import SHARDS, targets

from . import running, shared

if TYPE_CHECKING:
    from augpipe.windows.spec import WindowSpec

Destination = Annotated[str, typer.Argument(metavar="DST", help="Folder for the result; made if missing.")]

MAX_PIXELS = 256_000_000
"""Of a source, if not said otherwise: 16,000 × 16,000 pixels, decoded 768 MB."""


@dataclass(frozen=True)
class RunArguments:
    """The values of the options that both commands have; each field is one, in the order of the help."""

    seed: shared.Seed = 0
    to: Annotated[
        str, typer.Option("--to", metavar=f"shards|{'|'.join(targets())}", help="What to write: shards, or a dataset.")
    ] = SHARDS
    kind: shared.Kind = None
    ids: shared.Ids = "keep"
    workers: running.Workers = None
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="labels.NAME=VALUE", help="What becomes of labels, as in recipes."),
    ] = None
    format: shared.From = None
    split: shared.Split = None
    classes: shared.Classes = None
    images: shared.Images = None
    limit: shared.Limit = None
    exif: shared.Exif = "upright"
    voc_origin: shared.VocOrigin = 1
    void: shared.Void = 255
    levels: shared.Range = "auto"
    bands: shared.Bands = None
    channels: shared.Channels = "source"
    picture: Annotated[
        str,
        typer.Option(
            "--picture",
            metavar="auto|jpg|png|webp",
            help="Format of the pictures; auto: png of lossless ones, else jpg.",
        ),
    ] = "auto"
    quality: Annotated[int, typer.Option("--quality", help="Quality of jpg and webp, 1 to 100.")] = 90
    sources_per_shard: Annotated[
        int | None, typer.Option("--sources-per-shard", help="Pictures of a shard; chosen if not given.")
    ] = None
    max_pixels: Annotated[
        int, typer.Option("--max-pixels", help="Larger pictures are rejected; a worker takes 3 bytes a pixel.")
    ] = MAX_PIXELS
    truncated: Annotated[
        str, typer.Option("--truncated", metavar="reject|keep", help="What to do with damaged JPEGs.")
    ] = "reject"
    max_rejects: running.MaxRejects = "1%"
    max_dropped: running.MaxDropped = None
    strict: Annotated[
        bool, typer.Option("--strict", help="Reject pictures of which labels or pixels are not read as they are.")
    ] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the run in DST first.")] = False
    check: running.Check = False
    tasks: Annotated[
        str | None, typer.Option("--tasks", metavar="A..B/N", help="Only pieces A to B (not B itself) of N.")
    ] = None
    accept_version: running.AcceptVersion = False
    time_limit: running.TimeLimit = None
    debug: shared.Debug = False


def with_run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the options of :class:`RunArguments` behind its own; their values come as its ``run``."""
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "run"]
    common = list(inspect.signature(RunArguments, eval_str=True).parameters.values())

    @functools.wraps(command)
    def wrapper(**values: Any) -> Any:
        run = RunArguments(**{p.name: values.pop(p.name) for p in common})
        return command(**values, run=run)

    del wrapper.__wrapped__
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *common)]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def carried_out(
    src: str,
    dst: str,
    name: Literal["tile", "crops"],
    spec: Callable[[], WindowSpec],
    labels: Mapping[str, Any],
    given: RunArguments,
) -> None:
    """Cut the pictures of ``src`` into windows.

    Args:
        src: the dataset.
        dst: the folder.
        name: of the command, which the run's recipe gets.
        spec: makes the windows of their options; raises UsageError.
        labels: what the command's own options say of labels, as in a recipe.
        given: everything else.
    """
    folder = local_path(dst)
    running.load_ahead(folder, given.workers)
    running.require_form(given.to, given.kind, given.ids)
    from augpipe.pixels.codec.image import PictureFormat
    from augpipe.recipe.load import without_steps
    from augpipe.run.augment import Execution, Limits, RunOptions
    from augpipe.run.config import parse_slice

    for option, value, possible in (
        ("--picture", given.picture, ("auto", "jpg", "png", "webp")),
        ("--truncated", given.truncated, ("reject", "keep")),
    ):
        if value not in possible:
            raise UsageError(f"{option} {one_line(value)}: expected {' or '.join(possible)}")
    if strange := next((text for text in given.overrides or () if not text.startswith("labels.")), None):
        raise UsageError(f"--set {one_line(strange, 80)}: expected labels.NAME=VALUE; there are no steps to set")
    source = shared.source_options(
        given.format,
        given.split,
        given.classes,
        given.images,
        given.limit,
        exif=given.exif,
        voc_origin=given.voc_origin,
        void=given.void,
    )
    options = RunOptions(
        seed=given.seed,
        source=source,
        picture=PictureFormat(given.picture, given.quality, "none" if given.picture in ("png", "webp") else "4:2:0"),
        reading=shared.pixel_reading(given.levels, given.bands, given.channels),
        sources_per_shard=given.sources_per_shard,
        max_pixels=given.max_pixels,
        truncated=given.truncated,  # type: ignore[arg-type]
        strict=given.strict,
        window=spec(),
    )
    execution = Execution(
        workers=given.workers,
        overwrite=given.overwrite,
        check=given.check,
        accept_version=given.accept_version,
        tasks=None if given.tasks is None else parse_slice(given.tasks),
        patience=given.time_limit,
    )
    limits, recipe = Limits(given.max_rejects, given.max_dropped), without_steps(name, labels, given.overrides or ())
    running.made(src, folder, recipe, options, execution, limits, (given.to, given.kind, given.ids))
