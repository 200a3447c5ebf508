"""Semantic, instance and panoptic masks through a plan: warped by the picture's own map, nearest neighbour.

No value appears that was not there; new ground is void, and what is said of segments is measured again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from augpipe.core.annotations import I64, Attributes, Raster
from augpipe.core.canvas import CanvasState, Map, MatrixMap
from augpipe.core.geometry import Region, then, translation
from augpipe.core.opencv import cv2
from augpipe.pixels.resample import copy_exact, region_mask, resample_labels


def paint(raster: Raster, regions: Iterable[Region], value: int, origin: tuple[int, int] = (0, 0)) -> None:
    """Set the pixels, in place, whose centres lie in convex regions of the canvas; the raster begins at ``origin``."""
    left, top = origin
    h, w = raster.shape
    for region in regions:
        xs, ys = [x for x, _ in region], [y for _, y in region]
        x0, x1 = max(left, math.floor(min(xs))), min(left + w, math.ceil(max(xs)))
        y0, y1 = max(top, math.floor(min(ys))), min(top + h, math.ceil(max(ys)))
        if x0 < x1 and y0 < y1:
            raster[y0 - top : y1 - top, x0 - left : x1 - left][region_mask(region, (x0, y0, x1, y1))] = value


def void_of(raster: Raster) -> int:
    """The void value of an instance raster: the highest that its type holds."""
    return int(np.iinfo(raster.dtype).max)


def moved(raster: Raster | None, state: CanvasState, void: int, painted: Sequence[Region] = ()) -> Raster | None:
    """A raster on the canvas; what lies outside the picture, and under ``painted`` regions, is ``void``."""
    if raster is None or not (state.moved or painted):
        return raster
    if not state.moved:
        out = raster.copy()
    else:
        canvas = (0, 0, *state.size_wh)
        out = warped(raster, state.map, canvas, void)
        if state.hidden_outside is not None:
            out[~region_mask(state.hidden_outside, canvas)] = void
    paint(out, painted, void)
    return out


def warped(
    raster: Raster, map: Map, window_xyxy: tuple[int, int, int, int], void: int, origin: tuple[int, int] = (0, 0)
) -> Raster:
    """The pixels ``window_xyxy`` of the canvas of a raster, by nearest neighbour; new ground is ``void``.

    ``origin`` is the place of the raster's top left pixel in the source.
    """
    left, top, right, bottom = window_xyxy
    if not isinstance(map, MatrixMap):
        return _looked_up(raster, map, window_xyxy, void, origin)
    if not map.is_exact:
        return resample_labels(raster, map.matrix, window_xyxy, void, origin)
    source = raster.view(np.int32) if raster.dtype == np.uint32 else raster  # a type that OpenCV has
    matrix = then(then(translation(*origin), map.matrix), translation(-left, -top))
    return copy_exact(source, matrix, (right - left, bottom - top), "constant", (void,)).view(raster.dtype)


def _looked_up(
    raster: Raster, map: Map, window_xyxy: tuple[int, int, int, int], void: int, origin: tuple[int, int]
) -> Raster:
    """As :func:`warped`, by the source point of each pixel's centre."""
    left, top, right, bottom = window_xyxy
    centres = np.stack(np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5), axis=-1)
    source = map.back(centres) - origin
    h, w = raster.shape
    inside = ((source >= 0.0) & (source < (w, h))).all(axis=-1)
    columns, rows = source[inside].astype(int).T
    out: Raster = np.full(inside.shape, void, raster.dtype)
    out[inside] = raster[rows, columns]
    return out


def moved_instances(
    raster: Raster | None, state: CanvasState, instances: I64, painted: Sequence[Region] = ()
) -> Raster | None:
    """The instance raster; what is no survivor's becomes void, neither an object nor background to learn from."""
    if raster is None:
        return None
    void = void_of(raster)
    found: Any = moved(raster, state, void, painted)
    table: Any = np.full(void + 1, void, raster.dtype)
    known = instances[instances < void]
    table[0], table[known] = 0, known
    out: Raster = cv2.LUT(found, table) if raster.dtype == np.uint8 else table[found]
    return out


def segments(panoptic: Raster | None, known: Sequence[Attributes]) -> tuple[Attributes, ...]:
    """``segments_info`` of a moved panoptic raster: what vanished is left out, area and bbox are measured again.

    Without the raster nothing can be measured, and area and bbox, which are no longer true, are left out.
    """
    if panoptic is None:
        return tuple({k: v for k, v in segment.items() if k not in ("area", "bbox")} for segment in known)
    found: list[Mapping[str, Any]] = []
    measured = _extents(panoptic) if known else {}
    for segment in known:
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
