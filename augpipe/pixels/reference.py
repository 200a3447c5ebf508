"""What every step means, computed slowly and plainly: the judge of the backends, and of what a run has written.

Written from the words in :mod:`augpipe.core.plan` alone, in float64 and without OpenCV or any code of a backend,
because two programs that agree by different ways are hardly wrong in the same place. Each step rounds once, at its end.

Inside, a picture is its levels, float64 (H, W, C): C is 3 (red, green, blue) or 1 (gray).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augpipe.core.annotations import F64, I64, U8
from augpipe.core.geometry import Matrix
from augpipe.core.plan import (
    AnyStep,
    Blur,
    Border,
    Color,
    Curve,
    Cutout,
    JpegCompress,
    Matrix3x4,
    Noise,
    PadFill,
    Rgb,
    Warp,
)
from augpipe.pixels import noise

_Marks: TypeAlias = NDArray[np.bool_]


def apply(picture_rgb: U8, steps: Iterable[AnyStep]) -> U8:
    """A picture after all steps: uint8 (H, W) gray or (H, W, 3) red, green, blue, and the same kind back."""
    levels = _levels_of(picture_rgb)
    for step in steps:
        levels = _apply(levels, step)
    out = levels.astype(np.uint8)
    return out[:, :, 0] if picture_rgb.ndim == 2 else out


def warp_exactly(picture_rgb: U8, matrix: Matrix, size_wh: tuple[int, int], fill: Rgb = (0, 0, 0)) -> F64:
    """A picture on a new canvas, interpolated linearly at the exact positions, without any rounding.

    Args:
        picture_rgb: uint8 (H, W) or (H, W, 3).
        matrix: from source points to points of the canvas.
        size_wh: of the canvas.
        fill: the colour outside the picture, which the outermost half pixel blends into.

    Returns:
        Levels 0..255, float64 (H, W) or (H, W, 3).
    """
    levels = _levels_of(picture_rgb)
    x, y, in_front = _source_points(matrix, size_wh)
    out = _interpolated(levels, x - 0.5, y - 0.5, in_front, "constant", _color(fill, levels))
    return out[:, :, 0] if picture_rgb.ndim == 2 else out


def _apply(levels: F64, step: AnyStep) -> F64:
    if isinstance(step, Warp):
        return _warp(levels, step)
    if isinstance(step, PadFill):
        return _bars(levels, step)
    if isinstance(step, Color):
        return _recolor(levels, step)
    if isinstance(step, Blur):
        return _blur(levels, step.sigma)
    if isinstance(step, Noise):
        return _add_noise(levels, step)
    if isinstance(step, Cutout):
        return _erase(levels, step)
    return _recode(levels, step)


def _levels_of(picture: U8) -> F64:
    levels: F64 = picture.astype(np.float64).reshape(*picture.shape[:2], -1)
    return levels


def _round(levels: F64) -> F64:
    """To the nearest level, halves up, within 0..255."""
    out: F64 = np.clip(np.floor(levels + 0.5), 0, 255)
    return out


def _color(rgb: Rgb, levels: F64) -> F64:
    """A colour for a picture of these channels."""
    if levels.shape[2] == 3:
        return np.array(rgb, np.float64)
    red, green, blue = rgb
    return _round(np.array([0.299 * red + 0.587 * green + 0.114 * blue]))


# --- Warp ------------------------------------------------------------------------------------------------------------


def _warp(levels: F64, step: Warp) -> F64:
    fill = _color(step.fill, levels)
    x, y, in_front = _source_points(step.matrix, step.size_wh)
    if _only_moves_pixels(step.matrix):  # the pixel that the source point lies in; every such point is a pixel centre
        columns, rows = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        return _looked_up(levels, columns, rows, in_front, step.border, fill)
    kx, ky = step.reduce
    levels = _block_means(levels, kx, ky)
    x, y = np.rint((x / kx - 0.5) * 32.0) / 32.0, np.rint((y / ky - 0.5) * 32.0) / 32.0
    return _round(_interpolated(levels, x, y, in_front, step.border, fill))


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


def _block_means(levels: F64, kx: int, ky: int) -> F64:
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


def _interpolated(levels: F64, x: F64, y: F64, in_front: _Marks, border: Border, fill: F64) -> F64:
    """Levels at positions counted in pixel centres (0 is the centre of the first pixel), linear between four pixels."""
    left, top = np.floor(x), np.floor(y)
    right_share, lower_share = (x - left)[:, :, None], (y - top)[:, :, None]
    # Far outside, every pixel is like every other; the bound only keeps the numbers whole.
    columns, rows = (np.clip(v, -(2.0**40), 2.0**40).astype(np.int64) for v in (left, top))
    a, b, c, d = (
        _looked_up(levels, columns + right, rows + lower, in_front, border, fill)
        for lower in (0, 1)
        for right in (0, 1)
    )
    upper = a * (1.0 - right_share) + b * right_share
    lower = c * (1.0 - right_share) + d * right_share
    out: F64 = upper * (1.0 - lower_share) + lower * lower_share
    return out


def _looked_up(
    levels: F64,
    columns: I64,
    rows: I64,
    in_front: _Marks,
    border: Border,
    fill: F64,
) -> F64:
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


# --- the other steps -------------------------------------------------------------------------------------------------


def _bars(levels: F64, step: PadFill) -> F64:
    height, width = levels.shape[:2]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    # A point of a convex polygon has all its sides on the same hand, whichever way round the corners are given.
    corners = step.region
    sides = [
        (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True)
    ]
    if not sides:
        outside = np.ones((height, width), bool)
    else:
        outside = ~(np.all([s >= 0.0 for s in sides], axis=0) | np.all([s <= 0.0 for s in sides], axis=0))
    out: F64 = levels.copy()
    out[outside] = _color(step.fill, levels)
    return out


def _recolor(levels: F64, step: Color) -> F64:
    for _, run in groupby(step.stages, type):
        alike = list(run)
        curved = _through_curves(levels, [s.amount for s in alike if isinstance(s, Curve)])
        levels = _round(_through_matrices(curved, [s.rows for s in alike if isinstance(s, Matrix3x4)]))
    return levels


def _through_curves(levels: F64, amounts: Sequence[float]) -> F64:
    for amount in amounts:
        levels = 255.0 * (levels / 255.0) ** amount
    return levels


def _through_matrices(levels: F64, many_rows: Sequence[Sequence[float]]) -> F64:
    """Through the one matrix on the grid of 1/1024 that stands for all of them; none at all changes nothing."""
    whole = np.eye(4)
    for rows in many_rows:
        whole = np.vstack([np.reshape(rows, (3, 4)), (0.0, 0.0, 0.0, 1.0)]) @ whole
    on_grid = np.rint(whole[:3] * 1024.0) / 1024.0
    colors = np.broadcast_to(levels, (*levels.shape[:2], 3))  # a gray level v stands for (v, v, v)
    out: F64 = colors @ on_grid[:, :3].T + on_grid[:, 3]
    return out[:, :, : levels.shape[2]]


def _blur(levels: F64, sigma: float) -> F64:
    """The Gaussian at whole pixels, as far as it still counts, along rows and then along columns."""
    reach = int(np.ceil(6.0 * sigma))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        count = levels.shape[axis]
        blurred = np.zeros_like(levels)
        for offset, weight in zip(offsets, weights, strict=True):
            blurred += weight * levels.take(_mirrored(np.arange(count) + offset, count), axis=axis)
        levels = blurred
    return _round(levels)


def _mirrored(index: I64, count: int) -> I64:
    """Indexes mirrored at the first and at the last pixel, neither of which is repeated."""
    there_and_back = index % max(1, 2 * count - 2)
    out: I64 = np.minimum(there_and_back, 2 * count - 2 - there_and_back)
    return out


def _add_noise(levels: F64, step: Noise) -> F64:
    """The bank's numbers go row by row, and in a pixel to blue, green and red in this order."""
    bank = noise.bank().astype(np.int64)
    numbers = bank[(step.offset + np.arange(levels.size)) % noise.LENGTH].reshape(levels.shape)[:, :, ::-1]
    out: F64 = np.clip(levels + ((numbers * round(256 * step.std) + 2**15) >> 16), 0, 255)
    return out


def _erase(levels: F64, step: Cutout) -> F64:
    out: F64 = levels.copy()
    rows, columns = np.indices(levels.shape[:2])
    for x0, y0, x1, y1 in step.boxes_xyxy:
        out[(x0 <= columns) & (columns < x1) & (y0 <= rows) & (rows < y1)] = _color(step.fill, levels)
    return out


def _recode(levels: F64, step: JpegCompress) -> F64:
    """By Pillow's JPEG codec; JPEG leaves its decoders some freedom, so this is a judge within a level or two."""
    gray = levels.shape[2] == 1
    file = io.BytesIO()
    pixels = levels.astype(np.uint8)
    image = Image.fromarray(pixels[:, :, 0] if gray else pixels)
    image.save(file, "JPEG", quality=step.quality, subsampling="4:2:0")
    return _levels_of(np.asarray(Image.open(file)))
