"""Writing Pascal VOC: an XML a picture, boxes 1-based and inclusive, fields that VOC knows and those it does not mind.

A box (x0, y0, x1, y1) becomes xmin = x0 + 1, ymin = y0 + 1, xmax = x1, ymax = y1: the inverse of reading. Fractions
stay fractions. A box that is thinner than a pixel would have its corners swapped, so VOC has no place for it. Masks are
in :mod:`augpipe.formats.voc.write_masks`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from augpipe.core.annotations import Annotations, Category, ObjectPart, Objects
from augpipe.core.errors import Reject
from augpipe.formats.base import Dataset, plural
from augpipe.formats.coco.rows import whole
from augpipe.formats.output import lines_of, write_into
from augpipe.formats.voc.write_masks import is_listable, labelmap_of, masks_of, png_of
from augpipe.formats.writer import (
    Closing,
    DatasetWriter,
    Encoded,
    Picture,
    SampleEncoder,
    Stage,
    WriteOptions,
    one_a_name,
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

    ``filename`` is without folders, ``depth`` the number of channels. ``segmented`` says whether there are masks,
    unless the labels have such a field.
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


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
    """Begin a VOC root."""
    return VocWriter(dataset, stage)


class ImageSetRows(NamedTuple):
    """What the lists and remarks say of a picture. ``fractions`` counts boxes that do not end between pixels."""

    stem: str
    class_ids: set[int]
    fractions: int
    sized: bool
    masked: bool


@dataclass(frozen=True)
class VocEncoder(SampleEncoder):
    """Writes the XML and the masks of a picture into a VOC root; ``categories`` are by id, as are their positions in
    the labelmap."""

    folder: Path
    categories: Mapping[int, Category]
    positions: Mapping[int, int]
    holds = frozenset({"segmentations", "truncated, difficult and occluded flags", "poses", "parts",
                       "fields of objects", "fields of pictures", "semantic masks", "instance masks"})  # fmt: skip

    def encode(self, picture: Picture) -> Encoded:
        stem, annotations = picture.stem, picture.annotations
        if stem != stem.strip() or len(stem.splitlines()) != 1:
            message = "the name cannot stand in a list of ImageSets"
            raise Reject("write", "bad-name", message, file=repr(picture.name))
        depth = 1 if picture.header is not None and is_gray(picture.header) else 3
        masks, losses = masks_of(annotations, picture.size_wh, self.positions)
        size, masked = picture.size_wh or (0, 0), masks is not None
        xml = xml_of(os.path.basename(picture.name), size, depth, annotations, self.categories, masked)
        write_into(self.folder / "Annotations" / f"{stem}.xml", xml)
        if masks is not None:
            write_into(self.folder / "SegmentationClass" / f"{stem}.png", png_of(masks.classes))
            if masks.objects is not None:
                write_into(self.folder / "SegmentationObject" / f"{stem}.png", png_of(masks.objects))
        objects = annotations.objects
        used = set(objects.category_id.tolist())
        listed = ImageSetRows(stem, used, fractional(objects), picture.size_wh is not None, masked)
        return Encoded(len(objects), tuple(losses), rest=listed)

    def unwritable(self, objects: Objects) -> Sequence[str | None]:
        return [self._reason(objects, i) or far for i, far in enumerate(super().unwritable(objects))]

    def _reason(self, objects: Objects, i: int) -> str | None:
        if not _legible(self.categories[int(objects.category_id[i])].name).strip():
            return "objects whose class has no name"
        xmin, ymin, xmax, ymax = _corners(objects.boxes_xyxy[i].tolist())
        return "objects thinner than a pixel" if xmin > xmax or ymin > ymax else None

    def cannot_hold(self, annotations: Annotations) -> dict[str, int]:
        objects = annotations.objects
        fields = [(annotations.attributes, _PICTURE_ELEMENTS)]
        fields += [(f.attributes, _OBJECT_ELEMENTS) for f in objects.facts if f.attributes]
        own = {
            "parts thinner than a pixel": sum(not _is_thick(part) for parts in objects.parts for part in parts),
            "fields with names that XML cannot hold": sum(_nameless(*field) for field in fields),
            "fields with values that are other text in XML": sum(_altered(*field) for field in fields),
        }
        return super().cannot_hold(annotations) | {what: n for what, n in own.items() if n}


class VocWriter(DatasetWriter):
    """Writes the lists of pictures, and the labelmap if there are masks."""

    own_file = "XML"

    def __init__(self, dataset: Dataset, stage: Stage) -> None:
        super().__init__(dataset, stage)
        positions = {number: place + 1 for number, place in one_a_name(self.categories)[1].items()}
        self.encoder = VocEncoder(stage.folder, {c.id: c for c in dataset.categories}, positions)
        self._listed: list[ImageSetRows] = []
        self._of_split: dict[str, list[ImageSetRows]] = {}

    def take(self, packed: Sequence[ImageSetRows]) -> None:
        self._listed += packed
        self._of_split.setdefault(self.split, []).extend(packed)

    def close(self) -> Closing:
        lists = self.folder / "ImageSets"
        for split, listed in self._of_split.items():
            write_into(lists / "Main" / f"{split}.txt", lines_of(picture.stem for picture in listed))
            if masked := [picture.stem for picture in listed if picture.masked]:
                write_into(lists / "Segmentation" / f"{split}.txt", lines_of(masked))
        if any(picture.masked for picture in self._listed):
            write_into(self.folder / "labelmap.txt", labelmap_of(one_a_name(self.categories)[0]).encode())
        remarks = []
        if fractions := sum(picture.fractions for picture in self._listed):
            remarks.append(
                f"{plural(fractions, 'object')} with fractions in the box: they are kept, but some readers of "
                "VOC expect whole numbers"
            )
        if unsized := sum(not picture.sized for picture in self._listed):
            remarks.append(f"{plural(unsized, 'picture')} of unknown size: the XML says 0 by 0")
        return Closing(self.classes_cannot_hold(), tuple(remarks))

    def classes_cannot_hold(self) -> dict[str, int]:
        """A class is a name that objects have or, where there are masks, a line of their labelmap."""
        rows, names = self.categories, [c.name for c in self.categories]
        masked = any(picture.masked for picture in self._listed)
        used = set[int]().union(*(picture.class_ids for picture in self._listed))
        own = {
            "class ids": len(rows),
            "classes without objects": 0 if masked else sum(c.id not in used for c in rows),
            "class names that a labelmap cannot hold": sum(not is_listable(n) for n in names) if masked else 0,
            "classes with the name of another": len(names) - len(set(names)),
            "class names with spaces around or control characters": sum(_legible(n).strip() != n for n in names),
        }
        return super().classes_cannot_hold() | {what: n for what, n in own.items() if n}
