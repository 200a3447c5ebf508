"""Operations in the units of published policies: one axis at a time, shear as a tangent, shifts in pixels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from augpipe.core.geometry import IDENTITY, about, then, translation
from augpipe.core.rng import OpRng
from augpipe.pixels.steps.cutout import Cutout as CutoutStep
from augpipe.pixels.steps.taps import Taps, in_whole_weights
from augpipe.recipe.operation.base import Operation, OpInput, OpResult, PixelStep, WarpEffect, values
from augpipe.recipe.operation.label_effects import MAP, NOTHING, PAINT
from augpipe.recipe.operation.params import Pair, Rgb, WholePair, span, whole_between

_AROUND = [(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)]
_NOWHERE = (0.0, 0.0)


class Shear(Operation):
    """Lean about the centre by so many pixels a pixel, each axis by itself; the canvas stays."""

    label_effects = MAP
    example = "shear: {x: 0.3, y: 0.3}"
    typical = values(x=0.2, y=0.2)
    neutral = values(x=_NOWHERE, y=_NOWHERE)

    x: Annotated[Pair, span(2)] = Field(_NOWHERE, description="how far a row moves for each row that it is lower")
    y: Annotated[Pair, span(2)] = Field(_NOWHERE, description="how far a column moves for each column")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        x, y = rng.uniform("x", self.x), rng.uniform("y", self.y)
        w, h = canvas.size_wh
        lean = then((1.0, x, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.0, y, 1.0, 0.0, 0.0, 0.0, 1.0))
        return OpResult((WarpEffect(about((w / 2.0, h / 2.0), lean), canvas.size_wh),), {"x": x, "y": y})


class Translate(Operation):
    """Shift, each axis by itself, in shares of its side or in pixels; the canvas stays."""

    label_effects = MAP
    example = "translate: {x: 0.1, y: 0.1}"
    typical = values(x=0.1, y=0.1)
    neutral = values(x=_NOWHERE, y=_NOWHERE)

    x: Annotated[Pair, span(4096)] = Field(_NOWHERE, description="to the right")
    y: Annotated[Pair, span(4096)] = Field(_NOWHERE, description="down")
    unit: Literal["share", "pixels"] = Field("share", description="of the canvas side, or pixels")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        x, y = rng.uniform("x", self.x), rng.uniform("y", self.y)
        w, h = canvas.size_wh if self.unit == "share" else (1, 1)
        return OpResult((WarpEffect(then(IDENTITY, translation(x * w, y * h)), canvas.size_wh),), {"x": x, "y": y})


class Sharpness(Operation):
    """Blend with a smoothed picture or away from it, as PIL's ImageEnhance.Sharpness: -1 is smooth, 1 is sharper."""

    ends_run = True
    label_effects = NOTHING
    example = "sharpness: {change: 0.9}"
    neutral = values(change=_NOWHERE)

    change: Annotated[Pair, span(10)] = Field((-0.5, 0.5), description="change of the factor: 0.9 is 0.1 to 1.9")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        change = rng.uniform("change", self.change)
        # PIL smooths by 1 1 1, 1 5 1, 1 1 1 over 13; what is blended is smooth + (1 + change)·(picture − smooth).
        weights = [(5.0 if place == (0, 0) else 1.0) / 13.0 * -change + (place == (0, 0)) * (1.0 + change)
                   for place in _AROUND]  # fmt: skip
        taps = zip(_AROUND, in_whole_weights(weights), strict=True)
        step = Taps(taps=tuple((*place, weight) for place, weight in taps if weight))
        return OpResult((PixelStep(step),), {"change": change})


class PolicyCutout(Operation):
    """Paint a square of so many pixels anywhere, cut by the canvas (DeVries and Taylor 2017)."""

    ends_run = True
    label_effects = PAINT
    example = "cutout: {side: 64}"
    neutral = values(side=(0, 0))

    side: Annotated[WholePair, whole_between(0, 32_766)] = Field((16, 64), description="of the square in pixels")
    fill: Rgb = Field((128, 128, 128), description="colour")

    @classmethod
    def name(cls) -> str:
        return "cutout"  # the class of that name is the step

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        side, (w, h) = rng.integer("side", *self.side), canvas.size_wh
        x, y = rng.integer("x", 0, w - 1) - side // 2, rng.integer("y", 0, h - 1) - side // 2
        box = (max(0, x), max(0, y), min(w, x + side), min(h, y + side))
        drawn = {"box_xyxy": list(box)}
        if box[0] >= box[2] or box[1] >= box[3]:
            return OpResult((), drawn)
        return OpResult((PixelStep(CutoutStep(boxes_xyxy=(box,), fill=self.fill)),), drawn)
