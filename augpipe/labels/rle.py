"""Masks as COCO's run-length code, read and written through a window around the object.

COCO's RLE runs down the columns of the whole picture; runs become a bitmap of the object's own window, which is much
smaller, and the other way round.
The compressed string is that of pycocotools' ``maskApi.c`` (rleToString, rleFrString), bit for bit: each number in
groups of five bits, lowest first, and from the fourth number on the difference to the one two places before it.
OpenCV and pycocotools are imported where they are used, as most conversions have no masks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from augpipe.core.annotations import F64, I64, U8, Rings, Rle, Segmentation

LONGEST_OUTLINE = 5e6
"""Pixels along a ring that is drawn: pycocotools takes 40 bytes for each, and for the memory that it gets."""

_LONGEST_CODE = 12
_SHIFTS = 5 * np.arange(_LONGEST_CODE + 1)
_PAST_CODE = np.int64(1) << (_SHIFTS[1:] - 1)
"""The least number that does not fit into 1, 2, 3, … groups of five bits: 16, 512, 16384, …"""


def runs_of(counts: bytes) -> I64:
    """The run lengths (zeros first) that a compressed string stands for.

    Raises:
        ValueError: if the string is not such a code.
    """
    if not counts:
        return np.zeros(0, np.int64)
    chars = np.frombuffer(counts, np.uint8) - np.uint8(48)  # what lies below the alphabet wraps to above it
    if chars.max() > 63 or chars[-1] > 31:
        raise ValueError("not a compressed RLE string")
    ends = (chars < 32).nonzero()[0]
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, ends[:-1] + 1
    extra = ends - starts
    longest = int(extra.max())
    if longest >= _LONGEST_CODE:
        raise ValueError("a run of the RLE is longer than any picture")
    bits = (chars & 31).astype(np.int64)
    bits[ends] = (bits[ends] ^ 16) - 16  # the highest bit is the sign
    values: I64 = bits[starts]
    for group in range(1, longest + 1):
        longer = (extra >= group).nonzero()[0]
        values[longer] += bits[starts[longer] + group] << (5 * group)
    for parity in (1, 2):
        values[parity::2] = values[parity::2].cumsum()
    return values


def counts_of(runs: I64) -> bytes:
    """The compressed string of run lengths."""
    if runs.size == 0:
        return b""
    if runs.max() < _PAST_CODE[4]:  # pycocotools has no room for longer codes, but ten times our speed
        from pycocotools import mask as coco_mask

        code: bytes = coco_mask.frPyObjects({"size": [1, 1], "counts": runs}, 1, 1)["counts"]
        return code
    values = runs.astype(np.int64)
    values[3:] -= runs[1:-2]
    last = _PAST_CODE.searchsorted(values ^ (values >> 63), "right")  # v ^ −1 = −v − 1 takes as many bits as −v
    places = np.arange(int(last.max()) + 1)
    chars = (values[:, None] >> _SHIFTS[: places.size]) & 31
    chars += np.where(places < last[:, None], 80, 48)
    kept: U8 = chars.astype(np.uint8)[places <= last[:, None]]
    return kept.tobytes()


def rle_of_runs(runs: Sequence[int] | I64, size_hw: tuple[int, int]) -> Rle:
    """A mask from uncompressed COCO counts.

    Raises:
        ValueError: if the runs are negative or do not add up to the picture.
    """
    checked = np.asarray(runs, np.int64)
    total = size_hw[0] * size_hw[1]
    # Each alone first: a sum of huge numbers can wrap round to the right one.
    fit = checked.ndim == 1 and bool(((checked >= 0) & (checked <= total)).all())
    if not fit or int(checked.sum()) != total:
        raise ValueError(f"RLE runs do not add up to {size_hw[0]}×{size_hw[1]} pixels")
    return Rle(size_hw, counts_of(checked))


def area_of(rle: Rle) -> int:
    """Number of pixels in the mask."""
    return int(runs_of(rle.counts)[1::2].sum())


def check(rle: Rle) -> None:
    """Make sure that the code describes a mask of its own size.

    Raises:
        ValueError: saying what is wrong.
    """
    rle_of_runs(runs_of(rle.counts), rle.size_hw)


def box_of(rle: Rle) -> tuple[int, int, int, int] | None:
    """The tight box xyxy around a mask, from its runs alone, as its pixels may be more than memory holds."""
    edges = _edges_of(rle)
    return _box_around(edges, rle.size_hw[0]) if edges.size else None


def _edges_of(rle: Rle) -> I64:
    """First and past-the-last place (n, 2) of every run of ones."""
    ends = runs_of(rle.counts).cumsum()
    edges = ends[: ends.size // 2 * 2].reshape(-1, 2)
    longer: I64 = edges[edges[:, 1] > edges[:, 0]]
    return longer


def _box_around(edges: I64, height: int) -> tuple[int, int, int, int]:
    starts, stops = edges[:, 0], edges[:, 1]
    skipped = starts // height * height
    top, bottom = int((starts - skipped).min()), int((stops - skipped).max())
    if bottom > height:  # a run over the end of a column is at the bottom of one and at the top of the next
        top, bottom = 0, height
    return int(starts[0]) // height, top, (int(stops[-1]) - 1) // height + 1, bottom


def window_of(rle: Rle, step: int = 1) -> tuple[U8, tuple[int, int]]:
    """The tight bitmap (h, w) of 0 and 1 around the mask and the (x, y) of its top left pixel; 0×0 if it is empty.

    With a ``step`` x and y are multiples of it, and up to ``step`` − 1 empty columns and rows come first.
    """
    height, edges = rle.size_hw[0], _edges_of(rle)
    if edges.size == 0:
        return np.zeros((0, 0), np.uint8), (0, 0)
    left, top, right, bottom = _box_around(edges, height)
    left, top = left - left % step, top - top % step
    rows = bottom - top
    places = edges - (edges[:, 0] // height * (height - rows) + (left * rows + top))[:, None]
    lengths = np.empty(2 * len(places) + 1, np.int64)
    flat = places.reshape(-1)
    lengths[0], lengths[1:-1], lengths[-1] = flat[0], flat[1:] - flat[:-1], (right - left) * rows - flat[-1]
    values = np.zeros(lengths.size, np.uint8)
    values[1::2] = 1
    from augpipe.core.opencv import cv2

    upright: U8 = cv2.transpose(values.repeat(lengths).reshape(right - left, rows))  # type: ignore[assignment]
    return upright, (left, top)


def rle_of(bitmap: U8, origin: tuple[int, int] = (0, 0), size_wh: tuple[int, int] | None = None) -> Rle:
    """The code of a window's bitmap whose top left pixel is at ``origin`` of a picture of ``size_wh``.

    Without ``size_wh`` the bitmap is the whole picture; a window must lie inside it.
    """
    rows, columns = bitmap.shape
    width, height = size_wh or (columns, rows)
    # An empty row below keeps the runs of neighbouring columns apart, one empty pixel before all of them starts it.
    line = np.zeros(1 + columns * (rows + 1), bool)
    line[1:].reshape(columns, rows + 1)[:, :rows] = bitmap.T
    flips = (line[1:] != line[:-1]).nonzero()[0]
    edges = flips + flips // (rows + 1) * (height - rows - 1) + (origin[0] * height + origin[1])
    if rows == height:  # a run that reaches the bottom goes on at the top of the next column
        apart = np.ones(edges.size, bool)
        apart[1:-1] = (edges[1:-1:2] != edges[2::2]).repeat(2)
        edges = edges[apart]
    runs = np.empty(edges.size + 1, np.int64)
    runs[:-1] = edges
    runs[-1] = width * height
    runs[1:] -= edges
    return Rle((height, width), counts_of(runs[:-1] if runs.size > 1 and runs[-1] == 0 else runs))


def rasterise(segmentation: Segmentation, size_wh: tuple[int, int]) -> U8:
    """The whole mask (H, W) of 0 and 1; polygons by pycocotools' rule, which COCO's evaluation uses."""
    width, height = size_wh
    if isinstance(segmentation, Rings):
        return bitmap_of_rings(segmentation.rings, size_wh)
    bitmap, (x, y) = window_of(segmentation)
    out = np.zeros((height, width), np.uint8)
    out[y : y + bitmap.shape[0], x : x + bitmap.shape[1]] = bitmap
    return out


def length_of(ring: F64) -> float:
    """Pixels along the outline of a polygon (n, 2), as they are counted for drawing it; NaN or inf if it has none."""
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.abs(np.diff(ring, axis=0, append=ring[:1]))
        return float(steps.max(axis=1).sum())


def bitmap_of_rings(rings: Sequence[F64], size_wh: tuple[int, int]) -> U8:
    """The union of polygons (n, 2) as a bitmap (H, W), drawn by pycocotools; raises as :func:`rle_of_rings`."""
    return rasterise(rle_of_rings(rings, size_wh), size_wh) if rings else np.zeros(size_wh[::-1], np.uint8)


def rle_of_rings(rings: Sequence[F64], size_wh: tuple[int, int]) -> Rle:
    """The code of the union of polygons (n, 2), drawn by pycocotools.

    Raises:
        ValueError: for fewer than three points, and for a ring so long that pycocotools would have no memory for it,
            and would not look whether it has.
    """
    width, height = size_wh
    if not rings:
        return Rle((height, width), b"")
    if min(map(len, rings)) < 3:
        raise ValueError("a ring of fewer than three points")
    if not max(map(length_of, rings)) <= LONGEST_OUTLINE:
        raise ValueError(f"a ring of more than {LONGEST_OUTLINE:.0e} pixels cannot be drawn")
    from pycocotools import mask as coco_mask

    codes = coco_mask.frPyObjects([ring.reshape(-1).tolist() for ring in rings], height, width)
    return Rle((height, width), coco_mask.merge(codes)["counts"])
