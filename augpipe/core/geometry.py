"""Coordinates, and matrices that move points, boxes and convex regions.

Pixel *i* covers the interval [i, i+1): x to the right, y down. A picture of width W spans [0, W]; the centre of its
first pixel is 0.5. Boxes are ``xyxy``, half-open, float64. A mirror image is x → W − x for every kind of label.
The half-pixel shift to the pixel-centre indexes of OpenCV and CUDA is in :mod:`augpipe.pixels.resample` alone.

A matrix is row-major 3×3 plain floats and takes source points to output points, (x, y, 1) as a column. Matrices are
rounded (:func:`rounded`), so that a last-bit difference between two machines' sine reaches no picture and no label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from operator import mul, sub
from typing import TypeAlias

import numpy as np

from augpipe.core.annotations import F64

Matrix: TypeAlias = tuple[float, float, float, float, float, float, float, float, float]
Point: TypeAlias = tuple[float, float]
Region: TypeAlias = tuple[Point, ...]
"""A convex polygon."""
Column: TypeAlias = list[float]
"""One coordinate of all points of a region."""

IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
NEAREST = 1e-3
"""The least depth (see :func:`depth`) at which labels are moved: images of nearer points are anywhere."""
_GRID = 2.0**20
_STRAIGHT = 1e-3  # square pixels, by which rounding turns a corner the other way
_FEW = 16  # corners of a region that no mesh has bent; of more, nothing is left to rounding
_PROJECTIVE_GRID = 2.0**36  # the last row multiplies pixel positions, so it needs the finer steps


def translation(x: float, y: float) -> Matrix:
    """Move by (x, y) pixels."""
    return (1.0, 0.0, x, 0.0, 1.0, y, 0.0, 0.0, 1.0)


def scaling(x: float, y: float) -> Matrix:
    """Scale about the origin."""
    return (x, 0.0, 0.0, 0.0, y, 0.0, 0.0, 0.0, 1.0)


def rotation(degrees: float) -> Matrix:
    """Turn about the origin; positive is clockwise on the screen, as y points down."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0)


def shearing(x_degrees: float, y_degrees: float) -> Matrix:
    """Slant: x grows by tan(x_degrees)·y and y by tan(y_degrees)·x."""
    return (1.0, math.tan(math.radians(x_degrees)), 0.0, math.tan(math.radians(y_degrees)), 1.0, 0.0, 0.0, 0.0, 1.0)


def mirror_x(width: float) -> Matrix:
    """Left becomes right: x → width − x."""
    return (-1.0, 0.0, float(width), 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def mirror_y(height: float) -> Matrix:
    """Top becomes bottom: y → height − y."""
    return (1.0, 0.0, 0.0, 0.0, -1.0, float(height), 0.0, 0.0, 1.0)


def quarter_turns(times: int, size_wh: tuple[int, int]) -> Matrix:
    """Turn a canvas of ``size_wh`` clockwise by 90° ``times`` times, back into the positive quadrant."""
    w, h = float(size_wh[0]), float(size_wh[1])
    return (
        IDENTITY,
        (0.0, -1.0, h, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        (-1.0, 0.0, w, 0.0, -1.0, h, 0.0, 0.0, 1.0),
        (0.0, 1.0, 0.0, -1.0, 0.0, w, 0.0, 0.0, 1.0),
    )[times % 4]


def upright(orientation: int, stored_wh: tuple[int, int]) -> Matrix:
    """The map from stored pixels to the upright picture for an EXIF ``orientation`` 1..8 (TIFF 6.0, tag 274)."""
    w, h = stored_wh
    if orientation in (5, 7):
        transposed: Matrix = (0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
        return transposed if orientation == 5 else then(transposed, quarter_turns(2, (h, w)))
    return {
        2: mirror_x(w),
        3: quarter_turns(2, stored_wh),
        4: mirror_y(h),
        6: quarter_turns(1, stored_wh),
        8: quarter_turns(3, stored_wh),
    }.get(orientation, IDENTITY)


def then(first: Matrix, second: Matrix) -> Matrix:
    """The map that applies ``first`` and after it ``second``."""
    a, b, c, d, e, f, g, h, i = second
    j, k, m, n, o, p, q, r, s = first
    return (
        a * j + b * n + c * q, a * k + b * o + c * r, a * m + b * p + c * s,
        d * j + e * n + f * q, d * k + e * o + f * r, d * m + e * p + f * s,
        g * j + h * n + i * q, g * k + h * o + i * r, g * m + h * p + i * s,
    )  # fmt: skip


def about(centre: Point, matrix: Matrix) -> Matrix:
    """``matrix`` with ``centre`` in the place of the origin."""
    x, y = centre
    return then(then(translation(-x, -y), matrix), translation(x, y))


def determinant(m: Matrix) -> float:
    """The determinant of the 3×3 matrix; negative means a mirror image."""
    a, b, c, d, e, f, g, h, i = m
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def inverse(m: Matrix) -> Matrix:
    """The map from output points back to source points; points in front of one stay in front of the other.

    Raises:
        ZeroDivisionError: if the map has no inverse.
    """
    a, b, c, d, e, f, g, h, i = m
    adjugate = (
        e * i - f * h, c * h - b * i, b * f - c * e,
        f * g - d * i, a * i - c * g, c * d - a * f,
        d * h - e * g, b * g - a * h, a * e - b * d,
    )  # fmt: skip
    size = determinant(m)
    if size == 0.0:
        raise ZeroDivisionError("a map onto a line or a point has no inverse")
    scale = math.copysign(abs(adjugate[8]) or 1.0, size)  # of the determinant only the sign matters
    return _matrix([v / scale for v in adjugate])


def rounded(m: Matrix) -> Matrix:
    """``m`` on a grid of 2⁻²⁰ (2⁻³⁶ in the projective row), so that every machine gets the same numbers."""
    scale = abs(m[8]) or 1.0  # never its sign, which says what lies in front
    # + 0.0 turns −0.0 into 0.0
    top = [round(v / scale * _GRID) / _GRID + 0.0 for v in m[:6]]
    last = [round(v / scale * _PROJECTIVE_GRID) / _PROJECTIVE_GRID + 0.0 for v in m[6:]]
    return _matrix([*top, *last])


def _matrix(values: Sequence[float]) -> Matrix:
    a, b, c, d, e, f, g, h, i = values
    return (a, b, c, d, e, f, g, h, i)


def is_affine(m: Matrix) -> bool:
    """Whether parallel lines stay parallel."""
    return m[6] == 0.0 and m[7] == 0.0 and m[8] == 1.0


def is_exact(m: Matrix) -> bool:
    """Whether ``m`` only flips, turns by quarters and moves by whole pixels, so that pixels can be copied."""
    a, b, c, d, e, f = m[:6]
    turns = {abs(a), abs(e)} == {1.0} and b == d == 0.0
    quarter = {abs(b), abs(d)} == {1.0} and a == e == 0.0
    return is_affine(m) and (turns or quarter) and c.is_integer() and f.is_integer()


def square_to_quad(corners: Sequence[Point]) -> Matrix:
    """The projective map of the unit square (0,0) (1,0) (1,1) (0,1) onto four ``corners`` in that order.

    Source: P. Heckbert, *Fundamentals of Texture Mapping and Image Warping*, 1989, §2.2.3.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    sx, sy = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    dx1, dx2, dy1, dy2 = x1 - x2, x3 - x2, y1 - y2, y3 - y2
    den = dx1 * dy2 - dx2 * dy1
    g = (sx * dy2 - dx2 * sy) / den
    h = (dx1 * sy - sx * dy1) / den
    return (x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1.0)


def depth(m: Matrix, points_xy: F64) -> F64:
    """The third homogeneous coordinate after ``m``: positive for points in front, which alone have an image."""
    out: F64 = m[6] * points_xy[..., 0] + m[7] * points_xy[..., 1] + m[8]
    return out


def move_point(m: Matrix, point: Point) -> Point:
    """One point through ``m``."""
    x, y = point
    w = m[6] * x + m[7] * y + m[8]
    return (m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w


def move_points(m: Matrix, points_xy: F64) -> F64:
    """Points through ``m``: shape (..., 2) in, the same shape out. Points must lie in front (see :func:`depth`)."""
    x, y = points_xy[..., 0], points_xy[..., 1]
    out = np.empty_like(points_xy, np.float64)
    out[..., 0] = m[0] * x + m[1] * y + m[2]
    out[..., 1] = m[3] * x + m[4] * y + m[5]
    if not is_affine(m):
        out /= depth(m, points_xy)[..., None]
    return out


# --- boxes -----------------------------------------------------------------------------------------------------------


def corners_of(boxes_xyxy: F64) -> F64:
    """The corners of boxes, clockwise on the screen from the top left: (N, 4) in, (N, 4, 2) out."""
    return boxes_xyxy[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)


def bounds_of(points_xy: F64) -> F64:
    """The axis-aligned box around points: (..., P, 2) in, (..., 4) out."""
    return np.concatenate([points_xy.min(axis=-2), points_xy.max(axis=-2)], axis=-1)


def with_short_sides(ring: F64, length: float) -> F64:
    """A ring (n, 2) with points added evenly, so that no side is longer than ``length``."""
    if length == math.inf or not len(ring):
        return ring
    ends = np.roll(ring, -1, axis=0)
    counts = np.maximum(1, np.ceil(np.hypot(*(ends - ring).T) / length).astype(int))
    return np.concatenate([np.linspace(a, b, n, endpoint=False) for a, b, n in zip(ring, ends, counts, strict=True)])


# --- convex regions --------------------------------------------------------------------------------------------------


def is_convex(region: Region) -> bool:
    """Whether a region turns to one side at all of its corners, but for rounding."""
    if len(region) < 4:
        return True
    xs, ys = map(list, zip(*region, strict=True))
    ex, ey = list(map(sub, xs[1:] + xs[:1], xs)), list(map(sub, ys[1:] + ys[:1], ys))
    turns = list(map(sub, map(mul, ex, ey[1:] + ey[:1]), map(mul, ey, ex[1:] + ex[:1])))
    slack = _STRAIGHT if len(region) <= _FEW else 0.0
    return bool(min(turns) >= -slack or max(turns) <= slack)


def rectangle(size_wh: tuple[float, float]) -> Region:
    """The canvas of a size as a region, clockwise on the screen from (0, 0)."""
    w, h = float(size_wh[0]), float(size_wh[1])
    return ((0.0, 0.0), (w, 0.0), (w, h), (0.0, h))


def move_region(m: Matrix, region: Region) -> Region:
    """A region through ``m``; it is convex as long as all of it lies in front."""
    return tuple(move_point(m, p) for p in region)


def area_of(region: Region) -> float:
    """Area of a simple polygon, never negative."""
    return abs(signed_area(*columns_of(region)))


def columns_of(region: Region) -> tuple[Column, Column]:
    """The x and the y of a region's points."""
    return [x for x, _ in region], [y for _, y in region]


def clip_convex(subject: Region, clip: Region) -> Region:
    """The part of one convex polygon that lies in another, possibly empty (Sutherland and Hodgman, CACM 17, 1974)."""
    return tuple(zip(*clip_columns(*columns_of(subject), clip), strict=True))


def clip_columns(xs: Column, ys: Column, clip: Region) -> tuple[Column, Column]:
    """As :func:`clip_convex`, by columns, which are twice as quick where there are many points."""
    if not clip or not xs:
        return [], []
    x0, y0, x1, y1 = min(xs), min(ys), max(xs), max(ys)
    for ex, ey, ax, ay in _sides_of(clip):
        # No point has less than that corner of the bounds, as rounding keeps the order. Most sides cut nothing.
        if ex * ((y0 if ex > 0.0 else y1) - ay) - ey * ((x1 if ey > 0.0 else x0) - ax) >= 0.0:
            continue
        sides = [ex * (y - ay) - ey * (x - ax) for x, y in zip(xs, ys, strict=True)]
        if min(sides) < 0.0:
            xs, ys = keep_side(xs, ys, sides)
        if not xs:
            return [], []
    return xs, ys


@lru_cache(maxsize=256)
def _sides_of(region: Region) -> tuple[tuple[float, float, float, float], ...]:
    """The sides of a convex region, clockwise: by (ex, ey) from (ax, ay) on. The same canvas comes again and again."""
    turn = 1.0 if signed_area(*columns_of(region)) >= 0.0 else -1.0
    ends = zip(region, region[1:] + region[:1], strict=True)
    return tuple([((bx - ax) * turn, (by - ay) * turn, ax, ay) for (ax, ay), (bx, by) in ends])


def keep_side(xs: Column, ys: Column, sides: Column) -> tuple[Column, Column]:
    """The part of a closed polygon where ``sides`` is not negative; crossings are interpolated."""
    kept_xs, kept_ys, start = list[float](), list[float](), 0
    for i in [i for i, side in enumerate(sides) if (side >= 0.0) != (sides[i - 1] >= 0.0)]:
        if sides[i - 1] >= 0.0:
            kept_xs += xs[start:i]
            kept_ys += ys[start:i]
        t = sides[i - 1] / (sides[i - 1] - sides[i])
        kept_xs.append(xs[i - 1] + t * (xs[i] - xs[i - 1]))
        kept_ys.append(ys[i - 1] + t * (ys[i] - ys[i - 1]))
        start = i
    if sides[-1] >= 0.0:
        kept_xs += xs[start:]
        kept_ys += ys[start:]
    return kept_xs, kept_ys


def signed_area(xs: Column, ys: Column) -> float:
    """Area by the shoelace formula, positive if the points run clockwise on the screen."""
    # Σ x·y′ − x′·y by whole columns, which is four times as fast as point by point.
    return float(sum(map(sub, map(mul, xs, ys[1:] + ys[:1]), map(mul, xs[1:] + xs[:1], ys)))) / 2.0


def in_front(m: Matrix, region: Region) -> Region:
    """The part of a source region that a projective map sends to finite places (see :data:`NEAREST`)."""
    if is_affine(m) or not region:
        return region
    sides = [m[6] * x + m[7] * y + m[8] - NEAREST for x, y in region]
    return region if min(sides) >= 0.0 else tuple(zip(*keep_side(*columns_of(region), sides), strict=True))
