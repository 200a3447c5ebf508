"""The parameters of one transform of another library, asked for by name and kind, as nothing about them is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from augpipe.recipe.messages import shown

Pair: TypeAlias = tuple[float, float]

ASSUMED_SIDE = 512
"""Pixels of the side of a picture, where a length in pixels must become a share of it."""

_MOST = 1e9
_QUIET = frozenset(
    [
        "p",
        "always_apply",
        "mask_interpolation",
        "mask_value",
        "mask_fill_value",
        "fill_mask",
        "cval_mask",
        "pad_mask_value",
        "rotate_method",
        "keypoint_remapping_method",
        "area_for_downscale",
        "approximate",
        "noise_distribution",
        "__class_fullname__",
        "id",
        "applied",
        "params",
        "eps",
        "order",
    ]
)
"""Names without a meaning for pictures of 8 bits, or that say how masks and keypoints are carried."""


class Unreadable(Exception):
    """A parameter is not what the other library could have written."""


class Given:
    """The parameters of one transform.

    ``notes`` are the differences that were found while they were read; ``unread`` are the names nobody asked for.
    """

    def __init__(self, parameters: Mapping[str, Any], version: tuple[int, ...] = (2,)) -> None:
        self._parameters = parameters
        self._asked: set[str] = set()
        self.version = version
        self.notes: list[str] = []

    def note(self, words: str) -> None:
        """Say a difference, once."""
        if words not in self.notes:
            self.notes.append(words)

    def has(self, name: str) -> bool:
        """Whether a parameter is there, and not null."""
        self._asked.add(name)
        return self._parameters.get(name) is not None

    def raw(self, name: str) -> Any:
        """A parameter as it is; ``None`` without it."""
        self._asked.add(name)
        return self._parameters.get(name)

    def quiet(self, *names: str) -> None:
        """Parameters that change nothing that is to be told."""
        self._asked.update(names)

    def unread(self) -> list[str]:
        """Parameters that nobody has asked for, and that are not null."""
        known = self._asked | _QUIET
        return sorted(name for name, value in self._parameters.items() if value is not None and name not in known)

    def number(self, name: str, default: float) -> float:
        """One number; of a pair of the same, that one."""
        value = self.raw(name)
        if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
            value = value[0]
        return default if value is None else _number(name, value)

    def whole(self, name: str, default: int) -> int:
        """One whole number."""
        value = self.number(name, default)
        if value != int(value):
            raise Unreadable(f"{name}: expected a whole number, got {shown(value)}")
        return int(value)

    def pair(self, name: str, default: Pair) -> Pair:
        """(low, high); one number stands for both."""
        value = self.raw(name)
        return default if value is None else _pair(name, value, lambda number: (number, number))

    def span(self, name: str, default: Pair) -> Pair:
        """(low, high); one number s stands for (−s, s)."""
        value = self.raw(name)
        return default if value is None else _pair(name, value, lambda number: (-abs(number), abs(number)))

    def ends(self, name: str, low: str, high: str, default: Pair) -> Pair:
        """(low, high) by its name of today, or by those of its two ends before version 2."""
        if not self.has(name) and (self.has(low) or self.has(high)):
            first, last = self.number(low, default[0]), self.number(high, default[1])
            return min(first, last), max(first, last)
        self.quiet(low, high)
        return self.pair(name, default)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.raw(name)
        if value is not None and not isinstance(value, bool):
            raise Unreadable(f"{name}: expected true or false, got {shown(value)}")
        return default if value is None else value

    def word(self, name: str, default: str) -> str:
        """A word."""
        value = self.raw(name)
        if value is not None and not isinstance(value, str):
            raise Unreadable(f"{name}: expected a word, got {shown(value)}")
        return default if value is None else value

    def numbers(self, name: str) -> list[float]:
        """A list of numbers, of which there may be any number; empty without it."""
        value = self.raw(name)
        items = value if isinstance(value, list) else [] if value is None else [value]
        return [_number(name, item) for item in items]

    def below(self, name: str) -> Given:
        """The parameters under a name; notes are shared."""
        value = self.raw(name)
        if value is not None and not isinstance(value, dict):
            raise Unreadable(f"{name}: expected names with values, got {shown(value)}")
        inside = Given(value or {}, self.version)
        inside.notes = self.notes
        return inside

    def size_wh(self, height: str = "height", width: str = "width", both: str = "size") -> list[int]:
        """[width, height] of ``size: [height, width]`` or of two names."""
        if self.has(both):
            sides = self.numbers(both)
            if len(sides) != 2:
                raise Unreadable(f"{both}: expected [height, width], got {shown(self.raw(both))}")
            self.quiet(height, width)
            return [_side(both, sides[1]), _side(both, sides[0])]
        return [_side(name, self.number(name, math.nan)) for name in (width, height)]

    def color(self, *names: str) -> int | list[int]:
        """The level or color under the first of some names that is there; black without any."""
        found = [name for name in names if self.has(name)]
        if not found:
            return 0
        value = self.raw(found[0])
        if isinstance(value, str):
            self.note(f"{found[0]} {shown(value)} is not known here, so it is black")
            return 0
        levels = [round(min(255.0, max(0.0, number))) for number in self.numbers(found[0])]
        if len(levels) not in (1, 3):
            raise Unreadable(f"{found[0]}: expected a level or three of them, got {shown(value)}")
        return levels if len(set(levels)) > 1 else levels[0]


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > _MOST:
        raise Unreadable(f"{name}: expected a number, got {shown(value)}")
    return value


def _pair(name: str, value: Any, of_one: Any) -> Pair:
    if not isinstance(value, list):
        low, high = of_one(_number(name, value))
    elif len(value) == 2:
        low, high = (_number(name, item) for item in value)
    else:
        raise Unreadable(f"{name}: expected a number or two, got {shown(value)}")
    return (low, high) if low <= high else (high, low)


def _side(name: str, value: float) -> int:
    if not math.isfinite(value):
        raise Unreadable(f"{name}: expected pixels, got nothing")
    if value != int(value) or value < 1:
        raise Unreadable(f"{name}: expected a whole number of pixels, got {shown(value)}")
    return int(value)
