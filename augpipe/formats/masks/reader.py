"""Reading semantic masks: numbers as they are, colors by a table that lies beside the masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from augpipe.core.annotations import Annotations, Raster
from augpipe.core.errors import Reject
from augpipe.formats.base import Entry
from augpipe.formats.limits import bad_labels
from augpipe.formats.voc.masks import indexes_of_colors
from augpipe.pixels.codec.label_png import decode_raster
from augpipe.storage.byte_range import read_place


@dataclass(frozen=True)
class MaskReader:
    """Reads entries whose ``annotation`` is the :class:`ByteRange` of a semantic mask.

    ``values`` maps values of masks to category ids where they differ, as in black-and-white masks. ``colors`` is packed
    color (r + 256·g + 65536·b) → value, of masks that were saved as RGB.
    """

    values: Mapping[int, int]
    colors: Mapping[int, int] = field(default_factory=dict)

    def annotations(self, entry: Entry) -> Annotations:
        raster, _ = numbers_in(read_place(entry.annotation), entry.file, self.colors)
        if self.values:
            raster = _replaced(raster, self.values)
        return Annotations(semantic=raster, size_wh=(raster.shape[1], raster.shape[0]))


def numbers_in(data: bytes, file: str, colors: Mapping[int, int]) -> tuple[Raster, bool]:
    """(the class numbers (H, W) of a mask's file, whether its colors told them).

    Raises:
        Reject: it is no mask, or has a color that stands for no number.
    """
    raster = decode_raster(data, file)
    if colors and raster.dtype == np.uint32:
        try:
            return indexes_of_colors(raster, colors, file), True
        except Reject:
            if (gray := gray_of(raster)) is None:  # gray numbers that were saved as RGB are no colors
                raise
            return gray, False
    gray = gray_of(raster)
    if gray is None:
        raise bad_labels(
            "bad-mask", file, "the mask is colored; expected gray values or palette indexes, or a labelmap.txt or "
            "class_dict.csv of the colors beside it",
        )  # fmt: skip
    return gray, False


def gray_of(raster: Raster) -> Raster | None:
    """A mask's values, also where gray was saved as RGB; ``None`` for colors, which stand for no number."""
    if raster.dtype != np.uint32:
        return raster
    gray = raster & 255
    return gray.astype(np.uint8) if np.array_equal(raster, gray * 0x010101) else None


def _replaced(raster: Raster, values: Mapping[int, int]) -> Raster:
    table = np.arange(int(np.iinfo(raster.dtype).max) + 1, dtype=raster.dtype)
    for before, after in values.items():
        table[before] = after
    out: Raster = table[raster]
    return out
