"""Tables that are made of the picture's own histograms: equalization, stretched contrast, adaptive equalization.

Counts are whole numbers, so the order of counting does not matter.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.opencv import cv2
from augpipe.core.plan import Pass, Pixels, SharedSource, Step, register

What: TypeAlias = Literal["equalize", "autocontrast"]
By: TypeAlias = Literal["channels", "luma"]

_LUMA = (306, 601, 117)
"""BT.601 weights of red, green and blue in 1/1024."""
_LEVELS = 256
_PARTS = 16
_FLOAT32_COUNTS = 2**24
_MOST_TILES, _MOST_CLIP = 32, 40.0
_BYTES_OF_COUNTS = 4 * _LEVELS


@register
class Stats(Step, frozen=True, tag="stats"):
    """A table of 256 levels for each channel, or for luma, made of its histogram.

    - ``equalize``, as PIL's ``ImageOps.equalize``: with n pixels and s = (n − count of the highest level there is)
      // 255, level k becomes (s // 2 + Σ_{i<k} hᵢ) // s, at most 255; nothing changes where s = 0.
    - ``autocontrast``, as ``ImageOps.autocontrast``: of the histogram, n·``cutoff`` // 1000 pixels are left off at
      either end; with s = 255/(hi − lo) for the lowest level lo and the highest hi that are left, v becomes v·s − lo·s
      in float64, cut off behind the point and clipped; nothing changes where lo = hi.

    By ``luma``, each channel gets what the table adds to luma, (306·r + 601·g + 117·b + 512) >> 10, and is clipped.
    """

    what: What
    by: By
    cutoff: int = 0

    def fault(self, most_pixels: int) -> str | None:
        return None if 0 <= self.cutoff <= 499 else f"cutoff {self.cutoff}"

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out = picture if source is None else np.empty_like(picture)
        if self.by == "luma" and picture.ndim == 3:
            luma = _luma_of(picture)
            _shift(picture, luma, cv2.LUT(luma, self._table(_counts(luma))), out)
            return out
        planes = picture[:, :, None] if picture.ndim == 2 else picture
        counts = [_counts(np.ascontiguousarray(planes[:, :, c])) for c in range(planes.shape[2])]
        tables = np.stack([self._table(one) for one in counts], axis=-1)
        cv2.LUT(picture, tables[None] if picture.ndim == 3 else tables[:, 0].copy(), dst=out)
        return out

    def _table(self, counts: NDArray[np.int64]) -> Pixels:
        return (_equalizing if self.what == "equalize" else self._stretching)(counts)

    def _stretching(self, counts: NDArray[np.int64]) -> Pixels:
        off = int(counts.sum()) * self.cutoff // 1000
        below, above = np.cumsum(counts), np.cumsum(counts[::-1])
        low, high = int(np.argmax(below > off)), _LEVELS - 1 - int(np.argmax(above > off))
        levels = np.arange(_LEVELS)
        if high <= low:
            return levels.astype(np.uint8)
        scale = 255.0 / (high - low)
        table: Pixels = np.clip(np.trunc(levels * scale + -low * scale), 0, 255).astype(np.uint8)
        return table

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        luma = self.by == "luma" and channels == 3
        kind = 0 if self.what == "equalize" else 1
        yield from _measured(size_wh, channels, (_PARTS, _PARTS), luma, struct.pack("<ii", kind, self.cutoff))

    def reference(self, levels: F64) -> F64:
        luma = self.by == "luma" and levels.shape[2] == 3
        planes = _plain_luma(levels) if luma else levels
        made = np.stack([self._plainly(planes[:, :, c]) for c in range(planes.shape[2])], axis=-1)
        out: F64 = np.clip(levels + (made - planes), 0, 255)
        return out

    def _plainly(self, plane: F64) -> F64:
        ordered, n = np.sort(plane.ravel()), plane.size
        if self.what == "equalize":
            step = (n - int((plane == ordered[-1]).sum())) // 255
            below = np.searchsorted(ordered, plane.ravel(), side="left").reshape(plane.shape)
            return np.minimum((step // 2 + below) // step, 255).astype(np.float64) if step else plane
        off = n * self.cutoff // 1000
        low, high = ordered[off], ordered[n - 1 - off]
        if high <= low:
            return plane
        scale = 255.0 / (high - low)
        out: F64 = np.clip(np.trunc(plane * scale - low * scale), 0, 255)
        return out


@register
class AdaptiveContrast(Step, frozen=True, tag="clahe"):
    """Contrast-limited adaptive equalization of luma (Zuiderveld 1994), as ``cv2.createCLAHE`` computes it.

    ``clip`` is OpenCV's clipLimit, ``tiles`` × ``tiles`` its tileGridSize. Each channel gets what luma gains,
    (306·r + 601·g + 117·b + 512) >> 10 before, and is clipped.
    """

    clip: float
    tiles: int

    def fault(self, most_pixels: int) -> str | None:
        sound = 0.0 < self.clip <= _MOST_CLIP and 1 <= self.tiles <= _MOST_TILES
        return None if sound else f"clip {self.clip}, {self.tiles} tiles"

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out = picture if source is None else np.empty_like(picture)
        luma = picture if picture.ndim == 2 else _luma_of(picture)
        made = cv2.createCLAHE(self.clip, (self.tiles, self.tiles)).apply(luma)
        if picture.ndim == 2:
            np.copyto(out, made)
        else:
            _shift(picture, luma, made, out)
        return out

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass]:
        (w, h), n = size_wh, self.tiles
        # A picture that tiles do not divide is mirrored on the right and below, which OpenCV does to both sides then.
        padded_w, padded_h = (w, h) if not (w % n or h % n) else (w + n - w % n, h + n - h % n)
        tile_wh = (padded_w // n, padded_h // n)
        limit = max(1, int(self.clip * (tile_wh[0] * tile_wh[1]) / _LEVELS))
        own = struct.pack(
            "<iiiiff",
            2,
            limit,
            *tile_wh,
            np.float32(1) / np.float32(tile_wh[0]),
            np.float32(1) / np.float32(tile_wh[1]),
        )
        yield from _measured(size_wh, channels, (n, n), channels == 3, own)

    def reference(self, levels: F64) -> F64:
        """By float32 as OpenCV's code has it, tile by tile."""
        n, plane = self.tiles, (_plain_luma(levels) if levels.shape[2] == 3 else levels)[:, :, 0]
        h, w = plane.shape
        padded = _mirrored_to(plane, h + n - h % n, w + n - w % n) if w % n or h % n else plane
        tile_h, tile_w = padded.shape[0] // n, padded.shape[1] // n
        tables = np.array(
            [
                [
                    _clipped_table(padded[r * tile_h : (r + 1) * tile_h, c * tile_w : (c + 1) * tile_w], self.clip)
                    for c in range(n)
                ]
                for r in range(n)
            ]
        )
        (top, bottom, of_bottom), (left, right, of_right) = (
            _tiles_about(count, side, n) for count, side in ((h, tile_h), (w, tile_w))
        )
        value = plane.astype(int)
        one, y, x = np.float32(1), of_bottom[:, None], of_right[None, :]
        rows = [
            tables[t][:, left][np.arange(h)[:, None], np.arange(w)[None, :], value] * (one - x)
            + tables[t][:, right][np.arange(h)[:, None], np.arange(w)[None, :], value] * x
            for t in (top, bottom)
        ]
        made = np.clip(np.rint(rows[0] * (one - y) + rows[1] * y), 0, 255).astype(np.float64)
        out: F64 = np.clip(levels + (made - plane)[:, :, None], 0, 255)
        return out


# --- the CPU ---------------------------------------------------------------------------------------------------------


def _luma_of(picture_bgr: Pixels) -> Pixels:
    """(306·r + 601·g + 117·b + 512) >> 10 of each pixel."""
    out = np.empty(picture_bgr.shape[:2], np.uint8)
    for top in range(0, len(out), 64):  # the sums of a band stay in the cache
        band = picture_bgr[top : top + 64].astype(np.int32)
        out[top : top + 64] = (117 * band[:, :, 0] + 601 * band[:, :, 1] + 306 * band[:, :, 2] + 512) >> 10
    return out


def _counts(plane: Pixels) -> NDArray[np.int64]:
    """How often each level is there, by pieces of which float32 can hold any count."""
    counts, rows = np.zeros(_LEVELS, np.int64), max(1, _FLOAT32_COUNTS // plane.shape[1])
    for top in range(0, len(plane), rows):
        counts += cv2.calcHist([plane[top : top + rows]], [0], None, [_LEVELS], [0, _LEVELS]).ravel().astype(np.int64)
    return counts


def _shift(picture: Pixels, before: Pixels, after: Pixels, out: Pixels) -> None:
    """Add what luma has gained to each channel."""
    gained = cv2.subtract(after, before, dtype=cv2.CV_16S)
    cv2.add(picture, cv2.merge([gained] * 3), dst=out, dtype=cv2.CV_8U)


def _equalizing(counts: NDArray[np.int64]) -> Pixels:
    levels = np.arange(_LEVELS)
    step = (int(counts.sum()) - int(counts[np.flatnonzero(counts)[-1]])) // 255
    if not step:
        return levels.astype(np.uint8)
    below = np.cumsum(counts) - counts
    table: Pixels = np.minimum((step // 2 + below) // step, 255).astype(np.uint8)
    return table


# --- a device --------------------------------------------------------------------------------------------------------


def _measured(
    size_wh: tuple[int, int], channels: int, tiles_xy: tuple[int, int], luma: bool, own: bytes
) -> Iterator[Pass]:
    """The passes of a picture: counted by tiles, made tables of, and changed by these.

    A pass reads what the one before it has written, so each takes the picture along, its numbers behind it.
    """
    planes = 1 if luma else channels
    behind = -(-size_wh[0] * size_wh[1] * channels // 8) * 8
    head = struct.pack("<iiii", *tiles_xy, planes, int(luma)) + own
    nbytes = behind + _BYTES_OF_COUNTS * tiles_xy[0] * tiles_xy[1] * planes
    yield Pass("tile_counts", size_wh, size_wh, channels, target_bytes=nbytes, head=head)
    yield Pass("tile_tables", size_wh, size_wh, channels, target_bytes=nbytes, head=head)
    yield Pass("by_tables", size_wh, size_wh, channels, head=head)


# --- the reference ---------------------------------------------------------------------------------------------------


def _plain_luma(levels: F64) -> F64:
    weights = np.array(_LUMA, np.float64)
    return np.floor((levels @ weights + 512.0) / 1024.0)[:, :, None]


def _mirrored_to(plane: F64, height: int, width: int) -> F64:
    return np.pad(plane, ((0, height - plane.shape[0]), (0, width - plane.shape[1])), mode="reflect")


def _clipped_table(tile: F64, clip: float) -> NDArray[np.float32]:
    counts = np.bincount(tile.ravel().astype(int), minlength=_LEVELS)
    limit = max(1, int(clip * tile.size / _LEVELS))
    excess = int(np.maximum(counts - limit, 0).sum())
    counts = np.minimum(counts, limit) + excess // _LEVELS
    rest = excess % _LEVELS
    if rest:
        counts[: rest * max(_LEVELS // rest, 1) : max(_LEVELS // rest, 1)] += 1
    scale = np.float32(255) / np.float32(tile.size)
    table: NDArray[np.float32] = np.clip(np.rint(np.cumsum(counts).astype(np.float32) * scale), 0, 255)
    return table.astype(np.float32)


def _tiles_about(count: int, side: int, tiles: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    place = np.arange(count, dtype=np.float32) * (np.float32(1) / np.float32(side)) - np.float32(0.5)
    first = np.floor(place)
    index = first.astype(np.int64)
    return np.maximum(index, 0), np.minimum(index + 1, tiles - 1), place - first
