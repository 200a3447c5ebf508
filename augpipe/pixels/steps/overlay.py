"""A layer that is mixed into the picture: a smooth surface, marks at many places, a region with a soft edge.

What of the layer shows at each pixel, alpha in 1/1024, is made on the host, whatever the backend, and the backends add
up whole numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.color import fill_levels
from augpipe.core.opencv import cv2
from augpipe.core.plan import Pass, Pixels, Rgb, SharedSource, Step, fault_of_fill, register
from augpipe.pixels.reference import color_for
from augpipe.pixels.steps.overlay_shapes import ONE, Alpha, Marks, Region, Surface

Mode: TypeAlias = Literal["mix", "screen", "gain"]
_MODES = ("mix", "screen", "gain")
_BAND_ROWS = 64
_SPARSE = 8


@register
class Overlay(Step, frozen=True, tag="overlay"):
    """Mix a layer of one ``color`` in. With alpha A of ``shape`` and a = (A·``strength`` + 512) >> 10, a level v and
    the color's level c:

    - ``mix``: (v·(1024 − a) + c·a + 512) >> 10;
    - ``screen``: v + ((255 − v)·c·a + 130560) // 261120;
    - ``gain``: (v·(1024 + a) + 512) >> 10, clipped; the color counts for nothing, and ``strength`` may be negative.
    """

    mode: Mode
    color: Rgb
    strength: int
    shape: Surface | Marks | Region

    def fault(self, most_pixels: int) -> str | None:
        least = -ONE if self.mode == "gain" else 0
        if not least <= self.strength <= ONE:
            return f"strength {self.strength}"
        return fault_of_fill(self.color) or self.shape.fault(most_pixels, signed=self.mode == "gain")

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out = picture if source is None else picture.copy()
        (height, width), channels = picture.shape[:2], 1 if picture.ndim == 2 else 3
        window = x0, y0, x1, y1 = self.shape.window((width, height))
        alpha = self.shape.alpha((width, height), window)
        color = np.array(fill_levels(self.color, channels)[::-1], np.int32)
        if isinstance(self.shape, Marks) and self.shape.count:
            shown = np.flatnonzero(alpha != 0)  # of truths, ten times as fast as of numbers
            if len(shown) * _SPARSE < alpha.size:  # rain, snow: a few pixels of many
                flat, own = out.reshape(alpha.size, channels), self._scaled(alpha.reshape(-1)[shown])
                flat[shown] = self._summed(flat[shown], np.repeat(own[:, None], channels, axis=1), color)
                return out
        for top in range(0, len(alpha), _BAND_ROWS):
            part = out[y0 + top : min(y0 + top + _BAND_ROWS, y1), x0:x1]
            own = self._scaled(alpha[top : top + _BAND_ROWS])
            if (
                self.mode == "screen"
            ):  # whose sums are too long for float32; NumPy is slow where its inner loop is of three
                rows, row = part.reshape(len(part), -1), np.tile(color, x1 - x0)
                part[:] = self._summed(rows, np.repeat(own, channels, axis=1), row).reshape(part.shape)
            else:
                part[:] = self._blended(part, own, color)
        return out

    def _scaled(self, alpha: Alpha) -> Alpha:
        """a of some alpha."""
        out: Alpha = ((alpha.astype(np.int32) * self.strength + ONE // 2) >> 10).astype(np.int16)
        return out

    def _blended(self, levels: Pixels, alpha: Alpha, color: NDArray[np.int32]) -> Pixels:
        """``mix`` and ``gain`` in float32, which holds all of their sums exactly."""
        a: NDArray[Any] = alpha.astype(np.float32) / ONE
        if self.mode == "gain":
            sums = cv2.multiply(levels, _of_channels(a + 1.0, levels), dtype=cv2.CV_32F)
        else:
            sums = cv2.multiply(levels, _of_channels(1.0 - a, levels), dtype=cv2.CV_32F)
            layer = cv2.merge([a * float(c) for c in color]) if levels.ndim == 3 else a * float(color[0])
            sums = cv2.add(sums, layer, dst=sums)
        out: Pixels = cv2.convertScaleAbs(sums, None, 1.0, 0.5 / ONE)  # halves up: OpenCV rounds them to even numbers
        return out

    def _summed(self, levels: Pixels, alpha: Alpha, color: NDArray[np.int32]) -> Pixels:
        """Any mode in whole numbers; alpha of each level."""
        a, v = alpha.astype(np.int32), levels.astype(np.int32)
        if self.mode == "screen":
            sums = v + ((255 - v) * (color * a) + 130_560) // 261_120
        elif self.mode == "gain":
            sums = np.minimum((v * (ONE + a) + ONE // 2) >> 10, 255)
        else:
            sums = (v * (ONE - a) + color * a + ONE // 2) >> 10
        out: Pixels = sums.astype(np.uint8)
        return out

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        head = struct.pack("<i", _MODES.index(self.mode))
        alpha = self.shape.alpha(size_wh, (0, 0, *size_wh))
        for top in range(0, len(alpha), _BAND_ROWS):  # as 32 bits take twice the memory
            alpha[top : top + _BAND_ROWS] = self._scaled(alpha[top : top + _BAND_ROWS])
        table = alpha.astype("<i2").tobytes()
        yield Pass(
            "overlay", size_wh, size_wh, channels, head=head, table=table, fill=fill_levels(self.color, channels)
        )

    def reference(self, levels: F64) -> F64:
        height, width = levels.shape[:2]
        a = self.shape.plainly((width, height))[:, :, None] * (self.strength / ONE)
        color = color_for(levels, self.color)
        if self.mode == "screen":
            mixed = 255.0 - (255.0 - levels) * (255.0 - color * a) / 255.0
        elif self.mode == "gain":
            mixed = levels * (1.0 + a)
        else:
            mixed = levels * (1.0 - a) + color * a
        out: F64 = np.clip(np.floor(mixed + 0.5), 0, 255)
        return out


def _of_channels(values: NDArray[Any], levels: Pixels) -> NDArray[Any]:
    """The same value for each channel of a pixel."""
    return values if levels.ndim == 2 else cv2.cvtColor(values, cv2.COLOR_GRAY2BGR)
