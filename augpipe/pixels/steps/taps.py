"""A weighted sum of a pixel's neighbors, at places and with weights that the plan holds."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from augpipe.core.annotations import F64
from augpipe.core.opencv import cv2
from augpipe.core.plan import Pass, Pixels, SharedSource, Step, register
from augpipe.pixels.bands import in_bands
from augpipe.pixels.reference import neighbors, rounded

Tap: TypeAlias = tuple[int, int, int]
"""(dx, dy, weight): how far to the right and below a neighbor lies, and its weight in 1/4096."""

ONE = 4096
MOST_TAPS, FARTHEST = 1024, 31
_MOST_WEIGHT = 15 * ONE
_BLOCK_ROWS = 32  # whose sums stay in the cache


@register
class Taps(Step, frozen=True, tag="taps"):
    """(Σ weight·v + 2048) >> 12 over ``taps``, clipped; edges are mirrored without the edge pixel.

    The weights of a plan add up to 4096, so an even ground keeps its level; the sizes of all of them to less than 16
    times that, so sums are whole numbers below 2²⁴.
    """

    taps: tuple[Tap, ...]

    def fault(self, most_pixels: int) -> str | None:
        near = all(max(abs(dx), abs(dy)) <= FARTHEST for dx, dy, _ in self.taps)
        small = sum(abs(weight) for *_, weight in self.taps) <= _MOST_WEIGHT
        return None if near and small and 1 <= len(self.taps) <= MOST_TAPS else "taps that are none"

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out = picture if source is None else np.empty_like(picture)
        in_bands(picture, out, max(max(abs(dx), abs(dy)) for dx, dy, _ in self.taps), self._summed)
        return out

    def _summed(self, band: Pixels) -> Pixels:
        """In float32, which holds such whole numbers, so that the order of adding does not matter."""
        reach = max(max(abs(dx), abs(dy)) for dx, dy, _ in self.taps)
        height, channels = band.shape[0], 1 if band.ndim == 2 else 3
        padded = cv2.copyMakeBorder(band, reach, reach, reach, reach, cv2.BORDER_REFLECT_101)
        levels = padded.reshape(padded.shape[0], -1).astype(np.float32)
        out, width = np.empty_like(band), band.shape[1] * channels
        for top in range(0, height, _BLOCK_ROWS):
            rows = min(_BLOCK_ROWS, height - top)
            sums = np.full((rows, width), ONE // 2, np.float32)
            for dx, dy, weight in self.taps:
                y, x = top + reach + dy, (reach + dx) * channels
                cv2.scaleAdd(levels[y : y + rows, x : x + width], weight, sums, dst=sums)
            np.floor(sums / ONE, out=sums)
            out[top : top + rows] = np.clip(sums, 0, 255).reshape(rows, *band.shape[1:])
        return out

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        table = b"".join(struct.pack("<3i", *tap) for tap in self.taps)
        yield Pass("taps", size_wh, size_wh, channels, head=struct.pack("<i", len(self.taps)), table=table)

    def reference(self, levels: F64) -> F64:
        parts = [weight * neighbors(levels, dx, dy) for dx, dy, weight in self.taps]
        return rounded(np.sum(parts, axis=0) / 4096.0)


def in_whole_weights(weights: Sequence[float]) -> list[int]:
    """Weights as whole 1/4096 that add up to 1: each rounded down, and the largest remainders up.

    Args:
        weights: of any sum but zero, to which they are related.
    """
    total = sum(weights)
    exact = [ONE * weight / total for weight in weights]
    whole = [int(np.floor(value)) for value in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: (whole[i] - exact[i], i))
    for i in by_remainder[: ONE - sum(whole)]:
        whole[i] += 1
    return whole
