"""Warps to another canvas: transposition and symmetries, windows at the centre, jitter of scale, zooming out."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from augpipe.core.geometry import translation, upright
from augpipe.core.rng import OpRng
from augpipe.recipe.operation.base import Operation, OpInput, OpResult, PadEffect, WarpEffect, values
from augpipe.recipe.operation.label_effects import STRETCH, STRETCHED_WINDOW, WHOLE, WINDOW
from augpipe.recipe.operation.params import Numbers4, Pair, Rgb, Size, between
from augpipe.recipe.ops.crop_pad import GRAY, window
from augpipe.recipe.ops.geometric import scaled_size, stretched

_GROUPS = {"d4": (1, 2, 3, 4, 5, 6, 7, 8), "d2": (1, 2, 3, 4), "turns": (1, 6, 3, 8)}
"""Symmetries by the EXIF orientations that they undo."""
_TRANSPOSED = 5


def _oriented(orientation: int, size_wh: tuple[int, int]) -> WarpEffect:
    w, h = size_wh
    return WarpEffect(upright(orientation, size_wh), (h, w) if orientation >= _TRANSPOSED else (w, h))


class Transpose(Operation):
    """Exchange rows and columns: mirror about the diagonal from the upper left."""

    mirrors = True
    label_effects = WHOLE
    example = "transpose: {p: 0.5}"

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        return OpResult((_oriented(_TRANSPOSED, canvas.size_wh),), {})


class Symmetry(Operation):
    """One of the flips and quarter turns that bring a rectangle onto itself, each as likely."""

    mirrors = True
    label_effects = WHOLE
    example = "symmetry: {group: d4}"

    group: Literal["d4", "d2", "turns"] = Field(
        "d4", description="all eight, the four that keep the canvas, or the four turns"
    )

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        known = _GROUPS[self.group]
        orientation = known[rng.integer("orientation", 0, len(known) - 1)]
        return OpResult((_oriented(orientation, canvas.size_wh),), {"orientation": orientation})


class RandomScale(Operation):
    """Another size of the whole canvas, its shape kept."""

    label_effects = STRETCH
    example = "random_scale: {scale: [0.75, 1.33]}"
    neutral = values(scale=(1.0, 1.0))

    scale: Annotated[Pair, between(0.01, 100)] = Field((0.75, 1.33), description="factor of both sides")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        scale = rng.uniform("scale", self.scale)
        size = scaled_size(canvas.size_wh, scale)
        return OpResult((stretched(canvas.size_wh, size),), {"scale": scale, "size": list(size)})


class CenterCrop(Operation):
    """The window of a size in the middle; a smaller canvas shows the border."""

    label_effects = WINDOW
    example = "center_crop: {size: [512, 512]}"

    size: Size = Field(description="of the window")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        (w, h), (cw, ch) = self.size, canvas.size_wh
        x, y = (cw - w) // 2, (ch - h) // 2
        return OpResult(window((x, y, x + w, y + h)), {"box_xyxy": [x, y, x + w, y + h]})


class Crop(Operation):
    """A window that is given, in pixels or as shares of the canvas; beyond the canvas it shows the border."""

    label_effects = WINDOW
    example = "crop: {box_xyxy: [0.1, 0.1, 0.9, 0.9]}"

    box_xyxy: Numbers4 = Field(description="left, top, right, bottom: whole numbers are pixels, others shares")

    @model_validator(mode="after")
    def _is_a_box(self) -> Self:
        x0, y0, x1, y1 = self.box_xyxy
        if not (x0 < x1 and y0 < y1):
            raise ValueError("expected a box_xyxy with left < right and top < bottom")
        if not self._pixels and not all(-4.0 <= v <= 5.0 for v in self.box_xyxy):
            raise ValueError("expected a box_xyxy of whole pixels, or of shares from -4 to 5")
        return self

    @property
    def _pixels(self) -> bool:
        return all(isinstance(v, int) for v in self.box_xyxy)

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        scale = (1, 1) if self._pixels else canvas.size_wh
        x0, y0, x1, y1 = (round(v * scale[i % 2]) for i, v in enumerate(self.box_xyxy))
        box = (x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))
        return OpResult(window(box), {"box_xyxy": list(box)})


class ScaleJitter(Operation):
    """Fit the canvas into a size times a drawn factor, then a random window of that size, or bars (LSJ)."""

    pads = True
    label_effects = STRETCHED_WINDOW
    example = "scale_jitter: {size: 640, scale: [0.1, 2.0]}"

    size: Size = Field(description="of the result")
    scale: Annotated[Pair, between(0.01, 100)] = Field((0.1, 2.0), description="1 fits the canvas into the size")
    place: Literal["top_left", "centre"] = Field("top_left", description="where a smaller picture stands")
    fill: Rgb = Field(GRAY, description="colour of the bars")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        scale = rng.uniform("scale", self.scale)
        fit = min(self.size[0] / canvas.size_wh[0], self.size[1] / canvas.size_wh[1])
        fitted = scaled_size(canvas.size_wh, scale * fit)
        offset = [
            -rng.integer(axis, 0, side - own) if side > own else (own - side) // 2 * (self.place == "centre")
            for axis, side, own in zip("xy", fitted, self.size, strict=True)
        ]
        bars = PadEffect(translation(*offset), self.size, self.fill)
        drawn = {"scale": scale, "fitted": list(fitted), "offset": offset}
        return OpResult((stretched(canvas.size_wh, fitted), bars), drawn)


class ZoomOut(Operation):
    """A larger canvas with the picture at a random place on it (SSD's expansion)."""

    pads = True
    label_effects = WHOLE
    example = "zoom_out: {scale: [1, 4], p: 0.5}"
    neutral = values(scale=(1.0, 1.0))

    scale: Annotated[Pair, between(1, 100)] = Field((1.0, 4.0), description="factor of both sides of the canvas")
    fill: Rgb = Field(GRAY, description="colour around the picture")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        (w, h), size = canvas.size_wh, scaled_size(canvas.size_wh, rng.uniform("scale", self.scale))
        x, y = rng.integer("x", 0, size[0] - w), rng.integer("y", 0, size[1] - h)
        bars = PadEffect(translation(x, y), size, self.fill)
        return OpResult((bars,), {"size": list(size), "offset": [x, y]})
