"""Noise whose strength depends on the level, and single pixels that turn dark or light; both from the noise bank."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.plan import Pass, Pixels, SharedSource, Step, register
from augpipe.pixels.steps.noise import Read, are_reads, plain_sums, sums_of

_ONE = 256
_MOST_VARIANCE = 128.0**2
_MOST_SUM = 2**15


@register
class LevelNoise(Step, frozen=True, tag="level_noise", omit_defaults=True):
    """Gaussian noise of variance a + b·v + c·v² in levels², for a pixel of level v and ``spread`` = (a, b, c).

    level + ((z·s(v) + 2¹⁵) >> 16), clipped, where z is the sum of two ``reads`` of the noise bank and
    s(v) = ⌊256·√((a + b·v + c·v²)/2)⌉. With ``shared`` all channels of a pixel take one number, else each its own, in
    the order blue, green, red.
    """

    spread: tuple[float, float, float]
    reads: tuple[Read, ...]
    shared: bool = False

    def fault(self, most_pixels: int) -> str | None:
        a, b, c = self.spread
        sound = all(0.0 <= a + b * v + c * v * v <= _MOST_VARIANCE for v in range(256))
        return None if sound and are_reads(self.reads) else "a spread or reads that are none"

    def _scales(self) -> NDArray[np.int32]:
        a, b, c = self.spread
        halves = [(a + b * v + c * v * v) / 2.0 for v in range(256)]
        return np.array([math.floor(_ONE * math.sqrt(half) + 0.5) for half in halves], np.int32)

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out = picture if source is None else np.empty_like(picture)
        scales, (height, width) = self._scales(), picture.shape[:2]
        # Rows of numbers: a number is for a pixel with all its channels, or for one level.
        before, after = (
            p.reshape(height, width, -1) if self.shared else p.reshape(height, -1, 1) for p in (picture, out)
        )
        for where, numbers in sums_of(self.reads, height, before.shape[1]):
            levels = before[where]
            added = (numbers[:, :, None] * scales[levels] + (1 << 15)) >> 16
            after[where] = np.clip(levels + added, 0, 255)
        return out

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        head = struct.pack("<8i", int(self.shared), 2, *(v for read in self.reads for v in read))
        table = self._scales().astype("<i4").tobytes()
        yield Pass("level_noise", size_wh, size_wh, channels, head=head, table=table, reads_bank=True)

    def reference(self, levels: F64) -> F64:
        a, b, c = self.spread
        z = _numbers(self.reads, levels, self.shared)
        scales = np.floor(256.0 * np.sqrt((a + b * levels + c * levels**2) / 2.0) + 0.5)
        out: F64 = np.clip(levels + np.floor((z * scales + 2.0**15) / 2.0**16), 0, 255)
        return out


@register
class Impulses(Step, frozen=True, tag="impulses"):
    """Pixels turned ``dark`` or ``light`` in all channels, chosen by the sum of two ``reads`` of the noise bank.

    A sum, of which one standard deviation is 256·√2, below ``low`` makes the pixel dark, one above ``high`` light.
    """

    low: int
    high: int
    dark: int
    light: int
    reads: tuple[Read, ...]

    def fault(self, most_pixels: int) -> str | None:
        levels = all(0 <= level <= 255 for level in (self.dark, self.light))
        sound = levels and max(abs(self.low), abs(self.high)) <= _MOST_SUM and are_reads(self.reads)
        return None if sound else "limits, levels or reads that are none"

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out = picture if source is None else picture.copy()
        for where, numbers in sums_of(self.reads, *picture.shape[:2]):
            piece = out[where]
            piece[numbers < self.low] = self.dark
            piece[numbers > self.high] = self.light
        return out

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        reads = (v for read in self.reads for v in read)
        head = struct.pack("<12i", self.low, self.high, self.dark, self.light, 1, 2, *reads)
        yield Pass("impulses", size_wh, size_wh, channels, head=head, reads_bank=True)

    def reference(self, levels: F64) -> F64:
        z = _numbers(self.reads, levels, shared=True)
        out: F64 = np.where(z < self.low, self.dark, np.where(z > self.high, self.light, levels)).astype(np.float64)
        return out


def _numbers(reads: tuple[Read, ...], levels: F64, shared: bool) -> F64:
    """The sums of reads for a picture (H, W, 1 or C) in red, green, blue, for the reference."""
    height, width, channels = levels.shape
    each = 1 if shared else channels
    return plain_sums(reads, height, width * each).reshape(height, width, each)[:, :, ::-1].astype(np.float64)
