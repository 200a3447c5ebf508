"""What the labels of a source picture come to under a plan: measured from painted shapes, object by object."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from augpipe.core.annotations import F64, Category, Objects, Raster, Rings, Rle, Segmentation
from augpipe.core.plan import Step
from augpipe.labels.rules import LabelRules
from augpipe.verification.supersample import (
    FINE,
    Marks,
    Particles,
    SampleGrid,
    Window,
    box_of,
    enlarged,
    filled,
    outline,
    walked_back,
)

SHARE = 0.02
"""A share of an object that sampling may be off by."""

TRUNCATED_BELOW = 0.999
"""The share in the frame below which an object is truncated."""

_MOST_PARTICLES = 1 << 16
_SIDES_OF_ELLIPSE = 256
_MOST_OF_SIDE = 2048  # points along a side of a canvas
_WITHIN = 1e-4  # pixels by which points along an edge lie on its near side


# --- painting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Painted:
    """One shape on the source picture: its samples, and points along its outline."""

    canvas: SampleGrid
    points_xy: F64


def bitmap_of(rle: Rle) -> Raster:
    """A run-length code as pixels, by pycocotools."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools' own, of NumPy 2
        bitmap: Raster = coco_mask.decode({"size": list(rle.size_hw), "counts": rle.counts})
    return bitmap


def painted(segmentation: Segmentation) -> Painted:
    """A mask or polygon of the source, painted in its own window."""
    if isinstance(segmentation, Rings):
        return painted_rings(segmentation.rings)
    bitmap = bitmap_of(segmentation)
    box = box_of(bitmap)
    if box is None:
        return Painted(SampleGrid(np.zeros((4, 4), bool)), np.zeros((0, 2)))
    x0, y0, x1, y1 = box.astype(int).tolist()
    window = bitmap[y0:y1, x0:x1]
    return Painted(SampleGrid(enlarged(window), (x0, y0)), _corners_of_pixels(window) + box[:2])


def _corners_of_pixels(bitmap: Raster) -> F64:
    """The corners of the pixels at the ends of a mask's rows: all of its convex hull's corners are among them."""
    first = bitmap.argmax(axis=1)
    last = bitmap.shape[1] - bitmap[:, ::-1].argmax(axis=1)
    rows = np.flatnonzero(bitmap.any(axis=1))
    xs = np.concatenate([first[rows], first[rows], last[rows], last[rows]])
    ys = np.concatenate([rows, rows + 1, rows, rows + 1])
    return np.stack([xs, ys], axis=1).astype(np.float64)


def painted_rings(rings: Sequence[F64]) -> Painted:
    """Rings, painted in their own window."""
    together = np.concatenate(list(rings))
    low, high = np.floor(together.min(axis=0)), np.ceil(together.max(axis=0)) + 1
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    canvas = SampleGrid(filled([ring - low for ring in rings], size), (int(low[0]), int(low[1])))
    return Painted(canvas, outline(rings))


def box_ring(box_xyxy: Sequence[float]) -> F64:
    """The corners of a box: (4, 2)."""
    x0, y0, x1, y1 = box_xyxy
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)


def ellipse_ring(box_xyxy: Sequence[float]) -> F64:
    """The ellipse that touches the sides of a box, by many points."""
    x0, y0, x1, y1 = box_xyxy
    turn = np.linspace(0.0, 2.0 * math.pi, _SIDES_OF_ELLIPSE, endpoint=False)
    return np.stack([(x0 + x1 + (x1 - x0) * np.cos(turn)) / 2, (y0 + y1 + (y1 - y0) * np.sin(turn)) / 2], axis=1)


def best_of(objects: Objects, i: int, rule: str) -> tuple[str, Painted]:
    """(where its box comes from, the painted shape) of one object: mask > polygon > oriented box > plain box."""
    segmentation, obb = objects.segmentation[i], objects.obb[i]
    if segmentation is not None:
        shape = painted(segmentation)
        if shape.canvas.marks.any():
            return ("polygon" if isinstance(segmentation, Rings) else "mask"), shape
    if obb is not None:
        return "obb", painted_rings([obb])
    box = objects.boxes_xyxy[i].tolist()
    return rule, painted_rings([ellipse_ring(box) if rule == "ellipse" else box_ring(box)])


# --- moving ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class VisibleShape:
    """What the written picture shows of a shape.

    ``inner_xyxy`` is the box of the painted samples, ``outer_xyxy`` that of the outline's points, which also finds a
    tip that is thinner than a sample; the tight box lies between them. ``None`` where nothing is seen. ``in_frame``
    and ``visible`` are shares of the moved shape's area, ``area`` is in pixels.
    """

    inner_xyxy: F64 | None
    outer_xyxy: F64 | None
    in_frame: float
    visible: float
    area: float

    def side(self, outer: bool = False) -> float:
        """The shorter side of the inner or outer box; 0 where there is none."""
        box = self.outer_xyxy if outer else self.inner_xyxy
        return 0.0 if box is None else float((box[2:] - box[:2]).min())

    def beyond(self, box_xyxy: F64) -> F64:
        """How far each side of a box lies outside the room between the inner and the outer box, in pixels."""
        outer = self.outer_xyxy
        if outer is None:
            return np.full(4, np.inf)
        inner = self.inner_xyxy if self.inner_xyxy is not None else outer
        low, high = np.minimum(inner, outer), np.maximum(inner, outer)
        off: F64 = np.maximum(low - box_xyxy, box_xyxy - high).clip(0.0)
        return off


def _around(boxes: Sequence[F64 | None]) -> F64 | None:
    known = np.array([box for box in boxes if box is not None])
    if not known.size:
        return None
    box: F64 = np.concatenate([known[:, :2].min(axis=0), known[:, 2:].max(axis=0)])
    return box


def _along(ring: F64, outwards: float) -> F64:
    """Points along a convex ring, four a pixel where these are not too many, moved away from its middle."""
    moved = ring + np.sign(ring - ring.mean(axis=0)) * outwards
    longest = float(np.hypot(*(moved - np.roll(moved, -1, axis=0)).T).max())
    return outline([moved], max(0.25, longest / _MOST_OF_SIDE))


@dataclass(frozen=True)
class Setting:
    """What is the same for all objects of a sample: the plan, the sizes of source and written picture, the rules.

    ``shapes`` are painted shapes by (object, rule), kept for the other copies of the source; ``cuts`` are the points of
    :meth:`cuts_xy`.
    """

    steps: Sequence[Step]
    size_wh: tuple[int, int]
    out_wh: tuple[int, int]
    rules: LabelRules
    shapes: dict[tuple[int, str], tuple[str, Painted]] = field(default_factory=dict)
    cuts: dict[bool, F64] = field(default_factory=dict)

    @property
    def cuts_erased(self) -> bool:
        """Whether masks and polygons lose what was painted over."""
        return self.rules.erased == "cut"

    @property
    def is_moved(self) -> bool:
        """Whether any step moves or cuts the picture."""
        changes = [step.canvas_change() for step in self.steps]
        return any(change.matrix is not None or change.hidden_outside is not None for change in changes)

    @property
    def is_mirrored(self) -> bool:
        """Whether an odd number of steps turns the picture over."""
        changes = [step.canvas_change() for step in self.steps]
        matrices = [m for change in changes if change.matrix is not None for m in (change.matrix, change.after)]
        return bool(sum(np.linalg.det(np.array(matrix).reshape(3, 3)) < 0.0 for matrix in matrices) % 2)

    def of(self, category: Category) -> Setting:
        """The setting of the objects of a class, which may have rules of its own."""
        return replace(self, rules=self.rules.classes.get(category.name, self.rules))

    def moved(self, points_xy: F64) -> Particles:
        """Points of the source in the written picture."""
        return Particles(points_xy, self.steps, self.size_wh)

    def walked_back(self, points_xy: F64) -> tuple[F64, Marks]:
        """Where points of the written picture come from, and which of them show source."""
        return walked_back(points_xy, self.steps, self.size_wh, self.cuts_erased)

    def samples(self, shape: Painted, window: Window) -> Marks:
        """The samples of a shape in a window of the written picture, (H·4, W·4)."""
        return shape.canvas.looked_up(self.steps, self.size_wh, window, self.cuts_erased)

    def coverage(self, shape: Painted, window: Window) -> F64:
        """How much of each pixel of a window a shape covers, 0..1."""
        x0, y0, x1, y1 = window
        share: F64 = self.samples(shape, window).reshape(y1 - y0, FINE, x1 - x0, FINE).mean(axis=(1, 3))
        return share

    def moved_raster(self, raster: Raster, void: int) -> Raster:
        """A raster in the written picture: the value where a pixel's centre comes from, ``void`` where it has none."""
        w, h = self.out_wh
        x, y = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
        points, shown = self.walked_back(np.stack([x.ravel(), y.ravel()], axis=1))
        place = np.floor(np.where(shown[:, None], points, 0.0)).astype(np.int64)
        place = np.minimum(place, [raster.shape[1] - 1, raster.shape[0] - 1])
        out: Any = np.full(w * h, void, raster.dtype)
        out[shown] = raster[place[shown, 1], place[shown, 0]]
        moved: Raster = out.reshape(h, w)
        return moved

    def cuts_xy(self, cut_erased: bool) -> F64:
        """Points of the source along everything that can cut a shape, just on the side that stays: (N, 2).

        The edges of the source, of every canvas and of bars; with ``cut_erased`` also of what is painted over.
        """
        if cut_erased not in self.cuts:
            found = [_along(box_ring((0.0, 0.0, *self.size_wh)), -_WITHIN)]
            for number, step in enumerate(self.steps, start=1):
                change, edges = step.canvas_change(), list[F64]()
                if change.matrix is not None:
                    edges.append(_along(box_ring((0.0, 0.0, *change.size_wh)), -_WITHIN))
                if change.hidden_outside is not None and len(change.hidden_outside) > 2:
                    edges.append(_along(np.array(change.hidden_outside, np.float64), -_WITHIN))
                if cut_erased:
                    edges += [_along(box_ring(box), _WITHIN) for box in change.covered_xyxy]
                for edge in edges:
                    points, shown = walked_back(edge, self.steps[:number], self.size_wh, cut_erased)
                    found.append(points[shown])
            self.cuts[cut_erased] = np.concatenate(found)
        return self.cuts[cut_erased]

    def seen(self, shape: Painted, in_source: bool = False, cut_erased: bool = False) -> VisibleShape:
        """What the written picture shows of a shape.

        Args:
            shape: on the source.
            in_source: whether what lies outside the source picture is no part of the shape, as of an oriented box.
            cut_erased: whether the shape loses what was painted over, and its box is around what is left.
        """
        particles = Particles.of(shape.canvas, self.steps, self.size_wh, _MOST_PARTICLES)
        if in_source:
            particles.weight = particles.weight * Particles.of(shape.canvas, (), self.size_wh, _MOST_PARTICLES).shown
        edge = self.moved(shape.points_xy)
        left, left_of_edge = particles.left(cut_erased), edge.left(cut_erased)
        # An end counts for the inner box where area lies behind it: a spike thinner than a sample may be there or not.
        firm = left_of_edge & shape.canvas.grown.has(shape.points_xy)
        ends, firm_ends = edge.box(left_of_edge), edge.box(firm)
        if not (left.all() and left_of_edge.all()):
            near = self.cuts_xy(cut_erased)
            near = near[shape.canvas.grown.has(near)]
            cut = self.moved(near)
            ends = _around([ends, cut.box(cut.left(cut_erased))])
            firm_ends = _around([firm_ends, cut.box(cut.left(cut_erased) & shape.canvas.shrunk.has(near))])
        inner = _around([particles.box(left), firm_ends])
        return VisibleShape(
            inner,
            _around([inner, ends]),
            particles.share(particles.shown),
            particles.share(particles.shown & particles.bare),
            float(particles.weight[left].sum()),
        )


@dataclass(frozen=True, eq=False)
class ExpectedObject:
    """One object of the source, and what the written picture shows of it.

    ``method`` is where its box comes from: mask, polygon, obb, ellipse or corners. ``setting`` has the rules of its
    class.
    """

    objects: Objects
    i: int
    category: Category
    setting: Setting
    method: str
    shape: Painted
    seen: VisibleShape

    @property
    def index(self) -> int:
        """Its index in the source."""
        return int(self.objects.index[self.i])

    @cached_property
    def in_source(self) -> VisibleShape:
        """What the source picture shows of it."""
        still = replace(self.setting, steps=(), out_wh=self.setting.size_wh, cuts={})
        return still.seen(self.shape, self.method == "obb")

    @property
    def has_shape(self) -> bool:
        """Whether its box comes from a mask or polygon."""
        return self.method in ("mask", "polygon")


def expected_object(objects: Objects, i: int, category: Category, base: Setting) -> ExpectedObject:
    """An object of the source under the setting of its sample."""
    setting = base.of(category)
    rule = setting.rules.box
    if (i, rule) not in setting.shapes:
        setting.shapes[i, rule] = best_of(objects, i, rule)
    method, shape = setting.shapes[i, rule]
    seen = setting.seen(shape, method == "obb", setting.cuts_erased and method in ("mask", "polygon"))
    return ExpectedObject(objects, i, category, setting, method, shape, seen)
