"""The shape of each object after a map and its frame: the tightest box that its best geometry allows.

The order is mask > polygon > oriented box > ellipse or corners of the plain box; a mask or polygon without area gives
way to the next. Shapes are cut first and boxed after, so a box at the frame's edge is not loose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import structs

from augpipe.core.annotations import F64, U8, Raster, Rings, Rle, Segmentation
from augpipe.core.canvas import CanvasState, MatrixMap
from augpipe.core.geometry import NEAREST, Matrix, Region, area_of, clip_convex, corners_of, depth, with_short_sides
from augpipe.core.opencv import cv2
from augpipe.labels.boxes import Box, cut_obb, cut_outlines, ellipses_in, move_obb, region_of
from augpipe.labels.label_maps import paint, warped
from augpipe.labels.polygons import (
    ClippedRings,
    Piece,
    areas_of,
    cut_rings,
    polygons_of,
    uncovered,
    uncovered_share,
    uncovered_shares,
)
from augpipe.labels.rle import bitmap_of_rings, rle_of, window_of
from augpipe.pixels.resample import region_mask

BoxRule: TypeAlias = Literal["corners", "ellipse"]
ObbRule: TypeAlias = Literal["clip", "keep", "drop_centre"]
BoxFrom: TypeAlias = Literal["mask", "polygon", "obb", "ellipse", "corners", "source"]

_NO_AREA = 1e-6  # square pixels


# A picture has dozens of these; a Struct is made in a tenth of the time of a frozen dataclass.
class Shape(msgspec.Struct, frozen=True, eq=False):
    """The visible part of one object on the canvas.

    ``in_frame`` is the share of its area that lies in the frame, ``visible`` the share that is not painted over
    either; both 0..1. ``area`` is in pixels. An object without a visible part has no box. A zero-area object has none
    either; both of its shares are 1.
    """

    box_xyxy: Box | None
    box_from: BoxFrom
    area: float = 0.0
    in_frame: float = 0.0
    visible: float = 0.0
    segmentation: Segmentation | None = None
    obb: F64 | None = None


def shape_of(
    box_xyxy: F64, segmentation: Segmentation | None, obb: F64 | None, state: CanvasState, rule: BoxRule = "corners"
) -> Shape:
    """One object of the source picture as ``state`` shows it."""
    return shapes_of(box_xyxy[None], (segmentation,), (obb,), state, rule)[0]


def shapes_of(
    boxes_xyxy: F64,
    segmentations: Sequence[Segmentation | None],
    obbs: Sequence[F64 | None],
    state: CanvasState,
    rule: BoxRule = "corners",
    obb_rule: ObbRule = "clip",
    cut_erased: bool = False,
) -> list[Shape]:
    """The objects of a source picture as ``state`` shows them.

    Args:
        boxes_xyxy: (N, 4).
        segmentations: N masks, polygons or ``None``.
        obbs: N oriented boxes, each (4, 2), or ``None``.
        state: the map and the visible part.
        rule: how a box without other geometry is turned.
        obb_rule: whether an oriented box that the frame cuts becomes one around the rest (``clip``) or stays whole.
        cut_erased: whether masks and polygons lose what is painted over, and not only visibility.
    """
    shapes: list[Shape | None] = [None] * len(segmentations)
    rings = {i: s for i, s in enumerate(segmentations) if isinstance(s, Rings)}
    if rings:
        objects, polygons = [s.rings for s in rings.values()], polygons_of(list(rings.values()))
        cuts = cut_rings(objects, state.map, state.visible, polygons)
        for i, cut in zip(rings, cuts, strict=True):
            shapes[i] = _ring_shape(rings[i].rings, cut, state, cut_erased)
    for i, segmentation in enumerate(segmentations):
        if isinstance(segmentation, Rle):
            shapes[i] = _mask_shape(segmentation, state, cut_erased)
    plain = [i for i, shape in enumerate(shapes) if shape is None and obbs[i] is None]
    if plain:
        boxes = boxes_xyxy if len(plain) == len(shapes) else boxes_xyxy[plain]
        outlines = ellipses_in(boxes) if rule == "ellipse" else corners_of(boxes)
        areas = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).tolist()
        for i, shape in zip(plain, _outline_shapes(outlines, areas, rule, state), strict=True):
            shapes[i] = shape
    oriented = {i: obb for i, obb in enumerate(obbs) if obb is not None}
    if oriented:
        _add_oriented(shapes, oriented, state, obb_rule)
    return [shape for shape in shapes if shape is not None]


# --- outlines --------------------------------------------------------------------------------------------------------


def _outline_shapes(outlines: F64, areas: Sequence[float], method: BoxFrom, state: CanvasState) -> list[Shape]:
    if state.map.straight_length < math.inf:
        return _bent_shapes(outlines, method, state)
    shapes, seen = [], cut_outlines(outlines, state)
    has_area = [_NO_AREA < area < math.inf for area in areas]
    under = {i: np.array(s.outline) for i, s in enumerate(seen) if s.outline and has_area[i]}
    left = dict(zip(under, uncovered_shares(list(under.values()), state.erased), strict=True))
    for i, (box, in_frame, _) in enumerate(seen):
        if not has_area[i]:
            shapes.append(Shape(None, method, 0.0, 1.0, 1.0))
        elif box is None:
            shapes.append(Shape(None, method))
        else:
            x0, y0, x1, y1 = box
            shapes.append(Shape(box, method, (x1 - x0) * (y1 - y0), in_frame, in_frame * left.get(i, 1.0)))
    return shapes


def _bent_shapes(outlines: F64, method: BoxFrom, state: CanvasState) -> list[Shape]:
    """As :func:`_outline_shapes`, for a map that bends lines, after which an outline need not be convex."""
    shapes = []
    cuts = cut_rings([[outline] for outline in outlines], state.map, state.visible)
    for outline, cut in zip(outlines, cuts, strict=True):
        shape = _ring_shape([outline], cut, state, False) or Shape(None, method, 0.0, 1.0, 1.0)
        x0, y0, x1, y1 = shape.box_xyxy or (0.0, 0.0, 0.0, 0.0)
        shapes.append(structs.replace(shape, box_from=method, area=(x1 - x0) * (y1 - y0), segmentation=None))
    return shapes


def _add_oriented(shapes: list[Shape | None], obbs: dict[int, F64], state: CanvasState, rule: ObbRule) -> None:
    """Oriented boxes: the shape of objects that have no better one, and a label of their own for all that have one."""
    for i, obb in obbs.items():
        shape = shapes[i]
        if shape is None:
            # Unlike other labels it may reach beyond the source picture, where nothing of it is visible.
            outline = clip_convex(region_of(obb), state.source)
            area = area_of(outline) if len(outline) > 2 else 0.0
            points = np.array([outline if area > _NO_AREA else region_of(obb)])
            (shape,) = _outline_shapes(points, [area], "obb", state)
        if shape.box_xyxy is not None:
            moved = cut_obb(obb, state) if rule == "clip" else move_obb(obb, state.map)
            shape = structs.replace(shape, obb=moved)
        shapes[i] = shape


# --- polygons --------------------------------------------------------------------------------------------------------


def _ring_shape(rings: Sequence[F64], cut: ClippedRings, state: CanvasState, cut_erased: bool) -> Shape | None:
    """The shape of polygons that have been moved and cut; ``None`` if they have no area."""
    if cut.whole <= _NO_AREA and (state.map.is_affine or areas_of([rings])[0] <= _NO_AREA):
        return None
    if cut.area <= 0.0:
        return Shape(None, "polygon")
    in_frame = min(1.0, cut.area / cut.whole)
    visible, area, pieces = in_frame, cut.area, cut.pieces
    cut_erased = cut_erased and bool(state.erased)
    if state.erased:
        share = uncovered_share([piece.polygon for piece in pieces], state.erased)
        visible *= share
        if cut_erased:
            area, pieces = area * share, uncovered(pieces, state.erased)
    if any(piece.holes for piece in pieces):  # COCO's rings cannot say "hole"
        bitmap = _bitmap_of(cut.pieces, state.size_wh)
        if cut_erased:
            paint(bitmap, state.erased, 0)
        return _bitmap_shape(bitmap, (0, 0), state, in_frame, visible)
    if not pieces:
        return Shape(None, "polygon", 0.0, in_frame, visible)
    x0, y0, x1, y1 = zip(*(piece.box_xyxy for piece in pieces), strict=True)
    box = (min(x0), min(y0), max(x1), max(y1))
    return Shape(box, "polygon", area, in_frame, visible, Rings(tuple(piece.outline for piece in pieces)))


def _bitmap_of(pieces: Sequence[Piece], size_wh: tuple[int, int]) -> U8:
    """The union of pieces; the hole of one may lie under another."""
    bitmap = bitmap_of_rings([piece.outline for piece in pieces if not piece.holes], size_wh)
    for piece in pieces:
        if piece.holes:
            bitmap |= bitmap_of_rings([piece.outline], size_wh) & (1 - bitmap_of_rings(piece.holes, size_wh))
    return bitmap


# --- masks -----------------------------------------------------------------------------------------------------------


def _mask_shape(rle: Rle, state: CanvasState, cut_erased: bool) -> Shape | None:
    """The shape of a mask that is warped in its own window by the picture's map; ``None`` if it is empty."""
    # Nearest neighbour rounds a tie to the even pixel: an even origin keeps the window's ties those of the picture.
    bitmap, (x, y) = window_of(rle, 2)
    if bitmap.size == 0:
        return None
    h, w = bitmap.shape
    around = state.map.part_with_image(((x, y), (x + w, y), (x + w, y + h), (x, y + h)))
    if len(around) < 3:
        return Shape(None, "mask")
    moved_around = state.map.forward(with_short_sides(np.array(around, np.float64), state.map.straight_length))
    whole = _pixels_around(moved_around)
    window = (*np.maximum(whole[:2], 0).tolist(), *np.minimum(whole[2:], state.size_wh).tolist())
    if window[0] >= window[2] or window[1] >= window[3]:
        return Shape(None, "mask")
    in_frame = visible = 1.0
    if window != whole or state.hidden_outside is not None or state.erased:
        if isinstance(state.map, MatrixMap):
            in_frame, visible = _shares(bitmap, (x, y), state, state.map)
        else:
            in_frame, visible = _counted_shares(warped(bitmap, state.map, whole, 0, (x, y)), whole, state)
    if in_frame <= 0.0:
        return Shape(None, "mask")
    moved = warped(bitmap, state.map, window, 0, (x, y)).astype(np.uint8, copy=False)
    if state.hidden_outside is not None:
        moved *= region_mask(state.hidden_outside, window)
    if cut_erased:
        paint(moved, state.erased, 0, window[:2])
    return _bitmap_shape(moved, window[:2], state, in_frame, visible)


def _bitmap_shape(bitmap: U8, origin: tuple[int, int], state: CanvasState, in_frame: float, visible: float) -> Shape:
    """The shape of a bitmap at ``origin`` of the canvas; without a box if no pixel is set."""
    left, top, w, h = cv2.boundingRect(bitmap)
    if w == 0:
        return Shape(None, "mask", 0.0, in_frame, visible)
    tight = bitmap[top : top + h, left : left + w]
    x, y = origin[0] + left, origin[1] + top
    box = (float(x), float(y), float(x + w), float(y + h))
    segmentation = rle_of(tight, (x, y), state.size_wh)
    return Shape(box, "mask", float(np.count_nonzero(tight)), in_frame, visible, segmentation)


def _pixels_around(points_xy: F64) -> tuple[int, int, int, int]:
    """The box of whole pixels around points."""
    (x0, y0), (x1, y1) = points_xy.min(axis=0).tolist(), points_xy.max(axis=0).tolist()
    return math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)


def _counted_shares(moved: Raster, whole_xyxy: tuple[int, int, int, int], state: CanvasState) -> tuple[float, float]:
    """As :func:`_shares`, counted in the pixels of a mask that was moved whole, also beyond the canvas."""
    seen = moved * region_mask(state.visible, whole_xyxy)
    in_frame = int(seen.sum())
    paint(seen, state.erased, 0, whole_xyxy[:2])
    count = max(1, int(moved.sum()))
    return in_frame / count, int(seen.sum()) / count


def _shares(bitmap: U8, origin: tuple[int, int], state: CanvasState, map: MatrixMap) -> tuple[float, float]:
    """(share in the frame, share in the frame and not painted over) of a mask's area on the canvas.

    They are counted over the source's pixels, each by the part of it that is visible.
    """
    weights = bitmap.astype(np.float64)
    if not map.is_affine:  # a pixel grows by the inverse cube of its depth
        ys, xs = np.indices(bitmap.shape)
        far = depth(map.matrix, np.stack([xs + (origin[0] + 0.5), ys + (origin[1] + 0.5)], axis=-1))
        far[far < NEAREST] = np.inf
        weights /= far * far * far
    whole = float(weights.sum())
    seen = _coverage(state.visible, map.matrix, bitmap.shape, origin)
    if seen is not None:
        weights *= seen
    in_frame = min(1.0, float(weights.sum()) / whole) if whole > 0.0 else 0.0
    if not state.erased or in_frame <= 0.0:
        return in_frame, in_frame
    for region in state.erased:
        under = _coverage(region, map.matrix, bitmap.shape, origin)
        weights *= 0.0 if under is None else 1.0 - under
    return in_frame, min(1.0, float(weights.sum()) / whole)


def _coverage(region: Region, m: Matrix, shape: tuple[int, ...], origin: tuple[int, int]) -> F64 | None:
    """The part 0..1 of each pixel of a window of the source that a matrix puts into a convex region of the canvas.

    A side of the region, as a linear function of canvas points, is one of source points too, where they are in front.
    A pixel's part on one side is taken to grow evenly from corner to corner. ``None``: all of the window is inside.
    """
    if len(region) < 3:
        return np.zeros(shape)
    out: F64 | None = None
    sides = list(pairwise((*region, region[0])))
    turn = 1.0 if sum(ax * by - bx * ay for (ax, ay), (bx, by) in sides) >= 0.0 else -1.0
    xs, ys = np.arange(shape[1]) + (origin[0] + 0.5), np.arange(shape[0]) + (origin[1] + 0.5)
    for (ax, ay), (bx, by) in sides:
        x, y = (ay - by) * turn, (bx - ax) * turn
        c = -(x * ax + y * ay)
        p, q, r = x * m[0] + y * m[3] + c * m[6], x * m[1] + y * m[4] + c * m[7], x * m[2] + y * m[5] + c * m[8]
        across = abs(p) + abs(q) or 1.0  # how much it grows from one corner of a pixel to the other
        along_x, along_y = (p * xs + r) / across + 0.5, q / across * ys
        if min(along_x[0], along_x[-1]) + min(along_y[0], along_y[-1]) < 1.0 - 1e-9:
            part = np.add.outer(along_y, along_x)
            np.maximum(part, 0.0, out=part)
            np.minimum(part, 1.0, out=part)
            out = part if out is None else out * part
    return out
