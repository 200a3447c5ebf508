"""The formats by name, the conversions between them, and the tables of docs/convert.md.

A new format is a package with a ``FORMAT`` and a line in :data:`_PACKAGES`. Nothing heavy is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from augpipe.formats import (
    coco,
    csv,
    cvat,
    dota,
    imagefolder,
    kitti,
    labelme,
    masks,
    via,
    visdrone,
    voc,
    webdataset,
    yolo,
)
from augpipe.formats.format import LABELS, NO, Format, Target

FORMATS: dict[str, Format] = {}
"""The formats that are read, by name, in the order in which they are listed."""
_PACKAGES = (voc, coco, yolo, dota, labelme, csv, kitti, cvat, via, visdrone, webdataset, masks, imagefolder)


def register(format: Format) -> None:
    """Add a format: from now on it is detected, read and, if it has a target, written.

    Raises:
        ValueError: another format has its name, or ``holds`` has a label that is not one of :data:`LABELS`.
    """
    if format.name in FORMATS:
        raise ValueError(f"there is a format {format.name!r} already")
    strange = set(format.target.holds if format.target else ()) - set(LABELS)
    if strange:
        raise ValueError(f"format {format.name!r} holds {', '.join(sorted(strange))}; known are {', '.join(LABELS)}")
    FORMATS[format.name] = format


for _package in _PACKAGES:
    register(_package.FORMAT)


def format_named(name: str) -> Format:
    """The format of a dataset, whose name may be followed by a kind, as in ``yolo:segment``."""
    return FORMATS[name.partition(":")[0]]


def targets() -> dict[str, Target]:
    """The formats that are written, by name."""
    return {f.name: f.target for f in FORMATS.values() if f.target is not None}


SHARDS = "shards"
"""What a run of :mod:`augpipe.run` writes: every format goes into it, with all that it holds."""


def pairs() -> list[str]:
    """The conversions ``A-to-B``: every source with every target but itself, and every format to shards."""
    return [f"{f.name}-to-{name}" for f in FORMATS.values() for name in _columns() if _is_pair(f, name)]


def _columns() -> tuple[str, ...]:
    return (*targets(), SHARDS)


def _is_pair(source: Format, target: str) -> bool:
    return source.name != target and (bool(source.source) or target == SHARDS)


def sources_sentence() -> str:
    """What SRC of a conversion may be, for its help."""
    text = "; ".join(f.source for f in FORMATS.values() if f.source)
    return f"{text[0].upper()}{text[1:]}; also in a .tar or .zip, or the URL of one."


def pairs_markdown() -> str:
    """The pairs as a Markdown table: a row a source, a column a target."""
    rows = [
        (
            f"**{f.name}**: {f.source or f.looks_like}",
            *(f"`{f.name}-to-{name}`" if _is_pair(f, name) else "" for name in _columns()),
        )
        for f in FORMATS.values()
    ]
    return _table(("from", *(f"to {name}" for name in _columns())), rows)


def holds_markdown() -> str:
    """What each format holds, as a Markdown table."""
    columns = targets().values()
    return _table(("", *targets()), ((label, *(t.holds.get(label, NO) for t in columns)) for label in LABELS))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))


BLOCKS: dict[str, Callable[[], str]] = {"pairs": pairs_markdown, "holds": holds_markdown}
"""What stands in a document between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``."""


def updated(text: str) -> str:
    """A document with every generated block made anew."""
    for name, made in BLOCKS.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, found, rest = text.partition(begin)
        if found:
            text = f"{before}{begin}\n{made()}\n{end}{rest.partition(end)[2]}"
    return text


def main() -> None:
    """Rewrite the generated blocks of the files that are named on the command line."""
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(updated(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
