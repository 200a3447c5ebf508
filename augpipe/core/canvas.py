"""The state of the canvas after some steps: where the source picture is on it, and which part of it is visible."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from augpipe.core.geometry import Matrix, Region, clip_convex, in_front, move_region, rectangle
from augpipe.core.maps import UNMOVED, Map
from augpipe.core.plan import Box, Step

_APART = 1e-6  # pixels


@dataclass(frozen=True)
class CanvasState:
    """``map`` takes source points to the canvas of ``size_wh``.

    ``hidden_outside`` is the convex region, in canvas points, outside which earlier frames and canvases have cut the
    picture (``None``: nothing was cut; the canvas itself always cuts at the end). ``erased`` are painted-over regions.
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
        seen = self.visible if self.moved else None  # what an earlier canvas did not show is gone
        return CanvasState(
            size_wh,
            self.map.then(matrix),
            None if seen is None else _moved(matrix, seen),
            tuple(filter(None, (_moved(matrix, region) for region in self.erased))),
            True,
            self.source_wh or self.size_wh,
        )

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


def _tidy(region: Region) -> Region:
    """A region without points that clipping left within 1e-6 pixels of each other; empty if less than three remain."""
    before = region[-1:] + region[:-1]
    left = tuple(
        (x, y) for (x, y), (bx, by) in zip(region, before, strict=True) if abs(x - bx) > _APART or abs(y - by) > _APART
    )
    return left if len(left) > 2 else ()


def follow(steps: Iterable[Step], size_wh: tuple[int, int]) -> CanvasState:
    """The canvas of a picture of ``size_wh`` after ``steps``."""
    state = CanvasState(size_wh)
    for step in steps:
        change = step.canvas_change()
        if change.matrix is not None:
            state = state.warped(change.matrix, change.size_wh)
        if change.hidden_outside is not None:
            state = state.framed(change.hidden_outside)
        if change.covered_xyxy:
            state = state.covered(change.covered_xyxy)
    return state
