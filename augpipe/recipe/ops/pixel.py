"""Operations that need the pixels made before them: blur, noise, erasing, compression. Each ends the run."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import Field

from augpipe.core.plan import Blur, JpegCompress, Noise
from augpipe.core.plan import Cutout as EraseStep
from augpipe.core.rng import OpRng
from augpipe.recipe.ops.base import Operation, OpInput, OpResult, PixelStep
from augpipe.recipe.ops.label_effects import NOTHING, PAINT, LabelEffects
from augpipe.recipe.ops.params import Between, Pair, Rgb, WholeBetween, WholePair

_NOISE_STARTS = 2**31


class GaussianBlur(Operation):
    """Blur with a Gaussian."""

    ends_run: ClassVar[bool] = True
    carries: ClassVar[LabelEffects] = NOTHING
    example: ClassVar[str] = "gaussian_blur: {sigma: [0.3, 1.5]}"

    sigma: Annotated[Pair, Between(0.1, 50)] = Field(description="standard deviation in pixels")

    def draw(self, at: OpRng, scene: OpInput) -> OpResult:
        sigma = at.uniform("sigma", self.sigma)
        return OpResult((PixelStep(Blur(sigma=sigma)),), {"sigma": sigma})


class GaussianNoise(Operation):
    """Add Gaussian noise, of its own in each channel."""

    ends_run: ClassVar[bool] = True
    carries: ClassVar[LabelEffects] = NOTHING
    example: ClassVar[str] = "gaussian_noise: {std: [2, 12]}"

    std: Annotated[Pair, Between(0, 128)] = Field(description="standard deviation in levels of 0..255")

    def draw(self, at: OpRng, scene: OpInput) -> OpResult:
        std = at.uniform("std", self.std)
        return OpResult((PixelStep(Noise(std=std, offset=at.integer("offset", 0, _NOISE_STARTS - 1))),), {"std": std})


class Erase(Operation):
    """Paint rectangles over the picture; labels under them lose visibility."""

    ends_run: ClassVar[bool] = True
    carries: ClassVar[LabelEffects] = PAINT
    example: ClassVar[str] = "erase: {count: [1, 3], area: [0.02, 0.1]}"

    count: Annotated[WholePair, WholeBetween(0, 100)] = Field((1, 1), description="how many rectangles")
    area: Annotated[Pair, Between(0, 1)] = Field((0.02, 0.1), description="share of the canvas for each")
    ratio: Annotated[Pair, Between(0.01, 100)] = Field(
        (0.3, 3.3), description="width / height, evenly in its logarithm"
    )
    fill: Rgb = Field((0, 0, 0), description="colour")

    def draw(self, at: OpRng, scene: OpInput) -> OpResult:
        boxes = tuple(self._rectangle(at, scene, i) for i in range(at.integer("count", *self.count)))
        step = EraseStep(boxes_xyxy=boxes, fill=self.fill)
        return OpResult((PixelStep(step),) if boxes else (), {"boxes_xyxy": [list(b) for b in boxes]})

    def _rectangle(self, at: OpRng, scene: OpInput, i: int) -> tuple[int, int, int, int]:
        cw, ch = scene.size_wh
        area = at.uniform(f"area{i}", self.area) * cw * ch
        low, high = self.ratio
        ratio = math.exp(at.uniform(f"ratio{i}", (math.log(low), math.log(high))))
        w = min(cw, max(1, math.floor(math.sqrt(area * ratio) + 0.5)))
        h = min(ch, max(1, math.floor(math.sqrt(area / ratio) + 0.5)))
        x, y = at.integer(f"x{i}", 0, cw - w), at.integer(f"y{i}", 0, ch - h)
        return x, y, x + w, y + h


class Jpeg(Operation):
    """Compress as JPEG and decode again, for the marks that it leaves."""

    ends_run: ClassVar[bool] = True
    carries: ClassVar[LabelEffects] = NOTHING
    example: ClassVar[str] = "jpeg: {quality: [40, 90]}"

    quality: Annotated[WholePair, WholeBetween(1, 100)] = Field(description="1 worst, 100 best")

    def draw(self, at: OpRng, scene: OpInput) -> OpResult:
        quality = at.integer("quality", *self.quality)
        return OpResult((PixelStep(JpegCompress(quality=quality)),), {"quality": quality})
