"""Functions on pixels as operations: ``@pixels`` says what a function is called and which parameters it takes.

Such an operation only draws the numbers; the function itself is called by a step of the plan, on a backend.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field

from augpipe.core.rng import OpRng
from augpipe.pixels.steps.custom import Custom
from augpipe.recipe.operation.base import COMMON_FIELDS, CUSTOM, Operation, OpInput, OpResult, Origin, PixelStep
from augpipe.recipe.operation.label_effects import LABEL_KINDS, NOTHING, LabelEffect, LabelEffects
from augpipe.recipe.operation.params import Pair, ParamType, WholePair, between, span, whole_between

_SPECIFICATION = "__augpipe_pixels__"

Function = TypeVar("Function", bound=Callable[..., Any])


class _Number:
    """A parameter that is drawn as a number."""

    def drawn(self, rng: OpRng, name: str, bounds: Any) -> float | int:
        """A number of the range ``bounds``, with six decimals, as the record has it."""
        return round(rng.uniform(name, bounds) * 1e6) / 1e6


@dataclass(frozen=True)
class Between(_Number):
    """A parameter that is drawn evenly from a range of numbers within [low, high]; ``default`` is that range."""

    low: float
    high: float
    default: float | tuple[float, float] | None = None

    @property
    def kind(self) -> ParamType:
        """Its type in a recipe."""
        return between(self.low, self.high)


@dataclass(frozen=True)
class Span(_Number):
    """A parameter that is drawn evenly from a range within [-most, most]; ``default`` s is the range [-s, s]."""

    most: float
    default: float | tuple[float, float] | None = None

    @property
    def kind(self) -> ParamType:
        """Its type in a recipe."""
        return span(self.most)


@dataclass(frozen=True)
class Whole:
    """A parameter that is drawn evenly from a range of whole numbers within [low, high], both included."""

    low: int
    high: int
    default: int | tuple[int, int] | None = None

    @property
    def kind(self) -> ParamType:
        """Its type in a recipe."""
        return whole_between(self.low, self.high)

    def drawn(self, rng: OpRng, name: str, bounds: Any) -> float | int:
        """A whole number of the range ``bounds``."""
        low, high = bounds
        return rng.integer(name, low, high)


class PixelOperation(Operation):
    """Base of operations that call a function on pixels."""

    ends_run = True
    digest: ClassVar[str] = ""
    drawing: ClassVar[Mapping[str, Between | Span | Whole]] = {}
    recipe_name: ClassVar[str] = ""

    @classmethod
    def name(cls) -> str:
        return cls.recipe_name

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        parameters = {name: how.drawn(rng, name, getattr(self, name)) for name, how in self.drawing.items()}
        word = int(rng.unit("word") * 2**53)
        step = Custom(name=self.name(), digest=self.digest, parameters=parameters, word=word)
        return OpResult((PixelStep(step),), dict(parameters))


@dataclass(frozen=True)
class Specification:
    """What ``@pixels`` says of a function."""

    name: str
    summary: str
    parameters: Mapping[str, Between | Span | Whole]
    label_effects: LabelEffects

    def operation(self, origin: Origin, digest: str) -> type[PixelOperation]:
        """The class of the operation."""
        name = f"{CUSTOM}{self.name}"
        hints = {key: Annotated[_pair(how), how.kind] for key, how in self.parameters.items()}
        given = {key: how for key, how in self.parameters.items() if how.default is not None}
        defaults = {key: Field(_written(how), validate_default=True) for key, how in given.items()}
        needed = [f"{key}: {_shown(how)}" for key, how in self.parameters.items() if key not in given]
        body = {
            "__module__": "augpipe_ops",  # not in augpipe, whose classes every recipe knows
            "__doc__": self.summary,
            "__annotations__": hints,
            "label_effects": self.label_effects,
            "example": f"{name}: {{{', '.join(needed)}}}" if needed else name,
            **defaults,
        }
        kind: type[PixelOperation] = types.new_class(
            self.name, (PixelOperation,), exec_body=lambda own: own.update(body)
        )
        kind.origin, kind.digest, kind.drawing, kind.recipe_name = origin, digest, self.parameters, name
        return kind


def _pair(how: Between | Span | Whole) -> Any:
    return WholePair if isinstance(how, Whole) else Pair


def _written(how: Between | Span | Whole) -> Any:
    return list(how.default) if isinstance(how.default, tuple) else how.default


def _shown(how: Between | Span | Whole) -> str:
    return f"{how.most}" if isinstance(how, Span) else f"[{how.low}, {how.high}]"


def specification_of(value: Any) -> Specification | None:
    """What ``@pixels`` has said of a function; ``None`` if it was not there."""
    found = getattr(value, _SPECIFICATION, None) if callable(value) else None
    return found if isinstance(found, Specification) else None


def pixels(
    name: str, *, cannot_carry: Sequence[str] = (), **parameters: Between | Span | Whole
) -> Callable[[Function], Function]:
    """Decorator: make an operation of a function on pixels, for recipes that are read with its file.

    The function is called as ``function(image, p, rng)``: with a picture of its own, uint8, (H, W, 3) in red, green,
    blue or (H, W) gray; with ``p``, which has the drawn parameters as attributes; and with a NumPy ``Generator``, the
    only place that its random numbers may come from. It returns a picture of the same size and type. Labels stay as
    they are.

    Args:
        name: in a recipe, behind ``custom.``.
        cannot_carry: kinds of labels that are wrong afterwards, such as ``box``; a recipe with the operation is refused
            for a dataset that has them.
        parameters: each by its name and the range that it may lie in.

    Raises:
        TypeError, ValueError: what is said makes no sense.
    """
    if not isinstance(name, str):
        raise TypeError(f"expected the operation's name, as in @pixels('scratches'), got {type(name).__name__}")
    for key, how in parameters.items():
        if key in COMMON_FIELDS:
            raise ValueError(f"'{key}' is what every step takes; call the parameter otherwise")
        if not isinstance(how, Between | Span | Whole):
            raise TypeError(f"{key}: expected Between(…), Span(…) or Whole(…), got {type(how).__name__}")
    if strange := [kind for kind in cannot_carry if kind not in LABEL_KINDS]:
        raise ValueError(f"cannot_carry: '{strange[0]}' is no kind of label; known are {', '.join(LABEL_KINDS)}")
    carried: dict[str, LabelEffect] = dict.fromkeys(cannot_carry, "cannot")
    effects = LabelEffects(**carried) if carried else NOTHING

    def decorate(function: Function) -> Function:
        summary = (function.__doc__ or "A function on pixels.").strip().partition("\n")[0]
        setattr(function, _SPECIFICATION, Specification(name, summary, parameters, effects))
        return function

    return decorate
