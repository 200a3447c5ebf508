"""Gaussian noise, read from a bank that is drawn once.

Fresh noise would take longer than everything else that is done to a picture (25 ms for 640×480 with a counter-based
generator in NumPy). The bank has four million numbers, made of Philox's raw output, which NumPy guarantees, by the
inverse normal distribution. A row of a picture is a stretch of the bank whose place is quadratic in y. As the length
is a prime, a shift of a picture against itself brings at most one pair of rows onto the same stretch, against another
picture two. Two such reads are added, so that even such rows have but half of their noise in common. The arithmetic is
in integers, so all backends agree:
level + ((sum · round(256·std/√reads) + 2¹⁵) >> 16), clipped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from augpipe.core.annotations import F64, I64
from augpipe.core.opencv import cv2
from augpipe.core.plan import Instruction, Pixels, SharedSource, Step, register

LENGTH = 4_194_301
"""Numbers in the bank, a prime."""

Read: TypeAlias = tuple[int, int, int]
"""(place, step, growth): row y is the stretch of the bank from place + step·y + growth·y·(y − 1)/2 on."""

_ONE = 256
_MOST_STD = 128.0
_AT_ONCE = 1 << 16  # numbers, which stay in the cache
_SCALAR = 4  # cv2 takes an array of up to so many numbers for one scalar


@register
class Noise(Step, frozen=True, omit_defaults=True):
    """Add Gaussian noise of standard deviation ``std`` levels: the sum of two ``reads`` of the noise bank, over √2.

    A row y takes the numbers from place + step·y + growth·y·(y − 1)/2 on, round and round, in a pixel for blue, green,
    red. Without ``reads`` it is the noise of older plans: one read from ``offset`` on, row after row without a gap.
    """

    std: float
    offset: int = 0
    reads: tuple[Read, ...] = ()

    def fault(self, most_pixels: int) -> str | None:
        if not (0.0 <= self.std <= _MOST_STD and 0 <= self.offset < 2**63):
            return f"std {self.std}"
        return None if not self.reads or are_reads(self.reads) else "reads that are none"

    def _scale(self) -> np.int32:
        return np.int32(round(self.std * _ONE / math.sqrt(len(self.reads) or 1)))

    def _reads_of(self, row: int) -> tuple[Read, ...]:
        """The reads for a picture of so many numbers a row."""
        return self.reads or ((self.offset % LENGTH, row % LENGTH, 0),)

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out = picture if source is None else np.empty_like(picture)
        levels_in, levels_out = (p.reshape(p.shape[0], -1) for p in (picture, out))
        height, row = levels_in.shape
        products: NDArray[np.int32] | None = None
        for where, numbers in sums_of(self._reads_of(row), height, row):
            if products is None or products.shape[1] != numbers.shape[1]:
                products = np.empty(numbers.shape, np.int32)
            _scale(numbers, self._scale(), products[: len(numbers)])
            _add(levels_in[where], numbers, levels_out[where])
        return out

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Instruction]:
        reads = self._reads_of(size_wh[0] * channels)
        yield Instruction("noise", count=len(reads), values=(int(self._scale()), *(v for read in reads for v in read)))

    def reference(self, levels: F64) -> F64:
        height, width, channels = levels.shape
        reads = self.reads or ((self.offset % LENGTH, width * channels, 0),)
        numbers = plain_sums(reads, height, width * channels).reshape(levels.shape)[:, :, ::-1]
        out: F64 = np.clip(levels + ((numbers * round(256 * self.std / len(reads) ** 0.5) + 2**15) >> 16), 0, 255)
        return out


def sums_of(reads: Sequence[Read], height: int, row: int) -> Iterator[tuple[tuple[slice, slice], NDArray[np.int16]]]:
    """The sums of some reads for ``height`` rows of ``row`` numbers, in pieces that stay in the cache.

    Yields:
        (which rows and numbers of them, their sums, which may be written to).
    """
    starts = [_starts(read, height) for read in reads]
    for left in range(0, row, _AT_ONCE):
        width = min(_AT_ONCE, row - left)
        stretches, rows = sliding_window_view(rolled_bank(), width), min(height, max(1, _AT_ONCE // width))
        for top in range(0, height, rows):
            where = (slice(top, top + rows), slice(left, left + width))
            first, *others = ((s[where[0]] + left) % LENGTH for s in starts)
            numbers = stretches[first]
            for start in others:
                numbers += stretches[start]
            yield where, numbers


def _scale(numbers: NDArray[np.int16], scale: np.int32, products: NDArray[np.int32]) -> None:
    """Numbers of the bank made levels, in their place; ``products`` are room for that."""
    np.multiply(numbers, scale, out=products, dtype=np.int32)
    products += 1 << 15
    products >>= 16
    numbers[:] = products


def _add(levels: Pixels, numbers: NDArray[np.int16], out: Pixels) -> None:
    """Levels and numbers, (rows, numbers of a row) each, clipped, into ``out``."""
    if numbers.size > _SCALAR:
        cv2.add(levels, numbers, dst=out, dtype=cv2.CV_8U)
    else:
        out[:] = np.clip(numbers + levels, 0, 255)


def _starts(read: Read, height: int) -> I64:
    """Where in the bank each row begins."""
    place, step, growth = read
    y = np.arange(height, dtype=np.int64)
    starts: I64 = (place + step * y + growth * (y * (y - 1) // 2 % LENGTH)) % LENGTH
    return starts


def plain_sums(reads: Sequence[Read], height: int, row: int) -> I64:
    """The sums of some reads (height, row), as :class:`Noise` describes them, for the reference."""
    every, along = bank().astype(np.int64), np.arange(row)
    y = np.arange(height)[:, None]
    grown = y * (y - 1) // 2 % LENGTH
    places = [(place + step * y + growth * grown + along) % LENGTH for place, step, growth in reads]
    sums: I64 = np.sum([every[p] for p in places], axis=0)
    return sums


def are_reads(reads: Sequence[Read]) -> bool:
    """Whether they are two reads of the bank."""
    return len(reads) == 2 and all(0 <= number < LENGTH for read in reads for number in read)


def bank() -> NDArray[np.int16]:
    """Standard normal numbers in 1/256, int16, ``LENGTH`` of them, the same in every process."""
    return rolled_bank()[:LENGTH]


@cache
def rolled_bank() -> NDArray[np.int16]:
    """The bank, and behind its end its beginning once more, so that no stretch of up to 65 536 numbers has to wrap."""
    normal = NormalDist()
    below = np.array([round(_ONE * normal.inv_cdf((i + 0.5) / 65536)) for i in range(32768)], np.int16)
    table = np.concatenate([below, -below[::-1]])  # the distribution is symmetric, to the last bit
    raw = np.random.Philox(key=0x61756770697065).random_raw(LENGTH // 4 + 1)
    numbers = table[raw.astype("<u8").view("<u2")[:LENGTH]]
    values: NDArray[np.int16] = np.concatenate([numbers, numbers[:_AT_ONCE]])
    values.flags.writeable = False
    return values
