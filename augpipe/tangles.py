"""Outlines that nobody has drawn: rings that cross themselves and one another so often that work would have no end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from augpipe.sample import F64

_FEW_SIDES, _MOST_RINGS, _MOST_CROSSINGS = 100, 2000, 2000
_TRIED = 64  # sides of which is_tangled asks what they cross


def is_tangled(rings: Sequence[F64]) -> bool:
    """Whether the rings of an object cross themselves and one another thousands of times.

    Nobody has drawn such an outline, and work and memory grow with the crossings, of which a thousand points at random
    have a hundred thousand. They are estimated from what some sides cross.
    """
    if len(rings) > _MOST_RINGS:
        return True
    sides = sum(map(len, rings))
    if sides <= _FEW_SIDES or (len(rings) == 1 and _is_simple(rings[0])):
        return False
    starts, ends = (np.concatenate(points) for points in zip(*map(_sides_of, rings), strict=True))
    tried = np.linspace(0, len(starts) - 1, min(_TRIED, len(starts))).astype(int)
    met = sum(int(_meets(starts[i], ends[i], starts, ends).sum()) - 3 for i in tried)  # itself and its neighbours
    return met * len(starts) / len(tried) / 2 > _MOST_CROSSINGS


def _sides_of(ring: F64) -> tuple[F64, F64]:
    """Where the sides of a ring begin and end, (n, 2) each; points that come twice make none."""
    ends = np.roll(ring, -1, axis=0)
    real = (ring != ends).any(axis=1)
    return ring[real], ends[real]


def _meets(start: F64, end: F64, starts: F64, ends: F64) -> NDArray[np.bool_]:
    """Which sides cross or touch the one from ``start`` to ``end``."""

    def turns(a: F64, b: F64, c: F64) -> F64:
        out: F64 = np.sign((b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1])
                           - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0]))  # fmt: skip
        return out

    apart = (np.minimum(starts, ends) > np.maximum(start, end)) | (np.maximum(starts, ends) < np.minimum(start, end))
    one = turns(start, end, starts) * turns(start, end, ends) <= 0
    other = turns(starts, ends, start) * turns(starts, ends, end) <= 0
    met: NDArray[np.bool_] = one & other & ~apart.any(axis=1)
    return met


def _is_simple(ring: F64) -> bool:
    import shapely  # here, as nearly all outlines have few sides

    return bool(shapely.is_valid(shapely.Polygon(ring)))
