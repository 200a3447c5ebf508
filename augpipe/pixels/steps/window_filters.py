"""Filters of a rectangular window: its mean, its median. Both mirror at the edge without the edge pixel."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from augpipe.core.annotations import F64
from augpipe.core.opencv import cv2
from augpipe.core.plan import Pass, Pixels, SharedSource, Step, register
from augpipe.pixels.bands import in_bands
from augpipe.pixels.reference import neighbors, rounded

MOST_SIDE = 63
MEDIAN_SIDES = (3, 5, 7)


@register
class WindowMean(Step, frozen=True, tag="box_blur"):
    """The mean of a window of ``size_wh`` pixels, odd numbers, rounded: (2·Σ + n) // (2·n) for a window of n."""

    size_wh: tuple[int, int]

    def fault(self, most_pixels: int) -> str | None:
        sound = all(side % 2 == 1 and 1 <= side <= MOST_SIDE for side in self.size_wh)
        return None if sound else f"a window of {self.size_wh}"

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out = picture if source is None else np.empty_like(picture)
        in_bands(picture, out, self.size_wh[1] // 2, self._blurred)
        return out

    def _blurred(self, band: Pixels) -> Pixels:
        # A window has an odd number of pixels, so a mean is 1/(2·63²) or more from any half, which is twice as much as
        # OpenCV's float32 can be off.
        return cv2.boxFilter(band, -1, self.size_wh, None, (-1, -1), True, cv2.BORDER_REFLECT_101)

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        yield Pass("box_blur", size_wh, size_wh, channels, head=struct.pack("<2i", *self.size_wh))

    def reference(self, levels: F64) -> F64:
        w, h = self.size_wh
        places = [(x - w // 2, y - h // 2) for y in range(h) for x in range(w)]
        return rounded(np.sum([neighbors(levels, dx, dy) for dx, dy in places], axis=0) / (w * h))


@register
class WindowMedian(Step, frozen=True, tag="median_blur"):
    """The median of a square window of ``side`` pixels, by channel."""

    side: int

    def fault(self, most_pixels: int) -> str | None:
        return None if self.side in MEDIAN_SIDES else f"side {self.side}"

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out = picture if source is None else np.empty_like(picture)
        in_bands(picture, out, self.side // 2, self._blurred)
        return out

    def _blurred(self, band: Pixels) -> Pixels:
        around = self.side // 2  # cv2.medianBlur alone repeats the edge pixel
        padded = cv2.copyMakeBorder(band, around, around, around, around, cv2.BORDER_REFLECT_101)
        return cv2.medianBlur(padded, self.side)[around : around + band.shape[0], around : around + band.shape[1]]

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        yield Pass("median_blur", size_wh, size_wh, channels, head=struct.pack("<i", self.side))

    def reference(self, levels: F64) -> F64:
        reach = range(-(self.side // 2), self.side // 2 + 1)
        out: F64 = np.median([neighbors(levels, dx, dy) for dy in reach for dx in reach], axis=0)
        return out
