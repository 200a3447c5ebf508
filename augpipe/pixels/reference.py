"""What every step means, computed slowly and plainly: the judge of the backends, and of what a run has written.

Each step's ``reference`` is written from its description alone, in float64 and without OpenCV or any code of a backend,
because two programs that agree by different ways are hardly wrong in the same place. Each step rounds once, at its end.

Inside, a picture is its levels, float64 (H, W, C): C is 3 (red, green, blue) or 1 (gray).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from augpipe.core.annotations import F64, I64, U8
from augpipe.core.color import aimed
from augpipe.core.plan import ColorStage, Curve, Matrix3x4, Step


def apply(picture_rgb: U8, steps: Iterable[Step]) -> U8:
    """A picture after all steps: uint8 (H, W) gray or (H, W, 3) red, green, blue, and the same kind back."""
    levels = levels_of(picture_rgb)
    for step in aimed(steps, _PixelTone(levels)):
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


def through_stages(levels: F64, stages: Sequence[ColorStage]) -> F64:
    """Levels behind matrices and curves; neighbours of one kind round and clip once."""
    for kind, run in groupby(stages, type):
        alike = list(run)
        for curve in alike:
            if isinstance(curve, Curve):
                levels = _through_curve(levels, curve)
        matrices = [s for s in alike if isinstance(s, Matrix3x4)]
        levels = rounded(_through_matrices(levels, matrices, to_even=True) if kind is Matrix3x4 else levels)
    return levels


def _through_curve(levels: F64, curve: Curve) -> F64:
    if curve.name == "gamma":
        return 255.0 * (levels / 255.0) ** curve.amount
    if curve.name == "tone":
        x, heights = levels / 255.0, (0.0, curve.amount, curve.second, 1.0)
        parts = [math.comb(3, i) * h * x**i * (1.0 - x) ** (3 - i) for i, h in enumerate(heights)]
        bent: F64 = 255.0 * np.sum(parts, axis=0)
        return bent
    whole = rounded(levels)
    if curve.name == "posterize":
        step = 2.0 ** (8 - curve.amount)
        kept: F64 = np.floor(whole / step) * step
        return kept
    changed = 255.0 - whole if curve.name == "solarize" else whole + curve.second
    return np.where((whole >= curve.amount) == (curve.name == "solarize"), changed, whole)


def _through_matrices(levels: F64, matrices: Sequence[Matrix3x4], to_even: bool = False) -> F64:
    """Through the one matrix on the grid of 1/1024 that stands for all of them.

    ``to_even`` rounds where halves go to even.
    """
    if levels.shape[2] == 1 and any(matrix.gray for matrix in matrices):
        return _through_gray(levels, matrices)
    whole = np.eye(4)
    for matrix in matrices:
        whole = np.vstack([np.reshape(matrix.rows, (3, 4)), (0.0, 0.0, 0.0, 1.0)]) @ whole
    on_grid = np.rint(whole[:3] * 1024.0) / 1024.0
    colors = np.broadcast_to(levels, (*levels.shape[:2], 3))  # a gray level v stands for (v, v, v)
    out: F64 = colors @ on_grid[:, :3].T + on_grid[:, 3]
    if to_even and levels.shape[2] == 3 and _mixes_nothing(on_grid):
        return np.rint(out)
    return out[:, :, : levels.shape[2]]


def _through_gray(levels: F64, matrices: Sequence[Matrix3x4]) -> F64:
    factor, offset = 1.0, 0.0
    for matrix in matrices:
        own, added = matrix.gray or (sum(matrix.rows[:3]), matrix.rows[3])
        factor, offset = factor * own, offset * own + added
    out: F64 = levels * (np.rint(factor * 1024.0) / 1024.0) + np.rint(offset * 1024.0) / 1024.0
    return out


def _mixes_nothing(rows: F64) -> bool:
    """Whether no channel takes from another, with weights and offsets for which that counts."""
    small = (np.abs(rows[:, :3]) < 31.0).all() and (np.abs(rows[:, 3]) < 7000.0).all()
    return bool(small and (rows[:, :3] == np.diag(np.diag(rows))).all())


@dataclass(frozen=True, eq=False)
class _PixelTone:
    """The colors of a source pixel by pixel: behind a curve as they come out, behind matrices not cut or rounded."""

    levels: F64
    stages: tuple[ColorStage, ...] = ()

    def behind(self, stage: ColorStage) -> _PixelTone:
        return replace(self, stages=(*self.stages, stage))

    def mean_luma(self) -> float:
        last = max((i + 1 for i, stage in enumerate(self.stages) if isinstance(stage, Curve)), default=0)
        levels = through_stages(self.levels, self.stages[:last])
        for stage in self.stages[last:]:
            assert isinstance(stage, Matrix3x4)
            levels = _through_matrices(levels, [stage])
        height, width, channels = levels.shape
        thousandths = levels @ (299.0, 587.0, 114.0) if channels == 3 else 1000.0 * levels  # whole, so halves are seen
        pixels = height * width
        return float((2048.0 * thousandths.sum() + 1000.0 * pixels) // (2000.0 * pixels)) / 1024.0


def color_for(levels: F64, rgb: tuple[int, int, int]) -> F64:
    """A color for a picture of these channels: (C,)."""
    if levels.shape[2] == 3:
        return np.array(rgb, np.float64)
    red, green, blue = rgb
    return rounded(np.array([0.299 * red + 0.587 * green + 0.114 * blue]))


def mirrored(index: I64, count: int) -> I64:
    """Indexes mirrored at the first and at the last pixel, neither of which is repeated."""
    there_and_back = index % max(1, 2 * count - 2)
    out: I64 = np.minimum(there_and_back, 2 * count - 2 - there_and_back)
    return out


def neighbors(levels: F64, dx: int, dy: int) -> F64:
    """The level ``dx`` columns to the right and ``dy`` rows below each pixel, the picture mirrored at its edges."""
    height, width = levels.shape[:2]
    rows, columns = mirrored(np.arange(height) + dy, height), mirrored(np.arange(width) + dx, width)
    return levels[rows][:, columns]
