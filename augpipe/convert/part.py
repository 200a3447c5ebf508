"""A part of a conversion: pictures of the source read and made ready for the writer, in any process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augpipe.convert.pictures import pictures, put_picture
from augpipe.convert.report import Report
from augpipe.errors import Reject, one_line
from augpipe.formats.base import Entry, Reader
from augpipe.formats.target import Added, Maker
from augpipe.sources.place import kept_open


@dataclass(frozen=True)
class Part:
    """Some pictures, how they are read and made, and the folder that their files go to, ``None`` if they stay."""

    reader: Reader
    maker: Maker
    entries: Sequence[Entry]
    folder: Path | None
    link: bool


def make_part(part: Part) -> tuple[Any, Report]:
    """(what the writer takes of the pictures, ``None`` if there are none, what came of them)."""
    with kept_open():
        return _made(part)


def _made(part: Part) -> tuple[Any, Report]:
    report = Report()
    rests = []
    for entry, picture in pictures(part.reader, part.entries, report):
        try:
            made = part.maker.make(picture)
        except Reject as reject:
            report.lost.append(f"{one_line(reject.file or picture.name)}: {one_line(reject.message)}")
            continue
        rests.append(made.rest)
        _count(made.added, picture.name, report)
        if part.folder is not None:
            put_picture(entry, part.folder / (made.added.name or picture.name), part.link, report)
    return part.maker.pack(rests) if rests else None, report


def _count(added: Added, name: str, report: Report) -> None:
    report.pictures += 1
    report.objects += added.objects
    for loss in added.losses:
        report.lose(loss, name)
