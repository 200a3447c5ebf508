"""CVAT for images 1.1: the elements of an ``<image>`` become the objects of the picture.

    <image id="0" name="a.jpg" width="320" height="240">
      <box label="cat" occluded="0" xtl="1.5" ytl="2" xbr="9" ybr="8" rotation="30" z_order="0"/>
      <polygon label="cat" points="1.5,2;9,2;9,8"/>
      <mask label="cat" rle="2, 3, …" left="1" top="2" width="8" height="6"/>
      <skeleton label="person"><points label="nose" occluded="0" outside="0" points="1,2"/></skeleton>
    </image>

Places are on CVAT's canvas, whose picture spans [0, W], so they are in the convention of :mod:`augpipe.core.geometry`
(docs.cvat.ai, "XML annotation format"). A box turns clockwise about its centre. Run lengths of a mask go row by row
through its own frame and begin with zeros. Polylines and cuboids, and a point alone, enclose no area: left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from augpipe.core.annotations import F64, Annotations, Dropped, ObjectAttributes, ObjectRow, objects_of
from augpipe.core.errors import one_line
from augpipe.formats.base import Entry
from augpipe.formats.limits import FARTHEST, bad_labels
from augpipe.formats.shapes import Box, box_around, ellipse, number_of, numbers_of, rings_or_none, turned_box
from augpipe.formats.voc.xml_reader import root_of
from augpipe.labels.rle import rle_of
from augpipe.storage.byte_range import read_place

SHAPES = frozenset({"box", "polygon", "mask", "ellipse", "skeleton", "points"})
LINES = frozenset({"polyline", "cuboid"})

_LARGEST_MASK = 1 << 27
_PICTURE_FIELDS = frozenset({"id", "name", "width", "height", "subset", "task_id"})
_PLACES = frozenset(
    {"label", "occluded", "points", "rotation", "xtl", "ytl", "xbr", "ybr", "cx", "cy", "rx", "ry"}
    | {"rle", "left", "top", "width", "height", "outside", "keyframe"}
)
_BITS = {"0": 0, "1": 1, "false": 0, "true": 1}


@dataclass(frozen=True)
class CvatReader:
    """Reads entries whose ``annotation`` is the :class:`ByteRange` of an ``<image>``.

    ``ids`` is label → category id, ``keypoints`` label of a skeleton → names of its points.
    """

    ids: Mapping[str, int]
    keypoints: Mapping[str, tuple[str, ...]]

    def annotations(self, entry: Entry) -> Annotations:
        image = root_of(read_place(entry.annotation), entry.file, "image")
        size = size_of_image(image.attrib)
        found: list[ObjectRow] = []
        dropped: list[Dropped] = []
        tags: list[str] = []
        notes: set[str] = set()
        for index, element in enumerate(image):
            if element.tag not in SHAPES:
                if element.tag == "tag":
                    tags.append(self._label(element, entry.file))
                else:
                    notes.add("shape-left-out")
                continue
            if is_point(element.tag, element.attrib):
                notes.add("shape-left-out")
                continue
            label = self._label(element, entry.file)
            row = ObjectRow(index, self.ids[label], (0.0, 0.0, 0.0, 0.0), facts=_facts(element))
            if not self._fill(row, element, size, notes):
                dropped.append(Dropped(index, self.ids[label], "degenerate"))
                continue
            found.append(row)
        return Annotations(
            objects=objects_of(found),
            tags=tuple(dict.fromkeys(tags)),
            size_wh=size,
            attributes={name: value for name, value in image.attrib.items() if name not in _PICTURE_FIELDS},
            dropped=tuple(dropped),
            notes=tuple(sorted(notes)),
        )

    def _label(self, element: Element, file: str) -> str:
        label = element.get("label", "").strip()
        if not label:
            raise bad_labels("unknown-class", file, f"a <{one_line(element.tag, 20)}> without a label")
        if label not in self.ids:
            raise bad_labels("unknown-class", file, f"class '{one_line(label, 80)}' is not known")
        return label

    def _fill(self, row: ObjectRow, element: Element, size: tuple[int, int] | None, notes: set[str]) -> bool:
        """Give a row its place; whether it has one."""
        if element.tag == "skeleton":
            names = self.keypoints.get(element.get("label", "").strip(), ())
            row.keypoints = _skeleton(element, names, notes)
            labelled = row.keypoints[row.keypoints[:, 2] > 0, :2]
            return _boxed(row, box_around(labelled))
        if element.tag == "mask":
            return _mask(row, element, size, notes)
        return _FILLED[element.tag](row, element, notes)


def size_of_image(attributes: Mapping[str, str]) -> tuple[int, int] | None:
    """The width and height that an ``<image>`` states."""
    width, height = number_of(attributes.get("width")), number_of(attributes.get("height"))
    if width is None or height is None or not (1 <= width < FARTHEST and 1 <= height < FARTHEST):
        return None
    return int(width), int(height)


def is_point(tag: str, attributes: Mapping[str, str]) -> bool:
    """Whether an element is a point alone, around which there is no box."""
    return tag == "points" and ";" not in attributes.get("points", "").strip("; ")


def _points(element: Element) -> F64 | None:
    """The places of ``points="x,y;x,y"``."""
    pairs = [pair.split(",") for pair in element.get("points", "").strip("; ").split(";")]
    numbers = numbers_of([n for pair in pairs for n in pair]) if all(len(pair) == 2 for pair in pairs) else None
    return None if numbers is None else np.array(numbers, np.float64).reshape(-1, 2)


def _boxed(row: ObjectRow, box: Box | None) -> bool:
    if box is not None:
        row.box_xyxy = box
    return box is not None


def _box(row: ObjectRow, element: Element, notes: set[str]) -> bool:
    numbers = numbers_of([element.get(side) for side in ("xtl", "ytl", "xbr", "ybr")])
    if numbers is None:
        return False
    x0, y0, x1, y1 = numbers
    degrees = number_of(element.get("rotation", "0"))
    if not (x0 < x1 and y0 < y1) or degrees is None:
        return False
    if degrees % 360 == 0:
        return _boxed(row, (x0, y0, x1, y1))
    row.obb = turned_box((x0, y0, x1, y1), degrees)
    return _boxed(row, box_around(row.obb))


def _polygon(row: ObjectRow, element: Element, notes: set[str]) -> bool:
    points = _points(element)
    return points is not None and len(points) >= 3 and _ringed(row, points, notes)


def _ellipse(row: ObjectRow, element: Element, notes: set[str]) -> bool:
    numbers = numbers_of([element.get(name) for name in ("cx", "cy", "rx", "ry")])
    degrees = number_of(element.get("rotation", "0"))
    if numbers is None or degrees is None or min(numbers[2:]) <= 0:
        return False
    return _ringed(row, ellipse(numbers[:2], numbers[2:], degrees), notes)


def _ringed(row: ObjectRow, ring: F64, notes: set[str]) -> bool:
    row.segmentation = rings_or_none([ring])
    if row.segmentation is None:
        notes.add("ring-left-out")
    return _boxed(row, box_around(ring))


def _several_points(row: ObjectRow, element: Element, notes: set[str]) -> bool:
    points = _points(element)
    if points is None:
        return False
    row.keypoints = np.column_stack([points, np.full(len(points), 2.0)])
    return _boxed(row, box_around(points))


_FILLED: Mapping[str, Callable[[ObjectRow, Element, set[str]], bool]] = {
    "box": _box, "polygon": _polygon, "ellipse": _ellipse, "points": _several_points
}  # fmt: skip


def _skeleton(element: Element, names: tuple[str, ...], notes: set[str]) -> F64:
    """Keypoints (K, 3): not labelled if they are outside, hidden if they are occluded."""
    out: F64 = np.zeros((len(names), 3))
    numbers = {name: k for k, name in enumerate(names)}
    for child in element:
        if child.tag == "attribute":
            continue
        k, points = numbers.get(child.get("label", "").strip(), -1), _points(child)
        if points is None or len(points) != 1 or k < 0 or out[k, 2] > 0:
            notes.add("keypoints-left-out")
        elif child.get("outside") != "1":
            out[k] = (*points[0], 1.0 if child.get("occluded") == "1" else 2.0)
    return out


def _mask(row: ObjectRow, element: Element, size: tuple[int, int] | None, notes: set[str]) -> bool:
    frame = numbers_of([element.get(name) for name in ("left", "top", "width", "height")])
    if frame is None or min(frame) < 0:
        return False
    left, top, width, height = map(int, frame)
    if width == 0 or height == 0:
        return False
    bitmap = _bitmap(element.get("rle", ""), width, height)
    if bitmap is None or size is None or left + width > size[0] or top + height > size[1]:
        notes.add("mask-left-out")
        return _boxed(row, (float(left), float(top), float(left + width), float(top + height)))
    if not bitmap.any():
        return False
    ys, xs = np.nonzero(bitmap.any(axis=1))[0], np.nonzero(bitmap.any(axis=0))[0]
    row.segmentation = rle_of(bitmap, (left, top), size)
    x0, y0, x1, y1 = int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1
    return _boxed(row, (float(left + x0), float(top + y0), float(left + x1), float(top + y1)))


def _bitmap(text: str, width: int, height: int) -> Any:
    """The bitmap (H, W) of run lengths by rows, zeros first; ``None`` if they are none of that size."""
    runs = [word.strip() for word in text.split(",")]
    if not all(run.isdecimal() and len(run) < 10 for run in runs) or width * height > _LARGEST_MASK:
        return None
    counts = np.array(runs, np.int64)
    if counts.sum() != width * height:
        return None
    return np.repeat((np.arange(len(counts)) % 2).astype(np.uint8), counts).reshape(height, width)


def _facts(element: Element) -> ObjectAttributes:
    """What an element says besides its place: CVAT's own fields, and the attributes of the label."""
    fields: dict[str, Any] = {name: value for name, value in element.attrib.items() if name not in _PLACES and value}
    if fields.get("z_order") == "0":
        del fields["z_order"]
    fields |= {c.get("name", ""): (c.text or "").strip() for c in element if c.tag == "attribute"}
    flags = {name: _BITS.get(str(fields.get(name, "")).lower()) for name in ("truncated", "difficult")}
    fields = {name: value for name, value in fields.items() if flags.get(name) is None and value != ""}
    return ObjectAttributes(
        truncated=flags["truncated"],
        difficult=flags["difficult"],
        occluded=_BITS.get(element.get("occluded", "")),
        attributes=fields,
    )
