"""Connected components of masks against a plain flood fill, and pycocotools as the reader of their codes."""

from __future__ import annotations

import numpy as np
import pytest
from builders import decode
from pycocotools import mask as coco_mask

from augpipe.labels import components
from augpipe.labels.components import components_of


def flooded(raster: np.ndarray, value: int) -> set[frozenset[tuple[int, int]]]:
    """The components of a value as sets of (y, x): from each pixel on to its eight neighbours."""
    left = set(zip(*(axis.tolist() for axis in np.nonzero(raster == value)), strict=True))
    out = set()
    while left:
        todo, found = [left.pop()], set()
        while todo:
            y, x = todo.pop()
            found.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            todo += near
        out.add(frozenset(found))
    return out


def pixels(mask) -> frozenset[tuple[int, int]]:
    bitmap = decode(mask)
    return frozenset(zip(*(axis.tolist() for axis in np.nonzero(bitmap)), strict=True))


def ring() -> np.ndarray:
    out = np.zeros((9, 11), np.uint8)
    out[1:8, 2:9] = 3
    out[3:6, 4:7] = 0  # a hole
    out[4, 5] = 3  # and an island in it
    return out


CASES = {
    "noise": np.random.default_rng(1).integers(0, 4, (23, 31)).astype(np.uint8),
    "sparse": (np.random.default_rng(2).random((40, 17)) < 0.2).astype(np.uint16) * 300,
    "ring": ring(),
    "one pixel": np.full((1, 1), 7, np.uint8),
    "full": np.full((5, 4), 2, np.uint8),
    "diagonal": np.eye(6, dtype=np.uint8),
    "row": np.array([[1, 0, 1, 1, 0, 2]], np.uint8),
    "empty": np.zeros((4, 4), np.uint8),
}


@pytest.mark.parametrize("chunk", [1, 64, 1 << 20])
@pytest.mark.parametrize("name", list(CASES))
def test_components_are_those_of_a_flood_fill(name, chunk, monkeypatch):
    monkeypatch.setattr(components, "_CHUNK", chunk)  # runs are cut between columns, and put together again
    raster = CASES[name]
    values = {int(v) for v in np.unique(raster)} - {0}
    found = components_of(raster, values, 10_000)
    for value in values:
        assert {pixels(c.mask) for c in found if c.value == value} == flooded(raster, value)
    for one in found:
        ys, xs = zip(*pixels(one.mask), strict=True)
        assert one.box_xyxy == (min(xs), min(ys), max(xs) + 1, max(ys) + 1)
        # The code of one mask has one spelling, which is pycocotools' own.
        assert coco_mask.encode(np.asfortranarray(decode(one.mask)))["counts"] == one.mask.counts


def test_values_that_are_not_asked_for_are_no_components():
    raster = np.array([[1, 1, 255], [0, 2, 255]], np.uint8)
    assert [c.value for c in components_of(raster, {1, 2}, 9)] == [1, 2]
    assert components_of(raster, {5}, 9) == []


def test_the_order_is_by_value_and_first_pixel_down_the_columns():
    raster = np.array([[0, 2, 0, 0, 1], [1, 0, 0, 2, 0], [0, 0, 0, 0, 0], [1, 0, 2, 0, 1]], np.uint8)
    firsts = [(c.value, min(pixels(c.mask), key=lambda at: (at[1], at[0]))) for c in components_of(raster, {1, 2}, 9)]
    assert firsts == [(1, (1, 0)), (1, (3, 0)), (1, (0, 4)), (1, (3, 4)), (2, (0, 1)), (2, (3, 2)), (2, (1, 3))]


def test_too_many_are_refused_before_their_masks_are_made():
    raster = np.zeros((20, 20), np.uint8)
    raster[::2, ::2] = 1
    assert len(components_of(raster, {1}, 100)) == 100
    with pytest.raises(ValueError, match="more than 99 connected components"):
        components_of(raster, {1}, 99)
