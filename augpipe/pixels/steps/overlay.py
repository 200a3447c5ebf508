"""A layer that is mixed into the picture: a smooth surface, marks at many places, a region with a soft edge.

What of the layer shows at each pixel, alpha in 1/1024, is made on the host, whatever the backend, and the backends add
up whole numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.color import fill_levels
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
        alpha = self._alpha((width, height))
        color = np.array(fill_levels(self.color, channels)[::-1], np.int32)
        if np.count_nonzero(alpha) * _SPARSE < alpha.size:  # rain, snow: a few pixels of many
            shown = np.flatnonzero(alpha)
            flat = out.reshape(alpha.size, channels)
            flat[shown] = self._mixed(flat[shown], np.repeat(alpha.reshape(-1, 1)[shown], channels, axis=1), color)
            return out
        rows, row = out.reshape(height, -1), np.tile(color, width)  # NumPy is slow where its inner loop is of three
        for top in range(0, height, _BAND_ROWS):
            part = slice(top, top + _BAND_ROWS)
            rows[part] = self._mixed(rows[part], np.repeat(alpha[part], channels, axis=1), row)
        return out

    def _alpha(self, size_wh: tuple[int, int]) -> Alpha:
        """a of each pixel (H, W)."""
        alpha = self.shape.alpha(size_wh)
        for top in range(0, len(alpha), _BAND_ROWS):  # as 32 bits take twice the memory
            part = slice(top, top + _BAND_ROWS)
            alpha[part] = (alpha[part].astype(np.int32) * self.strength + ONE // 2) >> 10
        return alpha

    def _mixed(self, levels: Pixels, alpha: Alpha, color: NDArray[np.int32]) -> Pixels:
        a = alpha.astype(np.int32)
        if self.mode == "screen":
            v = levels.astype(np.int32)
            lighter: Pixels = (v + ((255 - v) * (color * a) + 130_560) // 261_120).astype(np.uint8)
            return lighter
        if self.mode == "gain":
            a += ONE
            a *= levels
            a += ONE // 2
            a >>= 10
            return np.minimum(a, 255).astype(np.uint8)
        out = a * color
        np.subtract(ONE, a, out=a)
        a *= levels
        out += a
        out += ONE // 2
        out >>= 10
        return out.astype(np.uint8)

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        head = struct.pack("<i", _MODES.index(self.mode))
        table = self._alpha(size_wh).astype("<i2").tobytes()
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
