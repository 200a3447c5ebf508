"""Pascal VOC: XML a picture, boxes 1-based and inclusive, masks as palette indexes.

A box (xmin, ymin, xmax, ymax) of the devkit counts pixels from 1 and includes the last one, so it reads as
(xmin − 1, ymin − 1, xmax, ymax) here, and VOC 1..10 is ten pixels wide. (VOC2012 devkit, §5: "the top-left pixel in
the image has coordinates (1,1)".) Real files are looser than the devkit: children in any order, corners swapped,
floats, missing fields, file names that are not the picture's. What cannot be an object is dropped with a reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as PlainTree
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
    Objects,
    Part,
    Raster,
    Rle,
)

TWENTY = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""VOC's classes in the devkit's order; the index in a mask is the position here, from 1."""

_FLAGS = ("truncated", "difficult", "occluded")
_UNDERSTOOD = frozenset({"name", "bndbox", "part"})
_BITS: dict[str | None, int] = {"0": 0, "1": 1}
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
        rows = _Columns()
        dropped: list[Dropped] = []
        notes: set[str] = set()
        for index, element in enumerate(root.findall("object")):
            children = _first_children(element)
            category_id = self._category(children, index, file)
            mask = None if instance is None else _mask_of(instance, index + 1)
            box = self._box(children.get("bndbox"), notes)
            if box is None and mask is not None:
                box = _box_around(mask)
                notes.add("box-remade")
            if box is None:
                dropped.append(Dropped(index, category_id, "degenerate"))
                continue
            parts = self._parts(element) if "part" in children else ()
            if "part" in children and len(parts) < len(element.findall("part")):
                notes.add("part-left-out")
            rows.index.append(index)
            rows.category_id.append(category_id)
            rows.boxes_xyxy.append(box)
            rows.segmentation.append(mask)
            rows.parts.append(parts)
            rows.facts.append(_facts(element, children))
        return Annotations(
            objects=rows.objects(),
            size_wh=_size(root),
            attributes=_as_json(child for child in root if child.tag not in _PICTURE_FIELDS),
            dropped=tuple(dropped),
            notes=tuple(sorted(notes)),
        )

    def _category(self, children: Mapping[str, Element], index: int, file: str) -> int:
        name = _text(children.get("name"))
        if name is None:
            raise Reject("labels", "bad-xml", f"{file}: object {index + 1} has no <name>", file=file)
        if name not in self.ids:
            raise Reject("labels", "unknown-class", f"{file}: class '{one_line(name)}' is not known", file=file)
        return self.ids[name]

    def _box(self, element: Element | None, notes: set[str]) -> tuple[float, float, float, float] | None:
        """The half-open box, ``None`` if it is none. Swapped corners are put in order and noted: nothing is lost."""
        if element is None:
            return None
        sides = {child.tag: child.text for child in element[::-1]}
        try:
            texts = (sides["xmin"], sides["ymin"], sides["xmax"], sides["ymax"])
            x0, y0, x1, y1 = map(float, texts)  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError):
            return None
        if not all(map(math.isfinite, (x0, y0, x1, y1))) or any("_" in text for text in texts if text):
            return None
        if x1 < x0 or y1 < y0:
            notes.add("corners-swapped")
            x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
        last = 1 - self.origin
        return (x0 - self.origin, y0 - self.origin, x1 + last, y1 + last)

    def _parts(self, element: Element) -> tuple[Part, ...]:
        parts = element.findall("part")
        boxes = [(text_of(part, "name") or "", self._box(part.find("bndbox"), set())) for part in parts]
        return tuple(Part(name, box) for name, box in boxes if box is not None)


@dataclass
class _Columns:
    """Objects on their way: as rows they would take longer than all else."""

    index: list[int] = field(default_factory=list)
    category_id: list[int] = field(default_factory=list)
    boxes_xyxy: list[tuple[float, float, float, float]] = field(default_factory=list)
    segmentation: list[Rle | None] = field(default_factory=list)
    parts: list[tuple[Part, ...]] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)

    def objects(self) -> Objects:
        index, none = np.array(self.index, np.int64), (None,) * len(self.index)
        return Objects(
            index,
            np.array(self.category_id, np.int64),
            np.array(self.boxes_xyxy, np.float64).reshape(-1, 4),
            np.zeros(len(index), np.uint8),
            np.array([0 if m is None else i + 1 for i, m in zip(self.index, self.segmentation, strict=True)], np.int64),
            tuple(self.segmentation),
            none,
            none,
            tuple(self.parts),
            tuple(self.facts),
        )


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
    root = _plainly_parsed(xml)
    if root is None:
        root = _warily_parsed(xml, file)
    if root.tag != "annotation":
        message = f"{file}: expected <annotation>, got <{one_line(root.tag, 40)}>"
        raise Reject("labels", "bad-xml", message, file=file, line=1)
    if _is_deep(root):
        raise Reject("labels", "bad-xml", f"{file}: elements nested in more than {DEEPEST} levels", file=file)
    return root


def _plainly_parsed(xml: bytes) -> Element | None:
    """The root by the parser in C, six times as fast, where nothing in the bytes could declare an entity.

    That takes a DTD, which begins with these letters in every encoding that expat reads; UTF-16 alone puts zeros
    between them. ``None`` for all else, and for what is no XML, of which the other parser then says why.
    """
    if b"<!D" in xml or b"\0" in xml:
        return None
    try:
        return PlainTree.fromstring(xml)
    except (ParseError, ValueError, LookupError, RecursionError):
        return None


def _warily_parsed(xml: bytes, file: str) -> Element:
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
    return root


def _is_deep(root: Element) -> bool:
    level = [root]
    for _ in range(DEEPEST + 1):
        level = [child for element in level for child in element]
        if not level:
            return False
    return True


def _first_children(element: Element) -> dict[str, Element]:
    """Tag → the first child that has it, as ``find`` would give it."""
    return {child.tag: child for child in element[::-1]}


def _text(element: Element | None) -> str | None:
    text = None if element is None or element.text is None else element.text.strip()
    return text or None


def _number(element: Element | None) -> float | None:
    text = _text(element)
    try:
        return None if text is None or "_" in text else float(text)  # Python's own 1_000 is no number of a file
    except ValueError:
        return None


def text_of(element: Element | None, name: str) -> str | None:
    """The stripped text of a child, ``None`` if there is none or it is empty."""
    return None if element is None else _text(element.find(name))


def number_of(element: Element | None, name: str) -> float | None:
    """The number in a child, ``None`` if there is none."""
    return None if element is None else _number(element.find(name))


def _flag(element: Element) -> int | None:
    if (bit := _BITS.get(element.text)) is not None:
        return bit
    text, value = _text(element), _number(element)
    if value is None or not math.isfinite(value):
        return _WORDS.get((text or "").lower())
    return int(value != 0)


def _size(root: Element) -> tuple[int, int] | None:
    size = root.find("size")
    width, height = number_of(size, "width"), number_of(size, "height")
    if width is None or height is None or not (0 < width < 1e7 and 0 < height < 1e7):
        return None  # missing, or the zeros that some tools write
    return int(width), int(height)


def _facts(element: Element, children: Mapping[str, Element]) -> Facts:
    truncated, difficult, occluded = (_flag(children[n]) if n in children else None for n in _FLAGS)
    pose = _text(children["pose"]) if "pose" in children else None
    known = (truncated is not None) + (difficult is not None) + (occluded is not None) + (pose is not None)
    if len(children) == known + len(_UNDERSTOOD.intersection(children)):
        return Facts(None, truncated, difficult, occluded, pose)
    stated = dict(zip((*_FLAGS, "pose"), (truncated, difficult, occluded, pose), strict=True))
    understood = _UNDERSTOOD.union(name for name, value in stated.items() if value is not None)
    others = _as_json(child for child in element if child.tag not in understood)
    return Facts(None, truncated, difficult, occluded, pose, others)


def _as_json(children: Iterable[Element]) -> dict[str, Any]:
    """Elements as JSON values: text, mappings, and lists where a name comes again."""
    found: dict[str, list[Any]] = {}
    for child in children:
        value: Any = _as_json(child) if len(child) else (child.text or "").strip()
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
