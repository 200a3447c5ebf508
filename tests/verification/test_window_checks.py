"""The windows by which verification judges, beside those that runs make: two ways to the same numbers."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from builders import photo
from hypothesis import given, settings
from hypothesis import strategies as st

from augpipe.core.annotations import Annotations, Category, Frame, ObjectRow, objects_of
from augpipe.core.plan import Plan
from augpipe.verification.window_checks import cut_out, fault_of_window, may_lack, window_of
from augpipe.windows.samples import pieces_of, plan_of
from augpipe.windows.spec import ObjectWindows, Tiles

NAMES = {1: Category(1, 1, "ship")}
NOTHING = Annotations().objects


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.tuples(st.integers(16, 90), st.integers(16, 90)),
    st.floats(0, 0.7),
    st.booleans(),
)
def test_both_count_the_same_tiles(size: tuple[int, int], window: tuple[int, int], overlap: float, pad: bool) -> None:
    spec = Tiles(window, (int(window[0] * overlap), int(window[1] * overlap)), pad=pad)
    pieces = list(pieces_of(spec, Frame("a", size, Annotations()), 0, NAMES))
    for piece in pieces:
        there = window_of(spec, piece.number, NOTHING, size)
        assert there is not None
        assert list(there) == piece.plan.drawn[0].parameters["window_xyxy"]
        assert fault_of_window(piece.plan, spec, piece.number, there, size) is None
    assert window_of(spec, len(pieces), NOTHING, size) is None
    assert window_of(spec, -1, NOTHING, size) is None


sides = st.floats(0, 100)


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides, st.sampled_from(["share", "pixels"]), st.floats(0, 3), st.booleans())
def test_both_put_the_same_window_around_an_object(
    xa: float, xb: float, ya: float, yb: float, unit: str, margin: float, square: bool
) -> None:
    box = (min(xa, xb), min(ya, yb) / 2, max(xa, xb), max(ya, yb) / 2)
    spec = ObjectWindows(margin, unit, square)  # type: ignore[arg-type]
    source = Annotations(objects=objects_of([ObjectRow(0, 1, (0, 0, 1, 1), iscrowd=1), ObjectRow(4, 1, box)]))
    (piece,) = pieces_of(spec, Frame("a", (100, 50), source), 0, NAMES)
    there = window_of(spec, 4, source.objects, (100, 50))
    assert there is not None
    assert list(there) == piece.plan.drawn[0].parameters["window_xyxy"]
    assert fault_of_window(piece.plan, spec, 4, there, (100, 50)) is None
    assert window_of(spec, 0, source.objects, (100, 50)) is None  # a crowd
    assert window_of(spec, 1, source.objects, (100, 50)) is None  # there is none


TILES = Tiles((64, 64), (16, 16))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (lambda plan: msgspec.structs.replace(plan, drawn=()), "does not name window 1"),
        (lambda plan: plan_of(TILES, 1, (49, 0, 113, 64), (200, 64), 0), "does not name window 1"),
        (
            lambda plan: msgspec.structs.replace(plan, steps=plan_of(TILES, 1, (49, 0, 113, 64), (200, 64), 0).steps),
            "does not lead to window 1",
        ),
        (lambda plan: msgspec.structs.replace(plan, steps=()), "does not lead to window 1"),
        (lambda plan: msgspec.structs.replace(plan, steps=plan.steps * 2), "does not lead to window 1"),
    ],
)
def test_plans_of_other_windows_are_told(changed: object, told: str) -> None:
    there = window_of(TILES, 1, NOTHING, (200, 64))
    assert there == (48, 0, 112, 64)
    plan: Plan = changed(plan_of(TILES, 1, there, (200, 64), 0))  # type: ignore[operator]
    fault = fault_of_window(plan, TILES, 1, there, (200, 64))
    assert fault is not None
    assert told in fault


def test_a_tile_may_lack_what_it_does_not_touch_and_a_crop_all_others() -> None:
    objects = objects_of([ObjectRow(0, 1, (10, 10, 48, 20)), ObjectRow(2, 1, (40, 10, 49, 20))])
    assert [may_lack(TILES, 1, objects, row, (48, 0, 112, 64)) for row in (0, 1)] == [True, False]
    assert [may_lack(ObjectWindows(), 2, objects, row, (40, 10, 49, 20)) for row in (0, 1)] == [True, False]
    around = ObjectWindows(others=True)
    assert [may_lack(around, 2, objects, row, (40, 10, 49, 20)) for row in (0, 1)] == [False, False]


def test_pixels_are_cut_out_and_black_beside_the_picture() -> None:
    picture = photo((40, 30))
    np.testing.assert_array_equal(cut_out(picture, (5, 6, 25, 26)), picture[6:26, 5:25])
    padded = cut_out(picture[:, :, 0], (0, 0, 50, 50))
    np.testing.assert_array_equal(padded[:30, :40], picture[:, :, 0])
    assert padded.shape == (50, 50)
    assert not padded[30:].any()
    assert not padded[:, 40:].any()
