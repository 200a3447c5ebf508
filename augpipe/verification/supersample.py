"""Shapes painted on fine canvases and moved in float64, by no code of what is checked.

*Looking up* walks from a sample of the written picture back through the steps to the source and reads the painted
canvas there. *Particles* are samples of the source sent forward, each with the area that it stands for, so that what
leaves the frame, is cut by bars or painted over can be counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.geometry import Matrix
from augpipe.core.opencv import cv2
from augpipe.core.plan import Step
from augpipe.verification.meshes import placed, shown_at

Marks: TypeAlias = NDArray[np.bool_]
Window: TypeAlias = tuple[int, int, int, int]

FINE = 4
"""Samples a pixel in each direction, where an outline is painted to be compared as a mask."""

_NEAREST = 1e-3  # depth below which a point of a projective map is behind the eye
_BAND = 1 << 20  # samples that are looked up together


def filled(rings: Sequence[F64], size_wh: tuple[int, int], fine: int = FINE) -> Marks:
    """The union of rings, each by the even-odd rule at sample centres: (H·fine, W·fine)."""
    w, h = size_wh
    out = np.zeros((h * fine, w * fine), bool)
    for ring in rings:
        flips = np.zeros((h * fine, w * fine + 1), np.uint8)
        points = np.asarray(ring, np.float64) * fine - 0.5  # in indexes of samples
        for (ax, ay), (bx, by) in zip(points.tolist(), np.roll(points, -1, axis=0).tolist(), strict=True):
            low, high = min(ay, by), max(ay, by)
            rows = np.arange(max(0, int(np.ceil(low))), min(h * fine, int(np.ceil(high))))
            if rows.size:
                x = ax + (rows - ay) / (by - ay) * (bx - ax)
                np.bitwise_xor.at(flips, (rows, np.clip(np.ceil(x), 0, w * fine).astype(np.int64)), 1)
        out |= np.bitwise_xor.accumulate(flips, axis=1)[:, :-1].astype(bool)
    return out


def enlarged(bitmap: NDArray[Any], fine: int = FINE) -> Marks:
    """A mask of pixels on the fine canvas."""
    return np.repeat(np.repeat(np.asarray(bitmap, bool), fine, axis=0), fine, axis=1)


def outline(rings: Sequence[F64], apart: float = 0.125) -> F64:
    """Points along the sides of rings, their corners among them, at most ``apart`` pixels from each other: (N, 2)."""
    pieces = [np.zeros((0, 2))]
    for ring in rings:
        for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            count = int(np.ceil(np.hypot(*(b - a)) / apart)) + 1
            pieces.append(a + (b - a) * np.linspace(0.0, 1.0, min(count, 100_000), endpoint=False)[:, None])
    return np.concatenate(pieces)


def in_convex(points_xy: F64, region: Sequence[tuple[float, float]]) -> Marks:
    """Which points lie in a convex region, its edge counting as inside; one of fewer than three points holds none."""
    if len(region) < 3:
        return np.zeros(len(points_xy), bool)
    x, y = points_xy.T
    left, right = np.ones(len(points_xy), bool), np.ones(len(points_xy), bool)
    for (ax, ay), (bx, by) in zip(region, [*region[1:], region[0]], strict=True):
        side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        left &= side >= 0.0
        right &= side <= 0.0
    return left | right


def in_boxes(points_xy: F64, boxes_xyxy: Sequence[Sequence[float]]) -> Marks:
    """Which points lie in any of some half-open boxes."""
    x, y = points_xy.T
    out = np.zeros(len(points_xy), bool)
    for x0, y0, x1, y1 in boxes_xyxy:
        out |= (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    return out


def _in_frame(points_xy: F64, size_wh: tuple[int, int]) -> Marks:
    x, y = points_xy.T
    inside: Marks = (x >= 0.0) & (x <= size_wh[0]) & (y >= 0.0) & (y <= size_wh[1])
    return inside


def _projected(matrix: NDArray[Any], points_xy: F64, nearest: float) -> tuple[F64, F64, Marks]:
    """(points through a matrix, their depths, which of them are in front)."""
    x, y, depth = (row[0] * points_xy[:, 0] + row[1] * points_xy[:, 1] + row[2] for row in matrix)
    front = depth > nearest
    depth = np.where(front, depth, 1.0)
    return np.stack([x, y], axis=1) / depth[:, None], depth, front


def _inverse(matrix: Matrix) -> NDArray[Any]:
    back: NDArray[Any] = np.linalg.inv(np.array(matrix, np.float64).reshape(3, 3))
    return back


def sizes_of(steps: Sequence[Step], size_wh: tuple[int, int]) -> list[tuple[int, int]]:
    """The canvas before each step, and after the last."""
    sizes = [size_wh]
    for step in steps:
        change = step.canvas_change()
        sizes.append(sizes[-1] if change.matrix is None else change.size_wh)
    return sizes


# --- back ------------------------------------------------------------------------------------------------------------


def walked_back(
    points_xy: F64, steps: Sequence[Step], size_wh: tuple[int, int], cut_erased: bool = False
) -> tuple[F64, Marks]:
    """Where points of the written picture come from in the source, and which of them show source at all.

    Args:
        points_xy: (N, 2) in the written picture.
        steps: of the plan.
        size_wh: of the source.
        cut_erased: whether what was painted over shows no source.
    """
    sizes = sizes_of(steps, size_wh)
    points, shown = points_xy, _in_frame(points_xy, sizes[-1])
    for step, before in zip(reversed(steps), reversed(sizes[:-1]), strict=True):
        change = step.canvas_change()
        if cut_erased:
            shown &= ~in_boxes(points, change.covered_xyxy)
        if change.hidden_outside is not None:
            shown &= in_convex(points, change.hidden_outside)
        if change.matrix is not None:
            if change.mesh is not None:
                behind, _, _ = _projected(_inverse(change.after), points, 1e-9)
                points = shown_at(change.mesh, behind)
            points, _, front = _projected(_inverse(change.matrix), points, 1e-9)
            shown &= front & _in_frame(points, before)
    return points, shown


@dataclass(frozen=True, eq=False)
class SampleGrid:
    """Samples of the source picture: ``marks`` (H·4, W·4) from the pixel ``origin_xy`` on."""

    marks: Marks
    origin_xy: tuple[int, int] = (0, 0)

    def looked_up(
        self, steps: Sequence[Step], size_wh: tuple[int, int], window: Window, cut_erased: bool = False
    ) -> Marks:
        """The canvas after ``steps``, in a window (x0, y0, x1, y1) of the written picture: ((y1−y0)·4, (x1−x0)·4)."""
        x0, y0, x1, y1 = window
        columns, rows = np.arange(x0 * FINE, x1 * FINE), np.arange(y0 * FINE, y1 * FINE)
        out = np.zeros((rows.size, columns.size), bool)
        height = max(1, _BAND // max(1, columns.size))
        for top in range(0, rows.size, height):
            x, y = np.meshgrid((columns + 0.5) / FINE, (rows[top : top + height] + 0.5) / FINE)
            points, shown = walked_back(np.stack([x.ravel(), y.ravel()], axis=1), steps, size_wh, cut_erased)
            out[top : top + height] = self._at(points, shown).reshape(x.shape)
        return out

    @cached_property
    def grown(self) -> SampleGrid:
        """The grid with every sample that has a marked one beside it."""
        padded = np.pad(self.marks, FINE).astype(np.uint8)
        marks = cv2.dilate(padded, np.ones((3, 3), np.uint8)).astype(bool)
        return SampleGrid(marks, (self.origin_xy[0] - 1, self.origin_xy[1] - 1))

    @cached_property
    def shrunk(self) -> SampleGrid:
        """The grid with only the samples that have nothing but marked ones around them, two samples far."""
        marks = cv2.erode(np.pad(self.marks, 2).astype(np.uint8), np.ones((5, 5), np.uint8))[2:-2, 2:-2]
        return SampleGrid(marks.astype(bool), self.origin_xy)

    def has(self, points_xy: F64) -> Marks:
        """Which points of the source lie in a marked sample."""
        return self._at(points_xy, np.ones(len(points_xy), bool))

    def is_plain(self, low_xy: F64, high_xy: F64) -> bool:
        """Whether all samples of a rectangle of the source are marked, or none is."""
        size = np.array(self.marks.shape[::-1])
        corners = np.stack([np.floor(low_xy - self.origin_xy), np.ceil(high_xy - self.origin_xy)]) * FINE
        (x0, y0), (x1, y1) = np.clip(corners, 0, size).astype(np.int64).tolist()
        inside = self.marks[y0:y1, x0:x1]
        whole = bool((corners[0] >= 0).all() and (corners[1] <= size).all())
        return not inside.any() or (whole and bool(inside.all()))

    def _at(self, points_xy: F64, shown: Marks) -> Marks:
        place = np.floor((np.where(shown[:, None], points_xy, -1e6) - self.origin_xy) * FINE).astype(np.int64)
        h, w = self.marks.shape
        inside = (place[:, 0] >= 0) & (place[:, 0] < w) & (place[:, 1] >= 0) & (place[:, 1] < h)
        out = np.zeros(len(points_xy), bool)
        out[inside] = self.marks[place[inside, 1], place[inside, 0]]
        return out


# --- forward ---------------------------------------------------------------------------------------------------------


class Particles:
    """Points of the source on their way through the steps of a plan.

    ``xy`` are points of the canvas, ``weight`` the area that each stands for, ``shown`` those that no canvas and no bar
    has cut, ``bare`` those that nothing was painted over.
    """

    def __init__(self, points_xy: F64, steps: Sequence[Step], size_wh: tuple[int, int], area: float = 1.0) -> None:
        self.xy = np.asarray(points_xy, np.float64).reshape(-1, 2)
        self.weight = np.full(len(self.xy), area)
        self.bare = np.ones(len(self.xy), bool)
        self.shown = _in_frame(self.xy, size_wh)
        for step, after in zip(steps, sizes_of(steps, size_wh)[1:], strict=True):
            self._through(step, after)

    @classmethod
    def of(cls, canvas: SampleGrid, steps: Sequence[Step], size_wh: tuple[int, int], most: int = 1 << 22) -> Particles:
        """The samples of a canvas, or where they are more than ``most`` the middle ones of odd blocks of them."""
        every = 1
        while canvas.marks.size > most * every**2:
            every += 2
        rows, columns = np.nonzero(canvas.marks[every // 2 :: every, every // 2 :: every])
        places = np.stack([columns, rows], axis=1) * every + (every // 2 + 0.5)
        return cls(places / FINE + np.array(canvas.origin_xy), steps, size_wh, (every / FINE) ** 2)

    def _through(self, step: Step, after: tuple[int, int]) -> None:
        change = step.canvas_change()
        if change.matrix is not None:
            matrix = np.array(change.matrix, np.float64).reshape(3, 3)
            self.xy, depth, front = _projected(matrix, self.xy, _NEAREST)
            self.weight = np.where(front, self.weight * abs(np.linalg.det(matrix)) / depth**3, 0.0)
            if change.mesh is not None:
                self.xy, growth = placed(change.mesh, self.xy)
                matrix = np.array(change.after, np.float64).reshape(3, 3)
                self.xy, _, _ = _projected(matrix, self.xy, _NEAREST)
                self.weight = self.weight * growth * abs(np.linalg.det(matrix))
            self.shown &= front & _in_frame(self.xy, after)
        if change.hidden_outside is not None:
            self.shown &= in_convex(self.xy, change.hidden_outside)
        if change.covered_xyxy:
            self.bare &= ~in_boxes(self.xy, change.covered_xyxy)

    def left(self, cut_erased: bool) -> Marks:
        """The points that are shown, with ``cut_erased`` without those that were painted over."""
        return self.shown & self.bare if cut_erased else self.shown

    def share(self, marks: Marks) -> float:
        """The share of all area that ``marks`` have, 0..1; of no area, 0."""
        whole = float(self.weight.sum())
        return float(self.weight[marks].sum()) / whole if whole > 0.0 else 0.0

    def box(self, marks: Marks) -> F64 | None:
        """Around the marked points, [x0, y0, x1, y1]; ``None`` if there are none."""
        seen = self.xy[marks]
        if not len(seen):
            return None
        box: F64 = np.concatenate([seen.min(axis=0), seen.max(axis=0)])
        return box


# --- measuring -------------------------------------------------------------------------------------------------------


def box_of(marks: NDArray[Any], origin_xy: tuple[int, int] = (0, 0)) -> F64 | None:
    """The box of the pixels of a mask, [x0, y0, x1, y1]; ``None`` if there are none."""
    rows, columns = np.flatnonzero(marks.any(axis=1)), np.flatnonzero(marks.any(axis=0))
    if not rows.size:
        return None
    (x, y), (x0, x1), (y0, y1) = origin_xy, columns[[0, -1]], rows[[0, -1]]
    return np.array([x + x0, y + y0, x + x1 + 1, y + y1 + 1], np.float64)


def perimeter(values: NDArray[Any]) -> int:
    """The number of sides between neighbours of different values; around a mask lies what is outside of it."""
    padded = np.pad(values, 1) if values.dtype == bool else values
    return int((padded[1:] != padded[:-1]).sum() + (padded[:, 1:] != padded[:, :-1]).sum())
