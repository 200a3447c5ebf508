"""Pascal VOC: XML a picture, boxes 1-based and inclusive, masks as palette indexes.

A box (xmin, ymin, xmax, ymax) of the devkit counts pixels from 1 and includes the last one, so it reads as
(xmin − 1, ymin − 1, xmax, ymax) here, and VOC 1..10 is ten pixels wide. (VOC2012 devkit, §5: "the top-left pixel in
the image has coordinates (1,1)".) Real files are looser than the devkit: children in any order, corners swapped,
floats, missing fields, file names that are not the picture's. What cannot be an object is dropped with a reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml
import defusedxml.ElementTree as SafeTree
import numpy as np

from augpipe.errors import Reject, one_line
from augpipe.formats.base import DEEPEST, Entry, Place, read_place, require_small
from augpipe.masks import rle_of, window_of
from augpipe.pixels.codec import bands
from augpipe.pixels.raster_codec import decode_raster
from augpipe.sample import (
    Annotations,
    Dropped,
    Facts,
    ObjectRow,
    Part,
    Raster,
    Rle,
    objects_of,
)

TWENTY = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""VOC's classes in the devkit's order; the index in a mask is the position here, from 1."""

_FLAGS = ("truncated", "difficult", "occluded")
_WORDS = {"true": 1, "yes": 1, "false": 0, "no": 0}
# `path` is where the annotator's disk had the picture; it names a machine and means nothing anywhere else.
_PICTURE_FIELDS = ("size", "object", "filename", "path")


@dataclass(frozen=True)
class VocAt:
    """Where the annotations of one picture are; any of them may be missing."""

    xml: Place | None
    class_mask: Place | None = None
    object_mask: Place | None = None


@dataclass(frozen=True)
class VocReader:
    """Reads entries whose ``annotation`` is a :class:`VocAt`. ``ids`` is name → category id."""

    ids: Mapping[str, int]
    origin: int = 1
    mask_colours: Mapping[int, int] | None = None

    def annotations(self, entry: Entry) -> Annotations:
        """The labels of one picture; see :class:`augpipe.formats.base.Reader`."""
        at: VocAt = entry.annotation
        instance = _mask(at.object_mask, None)  # numbers of objects, in the palette's own colours
        semantic = _mask(at.class_mask, self.mask_colours)
        out = Annotations()
        if at.xml is not None:
            out = self.parse(read_place(at.xml), entry.file, instance)
        if instance is None and semantic is None:
            return out
        h, w = (semantic if semantic is not None else instance).shape  # type: ignore[union-attr]
        return replace(out, semantic=semantic, instance=instance, size_wh=out.size_wh or (w, h))

    def parse(self, xml: bytes, file: str, instance: Raster | None = None) -> Annotations:
        """The labels of one XML text.

        Raises:
            Reject: ``bad-xml`` or ``entity``, with the line.
        """
        root = parse_xml(xml, file)
        rows: list[ObjectRow] = []
        dropped: list[Dropped] = []
        notes: set[str] = set()
        for index, element in enumerate(root.findall("object")):
            category_id = self._category(element, index, file)
            mask = None if instance is None else _mask_of(instance, index + 1)
            box, found = self._box(element.find("bndbox"))
            if box is None and mask is not None:
                box, found = _box_around(mask), {"box-remade"}
            notes |= found
            if box is None:
                dropped.append(Dropped(index, category_id, "degenerate"))
                continue
            parts = self._parts(element)
            if len(parts) < len(element.findall("part")):
                notes.add("part-left-out")
            rows.append(
                ObjectRow(
                    index=index,
                    category_id=category_id,
                    box_xyxy=box,
                    instance=0 if mask is None else index + 1,
                    segmentation=mask,
                    parts=tuple(parts),
                    facts=_facts(element),
                )
            )
        attributes = {k: v for k, v in _as_json(root).items() if k not in _PICTURE_FIELDS}
        return Annotations(
            objects=objects_of(rows),
            size_wh=_size(root),
            attributes=attributes,
            dropped=tuple(dropped),
            notes=tuple(sorted(notes)),
        )

    def _category(self, element: Element, index: int, file: str) -> int:
        name = text_of(element, "name")
        if name is None:
            raise Reject("labels", "bad-xml", f"{file}: object {index + 1} has no <name>", file=file)
        if name not in self.ids:
            raise Reject("labels", "unknown-class", f"{file}: class '{one_line(name)}' is not known", file=file)
        return self.ids[name]

    def _box(self, element: Element | None) -> tuple[tuple[float, float, float, float] | None, set[str]]:
        """(half-open box or ``None``, notes). Swapped corners are put in order, which loses nothing."""
        values = [number_of(element, name) for name in ("xmin", "ymin", "xmax", "ymax")]
        if any(v is None or not math.isfinite(v) for v in values):
            return None, set()
        x0, y0, x1, y1 = (float(v) for v in values if v is not None)
        swapped = x1 < x0 or y1 < y0
        x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
        last = 1 - self.origin
        return (x0 - self.origin, y0 - self.origin, x1 + last, y1 + last), {"corners-swapped"} if swapped else set()

    def _parts(self, element: Element) -> list[Part]:
        parts = [(text_of(part, "name") or "", self._box(part.find("bndbox"))[0]) for part in element.findall("part")]
        return [Part(name, box) for name, box in parts if box is not None]


def _mask(place: Place | None, colours: Mapping[int, int] | None) -> Raster | None:
    if place is None:
        return None
    name = place.name or "/".join(Path(place.path).parts[-2:])
    raster = decode_raster(read_place(place), name)
    return indexes_of_colours(raster, colours, name) if raster.dtype == np.uint32 else raster


def _box_around(mask: Rle) -> tuple[float, float, float, float]:
    bitmap, (x, y) = window_of(mask)
    return float(x), float(y), float(x + bitmap.shape[1]), float(y + bitmap.shape[0])


def _mask_of(instance: Raster, value: int) -> Rle | None:
    """The pixels of one instance; the void border around it is not the object."""
    rows = np.flatnonzero((instance == value).any(axis=1))
    if rows.size == 0:
        return None
    band = instance[rows[0] : rows[-1] + 1] == value
    columns = np.flatnonzero(band.any(axis=0))
    bitmap = band[:, columns[0] : columns[-1] + 1].astype(np.uint8)
    return rle_of(bitmap, (int(columns[0]), int(rows[0])), (instance.shape[1], instance.shape[0]))


# --- XML -------------------------------------------------------------------------------------------------------------


def parse_xml(xml: bytes, file: str) -> Element:
    """The root of an XML text, parsed without entities, DTDs or external references.

    Raises:
        Reject: ``bad-xml`` with the line, ``entity`` or ``too-large``.
    """
    require_small(xml, b"<=", file)
    try:
        root: Element = SafeTree.fromstring(xml, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    except ParseError as error:
        line = error.position[0]
        raise Reject("labels", "bad-xml", f"{file}:{line}: {one_line(error)}", file=file, line=line) from error
    except defusedxml.DefusedXmlException as error:
        message = f"{file}: XML with entities is not read; a VOC file needs none"
        raise Reject("labels", "entity", message, file=file) from error
    except (ValueError, LookupError, RecursionError) as error:
        raise Reject("labels", "bad-xml", f"{file}: {one_line(error)}; save it as UTF-8", file=file) from error
    if root.tag != "annotation":
        message = f"{file}: expected <annotation>, got <{one_line(root.tag, 40)}>"
        raise Reject("labels", "bad-xml", message, file=file, line=1)
    if _is_deep(root):
        raise Reject("labels", "bad-xml", f"{file}: elements nested in more than {DEEPEST} levels", file=file)
    return root


def _is_deep(root: Element) -> bool:
    level = [root]
    for _ in range(DEEPEST + 1):
        level = [child for element in level for child in element]
        if not level:
            return False
    return True


def text_of(element: Element | None, name: str) -> str | None:
    """The stripped text of a child, ``None`` if there is none or it is empty."""
    child = None if element is None else element.find(name)
    text = None if child is None or child.text is None else child.text.strip()
    return text or None


def number_of(element: Element | None, name: str) -> float | None:
    """The number in a child, ``None`` if there is none."""
    text = text_of(element, name) or ""
    try:
        return None if "_" in text else float(text)  # Python's own 1_000 is no number of a file
    except ValueError:
        return None


def _flag(element: Element, name: str) -> int | None:
    value = number_of(element, name)
    if value is None or not math.isfinite(value):
        return _WORDS.get((text_of(element, name) or "").lower())
    return int(value != 0)


def _size(root: Element) -> tuple[int, int] | None:
    size = root.find("size")
    width, height = number_of(size, "width"), number_of(size, "height")
    if width is None or height is None or not (0 < width < 1e7 and 0 < height < 1e7):
        return None  # missing, or the zeros that some tools write
    return int(width), int(height)


def _facts(element: Element) -> Facts:
    known: dict[str, Any] = {name: _flag(element, name) for name in _FLAGS}
    known["pose"] = text_of(element, "pose")
    understood = {"name", "bndbox", "part", *(name for name, value in known.items() if value is not None)}
    return Facts(attributes={k: v for k, v in _as_json(element).items() if k not in understood}, **known)


def _as_json(element: Element) -> dict[str, Any]:
    """The children of an element as JSON values: text, mappings, and lists where a name comes again."""
    found: dict[str, list[Any]] = {}
    for child in element:
        text = (child.text or "").strip()
        value: Any = _as_json(child) if len(child) else text
        if value not in ("", {}):
            found.setdefault(str(child.tag), []).append(value)
    return {tag: values if len(values) > 1 else values[0] for tag, values in found.items()}


# --- masks -----------------------------------------------------------------------------------------------------------


def palette() -> list[tuple[int, int, int]]:
    """VOC's colour map: the colour of each index 0..255 (devkit, VOClabelcolormap.m)."""
    colours = []
    for index in range(256):
        r = g = b = 0
        rest = index
        for shift in range(7, -1, -1):
            r |= (rest & 1) << shift
            g |= (rest >> 1 & 1) << shift
            b |= (rest >> 2 & 1) << shift
            rest >>= 3
        colours.append((r, g, b))
    return colours


def _packed(colours: Sequence[tuple[int, int, int]]) -> dict[int, int]:
    return {r | g << 8 | b << 16: index for index, (r, g, b) in enumerate(colours)}


def indexes_of_colours(raster: Raster, colours: Mapping[int, int] | None, file: str) -> Raster:
    """A mask that was saved as RGB back to indexes.

    Raises:
        Reject: ``bad-mask`` if a colour is not of the palette.
    """
    table = colours or _packed(palette())
    out = np.empty(raster.shape, np.uint8)
    for rows in bands(*raster.shape):
        values, places = np.unique(raster[rows], return_inverse=True)
        unknown = [int(v) for v in values if int(v) not in table]
        if unknown:
            v = unknown[0]
            message = f"{file}: the mask has the colour ({v & 255}, {v >> 8 & 255}, {v >> 16}), which is no class"
            raise Reject("labels", "bad-mask", message, file=file)
        indexes = np.array([table[int(v)] for v in values], np.uint8)
        out[rows] = indexes[places].reshape(out[rows].shape)
    return out


def read_labelmap(data: bytes) -> tuple[list[str], dict[int, int]]:
    """(names by index, packed colour → index) of a ``labelmap.txt``: lines ``name:r,g,b:parts:actions``."""
    names: list[str] = []
    colours: list[tuple[int, int, int]] = []
    standard = palette()
    for raw in data.decode("utf-8-sig", errors="replace").splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        numbers = rest.split(":")[0].split(",")
        colour = standard[len(names) % 256]
        if len(numbers) == 3 and all(n.strip().isdecimal() for n in numbers):
            r, g, b = (int(n) & 255 for n in numbers)
            colour = (r, g, b)
        names.append(name)
        colours.append(colour)
    return names, _packed(colours)
