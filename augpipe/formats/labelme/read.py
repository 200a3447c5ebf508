"""labelme: the shapes of a JSON become the objects of its picture.

    {"shapes": [{"label": "cat", "points": [[x, y], …], "shape_type": "polygon", "group_id": 1, "flags": {}}],
     "imagePath": "a.jpg", "imageData": null, "imageHeight": 240, "imageWidth": 320}

Points are places on labelme's canvas, whose picture spans [0, W], so they are in the convention of
:mod:`augpipe.core.geometry`. A rectangle is two opposite corners, a circle its centre and a point of it, a mask a PNG
between two corners of which both count (labelme/utils/shape.py, ``shape_to_mask`` and ``shapes_to_label``). A
``rotation`` is the turned box of X-AnyLabeling, four corners. Shapes of one label with one ``group_id`` are one object,
and points with that number are its keypoints. Lines, and points that belong to nothing, enclose no area: left out.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augpipe.core.annotations import F64, Annotations, Dropped, ObjectAttributes, ObjectRow, Rle, objects_of
from augpipe.core.errors import Reject, one_line
from augpipe.core.geometry import bounds_of
from augpipe.formats.base import Entry
from augpipe.formats.coco.fields import whole_number
from augpipe.formats.coco.read import decoded
from augpipe.formats.limits import FARTHEST, bad_labels
from augpipe.formats.shapes import Box, box_around, ellipse, points_of, rings_or_none
from augpipe.labels.rle import box_of, rle_of
from augpipe.pixels.codec.label_png import decode_raster
from augpipe.storage.byte_range import read_place

AREAS = frozenset({"polygon", "rectangle", "circle", "rotation", "mask"})
POINTS = frozenset({"point", "points"})

UNDERSTOOD = frozenset({"label", "points", "shape_type", "mask", "group_id"})
PICTURE_FIELDS = frozenset({"shapes", "imagePath", "imageData", "imageHeight", "imageWidth", "version"})


@dataclass(frozen=True)
class DrawnShape:
    """A shape as it is written: ``place`` in the list, its type (a polygon where none is stated), its fields."""

    place: int
    label: str
    kind: str
    group: int | str | None
    row: Mapping[str, Any]


@dataclass(frozen=True)
class Drawing:
    """What a JSON says. ``path`` is where it has the picture, ``embedded`` the picture itself in base64, or ""."""

    shapes: tuple[DrawnShape, ...]
    path: str
    embedded: str
    size_wh: tuple[int, int] | None
    fields: Mapping[str, Any]


@dataclass
class Made:
    """The objects of a picture, as they are made."""

    rows: list[ObjectRow] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class LabelmeReader:
    """Reads entries whose ``annotation`` is the :class:`ByteRange` of a JSON.

    ``ids`` is class name → category id, ``keypoints`` class name → names of its keypoints.
    """

    ids: Mapping[str, int]
    keypoints: Mapping[str, tuple[str, ...]]

    def annotations(self, entry: Entry) -> Annotations:
        drawing = drawing_of(read_place(entry.annotation), entry.file)
        if drawing is None:
            raise bad_labels("bad-json", entry.file, "expected a labelme JSON with 'shapes'")
        made = Made()
        for shapes, points in objects_in(drawing.shapes):
            name = shapes[0].label
            if name not in self.ids:
                raise bad_labels("unknown-class", entry.file, f"class '{one_line(name, 80)}' is not known")
            row = self._object(shapes, drawing.size_wh, made.notes)
            if row is None:
                made.dropped.append(Dropped(shapes[0].place, self.ids[name], "degenerate"))
                continue
            row.keypoints = keypoints_of(points, self.keypoints.get(name, ()), made.notes)
            made.rows.append(row)
        if any(left_out(drawing.shapes)):
            made.notes.add("shape-left-out")
        return Annotations(
            objects=objects_of(made.rows),
            size_wh=drawing.size_wh,
            attributes=drawing.fields,
            dropped=tuple(made.dropped),
            notes=tuple(sorted(made.notes)),
        )

    def _object(
        self, shapes: Sequence[DrawnShape], size_wh: tuple[int, int] | None, notes: set[str]
    ) -> ObjectRow | None:
        first = shapes[0]
        facts = facts_of(shapes)
        row = ObjectRow(first.place, self.ids[first.label], (0.0, 0.0, 0.0, 0.0), facts=facts)
        if first.kind == "mask":
            return _with_mask(row, first, size_wh, notes)
        outlines = [(shape.kind, outline_of(shape)) for shape in shapes]
        usable = [(kind, outline) for kind, outline in outlines if outline is not None]
        if len(usable) < len(outlines):
            notes.add("ring-left-out")
        box = box_around(np.concatenate([outline for _, outline in usable])) if usable else None
        if box is None:
            return None
        row.box_xyxy = box
        drawn = [outline for kind, outline in usable if kind != "rectangle"]
        if len(usable) == 1 and usable[0][0] == "rotation":
            row.obb = usable[0][1]
        elif drawn or len(usable) > 1:
            row.segmentation = rings_or_none(drawn or [outline for _, outline in usable])
            if row.segmentation is None:
                notes.add("ring-left-out")
        return row


def drawing_of(data: bytes, file: str) -> Drawing | None:
    """What a JSON says, ``None`` if it is one of something else; raises ``Reject`` if it is damaged."""
    value = decoded(data.removeprefix(b"\xef\xbb\xbf"), file)
    if not isinstance(value, dict) or not isinstance(value.get("shapes"), list):
        return None
    path, embedded = value.get("imagePath"), value.get("imageData")
    size = (whole_number(value.get("imageWidth")), whole_number(value.get("imageHeight")))
    width, height = size[0] or 0, size[1] or 0
    return Drawing(
        tuple(_shape(place, row, file) for place, row in enumerate(value["shapes"])),
        path if isinstance(path, str) else "",
        embedded if isinstance(embedded, str) else "",
        (width, height) if 0 < width < FARTHEST and 0 < height < FARTHEST else None,
        {k: v for k, v in value.items() if k not in PICTURE_FIELDS and v not in (None, {}, [], "")},
    )


def _shape(place: int, row: Any, file: str) -> DrawnShape:
    label = row.get("label") if isinstance(row, dict) else None
    if not isinstance(label, str) or not label.strip():
        raise bad_labels("bad-json", file, f"shape {place + 1} has no label")
    kind, group = row.get("shape_type") or "polygon", row.get("group_id")
    kind = kind if isinstance(kind, str) else "?"
    group = group if isinstance(group, str) and group else whole_number(group)
    return DrawnShape(place, label.strip(), kind, group, row)


def objects_in(shapes: Iterable[DrawnShape]) -> list[tuple[list[DrawnShape], list[DrawnShape]]]:
    """(the shapes of an object, the points that belong to it) for each object, in the order of their first shapes.

    Points are those of a group with one object in it. A mask is an object of its own.
    """
    objects: dict[tuple[Any, ...], list[DrawnShape]] = {}
    points: dict[int | str, list[DrawnShape]] = {}
    for shape in shapes:
        if shape.kind in AREAS:
            alone = shape.group is None or shape.kind == "mask"
            objects.setdefault((shape.place,) if alone else (shape.group, shape.label), []).append(shape)
        elif shape.kind in POINTS and shape.group is not None:
            points.setdefault(shape.group, []).append(shape)
    count: dict[int | str | None, int] = {}
    for members in objects.values():
        count[members[0].group] = count.get(members[0].group, 0) + 1
    out = []
    for members in objects.values():
        group = members[0].group
        out.append((members, points.get(group, []) if group is not None and count[group] == 1 else []))
    return out


def left_out(shapes: Sequence[DrawnShape]) -> list[DrawnShape]:
    """The shapes that are no part of an object: lines, unknown types, points without an object of their own."""
    taken = {shape.place for members, points in objects_in(shapes) for shape in (*members, *points)}
    return [shape for shape in shapes if shape.place not in taken]


def outline_of(shape: DrawnShape) -> F64 | None:
    """The outline (n ≥ 3, 2) of a shape, ``None`` if it has none."""
    points = points_of(shape.row.get("points"))
    if points is None or len(points) < 2:
        return None
    if shape.kind == "rectangle":
        x0, y0, x1, y1 = bounds_of(points).tolist()
        return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    if shape.kind == "circle":
        radius = math.dist(points[0].tolist(), points[1].tolist())
        return ellipse(points[0].tolist(), (radius, radius)) if radius > 0 else None
    if len(points) < 3 or (shape.kind == "rotation" and len(points) != 4):
        return None
    return points


def _with_mask(row: ObjectRow, shape: DrawnShape, size_wh: tuple[int, int] | None, notes: set[str]) -> ObjectRow | None:
    rle = _mask(shape, size_wh)
    box = None if rle is None else box_of(rle)
    if rle is None or box is None:
        notes.add("mask-left-out")
        points = points_of(shape.row.get("points"))
        around: Box | None = None if points is None else box_around(points)
        if around is None:
            return None
        row.box_xyxy = around
        return row
    row.box_xyxy, row.segmentation = (float(box[0]), float(box[1]), float(box[2]), float(box[3])), rle
    return row


def _mask(shape: DrawnShape, size_wh: tuple[int, int] | None) -> Rle | None:
    """The mask of a shape, whose first point is its top left pixel; ``None`` if it is damaged or leads out."""
    points, text = points_of(shape.row.get("points")), shape.row.get("mask")
    if size_wh is None or points is None or not len(points) or not isinstance(text, str):
        return None
    try:
        bitmap = decode_raster(base64.b64decode(text, validate=True), "mask") != 0
    except (Reject, binascii.Error, ValueError):
        return None
    x, y = (int(v) for v in points[0])
    if x < 0 or y < 0:
        return None
    inside = bitmap[: max(0, size_wh[1] - y), : max(0, size_wh[0] - x)].astype(np.uint8)
    return rle_of(inside, (x, y), size_wh) if inside.any() else None


def keypoints_of(points: Sequence[DrawnShape], names: Sequence[str], notes: set[str]) -> F64 | None:
    """Keypoints (K, 3) under their names; of two with one name the first, and a note."""
    if not points or not names:
        return None
    out: F64 = np.zeros((len(names), 3))
    numbers = {name: k for k, name in enumerate(names)}
    for shape in points:
        places = points_of(shape.row.get("points"))
        k = numbers.get(shape.label, -1)
        if places is None or len(places) != 1 or k < 0 or out[k, 2] > 0:
            notes.add("keypoints-left-out")
        else:
            out[k] = (*places[0], 2.0)
    return out


def facts_of(shapes: Sequence[DrawnShape]) -> ObjectAttributes:
    """What shapes say besides their places; what the first of them says goes before the others."""
    fields: dict[str, Any] = {}
    for shape in reversed(shapes):
        fields |= {k: v for k, v in shape.row.items() if k not in UNDERSTOOD and v not in (None, {}, [], "")}
    difficult = fields.pop("difficult") if isinstance(fields.get("difficult"), bool) else None
    if shapes[0].group is not None:
        fields["group_id"] = shapes[0].group
    return ObjectAttributes(difficult=None if difficult is None else int(difficult), attributes=fields)
