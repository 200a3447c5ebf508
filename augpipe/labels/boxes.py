"""Convex outlines through a map and a frame: plain boxes, by their corners or the ellipse in them, and oriented boxes.

All outlines of a picture are moved in one pass. Most lie inside the frame and need their bounds only; the others are
cut one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.canvas import CanvasState, Map
from augpipe.core.geometry import Region, area_of, clip_convex

Box: TypeAlias = tuple[float, float, float, float]
Bools: TypeAlias = NDArray[np.bool_]

_THIN = 0.5e-3  # pixels; what is thinner vanishes when coordinates are written
_TURNS = [k * math.pi / 32.0 for k in range(64)]
# Rounded, as the last bit of a sine is not the same on every machine.
_CIRCLE = np.array([[round(math.cos(t), 12) for t in _TURNS], [round(math.sin(t), 12) for t in _TURNS]])


class VisibleBox(NamedTuple):
    """What the frame leaves of an outline: box and share of its area 0..1; no box if nothing.

    ``outline`` is given where something that was painted over may lie on it.
    """

    box_xyxy: Box | None
    in_frame: float
    outline: Region = ()


def ellipses_in(boxes_xyxy: F64) -> F64:
    """Points on the ellipses that fill boxes: (N, 4) in, (N, 64, 2) out.

    A box around them is at most a thousandth of its side too small.
    """
    centres, halves = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2.0, (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) / 2.0
    # In memory all x come before all y, so that bounds are found in a tenth of the time.
    columns = np.empty((2, len(boxes_xyxy), len(_TURNS)))
    np.multiply(_CIRCLE[:, None], halves.T[:, :, None], out=columns)
    columns += centres.T[:, :, None]
    out: F64 = columns.transpose(1, 2, 0)
    return out


def cut_outlines(outlines: F64, state: CanvasState) -> list[VisibleBox]:
    """Convex outlines (N, P, 2) of the source picture with an area, as ``state`` shows them."""
    if state.map.is_affine or state.map.has_image(outlines).all():
        return _cut(state.map.forward(outlines), state)
    return [_cut_in_front(outline, state) for outline in outlines]


def _cut_in_front(outline: F64, state: CanvasState) -> VisibleBox:
    """One outline of which a part may have no image."""
    front = state.map.part_with_image(region_of(outline))
    return _cut(state.map.forward(np.array([front])), state)[0] if len(front) > 2 else VisibleBox(None, 0.0)


def _cut(moved: F64, state: CanvasState) -> list[VisibleBox]:
    w, h = state.size_wh
    bounds = np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1).tolist()
    painted = [_bounds_of(region) for region in state.erased]
    if state.hidden_outside is None:
        whole = [x0 >= 0.0 and y0 >= 0.0 and x1 <= w and y1 <= h for x0, y0, x1, y1 in bounds]
    else:
        whole = [bool(inside.all()) for inside in points_inside(moved, state.visible)]
    seen = []
    for i, (x0, y0, x1, y1) in enumerate(bounds):
        if whole[i]:
            under = _meet((x0, y0, x1, y1), painted)
            seen.append(VisibleBox((x0, y0, x1, y1), 1.0, region_of(moved[i]) if under else ()))
        elif x1 <= 0.0 or y1 <= 0.0 or x0 >= w or y0 >= h:
            seen.append(VisibleBox(None, 0.0))
        else:
            seen.append(_clipped(region_of(moved[i]), state, painted))
    return seen


def _bounds_of(region: Region) -> Box:
    xs, ys = zip(*region, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _meet(box: Box, others: Sequence[Box]) -> bool:
    """Whether a box has area in common with one of the others."""
    left, top, right, bottom = box
    return any(left < x1 and x0 < right and top < y1 and y0 < bottom for x0, y0, x1, y1 in others)


def _clipped(outline: Region, state: CanvasState, painted: Sequence[Box]) -> VisibleBox:
    """An outline that is not wholly visible, cut."""
    left, whole, (w, h) = clip_convex(outline, state.visible), area_of(outline), state.size_wh
    if len(left) < 3 or whole <= 0.0:
        return VisibleBox(None, 0.0)
    x0, y0, x1, y1 = _bounds_of(left)
    x0, y0, x1, y1 = max(0.0, x0), max(0.0, y0), min(float(w), x1), min(float(h), y1)
    if x1 - x0 < _THIN or y1 - y0 < _THIN:
        return VisibleBox(None, 0.0)
    under = _meet((x0, y0, x1, y1), painted)
    return VisibleBox((x0, y0, x1, y1), min(1.0, area_of(left) / whole), left if under else ())


def region_of(outline: F64) -> Region:
    """Points (P, 2) as a region."""
    return tuple(map(tuple, outline.tolist()))


def with_short_sides(ring: F64, length: float) -> F64:
    """A ring (n, 2) with points added evenly, so that no side is longer than ``length``."""
    if length == math.inf:
        return ring
    ends = np.roll(ring, -1, axis=0)
    counts = np.maximum(1, np.ceil(np.hypot(*(ends - ring).T) / length).astype(int))
    return np.concatenate([np.linspace(a, b, n, endpoint=False) for a, b, n in zip(ring, ends, counts, strict=True)])


def points_inside(points_xy: F64, region: Region) -> Bools:
    """Which points (..., 2) lie in a convex region, its edge included."""
    if len(region) < 3:
        return np.zeros(points_xy.shape[:-1], bool)
    x, y = points_xy[..., 0], points_xy[..., 1]
    pairs = zip(region, (*region[1:], region[0]), strict=True)
    sides = [(bx - ax) * (y - ay) - (by - ay) * (x - ax) for (ax, ay), (bx, by) in pairs]
    out: Bools = (np.minimum.reduce(sides) >= 0.0) | (np.maximum.reduce(sides) <= 0.0)
    return out


# --- oriented boxes --------------------------------------------------------------------------------------------------


def move_obb(obb: F64, map: Map) -> F64 | None:
    """An oriented box, four corners (4, 2), through a map: clockwise on the screen, from its own first corner on.

    A similarity leaves it a rectangle; after another map it is the smallest rectangle around what it became, from the
    corner nearest to its first one on. ``None`` if it reaches behind the horizon.
    """
    if not map.has_image(obb).all():
        return None
    moved = region_of(map.forward(with_short_sides(obb, map.straight_length)))
    return np.array(clockwise(moved if map.is_similar else _smallest_rectangle(moved)))


def clockwise(quad: Region) -> Region:
    """Four corners in the order that is clockwise on the screen; the first stays the first."""
    twice = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(quad, (*quad[1:], quad[0]), strict=True))
    return quad if twice >= 0.0 else (quad[0], *quad[:0:-1])


def _smallest_rectangle(points: Region) -> Region:
    """The rectangle of least area around points; it shares a side with their hull (Freeman and Shapira 1975)."""
    best, least = points, math.inf
    for (ax, ay), (bx, by) in combinations(points, 2):
        length = math.sqrt((bx - ax) * (bx - ax) + (by - ay) * (by - ay))
        if length == 0.0:
            continue
        ux, uy = (bx - ax) / length, (by - ay) / length
        along, across = [ux * x + uy * y for x, y in points], [ux * y - uy * x for x, y in points]
        u0, u1, v0, v1 = min(along), max(along), min(across), max(across)
        area = (u1 - u0) * (v1 - v0)
        if area < least * (1.0 - 1e-9):  # sides that are parallel give the same one
            corners = ((u0, v0), (u1, v0), (u1, v1), (u0, v1))
            best, least = tuple((ux * u - uy * v, uy * u + ux * v) for u, v in corners), area
    x, y = points[0]
    away = [abs(bx - x) + abs(by - y) for bx, by in best]
    first = away.index(min(away))
    return best[first:] + best[:first]
