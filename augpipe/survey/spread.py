"""Least, median and greatest, of counts where values come again and again, else of plain numbers in four bytes each.

What comes out does not depend on the order, so not on who has counted what. It is told to four significant digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


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


def median_of(values: Sequence[float]) -> float | None:
    """The median of numbers, ``None`` of none."""
    return significant(float(np.median(np.asarray(values, np.float64)))) if len(values) else None


def _at(values: Iterable[tuple[float, int]], place: int) -> float:
    """The value that stands at a place, from 0, when each is written as often as it was counted."""
    for value, count in values:
        place -= count
        if place < 0:
            return value
    raise IndexError(place)


def histogram(values: Sequence[float], edges: tuple[float, ...]) -> tuple[int, ...]:
    """How many are in each [edge, next edge); what lies beyond the ends counts for the first and the last."""
    places = np.searchsorted(np.asarray(edges), np.asarray(values, np.float64), "right") - 1
    counts = np.bincount(np.clip(places, 0, len(edges) - 2), minlength=len(edges) - 1)
    return tuple(map(int, counts))
