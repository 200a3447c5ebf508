"""Polygons and oriented boxes of objects, which tools add to Pascal VOC's XML.

``<polygon>`` is Roboflow's and CVAT's ``<x1>``, ``<y1>``, ``<x2>`` …, or LabelMe's list of ``<pt>``; ``<robndbox>`` is
roLabelImg's center, size and angle. Their numbers name pixels as those of ``<bndbox>`` do, so a point is the center of
its pixel: number − origin + ½.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np

from augpipe.core.annotations import F64
from augpipe.formats.limits import FARTHEST
from augpipe.labels.polygons import is_tangled

POLYGON, ORIENTED = "polygon", "robndbox"


def rings_of(fields: Mapping[str, Any], origin: int) -> tuple[F64, ...]:
    """The rings of an object's ``<polygon>`` elements, (n, 2) each; none if any of them is no ring of three points."""
    value = fields.get(POLYGON)
    rings = tuple(_ring(one, origin) for one in (value if isinstance(value, list) else [value]))
    complete = tuple(ring for ring in rings if ring is not None)
    return () if len(complete) < len(rings) or is_tangled(complete) else complete


def _ring(value: Any, origin: int) -> F64 | None:
    points = list(_points(value)) if isinstance(value, Mapping) else []
    if len(points) < 3 or any(x is None or y is None for x, y in points):
        return None
    return np.array(points, np.float64) - origin + 0.5


def _points(polygon: Mapping[str, Any]) -> Iterator[tuple[float | None, float | None]]:
    listed = polygon.get("pt")
    if isinstance(listed, list):
        for point in listed:
            yield (_number(point.get("x")), _number(point.get("y"))) if isinstance(point, Mapping) else (None, None)
        return
    for i in count(1):
        if f"x{i}" not in polygon and f"y{i}" not in polygon:
            return
        yield _number(polygon.get(f"x{i}")), _number(polygon.get(f"y{i}"))


def obb_of(fields: Mapping[str, Any], origin: int) -> F64 | None:
    """The corners of an object's ``<robndbox>``, (4, 2), clockwise on the screen from the corner that is top left at
    angle 0; ``None`` if it lacks a number or has no area. The angle is in radians, clockwise."""
    value = fields.get(ORIENTED)
    if not isinstance(value, Mapping):
        return None
    numbers = [_number(value.get(name)) for name in ("cx", "cy", "w", "h", "angle")]
    if any(number is None for number in numbers):
        return None
    cx, cy, w, h, angle = (float(number or 0) for number in numbers)
    if w <= 0 or h <= 0:
        return None
    cos, sin = math.cos(angle), math.sin(angle)
    corners = np.array([[-w, -h], [w, -h], [w, h], [-w, h]], np.float64) / 2
    turned: F64 = corners @ np.array([[cos, sin], [-sin, cos]]) + (cx - origin + 0.5, cy - origin + 0.5)
    return turned


def _number(text: Any) -> float | None:
    """The number of an element's text; ``None`` if it is none, or nowhere near a picture."""
    if not isinstance(text, str) or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < FARTHEST else None
