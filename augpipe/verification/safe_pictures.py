"""Reading pictures and run-length codes that may be damaged or made to do harm, within bounds.

JSON documents and tars are read by :mod:`augpipe.formats.webdataset.safe_parse`, which training reads them by, too.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from augpipe.core.errors import one_line
from augpipe.pixels.codec.header import MAX_PIXELS
from augpipe.verification.supersample import Marks

PICTURES = ("jpg", "png", "webp")


def picture_in(members: Mapping[str, bytes]) -> tuple[str, bytes]:
    """(ending, file) of the picture of a sample.

    Raises:
        ValueError: it has none, or several.
    """
    found = [ending for ending in PICTURES if ending in members]
    if len(found) != 1:
        raise ValueError(f"has {' and '.join(found) or 'none'} of {', '.join(PICTURES)}, expected one picture")
    return found[0], members[found[0]]


def pixels_of(data: bytes, size_wh: tuple[int, int] | None = None) -> np.ndarray[Any, Any]:
    """A picture or mask by Pillow: (H, W) or (H, W, 3); of gray PNGs also with 16 bits.

    Args:
        data: JPEG, PNG or WebP.
        size_wh: the size that it has to have; nothing else is decoded.

    Raises:
        ValueError: it is no such picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size, which is compared here
            picture = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP"))
            if size_wh is not None and picture.size != size_wh:
                raise ValueError(f"is {picture.size}, expected {size_wh}")
            if picture.width * picture.height > 4 * MAX_PIXELS:
                raise ValueError(f"is {picture.size}, expected at most {4 * MAX_PIXELS:,} pixels")
            if picture.mode not in ("L", "RGB", "I;16", "I"):
                raise ValueError(f"has pixels of the kind {picture.mode}, expected gray or RGB")
            picture.load()
    except ValueError:
        raise
    except MemoryError:
        raise ValueError("not enough memory to decode it") from None
    except Exception as error:  # damage comes out of Pillow as almost anything
        raise ValueError(f"no picture: {one_line(error, 120)}") from error
    return np.asarray(picture)


def bitmap_of_code(segmentation: Mapping[str, Any], size_wh: tuple[int, int]) -> Marks:
    """A written run-length code as pixels: (H, W). Decoded here, from the words of COCO's own ``maskApi.c``.

    Raises:
        ValueError: it is no code of a picture of that size.
    """
    width, height = size_wh
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width] or not isinstance(counts, str):
        raise ValueError(f"its mask has the size {one_line(size, 40)} (height, width), its picture {[height, width]}")
    runs: list[int] = []
    value = shift = 0
    for char in counts.encode("ascii", "replace"):
        bits = char - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("its mask is no run-length code")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:  # the last five bits of a number; their highest is the sign
            value -= (bits & 16) << (shift - 4)
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift or sum(runs) != width * height or min(runs, default=0) < 0:
        raise ValueError(f"its mask is no run-length code of {width}×{height} pixels")
    down = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    marks: Marks = down.reshape(width, height).T
    return marks
