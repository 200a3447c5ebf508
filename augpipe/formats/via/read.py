"""VIA: the regions of a picture become its objects.

    "a.jpg9767": {"filename": "a.jpg", "size": 9767, "file_attributes": {}, "regions": [
      {"shape_attributes": {"name": "rect", "x": 40, "y": 30, "width": 80, "height": 60},
       "region_attributes": {"name": "tree"}}]}

Places are pixels of VIA's canvas, whose picture spans [0, W], so they are in the convention of
:mod:`augpipe.core.geometry`. An ellipse has ``cx, cy, rx, ry`` and ``theta``, a turn in radians. VIA 1 has the regions
in a mapping. Polylines and points enclose no area: left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from augpipe.core.annotations import F64, Annotations, Dropped, ObjectAttributes, ObjectRow, objects_of
from augpipe.core.errors import one_line
from augpipe.formats.base import Entry
from augpipe.formats.coco.read import decoded
from augpipe.formats.limits import bad_labels
from augpipe.formats.shapes import box_around, box_of_size, ellipse, number_of, numbers_of, rings_or_none
from augpipe.storage.byte_range import read_place

AREAS = frozenset({"rect", "polygon", "circle", "ellipse"})
NO_CLASS = "object"
"""The class of regions that say none, as in sets of one class."""
SEVERAL = " + "
"""What stands between the choices of a checkbox of which several are ticked."""


@dataclass(frozen=True)
class ViaReader:
    """Reads entries whose ``annotation`` is the :class:`ByteRange` of a picture's value.

    ``ids`` is class name → category id, ``attribute`` the region attribute that holds the class.
    """

    ids: Mapping[str, int]
    attribute: str

    def annotations(self, entry: Entry) -> Annotations:
        value = decoded(read_place(entry.annotation), entry.file)
        if not isinstance(value, dict):
            raise bad_labels("bad-json", entry.file, "expected a picture with 'filename' and 'regions'")
        found: list[ObjectRow] = []
        dropped: list[Dropped] = []
        notes: set[str] = set()
        for index, region in enumerate(regions_of(value)):
            shape = shape_of(region)
            if shape.get("name") not in AREAS:
                notes.add("shape-left-out")
                continue
            name = class_of(region, self.attribute)
            if name not in self.ids:
                raise bad_labels("unknown-class", entry.file, f"class '{one_line(name, 80)}' is not known")
            row = ObjectRow(index, self.ids[name], (0.0, 0.0, 0.0, 0.0), facts=self._facts(region))
            if _fill(row, shape, notes):
                found.append(row)
            else:
                dropped.append(Dropped(index, self.ids[name], "degenerate"))
        fields = value.get("file_attributes")
        return Annotations(
            objects=objects_of(found),
            attributes={k: v for k, v in fields.items() if v not in ("", None, {})} if isinstance(fields, dict) else {},
            dropped=tuple(dropped),
            notes=tuple(sorted(notes)),
        )

    def _facts(self, region: Mapping[str, Any]) -> ObjectAttributes:
        rest = {k: v for k, v in attributes_of(region).items() if k != self.attribute and v not in ("", None, {})}
        return ObjectAttributes(attributes=rest)


def regions_of(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The regions of a picture: a list, or in VIA 1 a mapping by their numbers."""
    regions = value.get("regions")
    listed = list(regions.values()) if isinstance(regions, dict) else regions if isinstance(regions, list) else []
    return [region if isinstance(region, dict) else {} for region in listed]


def shape_of(region: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a region says of its place; nothing if that is no mapping, or its name no text."""
    shape = region.get("shape_attributes")
    return shape if isinstance(shape, dict) and isinstance(shape.get("name"), str) else {}


def attributes_of(region: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes of a region that a user has filled in."""
    attributes = region.get("region_attributes")
    return attributes if isinstance(attributes, dict) else {}


def class_of(region: Mapping[str, Any], attribute: str) -> str:
    """The class of a region: a text or a number, or of a checkbox the choices that are ticked."""
    value = attributes_of(region).get(attribute)
    if isinstance(value, dict):
        return SEVERAL.join(str(name) for name, ticked in value.items() if ticked) or NO_CLASS
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value).strip() or NO_CLASS
    return NO_CLASS


def _fill(row: ObjectRow, shape: Mapping[str, Any], notes: set[str]) -> bool:
    """Give a row its place; whether it has one."""
    if shape["name"] == "rect":
        box = box_of_size(*(shape.get(key) for key in ("x", "y", "width", "height")))
    else:
        ring = _ring(shape)
        box = None if ring is None else box_around(ring)
        row.segmentation = None if ring is None else rings_or_none([ring])
        if ring is not None and row.segmentation is None:
            notes.add("ring-left-out")
    if box is not None:
        row.box_xyxy = box
    return box is not None


def _ring(shape: Mapping[str, Any]) -> F64 | None:
    if shape["name"] == "polygon":
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or not len(xs) == len(ys) >= 3:
            return None
        numbers = numbers_of([*xs, *ys])
        return None if numbers is None else np.array(numbers, np.float64).reshape(2, -1).T
    centre = numbers_of([shape.get("cx"), shape.get("cy")])
    sides = ("r", "r") if shape["name"] == "circle" else ("rx", "ry")
    radii, turn = numbers_of([shape.get(side) for side in sides]), number_of(shape.get("theta", 0))
    if centre is None or radii is None or turn is None or min(radii) <= 0:
        return None
    return ellipse(centre, radii, math.degrees(turn))
