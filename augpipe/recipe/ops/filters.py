"""Operations on a pixel's neighborhood: blurs of lenses and of motion, sharpening, emboss, loss of resolution."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from augpipe.core.rng import OpRng
from augpipe.pixels.steps.pixelate import Pixelate
from augpipe.pixels.steps.taps import ONE, Taps, in_whole_weights
from augpipe.pixels.steps.window_filters import WindowMean, WindowMedian
from augpipe.recipe.operation.base import Operation, OpInput, OpResult, PixelStep, values
from augpipe.recipe.operation.label_effects import NOTHING
from augpipe.recipe.operation.params import Pair, WholePair, between, number, odd_between, span, whole_between

_SUBPIXELS = 4
_POINTS_A_PIXEL = 4


class BoxBlur(Operation):
    """Replace each pixel by the mean of a square around it."""

    ends_run = True
    label_effects = NOTHING
    example = "box_blur: {size: [3, 7]}"

    size: Annotated[WholePair, odd_between(3, 63)] = Field((3, 7), description="side of the square, an odd number")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        size = _odd(rng, self.size)
        return OpResult((PixelStep(WindowMean(size_wh=(size, size))),), {"size": size})


class MedianBlur(Operation):
    """Replace each level by the median of a square around it."""

    ends_run = True
    label_effects = NOTHING
    example = "median_blur: {size: [3, 5]}"

    size: Annotated[WholePair, odd_between(3, 7)] = Field((3, 5), description="side of the square, an odd number")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        size = _odd(rng, self.size)
        return OpResult((PixelStep(WindowMedian(side=size)),), {"size": size})


class MotionBlur(Operation):
    """Blur along a line, as if the camera had moved while the shutter was open."""

    ends_run = True
    label_effects = NOTHING
    example = "motion_blur: {length: [3, 15], angle: [0, 360]}"
    neutral = values(length=(1.0, 1.0))

    length: Annotated[Pair, between(1, 62)] = Field((3.0, 15.0), description="of the line in pixels")
    angle: Annotated[Pair, between(0, 360)] = Field((0.0, 360.0), description="of the line in degrees")
    lean: Annotated[Pair, span(1)] = Field(
        (0.0, 0.0), description="how much lighter one end is than the middle, and heavier the other: 1 fades to nothing"
    )

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        length, angle = rng.uniform("length", self.length), rng.uniform("angle", self.angle)
        lean = rng.uniform("lean", self.lean)
        step = _taps(_line(length, angle, lean))
        return OpResult((PixelStep(step),), {"length": length, "angle": angle, "lean": lean})


class Defocus(Operation):
    """Blur with a disc, as a lens that is out of focus does."""

    ends_run = True
    label_effects = NOTHING
    example = "defocus: {radius: [1, 4]}"

    radius: Annotated[Pair, between(0.5, 16)] = Field((1.0, 4.0), description="of the disc in pixels")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        radius = rng.uniform("radius", self.radius)
        return OpResult((PixelStep(_taps(_disc(radius))),), {"radius": radius})


class Sharpen(Operation):
    """Add what a Gaussian blur takes away (unsharp masking)."""

    ends_run = True
    label_effects = NOTHING
    example = "sharpen: {amount: [0.2, 0.6]}"
    neutral = values(amount=(0.0, 0.0))

    amount: Annotated[Pair, between(0, 5)] = Field((0.2, 0.6), description="how much of it")
    sigma: Annotated[float, number(0.3, 5)] = Field(1.0, description="standard deviation of the blur in pixels")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        amount = rng.uniform("amount", self.amount)
        weights = {place: -amount * weight for place, weight in _gaussian(self.sigma).items()}
        weights[0, 0] += 1.0 + amount
        return OpResult((PixelStep(_taps(weights)),), {"amount": amount})


class Emboss(Operation):
    """Light from the upper left: the difference of the neighbors across is added."""

    ends_run = True
    label_effects = NOTHING
    example = "emboss: {amount: [0.2, 0.6]}"
    neutral = values(amount=(0.0, 0.0))

    amount: Annotated[Pair, between(0, 5)] = Field((0.2, 0.6), description="share of the difference")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        amount = rng.uniform("amount", self.amount)
        step = _taps({(-1, -1): -amount, (0, 0): 1.0, (1, 1): amount})
        return OpResult((PixelStep(step),), {"amount": amount})


class Downscale(Operation):
    """Lose resolution: means of blocks, painted or interpolated at the old size."""

    ends_run = True
    label_effects = NOTHING
    example = "downscale: {factor: [2, 4]}"
    neutral = values(factor=(1, 1))

    factor: Annotated[WholePair, whole_between(1, 64)] = Field((2, 4), description="side of a block in pixels")
    up: Literal["nearest", "linear"] = Field("nearest", description="how the old size is filled again")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        factor = rng.integer("factor", *self.factor)
        return OpResult((PixelStep(Pixelate(factor=factor, smooth=self.up == "linear")),), {"factor": factor})


def _odd(rng: OpRng, bounds: WholePair) -> int:
    """An odd number within two bounds, each as likely."""
    return 2 * rng.integer("size", bounds[0] // 2, (bounds[1] - 1) // 2) + 1


# --- weights of neighbors --------------------------------------------------------------------------------------------


def _taps(weights: Mapping[tuple[int, int], float]) -> Taps:
    """A step of neighbors at (dx, dy) with these weights, of which those that round to nothing are left out."""
    places = sorted(weights, key=lambda place: place[::-1])
    whole = in_whole_weights([weights[place] for place in places])
    taps = tuple((*place, weight) for place, weight in zip(places, whole, strict=True) if weight)
    return Taps(taps=taps or ((0, 0, ONE),))


def _line(length: float, degrees: float, lean: float) -> Mapping[tuple[int, int], float]:
    """The share of a line through the origin that lies in each pixel, by four points a pixel."""
    count = max(1, round(_POINTS_A_PIXEL * length))
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    weights: Counter[tuple[int, int]] = Counter()
    for i in range(count):
        along = (i + 0.5) / count - 0.5  # of the line, from −1/2 to 1/2
        distance = along * (length - 1.0)
        place = (math.floor(distance * cos + 0.5), math.floor(distance * sin + 0.5))
        weights[place] += 1.0 - 2.0 * lean * along  # type: ignore[assignment]
    return weights


@lru_cache(maxsize=16)
def _gaussian(sigma: float) -> Mapping[tuple[int, int], float]:
    reach = math.ceil(3.0 * sigma)
    line = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(-reach, reach + 1)]
    total = sum(line) ** 2
    return {
        (x - reach, y - reach): across * down / total for x, across in enumerate(line) for y, down in enumerate(line)
    }


def _disc(radius: float) -> Mapping[tuple[int, int], float]:
    """How many sixteenths of each pixel lie in a disc about the middle of the pixel at the origin."""
    reach = math.ceil(radius + 0.5)
    inside = [(i + 0.5) / _SUBPIXELS - 0.5 for i in range(_SUBPIXELS)]
    covered = {
        (x, y): float(sum((x + dx) ** 2 + (y + dy) ** 2 <= radius * radius for dx in inside for dy in inside))
        for x in range(-reach, reach + 1)
        for y in range(-reach, reach + 1)
    }
    return {place: count for place, count in covered.items() if count}
