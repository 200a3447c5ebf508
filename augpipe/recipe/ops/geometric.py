"""Warps that keep, turn or stretch the canvas: flips, turns, the general affine map, perspective, resize."""

from __future__ import annotations

import math
import operator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from augpipe.core.geometry import (
    about,
    mirror_x,
    mirror_y,
    quarter_turns,
    rotation,
    scaling,
    shearing,
    square_to_quad,
    then,
    translation,
)
from augpipe.core.rng import OpRng
from augpipe.recipe.operation.base import Operation, OpInput, OpResult, WarpEffect, values
from augpipe.recipe.operation.label_effects import MAP, STRETCH, TURN, WHOLE
from augpipe.recipe.operation.params import (
    MaybeSide,
    MaybeSideChoice,
    MaybeSize,
    Pair,
    between,
    choice,
    span,
    whole_choice,
)

_MOST_SHEAR = 80


class HorizontalFlip(Operation):
    """Mirror left and right."""

    mirrors = True
    label_effects = WHOLE
    example = "horizontal_flip: {p: 0.5}"

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        return OpResult((WarpEffect(mirror_x(canvas.size_wh[0]), canvas.size_wh),), {})


class VerticalFlip(Operation):
    """Mirror top and bottom."""

    mirrors = True
    label_effects = WHOLE
    example = "vertical_flip: {p: 0.5}"

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        return OpResult((WarpEffect(mirror_y(canvas.size_wh[1]), canvas.size_wh),), {})


class Rotate90(Operation):
    """Turn clockwise by quarters of a turn; the canvas turns too."""

    label_effects = WHOLE
    example = "rotate90: {times: [0, 1, 2, 3]}"
    neutral = values(times=(0,))

    times: Annotated[tuple[int, ...], whole_choice(0, 3)] = Field((1, 2, 3), description="quarter turns")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        times = self.times[rng.integer("times", 0, len(self.times) - 1)]
        w, h = canvas.size_wh
        size = (h, w) if times % 2 else (w, h)
        return OpResult((WarpEffect(quarter_turns(times, canvas.size_wh), size),), {"times": times})


class Rotate(Operation):
    """Turn about the centre, positive clockwise; the canvas stays, or becomes as large as canvas says."""

    label_effects = TURN
    example = "rotate: {degrees: 15}"
    neutral = values(degrees=(0.0, 0.0))

    degrees: Annotated[Pair, span(360)] = Field((-15.0, 15.0), description="angle")
    canvas: Annotated[Literal["keep", "fit", "inside"] | None, choice(("keep", "fit", "inside"))] = Field(
        None, description="keep its size, fit the whole turned picture, or the largest part inside it without border"
    )

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        degrees = rng.uniform("degrees", self.degrees)
        size = _turned_size(canvas.size_wh, degrees, self.canvas)
        (w, h), (new_w, new_h) = canvas.size_wh, size
        matrix = about(_centre(canvas), rotation(degrees))
        if size != canvas.size_wh:
            matrix = then(matrix, translation((new_w - w) / 2.0, (new_h - h) / 2.0))
        return OpResult((WarpEffect(matrix, size),), {"degrees": degrees})


class Affine(Operation):
    """Stretch, scale, shear, turn and shift about the centre, in that order; the canvas stays."""

    label_effects = MAP
    example = "affine: {rotate: [-15, 15], scale: [0.8, 1.2], translate: 0.1, shear: 5}"
    typical = values(rotate=10, scale=[0.8, 1.2], translate=0.1)
    neutral = values(rotate=(0.0, 0.0), scale=(1.0, 1.0), translate=(0.0, 0.0), shear=(0.0, 0.0), shear_y=(0.0, 0.0))

    rotate: Annotated[Pair, span(360)] = Field((0.0, 0.0), description="degrees, positive clockwise")
    scale: Annotated[Pair, between(0.01, 100)] = Field((1.0, 1.0), description="one factor for both axes")
    translate: Annotated[Pair, span(1)] = Field(
        (0.0, 0.0), description="fraction of the canvas side, drawn for each axis"
    )
    shear: Annotated[Pair, span(_MOST_SHEAR)] = Field((0.0, 0.0), description="degrees by which upright lines lean")
    shear_y: Annotated[Pair, span(_MOST_SHEAR)] = Field((0.0, 0.0), description="degrees by which level lines lean")

    stretch: Annotated[Pair | None, span(0.9)] = Field(
        None, description="change of width against height; the area stays: 0.2 is 1.2 times as wide for its height"
    )

    @model_validator(mode="after")
    def _keeps_area(self) -> Self:
        # At 90 degrees together upright and level lines meet: the picture is a line, and beyond that mirrored.
        together = sum(max(map(abs, pair)) for pair in (self.shear, self.shear_y))
        if together > _MOST_SHEAR:
            raise ValueError(f"expected shear and shear_y of at most {_MOST_SHEAR} degrees together, got {together:g}")
        return self

    def is_identity(self) -> bool:
        return super().is_identity() and self.stretch in (None, (0.0, 0.0))

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        degrees, scale = rng.uniform("rotate", self.rotate), rng.uniform("scale", self.scale)
        shear, shear_y = rng.uniform("shear", self.shear), rng.uniform("shear_y", self.shear_y)
        x, y = rng.uniform("translate_x", self.translate), rng.uniform("translate_y", self.translate)
        wider = 1.0 if self.stretch is None else math.sqrt(1.0 + rng.uniform("stretch", self.stretch))
        linear = then(then(scaling(scale * wider, scale / wider), shearing(shear, shear_y)), rotation(degrees))
        w, h = canvas.size_wh
        matrix = then(about(_centre(canvas), linear), translation(x * w, y * h))
        drawn: dict[str, Any] = {"rotate": degrees, "scale": scale, "shear": shear, "shear_y": shear_y}
        drawn["translate"] = [x, y]
        if self.stretch is not None:
            drawn["stretch"] = wider * wider - 1.0
        return OpResult((WarpEffect(matrix, canvas.size_wh),), drawn)


class Perspective(Operation):
    """Pull each corner to a new place, as if the camera had moved; the canvas stays."""

    projects = True
    label_effects = MAP
    example = "perspective: {scale: [0.02, 0.1]}"
    neutral = values(scale=(0.0, 0.0))

    # Corners that move by less than a quarter of the side cannot make a figure that is not convex.
    scale: Annotated[Pair, between(0, 0.24)] = Field(
        (0.02, 0.08), description="how far at most, as a fraction of the side"
    )

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        scale = rng.uniform("scale", self.scale)
        w, h = canvas.size_wh
        corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
        moved = [
            (w * (x + rng.uniform(f"x{i}", (-scale, scale))), h * (y + rng.uniform(f"y{i}", (-scale, scale))))
            for i, (x, y) in enumerate(corners)
        ]
        matrix = then(scaling(1.0 / w, 1.0 / h), square_to_quad(moved))
        return OpResult((WarpEffect(matrix, canvas.size_wh),), {"corners": [list(c) for c in moved]})


class Resize(Operation):
    """Bring the canvas to a size, or its longest or shortest side to a length with the shape kept."""

    exactly_one = ("size", "longest", "shortest")
    label_effects = STRETCH
    example = "resize: {longest: 640}"

    size: MaybeSize = Field(None, description="width and height; the shape is not kept")
    longest: MaybeSide = Field(None, description="pixels of the longer side")
    shortest: MaybeSideChoice = Field(
        None, description="pixels of the shorter side; beside longest that is the most of the longer one"
    )
    only: Annotated[Literal["shrink", "grow"] | None, choice(("shrink", "grow"))] = Field(
        None, description="leave a canvas alone of which a side would have to be changed the other way"
    )

    def given_together(self, given: list[str]) -> bool:
        return super().given_together(given) or given == ["longest", "shortest"]

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        size = self.size or self._scaled(rng, canvas.size_wh)
        grows, shrinks = (any(map(bigger, size, canvas.size_wh)) for bigger in (operator.gt, operator.lt))
        if (self.only == "shrink" and grows) or (self.only == "grow" and shrinks):
            return OpResult((), {"size": list(canvas.size_wh)})
        return OpResult((stretched(canvas.size_wh, size),), {"size": list(size)})

    def _scaled(self, rng: OpRng, size_wh: tuple[int, int]) -> tuple[int, int]:
        factors = []
        if self.longest is not None:
            factors.append(self.longest / max(size_wh))
        if self.shortest is not None:
            sides = self.shortest if isinstance(self.shortest, tuple) else (self.shortest,)
            factors.append(sides[rng.integer("shortest", 0, len(sides) - 1)] / min(size_wh))
        return scaled_size(size_wh, min(factors))


def stretched(size_wh: tuple[int, int], target_wh: tuple[int, int]) -> WarpEffect:
    """The warp that stretches a canvas to another size."""
    return WarpEffect(scaling(target_wh[0] / size_wh[0], target_wh[1] / size_wh[1]), target_wh)


def scaled_size(size_wh: tuple[int, int], factor: float) -> tuple[int, int]:
    """A size times ``factor``, rounded half up, at least one pixel."""
    return max(1, math.floor(size_wh[0] * factor + 0.5)), max(1, math.floor(size_wh[1] * factor + 0.5))


def _turned_size(size_wh: tuple[int, int], degrees: float, canvas: str | None) -> tuple[int, int]:
    """The canvas for a picture that is turned about its centre.

    ``inside``: an upright rectangle that touches with two corners or four, whichever is larger; the same formula as
    Albumentations' and imgaug's, known from https://stackoverflow.com/questions/16702966.
    """
    w, h = size_wh
    sin, cos = abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))
    if canvas == "fit":
        return math.ceil(w * cos + h * sin - 1e-9), math.ceil(w * sin + h * cos - 1e-9)
    if canvas != "inside":
        return size_wh
    long, short = max(size_wh), min(size_wh)
    if short <= 2.0 * sin * cos * long or abs(sin - cos) < 1e-10:
        half = short / 2.0
        inside_w, inside_h = (half / sin, half / cos) if w >= h else (half / cos, half / sin)
    else:
        cos2 = cos * cos - sin * sin
        inside_w, inside_h = (w * cos - h * sin) / cos2, (h * cos - w * sin) / cos2
    return max(1, math.floor(inside_w + 1e-9)), max(1, math.floor(inside_h + 1e-9))


def _centre(canvas: OpInput) -> tuple[float, float]:
    return canvas.size_wh[0] / 2.0, canvas.size_wh[1] / 2.0
