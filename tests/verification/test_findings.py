"""What numbers come to: limits, and by how much all boxes may lie to one side."""

from __future__ import annotations

import pytest

from augpipe.verification.findings import MEASURES, Findings, rows_of

WORST = MEASURES["shift"].worst


@pytest.mark.parametrize(
    ("kind", "count", "beyond", "ok"),
    [
        ("polygon", 1, -0.01, True),
        ("polygon", 1, 0.01, False),
        ("mask", 1, 0.49, True),  # the box of a single mask goes by whole pixels
        ("mask", 1, 0.51, False),
        ("mask", 4, 0.49, True),
        ("mask", 4, 0.51, False),
        ("mask", 100, 0.14, True),  # of many, only what is left of the median of their roundings
        ("mask", 100, 0.16, False),
    ],
)
def test_all_boxes_may_lie_to_one_side_by_their_rounding(kind, count, beyond, ok):
    (row,) = rows_of(Findings(shifts={kind: [(0.0, -WORST - beyond)] * count}))
    assert (row.kind, row.count, row.ok) == ("shift", count, ok)


def test_the_shift_that_is_told_is_the_one_that_is_furthest_off():
    shifts = {"mask": [(0.0, 0.0)] * 9, "polygon": [(WORST + 1, 0.0)] * 9, "obb": [(0.0, 0.0)]}
    (row,) = rows_of(Findings(shifts=shifts))
    assert (str(row.where), row.ok) == ("all boxes of polygon", False)


@pytest.mark.parametrize(("values", "worst", "ok"), [([0.0, 1.0], 1.0, True), ([0.0, 1.01], 1.01, False)])
def test_the_worst_of_a_measure_is_held_against_its_limit(values, worst, ok):
    (row,) = rows_of(Findings(values={"box polygon": [(value, f"object {n}") for n, value in enumerate(values)]}))
    assert (row.worst, row.where, row.ok) == (worst, "object 1", ok)
