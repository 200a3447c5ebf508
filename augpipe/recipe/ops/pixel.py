"""Operations that need the pixels made before them: blur, noise, erasing, compression. Each ends the run."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from augpipe.core.rng import OpRng
from augpipe.pixels.steps.blur import Blur
from augpipe.pixels.steps.cutout import Cutout
from augpipe.pixels.steps.jpeg_compress import JpegCompress
from augpipe.pixels.steps.level_noise import LevelNoise
from augpipe.pixels.steps.noise import Noise
from augpipe.recipe.operation.base import Operation, OpInput, OpResult, PixelStep, values
from augpipe.recipe.operation.label_effects import NOTHING, PAINT
from augpipe.recipe.operation.noise_reads import drawn_reads
from augpipe.recipe.operation.params import MaybeFlag, Pair, Ratio, Rgb, WholePair, between, whole_between
from augpipe.recipe.operation.windows import random_box


class GaussianBlur(Operation):
    """Blur with a Gaussian."""

    ends_run = True
    label_effects = NOTHING
    changes = "blur"
    example = "gaussian_blur: {sigma: [0.3, 1.5]}"

    sigma: Annotated[Pair, between(0.1, 50)] = Field((0.3, 1.5), description="standard deviation in pixels")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        sigma = rng.uniform("sigma", self.sigma)
        return OpResult((PixelStep(Blur(sigma=sigma)),), {"sigma": sigma})


class GaussianNoise(Operation):
    """Add Gaussian noise, of its own in each channel or one for all."""

    ends_run = True
    label_effects = NOTHING
    changes = "noise"
    example = "gaussian_noise: {std: [2, 12]}"
    neutral = values(std=(0.0, 0.0))

    std: Annotated[Pair, between(0, 128)] = Field((2.0, 12.0), description="standard deviation in levels of 0..255")
    shared: MaybeFlag = Field(None, description="one number for all channels of a pixel, so that gray stays gray")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        std, reads = rng.uniform("std", self.std), drawn_reads(rng)
        if self.shared:
            return OpResult(
                (PixelStep(LevelNoise(spread=(std * std, 0.0, 0.0), reads=reads, shared=True)),), {"std": std}
            )
        return OpResult((PixelStep(Noise(std=std, reads=reads)),), {"std": std})


class Erase(Operation):
    """Paint rectangles over the picture; labels under them lose visibility."""

    ends_run = True
    label_effects = PAINT
    example = "erase: {count: [1, 3], area: [0.02, 0.1]}"
    neutral = values(count=(0, 0))

    count: Annotated[WholePair, whole_between(0, 100)] = Field((1, 1), description="how many rectangles")
    area: Annotated[Pair, between(0, 1)] = Field((0.02, 0.1), description="share of the canvas for each")
    ratio: Ratio = Field((0.3, 3.3), description="width / height, evenly in its logarithm")
    fill: Rgb = Field((0, 0, 0), description="colour")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        boxes = tuple(
            random_box(rng, canvas.size_wh, rng.uniform(f"area{i}", self.area), self.ratio, str(i))
            for i in range(rng.integer("count", *self.count))
        )
        step = PixelStep(Cutout(boxes_xyxy=boxes, fill=self.fill))
        return OpResult((step,) if boxes else (), {"boxes_xyxy": [list(b) for b in boxes]})


class Jpeg(Operation):
    """Compress as JPEG and decode again, for the marks that it leaves."""

    ends_run = True
    label_effects = NOTHING
    changes = "compression"
    example = "jpeg: {quality: [40, 90]}"

    quality: Annotated[WholePair, whole_between(1, 100)] = Field((40, 95), description="1 worst, 100 best")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        quality = rng.integer("quality", *self.quality)
        return OpResult((PixelStep(JpegCompress(quality=quality)),), {"quality": quality})
