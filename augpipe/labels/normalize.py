"""Labels as a file states them become labels of the upright picture, inside its frame.

Size and orientation are those of the picture's header. A file's labels may be in stored or in upright pixels; the size
that they state tells which, where it can. docs/reading.md has a table of all cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from augpipe.core.annotations import (
    F64,
    Annotations,
    Dropped,
    Header,
    ObjectPart,
    Objects,
    Raster,
    Rings,
    Rle,
    Segmentation,
)
from augpipe.core.canvas import MatrixMap
from augpipe.core.errors import Reject
from augpipe.core.geometry import bounds_of, corners_of, rectangle, upright
from augpipe.labels.label_maps import warped
from augpipe.labels.polygons import clip_rings
from augpipe.labels.rle import LONGEST_OUTLINE, bitmap_of_rings, box_of, length_of, rle_of, window_of

_MOST_OUTLINE = LONGEST_OUTLINE / 4
_RASTERS = ("semantic", "instance", "panoptic")
_TOLERANCE = 1.0  # pixels by which a box may leave the frame of a picture whose stated size is wrong


def aligned(annotations: Annotations, header: Header, exif: Literal["upright", "stored"] = "upright") -> Annotations:
    """Labels in upright pixels, cut to the frame; ``notes`` gains a word for each kind of change, and the header's.

    Raises:
        Reject: ``size-mismatch`` if the labels cannot belong to this picture.
    """
    annotations, turn = _sized(annotations, header, exif)
    if turn:
        annotations = turned(annotations, header)
    _require_raster_sizes(annotations, header.upright_wh)
    annotations = clipped(annotations, header.upright_wh)
    return _noted(annotations, *header.notes) if header.notes else annotations


def _sized(annotations: Annotations, header: Header, exif: Literal["upright", "stored"]) -> tuple[Annotations, bool]:
    """(annotations with notes, whether they must be turned upright)."""
    stated, stored, straight = annotations.size_wh, header.stored_wh, header.upright_wh
    if header.orientation == 1:
        return (annotations if stated in (None, stored) else _mismatch(annotations, straight)), False
    if stated is None and not _has_places(annotations):
        return annotations, False
    if stated is None or (stored == straight and stated == stored):
        return _noted(annotations, "exif-undecided"), exif == "stored"
    if stated == straight:
        return _noted(annotations, "exif-upright"), False
    if stated == stored:
        return _noted(annotations, "exif-turned"), True
    return _mismatch(annotations, straight), False


def _has_places(annotations: Annotations) -> bool:
    """Whether there are labels that turn with the picture, as classes and captions do not."""
    return len(annotations.objects) > 0 or any(getattr(annotations, name) is not None for name in _RASTERS)


def _mismatch(annotations: Annotations, size_wh: tuple[int, int]) -> Annotations:
    """Labels whose stated size is neither: kept if every box fits the frame within a pixel."""
    w, h = size_wh
    boxes = np.nan_to_num(annotations.objects.boxes_xyxy)
    if (boxes < -_TOLERANCE).any() or (boxes > np.array([w, h, w, h]) + _TOLERANCE).any():
        stated = "×".join(map(str, annotations.size_wh or ()))
        message = f"the labels say {stated}, the picture is {w}×{h}, and a box lies outside it; see --size-mismatch"
        raise Reject("labels", "size-mismatch", message)
    return _noted(annotations, "size-mismatch-kept")


def _noted(annotations: Annotations, *notes: str) -> Annotations:
    return replace(annotations, notes=(*annotations.notes, *notes))


def _require_raster_sizes(annotations: Annotations, size_wh: tuple[int, int]) -> None:
    for name in _RASTERS:
        raster: Raster | None = getattr(annotations, name)
        if raster is not None and raster.shape != size_wh[::-1]:
            h, w = raster.shape
            message = f"the {name} mask is {w}×{h}, the picture {size_wh[0]}×{size_wh[1]}"
            raise Reject("labels", "size-mismatch", message)


# --- turning ---------------------------------------------------------------------------------------------------------


def turned(annotations: Annotations, header: Header) -> Annotations:
    """Labels in stored pixels as labels of the upright picture; every map here is exact."""
    turn = MatrixMap(upright(header.orientation, header.stored_wh))
    objects = annotations.objects
    moved = replace(
        objects,
        boxes_xyxy=_turned_boxes(objects.boxes_xyxy, turn),
        segmentation=tuple(_turned_segmentation(s, turn, header) for s in objects.segmentation),
        keypoints=tuple(
            None if k is None else np.concatenate([turn.forward(k[:, :2]), k[:, 2:]], axis=1) for k in objects.keypoints
        ),
        obb=tuple(None if o is None else turn.forward(o) for o in objects.obb),
        parts=tuple(
            tuple(ObjectPart(p.name, tuple(_turned_boxes(np.array([p.box_xyxy]), turn)[0].tolist())) for p in parts)
            for parts in objects.parts
        ),
    )
    rasters: dict[str, Any] = {name: _turned_raster(getattr(annotations, name), turn, header) for name in _RASTERS}
    return replace(annotations, objects=moved, **rasters)


def _turned_boxes(boxes_xyxy: F64, turn: MatrixMap) -> F64:
    return bounds_of(turn.forward(corners_of(boxes_xyxy))) if len(boxes_xyxy) else boxes_xyxy


def _turned_segmentation(segmentation: Segmentation | None, turn: MatrixMap, header: Header) -> Segmentation | None:
    if isinstance(segmentation, Rings):
        return Rings(tuple(turn.forward(ring) for ring in segmentation.rings))
    if segmentation is None or segmentation.size_hw != header.stored_wh[::-1]:
        return segmentation
    bitmap, (x, y) = window_of(segmentation)
    if bitmap.size == 0:
        return Rle(header.upright_wh[::-1], segmentation.counts)
    h, w = bitmap.shape
    left, top, right, bottom = _turned_boxes(np.array([[x, y, x + w, y + h]], np.float64), turn)[0].astype(int).tolist()
    turned_bitmap = warped(bitmap, turn, (left, top, right, bottom), 0, (x, y)).astype(np.uint8, copy=False)
    return rle_of(turned_bitmap, (left, top), header.upright_wh)


def _turned_raster(raster: Raster | None, turn: MatrixMap, header: Header) -> Raster | None:
    if raster is None or raster.shape != header.stored_wh[::-1]:
        return raster
    return warped(raster, turn, (0, 0, *header.upright_wh), 0)


# --- clipping --------------------------------------------------------------------------------------------------------


def clipped(annotations: Annotations, size_wh: tuple[int, int]) -> Annotations:
    """Objects cut to the frame. One that is none is dropped, with the reason; other changes are noted."""
    objects = annotations.objects
    kept: list[int] = []
    dropped: list[Dropped] = []
    boxes = objects.boxes_xyxy.copy()
    segmentations, keypoints, parts = list(objects.segmentation), list(objects.keypoints), list(objects.parts)
    notes = set(annotations.notes)
    in_order, good = _boxes_in_order(boxes, size_wh), _rings_in_order(segmentations, size_wh)
    for i in range(len(objects)):
        found: set[str] = set()
        if segmentations[i] is not None and i not in good:
            segmentations[i], found = _usable(segmentations[i], size_wh)
        if in_order[i] and keypoints[i] is None and not parts[i]:  # most objects of most files
            notes |= found
            kept.append(i)
            continue
        box, reason = _box_in_frame(boxes[i], segmentations[i], size_wh)
        if reason is not None:
            identity = objects.facts[i].id
            dropped.append(Dropped(int(objects.index[i]), int(objects.category_id[i]), reason, None, identity))
            notes |= found
            continue
        keypoints[i], points_found = _keypoints_in_frame(keypoints[i], size_wh)
        parts[i], parts_found = _parts_in_frame(parts[i], size_wh)
        notes |= found | points_found | parts_found | (set() if np.array_equal(box, boxes[i]) else {"clipped"})
        boxes[i] = box
        kept.append(i)
    whole: Objects = replace(
        objects,
        boxes_xyxy=boxes,
        segmentation=tuple(segmentations),
        keypoints=tuple(keypoints),
        parts=tuple(parts),
    )
    return replace(
        annotations,
        objects=whole if len(kept) == len(objects) else whole.take(kept),
        dropped=(*annotations.dropped, *dropped),
        notes=tuple(sorted(notes)),
    )


def _boxes_in_order(boxes_xyxy: F64, size_wh: tuple[int, int]) -> list[bool]:
    """Which boxes have an area and lie in the frame."""
    first, last = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    in_order = (first >= 0.0) & (first < last) & (last <= np.array(size_wh))
    found: list[bool] = np.logical_and.reduce(in_order, axis=1).tolist()
    return found


def _rings_in_order(segmentations: Sequence[Segmentation | None], size_wh: tuple[int, int]) -> set[int]:
    """The numbers of polygons that lie in the frame and are not endless."""
    few = {
        i: s.rings
        for i, s in enumerate(segmentations)
        if isinstance(s, Rings) and max(map(len, s.rings)) * max(size_wh) <= _MOST_OUTLINE
    }
    rings = [ring for rings in few.values() for ring in rings]
    if not rings:
        return set()
    points = np.concatenate(rings)
    within = ((points >= 0.0) & (points <= np.array(size_wh))).all(axis=1)
    starts = np.cumsum([0, *(sum(map(len, rings)) for rings in few.values())])[:-1]
    return {i for i, whole in zip(few, np.logical_and.reduceat(within, starts).tolist(), strict=True) if whole}


def _box_in_frame(box: F64, segmentation: Segmentation | None, size_wh: tuple[int, int]) -> tuple[F64, str | None]:
    """(the box cut to the frame, why it cannot be used)."""
    w, h = size_wh
    if not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
        around = bounds_of_segmentation(segmentation)
        if around is None:
            return box, "degenerate"
        box = around
    cut = np.clip(box, 0.0, (w, h, w, h))
    return cut, "outside" if cut[2] <= cut[0] or cut[3] <= cut[1] else None


def bounds_of_segmentation(segmentation: Segmentation | None) -> F64 | None:
    """The box xyxy around a polygon or mask; ``None`` if there is nothing."""
    if isinstance(segmentation, Rings):
        return bounds_of(np.concatenate(segmentation.rings))
    if segmentation is None:
        return None
    box = box_of(segmentation)
    return None if box is None else np.array(box, np.float64)


def _usable(segmentation: Segmentation | None, size_wh: tuple[int, int]) -> tuple[Segmentation | None, set[str]]:
    """A segmentation cut to the frame, ``None`` if nothing of it can be used; and notes."""
    if isinstance(segmentation, Rle):
        fits = segmentation.size_hw == size_wh[::-1]
        return (segmentation, set()) if fits else (None, {"mask-of-other-size"})
    if segmentation is None:
        return None, set()
    w, h = size_wh
    if _is_endless(segmentation, size_wh):
        return None, {"ring-left-out"}
    points = np.concatenate(segmentation.rings)
    if points.min() >= 0.0 and points[:, 0].max() <= w and points[:, 1].max() <= h:
        return segmentation, set()
    inside, holes = clip_rings(segmentation.rings, rectangle(size_wh))
    if holes:  # of a ring that crosses itself; COCO's rings cannot say "hole"
        bitmap = bitmap_of_rings(inside, size_wh) & (1 - bitmap_of_rings(holes, size_wh))
        return (rle_of(bitmap) if bitmap.any() else None), {"clipped"}
    return (Rings(tuple(inside)) if inside else None), {"clipped"}


def _is_endless(rings: Rings, size_wh: tuple[int, int]) -> bool:
    """Whether a ring is too long inside the frame to be drawn after a recipe has enlarged it."""
    longest = max(map(len, rings.rings)) * max(size_wh)
    if longest <= _MOST_OUTLINE:
        return False
    return max(length_of(np.clip(ring, 0.0, size_wh)) for ring in rings.rings) > _MOST_OUTLINE


def _keypoints_in_frame(keypoints: F64 | None, size_wh: tuple[int, int]) -> tuple[F64 | None, set[str]]:
    """Keypoints with v = 0 at (0, 0), and so those outside the frame; and notes."""
    if keypoints is None:
        return None, set()
    out: F64 = keypoints.copy()
    x, y = out[:, 0], out[:, 1]
    labelled = out[:, 2] > 0
    seen = labelled & (x >= 0) & (x <= size_wh[0]) & (y >= 0) & (y <= size_wh[1])
    out[~seen] = 0.0
    return out, {"keypoints-clipped"} if (labelled & ~seen).any() else set()


def _parts_in_frame(parts: tuple[ObjectPart, ...], size_wh: tuple[int, int]) -> tuple[tuple[ObjectPart, ...], set[str]]:
    """Parts cut to the frame, without those outside; and notes."""
    w, h = size_wh
    out = []
    for part in parts:
        x0, y0, x1, y1 = part.box_xyxy
        box = (max(x0, 0.0), max(y0, 0.0), min(x1, float(w)), min(y1, float(h)))
        if box[0] < box[2] and box[1] < box[3]:
            out.append(ObjectPart(part.name, box))
    return (tuple(out), {"clipped"}) if tuple(out) != parts else (parts, set())
