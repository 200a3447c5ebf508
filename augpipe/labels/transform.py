"""Labels through a plan: every kind is moved once, by the same numbers as the pixels.

An object whose visible part is too small is dropped, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from msgspec import structs

from augpipe.core.annotations import (
    F64,
    Annotations,
    Category,
    Dropped,
    ObjectAttributes,
    ObjectPart,
    Objects,
    Rings,
    Rle,
)
from augpipe.core.canvas import CanvasState
from augpipe.labels import label_maps, rle
from augpipe.labels.boxes import clockwise, points_inside, region_of
from augpipe.labels.polygons import areas_of
from augpipe.labels.shapes import BoxRule, Shape, shapes_of

SEMANTIC_VOID = 255
DECIMALS = 3
"""Coordinates are written with this many decimals, so that they are the same on every machine."""

TruncatedRule: TypeAlias = Literal["clip", "drop"]
ErasedRule: TypeAlias = Literal["lower", "cut"]

_TRUNCATED_BELOW = 0.999
_CLEARLY = 0.01  # more than rounding changes a share, a side or an area


@dataclass(frozen=True)
class LabelRules:
    """The rules of a recipe for labels.

    An object is kept if at least ``min_visibility`` of it (0..1) can be seen, its box has no side under ``min_side``
    pixels and its area is at least ``min_area`` pixels. ``box`` says how a box without other geometry is turned: by
    its ``corners`` (contains the object, loose when turned) or by the ``ellipse`` in it (close for round objects).
    Of an object that the frame cuts, ``truncated`` keeps what is left (``clip``) or nothing (``drop``).

    ``erased`` says what painting over does: it lowers ``visible`` and nothing else (``lower``), or masks, polygons
    and rasters also lose those pixels (``cut``).

    ``classes`` holds the rules of classes that have their own, by name, complete; ``erased`` is the picture's.
    """

    min_visibility: float = 0.0
    min_area: float = 4.0
    min_side: float = 2.0
    box: BoxRule = "corners"
    truncated: TruncatedRule = "clip"
    erased: ErasedRule = "lower"
    classes: Mapping[str, LabelRules] = field(default_factory=dict, hash=False)

    def each(self, objects: Objects, categories: Mapping[int, Category]) -> list[LabelRules]:
        """The rules of each object, by its class."""
        if not self.classes:
            return [self] * len(objects)
        names = {number: category.name for number, category in categories.items()}
        return [self.classes.get(names.get(number, ""), self) for number in objects.category_id.tolist()]


@dataclass(frozen=True, eq=False)
class Labelled:
    """The labels of one output sample: survivors in source order, and one entry per survivor in each column."""

    size_wh: tuple[int, int]
    annotations: Annotations
    shapes: tuple[Shape, ...]
    dropped: tuple[Dropped, ...]

    @property
    def truncated(self) -> int:
        """How many survivors the frame cuts more than a thousandth of."""
        return sum(shape.in_frame < _TRUNCATED_BELOW for shape in self.shapes)


def apply(
    annotations: Annotations,
    state: CanvasState,
    rules: LabelRules,
    categories: Mapping[int, Category],
    void: int = SEMANTIC_VOID,
) -> Labelled:
    """The labels of a picture as ``state`` shows it.

    Args:
        annotations: of the upright source picture, inside its frame.
        state: the map and the visible part, from the plan's steps.
        rules: what to keep, and how to box a plain box.
        categories: by id; their keypoint pairs are swapped by a map that mirrors.
        void: the value of new ground in the semantic raster.
    """
    objects, paint = annotations.objects, state.erased if rules.erased == "cut" else ()
    each = rules.each(objects, categories)
    shapes = _shapes(objects, state, each, bool(paint))
    dropped, kept = list(annotations.dropped), []
    for i, (shape, own) in enumerate(zip(shapes, each, strict=True)):
        fault = _fault(shape, own)
        if fault is None:
            kept.append(i)
        else:
            identity = objects.facts[i].id
            dropped.append(Dropped(int(objects.index[i]), int(objects.category_id[i]), *fault, identity))
    dropped.sort(key=lambda d: (d.index, d.reason))
    survivors = tuple(shapes[i] for i in kept)
    moved = _moved_objects(objects if len(kept) == len(shapes) else objects.take(kept), survivors, state, categories)
    panoptic = label_maps.moved(annotations.panoptic, state, 0, paint)
    changed = state.moved or (bool(paint) and panoptic is not None)
    picture = replace(
        annotations,
        objects=moved,
        semantic=label_maps.moved(annotations.semantic, state, void, paint),
        instance=label_maps.moved_instances(annotations.instance, state, moved.instance, paint),
        panoptic=panoptic,
        segments_info=label_maps.segments(panoptic, annotations.segments_info)
        if changed
        else annotations.segments_info,
        dropped=(),
    )
    return Labelled(state.size_wh, picture, survivors, tuple(dropped))


# --- objects ---------------------------------------------------------------------------------------------------------


def _shapes(objects: Objects, state: CanvasState, each: Sequence[LabelRules], cut_erased: bool) -> list[Shape]:
    if state.moved:
        return _moved_shapes(objects, state, each, cut_erased)
    # Where nothing moved the box stays the source's own; only its visible share is measured.
    columns = zip(objects.boxes_xyxy.tolist(), _areas(objects), objects.segmentation, objects.obb, strict=True)
    shapes = [
        Shape((x0, y0, x1, y1), "source", area, 1.0, 1.0, segmentation, _in_order(obb))
        for (x0, y0, x1, y1), area, segmentation, obb in columns
    ]
    if not state.erased:
        return shapes
    seen = _moved_shapes(objects, state, each, cut_erased)
    return [
        now if cut_erased and now.box_from in ("mask", "polygon") and now.visible < now.in_frame
        else structs.replace(before, visible=now.visible)
        for before, now in zip(shapes, seen, strict=True)
    ]  # fmt: skip


def _moved_shapes(objects: Objects, state: CanvasState, each: Sequence[LabelRules], cut_erased: bool) -> list[Shape]:
    """The shapes on the canvas, in one pass for each way of turning a plain box."""
    ways = {rules.box for rules in each}
    if len(ways) == 1:
        (way,) = ways
        return shapes_of(objects.boxes_xyxy, objects.segmentation, objects.obb, state, way, cut_erased)
    found: dict[int, Shape] = {}
    for way in ways:
        rows = [i for i, rules in enumerate(each) if rules.box == way]
        some = objects.take(rows)
        shapes = shapes_of(some.boxes_xyxy, some.segmentation, some.obb, state, way, cut_erased)
        found |= zip(rows, shapes, strict=True)
    return [found[i] for i in range(len(each))]


def _areas(objects: Objects) -> list[float]:
    """Pixels of each mask, else of the polygon, else of the box."""
    rings = {i: s.rings for i, s in enumerate(objects.segmentation) if isinstance(s, Rings)}
    areas = dict(zip(rings, areas_of(list(rings.values())) if rings else (), strict=True))
    areas |= {i: float(rle.area_of(s)) for i, s in enumerate(objects.segmentation) if isinstance(s, Rle)}
    return [areas.get(i) or (x1 - x0) * (y1 - y0) for i, (x0, y0, x1, y1) in enumerate(objects.boxes_xyxy.tolist())]


def _in_order(obb: F64 | None) -> F64 | None:
    return None if obb is None else np.array(clockwise(region_of(obb)))


def _fault(shape: Shape, rules: LabelRules) -> tuple[str, float | None] | None:
    """(reason, the number that is too small, rounded as it is written) if a shape is dropped."""
    if shape.in_frame <= 0.0:
        return "outside", None
    if rules.truncated == "drop" and shape.in_frame < _TRUNCATED_BELOW:
        return "min_visibility", round(shape.in_frame, DECIMALS)
    if shape.visible <= 0.0 or _below(shape.visible, rules.min_visibility):
        by_frame = _below(shape.in_frame, rules.min_visibility)
        return ("min_visibility" if by_frame else "erased"), round(shape.visible, DECIMALS)
    if shape.box_xyxy is None:
        return "degenerate", None
    x0, y0, x1, y1 = shape.box_xyxy
    if min(x1 - x0, y1 - y0) < rules.min_side + _CLEARLY:
        x0, y0, x1, y1 = (round(v, DECIMALS) for v in shape.box_xyxy)
        side = round(min(x1 - x0, y1 - y0), DECIMALS)
        if side <= 0.0:
            return "degenerate", None
        if side < rules.min_side:
            return "min_side", side
    return ("min_area", round(shape.area, DECIMALS)) if _below(shape.area, rules.min_area) else None


def _below(value: float, limit: float) -> bool:
    """Whether a number is below a limit as it is written. Most are clear of it, and need not be rounded."""
    return value < limit + _CLEARLY and round(value, DECIMALS) < limit


def _moved_objects(
    objects: Objects, shapes: Sequence[Shape], state: CanvasState, categories: Mapping[int, Category]
) -> Objects:
    return replace(
        objects,
        boxes_xyxy=np.array([s.box_xyxy for s in shapes], np.float64).reshape(-1, 4),
        segmentation=tuple(s.segmentation for s in shapes),
        obb=tuple(s.obb for s in shapes),
        keypoints=_moved_keypoints(objects, state, categories),
        parts=_moved_parts(objects.parts, state) if state.moved else objects.parts,
        facts=tuple(map(_facts, objects.facts, shapes)),
    )


def _facts(facts: ObjectAttributes, shape: Shape) -> ObjectAttributes:
    """``truncated`` becomes true when the frame cuts more than a thousandth; nothing makes it false again."""
    if shape.in_frame >= _TRUNCATED_BELOW or facts.truncated == 1:
        return facts
    return replace(facts, truncated=1)


def _moved_parts(objects: Sequence[tuple[ObjectPart, ...]], state: CanvasState) -> tuple[tuple[ObjectPart, ...], ...]:
    """The boxes of parts, by their corners; a part outside the frame is left out."""
    parts = [part for parts in objects for part in parts]
    if not parts:
        return tuple(objects)
    none = (None,) * len(parts)
    boxes = np.array([part.box_xyxy for part in parts], np.float64)
    moved = iter(shape.box_xyxy for shape in shapes_of(boxes, none, none, state))
    return tuple(
        tuple(ObjectPart(part.name, box) for part, box in zip(parts, moved, strict=False) if box is not None)
        for parts in objects
    )


# --- keypoints -------------------------------------------------------------------------------------------------------


def _moved_keypoints(
    objects: Objects, state: CanvasState, categories: Mapping[int, Category]
) -> tuple[F64 | None, ...]:
    """Keypoints (K, 3) of (x, y, v): moved, off-frame ones to (0, 0, 0), painted-over ones to v = 1.

    A map that mirrors swaps the category's pairs: the left eye of a mirrored face is the right eye of the picture.
    """
    known = {i: keypoints for i, keypoints in enumerate(objects.keypoints) if keypoints is not None}
    if not known:
        return objects.keypoints
    together = _points_through(np.concatenate(list(known.values())), state)
    mirrored = state.map.mirrors
    columns = list(objects.keypoints)
    ends = np.cumsum([0, *map(len, known.values())]).tolist()
    for i, (start, stop) in zip(known, pairwise(ends), strict=True):
        category = categories.get(int(objects.category_id[i]))
        pairs = category.flip_pairs if category is not None and mirrored else ()
        columns[i] = _swapped(together[start:stop], pairs)
    return tuple(columns)


def _points_through(points_xyv: F64, state: CanvasState) -> F64:
    known = points_xyv[:, 2] > 0.0
    if state.moved:
        known &= state.map.has_image(points_xyv[:, :2])
        points_xyv[known, :2] = state.map.forward(points_xyv[known, :2])
    x, y = points_xyv[:, 0], points_xyv[:, 1]
    known &= (x >= 0.0) & (x <= state.size_wh[0]) & (y >= 0.0) & (y <= state.size_wh[1])
    if state.hidden_outside is not None:
        known &= points_inside(points_xyv[:, :2], state.hidden_outside)
    for region in state.erased:
        points_xyv[points_inside(points_xyv[:, :2], region), 2] = 1.0
    points_xyv[~known] = 0.0
    return points_xyv


def _swapped(keypoints: F64, pairs: Iterable[tuple[int, int]]) -> F64:
    order = list(range(len(keypoints)))
    for left, right in pairs:
        order[left], order[right] = order[right], order[left]
    return keypoints[order]
