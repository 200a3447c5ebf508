"""The formats by name: what is read, what is written, and which conversions that makes.

Names and sentences only, without anything heavy, so that ``augpipe --help`` answers at once. The readers are in the
table of :mod:`augpipe.formats`, the writers in that of :mod:`augpipe.formats.registry`; both take their names from
here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Readable:
    """A format that is read.

    ``looks_like`` is a line about its files, ``as_source`` what SRC of a conversion may be; "" if there is nothing of
    it that another format could hold. ``stays`` is a sentence about what no other format has a place for.
    """

    name: str
    looks_like: str
    as_source: str = ""
    stays: str = ""


@dataclass(frozen=True)
class Writable:
    """A format that is written.

    ``folders`` are those of the target that a conversion fills, the one of pictures being ``pictures``. ``holds`` says
    in words how it holds each of :data:`LABELS`, with a word for "not at all" where it does not. ``alone`` says whether
    a target that ends in ``.json`` takes the annotations without the pictures.
    """

    name: str
    folders: tuple[str, ...]
    pictures: str
    holds: dict[str, str]
    alone: bool = False


def _holds(**words: str) -> dict[str, str]:
    known = {name.replace("_", " "): word for name, word in words.items()}
    return {label: known.get(label, NO) for label in LABELS}


LABELS = (
    "boxes", "polygons", "masks", "crowds", "keypoints", "oriented boxes", "semantic masks", "panoptic masks",
    "flags and pose", "parts", "captions and tags", "classes", "ids", "fields of its own",
)  # fmt: skip
"""What labels may hold, for the table of what each format has a place for."""
NO = "no"

READABLE: dict[str, Readable] = {
    f.name: f
    for f in (
        Readable(
            "voc",
            "Pascal VOC: Annotations/*.xml with JPEGImages/ or images/, one or several years, or a folder of XML files",
            "a Pascal VOC folder",
        ),
        Readable(
            "coco",
            "COCO: a .json, or a folder of JSONs about the same images (instances, keypoints, captions)",
            "a COCO .json, or a folder of them",
        ),
        Readable(
            "yolo",
            "YOLO: a data.yaml, or images/ beside labels/ with classes.txt; boxes, polygons, keypoints, oriented boxes",
            "a YOLO data.yaml, or its folder",
        ),
        Readable("dota", "DOTA: images/ beside labelTxt/*.txt, oriented boxes of aerial pictures", "a DOTA folder"),
        Readable(
            "shards",
            "tar shards: a .tar, a folder of them, or a pattern x-{000..009}.tar",
            "a folder of shards",
            "plans, visible shares and what was dropped stay in the shards",
        ),
        Readable("masks", "semantic masks: images/ and masks/ joined by stem"),
        Readable("imagefolder", "classification: a folder a class"),
    )
}

WRITABLE: dict[str, Writable] = {
    f.name: f
    for f in (
        Writable(
            "coco",
            ("annotations", "images"),
            "images",
            _holds(
                boxes="yes",
                polygons="yes",
                masks="yes, RLE",
                crowds="yes",
                keypoints="yes",
                oriented_boxes="as a field `obb`",
                panoptic_masks="yes",
                flags_and_pose="as fields",
                parts="as a field",
                classes="with ids, supercategories, skeletons",
                ids="yes",
                fields_of_its_own="yes",
            ),
            alone=True,
        ),
        Writable(
            "voc",
            ("Annotations", "JPEGImages", "ImageSets", "SegmentationClass", "SegmentationObject"),
            "JPEGImages",
            _holds(
                boxes="from one pixel on",
                polygons="as pixels",
                masks="yes, but one a pixel",
                semantic_masks="yes",
                flags_and_pose="yes",
                parts="yes",
                classes="names of those that occur",
                fields_of_its_own="whose names XML can hold",
            ),
        ),
        Writable(
            "yolo",
            ("images", "labels"),
            "images",
            _holds(
                boxes="yes",
                polygons="one ring, others are joined",
                masks="by their outline",
                keypoints="yes",
                oriented_boxes="yes",
                classes="names",
            ),
        ),
        Writable(
            "dota",
            ("images", "labelTxt"),
            "images",
            _holds(
                boxes="as oriented ones",
                oriented_boxes="yes",
                flags_and_pose="`difficult`",
                classes="names of those that occur, one word",
                fields_of_its_own="`imagesource`, `gsd`",
            ),
        ),
    )
}

PAIRS: tuple[str, ...] = tuple(
    f"{before.name}-to-{after}" for before in READABLE.values() if before.as_source for after in WRITABLE
    if after != before.name
)  # fmt: skip
"""What ``augpipe convert`` is asked for: every source with every target but itself."""


def sources_sentence() -> str:
    """What SRC of a conversion may be, for its help."""
    said = "; ".join(f.as_source for f in READABLE.values() if f.as_source)
    return f"{said[0].upper()}{said[1:]}; also in a .tar or .zip, or the URL of one."


# --- Markdown --------------------------------------------------------------------------------------------------------


def pairs_markdown() -> str:
    """The pairs as a Markdown table: a row a source, a column a target."""
    rows = [
        (f"**{f.name}**: {f.as_source}", *(f"`{f.name}-to-{w}`" if f.name != w else "" for w in WRITABLE))
        for f in READABLE.values()
        if f.as_source
    ]
    return _table(("from", *(f"to {name}" for name in WRITABLE)), rows)


def holds_markdown() -> str:
    """What each format has a place for, as a Markdown table."""
    return _table(("", *WRITABLE), [(label, *(w.holds[label] for w in WRITABLE.values())) for label in LABELS])


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
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
