"""A bank of Gaussian noise, drawn once and read from a random place.

Drawing fresh noise costs more than everything else that is done to a picture (25 ms for 640×480 with a counter-based
generator in NumPy). The bank is four million numbers from Philox's raw words, whose stream NumPy promises to keep,
through the inverse normal distribution; a noise step reads it from its own offset on. Integers throughout, so that
every backend adds the same: level + ((bank · round(256·std) + 2¹⁵) >> 16), clipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

# A prime: the rows of a picture larger than the bank meet it at ever new places.
LENGTH = 4_194_301
_SCALE = 256


@cache
def bank() -> NDArray[np.int16]:
    """Standard normal numbers in 1/256, int16, ``LENGTH`` of them, the same in every process."""
    normal = NormalDist()
    table = np.array([round(_SCALE * normal.inv_cdf((i + 0.5) / 65536)) for i in range(65536)], np.int16)
    words = np.random.Philox(key=0x61756770697065).random_raw(LENGTH // 4 + 1)
    values: NDArray[np.int16] = table[words.astype("<u8").view("<u2")[:LENGTH]]
    values.flags.writeable = False
    return values


def scale_of(std: float) -> int:
    """The integer factor of a standard deviation in levels."""
    return round(std * 256)


def stretches(offset: int, count: int) -> Iterator[tuple[slice, NDArray[np.int16]]]:
    """``count`` numbers of the bank from ``offset`` on, round and round, in cache-sized pieces: (where, numbers)."""
    numbers, start, done = bank(), offset % LENGTH, 0
    while done < count:
        length = min(1 << 16, count - done, LENGTH - start)
        yield slice(done, done + length), numbers[start : start + length]
        done, start = done + length, (start + length) % LENGTH
