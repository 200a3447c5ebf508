"""The divisors of a baseline JPEG at a quality: tables K.1 and K.2 of ITU-T T.81, scaled as libjpeg scales them.

In reading order, luma and then chroma.
"""

from __future__ import annotations

_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)  # fmt: skip


def divisors(quality: int) -> tuple[int, ...]:
    """64 for luma and 64 for chroma, each 1..255."""
    quality = max(1, min(100, quality))
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(max(1, min(255, (v * percent + 50) // 100)) for v in (*_LUMA, *_CHROMA))
