"""Color operations on single pixels: matrices and curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.color import Linear, Stage, Table, apply_integers, compiled, gray_table
from augpipe.core.opencv import cv2
from augpipe.core.plan import (
    MOST_PARTS,
    ColorStage,
    Curve,
    Instruction,
    Matrix3x4,
    Pass,
    Pixels,
    SharedSource,
    Step,
    register,
)
from augpipe.pixels.reference import rounded

_BGR = [2, 1, 0]
_AT_ONCE = 1 << 16  # pixels; whole blocks of 64, see _transform, and few enough to stay in the cache
_INT32 = 2**31


@register
class Color(Step, frozen=True, tag="colour"):
    """Point operations in order; neighbours of one kind are merged, and each merged stage rounds and clips once."""

    stages: tuple[ColorStage, ...]

    def fault(self, most_pixels: int) -> str | None:
        numbers = [v for stage in self.stages for v in ([stage.amount] if isinstance(stage, Curve) else stage.rows)]
        shaped = all(isinstance(stage, Curve) or len(stage.rows) == 12 for stage in self.stages)
        sound = shaped and len(self.stages) <= MOST_PARTS and all(abs(v) < most_pixels for v in numbers)
        return None if sound else "stages that are none"

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
        for _, run in groupby(self.stages, type):
            alike = list(run)
            for amount in (s.amount for s in alike if isinstance(s, Curve)):
                levels = 255.0 * (levels / 255.0) ** amount
            levels = rounded(_through_matrices(levels, [s.rows for s in alike if isinstance(s, Matrix3x4)]))
        return levels


def _table(levels: Pixels) -> Instruction:
    return Instruction("table", table=levels.tobytes())


def _matrix(stage: Linear, size_wh: tuple[int, int]) -> Instruction | Pass:
    """A point operation, or a kernel of its own where sums do not fit in 32 bits."""
    rows = stage.q.tolist()
    if max(255 * (abs(r) + abs(g) + abs(b)) + abs(offset) + 512 for r, g, b, offset in rows) < _INT32:
        return Instruction("matrix", values=tuple(v for row in rows for v in row))
    return Pass("matrix", size_wh, size_wh, 3, table=stage.q.astype("<i8").tobytes())


def recolor(picture: Pixels, stages: Sequence[Stage], out: Pixels) -> None:
    """Color stages, by tables and ``cv2.transform``, into ``out``; to the bit what :func:`apply_integers` defines."""
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
    q = stage.q[_BGR][:, [*_BGR, 3]]
    if np.abs(q[:, :3]).max() >= 31 * 1024 or np.abs(q[:, 3]).max() >= 7000 * 1024:
        return partial(_compute, Linear(q))
    return partial(_transform, q / 1024.0)


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


def _through_matrices(levels: F64, many_rows: Sequence[Sequence[float]]) -> F64:
    """Through the one matrix on the grid of 1/1024 that stands for all of them; none at all changes nothing."""
    whole = np.eye(4)
    for rows in many_rows:
        whole = np.vstack([np.reshape(rows, (3, 4)), (0.0, 0.0, 0.0, 1.0)]) @ whole
    on_grid = np.rint(whole[:3] * 1024.0) / 1024.0
    colors = np.broadcast_to(levels, (*levels.shape[:2], 3))  # a gray level v stands for (v, v, v)
    out: F64 = colors @ on_grid[:, :3].T + on_grid[:, 3]
    return out[:, :, : levels.shape[2]]
