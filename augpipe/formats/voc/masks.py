"""Reading Pascal VOC's masks: palette PNGs of classes and of instances, and the colors of those saved as RGB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from augpipe.core.annotations import Raster, Rle
from augpipe.core.errors import Reject
from augpipe.labels.rle import rle_of, window_of
from augpipe.pixels.codec.image import bands
from augpipe.pixels.codec.label_png import decode_raster
from augpipe.storage.byte_range import ByteRange, read_place


def mask_at(place: ByteRange, colors: Mapping[int, int] | None) -> Raster:
    """The values (H, W) of a mask's PNG, by ``colors`` if it was saved as RGB; raises ``Reject``."""
    name = place.name or "/".join(Path(place.path).parts[-2:])
    raster = decode_raster(read_place(place), name)
    return indexes_of_colors(raster, colors, name) if raster.dtype == np.uint32 else raster


def box_around(mask: Rle) -> tuple[float, float, float, float]:
    """The box, xyxy and half-open, around the pixels of a mask that has any."""
    bitmap, (x, y) = window_of(mask)
    return float(x), float(y), float(x + bitmap.shape[1]), float(y + bitmap.shape[0])


def mask_of(instance: Raster, value: int) -> Rle | None:
    """The pixels of one instance; the void border around it is not the object."""
    rows = np.flatnonzero((instance == value).any(axis=1))
    if rows.size == 0:
        return None
    band = instance[rows[0] : rows[-1] + 1] == value
    columns = np.flatnonzero(band.any(axis=0))
    bitmap = band[:, columns[0] : columns[-1] + 1].astype(np.uint8)
    return rle_of(bitmap, (int(columns[0]), int(rows[0])), (instance.shape[1], instance.shape[0]))


def palette() -> list[tuple[int, int, int]]:
    """VOC's color map: the color of each index 0..255 (devkit, VOClabelcolormap.m)."""
    colors = []
    for index in range(256):
        r = g = b = 0
        rest = index
        for shift in range(7, -1, -1):
            r |= (rest & 1) << shift
            g |= (rest >> 1 & 1) << shift
            b |= (rest >> 2 & 1) << shift
            rest >>= 3
        colors.append((r, g, b))
    return colors


def _packed(colors: Sequence[tuple[int, int, int]]) -> dict[int, int]:
    return {r | g << 8 | b << 16: index for index, (r, g, b) in enumerate(colors)}


def indexes_of_colors(raster: Raster, colors: Mapping[int, int] | None, file: str) -> Raster:
    """A mask that was saved as RGB back to indexes; raises ``Reject`` for a color that is not of the palette."""
    table = colors or _packed(palette())
    out = np.empty(raster.shape, np.uint8)
    for rows in bands(*raster.shape):
        values, places = np.unique(raster[rows], return_inverse=True)
        unknown = [int(v) for v in values if int(v) not in table]
        if unknown:
            v = unknown[0]
            message = f"{file}: the mask has the color ({v & 255}, {v >> 8 & 255}, {v >> 16}), which is no class"
            message += "; a line of the table of colors can name it, as background too" if colors else ""
            raise Reject("labels", "bad-mask", message, file=file)
        indexes = np.array([table[int(v)] for v in values], np.uint8)
        out[rows] = indexes[places].reshape(out[rows].shape)
    return out


def read_labelmap(data: bytes) -> tuple[list[str], dict[int, int]]:
    """(names by index, packed color → index) of a ``labelmap.txt``: lines ``name:r,g,b:parts:actions``."""
    names: list[str] = []
    colors: list[tuple[int, int, int]] = []
    standard = palette()
    for raw in data.decode("utf-8-sig", errors="replace").splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        numbers = rest.split(":")[0].split(",")
        color = standard[len(names) % 256]
        if len(numbers) == 3 and all(n.strip().isdecimal() for n in numbers):
            r, g, b = (int(n) & 255 for n in numbers)
            color = (r, g, b)
        names.append(name)
        colors.append(color)
    return names, _packed(colors)
