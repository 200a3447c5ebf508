"""What the labels of a source picture come to under a plan: measured from painted shapes, object by object."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from augpipe.core.annotations import F64, Category, Objects, Raster, Rings, Rle, Segmentation
from augpipe.core.step import Step
from augpipe.labels.transform import LabelRules
from augpipe.verification.supersample import Particles, SampleGrid, enlarged, filled, outline, walked_back

_MOST_PARTICLES = 1 << 16
_SIDES_OF_ELLIPSE = 256
_MOST_OF_SIDE = 2048  # points along a side of a canvas
_WITHIN = 1e-4  # pixels by which points along an edge lie on its near side
_NO_POINTS: F64 = np.zeros((0, 2))


@dataclass(frozen=True, eq=False)
class Painted:
    """One shape on the source picture: its canvas, and points along its outline."""

    canvas: SampleGrid
    points_xy: F64

    @property
    def is_empty(self) -> bool:
        """Whether the shape has no samples: it is thinner than one, or no shape at all."""
        return not bool(self.canvas.marks.any())


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
    rows, columns = np.flatnonzero(bitmap.any(axis=1)), np.flatnonzero(bitmap.any(axis=0))
    if not rows.size:
        return Painted(SampleGrid(np.zeros((4, 4), bool)), np.zeros((0, 2)))
    window = bitmap[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    origin = (int(columns[0]), int(rows[0]))
    return Painted(SampleGrid(enlarged(window), origin), _corners_of_pixels(window) + origin)


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
        if not shape.is_empty:
            return ("polygon" if isinstance(segmentation, Rings) else "mask"), shape
    if obb is not None:
        return "obb", painted_rings([obb])
    box = objects.boxes_xyxy[i].tolist()
    return rule, painted_rings([ellipse_ring(box) if rule == "ellipse" else box_ring(box)])


def seen_of(
    shape: Painted,
    steps: Sequence[Step],
    size_wh: tuple[int, int],
    in_source: bool = False,
    cut_erased: bool = False,
    cuts_xy: F64 = _NO_POINTS,
) -> VisibleShape:
    """What a picture of ``size_wh`` shows of a shape after ``steps``.

    ``cuts_xy`` are the points of :func:`cuts_of`, at which a shape that is cut can end.
    ``in_source`` means that what lies outside the source picture is no part of the shape, as of an oriented box;
    ``cut_erased`` that the shape loses what was painted over, and its box is around what is left.
    """
    particles = Particles.of(shape.canvas, steps, size_wh, _MOST_PARTICLES)
    if in_source:
        inside = Particles.of(shape.canvas, (), size_wh, _MOST_PARTICLES).shown
        particles.weight = particles.weight * inside
    left = particles.shown & particles.bare if cut_erased else particles.shown
    edge = Particles(shape.points_xy, steps, size_wh)
    left_of_edge = edge.shown & edge.bare if cut_erased else edge.shown
    # An end counts for the inner box where area lies behind it: a spike thinner than a sample may be there or not.
    firm = left_of_edge & shape.canvas.grown.has(shape.points_xy)
    ends, firm_ends = edge.box(left_of_edge), edge.box(firm)
    if not (left.all() and left_of_edge.all()):
        near = cuts_xy[shape.canvas.grown.has(cuts_xy)]
        cut = Particles(near, steps, size_wh)
        left_of_cut = cut.shown & cut.bare if cut_erased else cut.shown
        ends = around([ends, cut.box(left_of_cut)])
        firm_ends = around([firm_ends, cut.box(left_of_cut & shape.canvas.shrunk.has(near))])
    inner = around([particles.box(left), firm_ends])
    return VisibleShape(
        inner,
        around([inner, ends]),
        particles.share(particles.shown),
        particles.share(particles.shown & particles.bare),
        float(particles.weight[left].sum()),
    )


def around(boxes: Sequence[F64 | None]) -> F64 | None:
    """The box around some boxes; ``None`` if there are none."""
    known = np.array([box for box in boxes if box is not None])
    if not known.size:
        return None
    box: F64 = np.concatenate([known[:, :2].min(axis=0), known[:, 2:].max(axis=0)])
    return box


def cuts_of(steps: Sequence[Step], size_wh: tuple[int, int], cut_erased: bool = False) -> F64:
    """Points of the source along everything that can cut a shape, just on the side that stays: (N, 2).

    The edges of the source, of every canvas and of bars; with ``cut_erased`` also of what is painted over.
    """
    found = [_along(box_ring((0.0, 0.0, *size_wh)), -_WITHIN)]
    for number, step in enumerate(steps, start=1):
        change, edges = step.canvas_change(), list[F64]()
        if change.matrix is not None:
            edges.append(_along(box_ring((0.0, 0.0, *change.size_wh)), -_WITHIN))
        if change.hidden_outside is not None and len(change.hidden_outside) > 2:
            edges.append(_along(np.array(change.hidden_outside, np.float64), -_WITHIN))
        if cut_erased:
            edges += [_along(box_ring(box), _WITHIN) for box in change.covered_xyxy]
        for edge in edges:
            points, shown = walked_back(edge, steps[:number], size_wh, cut_erased)
            found.append(points[shown])
    return np.concatenate(found)


def _along(ring: F64, outwards: float) -> F64:
    """Points along a convex ring, four a pixel where these are not too many, moved away from its middle."""
    middle = ring.mean(axis=0)
    moved = ring + np.sign(ring - middle) * outwards
    longest = float(np.hypot(*(moved - np.roll(moved, -1, axis=0)).T).max())
    return outline([moved], max(0.25, longest / _MOST_OF_SIDE))


def is_moved(steps: Sequence[Step]) -> bool:
    """Whether any step moves or cuts the picture."""
    changes = [step.canvas_change() for step in steps]
    return any(change.matrix is not None or change.hidden_outside is not None for change in changes)


def mirrors(steps: Sequence[Step]) -> bool:
    """Whether the picture is a mirror image: an odd number of steps that turn it over."""
    matrices = [change.matrix for step in steps if (change := step.canvas_change()).matrix is not None]
    turns = [np.linalg.det(np.array(matrix).reshape(3, 3)) < 0.0 for matrix in matrices]
    return bool(sum(turns) % 2)


def moved_points(points_xy: F64, steps: Sequence[Step], size_wh: tuple[int, int]) -> Particles:
    """Points of the source in the written picture."""
    return Particles(points_xy, steps, size_wh)


def moved_raster(
    raster: Raster,
    steps: Sequence[Step],
    size_wh: tuple[int, int],
    out_wh: tuple[int, int],
    void: int,
    cut_erased: bool = False,
) -> Raster:
    """A raster of values in the written picture: the value that each pixel's centre comes from, ``void`` elsewhere.

    With ``cut_erased`` it is ``void`` also where something was painted over.
    """
    w, h = out_wh
    x, y = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
    points, shown = walked_back(np.stack([x.ravel(), y.ravel()], axis=1), steps, size_wh, cut_erased)
    place = np.floor(np.where(shown[:, None], points, 0.0)).astype(np.int64)
    place = np.minimum(place, [raster.shape[1] - 1, raster.shape[0] - 1])
    out: Any = np.full(w * h, void, raster.dtype)
    out[shown] = raster[place[shown, 1], place[shown, 0]]
    moved: Raster = out.reshape(h, w)
    return moved


# --- What is the same for all objects of a sample, and what is seen of one of them ------------------------------------


SHARE = 0.02
"""A share of an object that sampling may be off by."""

TRUNCATED_BELOW = 0.999


@dataclass(frozen=True)
class Setting:
    """What is the same for all objects of a sample."""

    key: str
    steps: Sequence[Step]
    size_wh: tuple[int, int]
    out_wh: tuple[int, int]
    rules: LabelRules
    shapes: dict[tuple[int, str], tuple[str, Painted]] = field(default_factory=dict)
    """Painted shapes by (object, rule), kept for the other copies of the source."""
    cuts: dict[bool, F64] = field(default_factory=dict)
    """Where shapes can end, by whether what is painted over cuts them."""

    @property
    def cuts_erased(self) -> bool:
        """Whether masks and polygons lose what was painted over."""
        return self.rules.erased == "cut"

    def cuts_xy(self, cut_erased: bool) -> F64:
        """Points of the source at which shapes can be cut: (N, 2)."""
        if cut_erased not in self.cuts:
            self.cuts[cut_erased] = cuts_of(self.steps, self.size_wh, cut_erased)
        return self.cuts[cut_erased]

    def of(self, category: Category) -> Setting:
        """The setting of one class's objects, which may have rules of their own."""
        return replace(self, rules=self.rules.classes.get(category.name, self.rules))


def seen_in(objects: Objects, i: int, setting: Setting) -> tuple[str, Painted, VisibleShape]:
    """(where its box comes from, the painted shape, what is seen of it) of one object."""
    rule = setting.rules.box
    if (i, rule) not in setting.shapes:
        setting.shapes[i, rule] = best_of(objects, i, rule)
    method, shape = setting.shapes[i, rule]
    cut_erased = setting.cuts_erased and method in ("mask", "polygon")
    cuts = setting.cuts_xy(cut_erased)
    return method, shape, seen_of(shape, setting.steps, setting.size_wh, method == "obb", cut_erased, cuts)
