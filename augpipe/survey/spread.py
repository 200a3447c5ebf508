"""Least, median and greatest of numbers that are counted, not kept: a million take little more memory than a thousand.

A number is rounded to four significant digits before it is counted, so there are at most 9,000 different ones a decade,
and a median is off by a twentieth of a percent at most. Counts add up to the same in any order, so what comes out does
not depend on who has counted what.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


def significant(value: float) -> float:
    """``value`` rounded to four significant digits."""
    return float(f"{value:.4g}")


@dataclass(frozen=True)
class Spread:
    """Least, median (the mean of the two in the middle, where there are two) and greatest."""

    min: float
    median: float
    max: float


def spread_of(counts: Mapping[float, int] | Mapping[int, int]) -> Spread | None:
    """The spread of value → how often; ``None`` if nothing was counted."""
    values = sorted((value, count) for value, count in counts.items() if count > 0)
    if not values:
        return None
    total = sum(count for _, count in values)
    low, high = _at(values, (total - 1) // 2), _at(values, total // 2)
    return Spread(values[0][0], significant((low + high) / 2.0) if low != high else low, values[-1][0])


def median_of(counts: Mapping[float, int]) -> float | None:
    """The median alone."""
    spread = spread_of(counts)
    return None if spread is None else spread.median


def _at(values: Iterable[tuple[float, int]], place: int) -> float:
    """The value that stands at a place, from 0, when each is written as often as it was counted."""
    for value, count in values:
        place -= count
        if place < 0:
            return value
    raise IndexError(place)


def histogram(counts: Mapping[float, int], edges: tuple[float, ...]) -> tuple[int, ...]:
    """How many are in each [edge, next edge); what lies beyond the ends counts for the first and the last."""
    out = Counter[int]()
    for value, count in counts.items():
        place = bisect_right(edges, value) - 1
        out[max(0, min(place, len(edges) - 2))] += count
    return tuple(out[i] for i in range(len(edges) - 1))
