"""A mask, or several polygons, as one ring, for formats that have one polygon an object.

A mask becomes the outline of its pixels, along their edges, so that area and bounds stay what they were. What has
several parts or holes becomes one ring by lines of no width between nearest corners, run along once in each direction,
as Ultralytics' own converter joins parts. Such a line bounds nothing, so the even-odd rule fills the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from augpipe.masks import window_of
from augpipe.polygons import clip_rings
from augpipe.sample import F64, Rings, Rle, Segmentation


def one_ring(segmentation: Segmentation) -> F64 | None:
    """The one ring (n ≥ 3, 2) that fills what a segmentation does; ``None`` if it fills nothing."""
    if isinstance(segmentation, Rle):
        return joined(outlines_of(segmentation))
    if len(segmentation.rings) == 1:
        return segmentation.rings[0]
    return joined(_apart(segmentation))


def outlines_of(rle: Rle) -> list[F64]:
    """The outlines (n, 2), then the holes, of each connected part of a mask, along the edges of pixels."""
    bitmap, (left, top) = window_of(rle)
    if not bitmap.any():
        return []
    # Runs of ones by column, as boxes; rows of zeros above and below end every run.
    padded = np.pad(bitmap.astype(np.int8), ((1, 1), (0, 0)))
    edges = np.diff(padded, axis=0).T
    columns, starts = np.nonzero(edges == 1)
    _, stops = np.nonzero(edges == -1)
    boxes = shapely.box(columns + left, starts + top, columns + left + 1, stops + top)
    return _rings_of(shapely.simplify(shapely.union_all(boxes), 0.0))


def _apart(segmentation: Rings) -> list[F64]:
    """Rings that do not overlap: as the object is their union, what two of them fill must not count twice."""
    points = np.concatenate(segmentation.rings)
    (x0, y0), (x1, y1) = points.min(axis=0) - 1.0, points.max(axis=0) + 1.0
    inside, holes = clip_rings(segmentation.rings, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
    polygons = shapely.polygons([shapely.linearrings(ring) for ring in inside])
    valid = shapely.make_valid(polygons)
    whole = shapely.union_all(valid)
    if holes:
        whole = shapely.difference(whole, shapely.union_all([shapely.Polygon(hole) for hole in holes]))
    if abs(float(whole.area) - float(shapely.area(valid).sum())) < 1e-9 * max(1.0, float(whole.area)) and not holes:
        return list(segmentation.rings)  # they lie apart, so their own points stay
    return _rings_of(whole)


def _rings_of(shape: object) -> list[F64]:
    polygons = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 0.0]
    rings = shapely.get_rings(polygons)
    return [shapely.get_coordinates(ring)[:-1] for ring in rings]  # shapely repeats the first point


def joined(rings: Sequence[F64]) -> F64 | None:
    """One ring of several, each (n, 2), by lines of no width; ``None`` of none.

    The ring next to what is joined already comes first, so lines are short.
    """
    if not rings:
        return None
    out, rest = rings[0], list(rings[1:])
    while rest:
        gaps = [_nearest(out, ring) for ring in rest]
        k = min(range(len(rest)), key=lambda i: gaps[i][0])
        _, i, j = gaps[k]
        ring = rest.pop(k)
        out = np.concatenate([out[: i + 1], ring[j:], ring[: j + 1], out[i:]])
    return out


def _nearest(one: F64, other: F64) -> tuple[float, int, int]:
    """(squared distance, index in one, index in the other) of the nearest corners."""
    squares = ((one[:, None] - other[None]) ** 2).sum(axis=2)
    i, j = divmod(int(squares.argmin()), len(other))
    return float(squares[i, j]), i, j
