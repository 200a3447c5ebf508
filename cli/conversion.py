"""What a conversion came to, in words: for ``convert``, and for ``augment --to``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from augpipe.core.errors import one_line

from . import shared

if TYPE_CHECKING:
    from augpipe.conversion import ConversionReport

_SHOWN = 5


def tell(report: ConversionReport, dst: str, after: str) -> None:
    """Print what was written to ``dst``, and everything that the format ``after`` has no place for."""
    typer.echo(f"{shared.plural(report.pictures, 'picture')}, {shared.plural(report.objects, 'object')} to {dst}")
    if flow := report.flow():
        typer.echo(f"in → out: {', '.join(flow)}")
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
