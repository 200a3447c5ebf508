"""Gaussian noise, read from a bank that is drawn once.

Fresh noise would take longer than everything else that is done to a picture (25 ms for 640×480 with a counter-based
generator in NumPy). The bank has four million numbers, made of Philox's raw output, which NumPy guarantees, by the
inverse normal distribution; a step reads it from its own offset on. The arithmetic is in integers, so all backends
agree: level + ((bank · round(256·std) + 2¹⁵) >> 16), clipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.opencv import cv2
from augpipe.core.plan import Instruction, Pixels, SharedSource, Step, register

LENGTH = 4_194_301
"""Numbers in the bank. A prime, so that a picture larger than the bank repeats it at other columns."""

_ONE = 256
_MOST_STD = 128.0
_AT_ONCE = 1 << 16  # numbers, which stay in the cache
_SCALAR = 4  # cv2 takes an array of up to so many numbers for one scalar


@register
class Noise(Step, frozen=True):
    """Add Gaussian noise of standard deviation ``std`` levels, read from the noise bank from ``offset`` on.

    Numbers are used row by row, in a pixel for blue, green, red.
    """

    std: float
    offset: int

    def fault(self, most_pixels: int) -> str | None:
        return None if 0.0 <= self.std <= _MOST_STD and 0 <= self.offset < 2**63 else f"std {self.std}"

    def _scale(self) -> np.int32:
        return np.int32(round(self.std * _ONE))

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out = picture if source is None else np.empty_like(picture)
        levels_in, levels_out = picture.reshape(-1), out.reshape(-1)
        for where, numbers in stretches(self.offset, levels_in.size):
            added = np.multiply(numbers, self._scale(), dtype=np.int32)
            added += 1 << 15
            added >>= 16
            if added.size > _SCALAR:
                cv2.add(levels_in[where], added.astype(np.int16), dst=levels_out[where], dtype=cv2.CV_8U)
            else:
                levels_out[where] = np.clip(added + levels_in[where], 0, 255)
        return out

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Instruction]:
        yield Instruction("noise", values=(int(self._scale()), self.offset % LENGTH))

    def reference(self, levels: F64) -> F64:
        every = bank().astype(np.int64)
        numbers = every[(self.offset + np.arange(levels.size)) % LENGTH].reshape(levels.shape)[:, :, ::-1]
        out: F64 = np.clip(levels + ((numbers * round(256 * self.std) + 2**15) >> 16), 0, 255)
        return out


@cache
def bank() -> NDArray[np.int16]:
    """Standard normal numbers in 1/256, int16, ``LENGTH`` of them, the same in every process."""
    normal = NormalDist()
    table = np.array([round(_ONE * normal.inv_cdf((i + 0.5) / 65536)) for i in range(65536)], np.int16)
    raw = np.random.Philox(key=0x61756770697065).random_raw(LENGTH // 4 + 1)
    values: NDArray[np.int16] = table[raw.astype("<u8").view("<u2")[:LENGTH]]
    values.flags.writeable = False
    return values


def stretches(offset: int, count: int) -> Iterator[tuple[slice, NDArray[np.int16]]]:
    """``count`` numbers of the bank from ``offset`` on, round and round: (place among the ``count``, numbers)."""
    numbers, start, done = bank(), offset % LENGTH, 0
    while done < count:
        length = min(_AT_ONCE, count - done, LENGTH - start)
        yield slice(done, done + length), numbers[start : start + length]
        done, start = done + length, (start + length) % LENGTH
