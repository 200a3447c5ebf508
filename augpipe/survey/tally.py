"""What is counted while pictures are looked at, in numbers that add up: of any part of a dataset, then of all parts.

Beside counts 12 bytes are held for an object, which is half of what the index of a dataset holds for it, and some for
each picture that may be a copy of another one.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from augpipe.core.annotations import I64
from augpipe.survey import issues
from augpipe.survey.issues import Oddity

HEAT = 32
"""Cells along each side of the map of centres."""

SMALL, MEDIUM = 32.0**2, 96.0**2
"""COCO's limits: an area in pixels below the first is small, below the second medium, else large."""

Print: TypeAlias = tuple[int, bytes]
"""Number of a picture in the dataset, and a digest of the first of its bytes."""


@dataclass
class ClassTally:
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
        """A box with its sides, the area of its object, and the size of its picture, where that is known."""
        w, h = sides_wh
        self.sizes_px.append((w * h) ** 0.5)
        self.aspects.append(w / h)
        self.areas["small" if area < SMALL else "medium" if area < MEDIUM else "large"] += 1
        if picture_wh is not None:
            self.shares.append(w * h / (picture_wh[0] * picture_wh[1]))

    def add(self, other: ClassTally) -> None:
        """All of another part."""
        for name, value in vars(other).items():
            if isinstance(value, Counter):
                getattr(self, name).update(value)
            elif isinstance(value, array):
                getattr(self, name).extend(value)
            else:
                setattr(self, name, getattr(self, name) + value)


@dataclass
class PictureCounts:
    """Some pictures.

    ``sizes`` is (width, height), upright → pictures; ``per_picture`` number of objects → pictures; ``kinds`` label kind
    → how many; ``heat`` (HEAT, HEAT) the centres of boxes, row by row.
    """

    pictures: int = 0
    readable: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    colours: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    turned: int = 0
    per_picture: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    classes: dict[int, ClassTally] = field(default_factory=dict)
    heat: I64 = field(default_factory=lambda: np.zeros((HEAT, HEAT), np.int64))
    oddities: dict[str, Oddity] = field(default_factory=dict)
    prints: list[Print] = field(default_factory=list)

    def of_class(self, category_id: int) -> ClassTally:
        """The counts of one class."""
        found = self.classes.get(category_id)
        if found is None:
            found = self.classes[category_id] = ClassTally()
        return found

    def every(self) -> ClassTally:
        """All classes together."""
        out = ClassTally()
        for tally in self.classes.values():
            out.add(tally)
        return out

    def add(self, later: PictureCounts) -> None:
        """All of a part that comes later in the dataset."""
        self.pictures += later.pictures
        self.readable += later.readable
        self.turned += later.turned
        for name in ("sizes", "colours", "formats", "per_picture", "kinds"):
            getattr(self, name).update(getattr(later, name))
        for category_id, tally in later.classes.items():
            self.of_class(category_id).add(tally)
        self.heat += later.heat
        issues.merge(self.oddities, later.oddities)
        self.prints += later.prints


# --- spread -----------------------------------------------------------------------------------------------------------


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
