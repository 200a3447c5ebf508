"""Convex outlines through a map and a frame: plain boxes, by their corners or the ellipse in them, and oriented boxes.

All outlines of a picture are moved in one pass. Most lie inside the frame and need their bounds only; the others are
cut one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.canvas import CanvasState, Map
from augpipe.core.geometry import (
    Point,
    Region,
    area_of,
    clip_columns,
    clip_convex,
    is_convex,
    signed_area,
    with_short_sides,
)

Box: TypeAlias = tuple[float, float, float, float]
Bools: TypeAlias = NDArray[np.bool_]

_THIN = 0.5e-3  # pixels; what is thinner vanishes when coordinates are written
_ROUNDING = 2e-3  # pixels that a length may grow by when its ends are written
_NO_AREA = 1e-6  # square pixels
_SAME_WAY = 1e-6  # of a side's length, by which sides point alike
_HALVINGS = 30
_MANY = 16  # points of an outline
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
            under = bool(painted) and _meet((x0, y0, x1, y1), painted)
            seen.append(VisibleBox((x0, y0, x1, y1), 1.0, region_of(moved[i]) if under else ()))
        elif x1 <= 0.0 or y1 <= 0.0 or x0 >= w or y0 >= h:
            seen.append(VisibleBox(None, 0.0))
        else:
            seen.append(_clipped(moved[i], state, painted))
    return seen


def _bounds_of(region: Region) -> Box:
    xs, ys = zip(*region, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _meet(box: Box, others: Sequence[Box]) -> bool:
    """Whether a box has area in common with one of the others."""
    left, top, right, bottom = box
    return any(left < x1 and x0 < right and top < y1 and y0 < bottom for x0, y0, x1, y1 in others)


def _clipped(outline: F64, state: CanvasState, painted: Sequence[Box]) -> VisibleBox:
    """An outline (P, 2) that is not wholly visible, cut."""
    xs, ys = outline.T.tolist()
    whole, (w, h) = abs(signed_area(xs, ys)), state.size_wh
    xs, ys = clip_columns(xs, ys, state.visible)
    if len(xs) < 3 or whole <= 0.0:
        return VisibleBox(None, 0.0)
    x0, y0, x1, y1 = max(0.0, min(xs)), max(0.0, min(ys)), min(float(w), max(xs)), min(float(h), max(ys))
    if x1 - x0 < _THIN or y1 - y0 < _THIN:
        return VisibleBox(None, 0.0)
    under = _meet((x0, y0, x1, y1), painted)
    share = min(1.0, abs(signed_area(xs, ys)) / whole)
    return VisibleBox((x0, y0, x1, y1), share, tuple(zip(xs, ys, strict=True)) if under else ())


def region_of(outline: F64) -> Region:
    """Points (P, 2) as a region."""
    return tuple(map(tuple, outline.tolist()))


def points_inside(points_xy: F64, region: Region) -> Bools:
    """Which points (..., 2) lie in a region, its edge included where it is convex."""
    if len(region) < 3:
        return np.zeros(points_xy.shape[:-1], bool)
    x, y = points_xy[..., 0], points_xy[..., 1]
    pairs = zip(region, (*region[1:], region[0]), strict=True)
    if not is_convex(region):
        return _between_sides(x, y, region)
    sides = [(bx - ax) * (y - ay) - (by - ay) * (x - ax) for (ax, ay), (bx, by) in pairs]
    out: Bools = (np.minimum.reduce(sides) >= 0.0) | (np.maximum.reduce(sides) <= 0.0)
    return out


def _between_sides(x: F64, y: F64, region: Region) -> Bools:
    """Which points have an odd number of a region's sides on their right."""
    out = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(region, (*region[1:], region[0]), strict=True):
        if ay != by:
            out ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) / (by - ay) * (bx - ax))
    return out


# --- oriented boxes --------------------------------------------------------------------------------------------------


def move_obb(obb: F64, map: Map) -> F64 | None:
    """An oriented box, four corners (4, 2), through a map: clockwise on the screen, its first side first.

    A similarity leaves it a rectangle; after another map it is the smallest rectangle around what it became, from the
    corner nearest to its first one on. ``None`` if it reaches behind the horizon.
    """
    if not map.has_image(obb).all():
        return None
    corners = clockwise(region_of(map.forward(obb)))
    if map.is_similar:
        return np.array(corners)
    outline = region_of(map.forward(with_short_sides(obb, map.straight_length)))
    best, (x, y) = _smallest_rectangle(outline), corners[0]
    if best is None:
        return np.array(corners)
    away = [abs(bx - x) + abs(by - y) for bx, by in best.corners]
    return np.array(_from(best.corners, away.index(min(away))))


def cut_obb(obb: F64, state: CanvasState) -> F64 | None:
    """As :func:`move_obb`, of what can be seen of an oriented box where the frame cuts it: the smallest rectangle.

    Its first side is the one that points most as it did. Corners may leave the canvas, as a leaning rectangle around
    something at the edge must; its centre lies on it, and a box around it is no larger, for which it is turned towards
    upright where it has to be. ``None`` if nothing can be seen.
    """
    left = clip_convex(region_of(obb), state.source)
    moved = move_obb(obb, state.map)
    if moved is not None and left == region_of(obb) and _is_seen(moved, state):
        return moved
    left = state.map.part_with_image(left)
    if len(left) < 3:
        return None
    outline = state.map.forward(with_short_sides(np.array(left), state.map.straight_length))
    w, h = state.size_wh
    left = _hull_inside(region_of(outline), state.visible)
    left = tuple((min(max(x, 0.0), w), min(max(y, 0.0), h)) for x, y in left)  # crossings are rounded
    best = _smallest_in_frame(left, state.size_wh) if len(left) > 2 and area_of(left) > _NO_AREA else None
    return None if best is None else np.array(_turned_as(best.corners, moved))


def _hull_of(points: Region) -> Region:
    import shapely  # here, as only meshes make outlines of so many points

    hull = shapely.convex_hull(shapely.MultiPoint(points))
    return region_of(shapely.get_coordinates(hull)[:-1])


def _hull_inside(outline: Region, region: Region) -> Region:
    """The part of an outline in a region; of more than one, the hull."""
    if is_convex(region):
        return clip_convex(outline, region)
    import shapely  # here, as only meshes bend a region

    polygons = [shapely.Polygon(points) for points in (outline, region)]
    left = shapely.intersection(*(p if p.is_valid else p.buffer(0) for p in polygons))
    points = region_of(shapely.get_coordinates(left))
    return _hull_of(points) if len(points) > 2 else ()


def obb_in(obb: F64, size_wh: tuple[int, int]) -> F64 | None:
    """What :func:`cut_obb` gives of an oriented box on a picture that has not moved."""
    return cut_obb(obb, CanvasState(size_wh))


def clockwise(quad: Region) -> Region:
    """Four corners in the order that is clockwise on the screen; the first side stays the first."""
    twice = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(quad, (*quad[1:], quad[0]), strict=True))
    return quad if twice >= 0.0 else (quad[1], quad[0], *quad[:1:-1])


def _from(ring: Region, first: int) -> Region:
    return ring[first:] + ring[:first]


def _is_seen(corners: F64, state: CanvasState) -> bool:
    """Whether corners lie in what can be seen of the canvas."""
    if state.hidden_outside is not None:
        return is_convex(state.visible) and bool(points_inside(corners, state.visible).all())
    w, h = state.size_wh
    return all(-_THIN <= x <= w + _THIN and -_THIN <= y <= h + _THIN for x, y in corners.tolist())


def _turned_as(rectangle: Region, other: F64 | None) -> Region:
    """A rectangle from that corner on at which its first side points most as that of another; from two, the nearer."""
    if other is None:
        return rectangle
    (ax, ay), (bx, by) = other[:2].tolist()
    sides = [(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in zip(rectangle, _from(rectangle, 1), strict=True)]
    along = [(x * (bx - ax) + y * (by - ay)) / (math.sqrt(x * x + y * y) or 1.0) for x, y in sides]
    most = max(along) - _SAME_WAY * (abs(bx - ax) + abs(by - ay))
    near = [
        abs(x - ax) + abs(y - ay) if way >= most else math.inf for (x, y), way in zip(rectangle, along, strict=True)
    ]
    return _from(rectangle, near.index(min(near)))


class _Rectangle(NamedTuple):
    """A rectangle around points that leans as a direction (ux, uy) of length 1; its corners clockwise from (u0, v0)."""

    ux: float
    uy: float
    u0: float
    u1: float
    v0: float
    v1: float

    @property
    def area(self) -> float:
        return (self.u1 - self.u0) * (self.v1 - self.v0)

    @property
    def corners(self) -> Region:
        ends = ((self.u0, self.v0), (self.u1, self.v0), (self.u1, self.v1), (self.u0, self.v1))
        return tuple((self.ux * u - self.uy * v, self.uy * u + self.ux * v) for u, v in ends)

    def fits(self, size_wh: tuple[float, float]) -> bool:
        """Whether a box around it is no larger than a size, also when its corners have been rounded."""
        long, wide, x, y = self.u1 - self.u0, self.v1 - self.v0, abs(self.ux), abs(self.uy)
        return long * x + wide * y <= size_wh[0] - _ROUNDING and long * y + wide * x <= size_wh[1] - _ROUNDING


def _around(points: Region, x: float, y: float) -> _Rectangle:
    """The rectangle around points, one side along (x, y)."""
    length = math.sqrt(x * x + y * y)
    ux, uy = x / length, y / length
    along, across = [ux * x + uy * y for x, y in points], [ux * y - uy * x for x, y in points]
    return _Rectangle(ux, uy, min(along), max(along), min(across), max(across))


def _smallest_rectangle(points: Region, within_wh: tuple[float, float] = (math.inf, math.inf)) -> _Rectangle | None:
    """The rectangle of least area around points; it shares a side with their hull (Freeman and Shapira 1975).

    ``within_wh`` leaves out those around which a box is larger than that.
    """
    best: _Rectangle | None = None
    pairs: Iterable[tuple[Point, Point]] = combinations(points, 2)
    if len(points) > _MANY:  # of an outline that was bent; the sides of the hull are enough
        points = _hull_of(points)
        pairs = zip(points, _from(points, 1), strict=True)
    for (ax, ay), (bx, by) in pairs:
        if ax != bx or ay != by:
            found = _around(points, bx - ax, by - ay)
            # Sides that are parallel give the same one.
            if (best is None or found.area < best.area * (1.0 - 1e-9)) and found.fits(within_wh):
                best = found
    return best


def _smallest_in_frame(points: Region, frame_wh: tuple[float, float]) -> _Rectangle | None:
    """As :func:`_smallest_rectangle`, of points in a frame, around which a box is no larger than the frame.

    The smallest of all may have to be turned for that. It is turned towards upright, as far as it must.
    """
    smallest = _smallest_rectangle(points)
    if smallest is None or smallest.fits(frame_wh):
        return smallest
    turned = _uprighted(smallest, points, frame_wh)
    other = _smallest_rectangle(points, frame_wh)
    return turned if other is None or turned.area < other.area else other


def _uprighted(rectangle: _Rectangle, points: Region, size_wh: tuple[float, float]) -> _Rectangle:
    """A rectangle around points in a frame, turned towards upright until a box around it is no larger than that."""
    ux, uy = rectangle.ux, rectangle.uy
    x, y = (math.copysign(1.0, ux), 0.0) if abs(ux) >= abs(uy) else (0.0, math.copysign(1.0, uy))
    leaning, upright, best = 0.0, 1.0, _around(points, x, y)
    for _ in range(_HALVINGS):
        part = (leaning + upright) / 2.0
        found = _around(points, ux + (x - ux) * part, uy + (y - uy) * part)
        if found.fits(size_wh):
            upright, best = part, found
        else:
            leaning = part
    return best
