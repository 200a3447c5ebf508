"""Noise as sensors make it: by the level of the light, of the ISO setting, of broken pixels."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Annotated

from pydantic import Field

from augpipe.core.rng import OpRng
from augpipe.pixels.steps.level_noise import Impulses, LevelNoise
from augpipe.recipe.operation.base import Operation, OpInput, OpResult, PixelStep, values
from augpipe.recipe.operation.label_effects import NOTHING
from augpipe.recipe.operation.noise_reads import drawn_reads
from augpipe.recipe.operation.params import Pair, Share, between, whole

_FARTHEST = 2**15
"""A sum of the noise bank beyond all that there are."""


class ShotNoise(Operation):
    """Noise of the light itself, whose variance is in proportion to the level."""

    ends_run = True
    label_effects = NOTHING
    changes = "noise"
    example = "shot_noise: {strength: [0.1, 1.0]}"
    neutral = values(strength=(0.0, 0.0))

    strength: Annotated[Pair, between(0, 64)] = Field((0.1, 1.0), description="variance a level, in levels")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        strength = rng.uniform("strength", self.strength)
        step = LevelNoise(spread=(0.0, strength, 0.0), reads=drawn_reads(rng))
        return OpResult((PixelStep(step),), {"strength": strength})


class IsoNoise(Operation):
    """Grain of a high ISO setting: noise in all channels alike, and half of its variance in each by itself."""

    ends_run = True
    label_effects = NOTHING
    changes = "noise"
    example = "iso_noise: {strength: [0.1, 0.6]}"
    neutral = values(strength=(0.0, 0.0))

    strength: Annotated[Pair, between(0, 32)] = Field(
        (0.1, 0.6), description="variance a level, in levels; dark ground has that of four levels besides"
    )

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        strength = rng.uniform("strength", self.strength)
        luma = LevelNoise(spread=(4.0 * strength, strength, 0.0), reads=drawn_reads(rng), shared=True)
        color = LevelNoise(spread=(2.0 * strength, strength / 2.0, 0.0), reads=drawn_reads(rng, "_color"))
        return OpResult((PixelStep(luma), PixelStep(color)), {"strength": strength})


class SpeckleNoise(Operation):
    """Noise that multiplies: its standard deviation is in proportion to the level."""

    ends_run = True
    label_effects = NOTHING
    changes = "noise"
    example = "speckle_noise: {std: [0.02, 0.15]}"
    neutral = values(std=(0.0, 0.0))

    std: Annotated[Pair, between(0, 0.5)] = Field((0.02, 0.15), description="standard deviation, share of the level")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        std = rng.uniform("std", self.std)
        step = LevelNoise(spread=(0.0, 0.0, std * std), reads=drawn_reads(rng))
        return OpResult((PixelStep(step),), {"std": std})


class SaltAndPepper(Operation):
    """Turn single pixels black or white."""

    ends_run = True
    label_effects = NOTHING
    changes = "noise"
    example = "salt_and_pepper: {amount: [0.005, 0.03]}"
    neutral = values(amount=(0.0, 0.0))

    amount: Annotated[Pair, between(0, 1)] = Field((0.005, 0.03), description="share of the pixels")
    salt: Share = Field(0.5, description="share of them that turn white")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        amount = rng.uniform("amount", self.amount)
        low, high = _limit(amount * (1.0 - self.salt)), -_limit(amount * self.salt)
        step = Impulses(low=low, high=high, dark=0, light=255, reads=drawn_reads(rng))
        return OpResult((PixelStep(step),), {"amount": amount})


class PixelDropout(Operation):
    """Give single pixels one level."""

    ends_run = True
    label_effects = NOTHING
    changes = "noise"
    example = "pixel_dropout: {amount: [0.005, 0.03]}"
    neutral = values(amount=(0.0, 0.0))

    amount: Annotated[Pair, between(0, 1)] = Field((0.005, 0.03), description="share of the pixels")
    fill: Annotated[int, whole(0, 255)] = Field(0, description="their level, in all channels")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        amount = rng.uniform("amount", self.amount)
        step = Impulses(low=_limit(amount), high=_FARTHEST, dark=self.fill, light=0, reads=drawn_reads(rng))
        return OpResult((PixelStep(step),), {"amount": amount})


def _limit(share: float) -> int:
    """The sum of two numbers of the bank that this share of all sums is below."""
    if share <= 0.0:
        return -_FARTHEST
    return _FARTHEST if share >= 1.0 else round(256.0 * math.sqrt(2.0) * NormalDist().inv_cdf(share))
