"""Run-length codes of every kind: a mask, or a ValueError that the readers expect. pycocotools judges what is one."""

from __future__ import annotations

from typing import Any

import numpy as np
from builders import decode
from fuzzing import ODD_VALUES, damaged, fuzzed
from hypothesis import given
from hypothesis import strategies as st

from augpipe.core.annotations import Rings, Rle
from augpipe.formats.coco.fields import rings_of, rle_of_json, segmentation_of
from augpipe.labels import rle as masks

CODES = tuple(
    masks.rle_of((np.random.default_rng(i).random((10, 20)) > 0.1 * i).astype(np.uint8)).counts for i in range(1, 10)
)
SIDES = st.integers(-1, 40) | st.sampled_from((0, 2**31, 2**62, 1.0, 0.5, None, True, "3"))


def check(rle: Rle) -> None:
    """A code that is accepted is one: our bitmap and pycocotools' are the same, and it can be written again."""
    if rle.size_hw[0] * rle.size_hw[1] > 10**6:
        return
    bitmap = masks.rasterise(rle, rle.size_hw[::-1])
    assert np.array_equal(bitmap, decode(rle))
    assert masks.area_of(rle) == bitmap.sum()
    assert np.array_equal(masks.rasterise(masks.rle_of(bitmap), rle.size_hw[::-1]), bitmap)


@given(
    counts=damaged(CODES)
    | st.binary(max_size=40)
    | st.text("0123456789:;<=>?@ABCDEFGHPQRSTUVWXYZ`abcdefghijklmno").map(str.encode)
)
@fuzzed(250)
def test_compressed_codes(counts: bytes):
    for size in ((10, 20), (1, 200), (200, 1), (7, 3)):
        rle = Rle(size, counts)
        try:
            masks.check(rle)
        except ValueError:
            continue
        check(rle)


@given(
    size=st.lists(SIDES, max_size=3) | st.sampled_from(ODD_VALUES),
    counts=st.lists(st.integers(0, 60), max_size=8)
    | st.lists(st.integers() | st.floats() | st.none() | st.booleans() | st.text(max_size=2), max_size=6)
    | st.sampled_from(ODD_VALUES)
    | st.text(max_size=12),
    stated=st.none() | st.just((20, 10)),
)
@fuzzed(250)
def test_segmentations_of_json(size: Any, counts: Any, stated: tuple[int, int] | None):
    value = {"size": size, "counts": counts}
    notes: set[str] = set()
    found = segmentation_of(value, stated, notes)
    assert (found is None) == bool(notes)
    if isinstance(found, Rle):
        assert rle_of_json(value, stated).counts == found.counts
        check(found)


@given(rings=st.lists(st.lists(st.floats() | st.integers() | st.sampled_from(ODD_VALUES), max_size=9), max_size=4))
@fuzzed(120)
def test_rings(rings: list[Any]):
    usable = list(rings_of(rings))
    assert all(ring.shape[0] >= 3 and np.isfinite(ring).all() for ring in usable)
    notes: set[str] = set()
    found = segmentation_of(rings, (20, 10), notes)
    assert (found is None) == (not usable)
    if isinstance(found, Rings):
        masks.bitmap_of_rings(found.rings, (20, 10))
