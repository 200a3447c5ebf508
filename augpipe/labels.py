"""Labels through a plan: every kind moved once, on the CPU, by the same numbers that move the pixels.

An object whose visible part is too small is dropped and written down with the reason; none vanishes silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from augpipe import masks
from augpipe.geometry import depth, determinant, is_exact, move_points
from augpipe.outlines import clockwise, points_inside, region_of
from augpipe.polygons import areas_of
from augpipe.sample import (
    F64,
    I64,
    Annotations,
    Attributes,
    Category,
    Dropped,
    Facts,
    Objects,
    Part,
    Raster,
    Rings,
    Rle,
)
from augpipe.sampling import copy_exact, region_mask, resample_labels
from augpipe.shapes import BoxRule, Shape, shapes_of
from augpipe.track import Track

SEMANTIC_VOID = 255
DECIMALS = 3
"""Coordinates are written with this many decimals, so that they are the same on every machine."""

_TRUNCATED_BELOW = 0.999
_NEAREST = 1e-3  # the depth at which geometry.in_front cuts


@dataclass(frozen=True)
class LabelRules:
    """What the recipe says of labels.

    An object is kept if at least ``min_visibility`` of it (0..1) can be seen, its box has no side under ``min_side``
    pixels and its area is at least ``min_area`` pixels. ``box`` says how a box without other geometry is turned: by
    its ``corners`` (contains the object, loose when turned) or by the ``ellipse`` in it (close for round objects).
    """

    min_visibility: float = 0.0
    min_area: float = 4.0
    min_side: float = 2.0
    box: BoxRule = "corners"


@dataclass(frozen=True, eq=False)
class Labelled:
    """The labels of one output sample: survivors in source order, and one entry per survivor in each column."""

    size_wh: tuple[int, int]
    annotations: Annotations
    shapes: tuple[Shape, ...]
    dropped: tuple[Dropped, ...]


def apply(
    annotations: Annotations,
    track: Track,
    rules: LabelRules,
    categories: Mapping[int, Category],
    void: int = SEMANTIC_VOID,
) -> Labelled:
    """The labels of a picture as ``track`` shows it.

    Args:
        annotations: of the upright source picture, inside its frame.
        track: the map and the visible part, from the plan's steps.
        rules: what to keep, and how to box a plain box.
        categories: by id; their keypoint pairs are swapped by a map that mirrors.
        void: the value of new ground in the semantic raster.
    """
    objects = annotations.objects
    shapes = _shapes(objects, track, rules.box)
    dropped, kept = list(annotations.dropped), []
    for i, shape in enumerate(shapes):
        fault = _fault(shape, rules)
        if fault is None:
            kept.append(i)
        else:
            identity = objects.facts[i].id
            dropped.append(Dropped(int(objects.index[i]), int(objects.category_id[i]), *fault, identity))
    dropped.sort(key=lambda d: (d.index, d.reason))
    survivors = tuple(shapes[i] for i in kept)
    moved = _moved_objects(objects if len(kept) == len(shapes) else objects.take(kept), survivors, track, categories)
    panoptic = _moved_raster(annotations.panoptic, track, 0)
    picture = replace(
        annotations,
        objects=moved,
        semantic=_moved_raster(annotations.semantic, track, void),
        instance=_moved_instances(annotations.instance, track, moved.instance),
        panoptic=panoptic,
        segments_info=_segments(panoptic, annotations.segments_info) if track.moved else annotations.segments_info,
        dropped=(),
    )
    return Labelled(track.size_wh, picture, survivors, tuple(dropped))


# --- objects ---------------------------------------------------------------------------------------------------------


def _shapes(objects: Objects, track: Track, rule: BoxRule) -> list[Shape]:
    if track.moved:
        return shapes_of(objects.boxes_xyxy, objects.segmentation, objects.obb, track, rule)
    # Where nothing moved the box stays the source's own; only what can be seen is measured.
    visible = [1.0] * len(objects)
    if track.erased:
        shapes = shapes_of(objects.boxes_xyxy, objects.segmentation, objects.obb, track, rule)
        visible = [shape.visible for shape in shapes]
    columns = zip(objects.boxes_xyxy.tolist(), _areas(objects), visible, objects.segmentation, objects.obb, strict=True)
    return [
        Shape((x0, y0, x1, y1), "source", area, 1.0, seen, segmentation, _in_order(obb))
        for (x0, y0, x1, y1), area, seen, segmentation, obb in columns
    ]


def _areas(objects: Objects) -> list[float]:
    """Pixels of each mask, else of the polygon, else of the box."""
    rings = {i: s.rings for i, s in enumerate(objects.segmentation) if isinstance(s, Rings)}
    areas = dict(zip(rings, areas_of(list(rings.values())) if rings else (), strict=True))
    areas |= {i: float(masks.area_of(s)) for i, s in enumerate(objects.segmentation) if isinstance(s, Rle)}
    return [areas.get(i) or (x1 - x0) * (y1 - y0) for i, (x0, y0, x1, y1) in enumerate(objects.boxes_xyxy.tolist())]


def _in_order(obb: F64 | None) -> F64 | None:
    return None if obb is None else np.array(clockwise(region_of(obb)))


def _fault(shape: Shape, rules: LabelRules) -> tuple[str, float | None] | None:
    """Why a shape cannot stay, with the number that was too small, as it would be written; ``None`` if it can."""
    if shape.in_frame <= 0.0:
        return "outside", None
    visible = round(shape.visible, DECIMALS)
    if shape.visible <= 0.0 or visible < rules.min_visibility:
        by_frame = round(shape.in_frame, DECIMALS) < rules.min_visibility
        return ("min_visibility" if by_frame else "erased"), visible
    if shape.box_xyxy is None:
        return "degenerate", None
    x0, y0, x1, y1 = (round(v, DECIMALS) for v in shape.box_xyxy)
    side, area = round(min(x1 - x0, y1 - y0), DECIMALS), round(shape.area, DECIMALS)
    if side <= 0.0:
        return "degenerate", None
    if side < rules.min_side:
        return "min_side", side
    return ("min_area", area) if area < rules.min_area else None


def _moved_objects(
    objects: Objects, shapes: Sequence[Shape], track: Track, categories: Mapping[int, Category]
) -> Objects:
    return replace(
        objects,
        boxes_xyxy=np.array([s.box_xyxy for s in shapes], np.float64).reshape(-1, 4),
        segmentation=tuple(s.segmentation for s in shapes),
        obb=tuple(s.obb for s in shapes),
        keypoints=_moved_keypoints(objects, track, categories),
        parts=_moved_parts(objects.parts, track) if track.moved else objects.parts,
        facts=tuple(_facts(f, s) for f, s in zip(objects.facts, shapes, strict=True)),
    )


def _facts(facts: Facts, shape: Shape) -> Facts:
    """``truncated`` becomes true when the frame cuts more than a thousandth; nothing makes it false again."""
    return facts if shape.in_frame >= _TRUNCATED_BELOW else replace(facts, truncated=1)


def _moved_parts(objects: Sequence[tuple[Part, ...]], track: Track) -> tuple[tuple[Part, ...], ...]:
    """The boxes of parts by their corners; a part that the frame leaves nothing of is left out."""
    parts = [part for parts in objects for part in parts]
    if not parts:
        return tuple(objects)
    none = (None,) * len(parts)
    boxes = np.array([part.box_xyxy for part in parts], np.float64)
    moved = iter(shape.box_xyxy for shape in shapes_of(boxes, none, none, track))
    return tuple(
        tuple(Part(part.name, box) for part, box in zip(parts, moved, strict=False) if box is not None)
        for parts in objects
    )


# --- keypoints -------------------------------------------------------------------------------------------------------


def _moved_keypoints(objects: Objects, track: Track, categories: Mapping[int, Category]) -> tuple[F64 | None, ...]:
    """Keypoints (K, 3) of (x, y, v): moved, off-frame ones to (0, 0, 0), painted-over ones to v = 1.

    A map that mirrors swaps the category's pairs: the left eye of a mirrored face is the right eye of the picture.
    """
    known = {i: keypoints for i, keypoints in enumerate(objects.keypoints) if keypoints is not None}
    if not known:
        return objects.keypoints
    together = _points_through(np.concatenate(list(known.values())), track)
    mirrored = determinant(track.matrix) < 0.0
    columns = list(objects.keypoints)
    ends = np.cumsum([0, *map(len, known.values())]).tolist()
    for i, (start, stop) in zip(known, pairwise(ends), strict=True):
        category = categories.get(int(objects.category_id[i]))
        pairs = category.flip_pairs if category is not None and mirrored else ()
        columns[i] = _swapped(together[start:stop], pairs)
    return tuple(columns)


def _points_through(points_xyv: F64, track: Track) -> F64:
    known = points_xyv[:, 2] > 0.0
    if track.moved:
        known &= depth(track.matrix, points_xyv) >= _NEAREST
        points_xyv[known, :2] = move_points(track.matrix, points_xyv[known, :2])
    x, y = points_xyv[:, 0], points_xyv[:, 1]
    known &= (x >= 0.0) & (x <= track.size_wh[0]) & (y >= 0.0) & (y <= track.size_wh[1])
    if track.hidden_outside is not None:
        known &= points_inside(points_xyv[:, :2], track.hidden_outside)
    for region in track.erased:
        points_xyv[points_inside(points_xyv[:, :2], region), 2] = 1.0
    points_xyv[~known] = 0.0
    return points_xyv


def _swapped(keypoints: F64, pairs: Iterable[tuple[int, int]]) -> F64:
    order = list(range(len(keypoints)))
    for left, right in pairs:
        order[left], order[right] = order[right], order[left]
    return keypoints[order]


# --- rasters ---------------------------------------------------------------------------------------------------------


def instance_void(raster: Raster) -> int:
    """The void value of an instance raster: the highest that its type holds."""
    return int(np.iinfo(raster.dtype).max)


def _moved_raster(raster: Raster | None, track: Track, void: int) -> Raster | None:
    if raster is None or not track.moved:
        return raster
    w, h = track.size_wh
    moved: Raster
    if is_exact(track.matrix):
        source = raster.view(np.int32) if raster.dtype == np.uint32 else raster  # a type that OpenCV has
        moved = copy_exact(source, track.matrix, track.size_wh, "constant", (void,)).view(raster.dtype)
    else:
        moved = resample_labels(raster, track.matrix, (0, 0, w, h), void)
    if track.hidden_outside is not None:
        moved[~region_mask(track.hidden_outside, (0, 0, w, h))] = void
    return moved


def _moved_instances(raster: Raster | None, track: Track, instances: I64) -> Raster | None:
    """The instance raster; what is no survivor's becomes void, neither an object nor background to learn from."""
    if raster is None:
        return None
    void = instance_void(raster)
    moved: Any = _moved_raster(raster, track, void)
    table: Any = np.full(void + 1, void, raster.dtype)
    known = instances[instances < void]
    table[0], table[known] = 0, known
    out: Raster = cv2.LUT(moved, table) if raster.dtype == np.uint8 else table[moved]
    return out


def _segments(panoptic: Raster | None, segments: Sequence[Attributes]) -> tuple[Attributes, ...]:
    """``segments_info`` of a moved panoptic raster: what vanished is left out, area and bbox are measured again.

    Without the raster nothing can be measured, and area and bbox, which are no longer true, are left out.
    """
    if panoptic is None:
        return tuple({k: v for k, v in segment.items() if k not in ("area", "bbox")} for segment in segments)
    found: list[Mapping[str, Any]] = []
    measured = _extents(panoptic) if segments else {}
    for segment in segments:
        if int(segment["id"]) in measured:
            area, x0, y0, x1, y1 = measured[int(segment["id"])]
            found.append({**segment, "area": area, "bbox": [x0, y0, x1 - x0, y1 - y0]})
    return tuple(found)


def _extents(raster: Raster) -> dict[int, tuple[int, int, int, int, int]]:
    """(pixels, x0, y0, x1, y1) of every value of a raster, by its level runs, which are few."""
    height, width = raster.shape
    starts_run = np.ones((height, width), bool)
    np.not_equal(raster[:, 1:], raster[:, :-1], out=starts_run[:, 1:])
    starts = np.flatnonzero(starts_run)
    lengths = np.diff(starts, append=height * width)
    values, places = np.unique(raster.reshape(-1)[starts], return_inverse=True)
    order = np.argsort(places, kind="stable")
    first = np.searchsorted(places[order], np.arange(values.size))
    rows, columns, lengths = starts[order] // width, starts[order] % width, lengths[order]
    extents = (
        np.add.reduceat(lengths, first),
        np.minimum.reduceat(columns, first),
        np.minimum.reduceat(rows, first),
        np.maximum.reduceat(columns + lengths, first),
        np.maximum.reduceat(rows, first) + 1,
    )
    return dict(zip(values.tolist(), zip(*(e.tolist() for e in extents), strict=True), strict=True))
