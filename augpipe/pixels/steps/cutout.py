"""Rectangles painted over."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from augpipe.core.annotations import F64
from augpipe.core.color import fill_levels
from augpipe.core.plan import (
    MOST_PARTS,
    Box,
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
class Cutout(Step, frozen=True, tag="erase"):
    """Paint ``fill`` over half-open integer rectangles (x0, y0, x1, y1)."""

    boxes_xyxy: tuple[Box, ...]
    fill: Rgb

    def fault(self, most_pixels: int) -> str | None:
        sound = len(self.boxes_xyxy) <= MOST_PARTS and all(abs(v) < most_pixels for box in self.boxes_xyxy for v in box)
        return fault_of_fill(self.fill) if sound else "boxes that are none"

    def canvas_change(self) -> CanvasChange:
        return CanvasChange(covered_xyxy=self.boxes_xyxy)

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        canvas = picture if source is None else picture.copy()
        levels = fill_levels(self.fill, 1 if picture.ndim == 2 else 3)[::-1]
        fill = levels[0] if len(set(levels)) == 1 else np.array(levels, np.uint8)
        for x0, y0, x1, y1 in self.boxes_xyxy:
            canvas[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = fill
        return canvas

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Instruction]:
        corners = [max(0, min(v, _FAR)) for box_xyxy in self.boxes_xyxy for v in box_xyxy]
        table = struct.pack(f"<{len(corners)}i", *corners)
        yield Instruction("boxes", len(self.boxes_xyxy), fill_levels(self.fill, channels), table=table)

    def reference(self, levels: F64) -> F64:
        out: F64 = levels.copy()
        rows, columns = np.indices(levels.shape[:2])
        for x0, y0, x1, y1 in self.boxes_xyxy:
            out[(x0 <= columns) & (columns < x1) & (y0 <= rows) & (rows < y1)] = color_for(levels, self.fill)
        return out
