"""Color operations on single pixels: matrices, curves, and contrast, which the mean of the source makes a matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.color import Linear, Stage, Sums, Table, about_mean, apply_integers, compiled, gray_table
from augpipe.core.opencv import cv2
from augpipe.core.plan import (
    MOST_PARTS,
    ColorStage,
    Contrast,
    Curve,
    Instruction,
    Matrix3x4,
    Pass,
    Pixels,
    SharedSource,
    Step,
    ToneT,
    register,
)
from augpipe.pixels.reference import through_stages

_BGR = [2, 1, 0]
_AT_ONCE = 1 << 16  # pixels; whole blocks of 64, see _transform, and few enough to stay in the cache
_INT32 = 2**31


@register
class Color(Step, frozen=True, tag="colour"):
    """Point operations in order; neighbours of one kind are merged, and each merged stage rounds and clips once."""

    stages: tuple[ColorStage, ...]

    def fault(self, most_pixels: int) -> str | None:
        shaped = all(len(stage.rows) == 12 for stage in self.stages if isinstance(stage, Matrix3x4))
        curved = all(_is_curve(stage) for stage in self.stages if isinstance(stage, Curve))
        sound = shaped and curved and all(abs(v) < most_pixels for stage in self.stages for v in _numbers(stage))
        return None if sound and len(self.stages) <= MOST_PARTS else "stages that are none"

    def needs_tone(self) -> bool:
        return any(isinstance(stage, Contrast) for stage in self.stages)

    def aimed(self, tone: ToneT) -> tuple[Self, ToneT]:
        made: list[ColorStage] = []
        for stage in self.stages:
            made.append(about_mean(stage, tone.mean_luma()) if isinstance(stage, Contrast) else stage)
            tone = tone.behind(made[-1])
        return msgspec.structs.replace(self, stages=tuple(made)), tone

    def on_cpu(self, picture: Pixels, source: SharedSource | None) -> Pixels:
        out = picture if source is None else np.empty_like(picture)
        recolor(picture, compiled(self.stages), out)
        return out

    def on_gpu(self, size_wh: tuple[int, int], channels: int) -> Iterator[Pass | Instruction]:
        stages = compiled(self.stages)
        if channels == 3:
            for stage in stages:
                yield _matrix(stage, size_wh) if isinstance(stage, Linear) else _table(stage.levels)
        elif stages:
            levels = gray_table(stages[0])
            for stage in stages[1:]:
                levels = gray_table(stage)[levels]
            yield _table(levels)

    def reference(self, levels: F64) -> F64:
        return through_stages(levels, self.stages)


def _numbers(stage: ColorStage) -> Sequence[float]:
    if isinstance(stage, Matrix3x4):
        return (*stage.rows, *(stage.gray or ()))
    return (stage.factor,) if isinstance(stage, Contrast) else (stage.amount, stage.second)


def _is_curve(curve: Curve) -> bool:
    if curve.name == "gamma":
        return curve.amount >= 0.0
    return curve.name != "posterize" or curve.amount in range(1, 9)


def _table(levels: Pixels) -> Instruction:
    return Instruction("table", table=levels.tobytes())


def _matrix(stage: Linear, size_wh: tuple[int, int]) -> Instruction | Pass:
    """A point operation, or a kernel of its own where sums do not fit in 32 bits."""
    if (tables := stage.by_channel()) is not None:
        return Instruction("table", count=3, table=tables.T.tobytes())
    rows = stage.q.tolist()
    if max(255 * (abs(r) + abs(g) + abs(b)) + abs(offset) + 512 for r, g, b, offset in rows) < _INT32:
        return Instruction("matrix", values=tuple(v for row in rows for v in row))
    return Pass("matrix", size_wh, size_wh, 3, table=stage.q.astype("<i8").tobytes())


def recolor(picture: Pixels, stages: Sequence[Stage], out: Pixels) -> None:
    """Color stages, by tables and ``cv2.transform``, into ``out``; to the bit what :func:`apply_integers` defines.

    Of color pictures, a matrix that mixes no channels is its :meth:`Linear.by_channel`.
    """
    ways = [_way_of(stage, picture.ndim == 2) for stage in stages]
    if not ways:
        np.copyto(out, picture)
    channels = picture.shape[2:]
    source, target = picture.reshape(1, -1, *channels), out.reshape(1, -1, *channels)
    for start in range(0, source.shape[1], _AT_ONCE):
        piece, made = source[:, start : start + _AT_ONCE], target[:, start : start + _AT_ONCE]
        for way in ways:
            way(piece, made)
            piece = made


def _way_of(stage: Stage, gray: bool) -> Callable[[Pixels, Pixels], None]:
    """A function that applies a stage to a row of pixels, writing to another row or the same."""
    if gray:
        return partial(_look_up, gray_table(stage))
    if isinstance(stage, Table):
        return partial(_look_up, stage.levels)
    if (tables := stage.by_channel()) is not None:
        alike = (tables == tables[:, :1]).all()
        return partial(_look_up, tables[:, 0].copy() if alike else tables[None, :, _BGR])
    q = stage.q[_BGR][:, [*_BGR, 3]]
    return partial(_compute, Linear(q, stage.gray)) if stage.is_wide else partial(_transform, q / 1024.0)


def _look_up(levels: Pixels, row: Pixels, out: Pixels) -> None:
    cv2.LUT(row, levels, dst=out)


def _compute(stage: Linear, row: Pixels, out: Pixels) -> None:
    out[:] = apply_integers(stage, row)


def _transform(matrix: NDArray[np.float64], row: Pixels, out: Pixels) -> None:
    """By cv2.transform, which computes in 1/1024 while weights fit in 16 bits, in blocks of up to 64 pixels.

    It computes what remains after whole blocks in another way, so the rest is padded to a block.
    """
    whole = row.shape[1] // 64 * 64
    if whole:
        cv2.transform(row[:, :whole], matrix, dst=out[:, :whole])
    if whole < row.shape[1]:
        rest = np.zeros((1, 64, 3), np.uint8)
        rest[:, : row.shape[1] - whole] = row[:, whole:]
        out[:, whole:] = cv2.transform(rest, matrix)[:, : row.shape[1] - whole]


def sums_behind(picture: Pixels, stages: Sequence[ColorStage]) -> Sums:
    """The sums of a picture's levels behind some stages, red, green, blue or gray, and its number of pixels."""
    row, count = picture.reshape(1, -1, *picture.shape[2:]), picture.shape[0] * picture.shape[1]
    sums = np.zeros(4)  # cv2 adds whole numbers, far below the 2⁵³ that a float64 holds
    if stages:
        made = compiled(stages)
        for start in range(0, count, _AT_ONCE):
            piece = row[:, start : start + _AT_ONCE]
            recolor(piece, made, behind := np.empty_like(piece))
            sums += cv2.sumElems(behind)
    else:
        sums += cv2.sumElems(row)
    return tuple(int(v) for v in (sums[:1] if picture.ndim == 2 else sums[_BGR])), count
