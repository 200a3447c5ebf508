"""Labels through a plan: every kind is moved once, by the same numbers as the pixels.

An object whose visible part is too small is dropped, with the reason, or kept as a region to ignore.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

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
from augpipe.labels.rules import TRUNCATED_BELOW, Fault, LabelRules, fault_of, judged
from augpipe.labels.shapes import Shape, shapes_of

SEMANTIC_VOID = 255


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
        return sum([shape.in_frame < TRUNCATED_BELOW for shape in self.shapes])


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
    dropped, kept, ignored = list(annotations.dropped), list[int](), dict[int, str]()
    for i, (shape, own) in enumerate(zip(shapes, each, strict=True)):
        fault = fault_of(shape, own)
        if fault is not None:
            measured = partial(_in_source, objects, i, state, own) if state.moved else partial(_same, shape)
            fault, limit = judged(fault, shape, own, bool(objects.iscrowd[i]), measured)
            if limit is not None:
                ignored[i] = limit
        if fault is None:
            kept.append(i)
        else:
            dropped.append(_dropped(objects, i, fault))
    if rules.obb == "drop_centre" and state.moved:
        gone = _centred_outside(objects, kept, state)
        dropped += (_dropped(objects, i, Fault("outside")) for i in gone)
        kept = [i for i in kept if i not in gone]
    dropped.sort(key=lambda d: (d.index, d.reason))
    survivors = tuple([shapes[i] for i in kept])
    objects = _to_ignore(objects, ignored) if ignored else objects
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


# --- which objects stay ----------------------------------------------------------------------------------------------


def _dropped(objects: Objects, i: int, fault: Fault) -> Dropped:
    return Dropped(int(objects.index[i]), int(objects.category_id[i]), *fault, objects.facts[i].id)


def _same(shape: Shape) -> Shape:
    return shape


def _in_source(objects: Objects, i: int, state: CanvasState, rules: LabelRules) -> Shape:
    """An object as nothing has moved or cut it, measured by the geometry that measures what is left of it."""
    still = CanvasState(state.source_wh or state.size_wh)
    (shape,) = shapes_of(objects.boxes_xyxy[i : i + 1], objects.segmentation[i : i + 1], objects.obb[i : i + 1],
                         still, rules.box, rules.obb)  # fmt: skip
    return shape


def _centred_outside(objects: Objects, rows: Sequence[int], state: CanvasState) -> set[int]:
    """Which objects with an oriented box have its centre where nothing of the picture is to be seen; crowds stay."""
    centres = {
        i: obb.mean(axis=0) for i in rows if (obb := objects.obb[i]) is not None and not objects.iscrowd[i]
    }  # fmt: skip
    if not centres:
        return set()
    points = np.array(list(centres.values()))
    seen = state.map.has_image(points) & points_inside(points, state.source)
    seen[seen] = points_inside(state.map.forward(points[seen]), state.visible)
    return {i for i, is_seen in zip(centres, seen.tolist(), strict=True) if not is_seen}


def _to_ignore(objects: Objects, limits: Mapping[int, str]) -> Objects:
    """The objects, of which some are regions to ignore for the limits that they are below."""
    crowds, facts = objects.iscrowd.copy(), list(objects.facts)
    for i, limit in limits.items():
        crowds[i], facts[i] = 1, replace(facts[i], ignored=limit)
    return replace(objects, iscrowd=crowds, facts=tuple(facts))


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
    ways, obb = {rules.box for rules in each}, each[0].obb if each else "clip"
    if len(ways) == 1:
        (way,) = ways
        return shapes_of(objects.boxes_xyxy, objects.segmentation, objects.obb, state, way, obb, cut_erased)
    found: dict[int, Shape] = {}
    for way in ways:
        rows = [i for i, rules in enumerate(each) if rules.box == way]
        some = objects.take(rows)
        shapes = shapes_of(some.boxes_xyxy, some.segmentation, some.obb, state, way, obb, cut_erased)
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


def _moved_objects(
    objects: Objects, shapes: Sequence[Shape], state: CanvasState, categories: Mapping[int, Category]
) -> Objects:
    return replace(
        objects,
        boxes_xyxy=np.array([s.box_xyxy for s in shapes], np.float64).reshape(-1, 4),
        segmentation=tuple([s.segmentation for s in shapes]),
        obb=tuple([s.obb for s in shapes]),
        keypoints=_moved_keypoints(objects, state, categories),
        parts=_moved_parts(objects.parts, state) if state.moved else objects.parts,
        facts=_moved_facts(objects.facts, shapes),
    )


def _moved_facts(facts: Sequence[ObjectAttributes], shapes: Sequence[Shape]) -> tuple[ObjectAttributes, ...]:
    """``truncated`` becomes true when the frame cuts more than a thousandth; nothing makes it false again."""
    out = list(facts)
    for i, shape in enumerate(shapes):
        if shape.in_frame < TRUNCATED_BELOW and facts[i].truncated != 1:
            out[i] = replace(facts[i], truncated=1)
    return tuple(out)


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
