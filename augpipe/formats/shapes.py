"""Shapes that people draw, as boxes and rings: corners in any order, circles, ellipses, turned boxes.

Places are in the convention of :mod:`augpipe.core.geometry`: the canvas of a drawing tool spans [0, W], as pictures do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from augpipe.core.annotations import F64, Rings
from augpipe.core.geometry import bounds_of
from augpipe.formats.limits import FARTHEST
from augpipe.labels.polygons import is_tangled

Box: TypeAlias = tuple[float, float, float, float]

CIRCLE_SIDES = 64
"""Corners of the polygon that stands for a circle: its area is 0.2 % less, its box the same."""
_NUMBERS = frozenset({int, float})  # and not bool, which is an int to Python


def number_of(value: Any) -> float | None:
    """A number that can be a place or a length, also from a text; ``None`` for anything else, as for NaN and true."""
    if isinstance(value, str):
        try:
            value = float(value) if "_" not in value else math.nan  # Python's own 1_000 is no number of a file
        except ValueError:
            return None
    if type(value) not in _NUMBERS or not -FARTHEST < value < FARTHEST:
        return None
    return float(value)


def numbers_of(values: Sequence[Any]) -> list[float] | None:
    """:func:`number_of` of each, ``None`` if one of them is none."""
    numbers = [number_of(value) for value in values]
    known = [n for n in numbers if n is not None]
    return known if len(known) == len(numbers) else None


def points_of(values: Any) -> F64 | None:
    """Places (n, 2) of a list of pairs; ``None`` if it is anything else."""
    if not isinstance(values, list) or not all(isinstance(v, (list, tuple)) and len(v) == 2 for v in values):
        return None
    numbers = numbers_of([n for pair in values for n in pair])
    return None if numbers is None else np.array(numbers, np.float64).reshape(-1, 2)


def box_around(points: F64) -> Box | None:
    """The box around places (n, 2), ``None`` if it has no area."""
    if not len(points):
        return None
    x0, y0, x1, y1 = bounds_of(points).tolist()
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def box_of_size(x: Any, y: Any, width: Any, height: Any) -> Box | None:
    """xyxy of a corner and a size, ``None`` if that is no box."""
    numbers = numbers_of((x, y, width, height))
    if numbers is None or numbers[2] <= 0 or numbers[3] <= 0:
        return None
    left, top, w, h = numbers
    return (left, top, left + w, top + h) if left < left + w and top < top + h else None


def rings_or_none(rings: Sequence[F64]) -> Rings | None:
    """A mask of the rings that have three corners or more, ``None`` if there is none or they are a tangle."""
    usable = tuple(ring for ring in rings if len(ring) >= 3)
    return Rings(usable) if usable and not is_tangled(usable) else None


def ellipse(centre: Sequence[float], radii: Sequence[float], degrees: float = 0.0) -> F64:
    """The polygon (64, 2) that stands for an ellipse; it is turned clockwise on the screen about its centre."""
    angles = np.arange(CIRCLE_SIDES) * (2 * np.pi / CIRCLE_SIDES)
    ring: F64 = np.stack([np.cos(angles) * radii[0], np.sin(angles) * radii[1]], axis=1)
    moved: F64 = _turned(ring, degrees) + np.array(centre)
    return moved


def turned_box(box: Box, degrees: float) -> F64:
    """The corners (4, 2) of a box that is turned clockwise on the screen about its centre."""
    x0, y0, x1, y1 = box
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    turned: F64 = _turned(corners - centre, degrees) + centre
    return turned


def _turned(points: F64, degrees: float) -> F64:
    angle = math.radians(math.remainder(degrees, 360.0))
    cosine, sine = math.cos(angle), math.sin(angle)
    turned: F64 = points @ np.array([[cosine, sine], [-sine, cosine]])
    return turned
