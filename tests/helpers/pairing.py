"""Some of all pairs: enough that every value is met by several partners, where all pairs would prove no more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def some_pairs(rows: Sequence[A], columns: Sequence[B], each: int) -> list[tuple[A, B]]:
    """Each row with ``each`` columns, in turns; with ``AUGPIPE_FUZZ`` in the environment all pairs."""
    if "AUGPIPE_FUZZ" in os.environ or each >= len(columns):
        return [(row, column) for row in rows for column in columns]
    count = len(columns)  # after each pass through the columns the next row begins one further on
    return [
        (row, columns[(n * each + n * each // count + k) % count]) for n, row in enumerate(rows) for k in range(each)
    ]
