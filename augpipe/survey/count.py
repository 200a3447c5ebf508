"""One picture: its header and labels, as a run would read them, become counts. No pixel of a picture is decoded.

A picture that is missing or damaged is odd, but its labels are counted all the same, in the size that they state: a
COCO JSON can be looked at without its pictures. What cannot be read at all is counted under its code alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from augpipe.core.annotations import Annotations, Header, Objects, Raster, Rings, Rle, Segmentation
from augpipe.core.errors import Reject, fault
from augpipe.formats.base import Entry, Reader, SourceOptions, read_labels
from augpipe.formats.image_header import start_and_header
from augpipe.labels.normalize import aligned, turned
from augpipe.labels.polygons import ring_area
from augpipe.labels.rle import area_of
from augpipe.survey.issues import Example, with_one
from augpipe.survey.tally import HEAT, PictureCounts

_GRAY = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_EDGE = 0.01  # pixels by which a box may leave the picture, as tools round
_TINY = 1.0
_HEAD = 1 << 12  # bytes of a file's start that are compared before whole files are


@dataclass(frozen=True)
class View:
    """How pictures of a dataset are read; ``ids`` are those of class names.

    ``shared_sizes`` are the file sizes that several pictures have.
    """

    reader: Reader
    options: SourceOptions
    ids: Mapping[str, int]
    categories: Container[int]
    shared_sizes: Container[int] = frozenset()


def count_picture(view: View, entry: Entry, number: int, out: PictureCounts) -> None:
    """Count one picture; ``number`` is its position in the dataset. Nothing is raised, whatever the picture holds."""
    _Count(view, entry, out).run(number)


class _Count:
    """One picture on its way into the counts."""

    def __init__(self, view: View, entry: Entry, out: PictureCounts) -> None:
        self.view, self.entry, self.out = view, entry, out
        self.header: Header | None = None

    def run(self, number: int) -> None:
        self.out.pictures += 1
        self.out.of_splits[self.entry.split] += 1
        with self.rejects("read"):
            self.count_file(number)
        with self.rejects("labels"):
            self.count_labels()

    @contextmanager
    def rejects(self, stage: str) -> Iterator[None]:
        """Count what is raised as a run would reject it."""
        try:
            yield
        except Exception as error:
            reject = error if isinstance(error, Reject) else fault(stage, error)
            file = reject.file or self.entry.file
            example = Example(file, self.entry.key, reject.line, message=reject.message)
            with_one(self.out.oddities, reject.code, example)

    def odd(self, code: str, object: int | None = None, id: int | str | None = None) -> None:
        with_one(self.out.oddities, code, Example(self.entry.file, self.entry.key, object=object, id=id))

    def odd_object(self, code: str, objects: Objects, i: int) -> None:
        self.odd(code, int(objects.index[i]), objects.facts[i].id)

    def count_file(self, number: int) -> None:
        out = self.out
        data, self.header = start_and_header(self.entry)
        out.readable += 1
        out.sizes[self.header.upright_wh] += 1
        out.colours["gray" if self.header.mode in _GRAY else "colour"] += 1
        out.formats["JPEG" if self.header.format == "MPO" else self.header.format] += 1
        out.turned += self.header.orientation != 1
        if self.entry.size in self.view.shared_sizes:
            out.heads.append((number, hashlib.blake2b(data[:_HEAD], digest_size=8).digest()))

    # --- labels

    def count_labels(self) -> None:
        view, out = self.view, self.out
        stated = read_labels(view.reader, self.entry)
        if self.header is None and stated.size_wh is not None:
            self.header = Header("", stated.size_wh)
            out.sizes[stated.size_wh] += 1
        header = self.header
        labels = stated if header is None else aligned(stated, header, view.options.exif)
        for note in labels.notes:
            self.odd(note)
        for dropped in labels.dropped:
            self.odd(f"dropped-{dropped.reason}", dropped.index, dropped.id)
        if header is not None and "clipped" in labels.notes:
            self.count_past_edge(stated, labels, header)
        self.count_objects(labels.objects, None if header is None else header.upright_wh)
        self.count_kinds(labels)
        present = {int(c) for c in labels.objects.category_id} | self.count_rasters(labels)
        for tag in labels.tags:
            if tag in view.ids:
                out.of_class(view.ids[tag]).tags += 1
                present.add(view.ids[tag])
        for category_id in present:
            out.of_class(category_id).pictures += 1
        if not len(labels.objects) and not labels.tags and labels.semantic is None and labels.panoptic is None:
            self.odd("without-labels")

    def count_past_edge(self, stated: Annotations, labels: Annotations, header: Header) -> None:
        """Boxes of objects that are kept, and that the frame cuts."""
        exif, notes = self.view.options.exif, labels.notes
        was_turned = "exif-turned" in notes or ("exif-undecided" in notes and exif == "stored")
        objects = turned(stated, header).objects if was_turned else stated.objects
        w, h = header.upright_wh
        kept = set(labels.objects.index.tolist())
        for i, (x0, y0, x1, y1) in enumerate(objects.boxes_xyxy.tolist()):
            past = min(x0, y0) < -_EDGE or x1 > w + _EDGE or y1 > h + _EDGE
            if past and int(objects.index[i]) in kept:
                self.odd_object("box-past-edge", objects, i)

    def count_objects(self, objects: Objects, picture_wh: tuple[int, int] | None) -> None:
        self.out.per_picture[len(objects)] += 1
        self.out.objects_of_splits[self.entry.split] += len(objects)
        seen: set[tuple[float, ...]] = set()
        ids, crowds = objects.category_id.tolist(), objects.iscrowd.tolist()
        for i, (x0, y0, x1, y1) in enumerate(objects.boxes_xyxy.tolist()):
            category_id, w, h = ids[i], x1 - x0, y1 - y0
            if min(w, h) <= _TINY:
                self.odd_object("box-tiny", objects, i)
            if (same := (category_id, x0, y0, x1, y1)) in seen:
                self.odd_object("duplicate-object", objects, i)
            seen.add(same)
            facts, area, counts = objects.facts[i], mask_area(objects.segmentation[i]), self.out.of_class(category_id)
            counts.objects += 1
            counts.crowd += crowds[i]
            if facts.truncated is not None:
                counts.truncated[facts.truncated] += 1
            if facts.difficult is not None:
                counts.difficult[facts.difficult] += 1
            if w > 0.0 and h > 0.0:
                counts.add_box((w, h), w * h if area is None else area, picture_wh)
            if picture_wh is not None:
                column, row = _cell((x0 + x1) / 2.0 / picture_wh[0]), _cell((y0 + y1) / 2.0 / picture_wh[1])
                self.out.heat[row, column] += 1

    def count_kinds(self, labels: Annotations) -> None:
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
        self.out.kinds.update({kind: count for kind, count in found.items() if count})

    def count_rasters(self, labels: Annotations) -> set[int]:
        """The classes that the semantic raster shows, else the panoptic one; their pixels are counted."""
        if labels.semantic is not None:
            return self.count_pixels(labels.semantic, {})
        if labels.panoptic is not None:
            classes = {s["id"]: s["category_id"] for s in labels.segments_info if "id" in s and "category_id" in s}
            return self.count_pixels(labels.panoptic, classes)
        return set()

    def count_pixels(self, raster: Raster, classes: Mapping[int, int]) -> set[int]:
        present = set()
        for value, count in zip(*(a.tolist() for a in np.unique(raster, return_counts=True)), strict=True):
            category_id = classes.get(value) if classes else value
            if isinstance(category_id, int) and category_id in self.view.categories:
                self.out.of_class(category_id).pixels += count
                present.add(category_id)
        return present


def mask_area(segmentation: Segmentation | None) -> float | None:
    """Pixels of a mask, or of polygons one by one, as COCO's tools count them; ``None`` if there is neither."""
    if isinstance(segmentation, Rings):
        return sum(map(ring_area, segmentation.rings))
    return float(area_of(segmentation)) if isinstance(segmentation, Rle) else None


def _cell(place: float) -> int:
    """The cell of a place from 0 to 1; what lies beyond belongs to the nearest one, what is no number to the first."""
    return int(max(0.0, min(place * HEAT, HEAT - 1.0))) if math.isfinite(place) else 0
