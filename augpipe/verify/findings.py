"""What a check has found: how far off each label is, by kind, and what is plainly wrong.

A *measure* has a limit for the worst and, for some, one for the mean; :data:`MEASURES` is the table of them all.
A *fault* is a sentence about something that no limit applies to, such as an object that vanished.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True)
class Measure:
    """One kind of number: what it is for people, its unit, the worst and the mean that are right."""

    title: str
    unit: str
    worst: float
    mean: float = math.inf


MEASURES = {
    "box mask": Measure("boxes of masks", "px", 1.0),
    "box tip": Measure("boxes of masks, where these end in a sliver", "px", 2.0),
    "box polygon": Measure("boxes of polygons", "px", 1.0),
    "box obb": Measure("boxes of oriented boxes", "px", 1.0),
    "box ellipse": Measure("plain boxes by ellipse", "px", 1.0),
    "box corners": Measure("plain boxes by corners", "px", 1.0),
    "box source": Measure("boxes that did not move", "px", 0.001),
    "mask": Measure("masks, of their outline", "px", 0.6, 0.3),
    "polygon": Measure("polygons, of their outline", "px", 0.6, 0.3),
    "obb": Measure("oriented boxes", "px", 0.75),
    "parts": Measure("boxes of parts", "px", 1.0),
    "keypoints": Measure("keypoints", "px", 0.05),
    "visible": Measure("visible shares", "", 0.03),
    "area": Measure("areas of masks and polygons", "", 0.1),
    "semantic": Measure("semantic masks, of their borders", "px", 0.3),
    "instance": Measure("instance masks, of their borders", "px", 0.3),
    "panoptic": Measure("panoptic masks, of their borders", "px", 0.3),
    "value": Measure("masks, each value by its border", "px", 0.3),
    "picture": Measure("pictures", "levels", 3.0, 1.0),
    "spot": Measure("pictures, where they differ most", "levels", 8.0),
    "shift": Measure("boxes, shifted as a whole", "px", 0.1),
}


class Where(NamedTuple):
    """A sample by its KEY, and of it an object by its index in the source (−1: none), or a part in words."""

    key: str
    number: int = -1
    part: str = ""

    def __str__(self) -> str:
        words = self.part if self.number < 0 else f"object {self.number}"
        return f"{self.key} {words}".rstrip()


class Fault(NamedTuple):
    """Something that is wrong."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


@dataclass
class Findings:
    """Collects what is found; those of many shards add up. ``shifts`` are signed (x, y) by kind of box."""

    values: dict[str, list[tuple[float, Where]]] = field(default_factory=dict)
    shifts: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    samples: int = 0

    def measured(self, kind: str, value: float, where: Where) -> None:
        """A number of one of the :data:`MEASURES`; one that is none counts as infinitely far off."""
        self.values.setdefault(kind, []).append((value if not math.isnan(value) else math.inf, where))

    def fault(self, where: Where | str, message: str) -> None:
        """Something that is wrong."""
        self.faults.append(Fault(str(where), message))

    def add(self, others: Iterable[Findings]) -> Findings:
        """This one with what others have found."""
        for other in others:
            for kind, values in other.values.items():
                self.values.setdefault(kind, []).extend(values)
            for kind, shifts in other.shifts.items():
                self.shifts.setdefault(kind, []).extend(shifts)
            self.faults.extend(other.faults)
            self.samples += other.samples
        return self
