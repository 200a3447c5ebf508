"""From findings to an answer: the mean and the worst of each measure beside its limits, and whether anything is off."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from augpipe.verify.findings import MEASURES, Fault, Findings, Measure, Where

_OF_ONE_MASK = 0.5  # pixels; its box goes by whole pixels, so that of one seems shifted by up to so much
_OF_MANY_MASKS = 1.5  # over the root of their number: 3 standard deviations of the median of so many roundings
_WORST = 50


@dataclass(frozen=True)
class Row:
    """One measure over all samples; ``where`` has the worst."""

    kind: str
    count: int
    mean: float
    worst: float
    where: Where
    limit: float
    mean_limit: float = math.inf

    @property
    def measure(self) -> Measure:
        """What it is."""
        return MEASURES[self.kind]

    @property
    def ok(self) -> bool:
        """Whether it is within its limits."""
        return self.worst <= self.limit and self.mean <= self.mean_limit


@dataclass(frozen=True)
class Verdict:
    """What a verification came to.

    ``worst`` are the samples and objects that are furthest off for their limits, worst first. ``checked`` samples were
    compared with their source, of ``samples``.
    """

    samples: int
    checked: int
    shards: int
    bytes: int
    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]
    worst: tuple[tuple[float, str, Where], ...] = field(default=())

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
            "faults": [{"where": fault.where, "message": fault.message} for fault in self.faults],
        }


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def rows_of(findings: Findings) -> list[Row]:
    """The rows of all measures that there are numbers of, in the order of the table."""
    rows: list[Row] = []
    for kind, measure in MEASURES.items():
        if kind == "shift":
            rows.extend(_shift_rows(findings, measure))
        elif values := findings.values.get(kind):
            worst, where = max(values, key=lambda item: item[0])
            mean = float(np.mean([value for value, _ in values]))
            rows.append(Row(kind, len(values), mean, worst, where, measure.worst, measure.mean))
    return rows


def _shift_rows(findings: Findings, measure: Measure) -> Iterable[Row]:
    """The median by which boxes of a kind lie to one side: half a pixel too far is in no single box's limit."""
    found = []
    for kind, shifts in findings.shifts.items():
        rounding = min(_OF_ONE_MASK, _OF_MANY_MASKS / math.sqrt(len(shifts)))
        limit = measure.worst + (rounding if kind == "mask" else 0.0)
        off = float(np.abs(np.median(np.array(shifts), axis=0)).max())
        found.append(Row("shift", len(shifts), off, off, Where(f"all boxes of {kind}"), limit))
    return sorted(found, key=lambda row: row.limit - row.worst)[:1]


def worst_of(findings: Findings) -> tuple[tuple[float, str, Where], ...]:
    """(how far off for its limit, kind, where) of the worst objects, worst first."""
    rated = [
        (value / MEASURES[kind].worst, kind, where)
        for kind, values in findings.values.items()
        for value, where in sorted(values, key=lambda item: -item[0])[:_WORST]
    ]
    return tuple(sorted(rated, key=lambda item: -item[0])[:_WORST])
