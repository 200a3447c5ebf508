"""What a verification finds: *measures* and *faults*.

A measure is a number with a limit for the worst and, for some, one for the mean; a fault is a sentence about something
that no limit applies to, such as an object that vanished.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from augpipe.core.errors import one_line


@dataclass(frozen=True)
class Measure:
    """One kind of number: its title, its unit, and the limits of the worst and of the mean."""

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


MISFIT = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)
"""The errors of taking JSON for one of ours that is not as docs/format.md has it."""


class ObjectRef(NamedTuple):
    """A sample by its KEY, and of it an object by its index in the source (−1: none), or a part in words."""

    key: str
    number: int = -1
    part: str = ""

    def __str__(self) -> str:
        words = self.part if self.number < 0 else f"object {self.number}"
        return f"{self.key} {words}".rstrip()


class Mistake(NamedTuple):
    """Something that is wrong."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


@dataclass
class Findings:
    """Collects what is found; those of many shards add up. ``shifts`` are signed (x, y) by kind of box."""

    values: dict[str, list[tuple[float, ObjectRef]]] = field(default_factory=dict)
    shifts: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    faults: list[Mistake] = field(default_factory=list)
    samples: int = 0

    def fault(self, where: ObjectRef | str, message: str) -> None:
        """Add something that is wrong."""
        self.faults.append(Mistake(str(where), message))

    def at(self, key: str) -> Reporter:
        """The reporter of one sample."""
        return Reporter(self, ObjectRef(key))

    def add(self, other: Findings) -> None:
        """Add all that was found elsewhere."""
        for kind, values in other.values.items():
            self.values.setdefault(kind, []).extend(values)
        for kind, shifts in other.shifts.items():
            self.shifts.setdefault(kind, []).extend(shifts)
        self.faults.extend(other.faults)
        self.samples += other.samples


@dataclass(frozen=True, eq=False)
class Reporter:
    """Takes findings about one sample, object or part of a sample."""

    findings: Findings
    where: ObjectRef

    def fault(self, message: str) -> None:
        """Add something that is wrong."""
        self.findings.fault(self.where, message)

    def misfit(self, error: Exception) -> None:
        """Add that the record of a sample cannot be read as one."""
        self.fault(f"its record is not as docs/format.md has it: {type(error).__name__}: {one_line(error, 120)}")

    def measured(self, kind: str, value: float) -> None:
        """Add a number of one of the :data:`MEASURES`; NaN counts as infinitely far off."""
        self.findings.values.setdefault(kind, []).append((math.inf if math.isnan(value) else value, self.where))

    def of(self, number: int = -1, part: str = "") -> Reporter:
        """The reporter of an object, or of a part, of the same sample."""
        return Reporter(self.findings, ObjectRef(self.where.key, number, part))


# --- verdict ----------------------------------------------------------------------------------------------------------


_OF_ONE_MASK = 0.5  # pixels; the box of a mask is rounded to whole pixels
_OF_MANY_MASKS = 1.5  # over the root of their number: 3 standard deviations of the median of so many roundings
_WORST = 50


@dataclass(frozen=True)
class MeasureRow:
    """One measure over all samples; ``where`` has the worst."""

    kind: str
    count: int
    mean: float
    worst: float
    where: ObjectRef
    limit: float
    mean_limit: float = math.inf

    @property
    def measure(self) -> Measure:
        """The entry of the table."""
        return MEASURES[self.kind]

    @property
    def ok(self) -> bool:
        """Whether it is within its limits."""
        return self.worst <= self.limit and self.mean <= self.mean_limit


@dataclass(frozen=True)
class Verdict:
    """The result of a verification; ``checked`` of ``samples`` were compared with their source.

    ``files`` is how many a dataset folder has.

    ``worst`` are (value by its limit, kind, where) of the samples and objects that are furthest off, worst first.
    """

    samples: int
    checked: int
    shards: int
    bytes: int
    rows: tuple[MeasureRow, ...]
    faults: tuple[Mistake, ...]
    worst: tuple[tuple[float, str, ObjectRef], ...] = field(default=())
    files: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is off."""
        return not self.faults and all(row.ok for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "ok": self.ok,
            "samples": self.samples,
            "checked": self.checked,
            "shards": self.shards,
            "bytes": self.bytes,
            "measures": {
                row.kind: {
                    "count": row.count,
                    "mean": _finite(row.mean),
                    "worst": _finite(row.worst),
                    "where": str(row.where),
                    "limit": row.limit,
                    "unit": row.measure.unit,
                    "ok": row.ok,
                }
                for row in self.rows
            },
            "faults": [fault._asdict() for fault in self.faults],
            **({} if self.files is None else {"files": self.files}),
        }


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def rows_of(findings: Findings) -> list[MeasureRow]:
    """The rows of all measures that there are numbers of, in the order of the table."""
    rows = []
    for kind, measure in MEASURES.items():
        if values := findings.values.get(kind):
            worst, where = max(values, key=lambda item: item[0])
            mean = float(np.mean([value for value, _ in values]))
            rows.append(MeasureRow(kind, len(values), mean, worst, where, measure.worst, measure.mean))
    return rows + _shift_rows(findings, MEASURES["shift"])


def _shift_rows(findings: Findings, measure: Measure) -> list[MeasureRow]:
    """The median by which boxes of a kind lie to one side, of the kind that is nearest to its limit.

    A wrong convention of pixel centres moves all boxes by half a pixel, which is within the limit of a single box.
    """
    rows = []
    for kind, shifts in findings.shifts.items():
        rounding = min(_OF_ONE_MASK, _OF_MANY_MASKS / math.sqrt(len(shifts)))
        limit = measure.worst + (rounding if kind == "mask" else 0.0)
        off = float(np.abs(np.median(np.array(shifts), axis=0)).max())
        rows.append(MeasureRow("shift", len(shifts), off, off, ObjectRef(f"all boxes of {kind}"), limit))
    return sorted(rows, key=lambda row: row.limit - row.worst)[:1]


def worst_of(findings: Findings) -> tuple[tuple[float, str, ObjectRef], ...]:
    """(value by its limit, kind, where) of the samples and objects that are furthest off, worst first."""
    rated = [
        (value / MEASURES[kind].worst, kind, where)
        for kind, values in findings.values.items()
        for value, where in sorted(values, key=lambda item: -item[0])[:_WORST]
    ]
    return tuple(sorted(rated, key=lambda item: -item[0])[:_WORST])
