"""Warps that choose what the canvas shows: crops, and pads, which hide what lies outside their frame."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from augpipe.core.geometry import bounds_of, translation
from augpipe.core.rng import OpRng
from augpipe.recipe.operation.base import Effect, Operation, OpInput, OpResult, PadEffect, WarpEffect, values
from augpipe.recipe.operation.label_effects import STRETCH, STRETCHED_WINDOW, WHOLE, WINDOW
from augpipe.recipe.operation.params import (
    MaybeFlag,
    MaybeRatio,
    MaybeSide,
    MaybeSides,
    MaybeSize,
    Pair,
    Ratio,
    Rgb,
    Share,
    Size,
    between,
)
from augpipe.recipe.operation.windows import Box, box_around, random_box, shape_within
from augpipe.recipe.ops.geometric import scaled_size, stretched

_USUAL_RATIO = (3 / 4, 4 / 3)
GRAY = (114, 114, 114)
_FILL_AFTER = "whether later colour, blur, noise, erasing and compression leave the bars alone"


class Pad(Operation):
    """Add bars, by sides, to a least size or to a multiple; what was outside the canvas stays hidden."""

    exactly_one = ("size", "multiple", "sides")
    pads = True
    label_effects = WHOLE
    example = "pad: {size: [640, 640]}"

    size: MaybeSize = Field(None, description="the least width and height")
    multiple: MaybeSide = Field(None, description="both sides become multiples of this")
    sides: MaybeSides = Field(None, description="the width of each bar")
    place: Literal["centre", "top_left"] = Field("centre", description="where the picture stands on a larger canvas")
    fill: Rgb = Field((0, 0, 0), description="colour of the bars")
    fill_after: MaybeFlag = Field(None, description=_FILL_AFTER)

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        w, h = canvas.size_wh
        left, top, right, bottom = self.sides or (0, 0, 0, 0)
        if self.sides is None:
            extra_w, extra_h = self._extra(w, h)
            if self.place == "centre":
                left, top = extra_w // 2, extra_h // 2
            right, bottom = extra_w - left, extra_h - top
        size = (w + left + right, h + top + bottom)
        bars = PadEffect(translation(left, top), size, self.fill, bool(self.fill_after))
        return OpResult((bars,), {"offset": [left, top], "size": list(size)})

    def is_identity(self) -> bool:
        return self.sides == (0, 0, 0, 0) or self.multiple == 1 or self.size == (1, 1)

    def _extra(self, w: int, h: int) -> tuple[int, int]:
        if self.multiple is not None:
            return -w % self.multiple, -h % self.multiple
        least_w, least_h = self.size or (w, h)
        return max(0, least_w - w), max(0, least_h - h)


class Letterbox(Operation):
    """Fit the canvas into a size with its shape kept, and fill the rest with bars."""

    pads = True
    label_effects = STRETCH
    example = "letterbox: {size: 640}"

    size: Size = Field(description="of the result")
    enlarge: bool = Field(True, description="whether a smaller canvas is enlarged")
    fill: Rgb = Field(GRAY, description="colour of the bars")
    fill_after: MaybeFlag = Field(None, description=_FILL_AFTER)

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        (w, h), (cw, ch) = self.size, canvas.size_wh
        factor = min(w / cw, h / ch)
        if not self.enlarge:
            factor = min(1.0, factor)
        fitted = scaled_size(canvas.size_wh, factor)
        left, top = (w - fitted[0]) // 2, (h - fitted[1]) // 2
        bars = PadEffect(translation(left, top), self.size, self.fill, bool(self.fill_after))
        return OpResult((stretched(canvas.size_wh, fitted), bars), {"offset": [left, top], "fitted": list(fitted)})


def window(box_xyxy: Box, size: tuple[int, int] | None = None) -> tuple[Effect, ...]:
    """A crop to a window of whole pixels, then a stretch to ``size``."""
    x0, y0, x1, y1 = box_xyxy
    crop = WarpEffect(translation(-x0, -y0), (x1 - x0, y1 - y0))
    return (crop,) if size is None else (crop, stretched(crop.size_wh, size))


class RandomCrop(Operation):
    """A window at a random place, of fixed size, or of drawn area or shape; only a fixed one may show the border."""

    exactly_one = ("size", "scale")
    label_effects = WINDOW
    example = "random_crop: {size: [512, 512]}"

    size: MaybeSize = Field(None, description="of the window; with ratio, another shape of the same area")
    scale: Annotated[Pair | None, between(1e-4, 1)] = Field(None, description="share of the canvas area")
    ratio: MaybeRatio = Field(
        None, description="width / height, evenly in its logarithm where it fits; 3/4 to 4/3 with scale if not given"
    )

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        (w, h), (cw, ch) = self._size(rng, canvas.size_wh), canvas.size_wh
        x = rng.integer("x", min(0, cw - w), max(0, cw - w))
        y = rng.integer("y", min(0, ch - h), max(0, ch - h))
        return OpResult(window((x, y, x + w, y + h)), {"box_xyxy": [x, y, x + w, y + h]})

    def _size(self, rng: OpRng, canvas_wh: tuple[int, int]) -> tuple[int, int]:
        if self.size is not None:
            return self.size if self.ratio is None else shape_within(rng, canvas_wh, math.prod(self.size), self.ratio)
        pixels = rng.uniform("scale", self.scale or (1.0, 1.0)) * math.prod(canvas_wh)
        return shape_within(rng, canvas_wh, pixels, self.ratio or _USUAL_RATIO)


class RandomResizedCrop(Operation):
    """A window of random area and shape, stretched to one size."""

    label_effects = STRETCHED_WINDOW
    example = "random_resized_crop: {size: 224, scale: [0.35, 1.0]}"

    size: Size = Field(description="what the window is stretched to")
    scale: Annotated[Pair, between(1e-4, 1)] = Field((0.08, 1.0), description="share of the canvas area")
    ratio: Ratio = Field(_USUAL_RATIO, description="width / height, evenly in its logarithm")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        box = random_box(rng, canvas.size_wh, rng.uniform("scale", self.scale), self.ratio)
        return OpResult(window(box, self.size), {"box_xyxy": list(box)})


class BboxSafeCrop(Operation):
    """A random window that holds the box of every visible object whole; without objects, any window."""

    label_effects = replace(STRETCHED_WINDOW, box="moved")
    example = "bbox_safe_crop: {size: [640, 640]}"
    before = values(ratio=None)

    size: MaybeSize = Field(None, description="what the window is stretched to; its own size if not given")
    least: Share = Field(0.3, description="without objects: the least share of each side")
    ratio: MaybeRatio = Field((0.5, 2.0), description="width / height of the window, as far as the objects let it")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        cw, ch = canvas.size_wh
        boxes = canvas.boxes_xyxy()
        if len(boxes):
            union = bounds_of(boxes.reshape(-1, 2))
            ux0, uy0 = (max(0, math.floor(v)) for v in union[:2])
            ux1, uy1 = min(cw, math.ceil(union[2])), min(ch, math.ceil(union[3]))
        else:
            w, h = max(1, round(self.least * cw)), max(1, round(self.least * ch))
            ux0, uy0 = rng.integer("x", 0, cw - w), rng.integer("y", 0, ch - h)
            ux1, uy1 = ux0 + w, uy0 + h
        x0, y0 = rng.integer("x0", 0, min(ux0, cw - 1)), rng.integer("y0", 0, min(uy0, ch - 1))
        x1, y1 = rng.integer("x1", max(ux1, x0 + 1), cw), rng.integer("y1", max(uy1, y0 + 1), ch)
        box = (x0, y0, x1, y1)
        if self.ratio is not None and not self.ratio[0] <= (x1 - x0) / (y1 - y0) <= self.ratio[1]:
            ux0, uy0 = min(ux0, cw - 1), min(uy0, ch - 1)
            box = box_around(rng, canvas.size_wh, (ux0, uy0, max(ux1, ux0 + 1), max(uy1, uy0 + 1)), self.ratio)
        return OpResult(window(box, self.size), {"box_xyxy": list(box)})
