"""Where the points of a source picture go on the canvas, and which part of it is visible there.

Labels and fusion use a map by its protocol: a :class:`MatrixMap`, or a :class:`BentMap` where meshes are on the way.
A map that bends lines needs no other code in them: they cut straight sides into pieces of its ``straight_length``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import ClassVar, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from augpipe.core.annotations import F64
from augpipe.core.geometry import (
    IDENTITY,
    NEAREST,
    Matrix,
    Point,
    Region,
    clip_convex,
    depth,
    determinant,
    in_front,
    inverse,
    is_affine,
    is_exact,
    move_point,
    move_points,
    move_region,
    rectangle,
    then,
    with_short_sides,
)
from augpipe.core.mesh import Mesh
from augpipe.core.plan import Box, CanvasChange, Step

_APART = 1e-6  # pixels
_SHORTEST = 0.25
"""Pixels of the source into which lines are cut at least, whatever a mesh comes to there."""


class Map(Protocol):
    """A map of the plane, from source points to canvas points."""

    @property
    def is_exact(self) -> bool:
        """Whether it only flips, turns by quarters and moves by whole pixels, so that pixels can be copied."""

    @property
    def is_similar(self) -> bool:
        """Whether rectangles stay rectangles of the same shape."""

    @property
    def is_affine(self) -> bool:
        """Whether parallel lines stay parallel; every point then has an image."""

    @property
    def straight_length(self) -> float:
        """Pixels of the longest source line whose image may be taken as straight; infinite if all are."""

    @property
    def mirrors(self) -> bool:
        """Whether it turns left into right."""

    def then(self, matrix: Matrix) -> Map:
        """This map, and ``matrix`` after it."""

    def has_image(self, points_xy: F64) -> NDArray[np.bool_]:
        """Which source points (..., 2) have an image."""

    def part_with_image(self, region: Region) -> Region:
        """The part of a convex region of the source that has an image."""

    def forward(self, points_xy: F64) -> F64:
        """Source points (..., 2) on the canvas. Each must have an image."""

    def back(self, points_xy: F64) -> F64:
        """Canvas points (..., 2) in the source; NaN where a point is no image of any.

        Raises:
            ZeroDivisionError: the map has no inverse.
        """

    def local_scale(self, at: Point) -> tuple[float, float]:
        """How far the source moves, in its x and its y, when a canvas point near ``at`` moves by one pixel.

        Values above 1 mean that the picture shrinks; NaN where ``at`` is no image of any point.

        Raises:
            ZeroDivisionError: the map has no inverse.
        """


class MatrixMap(msgspec.Struct, frozen=True):
    """A projective map by its matrix. Points behind its horizon have no image."""

    matrix: Matrix = IDENTITY

    @property
    def is_exact(self) -> bool:
        return is_exact(self.matrix)

    @property
    def is_similar(self) -> bool:
        a, b, _, d, e, _ = self.matrix[:6]
        size = a * a + d * d
        same_shape = math.isclose(size, b * b + e * e, rel_tol=1e-5) and abs(a * b + d * e) <= 1e-5 * size
        return self.is_affine and same_shape

    @property
    def is_affine(self) -> bool:
        return is_affine(self.matrix)

    @property
    def straight_length(self) -> float:
        return math.inf

    @property
    def mirrors(self) -> bool:
        return determinant(self.matrix) < 0.0

    def then(self, matrix: Matrix) -> MatrixMap:
        return MatrixMap(then(self.matrix, matrix))

    def has_image(self, points_xy: F64) -> NDArray[np.bool_]:
        return depth(self.matrix, points_xy) >= NEAREST

    def part_with_image(self, region: Region) -> Region:
        return in_front(self.matrix, region)

    def forward(self, points_xy: F64) -> F64:
        return move_points(self.matrix, points_xy)

    def back(self, points_xy: F64) -> F64:
        matrix = inverse(self.matrix)
        if is_affine(matrix):
            return move_points(matrix, points_xy)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(depth(matrix, points_xy)[..., None] > 0.0, move_points(matrix, points_xy), np.nan)

    def local_scale(self, at: Point) -> tuple[float, float]:
        back = inverse(self.matrix)
        w = back[6] * at[0] + back[7] * at[1] + back[8]
        if w <= 0.0:
            return math.nan, math.nan
        x, y = move_point(back, at)
        dx = ((back[0] - x * back[6]) / w, (back[1] - x * back[7]) / w)
        dy = ((back[3] - y * back[6]) / w, (back[4] - y * back[7]) / w)
        return math.hypot(*dx), math.hypot(*dy)


UNMOVED = MatrixMap()


class BentMap(msgspec.Struct, frozen=True):
    """Matrices and meshes one after the other. A canvas lies before each mesh; the map goes on beyond it."""

    parts: tuple[Matrix | Mesh, ...]

    is_exact: ClassVar[bool] = False
    is_similar: ClassVar[bool] = False
    is_affine: ClassVar[bool] = False

    @property
    def straight_length(self) -> float:
        # A quarter of a cell of each mesh, brought back to the source.
        lengths = []
        for i, part in enumerate(self.parts):
            if isinstance(part, Mesh):
                centre = (part.size_wh[0] / 2.0, part.size_wh[1] / 2.0)
                scales = [scale for scale in BentMap(self.parts[:i]).local_scale(centre) if scale > 0.0]
                lengths.append(min(scales, default=1.0) * (1 << part.spacing) / 4.0)
        return max(_SHORTEST, min(lengths, default=math.inf))

    @property
    def mirrors(self) -> bool:
        turned = [part for part in self.parts if not isinstance(part, Mesh) and determinant(part) < 0.0]
        return len(turned) % 2 == 1

    def then(self, matrix: Matrix) -> BentMap:
        last = self.parts[-1] if self.parts else IDENTITY
        if isinstance(last, Mesh):
            return BentMap((*self.parts, matrix))
        return BentMap((*self.parts[:-1], then(last, matrix)))

    def bent(self, mesh: Mesh) -> BentMap:
        """This map, and a mesh after it."""
        return BentMap((*self.parts, mesh))

    def has_image(self, points_xy: F64) -> NDArray[np.bool_]:
        points, seen = np.asarray(points_xy, np.float64), np.ones(np.shape(points_xy)[:-1], bool)
        for part in self.parts:
            if isinstance(part, Mesh):
                points = part.forward(points)
            else:
                seen &= depth(part, points) >= NEAREST
                points = move_points(part, np.where(seen[..., None], points, 0.0))
        return seen

    def part_with_image(self, region: Region) -> Region:
        for i, part in enumerate(self.parts):
            if isinstance(part, Mesh) or is_affine(part) or not region:
                continue
            before = BentMap(self.parts[:i])
            moved = before.image_of(region)
            front = in_front(part, moved)
            if front != moved:
                region = _region(before.back(np.array(front))) if len(front) > 2 else ()
        return region

    def image_of(self, region: Region) -> Region:
        """A region of the source, all of which has an image, on the canvas; it need not be convex."""
        return _region(self.forward(with_short_sides(np.array(region, np.float64), self.straight_length)))

    def forward(self, points_xy: F64) -> F64:
        points = np.asarray(points_xy, np.float64)
        for part in self.parts:
            points = part.forward(points) if isinstance(part, Mesh) else move_points(part, points)
        return points

    def back(self, points_xy: F64) -> F64:
        points = np.asarray(points_xy, np.float64)
        for part in reversed(self.parts):
            points = part.back(points) if isinstance(part, Mesh) else MatrixMap(part).back(points)
        return points

    def local_scale(self, at: Point) -> tuple[float, float]:
        if not self.parts:
            return 1.0, 1.0
        (left, right, above, below) = self.back(np.add(at, [[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]]))
        along_x, along_y = right - left, below - above
        return math.hypot(along_x[0], along_y[0]), math.hypot(along_x[1], along_y[1])


@dataclass(frozen=True)
class CanvasState:
    """``map`` takes source points to the canvas of ``size_wh``.

    ``hidden_outside`` is the region, in canvas points, outside which earlier frames and canvases have cut the picture
    (``None``: nothing was cut; the canvas itself always cuts at the end). ``erased`` are painted-over regions. All are
    convex, unless a mesh has bent them.
    ``source_wh`` is the size of the source picture (``None``: that of the canvas, nothing has moved).
    """

    size_wh: tuple[int, int]
    map: Map = UNMOVED
    hidden_outside: Region | None = None
    erased: tuple[Region, ...] = ()
    moved: bool = False
    source_wh: tuple[int, int] | None = None

    def warped(self, matrix: Matrix, size_wh: tuple[int, int]) -> CanvasState:
        """The state after the whole canvas has gone through ``matrix`` onto one of ``size_wh``."""
        return self._onto(size_wh, self.map.then(matrix), partial(_moved, matrix))

    def bent(self, before: Matrix, mesh: Mesh, after: Matrix, size_wh: tuple[int, int]) -> CanvasState:
        """The state after the whole canvas has gone through a matrix, a mesh and a matrix; both are affine."""
        map, own = self.map, BentMap((before, mesh, after))
        parts = map.parts if isinstance(map, BentMap) else (map.matrix,) if isinstance(map, MatrixMap) else ()
        whole = BentMap(parts).then(before).bent(mesh).then(after)
        return self._onto(size_wh, whole, lambda region: _tidy(own.image_of(region)))

    def _onto(self, size_wh: tuple[int, int], map: Map, moved: Callable[[Region], Region]) -> CanvasState:
        seen = self.visible if self.moved else None  # what an earlier canvas did not show is gone
        return CanvasState(
            size_wh,
            map,
            None if seen is None else moved(seen) if seen else seen,
            tuple(filter(None, (moved(region) for region in self.erased))),
            True,
            self.source_wh or self.size_wh,
        )

    def changed(self, change: CanvasChange) -> CanvasState:
        """The state after a step."""
        state = self
        if change.matrix is not None and change.mesh is not None:
            state = state.bent(change.matrix, change.mesh, change.after, change.size_wh)
        elif change.matrix is not None:
            state = state.warped(change.matrix, change.size_wh)
        if change.hidden_outside is not None:
            state = state.framed(change.hidden_outside)
        return state.covered(change.covered_xyxy) if change.covered_xyxy else state

    def framed(self, region: Region) -> CanvasState:
        """The state after everything outside ``region`` was painted over."""
        seen = region if self.hidden_outside is None else clip_convex(self.hidden_outside, region)
        return replace(self, hidden_outside=_tidy(seen), moved=True)

    def covered(self, boxes_xyxy: Iterable[Box]) -> CanvasState:
        """After boxes were painted over."""
        boxes = [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in boxes_xyxy]
        regions = (_tidy(((x0, y0), (x1, y0), (x1, y1), (x0, y1))) for x0, y0, x1, y1 in boxes)
        return replace(self, erased=(*self.erased, *filter(None, regions)))

    @cached_property
    def visible(self) -> Region:
        """The part of the canvas where the picture can be seen."""
        canvas = rectangle(self.size_wh)
        if self.hidden_outside is None:
            return canvas
        w, h = canvas[2]
        seen = clip_convex(self.hidden_outside, canvas)  # its crossings are rounded
        return _tidy(tuple((min(max(x, 0.0), w), min(max(y, 0.0), h)) for x, y in seen))

    @property
    def source(self) -> Region:
        """The frame of the source picture, in its own points."""
        return rectangle(self.source_wh or self.size_wh)


def _moved(matrix: Matrix, region: Region) -> Region:
    """The part of a region that a matrix does not put behind its horizon, moved."""
    return _tidy(move_region(matrix, in_front(matrix, region)))


def _region(points_xy: F64) -> Region:
    return tuple(map(tuple, points_xy.tolist()))


def _tidy(region: Region) -> Region:
    """A region without points that clipping left within 1e-6 pixels of each other; empty if less than three remain."""
    before = region[-1:] + region[:-1]
    left = tuple(
        (x, y) for (x, y), (bx, by) in zip(region, before, strict=True) if abs(x - bx) > _APART or abs(y - by) > _APART
    )
    return left if len(left) > 2 else ()


MOST_STEPS = 1000
MOST_PIXELS = 64_000_000
"""Of a canvas in a plan that was read, unless the source itself is larger; augment draws none that are."""


def fault_of(steps: Sequence[Step], size_wh: tuple[int, int]) -> str | None:
    """Why a plan cannot be followed for a source of this size, in words; ``None`` if it can.

    That is for plans of files, which may be damaged: sizes that fit into memory, maps that have an inverse, numbers in
    their ranges.
    """
    if len(steps) > MOST_STEPS:
        return f"{len(steps)} steps"
    most = max(MOST_PIXELS, math.prod(size_wh))
    for number, step in enumerate(steps):
        try:
            fault = step.fault(most)
        except (TypeError, ValueError, OverflowError) as error:
            fault = str(error)
        if fault is not None:
            return f"step {number}, {type(step).__name__.lower()}: {fault}"
    return None


def follow(steps: Iterable[Step], size_wh: tuple[int, int]) -> CanvasState:
    """The canvas of a picture of ``size_wh`` after ``steps``."""
    state = CanvasState(size_wh)
    for step in steps:
        state = state.changed(step.canvas_change())
    return state
