"""The types of parameters: how a range, a size or a colour may be written, with errors that say so.

Two kinds of range exist and every parameter is one of them: a :class:`Span` lies about zero (an angle, a change), so a
single number s means [−s, s]; a :class:`Between` is a value of its own (a sigma, a factor, a quality), so a single
number means just that number.

Each type has one sentence, ``words``, that says how it is written. Errors, the vocabulary and the documents use it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

Pair: TypeAlias = tuple[float, float]
WholePair: TypeAlias = tuple[int, int]
JsonSchema: TypeAlias = dict[str, Any]


def _is_number(value: Any, low: float, high: float) -> bool:
    """Whether it is a number within the bounds; NaN lies within none, and YAML's true and false are no numbers."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and _is_number(value, low, high)


class ParamType:
    """A parameter type: its ``words``, a function that reads a value, and a JSON schema."""

    @property
    def words(self) -> str:
        """How it is written, as in "expected …"."""
        raise NotImplementedError

    def read(self, value: Any) -> Any:
        """The parameter from a YAML value.

        Raises:
            ValueError: "expected …".
        """
        raise NotImplementedError

    def schema(self) -> JsonSchema:
        """As in JSON schema."""
        raise NotImplementedError

    def refused(self) -> ValueError:
        """What to raise for a value that does not fit."""
        return ValueError(f"expected {self.words}")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return self.schema()


def _figure(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def _or_list_of(schema: JsonSchema, least: int, most: int) -> JsonSchema:
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": least, "maxItems": most}]}


@dataclass(frozen=True)
class Span(ParamType):
    """A range about zero within [−most, most]."""

    most: float

    @property
    def words(self) -> str:
        """How it is written."""
        return f"a number s for [-s, s], or [low, high], within {_figure(-self.most)} to {_figure(self.most)}"

    def read(self, value: Any) -> Pair:
        """(low, high) from a number s or a pair."""
        one = _is_number(value, -self.most, self.most)
        low, high = _ordered(self, (-abs(value), abs(value)) if one else value, -self.most, self.most)
        return float(low) + 0.0, float(high)  # no −0.0, which would be another recipe

    def schema(self) -> JsonSchema:
        """As in JSON schema."""
        return _or_list_of({"type": "number", "minimum": -self.most, "maximum": self.most}, 2, 2)


@dataclass(frozen=True)
class Between(ParamType):
    """A range of values within [low, high]."""

    low: float
    high: float

    @property
    def words(self) -> str:
        """How it is written."""
        return f"a number, or [low, high], from {_figure(self.low)} to {_figure(self.high)}"

    def read(self, value: Any) -> Pair:
        """(low, high) from a number or a pair."""
        low, high = _ordered(self, _twice(value), self.low, self.high)
        return float(low) + 0.0, float(high) + 0.0

    def schema(self) -> JsonSchema:
        """As in JSON schema."""
        return _or_list_of({"type": "number", "minimum": self.low, "maximum": self.high}, 2, 2)


@dataclass(frozen=True)
class WholeBetween(ParamType):
    """A range of whole numbers within [low, high], both included."""

    low: int
    high: int

    @property
    def words(self) -> str:
        """How it is written."""
        return f"a whole number, or [low, high], from {self.low} to {self.high}"

    def read(self, value: Any) -> WholePair:
        """(low, high) from a whole number or a pair of them."""
        pair = _twice(value)
        low, high = _ordered(self, pair, self.low, self.high)
        if not all(_is_whole(v, self.low, self.high) for v in pair):
            raise self.refused()
        return low, high

    def schema(self) -> JsonSchema:
        """As in JSON schema."""
        return _or_list_of({"type": "integer", "minimum": self.low, "maximum": self.high}, 2, 2)


def _twice(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value, value)


def _ordered(written: ParamType, value: Any, low: float, high: float) -> Any:
    """A pair of numbers within the bounds, the lower first."""
    if not (isinstance(value, (list, tuple)) and len(value) == 2 and all(_is_number(v, low, high) for v in value)):
        raise written.refused()
    if value[0] > value[1]:
        raise ValueError("expected the lower bound first")
    return value


@dataclass(frozen=True)
class Number(ParamType):
    """One number within [low, high]."""

    low: float
    high: float

    @property
    def words(self) -> str:
        """How it is written."""
        return f"a number from {_figure(self.low)} to {_figure(self.high)}"

    def read(self, value: Any) -> float:
        """The number."""
        if not _is_number(value, self.low, self.high):
            raise self.refused()
        return float(value) + 0.0

    def schema(self) -> JsonSchema:
        """As in JSON schema."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Whole(ParamType):
    """One whole number within [low, high]."""

    low: int
    high: int

    @property
    def words(self) -> str:
        """How it is written."""
        return f"a whole number from {self.low} to {self.high}" if self.low < self.high else str(self.low)

    def read(self, value: Any) -> int:
        """The number."""
        if not _is_whole(value, self.low, self.high):
            raise self.refused()
        return int(value)

    def schema(self) -> JsonSchema:
        """As in JSON schema."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class WholeChoice(ParamType):
    """Whole numbers within [low, high] to choose from."""

    low: int
    high: int

    @property
    def words(self) -> str:
        """How it is written."""
        return f"a whole number from {self.low} to {self.high}, or a list of them to choose from"

    def read(self, value: Any) -> tuple[int, ...]:
        """The numbers."""
        values = value if isinstance(value, (list, tuple)) else (value,)
        if not values or not all(_is_whole(v, self.low, self.high) for v in values):
            raise self.refused()
        return tuple(values)

    def schema(self) -> JsonSchema:
        """As in JSON schema."""
        whole = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return {"anyOf": [whole, {"type": "array", "items": whole, "minItems": 1}]}


@dataclass(frozen=True)
class Repeated(ParamType):
    """Some whole numbers, or one that stands for all of them."""

    count: int
    low: int
    high: int
    what: str

    @property
    def words(self) -> str:
        """How it is written."""
        return f"{self.what}, from {self.low} to {self.high}"

    def read(self, value: Any) -> tuple[int, ...]:
        """The numbers."""
        values = value if isinstance(value, (list, tuple)) else [value] * self.count
        if len(values) != self.count or not all(_is_whole(v, self.low, self.high) for v in values):
            raise self.refused()
        return tuple(values)

    def schema(self) -> JsonSchema:
        """As in JSON schema."""
        return _or_list_of({"type": "integer", "minimum": self.low, "maximum": self.high}, self.count, self.count)


@dataclass(frozen=True)
class Name(ParamType):
    """A name that a user gives."""

    pattern = "^[A-Za-z][A-Za-z0-9_-]{0,59}$"

    @property
    def words(self) -> str:
        """How it is written."""
        return "a name of letters, digits, '_' and '-' that begins with a letter, at most 60"

    def read(self, value: Any) -> str:
        """The name."""
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
            raise self.refused()
        return value

    def schema(self) -> JsonSchema:
        """As in JSON schema."""
        return {"type": "string", "pattern": self.pattern}


@dataclass(frozen=True)
class Choice(ParamType):
    """One of some words."""

    possible: tuple[str, ...]

    @property
    def words(self) -> str:
        """How it is written."""
        return " or ".join(self.possible)

    def read(self, value: Any) -> str:
        """The word."""
        if not isinstance(value, str) or value not in self.possible:
            raise self.refused()
        return value

    def schema(self) -> JsonSchema:
        """As in JSON schema."""
        return {"enum": list(self.possible)}


@dataclass(frozen=True)
class NamePairs(ParamType):
    """Pairs of names, each name once."""

    @property
    def words(self) -> str:
        """How it is written."""
        return "a list of pairs of names, as in [[left_eye, right_eye]]"

    def read(self, value: Any) -> tuple[tuple[str, str], ...]:
        """The pairs."""
        pairs = value if isinstance(value, (list, tuple)) else (None,)
        if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
            raise self.refused()
        names = [name for pair in pairs for name in pair]
        if not all(isinstance(name, str) for name in names):
            raise self.refused()
        if len(set(names)) != len(names):
            raise ValueError("expected each name once")
        return tuple((left, right) for left, right in pairs)

    def schema(self) -> JsonSchema:
        """As in JSON schema."""
        name = {"type": "string"}
        return {"type": "array", "items": {"type": "array", "items": name, "minItems": 2, "maxItems": 2}}


# A parameter that may be left out has None as its default; None cannot be written, so "longest:" without a value is
# the mistake that it looks like.
_SIDE = Whole(1, 32_766)
_SIZE = Repeated(2, 1, 32_766, "a side in pixels, or [width, height]")
_SIDES = Repeated(4, 0, 16_000, "pixels, or [left, top, right, bottom]")
_RGB = Repeated(3, 0, 255, "a level, or [red, green, blue]")

MaybeSide: TypeAlias = Annotated[int | None, _SIDE]
Size: TypeAlias = Annotated[tuple[int, int], _SIZE]
"""(width, height) in pixels; one number is a square."""
MaybeSize: TypeAlias = Annotated[tuple[int, int] | None, _SIZE]
MaybeSides: TypeAlias = Annotated[tuple[int, int, int, int] | None, _SIDES]
Rgb: TypeAlias = Annotated[tuple[int, int, int], _RGB]
Share: TypeAlias = Annotated[float, Number(0, 1)]
"""A probability or a fraction."""
MaybeWeight: TypeAlias = Annotated[float | None, Number(0, 1e6)]
MaybeName: TypeAlias = Annotated[str | None, Name()]
