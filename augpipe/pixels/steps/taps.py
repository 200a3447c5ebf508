"""A weighted sum of a pixel's neighbors, at places and with weights that the plan holds."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

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
_WINDOW = 7  # of fewer than 50 weights, from which on OpenCV takes a DFT, which is not exact
_HALF_UNIT = 0.5 / ONE


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
        """In float32, which holds such sums exactly, so that the order in which they are made does not matter."""
        reach, (height, width) = max(max(abs(dx), abs(dy)) for dx, dy, _ in self.taps), band.shape[:2]
        padded = cv2.copyMakeBorder(band, reach, reach, reach, reach, cv2.BORDER_REFLECT_101)
        parts, negative = _parts(self.taps), any(weight < 0 for *_, weight in self.taps)
        out, most = np.empty_like(band), max(_BLOCK_ROWS, 2 * reach)
        for top in range(0, height, most):
            rows = min(most, height - top)
            levels = padded[top : top + rows + 2 * reach].astype(np.float32)
            sums: NDArray[Any] | None = None
            for x, y, kernel in parts:
                above, left = reach + y, reach + x
                under = levels[above : above + rows + kernel.shape[0] - 1, left : left + width + kernel.shape[1] - 1]
                part = cv2.filter2D(under, -1, kernel, anchor=(0, 0))[:rows, :width]
                sums = part if sums is None else cv2.add(sums, part, dst=sums)
            assert sums is not None  # there is a tap
            out[top : top + rows] = _rounded(sums, negative)
        return out

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        table = b"".join(struct.pack("<3i", *tap) for tap in self.taps)
        yield Pass("taps", size_wh, size_wh, channels, head=struct.pack("<i", len(self.taps)), table=table)

    def reference(self, levels: F64) -> F64:
        parts = [weight * neighbors(levels, dx, dy) for dx, dy, weight in self.taps]
        return rounded(np.sum(parts, axis=0) / 4096.0)


def _parts(taps: Sequence[Tap]) -> list[tuple[int, int, NDArray[np.float32]]]:
    """(x, y, weights from there to the right and down) of taps, in windows that OpenCV sums without a DFT."""
    windows: dict[tuple[int, int], list[Tap]] = {}
    left, top = (min(tap[axis] for tap in taps) for axis in (0, 1))
    for tap in taps:
        windows.setdefault(((tap[0] - left) // _WINDOW, (tap[1] - top) // _WINDOW), []).append(tap)
    return [_part(some) for some in windows.values()]


def _part(taps: Sequence[Tap]) -> tuple[int, int, NDArray[np.float32]]:
    x, y = (min(tap[axis] for tap in taps) for axis in (0, 1))
    w, h = (max(tap[axis] for tap in taps) - low + 1 for axis, low in ((0, x), (1, y)))
    kernel = np.zeros((h, w), np.float32)
    for dx, dy, weight in taps:
        kernel[dy - y, dx - x] += weight / ONE
    return x, y, kernel


def _rounded(sums: NDArray[Any], negative: bool) -> Pixels:
    """Halves up: OpenCV rounds them to even numbers, so that half of a unit of the sums is added before."""
    if negative:
        clipped: Pixels = cv2.add(sums, (_HALF_UNIT,) * 4, dtype=cv2.CV_8U)  # type: ignore[call-overload]
        return clipped
    return cv2.convertScaleAbs(sums, None, 1.0, _HALF_UNIT)


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
