"""Weather and light, as layers over the picture; labels stay as they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

from msgspec.structs import replace
from pydantic import Field

from augpipe.core import color
from augpipe.core.plan import Curve, Matrix3x4
from augpipe.core.rng import OpRng
from augpipe.pixels.steps.overlay import Overlay
from augpipe.pixels.steps.overlay_shapes import ONE, Marks, Region, Surface
from augpipe.recipe.operation.base import ColorEffect, Operation, OpInput, OpResult, PixelStep, values
from augpipe.recipe.operation.label_effects import NOTHING
from augpipe.recipe.operation.params import Pair, Rgb, Share, WholePair, between, span, whole_between

_CELLS = 6
"""Of a surface along the longer side."""
_HIGHEST = 4.0
"""That a control point may be; the surface itself is cut at 1."""
_SIXTEENTH = 16
_MOST_MARKS = 100_000
_DROPS = (200, 205, 210)
_WORD = 2**52
_LIGHT = (255, 244, 214)


class Fog(Operation):
    """Fog that hides the picture behind a gray veil, denser in patches (Koschmieder's law)."""

    ends_run = True
    label_effects = NOTHING
    example = "fog: {strength: [0.2, 0.6]}"
    neutral = values(strength=(0.0, 0.0))

    strength: Annotated[Pair, between(0, 1)] = Field((0.2, 0.6), description="how much of the picture it hides at most")
    patchiness: Share = Field(0.4, description="0 is even, 1 has holes")
    depth: Literal["up", "flat"] = Field("up", description="denser towards the top, where it is far away, or alike")
    color: Rgb = Field((235, 235, 235), description="colour of the fog")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        strength = rng.uniform("strength", self.strength)

        def density(x: float, y: float, drawn: float) -> float:
            far = 1.0 - 0.6 * y if self.depth == "up" else 1.0
            return strength * far * (1.0 - self.patchiness * drawn)

        step = Overlay(mode="mix", color=self.color, strength=ONE, shape=_surface(rng, canvas.size_wh, density))
        return OpResult((PixelStep(step),), {"strength": strength})


class Rain(Operation):
    """Streaks of rain, in a duller light."""

    ends_run = True
    label_effects = NOTHING
    example = "rain: {amount: [0.2, 1.0]}"

    amount: Annotated[Pair, between(0, 20)] = Field((0.2, 1.0), description="streaks for each 1000 pixels")
    length: Annotated[Pair, between(0.001, 0.5)] = Field(
        (0.02, 0.06), description="of a streak, as a share of the shorter side"
    )
    angle: Annotated[Pair, span(80)] = Field((-15.0, 15.0), description="degrees by which it leans")
    width: Annotated[Pair, between(0.25, 20)] = Field((1.0, 2.0), description="of a streak in pixels")
    dim: Annotated[Pair, between(0, 1)] = Field((0.9, 0.9), description="factor of the levels before")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        amount, length, angle = (rng.uniform(name, getattr(self, name)) for name in ("amount", "length", "angle"))
        width, dim = rng.uniform("width", self.width), rng.uniform("dim", self.dim)
        half, leaning = length * min(canvas.size_wh) / 2.0, math.radians(angle)
        reach = (round(_SIXTEENTH * half * math.sin(leaning)), round(_SIXTEENTH * half * math.cos(leaning)))
        marks = Marks(
            "streak",
            radius=max(1, round(_SIXTEENTH * width / 2.0)),
            reach_xy=reach,
            word=rng.integer("word", 0, _WORD),
        )
        marks = replace(marks, count=min(_count(amount, canvas.size_wh), marks.most()))
        dull = ColorEffect(Matrix3x4(tuple(map(float, color.brightness(dim)))))
        step = Overlay(mode="mix", color=_DROPS, strength=ONE // 2, shape=marks)
        drawn = {"amount": amount, "length": length, "angle": angle, "width": width, "dim": dim}
        return OpResult((dull, PixelStep(step)), drawn)


class Snow(Operation):
    """Falling flakes of three sizes, over ground that is whiter where it is light."""

    ends_run = True
    label_effects = NOTHING
    example = "snow: {amount: [0.3, 1.5]}"

    amount: Annotated[Pair, between(0, 20)] = Field((0.3, 1.5), description="flakes for each 1000 pixels")
    size: Annotated[Pair, between(0.5, 50)] = Field((1.0, 5.0), description="across in pixels, from least to greatest")
    whiten: Annotated[Pair, between(0, 0.33)] = Field((0.0, 0.3), description="how much lighter light ground becomes")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        amount, whiten = rng.uniform("amount", self.amount), rng.uniform("whiten", self.whiten)
        low, high = self.size
        steps = []
        for i, (share, part) in enumerate(((0.0, 0.6), (0.5, 0.3), (1.0, 0.1))):
            radius = max(1, round(_SIXTEENTH * (low + share * (high - low)) / 2.0))
            count, word = _count(amount * part, canvas.size_wh), rng.integer(f"word{i}", 0, _WORD)
            marks = Marks("disc", radius=radius, count=count, word=word)
            steps.append(PixelStep(Overlay(mode="mix", color=(250, 250, 252), strength=900 - 100 * i, shape=marks)))
        white = ColorEffect(Curve("tone", 1 / 3, 2 / 3 + whiten))
        return OpResult((white, *steps), {"amount": amount, "whiten": whiten})


class Shadow(Operation):
    """Shadows that fall across the picture."""

    ends_run = True
    label_effects = NOTHING
    example = "shadow: {strength: [0.3, 0.6]}"
    neutral = values(strength=(0.0, 0.0))

    count: Annotated[WholePair, whole_between(1, 10)] = Field((1, 2), description="how many")
    strength: Annotated[Pair, between(0, 1)] = Field((0.3, 0.6), description="share of the light that is gone")
    region: Literal["lower", "anywhere"] = Field("lower", description="where they may lie")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        (w, h), strength = canvas.size_wh, rng.uniform("strength", self.strength)
        soft, steps = max(1, round(0.02 * _SIXTEENTH * min(w, h))), []
        for i in range(rng.integer("count", *self.count)):
            top = 0.35 * h if self.region == "lower" else -0.1 * h
            along, across = (h - top) * 1.1, rng.uniform(f"width{i}", (0.15, 0.5)) * w
            upper, lower = (rng.uniform(f"{end}{i}", (-0.25, 1.0)) * w for end in ("upper", "lower"))
            narrower = across * rng.uniform(f"narrower{i}", (0.5, 1.0))
            corners = ((upper, top), (upper + narrower, top), (lower + across, top + along), (lower, top + along))
            region = Region(tuple((round(_SIXTEENTH * x), round(_SIXTEENTH * y)) for x, y in corners), soft)
            steps.append(
                PixelStep(Overlay(mode="gain", color=(0, 0, 0), strength=-round(ONE * strength), shape=region))
            )
        return OpResult(tuple(steps), {"strength": strength, "count": len(steps)})


class SunFlare(Operation):
    """The glow of a low sun, and its reflections in the lens."""

    ends_run = True
    label_effects = NOTHING
    example = "sun_flare: {strength: [0.4, 0.9]}"
    neutral = values(strength=(0.0, 0.0))

    strength: Annotated[Pair, between(0, 1)] = Field((0.4, 0.9), description="of the glow")
    size: Annotated[Pair, between(0.02, 1)] = Field((0.2, 0.5), description="its radius, share of the shorter side")
    circles: Annotated[WholePair, whole_between(0, 20)] = Field((3, 8), description="how many reflections")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        (w, h), strength = canvas.size_wh, rng.uniform("strength", self.strength)
        x, y = rng.uniform("x", (0.05, 0.95)) * w, rng.uniform("y", (0.02, 0.45)) * h
        radius = rng.uniform("size", self.size) * min(w, h)
        steps = [_glow((x, y), radius, _LIGHT, strength), _glow((x, y), radius * 0.35, (255, 255, 255), strength)]
        for i in range(rng.integer("circles", *self.circles)):
            along = rng.uniform(f"along{i}", (0.25, 2.0))  # from the sun over the middle, which is 1
            place = (x + along * (w / 2.0 - x), y + along * (h / 2.0 - y))
            tint = tuple(rng.integer(f"{name}{i}", 150, 255) for name in ("red", "green", "blue"))
            disc = Marks(
                "disc",
                radius=max(8, round(_SIXTEENTH * radius * rng.uniform(f"radius{i}", (0.05, 0.3)))),
                places=((math.floor(place[0]), math.floor(place[1])),),
            )
            shown = round(ONE * strength * rng.uniform(f"shown{i}", (0.08, 0.3)))
            steps.append(Overlay(mode="screen", color=(tint[0], tint[1], tint[2]), strength=shown, shape=disc))
        drawn = {"strength": strength, "place": [x, y], "radius": radius, "circles": len(steps) - 2}
        return OpResult(tuple(map(PixelStep, steps)), drawn)


class Vignette(Operation):
    """Corners darker than the middle, as lenses make them."""

    ends_run = True
    label_effects = NOTHING
    example = "vignette: {strength: [0.2, 0.6]}"
    neutral = values(strength=(0.0, 0.0))

    strength: Annotated[Pair, between(0, 1)] = Field((0.2, 0.6), description="share of the light gone in the corners")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        strength, (w, h) = rng.uniform("strength", self.strength), canvas.size_wh

        def distance2(x: float, y: float, _: float) -> float:
            return (((x - 0.5) * w) ** 2 + ((y - 0.5) * h) ** 2) / ((w * w + h * h) / 4.0)

        # The control points of a spline that is x² lie a third of their distance squared below it.
        columns, rows = _columns_rows(canvas.size_wh)
        below = ((w / (columns - 3)) ** 2 + (h / (rows - 3)) ** 2) / 3.0 / ((w * w + h * h) / 4.0)
        shape = _surface(rng, canvas.size_wh, lambda x, y, drawn: distance2(x, y, drawn) - below, least=-_HIGHEST)
        step = Overlay(mode="gain", color=(0, 0, 0), strength=-round(ONE * strength), shape=shape)
        return OpResult((PixelStep(step),), {"strength": strength})


class Illumination(Operation):
    """Uneven light: from one side, from a spot, or in soft clouds."""

    ends_run = True
    label_effects = NOTHING
    example = "illumination: {strength: [0.1, 0.3]}"
    neutral = values(strength=(0.0, 0.0))

    strength: Annotated[Pair, between(0, 1)] = Field((0.1, 0.3), description="how much lighter and darker at most")
    shape: Literal["any", "linear", "spot", "plasma"] = Field("any", description="one of the three each time, or this")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        strength = rng.uniform("strength", self.strength)
        shapes = ("linear", "spot", "plasma")
        shape = shapes[rng.integer("shape", 0, 2)] if self.shape == "any" else self.shape
        turned = rng.uniform("angle", (0.0, 2.0 * math.pi))
        cos, sin, cx, cy = math.cos(turned), math.sin(turned), rng.unit("x"), rng.unit("y")

        def light(x: float, y: float, drawn: float) -> float:
            if shape == "linear":
                return 2.0 * ((x - 0.5) * cos + (y - 0.5) * sin)
            if shape == "spot":
                return 1.0 - 3.0 * math.sqrt(min(1.0, (x - cx) ** 2 + (y - cy) ** 2))
            return 2.0 * drawn - 1.0

        surface = _surface(rng, canvas.size_wh, light, least=-_HIGHEST)
        step = Overlay(mode="gain", color=(0, 0, 0), strength=round(ONE * strength), shape=surface)
        return OpResult((PixelStep(step),), {"strength": strength, "shape": shape})


def _count(amount: float, size_wh: tuple[int, int]) -> int:
    """How many marks for an amount for each 1000 pixels."""
    return min(_MOST_MARKS, math.floor(amount * size_wh[0] * size_wh[1] / 1000.0 + 0.5))


def _columns_rows(size_wh: tuple[int, int]) -> tuple[int, int]:
    """How many control points: cells about as wide as high, with one point beyond them on each side."""
    cell = max(size_wh) / _CELLS
    return tuple(max(1, round(side / cell)) + 3 for side in size_wh)  # type: ignore[return-value]


def _surface(
    rng: OpRng, size_wh: tuple[int, int], height: Callable[[float, float, float], float], least: float = 0.0
) -> Surface:
    """A surface whose control points are ``height`` of their place in shares of the canvas, and of a drawn number."""
    columns, rows = _columns_rows(size_wh)
    knots = []
    for row in range(rows):
        for column in range(columns):
            x, y = (column - 1) / (columns - 3), (row - 1) / (rows - 3)
            value = height(x, y, rng.unit(f"knot{row}_{column}"))
            knots.append(round(ONE * min(_HIGHEST, max(least, value))))
    return Surface((columns, rows), tuple(knots))


def _glow(place: tuple[float, float], radius: float, tint: tuple[int, int, int], strength: float) -> Overlay:
    marks = Marks("glow", radius=max(1, round(_SIXTEENTH * radius)), places=((int(place[0]), int(place[1])),))
    return Overlay(mode="screen", color=tint, strength=round(ONE * strength), shape=marks)
