"""Polygons through a map and a frame, clipped, so that a polygon that the frame splits becomes two.

COCO's rings are the union of outlines without holes. A ring that crosses itself stands for the even-odd rule's area,
as pycocotools paints it. All rings of a picture go through GEOS (shapely) together, as a call costs more than a ring;
only those that cross the frame's edge are cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import shapely
from numpy.typing import NDArray

from augpipe.core.annotations import F64, Rings
from augpipe.core.canvas import Map
from augpipe.core.geometry import Region, is_convex, rectangle, with_short_sides
from augpipe.labels.boxes import points_inside

_THIN = 1e-3
"""Pixels. Thinner pieces are left over by arithmetic along an edge, and vanish when coordinates are written."""

_GRID = 1e-6  # pixels
_TRIES = 8  # points of a ring that are looked for in what is left of it
_AT_ONCE = 1 << 22  # pairs of a face and a side
_POLYGON = 3  # GEOS's number for this type


class Piece(NamedTuple):
    """One connected part of a polygon: its outline (n, 2) and box xyxy, its holes, and the whole as a shapely polygon.

    Holes come only from a ring that crosses itself. A ring that was not cut is a piece as it stands.
    """

    outline: F64
    box_xyxy: tuple[float, float, float, float]
    holes: list[F64]
    polygon: Any


class ClippedRings(NamedTuple):
    """One object's rings on the canvas: the area of their union in square pixels before and after the cut."""

    whole: float
    area: float
    pieces: list[Piece]


def ring_area(ring: F64) -> float:
    """Area of one simple ring (n, 2) by the shoelace formula, never negative."""
    x, y = ring[:, 0], ring[:, 1]
    twice = float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) + float(x[-1] * y[0] - x[0] * y[-1])
    return abs(twice) / 2.0


def areas_of(objects: Sequence[Sequence[F64]]) -> list[float]:
    """The area of the union of each object's rings; of a ring that crosses itself, by the even-odd rule."""
    polygons = _polygons_of(list(chain.from_iterable(objects)))
    areas = shapely.area(polygons)
    return [_union_area(polygons[start:stop], areas[start:stop]) for start, stop in _spans(objects)]


def clip_rings(rings: Sequence[F64], region: Region) -> tuple[list[F64], list[F64]]:
    """The parts of rings (n, 2) that lie in a convex region, as (outlines, holes).

    A ring that splits gives several outlines. Holes come only from a ring that crosses itself.
    """
    (cut,) = cut_rings([rings], None, region)
    return [p.outline for p in cut.pieces], [hole for p in cut.pieces for hole in p.holes]


_MADE: WeakKeyDictionary[Rings, Any] = WeakKeyDictionary()


def polygons_of(masks: Sequence[Rings]) -> Any:
    """Valid shapely (multi)polygons of all rings of some masks, an array.

    They are kept as long as the mask is, so that the copies of a picture share them: to make a polygon valid takes
    longer than to move it.
    """
    new = [mask for mask in masks if mask not in _MADE]
    made = _polygons_of([ring for mask in new for ring in mask.rings])
    for mask, (start, stop) in zip(new, _spans([mask.rings for mask in new]), strict=True):
        _MADE[mask] = made[start:stop]
    return np.concatenate([_MADE[mask] for mask in masks])


def cut_rings(
    objects: Sequence[Sequence[F64]], map: Map | None, region: Region, polygons: Any = None
) -> list[ClippedRings]:
    """The rings of each object through a map, cut to a region of the canvas.

    Args:
        objects: each a sequence of rings, float64 (n ≥ 3, 2).
        map: cuts off what has no image. ``None`` moves nothing.
        region: in canvas points; one of less than three points shows nothing.
        polygons: of all rings, if :func:`polygons_of` has them.
    """
    rings, behind = list(chain.from_iterable(objects)), list[int]()
    if not rings:
        return [ClippedRings(0.0, 0.0, []) for _ in objects]
    polygons = _polygons_of(rings) if polygons is None else polygons
    if map is not None:
        if map.straight_length < math.inf:
            rings = [with_short_sides(ring, map.straight_length) for ring in rings]
            polygons = shapely.segmentize(polygons, map.straight_length)
        polygons, behind = _moved_polygons(map, polygons)
        rings = _moved_rings(map, rings)
    boxes = _boxes_of(np.concatenate(rings), rings)
    crossing = sorted({*behind, *_leaving(rings, boxes, region)})
    areas = shapely.area(polygons)
    pieces = [[Piece(ring, box, [], polygon)] for ring, box, polygon in zip(rings, boxes, polygons, strict=True)]
    is_cut = [False] * len(rings)
    if crossing:
        left = _in_order(_inside(polygons[crossing], region), [rings[i] for i in crossing], polygons[crossing])
        for i, inside in zip(crossing, left, strict=True):
            pieces[i], is_cut[i] = inside, True
    cuts = []
    for start, stop in _spans(objects):
        parts_left = list(chain.from_iterable(pieces[start:stop]))
        area = whole = _union_area(polygons[start:stop], areas[start:stop])
        if any(is_cut[start:stop]):
            parts = _array([piece.polygon for piece in parts_left])
            area = min(whole, _union_area(parts, shapely.area(parts)))
        cuts.append(ClippedRings(whole, area, parts_left))
    return cuts


def uncovered_share(polygons: Sequence[Any], covers: Sequence[Region]) -> float:
    """The share, 0 to 1, of the union of shapely polygons that lies under none of ``covers``."""
    whole = shapely.union_all(polygons)
    left = _robust(shapely.difference, whole, _union(covers))
    return min(1.0, float(left.area) / float(whole.area)) if whole.area > 0.0 else 0.0


def uncovered_shares(outlines: Sequence[F64], covers: Sequence[Region]) -> list[float]:
    """As :func:`uncovered_share`, of each outline (n, 2) alone; of one that crosses itself, by the even-odd rule."""
    if not outlines:
        return []
    polygons = _polygons_of(outlines)
    left = _robust(shapely.difference, polygons, _union(covers))
    areas = zip(shapely.area(polygons).tolist(), shapely.area(left).tolist(), strict=True)
    return [min(1.0, part / whole) if whole > 0.0 else 0.0 for whole, part in areas]


def uncovered(pieces: Sequence[Piece], covers: Sequence[Region]) -> list[Piece]:
    """What is left of pieces under none of ``covers``; one that lies inside a piece leaves a hole in it."""
    if not pieces:
        return []
    polygons = _array([piece.polygon for piece in pieces])
    left = _robust(shapely.difference, polygons, _union(covers))
    x0, y0, x1, y1 = shapely.total_bounds(polygons).tolist()
    cut = _pieces(left, (x0, y0), (x1, y1))
    return list(chain.from_iterable(_in_order(cut, [piece.outline for piece in pieces], polygons)))


def _union(covers: Sequence[Region]) -> Any:
    return shapely.union_all([_polygon_of(cover) for cover in covers if len(cover) > 2])


# --- from rings to shapely polygons ----------------------------------------------------------------------------------


def _spans(groups: Sequence[Sequence[F64] | F64]) -> Iterator[tuple[int, int]]:
    """First and past-the-last place of each group's members where all stand in one row."""
    ends = np.cumsum([0, *map(len, groups)]).tolist()
    return pairwise(ends)


def _array(polygons: Sequence[Any]) -> Any:
    out = np.empty(len(polygons), object)
    out[:] = polygons
    return out


def _polygons_of(rings: Sequence[F64]) -> Any:
    """Valid shapely (multi)polygons of rings, an array."""
    if not rings:
        return _array([])
    numbers = np.arange(len(rings)).repeat([len(ring) for ring in rings])
    polygons = shapely.polygons(shapely.linearrings(np.concatenate(rings), indices=numbers))
    for i in (~shapely.is_valid(polygons)).nonzero()[0].tolist():
        polygons[i] = _even_odd(rings[i])
    return polygons


def _even_odd(ring: F64) -> Any:
    """What the even-odd rule fills of a ring that crosses or touches itself.

    One point of each face between its lines decides. GEOS's make_valid would take a side that is run along twice, which
    bounds nothing, for one.
    """
    closed = np.concatenate([ring, ring[:1]])
    lines = shapely.union_all([shapely.linestrings(closed)], grid_size=_GRID)
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    x, y = shapely.get_coordinates(shapely.point_on_surface(faces)).T[:, :, None]
    (x0, y0), (x1, y1) = closed[:-1].T, closed[1:].T
    step = max(1, _AT_ONCE // len(ring))
    inside = np.zeros(len(faces), bool)
    for some in (slice(i, i + step) for i in range(0, len(faces), step)):
        over = (y0 > y[some]) != (y1 > y[some])
        with np.errstate(divide="ignore", invalid="ignore"):  # level sides are over no point
            left = over & (x[some] < x0 + (y[some] - y0) / (y1 - y0) * (x1 - x0))
        inside[some] = left.sum(axis=1) % 2 == 1
    return shapely.union_all(faces[inside])


def _union_area(polygons: Any, areas: F64) -> float:
    """The area of the union of valid polygons; where their boxes lie apart, the sum of their areas."""
    if len(polygons) == 1:
        return float(areas[0])
    if len(polygons) > 1:
        x0, y0, x1, y1 = shapely.bounds(polygons).T
        meet = (x0[:, None] < x1) & (x0 < x1[:, None]) & (y0[:, None] < y1) & (y0 < y1[:, None])
        if meet.sum() > len(polygons):
            return float(_robust(shapely.union_all, polygons).area)
    return float(areas.sum())


def _robust(operation: Callable[..., Any], *polygons: Any) -> Any:
    try:
        return operation(*polygons)
    except shapely.errors.GEOSException:  # numerically awkward input; a fine grid makes it robust
        return operation(*polygons, grid_size=_GRID)


# --- moving ----------------------------------------------------------------------------------------------------------


def _moved_rings(map: Map, rings: Sequence[F64]) -> list[F64]:
    """The points of rings through a map; those without an image become (0, 0)."""
    points = np.concatenate(rings)
    if map.is_affine:
        moved = map.forward(points)
    else:
        front = map.has_image(points)
        moved = np.zeros_like(points)
        moved[front] = map.forward(points[front])
    return [moved[start:stop] for start, stop in _spans(rings)]


def _moved_polygons(map: Map, polygons: Any) -> tuple[Any, list[int]]:
    """The part of polygons that has an image, through a map, and the numbers of those of which a part has none."""
    behind: list[int] = []
    if not map.is_affine:
        for i, (x0, y0, x1, y1) in enumerate(shapely.bounds(polygons).tolist()):
            around: Region = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
            front = map.part_with_image(around)
            if front != around:
                behind.append(i)
                polygons[i] = _robust(
                    shapely.intersection, polygons[i], shapely.Polygon(front if len(front) > 2 else ())
                )
    return shapely.transform(polygons, map.forward), behind


# --- cutting ---------------------------------------------------------------------------------------------------------


def _boxes_of(points: F64, rings: Sequence[F64]) -> list[Any]:
    """The box xyxy of each ring; ``points`` are those of all rings in one array."""
    starts = np.cumsum([0, *map(len, rings[:-1])])
    least, most = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    return list(map(tuple, np.concatenate([least, most], axis=1).tolist()))


def _leaving(rings: Sequence[F64], boxes: Sequence[Any], region: Region) -> list[int]:
    """The numbers of rings that may not lie in a region, its edge included."""
    if len(region) < 3 or not is_convex(region):
        return list(range(len(rings)))
    if region == rectangle(region[2]):
        right, bottom = region[2]
        within = [x0 >= 0.0 and y0 >= 0.0 and x1 <= right and y1 <= bottom for x0, y0, x1, y1 in boxes]
        return [i for i, whole in enumerate(within) if not whole]
    inside = points_inside(np.concatenate(rings), region)
    whole = np.logical_and.reduceat(inside, np.cumsum([0, *map(len, rings[:-1])]))
    return [i for i, within in enumerate(whole.tolist()) if not within]


def _inside(polygons: Any, region: Region) -> list[list[Piece]]:
    """What is left of each polygon in a region."""
    if not len(polygons) or len(region) < 3:
        return [[] for _ in polygons]
    left = _robust(shapely.intersection, polygons, _polygon_of(region))
    return _pieces(left, np.min(region, axis=0), np.max(region, axis=0))


def _polygon_of(region: Region) -> Any:
    """A region as a valid polygon; clipping one that a mesh has bent may have left sides of no width."""
    polygon = shapely.Polygon(region)
    return polygon if is_convex(region) or polygon.is_valid else polygon.buffer(0.0)


def _pieces(shapes: Any, low: Any, high: Any) -> list[list[Piece]]:
    """The pieces of each shape, kept within bounds; points, lines and slivers have no area and vanish."""
    pieces: list[list[Piece]] = [[] for _ in shapes]
    parts, owners = shapely.get_parts(shapes, return_index=True)
    parts, of = shapely.get_parts(parts, return_index=True)
    thick = (shapely.get_type_id(parts) == _POLYGON) & (2.0 * shapely.area(parts) > _THIN * shapely.length(parts))
    parts, owners = parts[thick], owners[of][thick]
    rings, of = shapely.get_rings(parts, return_index=True)
    points, numbers = shapely.get_coordinates(rings, return_index=True)
    points = np.clip(points, low, high)  # crossings are rounded
    ends = np.searchsorted(numbers, np.arange(len(rings) + 1)).tolist()
    outlines = [points[start : stop - 1] for start, stop in pairwise(ends)]  # shapely repeats the first point
    known = -1
    for ring, part in zip(outlines, of.tolist(), strict=True):
        if part == known:
            pieces[owners[part]][-1].holes.append(ring)
        else:
            (x0, y0), (x1, y1) = ring.min(axis=0).tolist(), ring.max(axis=0).tolist()
            pieces[owners[part]].append(Piece(ring, (x0, y0, x1, y1), [], parts[part]))
            known = part
    return pieces


def _in_order(cut: list[list[Piece]], rings: Sequence[F64], polygons: Any) -> list[list[Piece]]:
    """What is left of each ring runs the way that the ring does, from the first of its points that is left on."""
    found = list(chain.from_iterable(cut))
    before = shapely.is_ccw(shapely.get_exterior_ring(polygons)).tolist()
    now = iter(shapely.is_ccw(shapely.get_exterior_ring(_array([piece.polygon for piece in found]))).tolist())
    return [
        [_as_it_runs(piece, ring, next(now) != turn) for piece in pieces]
        for pieces, ring, turn in zip(cut, rings, before, strict=True)
    ]


def _as_it_runs(piece: Piece, ring: F64, turned: bool) -> Piece:
    outline = piece.outline[::-1] if turned else piece.outline
    x0, y0, x1, y1 = piece.box_xyxy
    x, y = ring.T
    near = ((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)).nonzero()[0][:_TRIES].tolist()
    xs, ys = outline.T
    for k in near:
        places = ((xs == x[k]) & (ys == y[k])).nonzero()[0]
        if len(places):
            first = int(places[0])
            return piece._replace(outline=np.concatenate([outline[first:], outline[:first]]))
    return piece._replace(outline=outline)


# --- tangles ----------------------------------------------------------------------------------------------------------


_FEW_SIDES, _MOST_RINGS, _MOST_CROSSINGS = 100, 2000, 2000
_TRIED = 64  # sides of which is_tangled asks what they cross


def is_tangled(rings: Sequence[F64]) -> bool:
    """Whether the rings of an object cross themselves and one another thousands of times, as no drawn outline does.

    Work and memory grow with the crossings. Their number is estimated from what some sides cross.
    """
    if len(rings) > _MOST_RINGS:
        return True
    sides = sum(map(len, rings))
    if sides <= _FEW_SIDES or (len(rings) == 1 and _is_simple(rings[0])):
        return False
    starts, ends = (np.concatenate(points) for points in zip(*map(_sides_of, rings), strict=True))
    if not len(starts):  # all points are one
        return False
    tried = np.linspace(0, len(starts) - 1, min(_TRIED, len(starts))).astype(int)
    met = sum(int(_meets(starts[i], ends[i], starts, ends).sum()) - 3 for i in tried)  # itself and its neighbours
    return met * len(starts) / len(tried) / 2 > _MOST_CROSSINGS


def _sides_of(ring: F64) -> tuple[F64, F64]:
    """Where the sides of a ring begin and end, (n, 2) each; repeated points make none."""
    ends = np.roll(ring, -1, axis=0)
    real = (ring != ends).any(axis=1)
    return ring[real], ends[real]


def _meets(start: F64, end: F64, starts: F64, ends: F64) -> NDArray[np.bool_]:
    """Which sides cross or touch the one from ``start`` to ``end``."""

    def turns(a: F64, b: F64, c: F64) -> F64:
        out: F64 = np.sign((b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1])
                           - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0]))  # fmt: skip
        return out

    apart = (np.minimum(starts, ends) > np.maximum(start, end)) | (np.maximum(starts, ends) < np.minimum(start, end))
    one = turns(start, end, starts) * turns(start, end, ends) <= 0
    other = turns(starts, ends, start) * turns(starts, ends, end) <= 0
    met: NDArray[np.bool_] = one & other & ~apart.any(axis=1)
    return met


def _is_simple(ring: F64) -> bool:
    import shapely  # here, as nearly all outlines have few sides

    return bool(shapely.is_valid(shapely.Polygon(ring)))
