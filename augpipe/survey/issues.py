"""What is odd about a dataset: a count and the first examples of each code.

Codes are the notes and reject codes of docs/reading.md, and those of docs/inspect.md, which only counting finds.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from itertools import islice

from augpipe.core.errors import Reject, one_line
from augpipe.storage.byte_range import read_place
from augpipe.storage.fs import named_by, place_of
from augpipe.storage.tree import AnyPath

MOST_EXAMPLES = 5

KNOWN: dict[str, tuple[str, str]] = {
    "box-past-edge": ("object", "the box leaves the picture and is cut"),
    "box-tiny": ("object", "a side of the box is one pixel or less"),
    "dropped-degenerate": ("object", "the box has no area or no numbers; the object is dropped"),
    "dropped-outside": ("object", "the box lies outside the picture; the object is dropped"),
    "duplicate-object": ("object", "same class and box as another object of the picture"),
    "duplicate-picture": ("picture", "the same bytes as another picture"),
    "in-two-splits": ("picture", "a picture of one split with the bytes of one of another"),
    "unlisted-picture": ("file", "a picture beside those of the dataset that nothing is said of"),
    "class-unused": ("class", "listed and never used"),
    "class-names-alike": ("class", "differs from another class only in case, spaces or separators"),
    "keypoint-unpaired": ("keypoint", "looks left or right and is in no pair; a mirror image leaves it where it is"),
    "without-labels": ("picture", "there are no labels"),
    "clipped": ("picture", "a box, polygon or part is cut to the frame"),
    "corners-swapped": ("picture", "corners of a box are in the wrong order and were put right"),
    "box-remade": ("picture", "a box that is none was taken from the mask, polygon or keypoints"),
    "exif-upright": ("picture", "turned by EXIF; the labels are upright already"),
    "exif-turned": ("picture", "turned by EXIF; the labels were turned with it"),
    "exif-undecided": ("picture", "turned by EXIF, and nothing tells what the labels mean; see --exif"),
    "depth-reduced": ("picture", "more than 8 bits a channel become 8; see --range"),
    "alpha-dropped": ("picture", "transparency is dropped; the color under it stays"),
    "bands-dropped": ("picture", "a TIFF has more bands than are read: the first three, of two the first; see --bands"),
    "cmyk-converted": ("picture", "CMYK becomes RGB without a profile"),
    "color-profile-dropped": ("picture", "a color profile other than sRGB is dropped, and colors shift"),
    "srgb-profile-dropped": ("picture", "the profile of sRGB is dropped, and colors stay"),
    "original-decoded": ("picture", "an original that is written like a copy, as the file cannot be kept as it is"),
    "size-mismatch-scaled": ("picture", "the labels state another size, and were scaled to the picture's"),
    "size-mismatch-kept": ("picture", "the labels state another size; every box fits"),
    "mask-of-other-size": ("picture", "a mask of another size than the picture was left out"),
    "keypoints-clipped": ("picture", "a keypoint outside the picture counts as not labelled"),
    "keypoints-left-out": ("picture", "keypoints of another count than the class has"),
    "keypoint-visibility-mended": ("picture", "v of a keypoint is not 0, 1 or 2"),
    "mask-left-out": ("picture", "run lengths that are broken"),
    "mask-beside-objects": ("picture", "objects are stated, so the mask beside them makes none"),
    "void-left-out": ("picture", "void of a mask is in no object"),
    "ring-left-out": ("picture", "a polygon that cannot be used"),
    "obb-left-out": ("picture", "an oriented box without a number or an area"),
    "name-twice": ("picture", "an object of a JSON gives a name twice; the last value counts"),
    "verified-left-out": ("picture", "Pascal VOC's attribute verified is not kept"),
    "part-left-out": ("picture", "a part without a box"),
    "panoptic-missing": ("picture", "the panoptic PNG is not there"),
    "segment-left-out": ("picture", "a panoptic segment without an id"),
    "shape-left-out": ("picture", "a line, a point of no object, or a shape of an unknown type"),
    "row-of-other-length": ("picture", "a row of another count of words than the format has"),
    "row-not-numbers": ("picture", "a row with words, or no numbers, for places"),
    "row-not-fractions": ("picture", "a row with places far outside 0 to 1, such as pixels"),
    "missing-picture": ("picture", "no picture where it is looked for"),
    "bad-archive": ("picture", "a member of a zip is damaged, or not as the zip says"),
    "missing-file": ("picture", "a file that was there is gone, or is none"),
    "changed": ("picture", "a picture or its labels that changed while they were read"),
    "truncated": ("picture", "the file ends too early"),
    "empty-file": ("picture", "the file is empty"),
    "unsupported": ("picture", "of a format that is not read"),
    "too-large": ("picture", "larger than is read"),
    "size-mismatch": ("picture", "the labels or masks are of another size, and do not fit"),
    "bad-xml": ("picture", "the XML cannot be read"),
    "bad-json": ("picture", "the JSON cannot be read"),
    "bad-csv": ("picture", "the rows of the CSV cannot be read any more"),
    "io": ("picture", "the system cannot read a file"),
    "entity": ("picture", "XML with entities, which can be an attack"),
    "bad-mask": ("picture", "a mask that is no picture, or has a colour of no class"),
    "bad-class": ("picture", "a .cls that is no number from 0 on"),
    "unknown-class": ("picture", "a class that is in no list"),
    "fault": ("picture", "a fault of augpipe; please report it"),
}
"""Code → (what is counted, what it means). Codes that are not listed are rejects, explained by their message."""


@dataclass(frozen=True)
class Example:
    """Where something odd is: ``file`` is the annotation's (or picture's) below the source, ``picture`` the source key.

    ``line`` counts from 1; ``object`` is the position in the picture's list, from 0; ``id`` the annotation's own.
    What is odd about the list of classes has the ``name`` of a class and no file. ``None`` is what is not known.
    """

    file: str | None = None
    picture: str | None = None
    line: int | None = None
    object: int | None = None
    id: int | str | None = None
    name: str | None = None
    message: str = ""

    def __str__(self) -> str:
        """One line, safe to print."""
        place = one_line(self.file or self.name or "", 120) + (f":{self.line}" if self.line is not None else "")
        if self.picture is not None and self.picture != self.file:
            place += f" ({one_line(self.picture, 120)})"
        if self.id is not None:
            place += f", annotation {one_line(self.id, 40)}"
        elif self.object is not None:
            place += f", object {self.object + 1}"
        return f"{place}: {one_line(self.message, 200)}" if self.message else place


@dataclass(frozen=True)
class Oddity:
    """How often something was found, and the first examples."""

    count: int = 0
    examples: tuple[Example, ...] = ()


def merge(found: dict[str, Oddity], code: str, more: Oddity) -> None:
    """Add what was found later in the dataset; the first examples are kept."""
    before = found.get(code, Oddity())
    found[code] = Oddity(before.count + more.count, (*before.examples, *more.examples)[:MOST_EXAMPLES])


def with_one(found: dict[str, Oddity], code: str, example: Example) -> None:
    """Count one finding."""
    merge(found, code, Oddity(1, (example,)))


def unit_of(code: str) -> str:
    """What is counted under a code."""
    return KNOWN.get(code, ("picture", ""))[0]


def meaning_of(code: str) -> str:
    """What a code means, in a few words."""
    return KNOWN.get(code, ("", "rejected"))[1]


# --- lines ------------------------------------------------------------------------------------------------------------


_OBJECTS = {
    ".xml": re.compile(rb"<object[\s>/]"),
    ".txt": re.compile(
        rb"^(?!(?:imagesource|gsd)\s*:)[^\S\n]*\S", re.MULTILINE | re.IGNORECASE
    ),  # YOLO; DOTA has heads
}


def with_lines(root: AnyPath, oddities: dict[str, Oddity]) -> dict[str, Oddity]:
    """The oddities with the lines of objects in the XML and text files below ``root``."""
    return {
        code: replace(oddity, examples=tuple(_with_line(root, example) for example in oddity.examples))
        for code, oddity in oddities.items()
    }


def _with_line(root: AnyPath, example: Example) -> Example:
    file = example.file or ""
    start = _OBJECTS.get(os.path.splitext(file)[1].lower())
    if example.object is None or example.line is not None or start is None:
        return example
    try:
        text = read_place(place_of(named_by(file, root)))
    except Reject:  # gone meanwhile, or not below the root
        return example
    found = next(islice(start.finditer(text), example.object, None), None)  # none in UTF-16
    return example if found is None else replace(example, line=text.count(b"\n", 0, found.start()) + 1)
