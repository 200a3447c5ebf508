"""``augpipe verify``: whether a finished folder is what it says, proven from the source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from augpipe.core.errors import UsageError, one_line
from augpipe.formats.webdataset.dataset_list import is_dataset_folder

from . import class_options, progress, shared

if TYPE_CHECKING:
    from augpipe.verification import Verdict

EXAMPLE = "Example: augpipe verify shards --against data/voc --sheet worst.png"
_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=EXAMPLE)(verify)


@shared.handled
def verify(  # noqa: PLR0913, PLR0917 - one parameter an option
    dst: Annotated[str, typer.Argument(metavar="DST", help="A folder that augment has finished.")],
    against: Annotated[
        str | None, typer.Option("--against", metavar="SRC", help="Its source: labels and pictures are derived anew.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", metavar="N", help="Compare so many with SRC, evenly spread; else all.")
    ] = None,
    sheet: Annotated[
        str | None, typer.Option("--sheet", metavar="PNG", help="Draw the worst samples, with --against.")
    ] = None,
    classes: shared.Classes = None,
    images: shared.Images = None,
    workers: Annotated[int | None, typer.Option("--workers", "-w", help="Processes; one a core if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: shared.Debug = False,
) -> None:
    """Check hashes, counts and pictures, and with --against every label, by painting the source's objects anew.

    Labels are measured on canvases of 4×4 samples a pixel that are moved in float64, by none of the code that made
    them. Exit code 1 when anything is off.
    """
    from augpipe.core.paths import local_path
    from augpipe.verification import open_source
    from augpipe.verification import verify as run

    if against is None and (sheet is not None or samples is not None):
        raise UsageError("--sheet and --samples compare with a source; say which one with --against SRC")
    if (samples is not None and samples < 1) or (workers is not None and workers < 0):
        raise UsageError("expected 1 or more --samples and 0 or more --workers")
    folder, place = local_path(dst), shared.drawing_to(sheet, "--sheet", dst, against)
    if is_dataset_folder(folder):
        _verify_dataset(folder, against or classes or images, workers, as_json)
        return
    with progress.shown("shard") as bar:
        file, keep = class_options.asked(classes)
        dataset = None if against is None else open_source(against, folder, file, images, keep)
        verdict = run(folder, dataset, most=samples, workers=workers, progress=bar)
    if place is not None and dataset is not None:
        from augpipe.verification.worst_samples import sheet_of_worst
        from augpipe.viz.sheet import save_png

        save_png(place, sheet_of_worst(folder, dataset, verdict))
    if as_json:
        typer.echo(json.dumps(verdict.as_json(), indent=2, sort_keys=True))
    else:
        _print(folder, against, verdict, place)
    if not verdict.ok:
        raise typer.Exit(1)


def _verify_dataset(folder: Path, against: object, workers: int | None, as_json: bool) -> None:
    from augpipe.verification import verify_dataset

    if against:
        raise UsageError(
            f"{one_line(folder, 4096)}: a dataset folder has no plans to compare with a source; leave --against out\n"
            "the same augment command without --to writes shards of the same samples, which can be compared"
        )
    with progress.shown("file") as bar:
        verdict = verify_dataset(folder, workers=workers, progress=bar)
    if as_json:
        typer.echo(json.dumps(verdict.as_json(), indent=2, sort_keys=True))
    else:
        typer.echo(
            f"{one_line(folder, 4096)}: {shared.plural(verdict.samples, 'picture')} in "
            f"{shared.plural(verdict.files or 0, 'file')}, {shared.megabytes(verdict.bytes)}"
        )
        _print_faults(verdict)
        off = len(verdict.faults)
        typer.echo(
            f"{'nothing is off' if not off else f'{off:,} off'}; files and counts were compared, labels were not"
        )
    if not verdict.ok:
        raise typer.Exit(1)


def _print_faults(verdict: Verdict) -> None:
    for fault in verdict.faults[:_SHOWN]:
        typer.echo(f"OFF  {one_line(fault, 300)}")
    if len(verdict.faults) > _SHOWN:
        typer.echo(f"OFF  and {len(verdict.faults) - _SHOWN:,} more")


def _print(dst: Path, against: str | None, verdict: Verdict, sheet: Path | None) -> None:
    typer.echo(
        f"{one_line(dst, 4096)}: {shared.plural(verdict.samples, 'sample')} in "
        f"{shared.plural(verdict.shards, 'shard')}, {shared.megabytes(verdict.bytes)}"
    )
    if verdict.rows:
        head = ("", "count", "mean", "worst", "limit", "", "worst is")
        rows = [
            (
                row.measure.title,
                f"{row.count:,}",
                f"{row.mean:.3f}",
                f"{row.worst:.3f}",
                f"{row.limit:.3g}",
                f"{row.measure.unit:6} {'' if row.ok else 'OFF'}",
                one_line(row.where, 90),
            )
            for row in verdict.rows
        ]
        typer.echo(shared.table([head, *rows]))
    _print_faults(verdict)
    if sheet is not None:
        typer.echo(f"the worst samples: {one_line(sheet, 4096)}")
    if against is not None:
        compared = f"{verdict.checked:,} samples compared with {one_line(against, 4096)}"
    else:
        compared = "labels were not compared, say their source with --against SRC"
    off = len(verdict.faults) + sum(not row.ok for row in verdict.rows)
    typer.echo(f"{'nothing is off' if not off else f'{off:,} off'}; {compared}")
