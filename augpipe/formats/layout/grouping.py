"""Regular expressions that name the group of a picture by its key, and end in time whatever they are.

Python's engine tries again and again where repeats stand in repeats or after each other. So only patterns are taken
whose work is bounded by a power of the key's length, and only keys for which that power is small.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from augpipe.core.errors import DatasetError, UsageError, one_line

_LONGEST = 200
_MOST_REPEATS, _MOST_WAYS, _MOST_TIMES = 3, 64, 1000
_MOST_WORK = 2e8
_REPEATS = tuple(
    getattr(_constants, name) for name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") if hasattr(_constants, name)
)
_PLAIN = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT", "RANGE", "CATEGORY", "NEGATE"})


@dataclass
class _Cost:
    """How the work of a pattern grows: with the ``repeats``-th power of the length, times ``ways``."""

    repeats: int = 0
    ways: int = 1

    @property
    def varies(self) -> bool:
        return self.repeats > 0 or self.ways > 1


@dataclass(frozen=True)
class Grouping:
    """A pattern; the group of a key is what its first pair of parentheses matches, or all of it if it has none."""

    pattern: str

    @cached_property
    def _compiled(self) -> tuple[re.Pattern[str], _Cost]:
        shown = f"--group-by {one_line(self.pattern, 60)}"
        if len(self.pattern) > _LONGEST:
            raise UsageError(f"{shown}: longer than {_LONGEST} characters")
        try:
            cost = _cost_of(_parser.parse(self.pattern), shown)
            found = re.compile(self.pattern)
        except (re.error, RecursionError, OverflowError, MemoryError) as error:
            raise UsageError(f"{shown}: no regular expression: {one_line(error, 100)}") from error
        if cost.repeats > _MOST_REPEATS or cost.ways > _MOST_WAYS:
            raise UsageError(
                f"{shown}: has too many repeats and alternatives to end in time; at most {_MOST_REPEATS} of *, + and "
                "{m,n} are taken, as in '^([^_]+)_'"
            )
        return found, cost

    def check(self) -> None:
        """Raise :class:`UsageError` for a pattern that is none, or might not end in time."""
        _ = self._compiled

    def group_of(self, key: str) -> str | None:
        """The group of a key; ``None`` if the pattern does not match.

        Raises:
            DatasetError: the key is so long that the pattern might not end in time.
        """
        found, cost = self._compiled
        if cost.ways * (len(key) + 1) ** (cost.repeats + 1) / math.factorial(cost.repeats + 1) > _MOST_WORK:
            raise DatasetError(
                f"--group-by {one_line(self.pattern, 60)}: has too many repeats for a name of {len(key):,} characters "
                f"({one_line(key, 60)}); take a pattern with fewer of *, + and {{m,n}}"
            )
        match = found.search(key)
        if match is None:
            return None
        return match[1] if found.groups and match[1] is not None else match[0]


def _cost_of(tree: Any, shown: str) -> _Cost:
    """The cost of a parsed pattern; raises :class:`UsageError` for what cannot be bounded."""
    total = _Cost()
    for operation, argument in tree:
        name = str(operation)
        if operation in _REPEATS:
            least, most, inner = argument
            part = _cost_of(inner, shown)
            if most > 1 and part.varies:
                raise UsageError(
                    f"{shown}: has a repeat or an alternative inside a repeat, which may take for ever; "
                    "take them apart, as [ab]+ for (a|b)+"
                )
            if least == most and most > _MOST_TIMES:
                raise UsageError(f"{shown}: repeats {most:,} times; at most {_MOST_TIMES:,} are taken")
            total.repeats += part.repeats + (least != most and most > 1)
            total.ways *= part.ways * (2 if least != most and most == 1 else 1)
        elif name == "SUBPATTERN":
            part = _cost_of(argument[-1], shown)
            total.repeats, total.ways = total.repeats + part.repeats, total.ways * part.ways
        elif name == "BRANCH":
            parts = [_cost_of(branch, shown) for branch in argument[1]]
            total.repeats += max(part.repeats for part in parts)
            total.ways *= sum(part.ways for part in parts)
        elif name not in _PLAIN:
            raise UsageError(f"{shown}: uses {name.lower()}, which may take for ever; take a plainer pattern")
    return total
