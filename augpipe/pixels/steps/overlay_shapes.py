"""What of a layer shows at each pixel: alpha in 1/1024, as whole numbers for backends and plainly for the reference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.geometry import columns_of, keep_side, rectangle
from augpipe.core.opencv import cv2

ONE = 1024
Alpha: TypeAlias = NDArray[np.int16]
"""(H, W), in 1/1024."""
Window: TypeAlias = tuple[int, int, int, int]
"""Half-open pixels (x0, y0, x1, y1) of a canvas."""

_WEIGHT = 4096
_HIGHEST = 4
_BAND_ROWS = 64
_SIXTEENTH = 16
MOST_KNOTS, MOST_MARKS, MOST_REACH = 32, 200_000, 32_768
_MOST_CORNERS = 16
_AREA_OF_ALL_MARKS = 2**30
_AT_ONCE = 2**18
_KEPT_AREA = 2**22
"""Of a bitmap that is made once for all places; a larger mark is made where it lies on the canvas, and stands alone."""


class Surface(msgspec.Struct, frozen=True, tag="surface", tag_field="form"):
    """A uniform cubic B-spline over the canvas, of ``columns_rows`` control points, row by row in 1/1024.

    Control points lie evenly, the second and the last but one on the canvas's edges. A pixel's centre takes 4 × 4 of
    them, with weights of whole 1/4096 along each axis; the sum is rounded half up, and cut at ±1024.
    """

    columns_rows: tuple[int, int]
    knots: tuple[int, ...]

    def fault(self, most_pixels: int, signed: bool) -> str | None:
        (columns, rows), most = self.columns_rows, _HIGHEST * ONE
        least = -most if signed else 0
        sound = 4 <= columns <= MOST_KNOTS and 4 <= rows <= MOST_KNOTS and len(self.knots) == columns * rows
        return None if sound and all(least <= knot <= most for knot in self.knots) else "a surface that is none"

    def window(self, size_wh: tuple[int, int]) -> Window:
        return 0, 0, *size_wh

    def alpha(self, size_wh: tuple[int, int], window: Window) -> Alpha:
        """Sums of whole numbers below 2⁵³, which float64 holds in any order."""
        columns, rows = self.columns_rows
        (left, across), (above, down) = _weights(size_wh[0], columns), _weights(size_wh[1], rows)
        knots = np.array(self.knots, np.float64).reshape(rows, columns)
        along: F64 = np.sum([across[:, k] * knots[:, left + k] for k in range(4)], axis=0)
        x0, y0, x1, y1 = window
        along, shares = np.ascontiguousarray(along[:, x0:x1]), np.zeros((size_wh[1], rows))
        np.put_along_axis(shares, above[:, None] + np.arange(4), down, axis=1)
        out = np.empty((y1 - y0, x1 - x0), np.int16)
        for top in range(0, len(out), _BAND_ROWS):
            band = shares[y0 + top : min(y0 + top + _BAND_ROWS, y1)]
            sums: F64 = cv2.gemm(band, along, 1.0 / _WEIGHT**2, None, 0.0)  # type: ignore[call-overload]  # None adds nothing
            sums += 0.5
            np.floor(sums, out=sums)
            out[top : top + _BAND_ROWS] = np.clip(sums, -ONE, ONE, out=sums)
        return out

    def plainly(self, size_wh: tuple[int, int]) -> F64:
        """The spline itself, in shares of 1."""
        (w, h), (columns, rows) = size_wh, self.columns_rows
        knots = np.array(self.knots, np.float64).reshape(rows, columns) / ONE
        out = np.zeros((h, w))
        for row in range(rows):
            for column in range(columns):
                x = (np.arange(w) + 0.5) / w * (columns - 3) + 1 - column
                y = (np.arange(h) + 0.5) / h * (rows - 3) + 1 - row
                out += knots[row, column] * np.outer(_bell(y), _bell(x))
        return np.clip(out, -1.0, 1.0)


@lru_cache(maxsize=64)
def _weights(count: int, knots: int) -> tuple[NDArray[np.int64], F64]:
    """For the centre of each pixel: the first of its four control points, and their weights (count, 4).

    The weights are whole numbers that add up to 4096.
    """
    first, share = np.divmod((2 * np.arange(count) + 1) * (knots - 3), 2 * count)
    t = share / (2 * count)
    parts = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6.0
    whole = np.floor(parts * _WEIGHT + 0.5)
    whole[:, 1] += _WEIGHT - whole.sum(axis=1)
    return first, whole


def _bell(x: F64) -> F64:
    """The cubic B-spline about 0, which ends at ±2."""
    d = np.abs(x)
    near, far = (4.0 - 6.0 * d**2 + 3.0 * d**3) / 6.0, (2.0 - d) ** 3 / 6.0
    out: F64 = np.where(d < 1.0, near, np.where(d < 2.0, far, 0.0))
    return out


class Marks(msgspec.Struct, frozen=True, tag="marks", tag_field="form", omit_defaults=True):
    """One mark at many places; where several lie, the strongest counts.

    With d the distance of a pixel's centre from the mark in pixels, alpha is ⌊1024·f⌉ with

    - ``streak``: a line of ``reach_xy`` sixteenths of a pixel to either side of its place, r = ``radius`` / 16:
      f = r + 1/2 − d within 0..1;
    - ``disc``: the same with d from its place;
    - ``glow``: f = (1 − d²/r²)² where d < r.

    Places are the centres of pixels: ``places``, and ``count`` others, spread evenly by NumPy's ``Philox`` of the key
    ``word``: of its raw numbers 2i and 2i + 1, x = (first >> 32)·W >> 32, y = (second >> 32)·H >> 32.
    """

    kind: Literal["streak", "disc", "glow"]
    radius: int
    reach_xy: tuple[int, int] = (0, 0)
    places: tuple[tuple[int, int], ...] = ()
    count: int = 0
    word: int = 0

    def fault(self, most_pixels: int, signed: bool) -> str | None:
        sized = max(self.radius, *(abs(v) for v in self.reach_xy)) <= _SIXTEENTH * MOST_REACH
        placed = all(abs(v) < most_pixels for place in self.places for v in place)
        sound = sized and self.radius >= 1 and placed and 0 <= self.word < 2**64 and self.count >= 0
        many = len(self.places) + self.count
        return None if sound and many <= min(MOST_MARKS, self.most()) else "marks that are none"

    def most(self) -> int:
        """How many marks of this size there may be, so that drawing them ends."""
        w, h = self._half_wh()
        area = (2 * w + 1) * (2 * h + 1)
        return 1 if area > _KEPT_AREA else _AREA_OF_ALL_MARKS // area

    def window(self, size_wh: tuple[int, int]) -> Window:
        if self.count or not self.places:
            return 0, 0, *size_wh
        places, half, size = np.array(self.places), np.array(self._half_wh()), np.array(size_wh)
        low, high = (places - half).min(axis=0).clip(0, size), (places + half + 1).max(axis=0).clip(0, size)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def alpha(self, size_wh: tuple[int, int], window: Window) -> Alpha:
        left, top, right, bottom = window
        out = np.zeros((bottom - top, right - left), np.int16)
        w, h = self._half_wh()
        if self.most() > 1:
            self._stamp(out, window, size_wh)
        for x, y in self._placed(size_wh).tolist() if self.most() == 1 else ():
            x0, y0, x1, y1 = max(x - w, left), max(y - h, top), min(x + w + 1, right), min(y + h + 1, bottom)
            if x0 < x1 and y0 < y1:
                out[y0 - top : y1 - top, x0 - left : x1 - left] = self._bitmap(
                    range(x0 - x, x1 - x), range(y0 - y, y1 - y)
                )
        return out

    def _stamp(self, out: Alpha, window: Window, size_wh: tuple[int, int]) -> None:
        """All marks into a window's alpha, by the pixels of one of them."""
        w, h = self._half_wh()
        bitmap, (left, top, right, bottom) = self._bitmap(range(-w, w + 1), range(-h, h + 1)), window
        rows, columns = np.nonzero(bitmap)
        strengths, places = bitmap[rows, columns][:, None], self._placed(size_wh)
        many = max(1, _AT_ONCE // max(1, len(rows)))
        for start in range(0, len(places), many):
            xs = places[start : start + many, 0] + (columns - w - left)[:, None]
            ys = places[start : start + many, 1] + (rows - h - top)[:, None]
            inside = (xs >= 0) & (xs < right - left) & (ys >= 0) & (ys < bottom - top)
            own = np.broadcast_to(strengths, inside.shape)[inside]
            np.maximum.at(out.reshape(-1), (ys * (right - left) + xs)[inside], own)

    def _placed(self, size_wh: tuple[int, int]) -> NDArray[np.int64]:
        """The places of all marks (N, 2)."""
        raw = (np.random.Philox(key=self.word).random_raw(2 * self.count) >> np.uint64(32)).reshape(-1, 2)
        spread = ((raw * np.array(size_wh, np.uint64)) >> np.uint64(32)).astype(np.int64)
        return np.concatenate([np.array(self.places, np.int64).reshape(-1, 2), spread])

    def _half_wh(self) -> tuple[int, int]:
        """How many pixels the mark reaches to the right, and below."""
        dx, dy = (math.ceil((abs(v) + self.radius) / _SIXTEENTH + 0.5) for v in self.reach_xy)
        return dx, dy

    def _bitmap(self, columns: range, rows: range) -> Alpha:
        """The mark in pixels from its middle, in bands."""
        out = np.empty((len(rows), len(columns)), np.int16)
        x = np.array(columns, np.float64)
        for top in range(0, len(rows), _BAND_ROWS):
            y = np.array(rows[top : top + _BAND_ROWS], np.float64)[:, None]
            out[top : top + _BAND_ROWS] = self._shown(x, y)
        return out

    def _shown(self, x: F64, y: F64) -> F64:
        (dx, dy), r = (v / _SIXTEENTH for v in self.reach_xy), self.radius / _SIXTEENTH
        length2 = dx * dx + dy * dy
        along = np.clip((x * dx + y * dy) / length2, -1.0, 1.0) if length2 else 0.0
        squared = (x - along * dx) ** 2 + (y - along * dy) ** 2
        if self.kind == "glow":
            shown = np.maximum(1.0 - squared / (r * r), 0.0) ** 2
        else:
            shown = np.clip(r + 0.5 - np.sqrt(squared), 0.0, 1.0)
        out: F64 = np.floor(ONE * shown + 0.5)
        return out

    def plainly(self, size_wh: tuple[int, int]) -> F64:
        """By the distance of every pixel from every mark."""
        w, h = size_wh
        rows, columns = np.indices((h, w)).astype(float)
        numbers = (
            [int(v) >> 32 for v in np.random.Philox(key=self.word).random_raw(2 * self.count)] if self.count else []
        )
        drawn = [(numbers[i] * w >> 32, numbers[i + 1] * h >> 32) for i in range(0, len(numbers), 2)]
        out, r = np.zeros((h, w)), self.radius / 16.0
        reach = np.hypot(*self.reach_xy) / 16.0
        for x, y in (*self.places, *drawn):
            away = np.hypot(columns - x, rows - y)
            if reach:
                direction = np.array(self.reach_xy) / np.hypot(*self.reach_xy)
                along = (columns - x) * direction[0] + (rows - y) * direction[1]
                across = np.abs((columns - x) * direction[1] - (rows - y) * direction[0])
                away = np.hypot(np.maximum(np.abs(along) - reach, 0.0), across)
            shown = np.where(away < r, (1 - (away / r) ** 2) ** 2, 0) if self.kind == "glow" else r + 0.5 - away
            out = np.maximum(out, np.clip(shown, 0.0, 1.0))
        return out


class Region(msgspec.Struct, frozen=True, tag="region", tag_field="form"):
    """A convex polygon, clockwise on the screen, corners in 1/16 pixel, with an edge ``soft`` sixteenths wide.

    With d the least signed distance of a pixel's centre from the lines through the sides, positive inside, alpha is
    ⌊1024·(1/2 + d/soft)⌉, within 0..1024.
    """

    corners: tuple[tuple[int, int], ...]
    soft: int

    def fault(self, most_pixels: int, signed: bool) -> str | None:
        sound = 3 <= len(self.corners) <= _MOST_CORNERS and 1 <= self.soft <= _SIXTEENTH * MOST_REACH
        placed = all(abs(v) < _SIXTEENTH * most_pixels for corner in self.corners for v in corner)
        return None if sound and placed and all(a != b for a, b in self._sides()) else "a region that is none"

    def _sides(self) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        yield from zip(self.corners, (*self.corners[1:], self.corners[0]), strict=True)

    def window(self, size_wh: tuple[int, int]) -> Window:
        """What the sides leave of the canvas, half of the soft edge and a pixel further out."""
        xs, ys = columns_of(rectangle((_SIXTEENTH * size_wh[0], _SIXTEENTH * size_wh[1])))
        for (x0, y0), (x1, y1) in self._sides():
            around = (self.soft / 2.0 + _SIXTEENTH) * math.hypot(x1 - x0, y1 - y0)
            inside = [(x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) + around for x, y in zip(xs, ys, strict=True)]
            xs, ys = keep_side(xs, ys, inside) if inside else (xs, ys)
        if not xs:
            return 0, 0, 0, 0
        low, high = (min(xs), min(ys)), (max(xs), max(ys))
        left, top = (math.floor(v / _SIXTEENTH) for v in low)
        right, bottom = (math.ceil(v / _SIXTEENTH) for v in high)
        return left, top, right, bottom

    def alpha(self, size_wh: tuple[int, int], window: Window) -> Alpha:
        left, top, right, bottom = window
        out = np.empty((bottom - top, right - left), np.int16)
        x = (_SIXTEENTH * np.arange(left, right) + _SIXTEENTH // 2).astype(np.float64)
        for first in range(top, bottom, _BAND_ROWS):
            end = min(first + _BAND_ROWS, bottom)
            y = (_SIXTEENTH * np.arange(first, end) + _SIXTEENTH // 2).astype(np.float64)[:, None]
            least = np.full((len(y), len(x)), np.inf)
            for (x0, y0), (x1, y1) in self._sides():
                length = math.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2)
                distance = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
                distance /= length
                np.minimum(least, distance, out=least)
            least /= self.soft
            least += 0.5
            least *= ONE
            least += 0.5
            np.floor(least, out=least)
            out[first - top : end - top] = np.clip(least, 0, ONE, out=least)
        return out

    def plainly(self, size_wh: tuple[int, int]) -> F64:
        """By the normal of each side."""
        w, h = size_wh
        rows, columns = np.indices((h, w)) + 0.5
        inside = np.full((h, w), np.inf)
        for start, end in self._sides():
            side = (np.array(end) - start) / 16.0
            normal = np.array([-side[1], side[0]]) / np.linalg.norm(side)
            inside = np.minimum(inside, (columns - start[0] / 16.0) * normal[0] + (rows - start[1] / 16.0) * normal[1])
        out: F64 = np.clip(0.5 + inside * 16.0 / self.soft, 0.0, 1.0)
        return out
