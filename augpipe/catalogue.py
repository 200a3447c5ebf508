"""The formats by name: what is read, what is written, and which conversions that makes.

Names and sentences only, without anything heavy, so that ``augpipe --help`` answers at once. The readers are in the
table of :mod:`augpipe.formats`, the writers in that of :mod:`augpipe.formats.writers`; both take their names from here.
"""

from __future__ import annotations

from dataclasses import dataclass


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

    ``folders`` are those of the target that a conversion fills, the one of pictures being ``pictures``. ``alone``
    says whether a target that ends in ``.json`` takes the annotations without the pictures.
    """

    name: str
    folders: tuple[str, ...]
    pictures: str
    alone: bool = False


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
        Writable("coco", ("annotations", "images"), "images", alone=True),
        Writable("voc", ("Annotations", "JPEGImages", "ImageSets"), "JPEGImages"),
        Writable("yolo", ("images", "labels"), "images"),
        Writable("dota", ("images", "labelTxt"), "images"),
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
    return f"{said[0].upper()}{said[1:]}."
