"""Operations by what the picture itself holds: equalization, stretched contrast, adaptive equalization."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from augpipe.core.rng import OpRng
from augpipe.pixels.steps.stats import AdaptiveContrast, Stats
from augpipe.recipe.operation.base import Operation, OpInput, OpResult, PixelStep
from augpipe.recipe.operation.label_effects import NOTHING
from augpipe.recipe.operation.params import Pair, between, number, whole


class Equalize(Operation):
    """Spread levels until each is about as frequent, as PIL's ImageOps.equalize."""

    ends_run = True
    label_effects = NOTHING
    example = "equalize: {p: 0.2}"

    by: Literal["channels", "luma"] = Field("channels", description="each channel by itself, or all as luma asks for")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        return OpResult((PixelStep(Stats(what="equalize", by=self.by)),), {})


class Autocontrast(Operation):
    """Stretch each channel from its lowest to its highest level over 0..255, as PIL's ImageOps.autocontrast."""

    ends_run = True
    label_effects = NOTHING
    example = "autocontrast: {cutoff: 0.5}"

    cutoff: Annotated[float, number(0, 49.9)] = Field(0.0, description="per cent of the pixels left off at either end")
    by: Literal["channels", "luma"] = Field("channels", description="each channel by itself, or all as luma asks for")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        return OpResult((PixelStep(Stats(what="autocontrast", by=self.by, cutoff=round(self.cutoff * 10))),), {})


class Clahe(Operation):
    """Bring out local contrast (contrast-limited adaptive histogram equalization), as OpenCV's CLAHE on luma."""

    ends_run = True
    label_effects = NOTHING
    example = "clahe: {clip: [1, 4], tiles: 8}"

    clip: Annotated[Pair, between(0.1, 40)] = Field((1.0, 4.0), description="how much contrast may grow at most")
    tiles: Annotated[int, whole(1, 32)] = Field(8, description="tiles across and down")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        clip = rng.uniform("clip", self.clip)
        return OpResult((PixelStep(AdaptiveContrast(clip=clip, tiles=self.tiles)),), {"clip": clip})
