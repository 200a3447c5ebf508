"""A mask, or several polygons, as one ring, for formats that have one polygon an object.

A mask becomes the outline of its pixels, along their edges, so area and bounds stay the same. Several parts or holes
become one ring by lines of no width between nearest corners, run along once in each direction, as Ultralytics' own
converter joins parts. The even-odd rule fills the same area.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import shapely

from augpipe.core.annotations import F64, I64, Rings, Rle, Segmentation
from augpipe.labels.polygons import clip_rings
from augpipe.labels.rle import runs_of, window_of

_MOST_COMPARED = 6_000  # points
_MOST_RUNS = 200_000


def one_ring(segmentation: Segmentation) -> F64 | None:
    """The one ring (n ≥ 3, 2) with the area of a segmentation; ``None`` if it has none, or more than 200,000 runs."""
    if isinstance(segmentation, Rle):
        if runs_of(segmentation.counts).size > _MOST_RUNS:
            return None
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
    """Rings with the same union that do not overlap."""
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

    The ring next to what is joined already comes first, so that lines are short. Of more points than can be compared
    with one another, rings are joined as they come, by longer lines.
    """
    if not rings:
        return None
    points = np.concatenate(rings)
    ends = np.cumsum([len(ring) for ring in rings])
    numbers = [np.arange(end - len(ring), end) for ring, end in zip(rings, ends, strict=True)]
    path = numbers[0].tolist()
    for i, j, ring in _lines(points, numbers):
        at, turned = path.index(i) + 1, np.roll(ring, -(j - int(ring[0]))).tolist()
        path[at:at] = [*turned, turned[0], i]
    out: F64 = points[path]
    return out


def _lines(points: F64, numbers: Sequence[I64]) -> Iterator[tuple[int, int, I64]]:
    """(point among those joined, point of the next ring, that ring's points), nearest ring first (Prim 1957)."""
    if len(points) > _MOST_COMPARED:
        yield from ((0, int(ring[0]), ring) for ring in numbers[1:])
        return
    best = {k: _nearest(points, numbers[0], numbers[k]) for k in range(1, len(numbers))}
    while best:
        k = min(best, key=lambda k: best[k])
        _, i, j = best.pop(k)
        yield i, j, numbers[k]
        for other, before in best.items():
            best[other] = min(before, _nearest(points, numbers[k], numbers[other]))


def _nearest(points: F64, one: I64, other: I64) -> tuple[float, int, int]:
    """(squared distance, point of one ring, point of the other) of the nearest corners."""
    squares = ((points[one][:, None] - points[other][None]) ** 2).sum(axis=2)
    i, j = divmod(int(squares.argmin()), len(other))
    return float(squares[i, j]), int(one[i]), int(other[j])
