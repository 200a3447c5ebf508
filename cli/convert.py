"""``augpipe convert``: a dataset in another format."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from augpipe.core.errors import UsageError, one_line
from augpipe.core.paths import local_path
from augpipe.formats.catalogue import FORMATS, SHARDS, pairs, sources_sentence, targets

from . import conversion, progress, running, shared

EXAMPLE = "Example: augpipe convert voc-to-coco data/voc data/instances.json"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(convert)


@shared.handled
def convert(  # noqa: PLR0913, PLR0917 - one parameter an option
    pair: Annotated[str, typer.Argument(metavar="A-to-B", help=f"One of {', '.join(pairs())}.")],
    src: Annotated[str, typer.Argument(metavar="SRC", help=sources_sentence())],
    dst: Annotated[str, typer.Argument(metavar="DST", help="A .json takes annotations alone, a folder everything.")],
    split: shared.Split = None,
    classes: shared.Classes = None,
    map: shared.Map = None,
    crowds: shared.Crowds = "keep",
    size_mismatch: shared.SizeMismatch = "keep",
    images: shared.Images = None,
    limit: shared.Limit = None,
    voc_origin: shared.VocOrigin = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over files of the same name; others that are there stay.")
    ] = False,
    kind: shared.Kind = None,
    ids: shared.Ids = "keep",
    pictures: Annotated[
        str,
        typer.Option("--pictures", metavar="copy|link|reference", help="Copy them, link to them, or name them only."),
    ] = "copy",
    strict: Annotated[
        bool, typer.Option("--strict", help="Write nothing if anything is lost or odd, and say what.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", help="Processes; as many as it pays to have if not given.")
    ] = None,
    debug: shared.Debug = False,
) -> None:
    """Convert a dataset, exactly: boxes and free fields are kept as they are, and what B cannot hold is reported."""
    from augpipe.conversion import convert as run
    from augpipe.formats.writer import WriteOptions

    if pair not in pairs():
        raise UsageError(f"unknown conversion '{one_line(pair)}'; {_known(pair)}")
    before, _, after = pair.partition("-to-")
    if kind is not None and not FORMATS[before].kinds and not FORMATS[after].kinds:
        raise UsageError(f"--kind says what YOLO's rows hold; {pair} has none")
    if ids != "keep" and (after == SHARDS or not targets()[after].ids):
        raise UsageError(f"--ids says what ids COCO gets; {pair} writes none")
    if workers is not None and workers < 0:
        raise UsageError(f"--workers {workers}: expected 0 or more")
    write = WriteOptions(kind, one_of("--ids", ids, "keep", "sequential"),
                         one_of("--pictures", pictures, "copy", "link", "reference"), strict)  # fmt: skip
    if kind is not None and FORMATS[before].kinds:
        before = f"{before}:{kind}"
    options = shared.source_options(
        before,
        split,
        classes,
        images,
        limit,
        map=map,
        crowds=crowds,
        size_mismatch=size_mismatch,
        voc_origin=voc_origin,
    )
    if after == SHARDS:
        if pictures != "copy":
            raise UsageError("pictures are in the shards; leave --pictures copy")
        running.load_ahead(local_path(dst), workers)
        from augpipe.conversion.to_shards import convert_to_shards

        running.carried_out(
            lambda watcher: convert_to_shards(
                src, dst, options, overwrite=overwrite, strict=strict, workers=workers, watcher=watcher
            )
        )
        return
    with progress.shown() as shown:
        report = run(src, dst, after, options, overwrite, shown, write, workers)
    conversion.tell(report, one_line(dst, 4096), after)
    if report.lost:
        raise typer.Exit(1)


def _known(pair: str) -> str:
    """What can be done instead of a conversion that there is not."""
    before, _, after = pair.partition("-to-")
    source = FORMATS.get(before)
    if source is not None and not source.source and after in targets():
        shards = f"'augpipe convert {before}-to-{SHARDS} SRC DIR'"
        if not source.places:
            return f"{after} has no place for what {before} holds; shards do: {shards}"
        holders = [name for name, target in targets().items() if "semantic masks" in target.holds]
        ways = " or ".join(f"'augpipe convert {SHARDS}-to-{name} DIR DST'" for name in holders)
        if after in holders:
            return f"it goes by shards:\n{shards}, then {ways}"
        return f"{after} has no place for what {before} holds, {', '.join(holders)} has:\n{shards}, then {ways}"
    sources = ", ".join(f.name for f in FORMATS.values() if f.source)
    return f"known are A-to-B, A of {sources}, B another of {', '.join(targets())}; and any format to {SHARDS}"


def one_of(option: str, value: str, *known: str) -> Any:
    """The value of an option; raises ``UsageError`` if it is none of those that are known."""
    if value not in known:
        raise UsageError(f"{option} {one_line(value)}: expected {' or '.join(known)}")
    return value
