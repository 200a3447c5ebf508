"""The shape of each object after a map and its frame: the tightest box that its best geometry allows.

The order is mask > polygon > oriented box > ellipse or corners of the plain box. What is measured is always the part
that can be seen: shapes are cut first and boxed after, so a box at the frame's edge is not loose. A mask or polygon
without area is none: the next best takes its place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import structs

from augpipe.core.annotations import F64, U8, Rings, Rle, Segmentation
from augpipe.core.canvas import CanvasState
from augpipe.core.geometry import (
    Matrix,
    Region,
    area_of,
    clip_convex,
    corners_of,
    depth,
    in_front,
    is_affine,
    is_exact,
    move_region,
    then,
    translation,
)
from augpipe.core.opencv import cv2
from augpipe.labels.boxes import Box, cut_outlines, ellipses_in, move_obb, region_of
from augpipe.labels.label_maps import paint
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
from augpipe.pixels.resample import copy_exact, region_mask, resample_labels

BoxRule: TypeAlias = Literal["corners", "ellipse"]
BoxFrom: TypeAlias = Literal["mask", "polygon", "obb", "ellipse", "corners", "source"]

_NO_AREA = 1e-6  # square pixels


# A picture has dozens of these; a Struct is made in a tenth of the time of a frozen dataclass.
class Shape(msgspec.Struct, frozen=True, eq=False):
    """What can be seen of one object on the canvas.

    ``in_frame`` is the share of its area that lies in the frame, ``visible`` the share that is not painted over
    either; both 0..1. ``area`` is in pixels. An object that cannot be seen has no box, nor has one without any area,
    for which both shares are 1: it is all there, but nothing.
    """

    box_xyxy: Box | None
    box_from: BoxFrom
    area: float = 0.0
    in_frame: float = 0.0
    visible: float = 0.0
    segmentation: Segmentation | None = None
    obb: F64 | None = None


def shape_of(
    box_xyxy: F64, segmentation: Segmentation | None, obb: F64 | None, track: CanvasState, rule: BoxRule = "corners"
) -> Shape:
    """One object of the source picture as ``track`` shows it."""
    return shapes_of(box_xyxy[None], (segmentation,), (obb,), track, rule)[0]


def shapes_of(
    boxes_xyxy: F64,
    segmentations: Sequence[Segmentation | None],
    obbs: Sequence[F64 | None],
    track: CanvasState,
    rule: BoxRule = "corners",
    cut_erased: bool = False,
) -> list[Shape]:
    """The objects of a source picture as ``track`` shows them.

    Args:
        boxes_xyxy: (N, 4).
        segmentations: N masks, polygons or ``None``.
        obbs: N oriented boxes, each (4, 2), or ``None``.
        track: the map and the visible part.
        rule: how a box without other geometry is turned.
        cut_erased: whether masks and polygons lose what is painted over, and not only visibility.
    """
    shapes: list[Shape | None] = [None] * len(segmentations)
    rings = {i: s for i, s in enumerate(segmentations) if isinstance(s, Rings)}
    if rings:
        objects, polygons = [s.rings for s in rings.values()], polygons_of(list(rings.values()))
        cuts = cut_rings(objects, track.matrix, track.visible, polygons)
        for i, cut in zip(rings, cuts, strict=True):
            shapes[i] = _ring_shape(rings[i].rings, cut, track, cut_erased)
    for i, segmentation in enumerate(segmentations):
        if isinstance(segmentation, Rle):
            shapes[i] = _mask_shape(segmentation, track, cut_erased)
    plain = [i for i, shape in enumerate(shapes) if shape is None and obbs[i] is None]
    if plain:
        boxes = boxes_xyxy if len(plain) == len(shapes) else boxes_xyxy[plain]
        outlines = ellipses_in(boxes) if rule == "ellipse" else corners_of(boxes)
        areas = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).tolist()
        for i, shape in zip(plain, _outline_shapes(outlines, areas, rule, track), strict=True):
            shapes[i] = shape
    oriented = {i: obb for i, obb in enumerate(obbs) if obb is not None}
    if oriented:
        _add_oriented(shapes, oriented, track)
    return [shape for shape in shapes if shape is not None]


# --- outlines --------------------------------------------------------------------------------------------------------


def _outline_shapes(outlines: F64, areas: Sequence[float], method: BoxFrom, track: CanvasState) -> list[Shape]:
    shapes, seen = [], cut_outlines(outlines, track)
    has_area = [_NO_AREA < area < math.inf for area in areas]
    under = {i: np.array(s.outline) for i, s in enumerate(seen) if s.outline and has_area[i]}
    left = dict(zip(under, uncovered_shares(list(under.values()), track.erased), strict=True))
    for i, (box, in_frame, _) in enumerate(seen):
        if not has_area[i]:
            shapes.append(Shape(None, method, 0.0, 1.0, 1.0))
        elif box is None:
            shapes.append(Shape(None, method))
        else:
            x0, y0, x1, y1 = box
            shapes.append(Shape(box, method, (x1 - x0) * (y1 - y0), in_frame, in_frame * left.get(i, 1.0)))
    return shapes


def _add_oriented(shapes: list[Shape | None], obbs: dict[int, F64], track: CanvasState) -> None:
    """Oriented boxes: the shape of objects that have no better one, and a label of their own for all that have one."""
    for i, obb in obbs.items():
        shape = shapes[i]
        if shape is None:
            # Unlike other labels it may leave the picture, and what lies outside of that is not seen anywhere.
            outline = clip_convex(region_of(obb), track.source)
            area = area_of(outline) if len(outline) > 2 else 0.0
            points = np.array([outline if area > _NO_AREA else region_of(obb)])
            (shape,) = _outline_shapes(points, [area], "obb", track)
        shapes[i] = structs.replace(shape, obb=move_obb(obb, track.matrix)) if shape.box_xyxy is not None else shape


# --- polygons --------------------------------------------------------------------------------------------------------


def _ring_shape(rings: Sequence[F64], cut: ClippedRings, track: CanvasState, cut_erased: bool) -> Shape | None:
    """Polygons that have been moved and cut: boxed. ``None`` if they have no area to go by."""
    if cut.whole <= _NO_AREA and (is_affine(track.matrix) or areas_of([rings])[0] <= _NO_AREA):
        return None
    if cut.area <= 0.0:
        return Shape(None, "polygon")
    in_frame = min(1.0, cut.area / cut.whole)
    visible, area, pieces = in_frame, cut.area, cut.pieces
    cut_erased = cut_erased and bool(track.erased)
    if track.erased:
        share = uncovered_share([piece.polygon for piece in pieces], track.erased)
        visible *= share
        if cut_erased:
            area, pieces = area * share, uncovered(pieces, track.erased)
    if any(piece.holes for piece in pieces):  # COCO's rings cannot say "hole"
        bitmap = _bitmap_of(cut.pieces, track.size_wh)
        if cut_erased:
            paint(bitmap, track.erased, 0)
        return _bitmap_shape(bitmap, (0, 0), track, in_frame, visible)
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


def _mask_shape(rle: Rle, track: CanvasState, cut_erased: bool) -> Shape | None:
    """A mask: warped in its own window by the same map as the picture, boxed by its pixels. ``None`` if it is empty."""
    # Nearest neighbour rounds a tie to the even pixel: an even origin keeps the window's ties those of the picture.
    bitmap, (x, y) = window_of(rle, 2)
    if bitmap.size == 0:
        return None
    h, w = bitmap.shape
    around: Region = ((x, y), (x + w, y), (x + w, y + h), (x, y + h))
    moved_around = move_region(track.matrix, in_front(track.matrix, around))
    window, inside = _pixel_window(moved_around, track.size_wh)
    in_frame = visible = 1.0
    if not inside or track.hidden_outside is not None or track.erased:
        in_frame, visible = _shares(bitmap, (x, y), track)
    if window is None or in_frame <= 0.0:
        return Shape(None, "mask")
    moved = _moved_bitmap(bitmap, (x, y), track.matrix, window)
    if track.hidden_outside is not None:
        moved = moved * region_mask(track.hidden_outside, window)
    if cut_erased:
        paint(moved, track.erased, 0, window[:2])
    return _bitmap_shape(moved, window[:2], track, in_frame, visible)


def _moved_bitmap(bitmap: U8, origin: tuple[int, int], matrix: Matrix, window: tuple[int, int, int, int]) -> U8:
    left, top, right, bottom = window
    if not is_exact(matrix):
        return resample_labels(bitmap, matrix, window, 0, origin).astype(np.uint8, copy=False)
    local = then(then(translation(*origin), matrix), translation(-left, -top))
    moved: U8 = copy_exact(bitmap, local, (right - left, bottom - top), "constant", (0,))
    return moved


def _bitmap_shape(bitmap: U8, origin: tuple[int, int], track: CanvasState, in_frame: float, visible: float) -> Shape:
    """The shape of a window of the canvas; if none of its pixels is set, one without a box."""
    left, top, w, h = cv2.boundingRect(bitmap)
    if w == 0:
        return Shape(None, "mask", 0.0, in_frame, visible)
    tight = bitmap[top : top + h, left : left + w]
    x, y = origin[0] + left, origin[1] + top
    box = (float(x), float(y), float(x + w), float(y + h))
    segmentation = rle_of(tight, (x, y), track.size_wh)
    return Shape(box, "mask", float(np.count_nonzero(tight)), in_frame, visible, segmentation)


def _pixel_window(region: Region, size_wh: tuple[int, int]) -> tuple[tuple[int, int, int, int] | None, bool]:
    """(the pixels of the canvas that a region can touch, whether it lies on the canvas as a whole)."""
    if len(region) < 3:
        return None, False
    w, h = size_wh
    xs, ys = [x for x, _ in region], [y for _, y in region]
    x0, y0, x1, y1 = math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys))
    left, top, right, bottom = max(0, x0), max(0, y0), min(w, x1), min(h, y1)
    if left >= right or top >= bottom:
        return None, False
    return (left, top, right, bottom), (left, top, right, bottom) == (x0, y0, x1, y1)


def _shares(bitmap: U8, origin: tuple[int, int], track: CanvasState) -> tuple[float, float]:
    """The shares of a mask's area on the canvas that lie in the frame, and there under nothing that was painted.

    Counted over the source's pixels, each by the part of it that can be seen.
    """
    weights = bitmap.astype(np.float64)
    if not is_affine(track.matrix):  # a pixel grows by the inverse cube of its depth
        ys, xs = np.indices(bitmap.shape)
        far = depth(track.matrix, np.stack([xs + (origin[0] + 0.5), ys + (origin[1] + 0.5)], axis=-1))
        far[far < 1e-3] = np.inf
        weights /= far * far * far
    whole = float(weights.sum())
    seen = _coverage(track.visible, track.matrix, bitmap.shape, origin)
    if seen is not None:
        weights *= seen
    in_frame = min(1.0, float(weights.sum()) / whole) if whole > 0.0 else 0.0
    if not track.erased or in_frame <= 0.0:
        return in_frame, in_frame
    for region in track.erased:
        under = _coverage(region, track.matrix, bitmap.shape, origin)
        weights *= 0.0 if under is None else 1.0 - under
    return in_frame, min(1.0, float(weights.sum()) / whole)


def _coverage(region: Region, m: Matrix, shape: tuple[int, ...], origin: tuple[int, int]) -> F64 | None:
    """How much of each pixel of a window of the source, 0..1, a map puts into a convex region of the canvas.

    A side of the region, as a linear function of canvas points, is one of source points too (for a projective map as
    well, where they are in front). A pixel's part on one side is taken to grow evenly from corner to corner. ``None``
    means that all of the window is inside.
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
