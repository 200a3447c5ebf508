"""Point operations on color. They never end a run; neighbours that are linear become one matrix."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from augpipe.core import color
from augpipe.core.plan import Contrast, Curve, Matrix3x4
from augpipe.core.rng import OpRng
from augpipe.recipe.operation.base import ColorEffect, Operation, OpInput, OpResult, values
from augpipe.recipe.operation.label_effects import NOTHING
from augpipe.recipe.operation.params import Pair, between, span

Factor: TypeAlias = Annotated[Pair, span(10)]
About: TypeAlias = Literal["mean", "middle"]
_FACTOR: Any = Field((0.0, 0.0), description="change of the factor: 0.2 is 0.8 to 1.2")

_ABOUT: Any = Field("mean", description="what contrast keeps: the picture's mean luma, or the middle level 127.5")


def _linear(rows: color.Rows) -> ColorEffect:
    return ColorEffect(Matrix3x4(tuple(map(float, rows))))


def _contrast(factor: float, about: About) -> ColorEffect:
    if about == "mean" and factor != 1.0:
        return ColorEffect(Contrast(factor))
    return _linear(color.contrast(factor))


class BrightnessContrast(Operation):
    """Levels times a factor and an offset, then spread by a factor about the picture's mean."""

    label_effects = NOTHING
    example = "brightness_contrast: {brightness: 0.2, contrast: 0.2}"
    typical = values(brightness=0.2, contrast=0.2)
    neutral = values(brightness=(0.0, 0.0), contrast=(0.0, 0.0))

    brightness: Factor = _FACTOR
    contrast: Factor = _FACTOR
    about: About = _ABOUT
    offset: Annotated[Pair | None, span(1)] = Field(
        None, description="added to the levels: 0.2 is up to a fifth of 255, lighter or darker"
    )

    def is_identity(self) -> bool:
        return super().is_identity() and self.offset in (None, (0.0, 0.0))

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        brightness, contrast = _factor(rng, "brightness", self.brightness), _factor(rng, "contrast", self.contrast)
        drawn = {"brightness": brightness, "contrast": contrast}
        if self.offset is not None:
            drawn["offset"] = rng.uniform("offset", self.offset)
        rows = color.brightness(brightness, 255.0 * drawn.get("offset", 0.0))
        return OpResult((_linear(rows), _contrast(contrast, self.about)), drawn)


class ColorJitter(Operation):
    """Brightness, contrast, saturation and hue, in that order, as one linear map (chroma in YIQ, not HSV)."""

    label_effects = NOTHING
    example = "color_jitter: {brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0.05}"
    typical = values(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.05)
    neutral = values(brightness=(0.0, 0.0), contrast=(0.0, 0.0), saturation=(0.0, 0.0), hue=(0.0, 0.0))

    brightness: Factor = _FACTOR
    contrast: Factor = _FACTOR
    saturation: Factor = _FACTOR
    hue: Annotated[Pair, span(0.5)] = Field(
        (0.0, 0.0), description="fraction of the colour circle; positive turns red to yellow"
    )
    about: About = _ABOUT

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        brightness, contrast = _factor(rng, "brightness", self.brightness), _factor(rng, "contrast", self.contrast)
        saturation, hue = _factor(rng, "saturation", self.saturation), rng.uniform("hue", self.hue)
        chroma = _linear(color.saturation_hue(saturation, hue))
        drawn = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
        return OpResult((_linear(color.brightness(brightness)), _contrast(contrast, self.about), chroma), drawn)


class Gamma(Operation):
    """Levels to a power: below 1 is brighter, above 1 darker; black and white stay."""

    label_effects = NOTHING
    example = "gamma: {amount: [0.7, 1.4]}"
    neutral = values(amount=(1.0, 1.0))

    amount: Annotated[Pair, between(0.05, 20)] = Field((0.7, 1.4), description="the exponent")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        amount = rng.uniform("amount", self.amount)
        return OpResult((ColorEffect(Curve("gamma", amount)),), {"amount": amount})


class ToGray(Operation):
    """Every channel becomes the luma (BT.601); the picture keeps its three channels."""

    label_effects = NOTHING
    example = "to_gray: {p: 0.1}"

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        return OpResult((_linear(color.to_gray()),), {})


def _factor(rng: OpRng, parameter: str, change: Pair) -> float:
    return max(0.0, 1.0 + rng.uniform(parameter, change))
