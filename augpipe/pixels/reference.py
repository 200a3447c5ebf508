"""What every step means, computed slowly and plainly: the judge of the backends, and of what a run has written.

Each step's ``reference`` is written from its description alone, in float64 and without OpenCV or any code of a backend,
because two programs that agree by different ways are hardly wrong in the same place. Each step rounds once, at its end.

Inside, a picture is its levels, float64 (H, W, C): C is 3 (red, green, blue) or 1 (gray).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from augpipe.core.annotations import F64, U8
from augpipe.core.plan import Step


def apply(picture_rgb: U8, steps: Iterable[Step]) -> U8:
    """A picture after all steps: uint8 (H, W) gray or (H, W, 3) red, green, blue, and the same kind back."""
    levels = levels_of(picture_rgb)
    for step in steps:
        levels = step.reference(levels)
    out = levels.astype(np.uint8)
    return out[:, :, 0] if picture_rgb.ndim == 2 else out


def levels_of(picture: U8) -> F64:
    """The levels of a picture: float64 (H, W, C)."""
    levels: F64 = picture.astype(np.float64).reshape(*picture.shape[:2], -1)
    return levels


def rounded(levels: F64) -> F64:
    """To the nearest level, halves up, within 0..255."""
    out: F64 = np.clip(np.floor(levels + 0.5), 0, 255)
    return out


def color_for(levels: F64, rgb: tuple[int, int, int]) -> F64:
    """A color for a picture of these channels: (C,)."""
    if levels.shape[2] == 3:
        return np.array(rgb, np.float64)
    red, green, blue = rgb
    return rounded(np.array([0.299 * red + 0.587 * green + 0.114 * blue]))
