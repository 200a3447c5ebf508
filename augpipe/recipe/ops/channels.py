"""Point operations by a matrix that treats red, green and blue differently.

A gray picture becomes the luma of what a picture of three equal channels would become.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Any

from pydantic import Field

from augpipe.core import color
from augpipe.core.plan import Contrast, Matrix3x4
from augpipe.core.rng import OpRng, smallest
from augpipe.recipe.operation.base import ColorEffect, Operation, OpInput, OpResult, values
from augpipe.recipe.operation.label_effects import NOTHING
from augpipe.recipe.operation.params import Pair, Share, WholePair, between, span, whole, whole_between

_CHANNELS = ("red", "green", "blue")
_OTHER_ORDERS = tuple(itertools.permutations(range(3)))[1:]
_SEPIA: color.Rows = (0.393, 0.769, 0.189, 0.0, 0.349, 0.686, 0.168, 0.0, 0.272, 0.534, 0.131, 0.0)
"""The usual numbers, which Microsoft's documentation of color matrices made known."""


class Hsv(Operation):
    """Hue, saturation and value in the numbers of YOLO's trainers, as one linear map (chroma in YIQ, not HSV)."""

    label_effects = NOTHING
    example = "hsv: {hue: 0.015, saturation: 0.7, value: 0.4}"
    neutral = values(hue=(0.0, 0.0), saturation=(0.0, 0.0), value=(0.0, 0.0))

    hue: Annotated[Pair, span(0.5)] = Field(
        (-0.015, 0.015), description="fraction of the colour circle; positive turns red to yellow"
    )
    saturation: Annotated[Pair, span(10)] = Field((-0.7, 0.7), description="change of the factor: 0.7 is 0.3 to 1.7")
    value: Annotated[Pair, span(10)] = Field((-0.4, 0.4), description="change of the factor: 0.4 is 0.6 to 1.4")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        hue = rng.uniform("hue", self.hue)
        saturation = _factor(rng.uniform("saturation", self.saturation))
        value = _factor(rng.uniform("value", self.value))
        effects = (_plain(color.brightness(value)), _plain(color.saturation_hue(saturation, hue)))
        return OpResult(effects, {"hue": hue, "saturation": saturation, "value": value})


class PhotometricDistort(Operation):
    """Brightness, contrast, saturation, hue and an exchange of channels, each or not (SSD, Liu et al. 2016)."""

    label_effects = NOTHING
    example = "photometric_distort: {brightness: 0.125, contrast: 0.5, saturation: 0.5, hue: 0.05}"

    brightness: Annotated[Pair, span(10)] = Field((-0.125, 0.125), description="change of the factor, in half of all")
    contrast: Annotated[Pair, span(10)] = Field(
        (-0.5, 0.5), description="change of the factor, in half of all, before or behind saturation and hue"
    )
    saturation: Annotated[Pair, span(10)] = Field((-0.5, 0.5), description="change of the factor, in half of all")
    hue: Annotated[Pair, span(0.5)] = Field((-0.05, 0.05), description="fraction of the colour circle, in half of all")
    swap: Share = Field(0.1, description="probability that channels change places")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        drawn: dict[str, Any] = {}
        for name in ("brightness", "contrast", "saturation", "hue"):
            if rng.unit(f"{name}_takes_part") < 0.5:
                change = rng.uniform(name, getattr(self, name))
                drawn[name] = change if name == "hue" else _factor(change)
        contrast = [ColorEffect(Contrast(drawn["contrast"]))] if "contrast" in drawn else []
        first = rng.unit("contrast_first") < 0.5
        effects = [_plain(color.brightness(drawn["brightness"]))] if "brightness" in drawn else []
        effects += contrast if first else []
        if drawn.keys() & {"saturation", "hue"}:
            effects.append(_plain(color.saturation_hue(drawn.get("saturation", 1.0), drawn.get("hue", 0.0))))
        effects += [] if first else contrast
        if contrast:
            drawn["contrast_first"] = first
        if rng.unit("swap") < self.swap:
            drawn["order"] = list(_OTHER_ORDERS[rng.integer("order", 0, len(_OTHER_ORDERS) - 1)])
            effects.append(_reordered(drawn["order"]))
        return OpResult(tuple(effects), drawn)


class RgbShift(Operation):
    """Add to each channel a number of its own."""

    label_effects = NOTHING
    example = "rgb_shift: {red: 20, green: 20, blue: 20}"
    neutral = values(red=(0.0, 0.0), green=(0.0, 0.0), blue=(0.0, 0.0))

    red: Annotated[Pair, span(255)] = Field((-20.0, 20.0), description="levels")
    green: Annotated[Pair, span(255)] = Field((-20.0, 20.0), description="levels")
    blue: Annotated[Pair, span(255)] = Field((-20.0, 20.0), description="levels")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        drawn = {name: rng.uniform(name, getattr(self, name)) for name in _CHANNELS}
        return OpResult((_scaled((1.0, 1.0, 1.0), tuple(drawn.values())),), drawn)


class ColorTemperature(Operation):
    """Light of another temperature: low is warm and yellow, high is cold and blue; about 6500 changes little."""

    label_effects = NOTHING
    example = "color_temperature: {kelvin: [3500, 12000]}"

    kelvin: Annotated[Pair, between(1667, 25000)] = Field((3500.0, 12000.0), description="of the black body")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        kelvin = rng.uniform("kelvin", self.kelvin)
        return OpResult((_scaled(color.black_body(kelvin), (0.0, 0.0, 0.0)),), {"kelvin": kelvin})


class ChannelShuffle(Operation):
    """Red, green and blue in one of the five other orders."""

    label_effects = NOTHING
    example = "channel_shuffle: {p: 0.1}"

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        order = _OTHER_ORDERS[rng.integer("order", 0, len(_OTHER_ORDERS) - 1)]
        return OpResult((_reordered(order),), {"order": list(order)})


class ChannelDropout(Operation):
    """Give some of the channels one level."""

    label_effects = NOTHING
    example = "channel_dropout: {count: 1}"
    neutral = values(count=(0, 0))

    count: Annotated[WholePair, whole_between(0, 2)] = Field((1, 1), description="how many channels")
    fill: Annotated[int, whole(0, 255)] = Field(0, description="the level")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        count = rng.integer("count", *self.count)
        gone = smallest([rng.unit(name) for name in _CHANNELS], [1.0, 1.0, 1.0], count)
        factors = tuple(0.0 if i in gone else 1.0 for i in range(3))
        offsets = tuple(float(self.fill) if i in gone else 0.0 for i in range(3))
        return OpResult((_scaled(factors, offsets),), {"channels": [_CHANNELS[i] for i in gone]})


class Sepia(Operation):
    """The brown of old photographs, mixed with the picture."""

    label_effects = NOTHING
    example = "sepia: {amount: [0.5, 1]}"
    neutral = values(amount=(0.0, 0.0))

    amount: Annotated[Pair, between(0, 1)] = Field((0.5, 1.0), description="share of the brown picture")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        amount = rng.uniform("amount", self.amount)
        same = color.brightness(1.0)
        rows = tuple(amount * brown + (1.0 - amount) * plain for brown, plain in zip(_SEPIA, same, strict=True))
        return OpResult((ColorEffect(color.by_luma(rows)),), {"amount": amount})


def _factor(change: float) -> float:
    return max(0.0, 1.0 + change)


def _plain(rows: color.Rows) -> ColorEffect:
    return ColorEffect(Matrix3x4(tuple(map(float, rows))))


def _scaled(factors: tuple[float, ...], offsets: tuple[float, ...]) -> ColorEffect:
    """Each channel times a factor of its own, and an offset."""
    rows = [0.0] * 12
    for i in range(3):
        rows[5 * i], rows[4 * i + 3] = factors[i], offsets[i]
    return ColorEffect(color.by_luma(tuple(rows)))


def _reordered(order: tuple[int, ...] | list[int]) -> ColorEffect:
    """Channel i takes the levels of channel ``order[i]``; gray stays."""
    rows = tuple(float(column == order[row]) for row in range(3) for column in range(4))
    return ColorEffect(Matrix3x4(rows, (1.0, 0.0)))
