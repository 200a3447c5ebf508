"""``augpipe dataset``: datasets in, a dataset out: merged, filtered, with other names of classes, or parted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from augpipe.core.errors import UsageError, one_line
from augpipe.formats.catalogue import targets

from . import class_options, conversion, convert, progress, shared

if TYPE_CHECKING:
    from augpipe.conversion import ConversionReport
    from augpipe.formats.base import SourceOptions

app = typer.Typer(
    no_args_is_help=True,
    help="Merge, filter, rename and split datasets of any format; the source is only read, the result a new folder.",
)

Dst = Annotated[str, typer.Argument(metavar="DST", help="A folder; for coco a .json takes annotations alone.")]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="FORMAT", help=f"{', '.join(targets())}; that of SRC if not given."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Write over files of the same name; others that are there stay.")
]
Pictures = Annotated[
    str, typer.Option("--pictures", metavar="copy|link|reference", help="Copy them, link to them, or name them only.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Write nothing if anything is lost or odd, and say what.")]
Workers = Annotated[
    int | None, typer.Option("--workers", "-w", help="Processes; as many as it pays to have if not given.")
]


@app.command(epilog="Example: augpipe dataset merge data/day data/night data/all --to coco")
@shared.handled
def merge(  # noqa: PLR0913, PLR0917 - one parameter an option
    places: Annotated[list[str], typer.Argument(metavar="SRC... DST", help="Two datasets or more, and a new folder.")],
    to: To = None,
    equal_names: Annotated[
        str,
        typer.Option("--equal-names", metavar="prefix|refuse", help="Pictures whose name an earlier SRC has."),
    ] = "prefix",
    format: shared.From = None,
    split: shared.Split = None,
    overwrite: Overwrite = False,
    pictures: Pictures = "copy",
    strict: Strict = False,
    workers: Workers = None,
    debug: shared.Debug = False,
) -> None:
    """Several datasets as one: classes of one name become one, splits stay, ids and names are told apart and counted.

    Of pictures with one name those of a later SRC get the name of its folder before theirs.
    """
    from augpipe.conversion.whole import merge_datasets

    equal = convert.one_of("--equal-names", equal_names, "prefix", "refuse")
    *sources, dst = places
    options = shared.source_options(format, split)
    _done(merge_datasets, sources, dst, to, options, _how(overwrite, pictures, strict, workers), equal=equal)


@app.command("filter", epilog="Example: augpipe dataset filter data/voc small --classes cat,dog --keep-empty 10%")
@shared.handled
def filter(  # noqa: PLR0913, PLR0917 - one parameter an option
    src: shared.SourceArgument,
    dst: Dst,
    to: To = None,
    classes: shared.Classes = None,
    drop: Annotated[str | None, typer.Option("--drop", metavar="A,B", help="The classes that go.")] = None,
    min_side: Annotated[
        float, typer.Option("--min-side", metavar="PX", help="Of an object's box, its shorter side.")
    ] = 0.0,
    max_side: Annotated[
        float | None, typer.Option("--max-side", metavar="PX", help="Of an object's box, its longer side.")
    ] = None,
    min_picture: Annotated[
        float, typer.Option("--min-picture", metavar="PX", help="Of a picture, its shorter side.")
    ] = 0.0,
    max_picture: Annotated[
        float | None, typer.Option("--max-picture", metavar="PX", help="Of a picture, its longer side.")
    ] = None,
    keep_empty: Annotated[
        str, typer.Option("--keep-empty", metavar="P%", help="Share of the pictures without objects that stays.")
    ] = "100%",
    format: shared.From = None,
    split: shared.Split = None,
    images: shared.Images = None,
    limit: shared.Limit = None,
    overwrite: Overwrite = False,
    pictures: Pictures = "copy",
    strict: Strict = False,
    workers: Workers = None,
    debug: shared.Debug = False,
) -> None:
    """A part of a dataset: some classes, objects and pictures of some size, fewer pictures without objects.

    What is left out is counted, with an example of each kind.
    """
    from augpipe.conversion.filtering import Filter, share_of
    from augpipe.conversion.whole import filter_dataset

    file, keep = class_options.asked(classes)
    wanted = Filter(
        keep,
        () if drop is None else class_options.names_in(drop, "--drop"),
        min_side,
        float("inf") if max_side is None else max_side,
        min_picture,
        float("inf") if max_picture is None else max_picture,
        share_of(keep_empty, "--keep-empty"),
    )
    if file is not None and wanted.drop:
        raise UsageError("--classes says which classes stay, --drop which go; give one of them")
    options = shared.source_options(format, split, None if file is None else classes, images, limit)
    _done(filter_dataset, src, dst, to, options, _how(overwrite, pictures, strict, workers), wanted)


@app.command(epilog="Example: augpipe dataset rename data/voc renamed --map car=vehicle --map bus=vehicle")
@shared.handled
def rename(  # noqa: PLR0913, PLR0917 - one parameter an option
    src: shared.SourceArgument,
    dst: Dst,
    names: Annotated[
        list[str],
        typer.Option("--map", metavar="OLD=NEW|FILE", help="Call a class otherwise; those of one name become one."),
    ],
    to: To = None,
    format: shared.From = None,
    split: shared.Split = None,
    images: shared.Images = None,
    limit: shared.Limit = None,
    overwrite: Overwrite = False,
    pictures: Pictures = "copy",
    strict: Strict = False,
    workers: Workers = None,
    debug: shared.Debug = False,
) -> None:
    """A dataset with other names of classes; classes that get one name become one."""
    from augpipe.conversion.whole import rename_classes

    options = shared.source_options(format, split, images=images, limit=limit)
    _done(
        rename_classes, src, dst, to, options, _how(overwrite, pictures, strict, workers), class_options.renamed(names)
    )


@app.command(epilog="Example: augpipe dataset split data/voc parted --val 10% --test 10%")
@shared.handled
def split(  # noqa: PLR0913, PLR0917 - one parameter an option
    src: shared.SourceArgument,
    dst: Dst,
    val: Annotated[str | None, typer.Option("--val", metavar="P%", help="Share of the pictures for val.")] = None,
    test: Annotated[str | None, typer.Option("--test", metavar="P%", help="Share of the pictures for test.")] = None,
    group_by: Annotated[
        str | None,
        typer.Option("--group-by", metavar="REGEX", help="Pictures with one match in their names stay together."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Part pictures of every split, not only those of train and of none.")
    ] = False,
    to: To = None,
    format: shared.From = None,
    images: shared.Images = None,
    limit: shared.Limit = None,
    overwrite: Overwrite = False,
    pictures: Pictures = "copy",
    strict: Strict = False,
    workers: Workers = None,
    debug: shared.Debug = False,
) -> None:
    """A dataset parted into train, val and test, by a hash of each picture's name: adding pictures moves none."""
    from augpipe.conversion.whole import split_dataset

    from .augment import parting_of

    parting = parting_of(val, test, group_by)
    if parting is None:
        raise UsageError("say which share goes to val or test, as in --val 10%")
    options = shared.source_options(format, images=images, limit=limit)
    how = _how(overwrite, pictures, strict, workers)
    _done(split_dataset, src, dst, to, options, how, parting, again=again)


def _how(overwrite: bool, pictures: str, strict: bool, workers: int | None) -> dict[str, Any]:
    from augpipe.formats.writer import WriteOptions

    if workers is not None and workers < 0:
        raise UsageError(f"--workers {workers}: expected 0 or more")
    place = convert.one_of("--pictures", pictures, "copy", "link", "reference")
    return {"overwrite": overwrite, "write": WriteOptions(pictures=place, strict=strict), "workers": workers}


def _done(
    work: Any,
    source: Any,
    dst: str,
    to: str | None,
    options: SourceOptions,
    how: dict[str, Any],
    *what: Any,
    **more: Any,
) -> None:
    """Do it with a bar, and tell what came of it: so much in, so much out, and where the rest is."""
    with progress.shown() as shown:
        report: ConversionReport = work(source, dst, *what, to, options, progress=shown, **how, **more)
    typer.echo(f"{shared.plural(report.pictures_in, 'picture')}, {shared.plural(report.objects_in, 'object')} in")
    for line in report.set_aside():
        typer.echo(f"left out: {line}")
    conversion.tell(report, one_line(dst, 4096), report.format)
    if report.lost:
        raise typer.Exit(1)
