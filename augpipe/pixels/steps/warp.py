"""Resampling onto a new canvas."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Self, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64, I64
from augpipe.core.color import fill_levels
from augpipe.core.errors import Reject
from augpipe.core.geometry import Matrix, is_affine, is_exact, scaling, then
from augpipe.core.plan import (
    LONGEST_SIDE,
    Border,
    CanvasChange,
    Pass,
    Pixels,
    Rgb,
    SharedSource,
    Step,
    fault_of_fill,
    register,
)
from augpipe.pixels.reference import color_for, rounded

_Marks: TypeAlias = NDArray[np.bool_]

BORDERS: dict[Border, int] = {"constant": 0, "replicate": 1, "reflect": 2, "wrap": 3}
"""The kernels' number for a border."""

_FAR = 2**30


@register
class Warp(Step, frozen=True):
    """Resample the picture onto a new canvas, once, whatever number of moves it stands for.

    An output pixel has the value at the source point that ``matrix`` maps to its centre. A map that only flips, turns
    by quarters and moves by whole pixels is a copy. Otherwise the source is first reduced to the rounded means
    of ``reduce`` = (kx, ky) blocks (the last row or column repeated to fill a block), then interpolated linearly
    between pixel centres at positions rounded to 1/32 pixel. Interpolated values are rounded half up. A mean is the
    block's sum times 1/(kx·ky) in float32, rounded half to even; of 2×2 pixels it is (sum + 2) >> 2. Of a JPEG, the
    decoder may do a part of it from the stored frequencies (:mod:`augpipe.pixels.scaled_decode`).

    Outside the picture: ``constant`` is ``fill``, ``replicate`` the nearest edge pixel, ``reflect`` the mirror image
    with the edge pixel repeated, ``wrap`` the picture again. What lies behind the horizon of a projective map is far
    outside.
    """

    matrix: Matrix
    size_wh: tuple[int, int]
    border: Border = "constant"
    fill: Rgb = (0, 0, 0)
    reduce: tuple[int, int] = (1, 1)

    def fault(self, most_pixels: int) -> str | None:
        w, h = self.size_wh
        matrix = np.array(self.matrix, np.float64)
        if not (w >= 1 and h >= 1 and w * h <= most_pixels):
            return f"a canvas of {w}×{h}"
        if matrix.size != 9 or not (np.abs(matrix) < most_pixels).all():
            return "a matrix that is none"
        try:
            back = np.linalg.inv(matrix.reshape(3, 3))
        except np.linalg.LinAlgError:
            return "a matrix that has no inverse"
        if not np.isfinite(back).all():
            return "a matrix that has no inverse"
        if not all(1 <= k <= most_pixels for k in self.reduce):
            return f"reduced by {self.reduce}"
        return fault_of_fill(self.fill)

    def canvas_change(self) -> CanvasChange:
        return CanvasChange(self.matrix, self.size_wh)

    def reduction(self) -> tuple[int, int]:
        return (1, 1) if is_exact(self.matrix) else self.reduce

    def at_scale(self, scale_denominator: int) -> Self:
        matrix = then(scaling(float(scale_denominator), float(scale_denominator)), self.matrix)
        reduce = (self.reduce[0] // scale_denominator, self.reduce[1] // scale_denominator)
        return msgspec.structs.replace(self, matrix=matrix, reduce=reduce)

    def _require_reachable(self, size_wh: tuple[int, int]) -> None:
        """Every backend refuses what the CPU's 16-bit positions cannot reach."""
        longest = max(size_wh)
        if longest > LONGEST_SIDE and not is_exact(self.matrix):
            message = f"a side of {longest} pixels; expected at most {LONGEST_SIDE} for a warp"
            raise Reject("pixels", "too-large", message)

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        from augpipe.pixels.resample import block_means, copy_exact, resample

        self._require_reachable(picture.shape[1::-1])
        fill = fill_levels(self.fill, 1 if picture.ndim == 2 else 3)[::-1]
        if is_exact(self.matrix):
            return copy_exact(picture, self.matrix, self.size_wh, self.border, fill)
        if self.reduce != (1, 1):
            picture = block_means(picture, self.reduce) if source is None else source.means(self.reduce)
        return resample(picture, self.matrix, self.size_wh, self.border, fill, self.reduce)

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        from augpipe.pixels.resample import index_map

        self._require_reachable(size_wh)
        border, fill = BORDERS[self.border], fill_levels(self.fill, channels)
        if is_exact(self.matrix):  # the numbers of its map back are whole; so far beyond, everything is border
            whole = [max(-_FAR, min(_FAR, round(v))) for v in index_map(self.matrix, (1, 1))[:6]]
            head = struct.pack("<6i", *whole)
            yield Pass("copy", size_wh, self.size_wh, channels, head=head, border=border, fill=fill)
            return
        if self.reduce != (1, 1):
            (w, h), (kx, ky) = size_wh, self.reduce
            source_wh, size_wh = size_wh, (-(-w // kx), -(-h // ky))
            yield Pass("means", source_wh, size_wh, channels, head=struct.pack("<iif", kx, ky, 1.0 / (kx * ky)))
        back = index_map(self.matrix, self.reduce)
        yield Pass(
            "warp",
            size_wh,
            self.size_wh,
            channels,
            head=struct.pack("<9d", *back),
            border=border,
            fill=fill,
            projective=not is_affine(back),
        )

    def reference(self, levels: F64) -> F64:
        fill = color_for(levels, self.fill)
        x, y, in_front = _source_points(self.matrix, self.size_wh)
        if _only_moves_pixels(self.matrix):  # the pixel that the source point, a pixel centre, lies in
            columns, rows = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
            return _looked_up(levels, columns, rows, in_front, self.border, fill)
        kx, ky = self.reduce
        x, y = np.rint((x / kx - 0.5) * 32.0) / 32.0, np.rint((y / ky - 0.5) * 32.0) / 32.0
        return rounded(interpolated(means_of_blocks(levels, kx, ky), x, y, in_front, self.border, fill))


# --- reference -------------------------------------------------------------------------------------------------------


def _only_moves_pixels(matrix: Matrix) -> bool:
    """Flips, quarter turns and moves by whole pixels: a signed permutation of the axes and whole offsets."""
    m = np.array(matrix).reshape(3, 3)
    axes, offsets = np.abs(m[:2, :2]).tolist(), m[:2, 2].tolist()
    permuted = axes in ([[1, 0], [0, 1]], [[0, 1], [1, 0]])
    return permuted and all(v == round(v) for v in offsets) and m[2].tolist() == [0, 0, 1]


def _source_points(matrix: Matrix, size_wh: tuple[int, int]) -> tuple[F64, F64, _Marks]:
    """Where each pixel centre of the canvas comes from: x and y, (H, W) each, and whether that is in front.

    What lies behind the horizon of a projective map has no place in the picture, nor beside it.
    """
    width, height = size_wh
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    back = np.linalg.inv(np.array(matrix, np.float64).reshape(3, 3))
    x, y, depth = (row[0] * columns + row[1] * rows + row[2] for row in back)
    in_front = depth > 0.0
    depth = np.where(in_front, depth, 1.0)
    return x / depth, y / depth, in_front


def means_of_blocks(levels: F64, kx: int, ky: int) -> F64:
    """Rounded means of blocks of kx × ky pixels; the last row and column are repeated to fill a block.

    The one definition that is not in float64: where a mean lies halfway between two levels, how its float32 product is
    rounded decides, so the product is made here as it is defined.
    """
    height, width = levels.shape[:2]
    filled = np.pad(levels, ((0, -height % ky), (0, -width % kx), (0, 0)), mode="edge")
    blocks = filled.reshape(filled.shape[0] // ky, ky, filled.shape[1] // kx, kx, -1)
    sums: F64 = blocks.sum(axis=(1, 3))
    if (kx, ky) == (2, 2):
        return np.floor((sums + 2.0) / 4.0)
    means: F64 = np.rint(sums.astype(np.float32) * np.float32(1.0 / (kx * ky))).astype(np.float64)
    return means


def interpolated(levels: F64, x: F64, y: F64, in_front: _Marks, border: Border, fill: F64) -> F64:
    """Levels at positions counted in pixel centres (0 is the centre of the first pixel), linear between four pixels."""
    left, top = np.floor(x), np.floor(y)
    right_weight, lower_weight = (x - left)[:, :, None], (y - top)[:, :, None]
    # Far outside, every pixel is like every other; the bound only keeps the numbers whole.
    columns, rows = (np.clip(v, -(2.0**40), 2.0**40).astype(np.int64) for v in (left, top))
    a, b, c, d = (
        _looked_up(levels, columns + right, rows + lower, in_front, border, fill)
        for lower in (0, 1)
        for right in (0, 1)
    )
    upper = a * (1.0 - right_weight) + b * right_weight
    lower = c * (1.0 - right_weight) + d * right_weight
    out: F64 = upper * (1.0 - lower_weight) + lower * lower_weight
    return out


def _looked_up(levels: F64, columns: I64, rows: I64, in_front: _Marks, border: Border, fill: F64) -> F64:
    """The pixels of these indexes, which may lie outside the picture; what is not in front is ``fill``."""
    height, width = levels.shape[:2]
    out = levels[_inside(rows, height, border), _inside(columns, width, border)]
    missing = ~in_front
    if border == "constant":
        missing = missing | (columns < 0) | (columns >= width) | (rows < 0) | (rows >= height)
    out[missing] = fill
    return out


def _inside(index: I64, count: int, border: Border) -> I64:
    """The pixel of a row of ``count`` that stands in for a pixel outside it."""
    out: I64
    if border == "wrap":
        out = index % count
    elif border == "reflect":
        there_and_back = index % (2 * count)
        out = np.minimum(there_and_back, 2 * count - 1 - there_and_back)
    else:
        out = np.clip(index, 0, count - 1)
    return out
