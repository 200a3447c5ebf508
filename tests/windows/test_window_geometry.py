"""Windows by plain arithmetic, and what must hold of all of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augpipe.windows.geometry import around, starts, tiles


@pytest.mark.parametrize(
    ("side", "window", "overlap", "expected"),
    [
        (100, 100, 20, [0]),
        (60, 100, 20, [0]),
        (180, 100, 20, [0, 80]),
        (181, 100, 20, [0, 80, 81]),
        (260, 100, 20, [0, 80, 160]),
        (250, 100, 20, [0, 80, 150]),
        (300, 100, 0, [0, 100, 200]),
        (101, 100, 99, [0, 1]),
        (10_000, 1024, 205, [0, 819, 1638, 2457, 3276, 4095, 4914, 5733, 6552, 7371, 8190, 8976]),
    ],
)
def test_windows_along_a_side_by_hand(side: int, window: int, overlap: int, expected: list[int]) -> None:
    assert starts(side, window, overlap) == expected


sides = st.integers(1, 60)


@st.composite
def grids(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    w, h = draw(sides), draw(sides)
    return (draw(sides), draw(sides)), (w, h), (draw(st.integers(0, w - 1)), draw(st.integers(0, h - 1)))


@settings(max_examples=60, deadline=None)
@given(grids())
def test_each_pixel_lies_in_a_window_and_windows_have_the_full_size(
    grid: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
) -> None:
    size, window, overlap = grid
    seen = np.zeros((size[1], size[0]), int)
    found = tiles(size, window, overlap)
    assert len(set(found)) == len(found)
    for x0, y0, x1, y1 in found:
        assert (x1 - x0, y1 - y0) == (min(window[0], size[0]), min(window[1], size[1]))
        assert 0 <= x0 < x1 <= size[0]
        assert 0 <= y0 < y1 <= size[1]
        seen[y0:y1, x0:x1] += 1
    assert seen.min() >= 1
    # Neighbours share the overlap at least, so what is no larger than that lies whole in a window.
    for axis in (0, 1):
        firsts = sorted({found_[axis] for found_ in found})
        assert all(b - a <= window[axis] - overlap[axis] for a, b in pairwise(firsts))


@settings(max_examples=60, deadline=None)
@given(grids())
def test_padded_windows_have_the_full_size_always(
    grid: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
) -> None:
    size, window, overlap = grid
    padded, cut = tiles(size, window, overlap, pad=True), tiles(size, window, overlap)
    assert [w[:2] for w in padded] == [w[:2] for w in cut]
    assert {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in padded} == {window}


@pytest.mark.parametrize(
    ("box", "margin", "square", "expected"),
    [
        ((20.0, 30.0, 40.0, 40.0), (0.0, 0.0), False, (20, 30, 40, 40)),
        ((20.4, 30.6, 39.5, 39.5), (0.0, 0.0), False, (20, 30, 40, 40)),
        ((20.0, 30.0, 40.0, 40.0), (2.0, 1.0), False, (18, 29, 42, 41)),
        ((1.0, 1.0, 99.0, 49.0), (5.0, 5.0), False, (0, 0, 100, 50)),
        ((20.0, 20.0, 40.0, 30.0), (0.0, 0.0), True, (20, 15, 40, 35)),
        ((20.0, 0.0, 40.0, 10.0), (0.0, 0.0), True, (20, 0, 40, 20)),  # moved into the picture
        ((20.0, 40.0, 40.0, 50.0), (0.0, 0.0), True, (20, 30, 40, 50)),
        ((0.0, 0.0, 80.0, 10.0), (0.0, 0.0), True, (0, 0, 80, 50)),  # the picture is not as high
        ((99.9999, 10.0, 100.0, 20.0), (0.0, 0.0), False, (99, 10, 100, 20)),
        ((100.0, 50.0, 100.0, 50.0), (0.0, 0.0), False, (99, 49, 100, 50)),  # nothing: a pixel at the edge
    ],
)
def test_the_window_around_a_box_by_hand(
    box: tuple[float, float, float, float],
    margin: tuple[float, float],
    square: bool,
    expected: tuple[int, int, int, int],
) -> None:
    assert around(box, (100, 50), margin, square=square) == expected


coordinates = st.floats(0, 100, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(coordinates, coordinates, coordinates, coordinates, st.floats(0, 300), st.booleans())
def test_the_window_around_a_box_holds_it_and_stays_in_the_picture(
    xa: float, xb: float, ya: float, yb: float, margin: float, square: bool
) -> None:
    x0, x1, y0, y1 = min(xa, xb), max(xa, xb), min(ya, yb) / 2, max(ya, yb) / 2
    left, top, right, bottom = around((x0, y0, x1, y1), (100, 50), (margin, margin), square=square)
    assert 0 <= left < right <= 100
    assert 0 <= top < bottom <= 50
    assert left <= x0 <= x1 <= right
    assert top <= y0 <= y1 <= bottom
    if square:
        assert right - left == bottom - top or bottom - top == 50
