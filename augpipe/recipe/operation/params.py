"""The types of parameters: how a range, a size or a color may be written, with errors that say so.

There are two kinds of range: a :func:`span` lies about zero (an angle, a change), so a single number s means [−s, s]; a
range :func:`between` bounds holds values (a sigma, a factor, a quality), so a single number means just that number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

Pair: TypeAlias = tuple[float, float]
WholePair: TypeAlias = tuple[int, int]


@dataclass(frozen=True, eq=False)
class ParamType:
    """A parameter type.

    ``words`` say how it is written; errors ("expected …") and documents use them. ``schema`` checks a YAML value and
    becomes JSON schema, ``made`` is the parameter of a checked value. ``known`` are the words to choose from, if it is
    one of some.
    """

    words: str
    schema: CoreSchema
    made: Callable[[Any], Any]
    known: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        checked = core_schema.custom_error_schema(
            self.schema,
            "expected",
            custom_error_message=f"expected {self.words}",
            custom_error_context={"known": " ".join(self.known)},  # pydantic 2.7 takes no list
        )
        plain = core_schema.plain_serializer_function_ser_schema(_same)  # "any" of simple_ser_schema is new in 2.8
        return core_schema.no_info_after_validator_function(self.made, checked, serialization=plain)


def _real(low: float, high: float) -> CoreSchema:
    return core_schema.float_schema(ge=low, le=high, strict=True, allow_inf_nan=False)


def _integer(low: int, high: int) -> CoreSchema:
    return core_schema.int_schema(ge=low, le=high, strict=True)


def _one_or_list(item: CoreSchema, least: int, most: int | None = None) -> CoreSchema:
    some = core_schema.list_schema(item, min_length=least, max_length=most, strict=False)
    return core_schema.union_schema([item, some])


def _same(value: Any) -> Any:
    return value


def _tuple(count: int) -> Callable[[Any], tuple[Any, ...]]:
    """A function that makes a tuple of a list, or of one value as often as ``count`` says."""
    return lambda value: tuple(value if isinstance(value, list) else [value] * count)


def _ordered(value: Any) -> Any:
    """A pair of numbers, the lower one first; one number stands for both."""
    low, high = _tuple(2)(value)
    if low > high:
        raise ValueError("expected the lower bound first")
    return low + type(low)(), high + type(high)()  # no −0.0, which would be another recipe


def _figure(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:g}"


def span(most: float) -> ParamType:
    """A range about zero within [−most, most]."""
    words = f"a number s for [-s, s], or [low, high], within {_figure(-most)} to {_figure(most)}"
    return ParamType(
        words,
        _one_or_list(_real(-most, most), 2, 2),
        lambda value: _ordered(value if isinstance(value, list) else [-abs(value), abs(value)]),
    )


def between(low: float, high: float) -> ParamType:
    """A range of values within [low, high]."""
    words = f"a number, or [low, high], from {_figure(low)} to {_figure(high)}"
    return ParamType(words, _one_or_list(_real(low, high), 2, 2), _ordered)


def whole_between(low: int, high: int) -> ParamType:
    """A range of whole numbers within [low, high], both included."""
    words = f"a whole number, or [low, high], from {low} to {high}"
    return ParamType(words, _one_or_list(_integer(low, high), 2, 2), _ordered)


def odd_between(low: int, high: int) -> ParamType:
    """A range of odd numbers within [low, high], both odd and included."""
    words = f"an odd number, or [low, high], from {low} to {high}"
    return ParamType(words, _one_or_list(core_schema.literal_schema([*range(low, high + 1, 2)]), 2, 2), _ordered)


def number(low: float, high: float) -> ParamType:
    """One number within [low, high]."""
    return ParamType(f"a number from {_figure(low)} to {_figure(high)}", _real(low, high), lambda value: value + 0.0)


def whole(low: int, high: int) -> ParamType:
    """One whole number within [low, high]."""
    words = f"a whole number from {low} to {high}" if low < high else str(low)
    return ParamType(words, _integer(low, high), _same)


def whole_choice(low: int, high: int) -> ParamType:
    """Whole numbers within [low, high] to choose from."""
    words = f"a whole number from {low} to {high}, or a list of them to choose from"
    return ParamType(words, _one_or_list(_integer(low, high), 1), _tuple(1))


def repeated(count: int, low: int, high: int, what: str) -> ParamType:
    """So many whole numbers, or one that stands for all of them."""
    return ParamType(f"{what}, from {low} to {high}", _one_or_list(_integer(low, high), count, count), _tuple(count))


def choice(possible: tuple[str, ...]) -> ParamType:
    """One of some words."""
    return ParamType(" or ".join(possible), core_schema.literal_schema(list(possible)), _same, possible)


def _name_pairs(pairs: list[list[str]]) -> tuple[tuple[str, ...], ...]:
    names = [name for pair in pairs for name in pair]
    if len(set(names)) != len(names):
        raise ValueError("expected each name once")
    return tuple(map(tuple, pairs))


def _floats(value: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in (value if isinstance(value, list) else [value]))


# A parameter that may be left out has None as its default; None cannot be written, so "longest:" without a value is
# the mistake that it looks like.
_SIDE = whole(1, 32_766)
_SIZE = repeated(2, 1, 32_766, "a side in pixels, or [width, height]")
_TEXT = core_schema.str_schema(strict=True)

MaybeSide: TypeAlias = Annotated[int | None, _SIDE]
MaybeSideChoice: TypeAlias = Annotated[
    int | tuple[int, ...] | None,
    ParamType(
        "a whole number from 1 to 32766, or a list of them to choose from",
        _one_or_list(_integer(1, 32_766), 1),
        lambda value: tuple(value) if isinstance(value, list) else value,
    ),
]
Size: TypeAlias = Annotated[tuple[int, int], _SIZE]
"""(width, height) in pixels; one number is a square."""
MaybeSize: TypeAlias = Annotated[tuple[int, int] | None, _SIZE]
MaybeChange: TypeAlias = Annotated[WholePair | None, whole_between(-255, 255)]
MaybeFlag: TypeAlias = Annotated[
    bool | None, ParamType("true or false", core_schema.bool_schema(strict=True), lambda value: value or None)
]
"""False is what the step does without it, and leaves no trace in the canonical form."""
MaybeSides: TypeAlias = Annotated[
    tuple[int, int, int, int] | None, repeated(4, 0, 16_000, "pixels, or [left, top, right, bottom]")
]
Numbers4: TypeAlias = Annotated[
    tuple[float, float, float, float],
    ParamType(
        "[left, top, right, bottom] in whole pixels or in shares",
        core_schema.list_schema(
            core_schema.union_schema([_integer(-32_766, 65_532), _real(-4, 5)], mode="left_to_right"),
            min_length=4,
            max_length=4,
        ),
        tuple,
    ),
]
Rgb: TypeAlias = Annotated[tuple[int, int, int], repeated(3, 0, 255, "a level, or [red, green, blue]")]
Ratio: TypeAlias = Annotated[Pair, between(0.01, 100)]
"""Of width to height."""
MaybeRatio: TypeAlias = Annotated[Pair | None, between(0.01, 100)]
Share: TypeAlias = Annotated[float, number(0, 1)]
"""A probability or a fraction."""
Shares: TypeAlias = Annotated[
    tuple[float, ...],
    ParamType("a number from 0 to 1, or a list of them to choose from", _one_or_list(_real(0, 1), 1), _floats),
]
MaybeCount: TypeAlias = Annotated[WholePair | None, whole_between(0, 1_000_000)]
MaybePixels: TypeAlias = Annotated[Pair | None, between(0, 32_766)]
MaybeWeight: TypeAlias = Annotated[float | None, number(0, 1e6)]
MaybeName: TypeAlias = Annotated[
    str | None,
    ParamType(
        "a name of letters, digits, '_' and '-' that begins with a letter, at most 60",
        core_schema.str_schema(pattern="^[A-Za-z][A-Za-z0-9_-]{0,59}$", strict=True),
        _same,
    ),
]
MaybeNames: TypeAlias = Annotated[
    tuple[str, ...] | Literal["balanced"] | None,
    ParamType(
        "a list of class names, or balanced",
        core_schema.union_schema(
            [core_schema.literal_schema(["balanced"]), core_schema.list_schema(_TEXT, min_length=1)]
        ),
        lambda value: value if isinstance(value, str) else tuple(value),
        ("balanced",),
    ),
]
ClassNames: TypeAlias = Annotated[
    tuple[str, ...] | None,
    ParamType("a list of class names", core_schema.list_schema(_TEXT, min_length=1), tuple),
]
Names: TypeAlias = Annotated[
    tuple[str, ...] | None,
    ParamType(
        "a name, or a list of names",
        core_schema.union_schema([_TEXT, core_schema.list_schema(_TEXT, min_length=1)]),
        lambda value: (value,) if isinstance(value, str) else tuple(value),
    ),
]
NamePairs: TypeAlias = Annotated[
    tuple[tuple[str, str], ...],
    ParamType(
        "a list of pairs of names, as in [[left_eye, right_eye]]",
        core_schema.list_schema(core_schema.list_schema(_TEXT, min_length=2, max_length=2)),
        _name_pairs,
    ),
]
