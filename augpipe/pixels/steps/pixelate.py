"""What a small picture that is enlarged again has left: means of blocks, painted or interpolated at the old size."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.plan import Pass, Pixels, SharedSource, Step, register

MOST_FACTOR = 64
_BAND_ROWS = 256


@register
class Pixelate(Step, frozen=True, tag="pixelate"):
    """Rounded means of blocks of ``factor`` × ``factor`` pixels from the upper left, brought to the old size again.

    At the right and at the bottom a block has what is left of it. A pixel takes its block's mean or, if ``smooth``,
    the bilinear mixture of the four blocks whose centers are nearest, rounded half up.
    """

    factor: int
    smooth: bool

    def fault(self, most_pixels: int) -> str | None:
        return None if 1 <= self.factor <= MOST_FACTOR else f"factor {self.factor}"

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out, means = picture if source is None else np.empty_like(picture), self._means(picture)
        height = picture.shape[0]
        for top in range(0, height, _BAND_ROWS):
            rows = np.arange(top, min(top + _BAND_ROWS, height))
            out[rows[0] : rows[-1] + 1] = self._painted(means, rows, picture.shape[1])
        return out

    def _means(self, picture: Pixels) -> Pixels:
        """In bands of whole blocks, as sums need four times the memory of levels.

        Rows are added up before columns: whole rows are added fast, and what is left of them is a factor smaller.
        """
        (height, width), side = picture.shape[:2], self.factor
        wide = np.diff([*range(0, width, side), width])
        made, rows = [], max(1, _BAND_ROWS // side) * side
        for top in range(0, height, rows):
            band = picture[top : top + rows]
            sums = _every(_every(band, side, np.uint16).swapaxes(0, 1), side, np.int32).swapaxes(0, 1)
            counts = np.diff([*range(0, len(band), side), len(band)])[:, None] * wide
            counts = counts.astype(np.int32).reshape(*counts.shape, *(1,) * (picture.ndim - 2))
            made.append(((2 * sums + counts) // (2 * counts)).astype(np.uint8))
        return np.concatenate(made)

    def _painted(self, means: Pixels, rows: NDArray[np.int64], width: int) -> Pixels:
        """Some rows of the result, of which blocks' rows are made first."""
        columns, side = np.arange(width), self.factor
        if not self.smooth:
            own, first = rows // side, rows[0] // side
            painted: Pixels = means[first : own[-1] + 1].take(columns // side, axis=1).take(own - first, axis=0)
            return painted
        (upper, lower, of_lower), (left, right, of_right) = (
            _neighbors(index, side, count) for index, count in zip((rows, columns), means.shape[:2], strict=True)
        )
        shape = (1,) * (means.ndim - 2)
        of_lower, of_right = of_lower.reshape(-1, 1, *shape), of_right.reshape(1, -1, *shape)
        first = upper[0]
        whole = means[first : lower[-1] + 1].astype(np.int32)
        wide = (2 * side - of_right) * whole.take(left, axis=1) + of_right * whole.take(right, axis=1)
        sums = wide.take(upper - first, axis=0)
        sums *= 2 * side - of_lower
        sums += of_lower * wide.take(lower - first, axis=0)
        sums += 2 * side * side
        sums //= 4 * side * side
        out: Pixels = sums.astype(np.uint8)
        return out

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        (w, h), side = size_wh, self.factor
        small_wh = (-(-w // side), -(-h // side))
        yield Pass("block_means", size_wh, small_wh, channels, head=struct.pack("<i", side))
        yield Pass("paint_blocks", small_wh, size_wh, channels, head=struct.pack("<2i", side, int(self.smooth)))

    def reference(self, levels: F64) -> F64:
        (height, width), side = levels.shape[:2], self.factor
        down, across = -(-height // side), -(-width // side)
        means = np.zeros((down, across, levels.shape[2]))
        for row in range(down):
            for column in range(across):
                block = levels[row * side : (row + 1) * side, column * side : (column + 1) * side]
                means[row, column] = np.floor(block.mean(axis=(0, 1)) + 0.5 + 1e-9)
        if not self.smooth:
            return means.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]
        for axis, count in ((0, height), (1, width)):
            place = (np.arange(count) + 0.5) / side - 0.5
            first = np.floor(place)
            share = (place - first).reshape(-1, *(1,) * (2 - axis))
            ends = [np.clip(first + i, 0, means.shape[axis] - 1).astype(int) for i in (0, 1)]
            means = (1.0 - share) * means.take(ends[0], axis=axis) + share * means.take(ends[1], axis=axis)
        return np.floor(means + 0.5 + 1e-9)


def _every(levels: NDArray[Any], side: int, kind: type[Any]) -> NDArray[Any]:
    """Sums along the first axis of ``side`` neighbors each, the last of what is left."""
    out = np.zeros((-(-len(levels) // side), *levels.shape[1:]), kind)
    for i in range(min(side, len(levels))):
        some = levels[i::side]
        out[: len(some)] += some
    return out


def _neighbors(
    index: NDArray[np.int64], side: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """Of pixels along an axis: the blocks before and behind, and the weight of the latter in 1/(2·side)."""
    before, weight = np.divmod(2 * index + 1 - side, 2 * side)
    return np.clip(before, 0, count - 1), np.clip(before + 1, 0, count - 1), weight.astype(np.int32)
