"""What the columns of a table mean, by their names: one table of the names that tools give them.

A name is compared in lower case without spaces, separators and dots: ``X_Min``, ``xmin`` and ``XMin`` are one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from augpipe.formats.base import is_picture
from augpipe.formats.shapes import Box, number_of

Form: TypeAlias = Literal["corners", "size", "centre"]
"""What four numbers are: two corners, a corner and a size, or a centre and a size."""

PICTURE = (
    "filename", "imagefilename", "filepath", "imagepath", "imgpath", "path", "imagename", "imgname", "imagefile",
    "file", "fname", "image", "img", "picture", "imageid", "imgid", "patientid", "id",
)  # fmt: skip
CLASS = (
    "classname", "labelname", "categoryname", "class", "label", "labels", "category", "objectclass", "object", "name",
    "annotationtag", "classid", "labelid", "categoryid", "target", "type",
)  # fmt: skip
FOURS: tuple[tuple[Form, tuple[str, str, str, str]], ...] = (
    ("corners", ("xmin", "ymin", "xmax", "ymax")),
    ("corners", ("x1", "y1", "x2", "y2")),
    ("corners", ("x0", "y0", "x1", "y1")),
    ("corners", ("left", "top", "right", "bottom")),
    ("corners", ("xtl", "ytl", "xbr", "ybr")),
    ("corners", ("minx", "miny", "maxx", "maxy")),
    ("corners", ("startx", "starty", "endx", "endy")),
    ("corners", ("roix1", "roiy1", "roix2", "roiy2")),
    ("corners", ("bboxx1", "bboxy1", "bboxx2", "bboxy2")),
    ("corners", ("bboxxmin", "bboxymin", "bboxxmax", "bboxymax")),
    ("corners", ("upperleftcornerx", "upperleftcornery", "lowerrightcornerx", "lowerrightcornery")),
    ("size", ("x", "y", "w", "h")),
    ("size", ("x", "y", "width", "height")),
    ("size", ("xmin", "ymin", "w", "h")),
    ("size", ("xmin", "ymin", "width", "height")),
    ("size", ("left", "top", "width", "height")),
    ("size", ("bboxx", "bboxy", "bboxw", "bboxh")),
    ("size", ("bboxx", "bboxy", "bboxwidth", "bboxheight")),
    ("size", ("bboxleft", "bboxtop", "bboxwidth", "bboxheight")),
    ("centre", ("cx", "cy", "w", "h")),
    ("centre", ("xc", "yc", "w", "h")),
    ("centre", ("xcenter", "ycenter", "width", "height")),
    ("centre", ("xcenter", "ycenter", "w", "h")),
    ("centre", ("centerx", "centery", "width", "height")),
    ("centre", ("bboxcx", "bboxcy", "bboxw", "bboxh")),
)
"""Names of the four columns of a box, in the order in which they are looked for."""
LISTS = ("bbox", "box", "boundingbox")
"""A column that holds ``[x, y, width, height]`` itself."""
SIZES = (("imagewidth", "imageheight"), ("imgwidth", "imgheight"), ("imwidth", "imheight"), ("width", "height"))
FLAGS = {
    "istruncated": "truncated", "truncated": "truncated", "isoccluded": "occluded", "occluded": "occluded",
    "isdifficult": "difficult", "difficult": "difficult", "isgroupof": "iscrowd", "iscrowd": "iscrowd",
}  # fmt: skip
"""Columns of 0 and 1 → what they are here."""

_SEPARATORS = re.compile(r"[^a-z0-9]")
_RETINANET = (6, 8)  # picture, four corners, class; in SKU-110K also width and height of the picture


@dataclass(frozen=True)
class Columns:
    """Where in a row what stands; ``fractions`` are numbers from 0 to 1, parts of the picture's sides."""

    names: tuple[str, ...]
    picture: int
    numbers: tuple[int, ...]
    form: Form
    label: int | None = None
    size: tuple[int, int] | None = None
    flags: Mapping[int, str] = field(default_factory=dict)
    others: tuple[int, ...] = ()
    fractions: bool = False
    header: bool = True
    decimal_comma: bool = False

    def is_blank(self, row: Sequence[str]) -> bool:
        """Whether a row has no box at all: it names a picture without objects."""
        return all(row[k].strip().lower() in ("", "nan", "none", "null") for k in self.numbers)

    def four(self, row: Sequence[str]) -> list[float] | None:
        """The numbers of a row as they are written, ``None`` if one of them is none."""
        texts = [row[k] for k in self.numbers]
        if len(texts) == 1:
            texts = texts[0].strip().strip("[]()").replace(",", " ").split()
        elif self.decimal_comma:
            texts = [text.replace(",", ".") for text in texts]
        found = [number_of(text) for text in texts]
        known = [number for number in found if number is not None]
        return known if len(known) == len(found) == 4 else None

    def box(self, four: Sequence[float]) -> Box:
        """xyxy of the numbers of a row; it may have no area."""
        a, b, c, d = four
        if self.form == "corners":
            return a, b, c, d
        return (a, b, a + c, b + d) if self.form == "size" else (a - c / 2, b - d / 2, a + c / 2, b + d / 2)


def columns_of(row: Sequence[str], delimiter: str) -> Columns | None:
    """What a header means, ``None`` if it has no column of pictures or none of boxes."""
    names = [_SEPARATORS.sub("", name.lower()) for name in row]
    place = {name: k for k, name in reversed(list(enumerate(names))) if name}
    picture = next((place[name] for name in PICTURE if name in place), None)
    four = next(((form, group) for form, group in FOURS if all(name in place for name in group)), None)
    listed = next((place[name] for name in LISTS if name in place), None)
    if picture is None or (four is None and listed is None):
        return None
    numbers = tuple(place[name] for name in four[1]) if four else (listed or 0,)
    used = {picture, *numbers}
    label = next((place[name] for name in CLASS if place.get(name, picture) not in used), None)
    sizes = ((place.get(width), place.get(height)) for width, height in SIZES)
    size = next(((w, h) for w, h in sizes if w is not None and h is not None and used.isdisjoint((w, h))), None)
    flags = {k: FLAGS[name] for k, name in enumerate(names) if name in FLAGS and k not in {*used, label}}
    taken = {*used, label, *(size or ()), *flags}
    others = tuple(k for k, name in enumerate(names) if k not in taken and name and not row[k].startswith("Unnamed"))
    return Columns(
        names=tuple(name.strip() for name in row),
        picture=picture,
        numbers=numbers,
        form=four[0] if four else "size",
        label=label,
        size=size,
        flags=flags,
        others=others,
        fractions={"ImageID", "XMin", "XMax", "YMin", "YMax"} <= {name.strip() for name in row},
        decimal_comma=delimiter == ";",
    )


def without_header(row: Sequence[str]) -> Columns | None:
    """The columns of RetinaNet's table, which has no header: picture, x1, y1, x2, y2, class; ``None`` if it is none."""
    if len(row) not in _RETINANET or not is_picture(row[0]):
        return None
    texts = [text.strip() for text in row[1:5]]
    if any(texts) and any(number_of(text) is None for text in texts):
        return None
    names = ("picture", "x1", "y1", "x2", "y2", "class", "width", "height")[: len(row)]
    size = (6, 7) if len(row) == max(_RETINANET) else None
    return Columns(names, 0, (1, 2, 3, 4), "corners", 5, size, header=False)
