"""COCO's run-length code against pycocotools and against the code read and written character by character."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from augpipe.core.annotations import Rings, Rle
from augpipe.labels import rle as masks

quick = settings(derandomize=True, database=None, deadline=None, max_examples=150)

SHAPES = [(1, 1), (1, 9), (9, 1), (2, 2), (7, 5), (5, 7), (33, 20), (40, 3)]


def encoded(bitmap):
    return coco_mask.encode(np.asfortranarray(bitmap.astype(np.uint8)))


def decoded(code, size_hw):
    """The bitmap run by run, down the columns."""
    h, w = size_hw
    flat = [i % 2 for i, run in enumerate(slowly_read(code)) for _ in range(run)]
    return np.array(flat, np.uint8).reshape(w, h).T


def pictures():
    """(name, bitmap) of every kind that has a corner of its own."""
    for h, w in SHAPES:
        blank = np.zeros((h, w), np.uint8)
        yield f"empty {h}x{w}", blank
        yield f"full {h}x{w}", blank + 1
        yield f"checkers {h}x{w}", (np.indices((h, w)).sum(axis=0) % 2).astype(np.uint8)
        for y, x in {(0, 0), (0, w - 1), (h - 1, 0), (h - 1, w - 1), (h // 2, w // 2)}:
            pixel, row, column, hole = blank.copy(), blank.copy(), blank.copy(), blank + 1
            pixel[y, x] = row[y] = column[:, x] = 1
            hole[y, x] = 0
            yield from (
                (f"{kind} {h}x{w} at {y},{x}", b)
                for kind, b in zip(("pixel", "row", "column", "hole"), (pixel, row, column, hole), strict=True)
            )
        across = blank.copy()  # one run from the middle of the first column to the middle of the last
        across.T.reshape(-1)[h // 2 : h * w - h // 2] = 1
        yield f"across {h}x{w}", across.copy()


PICTURES = dict(pictures())


@st.composite
def bitmaps(draw):
    h, w = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    share = draw(st.sampled_from([0.02, 0.3, 0.7, 0.98]))
    return (np.random.default_rng(draw(st.integers(0, 10**6))).random((h, w)) < share).astype(np.uint8)


# --- bitmaps ---------------------------------------------------------------------------------------------------------


def check_code(bitmap):
    h, w = bitmap.shape
    code, rle = encoded(bitmap), masks.rle_of(bitmap)
    assert (rle.size_hw, rle.counts) == ((h, w), code["counts"])
    assert masks.area_of(rle) == coco_mask.area(code) == bitmap.sum()
    assert (masks.rasterise(rle, (w, h)) == bitmap).all()
    masks.check(rle)
    window, (x, y) = masks.window_of(rle)
    if not bitmap.any():
        assert window.shape == (0, 0)
        return
    assert [x, y, window.shape[1], window.shape[0]] == coco_mask.toBbox(code).tolist()
    assert window.dtype == np.uint8
    assert (window == bitmap[y : y + window.shape[0], x : x + window.shape[1]]).all()
    assert masks.rle_of(window, (x, y), (w, h)).counts == code["counts"]


@pytest.mark.parametrize("name", PICTURES)
def test_code_of_a_bitmap_is_that_of_pycocotools(name):
    check_code(PICTURES[name])


@quick
@given(bitmaps())
def test_code_of_any_bitmap_is_that_of_pycocotools(bitmap):
    check_code(bitmap)


@quick
@given(bitmaps(), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_window_is_coded_as_the_whole_picture(bitmap, left, top, right, bottom):
    whole = np.pad(bitmap, ((top, bottom), (left, right)))
    h, w = whole.shape
    assert masks.rle_of(bitmap, (left, top), (w, h)).counts == encoded(whole)["counts"]


@quick
@given(bitmaps(), st.integers(2, 4))
def test_a_window_on_a_grid_starts_on_it_and_is_no_larger_than_it_must_be(bitmap, step):
    tight, (x, y) = masks.window_of(masks.rle_of(bitmap))
    window, (left, top) = masks.window_of(masks.rle_of(bitmap), step)
    assert left % step == top % step == 0
    if bitmap.any():
        assert 0 <= x - left < step
        assert 0 <= y - top < step
        assert (window == np.pad(tight, ((y - top, 0), (x - left, 0)))).all()


def test_a_large_picture():
    bitmap = np.zeros((3000, 2000), np.uint8)
    bitmap[100:2900, 700:1900] = 1
    bitmap[2000:, 1000:1003] = 0
    check_code(bitmap)


def test_true_and_255_are_ones_too():
    bitmap = PICTURES["checkers 7x5"]
    assert masks.rle_of(bitmap * 255).counts == masks.rle_of(bitmap.astype(bool)).counts == masks.rle_of(bitmap).counts


# --- strings ---------------------------------------------------------------------------------------------------------


def slowly_written(runs):
    """maskApi.c, rleToString: five bits a character from the lowest on, 0x20 where more follow."""
    out = []
    for i, run in enumerate(runs):
        x = int(run) - (int(runs[i - 2]) if i > 2 else 0)
        more = True
        while more:
            c = x & 0x1F
            x >>= 5
            more = x != -1 if c & 0x10 else x != 0
            out.append(chr((c | 0x20 if more else c) + 48))
    return "".join(out).encode()


def slowly_read(code):
    """maskApi.c, rleFrString."""
    runs, at = [], 0
    while at < len(code):
        x = k = 0
        more = True
        while more:
            c = code[at] - 48
            x |= (c & 0x1F) << 5 * k
            more = bool(c & 0x20)
            at, k = at + 1, k + 1
            if not more and c & 0x10:
                x |= -1 << 5 * k
        runs.append(x + (runs[len(runs) - 2] if len(runs) > 2 else 0))
    return runs


# One before, at and after every power of two that is the last to fit into so many characters.
EDGES = sorted(
    {(1 << k) + d for k in (0, 3, 4, 5, 8, 9, 10, 13, 14, 15, 18, 19, 20, 24, 25, 29, 30) for d in (-1, 0, 1)}
)


@pytest.mark.parametrize("first", [0, 1, 7])
def test_every_length_and_every_difference_at_the_edge_of_a_code(first):
    for length in EDGES:
        for runs in (
            [length],
            [0, length],
            [first, length, 3],
            [first, 1, 2, length],
            [5, length, 5, 1, length, length],
        ):
            code = slowly_written(runs)
            assert masks.counts_of(np.array(runs)) == code
            assert masks.runs_of(code).tolist() == slowly_read(code) == runs
            if max(runs) < 2**24:  # pycocotools writes beyond its memory
                uncompressed = {"size": [1, sum(runs)], "counts": runs}
                assert coco_mask.frPyObjects(uncompressed, 1, sum(runs))["counts"] == code


def test_every_short_length_once():
    runs = np.concatenate([np.arange(1100), np.arange(1100)[::-1]])  # differences +2 and −2 as well as the raw start
    code = masks.counts_of(runs)
    assert code == slowly_written(runs)
    assert masks.runs_of(code).tolist() == runs.tolist()


@quick
@given(st.lists(st.integers(0, 2**40), max_size=40) | st.lists(st.integers(0, 2**24), max_size=40))
def test_any_runs_and_back(runs):
    code = masks.counts_of(np.array(runs, np.int64))
    assert code == slowly_written(runs)
    assert masks.runs_of(code).tolist() == runs


def test_nothing_is_the_empty_string():
    assert masks.runs_of(b"").size == 0
    assert masks.counts_of(np.zeros(0, np.int64)) == b""


@pytest.mark.parametrize(
    "code",
    [b"/", b"p", b"\xff", b"1 2", b"P", b"11Q", b"o" * 12 + b"0", b"".join([b"o"] * 40) + b"0"],
    ids=["below", "above", "byte", "space", "unfinished", "unfinished last", "13 groups", "41 groups"],
)
def test_what_is_no_code_is_refused(code):
    with pytest.raises(ValueError, match="RLE"):
        masks.runs_of(code)


@pytest.mark.parametrize(
    "runs",
    [[], [5], [13], [0, 5, 6], [-1, 13], [6, -6, 12], [2**62] * 4 + [12], [2**32 + 12], [[12]]],
    ids=["none", "short", "long", "short of two", "negative", "negative inside", "wraps", "wraps in 32 bits", "nested"],
)
def test_runs_must_add_up_to_the_picture(runs):
    with pytest.raises(ValueError, match="RLE runs do not add up to 3×4 pixels"):
        masks.rle_of_runs(runs, (3, 4))


def test_check_finds_the_code_of_another_size():
    rle = masks.rle_of_runs([2, 3, 7], (3, 4))
    assert decoded(rle.counts, (3, 4)).T.reshape(-1).tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    masks.check(rle)
    with pytest.raises(ValueError, match="3×5 pixels"):
        masks.check(Rle((3, 5), rle.counts))


def test_runs_of_no_length_are_read():
    rle = Rle((4, 3), slowly_written([0, 2, 0, 3, 0, 0, 2, 0, 5]))
    assert masks.area_of(rle) == 5
    assert (masks.rasterise(rle, (3, 4)) == decoded(rle.counts, (4, 3))).all()
    window, origin = masks.window_of(rle)
    assert (window.tolist(), origin) == ([[1, 1], [1, 0], [1, 0], [1, 0]], (0, 0))


# --- polygons --------------------------------------------------------------------------------------------------------


def test_polygons_are_painted_by_pycocotools():
    rings = (np.array([[1.2, 1.0], [18.0, 3.5], [9.0, 14.1]]), np.array([[12.0, 8.0], [19.5, 8.0], [19.0, 14.9]]))
    codes = coco_mask.frPyObjects([r.reshape(-1).tolist() for r in rings], 15, 20)
    expected = decoded(coco_mask.merge(codes)["counts"], (15, 20))
    assert expected.sum() > 100
    assert (masks.rasterise(Rings(rings), (20, 15)) == expected).all()
    assert (masks.bitmap_of_rings(rings, (20, 15)) == expected).all()
    assert not masks.bitmap_of_rings((), (20, 15)).any()


def test_the_box_of_a_code_is_that_of_its_pixels():
    rng = np.random.default_rng(1)
    for _ in range(300):
        shape = SHAPES[rng.integers(len(SHAPES))]
        bitmap = (rng.random(shape) < rng.choice((0.02, 0.3, 0.9))).astype(np.uint8)
        rows, columns = np.nonzero(bitmap)
        whole = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if rows.size else None
        assert masks.box_of(masks.rle_of(bitmap)) == whole


def test_the_box_of_a_mask_that_no_memory_holds():
    side = 10**6
    assert masks.box_of(masks.rle_of_runs([side, side * side - side], (side, side))) == (1, 0, side, side)


@pytest.mark.parametrize("far", [2e6, 1e9, 1e300, np.inf, np.nan])
def test_a_ring_that_pycocotools_would_die_of_is_refused(far):
    with pytest.raises(ValueError, match="cannot be drawn"):
        masks.bitmap_of_rings([np.array([[0, 0], [far, 0], [0, far]], float)], (20, 10))
