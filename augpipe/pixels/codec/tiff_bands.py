"""The bands of a TIFF of any number of them, 8 or 16 bits each, by number.

Pillow and libtiff unpack pictures of one band whatever the compression. So the file gets a directory that says it is
one: bands that lie beside each other are a gray picture as many times as wide, bands that lie apart are a gray picture
each. What libtiff would undo of the former itself, differences between pixels, is undone here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augpipe.core.annotations import Header
from augpipe.pixels.codec.header import opened
from augpipe.pixels.codec.tiff_layout import (
    BITS,
    COMPRESSION,
    FILL_ORDER,
    HEIGHT,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    ROWS_PER_STRIP,
    SAMPLES,
    STRIP_BYTES,
    STRIP_OFFSETS,
    TILE_BYTES,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    WIDTH,
    TiffLayout,
    layout_of,
    with_directory,
)

_APART = 2
_DIFFERENCES = 2
_BLOCK = 1 << 20  # values that are taken out at a time
_PLACES = (STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES)
_KEPT = (HEIGHT, COMPRESSION, FILL_ORDER, ROWS_PER_STRIP, TILE_HEIGHT)


def stored_bands(
    data: bytes, header: Header, keep_truncated: bool = False
) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
    """Parts of the bands that ``header.bands`` names, which together are all of them: (rows, channels, values).

    ``channels`` are places in ``header.bands``, and values have the shape (rows, W, channels), unsigned.

    Raises:
        ValueError, OSError: its directory or its pixels are damaged; whatever else Pillow raises.
    """
    layout = layout_of(data)
    if layout is None or not layout.is_readable():
        raise ValueError("not a TIFF of bands")
    if layout.first(PLANAR, 1) == _APART:
        for channel, band in enumerate(header.bands):
            for rows, values in _unpacked(_one_band(data, layout, band), keep_truncated):
                yield rows, slice(channel, channel + 1), values[:, :, None]
        return
    width, count = layout.size_wh[0], layout.bands
    tile = layout.first(TILE_WIDTH, width)
    for rows, values in _unpacked(_side_by_side(data, layout), keep_truncated):
        pixels = values.reshape(len(values), width, count)[:, :, list(header.bands)]
        if layout.first(PREDICTOR, 1) == _DIFFERENCES:
            pixels = _summed(pixels, tile)
        yield rows, slice(0, len(header.bands)), pixels


def _summed(differences: NDArray[Any], tile: int) -> NDArray[Any]:
    """Values from the differences to their left neighbour, which begin anew with each tile."""
    dtype = differences.dtype.newbyteorder("=")
    out = np.empty(differences.shape, dtype)
    for x in range(0, differences.shape[1], tile):
        np.cumsum(differences[:, x : x + tile], axis=1, dtype=dtype, out=out[:, x : x + tile])
    return out


def _unpacked(tiff: bytes, keep_truncated: bool) -> Iterator[tuple[slice, NDArray[Any]]]:
    """The pixels of a gray TIFF, some rows at a time."""
    layout = layout_of(tiff)
    most = math.prod(layout.size_wh) if layout else 1
    with opened(tiff, most, keep_truncated) as image:
        image.load()
        width, height = image.size
        step = max(1, _BLOCK // width)
        for y in range(0, height, step):
            rows = slice(y, min(y + step, height))
            yield rows, _array(image, rows)


def _array(image: Image.Image, rows: slice) -> NDArray[Any]:
    if image.mode not in ("L", "I;16", "I;16B", "I;16L"):
        raise ValueError(f"has pixels of the kind {image.mode}")
    return np.asarray(image.crop((0, rows.start, image.width, rows.stop)))


def _gray(layout: TiffLayout) -> dict[int, tuple[int, ...]]:
    tags = {tag: layout.tags[tag] for tag in (*_KEPT, *_PLACES) if tag in layout.tags}
    return {**tags, BITS: (layout.bits,), PHOTOMETRIC: (1,), SAMPLES: (1,), PLANAR: (1,)}


def _side_by_side(data: bytes, layout: TiffLayout) -> bytes:
    tags = {**_gray(layout), WIDTH: (layout.size_wh[0] * layout.bands,)}
    if TILE_WIDTH in layout.tags:
        tags[TILE_WIDTH] = (layout.first(TILE_WIDTH, 0) * layout.bands,)
    return with_directory(data, layout, tags)


def _one_band(data: bytes, layout: TiffLayout, band: int) -> bytes:
    tags = {**_gray(layout), WIDTH: (layout.size_wh[0],)}
    for tag in (PREDICTOR, TILE_WIDTH):
        if tag in layout.tags:
            tags[tag] = layout.tags[tag]
    for tag in _PLACES:
        if tag in tags:
            each = len(tags[tag]) // layout.bands
            if not each:
                raise ValueError("fewer strips than bands")
            tags[tag] = tags[tag][band * each : (band + 1) * each]
    return with_directory(data, layout, tags)
