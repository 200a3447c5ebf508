"""Bars of pad and letterbox: everything outside a region is painted over."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import numpy as np

from augpipe.core.annotations import F64
from augpipe.core.color import fill_levels
from augpipe.core.geometry import Region
from augpipe.core.plan import (
    MOST_PARTS,
    CanvasChange,
    Instruction,
    Pixels,
    Rgb,
    SharedSource,
    Step,
    fault_of_fill,
    register,
)
from augpipe.pixels.reference import color_for

_FAR = 2**30


@register
class PadFill(Step, frozen=True, tag="bars"):
    """Paint ``fill`` on every pixel whose centre lies outside the convex ``region``, its edge counting as inside.

    Labels out there are hidden too. A region of fewer than three points holds nothing.
    """

    region: Region
    fill: Rgb

    def fault(self, most_pixels: int) -> str | None:
        sound = len(self.region) <= MOST_PARTS and all(abs(v) < most_pixels**2 for p in self.region for v in p)
        return fault_of_fill(self.fill) if sound else "a region that is none"

    def canvas_change(self) -> CanvasChange:
        return CanvasChange(hidden_outside=self.region)

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        from augpipe.pixels.resample import region_mask

        canvas = picture if source is None else picture.copy()
        fill = fill_levels(self.fill, 1 if picture.ndim == 2 else 3)[::-1]
        box_xyxy = upright_box(self.region)
        if box_xyxy:  # upright bars are slices
            x0, y0, x1, y1 = box_xyxy
            canvas[:y0], canvas[y1:] = fill, fill
            canvas[y0:y1, :x0], canvas[y0:y1, x1:] = fill, fill
        else:
            h, w = canvas.shape[:2]
            canvas[~region_mask(self.region, (0, 0, w, h))] = fill
        return canvas

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Instruction]:
        from augpipe.pixels.resample import region_sides

        fill, box_xyxy = fill_levels(self.fill, channels), upright_box(self.region)
        if box_xyxy:
            yield Instruction("outside_box", 1, fill, table=struct.pack("<4i", *(min(v, _FAR) for v in box_xyxy)))
        else:
            sides = [v for side in region_sides(self.region) for v in side]
            table = struct.pack(f"<{len(sides)}d", *sides)
            yield Instruction("outside_region", len(self.region), fill, table=table)

    def reference(self, levels: F64) -> F64:
        height, width = levels.shape[:2]
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        # A point of a convex polygon has all its sides on the same hand, whichever way round the corners are given.
        corners = self.region
        sides = [
            (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True)
        ]
        if not sides:
            outside = np.ones((height, width), bool)
        else:
            outside = ~(np.all([s >= 0.0 for s in sides], axis=0) | np.all([s <= 0.0 for s in sides], axis=0))
        out: F64 = levels.copy()
        out[outside] = color_for(levels, self.fill)
        return out


def upright_box(region: Region) -> tuple[int, int, int, int] | None:
    """The pixels in an upright rectangle, as a half-open box; ``None`` for every other region.

    A pixel belongs to the region if its centre does; one on the edge does.
    """
    xs, ys = {x for x, _ in region}, {y for _, y in region}
    if len(region) != 4 or len(xs) != 2 or len(ys) != 2:
        return None
    x0, y0 = (max(0, math.ceil(v - 0.5)) for v in (min(xs), min(ys)))
    x1, y1 = (max(0, math.floor(v - 0.5) + 1) for v in (max(xs), max(ys)))
    return x0, y0, x1, y1
