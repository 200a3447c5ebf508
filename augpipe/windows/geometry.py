"""Where windows lie: whole pixels, half-open boxes ``xyxy``, by integer arithmetic that anybody can repeat."""

from __future__ import annotations

import math
from typing import TypeAlias

Window: TypeAlias = tuple[int, int, int, int]
"""Half-open box of whole pixels."""


def starts(side: int, window: int, overlap: int) -> list[int]:
    """Where windows begin along a side, so that each pixel of it lies in one at least.

    They are ``window - overlap`` apart; the last one is moved back so that it ends with the side. A side that is no
    longer than the window has one, at 0.

    >>> starts(2500, 1024, 205)
    [0, 819, 1476]
    """
    if side <= window:
        return [0]
    step = window - overlap
    return [*range(0, side - window, step), side - window]


def tiles(
    size_wh: tuple[int, int], window_wh: tuple[int, int], overlap_wh: tuple[int, int], *, pad: bool = False
) -> list[Window]:
    """The windows of a picture, row by row.

    All have the full size, but for pictures that are smaller: their windows end with the picture, or with ``pad``
    reach beyond it.
    """
    (width, height), (w, h) = size_wh, window_wh
    return [
        (x, y, x + w if pad else min(x + w, width), y + h if pad else min(y + h, height))
        for y in starts(height, h, overlap_wh[1])
        for x in starts(width, w, overlap_wh[0])
    ]


def around(
    box_xyxy: tuple[float, float, float, float],
    size_wh: tuple[int, int],
    margin_wh: tuple[float, float],
    *,
    square: bool = False,
) -> Window:
    """The window around a box of a picture, of whole pixels and inside the picture.

    Args:
        box_xyxy: inside the picture.
        size_wh: of the picture.
        margin_wh: pixels beside the box, left and right, and above and below it.
        square: widen the shorter side to the longer one; where the picture ends, the window is moved, and is no square
            only where the picture is too small.
    """
    x0, y0, x1, y1 = box_xyxy
    (mx, my), (width, height) = margin_wh, size_wh
    left, right = _whole(x0 - mx, x1 + mx, width)
    top, bottom = _whole(y0 - my, y1 + my, height)
    if square:
        side = max(right - left, bottom - top)
        left, right = _widened(left, right, side, width)
        top, bottom = _widened(top, bottom, side, height)
    return left, top, right, bottom


def _whole(low: float, high: float, side: int) -> tuple[int, int]:
    """The whole pixels of a span that lie in the picture; at least one."""
    first = min(max(0, math.floor(low)), side - 1)
    return first, max(first + 1, min(side, math.ceil(high)))


def _widened(low: int, high: int, wanted: int, side: int) -> tuple[int, int]:
    """A span of ``wanted`` pixels, or as many as the picture has, with a given one in its middle if that fits."""
    length = min(wanted, side)
    start = min(max(0, low - (length - (high - low)) // 2), side - length)
    return start, start + length
