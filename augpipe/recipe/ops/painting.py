"""Painting over by a pattern, or inside objects; labels under it lose visibility."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from augpipe.core.plan import MOST_PARTS
from augpipe.core.rng import OpRng, smallest
from augpipe.pixels.steps.cutout import Cutout
from augpipe.recipe.operation.base import Operation, OpInput, OpResult, PixelStep, values
from augpipe.recipe.operation.label_effects import PAINT
from augpipe.recipe.operation.objects import eligible
from augpipe.recipe.operation.params import ClassNames, Pair, Ratio, Rgb, Share, WholePair, between, whole_between
from augpipe.recipe.operation.windows import Box

_LEAST_UNIT = 4


class GridDropout(Operation):
    """Paint squares at the crossings of a grid (GridMask, Chen et al. 2020)."""

    ends_run = True
    label_effects = PAINT
    example = "grid_dropout: {unit: [0.1, 0.25], ratio: 0.5}"

    unit: Annotated[Pair, between(0.02, 1)] = Field(
        (0.1, 0.25), description="from square to square, as a share of the shorter side"
    )
    ratio: Share = Field(0.5, description="side of a square as a share of that")
    fill: Rgb = Field((0, 0, 0), description="colour")

    def is_identity(self) -> bool:
        return self.ratio == 0.0

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        w, h = canvas.size_wh
        least = max(_LEAST_UNIT, math.ceil(math.sqrt(w * h / (MOST_PARTS / 2))))  # no more squares than a plan may hold
        unit = max(least, math.floor(rng.uniform("unit", self.unit) * min(w, h) + 0.5))
        side = math.floor(self.ratio * unit + 0.5)
        x, y = rng.integer("x", -unit + 1, 0), rng.integer("y", -unit + 1, 0)
        boxes = [
            box
            for top in range(y, h, unit)
            for left in range(x, w, unit)
            if (box := _inside((left, top, left + side, top + side), (w, h))) is not None
        ]
        step = Cutout(boxes_xyxy=tuple(boxes[:MOST_PARTS]), fill=self.fill)
        return OpResult((PixelStep(step),) if boxes else (), {"unit": unit, "side": side, "origin": [x, y]})


class ObjectCutout(Operation):
    """Paint a rectangle inside the boxes of some objects, so that they must be known by a part."""

    ends_run = True
    label_effects = PAINT
    example = "object_cutout: {objects: [1, 3], area: [0.1, 0.4]}"
    neutral = values(objects=(0, 0))

    objects: Annotated[WholePair, whole_between(0, 100)] = Field((1, 3), description="how many objects")
    area: Annotated[Pair, between(0, 1)] = Field((0.1, 0.4), description="share of the box for each")
    ratio: Ratio = Field((0.5, 2.0), description="width / height against that of the box, evenly in its logarithm")
    classes: ClassNames = Field(None, description="of the objects to choose from; all if not given")
    fill: Rgb = Field((0, 0, 0), description="colour")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        found, count = eligible(canvas, self.classes), rng.integer("objects", *self.objects)
        chosen = smallest([rng.unit(f"object{one.index}") for one in found], [1.0] * len(found), count)
        boxes = []
        for one in (found[i] for i in chosen):
            x0, y0, x1, y1 = one.box_xyxy
            area = rng.uniform(f"area{one.index}", self.area)
            ratio = math.exp(rng.uniform(f"ratio{one.index}", (math.log(self.ratio[0]), math.log(self.ratio[1]))))
            w, h = ((x1 - x0) * min(1.0, math.sqrt(area * ratio)), (y1 - y0) * min(1.0, math.sqrt(area / ratio)))
            left = x0 + rng.unit(f"x{one.index}") * (x1 - x0 - w)
            top = y0 + rng.unit(f"y{one.index}") * (y1 - y0 - h)
            box = tuple(math.floor(v + 0.5) for v in (left, top, left + w, top + h))
            if (inside := _inside(box, canvas.size_wh)) is not None:  # type: ignore[arg-type]
                boxes.append(inside)
        step = Cutout(boxes_xyxy=tuple(boxes), fill=self.fill)
        return OpResult((PixelStep(step),) if boxes else (), {"boxes_xyxy": [list(box) for box in boxes]})


def _inside(box: Box, size_wh: tuple[int, int]) -> Box | None:
    """The part of a box that lies on the canvas."""
    x0, y0, x1, y1 = max(0, box[0]), max(0, box[1]), min(size_wh[0], box[2]), min(size_wh[1], box[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
