"""``augpipe convert``: a dataset in another format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from augpipe.core.errors import UsageError, one_line
from augpipe.formats.catalogue import FORMATS, pairs, sources_sentence, targets

from . import progress, shared

if TYPE_CHECKING:
    from augpipe.conversion import ConversionReport

EXAMPLE = "Example: augpipe convert voc-to-coco data/voc data/instances.json"
_SHOWN = 5


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
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", help="What YOLO's rows hold: detect, segment, pose or obb; else found."),
    ] = None,
    ids: Annotated[
        str, typer.Option("--ids", metavar="keep|sequential", help="COCO's ids: those of the source, or 1, 2, 3, …")
    ] = "keep",
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
        sources = ", ".join(f.name for f in FORMATS.values() if f.source)
        known = f"known are A-to-B, A of {sources}, B another of {', '.join(targets())}"
        raise UsageError(f"unknown conversion '{one_line(pair)}'; {known}")
    before, _, after = pair.partition("-to-")
    if kind is not None and not FORMATS[before].kinds and not FORMATS[after].kinds:
        raise UsageError(f"--kind says what YOLO's rows hold; {pair} has none")
    if ids != "keep" and not targets()[after].ids:
        raise UsageError(f"--ids says what ids COCO gets; {pair} writes none")
    if workers is not None and workers < 0:
        raise UsageError(f"--workers {workers}: expected 0 or more")
    write = WriteOptions(kind, _one_of("--ids", ids, "keep", "sequential"),
                         _one_of("--pictures", pictures, "copy", "link", "reference"), strict)  # fmt: skip
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
    with progress.shown() as shown:
        report = run(src, dst, after, options, overwrite, shown, write, workers)
    _tell(report, one_line(dst, 4096), after)
    if report.lost:
        raise typer.Exit(1)


def _one_of(option: str, value: str, *known: str) -> Any:
    if value not in known:
        raise UsageError(f"{option} {one_line(value)}: expected {' or '.join(known)}")
    return value


def _tell(report: ConversionReport, dst: str, after: str) -> None:
    typer.echo(f"{shared.plural(report.pictures, 'picture')}, {shared.plural(report.objects, 'object')} to {dst}")
    if report.picture_folder:
        folder = one_line(report.picture_folder, 4096)
        typer.echo(f"the pictures stay in {folder}; augpipe finds them with --images {folder}")
    if report.dropped:
        typer.echo(f"dropped {shared.plural(report.dropped, 'object')} without a box that makes sense")
    if report.losses:
        typer.echo(f"{after} has no place for: {shared.counted(report.losses)}")
    if report.notes:
        typer.echo(f"found while reading, in pictures: {shared.counted(report.notes)}")
    shared.say(*(f"  {what} {report.losses[what]:,}, as in {place}" for what, place in sorted(report.examples.items())))
    shared.say(*(f"note: {one_line(remark)}" for remark in report.remarks))
    lost = {line.partition(": ")[0] for line in report.lost}
    unseen = [line for line in report.unseen if line.partition(": ")[0] not in lost]
    if unseen:
        pictures = shared.plural(len(unseen), "picture")
        shared.say(f"note: {pictures} not found or not readable; the labels are converted all the same")
        _say_some(unseen)
    if report.lost:
        shared.say(f"augpipe: {shared.plural(len(report.lost), 'picture')} could not be converted")
        _say_some(report.lost)


def _say_some(lines: list[str]) -> None:
    shared.say(*(f"  {line}" for line in lines[:_SHOWN]))
    if len(lines) > _SHOWN:
        shared.say(f"  and {len(lines) - _SHOWN:,} more")
