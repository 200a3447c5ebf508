"""Counts of pictures, objects and classes, which add up: of any part of a dataset, then of all parts.

Beside counts, 12 bytes are held for an object, and a digest for each picture that may be a copy of another one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np

from augpipe.core.annotations import I64
from augpipe.survey.issues import Oddity, merge

HEAT = 32
"""Cells along each side of the map of centres."""

SMALL, MEDIUM = 32.0**2, 96.0**2
"""COCO's limits: an area in pixels below the first is small, below the second medium, else large."""

HeadDigest: TypeAlias = tuple[int, bytes]
"""Number of a picture in the dataset, and a digest of the first of its bytes."""


@dataclass
class ClassCounts:
    """One class. ``truncated`` and ``difficult`` are 0 or 1 → objects that say so, ``pixels`` those of masks."""

    objects: int = 0
    pictures: int = 0
    tags: int = 0
    pixels: int = 0
    crowd: int = 0
    truncated: Counter[int] = field(default_factory=Counter)
    difficult: Counter[int] = field(default_factory=Counter)
    areas: Counter[str] = field(default_factory=Counter)
    sizes_px: array[float] = field(default_factory=lambda: array("f"))
    shares: array[float] = field(default_factory=lambda: array("f"))
    aspects: array[float] = field(default_factory=lambda: array("f"))

    def add_box(self, sides_wh: tuple[float, float], area: float, picture_wh: tuple[int, int] | None) -> None:
        """Count a box, by its sides, the area of its object, and the size of its picture, where that is known."""
        w, h = sides_wh
        self.sizes_px.append((w * h) ** 0.5)
        self.aspects.append(w / h)
        self.areas["small" if area < SMALL else "medium" if area < MEDIUM else "large"] += 1
        if picture_wh is not None:
            self.shares.append(w * h / (picture_wh[0] * picture_wh[1]))

    def add(self, other: ClassCounts) -> None:
        """Add the counts of another part."""
        _add(self, other)


@dataclass
class PictureCounts:
    """Some pictures.

    ``sizes`` is (width, height), upright → pictures; ``per_picture`` number of objects → pictures; ``kinds`` label kind
    → how many; ``heat`` (HEAT, HEAT) the centres of boxes, row by row. ``of_splits`` are pictures and
    ``objects_of_splits`` objects by split.
    """

    pictures: int = 0
    readable: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    colours: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    turned: int = 0
    per_picture: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    classes: dict[int, ClassCounts] = field(default_factory=dict)
    heat: I64 = field(default_factory=lambda: np.zeros((HEAT, HEAT), np.int64))
    oddities: dict[str, Oddity] = field(default_factory=dict)
    heads: list[HeadDigest] = field(default_factory=list)
    of_splits: Counter[str] = field(default_factory=Counter)
    objects_of_splits: Counter[str] = field(default_factory=Counter)

    def of_class(self, category_id: int) -> ClassCounts:
        """The counts of one class."""
        return self.classes.setdefault(category_id, ClassCounts())

    def every(self) -> ClassCounts:
        """All classes together."""
        out = ClassCounts()
        for counts in self.classes.values():
            out.add(counts)
        return out

    def add(self, later: PictureCounts) -> None:
        """Add the counts of a part that comes later in the dataset."""
        _add(self, later)
        for category_id, counts in later.classes.items():
            self.of_class(category_id).add(counts)
        for code, oddity in later.oddities.items():
            merge(self.oddities, code, oddity)


def _add(counts: Any, more: Any) -> None:
    """Add up numbers, counters and lists; plain dicts are left to the caller."""
    for name, value in vars(more).items():
        if isinstance(value, Counter):
            getattr(counts, name).update(value)
        elif isinstance(value, array | list):
            getattr(counts, name).extend(value)
        elif not isinstance(value, dict):
            setattr(counts, name, getattr(counts, name) + value)


# --- spread -----------------------------------------------------------------------------------------------------------


def significant(value: float) -> float:
    """``value`` rounded to four significant digits."""
    return float(f"{value:.4g}")


@dataclass(frozen=True)
class Spread:
    """Least, median and greatest."""

    min: float
    median: float
    max: float


def spread_of(counts: Mapping[float, int] | Mapping[int, int]) -> Spread | None:
    """The spread of value → how often; ``None`` if nothing was counted."""
    values = sorted((value, count) for value, count in counts.items() if count > 0)
    if not values:
        return None
    ends = list(accumulate(count for _, count in values))
    low, high = (values[bisect_right(ends, place)][0] for place in ((ends[-1] - 1) // 2, ends[-1] // 2))
    return Spread(values[0][0], significant((low + high) / 2.0) if low != high else low, values[-1][0])


def median_of(values: Sequence[float]) -> float | None:
    """The median of numbers, ``None`` of none."""
    return significant(float(np.median(np.asarray(values, np.float64)))) if len(values) else None


def histogram(values: Sequence[float], edges: tuple[float, ...]) -> tuple[int, ...]:
    """How many are in each [edge, next edge); what lies beyond the ends counts for the first and the last."""
    places = np.searchsorted(np.asarray(edges), np.asarray(values, np.float64), "right") - 1
    counts = np.bincount(np.clip(places, 0, len(edges) - 2), minlength=len(edges) - 1)
    return tuple(map(int, counts))
