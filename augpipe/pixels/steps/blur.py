"""Gaussian blur."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import lru_cache, partial

import numpy as np

from augpipe.core.annotations import F64
from augpipe.core.opencv import cv2
from augpipe.core.plan import Pass, Pixels, SharedSource, Step, register
from augpipe.pixels.bands import in_bands
from augpipe.pixels.reference import mirrored, rounded

_MOST_SIGMA = 50.0


@register
class Blur(Step, frozen=True, tag="filter"):
    """Gaussian blur with standard deviation ``sigma`` in pixels, picture edges mirrored without the edge pixel.

    The kernel ends at ⌈3·sigma⌉ pixels; its weights are whole 1/256 that add up to 1, so a strong blur of hard stripes
    is some levels from the ideal one.
    """

    sigma: float

    def fault(self, most_pixels: int) -> str | None:
        return None if 0.0 < self.sigma <= _MOST_SIGMA else f"sigma {self.sigma}"

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out = picture if source is None else np.empty_like(picture)
        in_bands(picture, out, radius_of(self.sigma), partial(_blurred, sigma=self.sigma))
        return out

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        weights = weights_of(self.sigma)
        head, table = struct.pack("<i", len(weights) // 2), struct.pack(f"<{len(weights)}i", *weights)
        bytes_of_sums = 2 * size_wh[0] * size_wh[1] * channels
        yield Pass("blur_rows", size_wh, size_wh, channels, bytes_of_sums, head, table)
        yield Pass("blur_columns", size_wh, size_wh, channels, head=head, table=table)

    def reference(self, levels: F64) -> F64:
        """The Gaussian at whole pixels, as far as it still counts, along rows and then along columns."""
        reach = int(np.ceil(6.0 * self.sigma))
        offsets = np.arange(-reach, reach + 1)
        weights = np.exp(-0.5 * (offsets / self.sigma) ** 2)
        weights /= weights.sum()
        for axis in (0, 1):
            count = levels.shape[axis]
            blurred = np.zeros_like(levels)
            for offset, weight in zip(offsets, weights, strict=True):
                blurred += weight * levels.take(mirrored(np.arange(count) + offset, count), axis=axis)
            levels = blurred
        return rounded(levels)


def radius_of(sigma: float) -> int:
    """Pixels on either side that a blur reads."""
    return max(1, math.ceil(3.0 * sigma))


def _blurred(picture: Pixels, sigma: float) -> Pixels:
    side = 2 * radius_of(sigma) + 1
    return cv2.GaussianBlur(picture, (side, side), sigma, None, sigma, cv2.BORDER_REFLECT_101)


@lru_cache(maxsize=256)
def weights_of(sigma: float) -> tuple[int, ...]:
    """The whole 1/256 that OpenCV takes for a blur, 2·radius + 1 of them, asked of OpenCV itself.

    A single white pixel blurred along a row shows them: 255·w/256 is w when rounded, for every w below a half, which
    all but the middle one are; together they are 256.
    """
    radius = radius_of(sigma)
    row = np.zeros((1, 4 * radius + 1), np.uint8)
    row[0, 2 * radius] = 255
    weights = [int(v) for v in _blurred(row, sigma)[0, radius : 3 * radius + 1]]
    weights[radius] = 0
    weights[radius] = 256 - sum(weights)
    return tuple(weights)
