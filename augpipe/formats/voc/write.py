"""Writing Pascal VOC: an XML a picture, boxes 1-based and inclusive, fields that VOC knows and those it does not mind.

A box (x0, y0, x1, y1) becomes xmin = x0 + 1, ymin = y0 + 1, xmax = x1, ymax = y1: the inverse of reading. Fractions
stay fractions. A box that is thinner than a pixel would have its corners swapped, so VOC has no place for it. Masks are
in :mod:`augpipe.formats.voc.write_masks`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from augpipe.core.annotations import Annotations, Category, ObjectPart, Objects
from augpipe.core.errors import Reject
from augpipe.formats.base import Dataset, plural
from augpipe.formats.coco import write
from augpipe.formats.coco.write import whole
from augpipe.formats.voc.write_masks import is_listable, labelmap_of, masks_of, png_of
from augpipe.formats.writer import (
    Added,
    Closing,
    DatasetWriter,
    Made,
    Picture,
    Stage,
    WriteOptions,
    losses_of,
    require_own_stems,
    split_of,
    stem_of,
    writable,
    write_into,
)
from augpipe.pixels.codec.image import is_gray

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PICTURE_ELEMENTS = ("filename", "size", "object")  # written from what they mean, so no free field may take the name
_OBJECT_ELEMENTS = ("name", "bndbox", "part")
# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_of(
    filename: str,
    size_wh: tuple[int, int],
    depth: int,
    annotations: Annotations,
    categories: Mapping[int, Category],
    segmented: bool = False,
) -> bytes:
    """The XML of one picture.

    Args:
        filename: name of the picture's file, without folders.
        size_wh: as the labels state it.
        depth: channels.
        annotations: its labels.
        categories: by id.
        segmented: whether masks are written, where the labels do not say so themselves.
    """
    root = Element("annotation")
    attributes = dict(annotations.attributes)
    _append(root, "folder", attributes.pop("folder", "JPEGImages"))
    _text(root, "filename", filename)
    _append(root, "source", attributes.pop("source", {"database": "Unknown"}))
    size = SubElement(root, "size")
    for name, value in zip(("width", "height", "depth"), (*size_wh, depth), strict=True):
        _text(size, name, value)
    _append(root, "segmented", attributes.pop("segmented", int(segmented)))
    for name, value in attributes.items():
        if name not in _PICTURE_ELEMENTS:
            _append(root, name, value)
    for i in range(len(annotations.objects)):
        _object(root, annotations.objects, i, categories)
    indent(root, "\t")
    data: bytes = tostring(root, encoding="utf-8")
    return data + b"\n"


def _object(root: Element, objects: Objects, i: int, categories: Mapping[int, Category]) -> None:
    element = SubElement(root, "object")
    facts = objects.facts[i]
    _text(element, "name", categories[int(objects.category_id[i])].name)
    for name in ("pose", "truncated", "difficult", "occluded"):
        if (value := getattr(facts, name)) is not None:
            _text(element, name, value)
    _box(element, objects.boxes_xyxy[i].tolist())
    for part in filter(_is_thick, objects.parts[i]):
        child = SubElement(element, "part")
        _text(child, "name", part.name)
        _box(child, part.box_xyxy)
    for name, value in facts.attributes.items():
        if name not in _OBJECT_ELEMENTS:
            _append(element, name, value)


def _box(parent: Element, box_xyxy: Iterable[float]) -> None:
    box = SubElement(parent, "bndbox")
    for name, value in zip(("xmin", "ymin", "xmax", "ymax"), _corners(box_xyxy), strict=True):
        _text(box, name, value)


def _corners(box_xyxy: Iterable[float]) -> tuple[float, ...]:
    x0, y0, x1, y1 = box_xyxy
    return tuple(map(whole, (x0 + 1, y0 + 1, x1, y1)))


def _is_thick(part: ObjectPart) -> bool:
    xmin, ymin, xmax, ymax = _corners(part.box_xyxy)
    return xmin <= xmax and ymin <= ymax


def unwritable(objects: Objects, i: int, categories: Mapping[int, Category]) -> str | None:
    """Why an object cannot be written, ``None`` if it can."""
    if not _legible(categories[int(objects.category_id[i])].name).strip():
        return "objects whose class has no name"
    xmin, ymin, xmax, ymax = _corners(objects.boxes_xyxy[i].tolist())
    if xmin > xmax or ymin > ymax:
        return "objects thinner than a pixel"
    return write.unwritable(objects, i, categories)


def fractional(objects: Objects) -> int:
    """How many boxes do not end between pixels."""
    return sum(any(isinstance(v, float) for v in _corners(box)) for box in objects.boxes_xyxy.tolist())


def _append(parent: Element, name: str, value: Any) -> None:
    """A JSON value as elements: mappings nest, lists repeat. A name that XML cannot hold is left out."""
    if not _NAME.fullmatch(name) or value is None:
        return
    if isinstance(value, (list, tuple)):
        for item in value:
            _append(parent, name, item)
    elif isinstance(value, Mapping):
        child = SubElement(parent, name)
        for key, item in value.items():
            _append(child, str(key), item)
    else:
        _text(parent, name, int(value) if isinstance(value, bool) else value)


def _text(parent: Element, name: str, value: object) -> None:
    SubElement(parent, name).text = _legible(str(value))


def _legible(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def cannot_hold(annotations: Annotations) -> dict[str, int]:
    """What VOC has no place for in these labels: what → objects, or pictures, that have it."""
    objects = annotations.objects
    counts = {
        "object ids": sum(f.id is not None for f in objects.facts),
        "crowd flags": int(objects.iscrowd.sum()),
        "keypoints": sum(k is not None for k in objects.keypoints),
        "parts thinner than a pixel": sum(not _is_thick(part) for parts in objects.parts for part in parts),
        "oriented boxes": sum(o is not None for o in objects.obb),
        "panoptic masks": int(annotations.panoptic is not None or bool(annotations.segments_info)),
        "image ids": int(annotations.image_id is not None),
        "captions": len(annotations.captions),
        "tags": len(annotations.tags),
        "fields with names that XML cannot hold": _nameless(annotations.attributes, _PICTURE_ELEMENTS)
        + sum(_nameless(f.attributes, _OBJECT_ELEMENTS) for f in objects.facts),
        "fields with values that are other text in XML": _altered(annotations.attributes, _PICTURE_ELEMENTS)
        + sum(_altered(f.attributes, _OBJECT_ELEMENTS) for f in objects.facts if f.attributes),
    }
    return {name: n for name, n in counts.items() if n}


def categories_cannot_hold(
    categories: Iterable[Category], used: Collection[int], masked: bool = False
) -> dict[str, int]:
    """What VOC has no place for in the classes: what → classes that have it. A class is a name that objects have, or
    where there are masks, a line of their labelmap."""
    rows = list(categories)
    counts = {
        "class ids": len(rows),
        "classes without objects": 0 if masked else sum(c.id not in used for c in rows),
        "class names that a labelmap cannot hold": sum(not is_listable(c.name) for c in rows) if masked else 0,
        "classes with the name of another": len(rows) - len({c.name for c in rows}),
        "class names with spaces around or control characters": sum(_legible(c.name).strip() != c.name for c in rows),
        "supercategories": sum(c.supercategory is not None for c in rows),
        "keypoint names and skeletons": sum(bool(c.keypoints or c.skeleton) for c in rows),
    }
    return {name: n for name, n in counts.items() if n}


def _nameless(value: Any, taken: Collection[str] = ()) -> int:
    """How many fields, at any depth, have no name that can be an element's."""
    if isinstance(value, (list, tuple)):
        return sum(map(_nameless, value))
    if not isinstance(value, Mapping):
        return 0
    return sum(
        1 if name in taken or not _NAME.fullmatch(str(name)) else _nameless(inner)
        for name, inner in value.items()
        if inner is not None
    )


def _altered(fields: Mapping[str, Any], taken: Collection[str]) -> int:
    """How many fields come back from XML as something else: numbers as text, a list of one as that, nothing at all."""
    written = ((name, value) for name, value in fields.items() if name not in taken and _NAME.fullmatch(name))
    return sum(value is not None and _as_read(value) != value for _, value in written)


def _as_read(value: Any) -> Any:
    """A JSON value as it is read from the elements that :func:`_append` makes of it; ``None`` if nothing is left."""
    if isinstance(value, Mapping):
        inner = {str(k): _as_read(v) for k, v in value.items() if _NAME.fullmatch(str(k))}
        return {k: v for k, v in inner.items() if v is not None} or None
    if isinstance(value, (list, tuple)):
        read = [_as_read(v) for v in value]
        flat = list(chain.from_iterable(v if isinstance(v, list) else (v,) for v in read if v is not None))
        return flat if len(flat) > 1 else flat[0] if flat else None
    if value is None:
        return None
    return _legible(str(int(value) if isinstance(value, bool) else value)).strip() or None


# --- a dataset -------------------------------------------------------------------------------------------------------


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
    """Begin a VOC root: an XML a picture, and the list of them.

    Raises:
        DatasetError: two pictures would share an XML.
    """
    require_own_stems(dataset, "XML")
    return _Writer(dataset, stage)


class _Rest(NamedTuple):
    """``used`` are the classes of objects, ``fractions`` counts boxes that do not end between pixels."""

    stem: str
    used: tuple[int, ...]
    fractions: int
    sized: bool
    masked: bool


@dataclass(frozen=True)
class _Encoder:
    """See :class:`augpipe.formats.writer.SampleEncoder`."""

    folder: Path
    categories: Mapping[int, Category]
    told: set[str] = field(default_factory=set)

    def make(self, picture: Picture) -> Made:
        stem = stem_of(picture.name)
        if stem != stem.strip() or len(stem.splitlines()) != 1:
            message = "the name cannot stand in a list of ImageSets"
            raise Reject("write", "bad-name", message, file=repr(picture.name))
        annotations, losses = writable(picture.annotations, lambda objects, i: unwritable(objects, i, self.categories))
        objects = annotations.objects
        path = self.folder / "Annotations" / f"{stem}.xml"
        depth = 1 if picture.header is not None and is_gray(picture.header) else 3
        name = os.path.basename(picture.name)
        masks, unpainted = masks_of(annotations, picture.size_wh, {c.id: c.label for c in self.categories.values()})
        size, segmented = picture.size_wh or (0, 0), masks is not None
        write_into(path, xml_of(name, size, depth, annotations, self.categories, segmented))
        if masks is not None:
            write_into(self.folder / "SegmentationClass" / f"{stem}.png", png_of(masks.classes))
            if masks.objects is not None:
                write_into(self.folder / "SegmentationObject" / f"{stem}.png", png_of(masks.objects))
        used = tuple(sorted(set(objects.category_id.tolist())))
        losses = (*losses, *unpainted, *losses_of(annotations, cannot_hold, self.told))
        return Made(
            Added(len(objects), losses), _Rest(stem, used, fractional(objects), picture.size_wh is not None, segmented)
        )

    def pack(self, rests: Sequence[_Rest]) -> Sequence[_Rest]:
        return rests


class _Writer:
    """See :class:`augpipe.formats.writer.DatasetWriter`."""

    def __init__(self, dataset: Dataset, stage: Stage) -> None:
        self._list = stage.folder / "ImageSets" / "Main" / f"{split_of(dataset)}.txt"
        self._categories = {c.id: c for c in dataset.categories}
        self._stems: list[str] = []
        self._masked: list[str] = []
        self._folder = stage.folder
        self._used: set[int] = set()
        self._fractions = self._unsized = 0
        self.maker = _Encoder(stage.folder, self._categories)

    def take(self, packed: Sequence[_Rest]) -> None:
        for rest in packed:
            self._stems.append(rest.stem)
            self._used.update(rest.used)
            self._fractions += rest.fractions
            self._unsized += not rest.sized
            if rest.masked:
                self._masked.append(rest.stem)

    def discard(self) -> None:
        pass

    def close(self) -> Closing:
        self._list.parent.mkdir(parents=True)
        self._list.write_text("".join(f"{stem}\n" for stem in self._stems), "utf-8")
        remarks = []
        classes = sorted(self._categories.values(), key=lambda c: c.label)
        if self._masked:
            write_into(
                self._list.parent.with_name("Segmentation") / self._list.name,
                "".join(f"{stem}\n" for stem in self._masked).encode(),
            )
            write_into(self._folder / "labelmap.txt", labelmap_of(classes).encode())
        if self._fractions:
            remarks.append(
                f"{plural(self._fractions, 'object')} with fractions in the box: they are kept, but some readers of "
                "VOC expect whole numbers"
            )
        if self._unsized:
            remarks.append(f"{plural(self._unsized, 'picture')} of unknown size: the XML says 0 by 0")
        return Closing(categories_cannot_hold(classes, self._used, bool(self._masked)), tuple(remarks))
