"""One picture: its header and labels, as a run would read them, become counts. No pixel of a picture is decoded.

A picture that is missing or damaged is odd, but its labels are counted all the same, in the size that they state: a
COCO JSON can be looked at without its pictures. What cannot be read at all is counted under its code, and no more.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np

from augpipe.core.annotations import Annotations, Header, Objects, Raster, Rings, Rle, Segmentation
from augpipe.core.errors import Reject, fault
from augpipe.formats.base import Entry, Reader, SourceOptions
from augpipe.formats.image_header import start_and_header
from augpipe.labels.normalize import aligned, turned
from augpipe.labels.polygons import ring_area
from augpipe.labels.rle import area_of
from augpipe.survey.issues import Example, with_one
from augpipe.survey.tally import HEAT, PictureCounts

_GRAY = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_EDGE = 0.01  # pixels; what a box may leave the picture by without a word: tools round
_TINY = 1.0
_PRINTED = 1 << 12  # bytes of a file's head that are compared before whole files are


@dataclass(frozen=True)
class View:
    """How pictures of a dataset are looked at. ``twins`` are the file sizes that several pictures have."""

    reader: Reader
    options: SourceOptions
    ids: Mapping[str, int]
    categories: Container[int]
    twins: Container[int] = frozenset()


def look(view: View, entry: Entry, number: int, out: PictureCounts) -> None:
    """Count one picture; ``number`` is its position in the dataset. Nothing is raised, whatever it holds."""
    out.pictures += 1
    header: Header | None = None
    try:
        data, header = start_and_header(entry)
        out.readable += 1
        _count_header(header, out)
        if entry.size in view.twins:
            out.prints.append((number, hashlib.blake2b(data[:_PRINTED], digest_size=8).digest()))
    except Reject as reject:
        _reject(reject, entry, out)
    except Exception as error:  # as in a run
        _reject(fault("read", error), entry, out)
    try:
        stated = view.reader.annotations(entry)
        if header is None and stated.size_wh is not None:
            header = Header("", stated.size_wh)
            out.sizes[stated.size_wh] += 1
        labels = stated if header is None else aligned(stated, header, view.options.exif)
        _count_labels(view, entry, header, stated, labels, out)
    except Reject as reject:
        _reject(reject, entry, out)
    except Exception as error:
        _reject(fault("labels", error), entry, out)


def _reject(reject: Reject, entry: Entry, out: PictureCounts) -> None:
    file = reject.file or entry.file
    with_one(out.oddities, reject.code, Example(file, entry.key, reject.line, message=reject.message))


def _count_header(header: Header, out: PictureCounts) -> None:
    out.sizes[header.upright_wh] += 1
    out.colours["gray" if header.mode in _GRAY else "colour"] += 1
    out.formats["JPEG" if header.format == "MPO" else header.format] += 1
    out.turned += header.orientation != 1


# --- labels ----------------------------------------------------------------------------------------------------------


def _count_labels(
    view: View, entry: Entry, header: Header | None, stated: Annotations, labels: Annotations, out: PictureCounts
) -> None:
    for note in labels.notes:
        with_one(out.oddities, note, Example(entry.file, entry.key))
    for dropped in labels.dropped:
        found = Example(entry.file, entry.key, object=dropped.index, id=dropped.id)
        with_one(out.oddities, f"dropped-{dropped.reason}", found)
    if header is not None and "clipped" in labels.notes:
        _past_edge(stated, labels, header, view.options, entry, out)
    _count_objects(labels.objects, None if header is None else header.upright_wh, entry, out)
    _count_kinds(labels, out)
    present = {int(c) for c in labels.objects.category_id} | _count_rasters(labels, view, out)
    for tag in labels.tags:
        if tag in view.ids:
            out.of_class(view.ids[tag]).tags += 1
            present.add(view.ids[tag])
    for category_id in present:
        out.of_class(category_id).pictures += 1
    if not len(labels.objects) and not labels.tags and labels.semantic is None and labels.panoptic is None:
        with_one(out.oddities, "without-labels", Example(entry.file, entry.key))


def _past_edge(
    stated: Annotations, labels: Annotations, header: Header, options: SourceOptions, entry: Entry, out: PictureCounts
) -> None:
    """Boxes of objects that are kept, and that the frame cuts."""
    was_turned = "exif-turned" in labels.notes or ("exif-undecided" in labels.notes and options.exif == "stored")
    objects = turned(stated, header).objects if was_turned else stated.objects
    w, h = header.upright_wh
    kept = set(labels.objects.index.tolist())
    for i, (x0, y0, x1, y1) in enumerate(objects.boxes_xyxy.tolist()):
        past = min(x0, y0) < -_EDGE or x1 > w + _EDGE or y1 > h + _EDGE
        if past and int(objects.index[i]) in kept:
            with_one(out.oddities, "box-past-edge", _example(objects, i, entry))


def _example(objects: Objects, i: int, entry: Entry) -> Example:
    return Example(entry.file, entry.key, object=int(objects.index[i]), id=objects.facts[i].id)


def _count_objects(objects: Objects, picture_wh: tuple[int, int] | None, entry: Entry, out: PictureCounts) -> None:
    out.per_picture[len(objects)] += 1
    seen: set[tuple[float, ...]] = set()
    ids, crowds = objects.category_id.tolist(), objects.iscrowd.tolist()
    for i, (x0, y0, x1, y1) in enumerate(objects.boxes_xyxy.tolist()):
        category_id, w, h = ids[i], x1 - x0, y1 - y0
        if min(w, h) <= _TINY:
            with_one(out.oddities, "box-tiny", _example(objects, i, entry))
        if (same := (category_id, x0, y0, x1, y1)) in seen:
            with_one(out.oddities, "duplicate-object", _example(objects, i, entry))
        seen.add(same)
        facts, area = objects.facts[i], mask_area(objects.segmentation[i])
        tally = out.of_class(category_id)
        tally.objects += 1
        tally.crowd += crowds[i]
        if facts.truncated is not None:
            tally.truncated[facts.truncated] += 1
        if facts.difficult is not None:
            tally.difficult[facts.difficult] += 1
        if w > 0.0 and h > 0.0:
            tally.add_box((w, h), w * h if area is None else area, picture_wh)
        if picture_wh is not None:
            column, row = (
                _cell((low + high) / 2.0 / side)
                for low, high, side in ((x0, x1, picture_wh[0]), (y0, y1, picture_wh[1]))
            )
            out.heat[row, column] += 1


def mask_area(segmentation: Segmentation | None) -> float | None:
    """Pixels of a mask, or of polygons one by one, as COCO's tools count them; ``None`` if there is neither."""
    if isinstance(segmentation, Rings):
        return sum(map(ring_area, segmentation.rings))
    return float(area_of(segmentation)) if isinstance(segmentation, Rle) else None


def _cell(place: float) -> int:
    """The cell of a place from 0 to 1; what lies beyond, or is no number, belongs to the nearest or the first."""
    return int(max(0.0, min(place * HEAT, HEAT - 1.0))) if math.isfinite(place) else 0


def _count_kinds(labels: Annotations, out: PictureCounts) -> None:
    objects = labels.objects
    found = {
        "boxes": len(objects),
        "polygons": sum(isinstance(s, Rings) for s in objects.segmentation),
        "rle": sum(isinstance(s, Rle) for s in objects.segmentation),
        "keypoints": sum(k is not None for k in objects.keypoints),
        "obb": sum(o is not None for o in objects.obb),
        "crowds": int(objects.iscrowd.sum()),
        "parts": sum(map(len, objects.parts)),
        "semantic": int(labels.semantic is not None),
        "instance": int(labels.instance is not None),
        "panoptic": int(labels.panoptic is not None),
        "tags": len(labels.tags),
        "captions": len(labels.captions),
    }
    out.kinds.update({kind: count for kind, count in found.items() if count})


def _count_rasters(labels: Annotations, view: View, out: PictureCounts) -> set[int]:
    """Classes that rasters show; their pixels are counted."""
    present: set[int] = set()
    if labels.semantic is not None:
        present = _count_pixels(labels.semantic, {}, view, out)
    elif labels.panoptic is not None:
        classes = {s["id"]: s["category_id"] for s in labels.segments_info if "id" in s and "category_id" in s}
        present = _count_pixels(labels.panoptic, classes, view, out)
    return present


def _count_pixels(raster: Raster, classes: Mapping[int, int], view: View, out: PictureCounts) -> set[int]:
    values, counts = np.unique(raster, return_counts=True)
    present = set()
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        category_id = classes.get(value) if classes else value
        if isinstance(category_id, int) and category_id in view.categories:
            out.of_class(category_id).pixels += count
            present.add(category_id)
    return present
