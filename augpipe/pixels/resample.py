"""The one fixed-point map from output pixels to source positions, for pictures and label rasters.

``cv2.warpAffine`` and ``cv2.warpPerspective`` give different bytes on different OpenCV versions and SIMD levels;
``cv2.remap`` with a CV_16SC2 map (positions on a 1/32 grid, 15-bit weights) gives the same everywhere. The map is made
here by float32 additions, and one division if it is projective, which a GPU kernel repeats exactly. Exact moves are
copies. The half pixel between positions and indexes of pixel centres is added here and nowhere else.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import Raster
from augpipe.core.geometry import Matrix, Region, inverse, is_affine, is_convex, scaling, then, translation
from augpipe.core.opencv import cv2
from augpipe.core.plan import Border, Pixels

F32: TypeAlias = NDArray[np.float32]

_MOST_HELD = 32 << 20  # bytes of means that are kept for the next copy

_NO_WEIGHTS = np.empty((0, 0), np.uint16)
_BLOCK_ROWS = 32
_BLOCK_PIXELS = 1 << 14  # at least, as each block has calls of its own


# OpenCV 4 makes this very map of float32 positions itself, a tenth faster; OpenCV 5 interpolates in floats then, and so
# may the libraries that OpenCV calls on other processors.
@cache
def _remap_makes_the_map() -> bool:
    return cv2.__version__.startswith("4.") and platform.machine() in ("x86_64", "AMD64")


_FAR = np.float32(-1e6)  # saturates to the far outside


def opencv_border(border: Border) -> int:
    """OpenCV's number for a border."""
    return int(getattr(cv2, f"BORDER_{border.upper()}"))


def resample(
    picture: Pixels,
    matrix: Matrix,
    size_wh: tuple[int, int],
    border: Border = "constant",
    fill: tuple[int, ...] = (0, 0, 0),
    reduce: tuple[int, int] = (1, 1),
) -> Pixels:
    """An 8-bit picture (H, W) or (H, W, 3) interpolated on a new canvas, as the step kind Warp defines it.

    Args:
        picture: the :func:`block_means` of ``reduce`` where that is not (1, 1).
        matrix: from points of the unreduced picture to the canvas.
        size_wh: of the canvas.
        border: what lies outside the picture.
        fill: a level for each channel, for the border ``constant``.
        reduce: sides of the blocks that ``picture`` has the means of.
    """
    w, h = size_wh
    out = np.empty((h, w, *picture.shape[2:]), picture.dtype)
    back, mode, of_floats = index_map(matrix, reduce), opencv_border(border), _remap_makes_the_map()
    for rows, x, y in _positions(back, (0, 0, w, h)):
        first, second = (x, y) if of_floats else cv2.convertMaps(x, y, cv2.CV_16SC2)
        cv2.remap(picture, first, second, cv2.INTER_LINEAR, dst=out[rows], borderMode=mode, borderValue=fill)
    return out


def resample_labels(
    raster: Raster, matrix: Matrix, window_xyxy: tuple[int, int, int, int], void: int, origin: tuple[int, int] = (0, 0)
) -> Raster:
    """The part ``window_xyxy`` of the output canvas of a label raster (H, W), by nearest neighbour.

    ``raster`` may be a part of the source picture with its top left pixel at ``origin``; outside it all is ``void``.
    """
    x0, y0, x1, y1 = window_xyxy
    out = np.empty((y1 - y0, x1 - x0), raster.dtype)
    source: Pixels = raster.view(np.int32) if raster.dtype == np.uint32 else raster
    target = out.view(source.dtype)
    back = index_map(matrix, (1, 1))
    for rows, x, y in _positions(back, window_xyxy):
        fixed, _ = cv2.convertMaps(x - np.float32(origin[0]), y - np.float32(origin[1]), cv2.CV_16SC2, None, None, True)
        cv2.remap(source, fixed, _NO_WEIGHTS, cv2.INTER_NEAREST, dst=target[rows], borderValue=float(void))
    return out


def index_map(matrix: Matrix, reduce: tuple[int, int]) -> Matrix:
    """From output pixel indexes to source pixel indexes, of the reduced source."""
    to_source = then(translation(0.5, 0.5), inverse(matrix))
    return then(then(to_source, scaling(1.0 / reduce[0], 1.0 / reduce[1])), translation(-0.5, -0.5))


def _positions(back: Matrix, window_xyxy: tuple[int, int, int, int]) -> Iterator[tuple[slice, F32, F32]]:
    """Source positions of a window's pixels in cache-sized blocks of rows: (rows, x, y). The next block overwrites
    both."""
    x0, y0, x1, y1 = window_xyxy
    xs, ys = np.arange(x0, x1, dtype=np.float64), np.arange(y0, y1, dtype=np.float64)
    affine = is_affine(back)
    count = 2 if affine else 3
    # A position is a number of its row plus one of its column. The matrix product (row, 1) · (1, column) gives the same
    # float32 as the addition, in half the time.
    columns, lines = np.ones((count, 2, xs.size), np.float32), np.ones((count, ys.size, 2), np.float32)
    for i in range(count):
        columns[i, 1] = back[3 * i] * xs + back[3 * i + 2]
        lines[i, :, 0] = back[3 * i + 1] * ys
    height = max(_BLOCK_ROWS, _BLOCK_PIXELS // max(xs.size, 1))
    block = np.empty((count, min(height, ys.size), xs.size), np.float32)
    for top in range(0, ys.size, height):
        rows = slice(top, min(top + height, ys.size))
        for line, column, out in zip(lines, columns, block, strict=True):
            np.dot(line[rows], column, out=out[: rows.stop - top])
        x, y = block[:2, : rows.stop - top]
        if not affine:
            depth = block[2, : rows.stop - top]
            behind = depth <= np.float32(1e-6)
            if behind.any():  # past the horizon there is no picture
                depth[behind] = np.float32(1.0)
                x[behind] = y[behind] = _FAR
            x /= depth
            y /= depth
        yield rows, x, y


class SharedMeans:
    """Block means of the decoded source, shared by its copies, since those of a large one take longer than all else.

    Fulfils :class:`augpipe.core.plan.SharedSource`.
    """

    def __init__(self, picture: Pixels) -> None:
        self._picture = picture
        self._made: dict[tuple[int, int], Pixels] = {}
        self._held = 0

    def means(self, reduce: tuple[int, int]) -> Pixels:
        """See :func:`block_means`."""
        made = self._made.get(reduce)
        if made is None:
            made = block_means(self._picture, reduce)
            if self._held + made.nbytes <= _MOST_HELD:
                self._made[reduce] = made
                self._held += made.nbytes
        return made


def block_means(picture: Pixels, reduce: tuple[int, int]) -> Pixels:
    """Rounded means of blocks of (kx, ky) pixels; the last row and column are repeated to fill a block.

    A mean is the block's sum times 1/(kx·ky) in float32, rounded half to even; of 2×2 pixels it is (sum + 2) >> 2.
    """
    kx, ky = reduce
    h, w = picture.shape[:2]
    right, bottom = -w % kx, -h % ky
    if right or bottom:
        picture = cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    size_wh = ((w + right) // kx, (h + bottom) // ky)
    return cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)


def copy_exact(
    picture: Pixels, matrix: Matrix, size_wh: tuple[int, int], border: Border, fill: tuple[int, ...]
) -> Pixels:
    """Flips, quarter turns and whole-pixel moves as copies, bit for bit; ``matrix`` must be such a map."""
    turned, (left, top) = _turn(picture, matrix)
    h, w = turned.shape[:2]
    # (left, top) is where the turned picture's corner lies on the canvas.
    pads = (max(top, 0), max(size_wh[1] - top - h, 0), max(left, 0), max(size_wh[0] - left - w, 0))
    if border == "constant":  # crop first: what the canvas does not show need not be copied
        turned = turned[max(-top, 0) : max(size_wh[1] - top, 0), max(-left, 0) : max(size_wh[0] - left, 0)]
        if turned.size == 0:
            return _blank(picture, size_wh, fill)
        left, top = max(left, 0), max(top, 0)
    if any(pads):
        turned = cv2.copyMakeBorder(turned, *pads, opencv_border(border), value=fill)
        left, top = min(left, 0), min(top, 0)
    x, y = max(-left, 0), max(-top, 0)
    out = np.ascontiguousarray(turned[y : y + size_wh[1], x : x + size_wh[0]])
    # A window of whole rows is a view of the source, which other copies still read.
    return out.copy() if np.may_share_memory(out, picture) else out


def _turn(picture: Pixels, matrix: Matrix) -> tuple[Pixels, tuple[int, int]]:
    """The picture flipped and turned by the linear part of ``matrix``, and where its top left corner goes."""
    a, b, c, d, e, f = matrix[:6]
    h, w = picture.shape[:2]
    if a == 0.0:
        picture = cv2.transpose(picture)
    flip_x, flip_y = (a + b) < 0.0, (d + e) < 0.0
    if flip_x or flip_y:
        picture = cv2.flip(picture, -1 if flip_x and flip_y else int(flip_x))
    corners_x = [c, c + a * w + b * h]
    corners_y = [f, f + d * w + e * h]
    return picture, (int(min(corners_x)), int(min(corners_y)))


def _blank(picture: Pixels, size_wh: tuple[int, int], fill: tuple[int, ...]) -> Pixels:
    out = np.empty((size_wh[1], size_wh[0], *picture.shape[2:]), picture.dtype)
    out[:] = fill[0] if picture.ndim == 2 else fill[: picture.shape[2]]
    return out


def region_mask(region: Region, window_xyxy: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Which pixels of a window of the canvas have their centre in ``region``."""
    x0, y0, x1, y1 = window_xyxy
    if not is_convex(region):
        return _bent_mask(region, window_xyxy)
    xs, ys = np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5
    inside = np.full((y1 - y0, x1 - x0), bool(region))
    for ex, ey, ax, ay in region_sides(region):
        inside &= np.add.outer(ex * (ys - ay), -ey * (xs - ax)) >= 0.0
    return inside


def _bent_mask(region: Region, window_xyxy: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """As :func:`region_mask`, of a region that need not be convex: every side changes what lies on its right."""
    x0, y0, x1, y1 = window_xyxy
    changes = np.zeros((y1 - y0, x1 - x0 + 1), np.bool_)
    for (ax, ay), (bx, by) in zip(region, region[1:] + region[:1], strict=True):
        low, high = (math.ceil(v - 0.5) - y0 for v in (min(ay, by), max(ay, by)))
        rows = np.arange(max(low, 0), min(high, y1 - y0))
        if rows.size:
            crossing = ax + (rows + (y0 + 0.5) - ay) / (by - ay) * (bx - ax)
            columns = np.clip(np.ceil(crossing - 0.5) - x0, 0, x1 - x0).astype(np.int64)
            np.logical_xor.at(changes, (rows, columns), True)
    return np.logical_xor.accumulate(changes, axis=1)[:, :-1]


def region_sides(region: Region) -> list[tuple[float, float, float, float]]:
    """The sides (ex, ey, ax, ay) of a convex region: (x, y) is inside where ex·(y − ay) − ey·(x − ax) ≥ 0 for all."""
    pairs = list(zip(region, region[1:] + region[:1], strict=True))
    turn = 1.0 if sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs) >= 0.0 else -1.0
    return [((bx - ax) * turn, (by - ay) * turn, ax, ay) for (ax, ay), (bx, by) in pairs]
