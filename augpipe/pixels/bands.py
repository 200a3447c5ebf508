"""A filter on bands of rows, since there may be no memory for a third picture beside a large source."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from augpipe.core.plan import Pixels

_BAND_ROWS = 256


def in_bands(picture: Pixels, out: Pixels, radius: int, filtered: Callable[[Pixels], Pixels]) -> None:
    """Filter a picture into ``out``, which may be the picture itself.

    Args:
        picture: (H, W) or (H, W, 3).
        out: of the same shape.
        radius: rows above and below a pixel that the filter reads.
        filtered: the filter of a band of rows; it mirrors at the band's first and last row.
    """
    height = picture.shape[0]
    rows = max(_BAND_ROWS, 2 * radius)
    above = picture[:0]  # the last rows before the band, as they were
    for top in range(0, height, rows):
        # The last band takes what is left, so that none is too thin to be reflected.
        end = height if height - top < 2 * rows else top + rows
        band = np.concatenate([above, picture[top : min(end + radius, height)]])
        above = picture[max(end - radius, 0) : end].copy()
        first = min(radius, top)
        out[top:end] = filtered(band)[first : first + end - top]
        if end == height:
            break
