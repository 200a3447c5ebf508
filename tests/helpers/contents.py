"""Pictures for tests, and the CPU backend turned to red, green, blue and forbidden to paint on its input."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from augpipe.core.annotations import U8
from augpipe.core.plan import Step
from augpipe.pixels import cpu


def noise_picture(size_wh: tuple[int, int], channels: int, seed: int = 7) -> U8:
    """White noise over all levels: (H, W) for one channel, (H, W, 3) for three. Nothing is harder to interpolate."""
    w, h = size_wh
    picture = np.random.default_rng(seed).integers(0, 256, (h, w, channels), dtype=np.uint8)
    return picture[:, :, 0].copy() if channels == 1 else picture


def smooth_picture(size_wh: tuple[int, int], channels: int) -> U8:
    """Slow waves: neighbours differ by less than 16 levels."""
    w, h = size_wh
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    waves = [127.5 + 60.0 * np.sin(0.15 * x + c) + 60.0 * np.cos(0.11 * y - 2 * c) for c in range(channels)]
    picture = np.stack(waves, axis=-1).astype(np.uint8)
    return picture[:, :, 0].copy() if channels == 1 else picture


def photo() -> U8:
    """A face, a helmet and a flag, (90, 120, 3)."""
    data = pytest.importorskip("skimage.data")
    out: U8 = data.astronaut()[60:240:2, 100:340:2].copy()
    return out


def rendered(picture_rgb: U8, steps: Iterable[Step]) -> U8:
    """What the CPU backend makes of a picture. NumPy raises if a step writes to the input."""
    picture = picture_rgb if picture_rgb.ndim == 2 else np.ascontiguousarray(picture_rgb[:, :, ::-1])
    read_only = picture.view()
    read_only.flags.writeable = False
    out: U8 = cpu.apply(read_only, steps)
    return out if out.ndim == 2 else out[:, :, ::-1]
