"""``augpipe inspect``: what is in a dataset or a finished folder, and how two of them differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augpipe.core.errors import UsageError, one_line

from . import progress, shared

if TYPE_CHECKING:
    from augpipe.formats.base import SourceOptions
    from augpipe.survey import SurveyReport

EXAMPLE = "Example: augpipe inspect data/voc -o plots.png"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(inspect)


@shared.handled
def inspect(  # noqa: PLR0913, PLR0917 - one parameter an option
    path: Annotated[str, typer.Argument(metavar="PATH", help="A dataset, or a folder that augment has made.")],
    other: Annotated[
        str | None, typer.Argument(metavar="[OTHER]", help="With --diff: what PATH is compared with.")
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Compare PATH and OTHER, as a source and its folder.")] = False,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="PNG", help="Draw plots (extra plots).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (docs/inspect.md).")] = False,
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
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", help="Processes; as many as it pays to have if not given.")
    ] = None,
    debug: shared.Debug = False,
) -> None:
    """Count pictures, objects and classes, measure boxes, and list what is odd. No picture is decoded.

    With --diff, --from and the other options of reading hold for PATH alone; OTHER is read as it looks.
    """
    if diff != (other is not None):
        raise UsageError("--diff compares two datasets; expected: augpipe inspect --diff PATH OTHER")
    if workers is not None and workers < 0:
        raise UsageError(f"--workers {workers}: expected 0 or more")
    options = shared.source_options(
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
    place = shared.drawing_to(output, "--output", path, other)
    unfinished = _unfinished(path, options) if other is None else None
    if unfinished is None:
        _inspect(path, other, options, workers, place, as_json)
    elif place is not None:
        raise UsageError(f"{path}: an unfinished run has nothing to draw yet; {unfinished['next']}")
    elif as_json:
        _print_json({"schema": "augpipe-inspect/1", "path": path, "run": unfinished})
    else:
        from augpipe.survey.table import lines_of_run

        typer.echo("\n".join(lines_of_run(path, unfinished, shared.table)))


def _inspect(
    path: str, other: str | None, options: SourceOptions, workers: int | None, output: Path | None, as_json: bool
) -> None:
    from augpipe.formats.base import SourceOptions
    from augpipe.survey import diff, table

    if output is not None:
        from augpipe.survey.plots import sheet  # before the work, as matplotlib may be missing
        from augpipe.viz.sheet import save_png
    report = _report(path, options, workers)
    second = None if other is None else _report(other, SourceOptions(), workers)
    if output is not None:
        save_png(output, sheet([report] if second is None else [report, second]))
    if second is None:
        result = report.as_json()
        run = [] if report.run is None else table.lines_of_run(path, report.run, shared.table)
        lines = [*run, *table.lines_of(report, shared.table)]
    else:
        result = diff.difference_of(report, second)
        lines = diff.lines_of(report, second, result, shared.table)
    if as_json:
        _print_json(result)
    else:
        typer.echo("\n".join([*lines, *(("", one_line(output, 4096)) if output is not None else ())]))


def _report(path: str, options: SourceOptions, workers: int | None) -> SurveyReport:
    """The report of a dataset, with the totals of its manifest where it is a finished folder."""
    from dataclasses import replace

    from augpipe.survey import survey
    from augpipe.survey.run_folder import finished

    if (unfinished := _unfinished(path, options)) is not None:
        raise UsageError(f"{path}: an unfinished run; {unfinished['next']}")
    run = finished(Path(path)) if options.format is None else None
    with progress.shown() as bar:
        return replace(survey(path, options, workers, bar), run=run)


def _unfinished(path: str, options: SourceOptions) -> dict[str, Any] | None:
    """How far the run in a folder is; ``None`` if there is none, or its shards are asked for with --from."""
    from augpipe.survey.run_folder import unfinished

    return unfinished(Path(path)) if options.format is None else None


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, sort_keys=True, allow_nan=False))
