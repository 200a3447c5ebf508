"""Point operations by a curve: each level becomes another one, alike in every channel."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from augpipe.core.plan import Curve, Matrix3x4
from augpipe.core.rng import OpRng
from augpipe.recipe.operation.base import ColorEffect, Operation, OpInput, OpResult, values
from augpipe.recipe.operation.label_effects import NOTHING
from augpipe.recipe.operation.params import MaybeChange, Pair, WholePair, between, span, whole_between

_INVERT = Matrix3x4((-1.0, 0.0, 0.0, 255.0, 0.0, -1.0, 0.0, 255.0, 0.0, 0.0, -1.0, 255.0), (-1.0, 255.0))


class Invert(Operation):
    """Each level v becomes 255 − v."""

    label_effects = NOTHING
    example = "invert: {p: 0.1}"

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        return OpResult((ColorEffect(_INVERT),), {})


class Posterize(Operation):
    """Keep the highest bits of each level alone, as PIL's ImageOps.posterize."""

    label_effects = NOTHING
    example = "posterize: {bits: [3, 6]}"
    neutral = values(bits=(8, 8))

    bits: Annotated[WholePair, whole_between(1, 8)] = Field((3, 6), description="how many are kept")

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        bits = rng.integer("bits", *self.bits)
        return OpResult((ColorEffect(Curve("posterize", float(bits))),), {"bits": bits})


class Solarize(Operation):
    """Invert levels from a threshold on, as PIL's ImageOps.solarize; with add, raise those below it instead."""

    label_effects = NOTHING
    example = "solarize: {threshold: [96, 224]}"

    threshold: Annotated[Pair, between(0, 256)] = Field((96.0, 224.0), description="the least level that is inverted")
    add: MaybeChange = Field(
        None, description="what is added to levels below the threshold, which then is all that changes (SolarizeAdd)"
    )

    def is_identity(self) -> bool:
        return self.threshold == (256.0, 256.0) if self.add is None else self.add == (0, 0)

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        threshold = rng.uniform("threshold", self.threshold)
        if self.add is None:
            return OpResult((ColorEffect(Curve("solarize", threshold)),), {"threshold": threshold})
        added = rng.integer("add", *self.add)
        curve = Curve("solarize_add", threshold, float(added))
        return OpResult((ColorEffect(curve),), {"threshold": threshold, "add": added})


class ToneCurve(Operation):
    """Bend shadows and lights, each by itself, along a Bézier curve; black and white stay."""

    label_effects = NOTHING
    example = "tone_curve: {strength: 0.15}"
    neutral = values(strength=(0.0, 0.0))

    strength: Annotated[Pair, span(1 / 3)] = Field(
        (-0.15, 0.15), description="how far each inner point of the curve is raised or lowered, as a share of white"
    )

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        shadows, lights = rng.uniform("shadows", self.strength), rng.uniform("lights", self.strength)
        curve = Curve("tone", 1 / 3 + shadows, 2 / 3 + lights)
        return OpResult((ColorEffect(curve),), {"shadows": shadows, "lights": lights})
