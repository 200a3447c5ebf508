"""The fixed-point map through a mesh: whole numbers from output pixels to source positions, for every backend.

``after`` and ``before`` are backward maps on the grid of 2⁻²⁰. A pixel's centre goes through ``after`` to 1/1024 pixel,
is moved by the mesh's displacement, rounded to 1/1024, and goes through ``before`` to 1/32 pixel of the reduced source.
Every rounding is half up, and no other one is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import I64
from augpipe.core.geometry import IDENTITY, Matrix
from augpipe.core.mesh import UNIT, Mesh
from augpipe.core.opencv import cv2
from augpipe.core.plan import Border, Pixels
from augpipe.pixels.resample import opencv_border

Whole: TypeAlias = NDArray[Any]
"""int32 or int64."""

_GRID_BITS, _UNIT_BITS = 20, 10
_BAND_PIXELS = 1 << 14
_FITS_32 = 1 << 30


def on_grid(matrix: Matrix) -> tuple[int, ...]:
    """The six numbers of an affine map in 2⁻²⁰."""
    return tuple(round(v * 2**_GRID_BITS) for v in matrix[:6])


def bent(
    picture: Pixels,
    before: Matrix,
    mesh: Mesh,
    after: Matrix,
    size_wh: tuple[int, int],
    border: Border,
    fill: tuple[int, ...],
    reduce: tuple[int, int],
) -> Pixels:
    """An 8-bit picture, the block means of ``reduce``, interpolated on a new canvas as the step kind Field says."""
    w, h = size_wh
    out = np.empty((h, w, *picture.shape[2:]), picture.dtype)
    height = max(1, _BAND_PIXELS // w)
    whole, parts = np.empty((height, w, 2), np.int16), np.empty((height, w), np.uint16)
    for rows, x, y in _positions(before, mesh, after, size_wh, reduce, height):
        count = rows.stop - rows.start
        np.clip(x >> 5, -32768, 32767, out=whole[:count, :, 0], casting="unsafe")
        np.clip(y >> 5, -32768, 32767, out=whole[:count, :, 1], casting="unsafe")
        np.add((y & 31) << 5, x & 31, out=parts[:count], casting="unsafe")
        cv2.remap(
            picture,
            whole[:count],
            parts[:count],
            cv2.INTER_LINEAR,
            dst=out[rows],
            borderMode=opencv_border(border),
            borderValue=fill,
        )
    return out


def _positions(
    before: Matrix, mesh: Mesh, after: Matrix, size_wh: tuple[int, int], reduce: tuple[int, int], height: int
) -> Iterator[tuple[slice, Whole, Whole]]:
    """Source positions in 1/32 pixel of the reduced source, in bands of ``height`` rows: (rows, x, y)."""
    w, h = size_wh
    plain = after == IDENTITY and size_wh == mesh.size_wh
    moving = before != IDENTITY or reduce != (1, 1)
    a, b, c, d, e, f = on_grid(before)
    on_canvas = _Lattice(mesh) if plain else None
    for top in range(0, h, height):
        rows = slice(top, min(top + height, h))
        x, y = on_canvas.shown(rows) if on_canvas else _shown(mesh, *_behind(after, w, rows))
        if moving:
            x, y = x.astype(np.int64), y.astype(np.int64)
            x, y = a * x + b * y + (c << _UNIT_BITS), d * x + e * y + (f << _UNIT_BITS)
            yield rows, _fine(x, reduce[0]), _fine(y, reduce[1])
        else:
            yield rows, (x - (UNIT // 2 - 16)) >> 5, (y - (UNIT // 2 - 16)) >> 5


def _fine(place: I64, side: int) -> I64:
    """Source points in 2⁻³⁰ pixel to indexes of pixel centres of the reduced source in 1/32 pixel."""
    unit = _GRID_BITS + _UNIT_BITS
    out: I64 = (place - (side << (unit - 1)) + (side << (unit - 6))) >> (unit - 5 + side.bit_length() - 1)
    return out


def _behind(after: Matrix, width: int, rows: slice) -> tuple[I64, I64]:
    """Points of the mesh's canvas in 1/1024 pixel behind the pixels of some rows."""
    a, b, c, d, e, f = on_grid(after)
    xs = 2 * np.arange(width, dtype=np.int64) + 1
    ys = 2 * np.arange(rows.start, rows.stop, dtype=np.int64)[:, None] + 1
    shift = _GRID_BITS + 1 - _UNIT_BITS
    half = 1 << (shift - 1)
    return (a * xs + (b * ys + (2 * c + half))) >> shift, (d * xs + (e * ys + (2 * f + half))) >> shift


def _shown(mesh: Mesh, x: I64, y: I64) -> tuple[I64, I64]:
    """q + d(q) of points q, all in 1/1024 pixel."""
    bits = mesh.spacing + _UNIT_BITS
    nodes, (w, h) = mesh.nodes, mesh.size_wh
    count = nodes.shape[1]
    inside_x, inside_y = np.clip(x, 0, w * UNIT), np.clip(y, 0, h * UNIT)
    column, row = np.minimum(inside_x >> bits, count - 2), np.minimum(inside_y >> bits, len(nodes) - 2)
    u, v = inside_x - (column << bits), inside_y - (row << bits)
    place, half = row * count + column, 1 << (2 * bits - 1)
    found = []
    for axis, q in enumerate((x, y)):
        values = np.ascontiguousarray(nodes[:, :, axis]).reshape(-1)
        upper, lower = values[place], values[place + count]
        upper = (upper << bits) + (values[place + 1] - upper) * u
        lower = (lower << bits) + (values[place + count + 1] - lower) * u
        found.append(q + (((upper << bits) + (lower - upper) * v + half) >> (2 * bits)))
    return found[0], found[1]


class _Lattice:
    """As :func:`_shown`, for the pixels of the mesh's own canvas, whose columns and rows are the same everywhere."""

    def __init__(self, mesh: Mesh) -> None:
        w, h = mesh.size_wh
        side = 1 << mesh.spacing
        fits = int(np.abs(mesh.nodes).max(initial=1)) * 4 * side * side < _FITS_32 and max(w, h) * UNIT < _FITS_32
        self._type = np.int32 if fits else np.int64
        self._bits, self._width = mesh.spacing, w
        columns = np.arange(w)
        cells = columns >> self._bits
        share: Whole = (2 * (columns & (side - 1)) + 1).astype(self._type)
        nodes: Whole = mesh.nodes.astype(self._type)
        self._lines = [nodes[:, cells, k] * (2 * side - share) + nodes[:, cells + 1, k] * share for k in (0, 1)]
        self._centres = (columns * UNIT + UNIT // 2).astype(self._type)

    def shown(self, rows: slice) -> tuple[Whole, Whole]:
        """q + d(q) of the pixels of some rows, in 1/1024 pixel."""
        side, shift = 1 << self._bits, 2 * self._bits + 2
        ys = np.arange(rows.start, rows.stop)
        cells, share = ys >> self._bits, (2 * (ys & (side - 1)) + 1).astype(self._type)[:, None]
        found: list[Whole] = []
        for lines in self._lines:
            moved = lines[cells] * (2 * side - share)
            moved += lines[cells + 1] * share
            moved += 1 << (shift - 1)
            moved >>= shift
            found.append(moved)
        found[0] += self._centres
        found[1] += (ys * UNIT + UNIT // 2).astype(self._type)[:, None]
        return found[0], found[1]
