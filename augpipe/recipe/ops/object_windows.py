"""Windows that are drawn by the objects that can be seen on the canvas."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from augpipe.core.annotations import F64
from augpipe.core.rng import OpRng
from augpipe.recipe.operation.base import Operation, OpInput, OpResult
from augpipe.recipe.operation.label_effects import STRETCHED_WINDOW
from augpipe.recipe.operation.objects import choose_object
from augpipe.recipe.operation.params import MaybeNames, MaybeRatio, MaybeSize, Pair, Ratio, Shares, between, whole
from augpipe.recipe.operation.windows import Box, enclosing_shape, random_box
from augpipe.recipe.ops.crop_pad import window

_WINDOW_SCALE, _WINDOW_RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
_WHOLE = 1.0


class IouCrop(Operation):
    """A window that shares at least a drawn part with some object, as IoU; 1 keeps the whole canvas (SSD)."""

    label_effects = STRETCHED_WINDOW
    example = "iou_crop: {least: [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1]}"

    least: Shares = Field((0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0), description="IoU of window and box to choose from")
    scale: Annotated[Pair, between(0.01, 1)] = Field((0.3, 1.0), description="share of each side")
    ratio: Ratio = Field((0.5, 2.0), description="width / height of the window")
    trials: Annotated[int, whole(1, 200)] = Field(40, description="windows that are tried before the whole is kept")
    size: MaybeSize = Field(None, description="what the window is stretched to; its own size if not given")

    def is_identity(self) -> bool:
        return min(self.least) == _WHOLE and self.size is None

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        least = self.least[rng.integer("least", 0, len(self.least) - 1)]
        w, h = canvas.size_wh
        box, boxes = (0, 0, w, h), canvas.boxes_xyxy() if least < _WHOLE else np.empty((0, 4))
        if len(boxes):
            box = next((tried for tried in self._tried(rng, w, h) if _best_iou(tried, boxes) >= least), box)
        if box == (0, 0, w, h) and self.size is None:
            return OpResult((), {"least": least, "box_xyxy": list(box)})
        return OpResult(window(box, self.size), {"least": least, "box_xyxy": list(box)})

    def _tried(self, rng: OpRng, w: int, h: int) -> Iterator[Box]:
        for i in range(self.trials):
            own_w = max(1, math.floor(w * rng.uniform(f"width{i}", self.scale) + 0.5))
            own_h = max(1, math.floor(h * rng.uniform(f"height{i}", self.scale) + 0.5))
            if self.ratio[0] <= own_w / own_h <= self.ratio[1]:
                x, y = rng.integer(f"x{i}", 0, w - own_w), rng.integer(f"y{i}", 0, h - own_h)
                yield x, y, x + own_w, y + own_h


def _best_iou(window_xyxy: Box, boxes_xyxy: F64) -> float:
    x0, y0, x1, y1 = window_xyxy
    w = np.minimum(boxes_xyxy[:, 2], x1) - np.maximum(boxes_xyxy[:, 0], x0)
    h = np.minimum(boxes_xyxy[:, 3], y1) - np.maximum(boxes_xyxy[:, 1], y0)
    shared = np.maximum(w, 0.0) * np.maximum(h, 0.0)
    areas = (boxes_xyxy[:, 2] - boxes_xyxy[:, 0]) * (boxes_xyxy[:, 3] - boxes_xyxy[:, 1])
    return float((shared / (areas + (x1 - x0) * (y1 - y0) - shared)).max())


class ObjectCrop(Operation):
    """A window around one of the objects, with room on each side; without objects as random_resized_crop."""

    label_effects = STRETCHED_WINDOW
    example = "object_crop: {size: 224, margin: [0.2, 1.0]}"

    size: MaybeSize = Field(None, description="what the window is stretched to; its own size if not given")
    margin: Annotated[Pair, between(0, 100)] = Field(
        (0.2, 1.0), description="room on each side, drawn for each, as a share of the box's side"
    )
    classes: MaybeNames = Field(None, description="of the objects to choose from; balanced draws a class first")
    ratio: MaybeRatio = Field(None, description="width / height, to which the window grows as far as it can")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        chosen = choose_object(rng, canvas, self.classes)
        if chosen is None:
            box = random_box(rng, canvas.size_wh, rng.uniform("scale", _WINDOW_SCALE), self.ratio or _WINDOW_RATIO)
            return OpResult(window(box, self.size), {"box_xyxy": list(box)})
        x0, y0, x1, y1 = chosen.box_xyxy
        left, right = (rng.uniform(side, self.margin) * (x1 - x0) for side in ("left", "right"))
        top, bottom = (rng.uniform(side, self.margin) * (y1 - y0) for side in ("top", "bottom"))
        box = enclosing_shape((x0 - left, y0 - top, x1 + right, y1 + bottom), canvas.size_wh, self.ratio)
        return OpResult(window(box, self.size), {"box_xyxy": list(box), "object": chosen.index})
