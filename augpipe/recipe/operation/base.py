"""An operation: validated parameters, and a pure function from random numbers and a canvas to effects.

An operation never sees a pixel. It draws numbers from its own stream and returns what should happen: a warp, bars, a
change of color, or a step that needs the pixels made. Fusion (:mod:`augpipe.recipe.fuse`) makes steps of the effects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol, Self, SupportsIndex, TypeAlias

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from augpipe.core.annotations import F64
from augpipe.core.geometry import Matrix
from augpipe.core.mesh import Mesh
from augpipe.core.plan import ColorStage, Step
from augpipe.core.rng import OpRng
from augpipe.recipe.operation.condition import WHEN, MaybeWhen
from augpipe.recipe.operation.label_effects import LabelEffects
from augpipe.recipe.operation.params import MaybeName, MaybeWeight, Share
from augpipe.recipe.operation.visible import VisibleObject


# A sample makes a dozen of these; a Struct is made in a tenth of the time of a frozen dataclass.
class WarpEffect(msgspec.Struct, frozen=True):
    """The canvas goes through ``matrix`` onto one of ``size_wh``. The canvas itself cuts nothing."""

    matrix: Matrix
    size_wh: tuple[int, int]


class PadEffect(msgspec.Struct, frozen=True):
    """A warp whose old canvas becomes a frame: outside it the picture is hidden and painted with ``fill``.

    With ``fill_after`` the bars have that color whatever comes later; else they are picture from then on.
    """

    matrix: Matrix
    size_wh: tuple[int, int]
    fill: tuple[int, int, int]
    fill_after: bool = False


class MeshEffect(msgspec.Struct, frozen=True):
    """The canvas is bent by a mesh that lies on it, and keeps its size."""

    mesh: Mesh


class ColorEffect(msgspec.Struct, frozen=True):
    """A point operation on color."""

    stage: ColorStage


class PixelStep(msgspec.Struct, frozen=True):
    """A step that needs the pixels made, and so ends the run."""

    step: Step


Effect: TypeAlias = WarpEffect | PadEffect | MeshEffect | ColorEffect | PixelStep


def _none_visible() -> tuple[VisibleObject, ...]:
    return ()


class OpInput(msgspec.Struct, frozen=True):
    """The canvas so far.

    Attributes:
        size_wh: its size.
        boxes_xyxy: returns the boxes (N, 4) of what can be seen on it: of the objects, else of a semantic mask.
        objects: returns the objects that can be seen on it.
    """

    size_wh: tuple[int, int]
    boxes_xyxy: Callable[[], F64]
    objects: Callable[[], tuple[VisibleObject, ...]] = _none_visible


class OpResult(msgspec.Struct, frozen=True):
    """The effects of one operation, and the numbers that it drew, for the record."""

    effects: tuple[Effect, ...]
    parameters: dict[str, Any]


def values(**named: Any) -> Mapping[str, Any]:
    """Parameters by name, for the class attributes of an operation."""
    return MappingProxyType(named)


Changes: TypeAlias = Literal["color", "blur", "noise", "compression", "light"]
"""What an operation may change of a picture whose labels stay."""

CUSTOM = "custom."
"""What the names of operations of one's own begin with."""

OPERATIONS: dict[str, type[Operation]] = {}
"""The operations that come with augpipe, by name: what every recipe can name."""


class Origin(Protocol):
    """Where an operation that does not come with augpipe was loaded from."""

    @property
    def file(self) -> str:
        """The file of its code, as tracebacks have it."""
        ...

    def found_again(self, name: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A function and its arguments that give, in another process, the operation of that name without values."""
        ...


class Operation(BaseModel):
    """Base of all operations. One that comes with augpipe is registered under its :meth:`name` when it is defined;
    others are known to recipes for which their file is named.

    The first line of its docstring is its entry in the vocabulary.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    label_effects: ClassVar[LabelEffects]
    """What becomes of each kind of label; every operation declares it."""
    example: ClassVar[str]
    """The step as a recipe writes it, with all required parameters."""
    changes: ClassVar[Changes] = "color"
    """What of the picture is another, of operations under which labels stay as they are."""
    ends_run: ClassVar[bool] = False
    """Whether a warp after it needs the picture resampled again."""
    bends: ClassVar[bool] = False
    """Whether it bends lines by a mesh, of which a run has one."""
    pads: ClassVar[bool] = False
    """Whether it shows the picture in a frame, which no mesh behind it can take along."""
    projects: ClassVar[bool] = False
    """Whether its map is projective, which no mesh can have beside it."""
    mirrors: ClassVar[bool] = False
    """Whether it can turn left into right."""
    exactly_one: ClassVar[tuple[str, ...]] = ()
    """Parameters of which exactly one must be given."""
    typical: ClassVar[Mapping[str, Any]] = values()
    """The parameters, as written, of a step that has none of its own, where defaults alone would change nothing."""
    neutral: ClassVar[Mapping[str, Any]] = values()
    """Checked parameters with which the step can only be the identity, whatever its others are."""
    before: ClassVar[Mapping[str, Any]] = values()
    """Checked parameters of canonical recipes that lack them, having been written before there were such."""
    origin: ClassVar[Origin | None] = None
    """Of an operation that does not come with augpipe, where it was loaded from."""

    p: Share = Field(1.0, description="probability that the step takes part")
    id: MaybeName = Field(None, description="a name of its own for its random numbers")
    cut: bool = Field(False, description="end the run here: what this canvas does not show is gone")
    weight: MaybeWeight = Field(None, description="inside one_of and some_of: its share of the choice, 1 if not given")
    when: MaybeWhen = WHEN

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class, if it is one of augpipe's.

        Raises:
            TypeError: another class of that name is registered.
        """
        if not cls.__module__.startswith("augpipe.") or not hasattr(cls, "example"):
            return  # a base of several has no example
        if (other := OPERATIONS.setdefault(cls.name(), cls)) is not cls:
            raise TypeError(f"two operations are called '{cls.name()}': in {other.__module__} and {cls.__module__}")

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Code does not travel: another process loads that of ``origin`` itself."""
        if self.origin is None:
            return super().__reduce_ex__(protocol)
        return (*self.origin.found_again(self.name()), self.__getstate__())

    @model_validator(mode="before")
    @classmethod
    def _bare_name_is_typical(cls, given: Any) -> Any:
        if isinstance(given, dict) and cls.typical and given.keys() <= Operation.model_fields.keys():
            return {**cls.typical, **given}
        return given

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        given = [name for name in self.exactly_one if getattr(self, name) is not None]
        if self.exactly_one and not self.given_together(given):
            got = " and ".join(given) or f"none, as in '{self.example}'"
            raise ValueError(f"expected exactly one of {', '.join(self.exactly_one)}, got {got}")
        return self

    def given_together(self, given: list[str]) -> bool:
        """Whether just these of the parameters of which one is expected may be given."""
        return len(given) == 1

    @classmethod
    def name(cls) -> str:
        """The name in a recipe: the class name in snake case, behind ``custom.`` if it does not come with augpipe."""
        own = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()
        return own if cls.origin is None else f"{CUSTOM}{own}"

    def is_identity(self) -> bool:
        """Whether the step can only leave every picture as it is."""
        return bool(self.neutral) and all(getattr(self, name) == value for name, value in self.neutral.items())

    def draw(self, rng: OpRng, canvas: OpInput) -> OpResult:
        """Decide what happens, from the numbers of ``rng`` and the canvas alone."""
        raise NotImplementedError


COMMON_FIELDS = frozenset(Operation.model_fields)
