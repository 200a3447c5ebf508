"""A written oriented box beside that of the source: its corners, or the rectangle around what is left of it.

A map that keeps angles leaves it what it was, which is a rectangle in most files, not in all. After another map, and
where the frame cuts it, it is a rectangle around points of its outline, and no larger than the smallest there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from augpipe.core.annotations import F64
from augpipe.core.opencv import cv2
from augpipe.verification.findings import Reporter
from augpipe.verification.objects.expected import ExpectedObject, painted_rings
from augpipe.verification.supersample import outline

_SAME_CORNERS = 0.01  # pixels
_SAME_WAY = 0.02  # of a side's length, by which sides point alike
_APART = 0.25  # pixels between points of an outline


def check_oriented_box(row: Mapping[str, Any], expected: ExpectedObject, report: Reporter) -> None:
    """Measure the oriented box of an object that was written, by its row of the record."""
    source = expected.objects.obb[expected.i]
    if source is None:
        if "obb" in row:
            report.fault("has an oriented box")
        return
    cut = expected.setting.rules.obb == "clip" and expected.setting.is_moved and _is_cut(source, expected)
    moved = expected.setting.moved(source).xy
    points = _left_of(source, expected) if cut else moved
    if "obb" not in row:
        if not cut or len(points):
            report.fault("its oriented box was not written")
        return
    got = np.array(row["obb"], np.float64)
    corners = _clockwise(moved)
    if not cut and _keeps_angles(source, moved):
        report.measured("obb", _apart(got, corners))
        if np.abs(got - corners).max() > _SAME_CORNERS and _apart(got, corners) <= _SAME_CORNERS:
            report.fault("its oriented box begins at another side than in the source")
        return
    _check_rectangle(got, points, expected, report)
    if cut and len(points) and not _points_alike(got, corners):
        report.fault("its oriented box begins at a side that points another way than in the source")


def _is_cut(source: F64, expected: ExpectedObject) -> bool:
    """Whether something of an oriented box cannot be seen, or only by the rounding of a number."""
    edge = expected.setting.moved(outline([source], _APART))
    return not bool(edge.shown.all())


def _left_of(source: F64, expected: ExpectedObject) -> F64:
    """Points around what can be seen of an oriented box: on its outline, and on the edges that cut it; (N, 2)."""
    setting = expected.setting
    near = setting.cuts_xy(False)
    inside = painted_rings([source]).canvas.shrunk.has(near)
    left = setting.moved(np.concatenate([outline([source], _APART), near[inside]]))
    points: F64 = left.xy[left.shown]
    return points


def _check_rectangle(got: F64, points: F64, expected: ExpectedObject, report: Reporter) -> None:
    """Four corners are a rectangle around points, and the smallest, or one that had to be turned to fit the frame."""
    sides = np.roll(got, -1, axis=0) - got
    lengths = np.hypot(*sides.T)
    square = np.abs((sides * np.roll(sides, -1, axis=0)).sum(axis=1)) <= 0.02 * np.maximum(1.0, lengths.max())
    if expected.setting.is_moved and not square.all():
        report.fault("its oriented box is no rectangle")
    if not len(points):
        return
    ring, hull = got.astype(np.float32), cv2.convexHull(points.astype(np.float32))[:, 0]
    outside = max(0.0, *(-cv2.pointPolygonTest(ring, (float(x), float(y)), True) for x, y in hull))
    smallest = cv2.minAreaRect(hull)
    least = float(np.prod(smallest[1]))
    if expected.setting.rules.obb == "clip" and not _fits(
        np.asarray(cv2.boxPoints(smallest), np.float64), expected.setting.out_wh
    ):
        least = max(least, float(np.prod(np.ptp(points, axis=0))))
        if not _fits(got, expected.setting.out_wh):
            report.fault("a box around its oriented box is larger than the picture")
    looser = (float(lengths[0] * lengths[1]) - least) / max(1.0, float(lengths.sum()))
    report.measured("obb", max(outside, looser))


def _fits(corners: F64, size_wh: tuple[int, int]) -> bool:
    return bool((np.ptp(corners, axis=0) <= np.array(size_wh) + _SAME_CORNERS).all())


def _clockwise(corners: F64) -> F64:
    """Four corners clockwise on the screen, by the same first side."""
    x, y = corners.T
    twice = float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())
    return corners if twice >= 0.0 else corners[[1, 0, 3, 2]]


def _apart(got: F64, corners: F64) -> float:
    apart = np.hypot(*(got[:, None] - corners).transpose(2, 0, 1))
    return float(max(apart.min(axis=0).max(), apart.min(axis=1).max()))


def _points_alike(got: F64, corners: F64) -> bool:
    """Whether no side of a rectangle points more as the first of some corners does than its own first."""
    sides = np.roll(got, -1, axis=0) - got
    way = corners[1] - corners[0]
    along = (sides @ way) / np.maximum(1e-9, np.hypot(*sides.T) * np.hypot(*way))
    return bool(along[0] >= along.max() - _SAME_WAY)


def _keeps_angles(before: F64, after: F64) -> bool:
    """Whether points lie to each other as they did, but for one scale."""
    old, new = (np.hypot(*(p[:, None] - p).transpose(2, 0, 1)) for p in (before, after))
    return bool(np.abs(new - old * (new.sum() / max(1e-9, float(old.sum())))).max() <= _SAME_CORNERS)
