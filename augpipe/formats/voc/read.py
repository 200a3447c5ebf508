"""Pascal VOC: XML a picture, boxes 1-based and inclusive, masks as palette indexes.

A box (xmin, ymin, xmax, ymax) of the devkit counts pixels from 1 and includes the last one, so it reads as
(xmin − 1, ymin − 1, xmax, ymax) here, and VOC 1..10 is ten pixels wide. (VOC2012 devkit, §5: "the top-left pixel in
the image has coordinates (1,1)".) Real files are looser than the devkit: children in any order, corners swapped,
floats, missing fields, file names that are not the picture's. What cannot be an object is dropped with a reason.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from augpipe.core.annotations import (
    F64,
    Annotations,
    Dropped,
    ObjectAttributes,
    ObjectPart,
    Objects,
    Raster,
    Rings,
    Rle,
    Segmentation,
)
from augpipe.core.errors import Reject, one_line
from augpipe.core.geometry import bounds_of
from augpipe.formats.base import Entry
from augpipe.formats.limits import bad_labels
from augpipe.formats.voc.shapes import ORIENTED, POLYGON, obb_of, rings_of
from augpipe.formats.voc.xml_reader import Corners, Said, read_xml, unpack
from augpipe.storage.byte_range import ByteRange, read_place

TWENTY = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""VOC's classes in the devkit's order; the index in a mask is the position here, from 1."""


class VocAt(NamedTuple):
    """The places of one picture's labels, and its XML as packed by :mod:`~augpipe.formats.voc.xml_reader`, if it is
    held."""

    xml: ByteRange | None
    class_mask: ByteRange | None = None
    object_mask: ByteRange | None = None
    said: bytes | None = None


@dataclass(frozen=True)
class VocReader:
    """Reads entries whose ``annotation`` is a :class:`VocAt`. ``ids`` is name → category id."""

    ids: Mapping[str, int]
    origin: int = 1
    mask_colors: Mapping[int, int] | None = None

    def annotations(self, entry: Entry) -> Annotations:
        at: VocAt = entry.annotation
        semantic, instance = self._rasters(at)
        out = Annotations()
        if at.said is not None:
            out = self.labels(unpack(at.said), entry.file, instance)
        elif at.xml is not None:
            out = self.parse(read_place(at.xml), entry.file, instance)
        if instance is None and semantic is None:
            return out
        h, w = (semantic if semantic is not None else instance).shape  # type: ignore[union-attr]
        return replace(out, semantic=semantic, instance=instance, size_wh=out.size_wh or (w, h))

    def _rasters(self, at: VocAt) -> tuple[Raster | None, Raster | None]:
        """The mask of classes, and that of objects: their numbers, which are in the palette's own colors."""
        if at.class_mask is None and at.object_mask is None:
            return None, None
        from augpipe.formats.voc.masks import mask_at

        instance = None if at.object_mask is None else mask_at(at.object_mask, None)
        return None if at.class_mask is None else mask_at(at.class_mask, self.mask_colors), instance

    def parse(self, xml: bytes, file: str, instance: Raster | None = None) -> Annotations:
        """The labels of an XML text; raises ``Reject``."""
        return self.labels(read_xml(xml, file), file, instance)

    def labels(self, said: Said, file: str, instance: Raster | None = None) -> Annotations:
        """The labels of a parsed XML; raises ``Reject`` for an object without a class, or of an unknown one."""
        try:
            categories = [self.ids[name] for name in said.names]  # type: ignore[index]
        except KeyError:
            raise self._unknown(said.names, file) from None
        notes: set[str] = {"verified-left-out"} if said.verified else set()
        boxes = [None if corners is None else self._box(corners, notes) for corners in said.corners]
        masks: Sequence[Segmentation | None] = (None,) * len(boxes)
        if instance is not None:
            masks = _masks_for(boxes, instance, notes)
        obbs: list[F64 | None] = [None] * len(boxes)
        fields = said.fields
        if any(POLYGON in of_object or ORIENTED in of_object for of_object in fields.values()):
            masks, obbs, fields = self._shapes(said, boxes, list(masks), notes)
        has_masks = instance is not None or any(mask is not None for mask in masks)
        kept = [i for i, box in enumerate(boxes) if box is not None]
        lost = [i for i, box in enumerate(boxes) if box is None] if len(kept) < len(boxes) else []
        parts = {i: self._parts(said, i, notes) for i in kept if i in said.parts} if said.parts else {}
        numbers = (
            np.zeros(len(kept), np.int64) if instance is None else [i + 1 if _is_rle(masks[i]) else 0 for i in kept]
        )
        nothing = (None,) * len(kept)
        objects = Objects(
            np.array(kept, np.int64),
            np.array([categories[i] for i in kept] if lost else categories, np.int64),
            np.array([boxes[i] for i in kept] if lost else boxes, np.float64).reshape(-1, 4),
            np.zeros(len(kept), np.uint8),
            np.asarray(numbers, np.int64),
            tuple([masks[i] for i in kept]) if has_masks else nothing,
            nothing,
            tuple([obbs[i] for i in kept]),
            tuple([parts.get(i, ()) for i in kept]) if parts else ((),) * len(kept),
            tuple([_facts(said, fields, i) for i in kept]),
        )
        return Annotations(
            objects=objects,
            size_wh=said.size_wh,
            attributes=said.attributes,
            dropped=tuple([Dropped(i, categories[i], "degenerate") for i in lost]),
            notes=tuple(sorted(notes)) if notes else (),
        )

    def _unknown(self, names: Sequence[str | None], file: str) -> Reject:
        """Why the first object that has no class of ours has none."""
        index, name = next((i, name) for i, name in enumerate(names) if name not in self.ids)
        if name is None:
            return bad_labels("bad-xml", file, f"object {index + 1} has no <name>")
        return bad_labels("unknown-class", file, f"class '{one_line(name)}' is not known")

    def _box(self, corners: Corners, notes: set[str]) -> Corners:
        """The half-open box. Swapped corners are put in order and noted: nothing is lost."""
        x0, y0, x1, y1 = corners
        if x1 < x0 or y1 < y0:
            notes.add("corners-swapped")
            x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
        last = 1 - self.origin
        return (x0 - self.origin, y0 - self.origin, x1 + last, y1 + last)

    def _shapes(
        self, said: Said, boxes: list[Corners | None], masks: list[Segmentation | None], notes: set[str]
    ) -> tuple[list[Segmentation | None], list[F64 | None], dict[int, dict[str, Any]]]:
        """(masks, oriented boxes, fields that are left) of objects with polygons or oriented boxes of their own.

        An object without ``<bndbox>`` gets the box around them.
        """
        obbs: list[F64 | None] = [None] * len(boxes)
        left = dict(said.fields)
        for i, fields in said.fields.items():
            taken: set[str] = set()
            rings: tuple[F64, ...] = ()
            if POLYGON in fields and masks[i] is None:
                if rings := rings_of(fields, self.origin):
                    masks[i] = Rings(rings)
                    taken.add(POLYGON)
                else:
                    notes.add("ring-left-out")
            points = list(rings)
            if ORIENTED in fields:
                obbs[i] = obb = obb_of(fields, self.origin)
                if obb is None:
                    notes.add("obb-left-out")
                else:
                    points.append(obb)
                    taken |= {ORIENTED, "type"}
            left[i] = {name: value for name, value in fields.items() if name not in taken}
            if boxes[i] is None and points:
                x0, y0, x1, y1 = bounds_of(np.concatenate(points)).tolist()
                boxes[i] = (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
                notes.add("box-remade")
        return masks, obbs, left

    def _parts(self, said: Said, index: int, notes: set[str]) -> tuple[ObjectPart, ...]:
        found = said.parts[index]
        parts = [ObjectPart(name, self._box(corners, set())) for name, corners in found if corners is not None]
        if len(parts) < len(found):
            notes.add("part-left-out")
        return tuple(parts)


def _masks_for(boxes: list[Corners | None], instance: Raster, notes: set[str]) -> list[Rle | None]:
    """The mask of each object; one that has no box gets that around its mask."""
    from augpipe.formats.voc.masks import box_around, mask_of

    masks = [mask_of(instance, index + 1) for index in range(len(boxes))]
    for i, mask in enumerate(masks):
        if boxes[i] is None and mask is not None:
            boxes[i] = box_around(mask)
            notes.add("box-remade")
    return masks


def _is_rle(mask: Segmentation | None) -> bool:
    return isinstance(mask, Rle)


def _facts(said: Said, of_objects: Mapping[int, dict[str, Any]], index: int) -> ObjectAttributes:
    fields = of_objects.get(index) if of_objects else None
    return _plain_facts(*said.facts[index]) if fields is None else ObjectAttributes(None, *said.facts[index], fields)


@functools.lru_cache(maxsize=1024)
def _plain_facts(
    truncated: int | None, difficult: int | None, occluded: int | None, pose: str | None
) -> ObjectAttributes:
    """Few sets of facts come again and again; those of all objects of a kind are one."""
    return ObjectAttributes(None, truncated, difficult, occluded, pose)
