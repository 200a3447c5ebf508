"""What an operation is: validated parameters, and a pure function from random numbers and a canvas to effects.

An operation never sees a pixel. It draws numbers from its own stream and says what should happen: a move, a cut, a
change of colour, or a step that ends the run. Fusion (:mod:`augpipe.recipe.fuse`) makes steps of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, Self, TypeAlias

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from augpipe.core.annotations import F64
from augpipe.core.geometry import Matrix
from augpipe.core.plan import Blur, ColorStage, Cutout, JpegCompress, Noise
from augpipe.core.rng import OpRng
from augpipe.recipe.ops.label_effects import LabelEffects
from augpipe.recipe.ops.params import MaybeName, MaybeWeight, Share


# A sample makes a dozen of these; a Struct is made in a tenth of the time of a frozen dataclass.
class WarpEffect(msgspec.Struct, frozen=True):
    """The canvas goes through ``matrix`` onto one of ``size_wh``. The canvas itself cuts nothing."""

    matrix: Matrix
    size_wh: tuple[int, int]


class PadEffect(msgspec.Struct, frozen=True):
    """A move whose old canvas becomes a frame: outside it the picture is hidden and painted with ``fill``."""

    matrix: Matrix
    size_wh: tuple[int, int]
    fill: tuple[int, int, int]


class ColorEffect(msgspec.Struct, frozen=True):
    """A point operation on colour."""

    stage: ColorStage


class PixelStep(msgspec.Struct, frozen=True):
    """A step that needs the pixels made, and so ends the run."""

    step: Blur | Noise | Cutout | JpegCompress


Effect: TypeAlias = WarpEffect | PadEffect | ColorEffect | PixelStep


class OpInput(msgspec.Struct, frozen=True):
    """What an operation may look at: the canvas so far, and on request the objects' boxes on it, (N, 4)."""

    size_wh: tuple[int, int]
    boxes_xyxy: Callable[[], F64]


class OpResult(msgspec.Struct, frozen=True):
    """What one operation decided: its effects, and the numbers behind them for the record."""

    effects: tuple[Effect, ...]
    parameters: dict[str, Any]


class Operation(BaseModel):
    """Base of all operations. The first line of a subclass's docstring is its entry in the vocabulary."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    moves: ClassVar[bool] = False
    """Whether it needs the picture resampled."""
    ends_run: ClassVar[bool] = False
    """Whether a move after it needs the picture resampled again."""
    mirrors: ClassVar[bool] = False
    """Whether it can turn left into right."""
    carries: ClassVar[LabelEffects]
    """What becomes of each kind of label; every operation says so itself."""
    exactly_one: ClassVar[tuple[str, ...]] = ()
    """Parameters of which one must be given and no more."""
    example: ClassVar[str]
    """As in a recipe; always with what must be given."""

    p: Share = Field(1.0, description="probability that the step takes part")
    id: MaybeName = Field(None, description="a name of its own for its random numbers")
    cut: bool = Field(False, description="end the run here: what this canvas does not show is gone")
    weight: MaybeWeight = Field(None, description="inside one_of and some_of: its share of the choice, 1 if not given")

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        given = [name for name in self.exactly_one if getattr(self, name) is not None]
        if self.exactly_one and len(given) != 1:
            raise ValueError(
                f"expected exactly one of {', '.join(self.exactly_one)}, got {' and '.join(given) or 'none'}"
            )
        return self

    @classmethod
    def name(cls) -> str:
        """The name in a recipe: the class name in snake case."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def draw(self, at: OpRng, scene: OpInput) -> OpResult:
        """Decide, from the numbers of ``at`` and the canvas alone."""
        raise NotImplementedError


COMMON_FIELDS = frozenset(Operation.model_fields)
