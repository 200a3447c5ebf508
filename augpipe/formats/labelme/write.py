"""Writing labelme: a JSON beside each picture, with a shape for each ring, mask, box and keypoint.

A box is a rectangle, a ring a polygon, run lengths a mask (a PNG between two corners, as labelme has it from 5.2 on).
What belongs together shares a ``group_id``: the rings of an object, and its keypoints, points by their names. Fields of
an object stand beside its first shape.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from augpipe.core.annotations import Annotations, Category, Objects, Rings
from augpipe.core.geometry import bounds_of
from augpipe.formats.base import Dataset, Entry
from augpipe.formats.coco.rows import whole
from augpipe.formats.labelme.read import PICTURE_FIELDS, UNDERSTOOD
from augpipe.formats.layout.splits import in_split
from augpipe.formats.losses import Loss
from augpipe.formats.output import write_into
from augpipe.formats.writer import (
    DatasetWriter,
    Encoded,
    Picture,
    SampleEncoder,
    Stage,
    WriteOptions,
    names_again,
    require_size,
    stem_of,
)
from augpipe.labels.rle import window_of
from augpipe.pixels.codec.label_png import encode_raster

VERSION = "5.5.0"
"""The version of labelme whose files these are."""
_SAME = 1e-3  # pixels within which a box is the same


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
    """Begin a folder of pictures and JSONs."""
    return LabelmeWriter(dataset, stage)


@dataclass(frozen=True)
class LabelmeEncoder(SampleEncoder):
    """Writes the JSON of a picture into ``folder``; ``categories`` are by id."""

    folder: Path
    categories: Mapping[int, Category]
    holds = frozenset({"segmentations", "keypoints", "truncated, difficult and occluded flags", "fields of objects",
                       "fields of pictures", "oriented boxes"})  # fmt: skip

    def encode(self, picture: Picture) -> Encoded:
        picture.require_ending()
        width, height = require_size(picture.size_wh)
        annotations, made = picture.annotations, _Made()
        for i in range(len(annotations.objects)):
            made.add(annotations.objects, i, self.categories[int(annotations.objects.category_id[i])])
        name = in_split(picture.name, picture.split) if picture.split else picture.name
        fields = {k: v for k, v in annotations.attributes.items() if k not in PICTURE_FIELDS and k != "flags"}
        document = {
            "version": VERSION,
            "flags": annotations.attributes.get("flags", {}),
            "shapes": made.shapes,
            "imagePath": os.path.basename(name),
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
            **fields,
        }
        write_into(self.folder / f"{stem_of(name)}.json", msgspec.json.format(msgspec.json.encode(document), indent=2))
        return Encoded(len(annotations.objects), tuple(made.losses), name)

    def unwritable(self, objects: Objects) -> Sequence[str | None]:
        return [self._reason(objects, i) or far for i, far in enumerate(super().unwritable(objects))]

    def _reason(self, objects: Objects, i: int) -> str | None:
        if objects.iscrowd[i]:
            return "crowds"
        nameless = not self.categories[int(objects.category_id[i])].name.strip()
        return "objects whose class has no name" if nameless else None

    def cannot_hold(self, annotations: Annotations) -> dict[str, int]:
        facts, segmentation = annotations.objects.facts, annotations.objects.segmentation
        oriented = [segmentation[i] is None for i, obb in enumerate(annotations.objects.obb) if obb is not None]
        own = {
            "oriented boxes": oriented.count(False),
            "oriented boxes, written as polygons": oriented.count(True),
            "truncated and occluded flags": sum(f.truncated is not None or f.occluded is not None for f in facts),
            "fields with names that labelme uses": sum(
                bool(f.attributes.keys() & (UNDERSTOOD - {"group_id"})) for f in facts
            ) + bool(annotations.attributes.keys() & PICTURE_FIELDS),
        }  # fmt: skip
        return super().cannot_hold(annotations) | {what: n for what, n in own.items() if n}


@dataclass
class _Made:
    """The shapes of a picture, and the groups that are taken: (group, label) of objects, and groups with keypoints."""

    shapes: list[dict[str, Any]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    taken: set[tuple[Any, str]] = field(default_factory=set)
    closed: set[Any] = field(default_factory=set)

    def add(self, objects: Objects, i: int, category: Category) -> None:
        label = category.name.strip()
        areas, changed = _areas(objects, i)
        points, hidden = _points(objects, i, category)
        attributes = objects.facts[i].attributes
        group = self._group(attributes.get("group_id"), label, len(areas) > 1, bool(points))
        fields: dict[str, Any] = {"description": "", "flags": {}}
        fields |= {k: v for k, v in attributes.items() if k not in UNDERSTOOD}
        if objects.facts[i].difficult is not None:
            fields["difficult"] = bool(objects.facts[i].difficult)
        for k, area in enumerate(areas):
            beside = fields if k == 0 else {"description": "", "flags": {}}
            self.shapes.append({"label": label, "group_id": group, **area, **beside})
        for name, place in points:
            point = {"label": name, "group_id": group, "points": [place], "shape_type": "point"}
            self.shapes.append({**point, "description": "", "flags": {}})
        changed |= {"keypoints that are hidden, written as seen"} if hidden else set()
        if objects.keypoints[i] is not None and not points:
            changed.add("keypoints of which none is labelled")
        self.losses += (Loss(what, 1, int(objects.index[i])) for what in sorted(changed))

    def _group(self, own: Any, label: str, is_needed: bool, has_points: bool) -> Any:
        """The group of an object: its own where no other one has it, a new one where it needs one, else none."""
        groups = {group for group, _ in self.taken}
        is_own = isinstance(own, (int, str)) and not isinstance(own, bool) and own not in ("", *self.closed)
        if is_own and (own, label) not in self.taken and not (has_points and own in groups):
            group = own
        elif is_needed or has_points:
            group = next(n for n in range(1, len(groups) + 2) if n not in groups)
        else:
            return None
        self.taken.add((group, label))
        self.closed |= {group} if has_points else set()
        return group


def _areas(objects: Objects, i: int) -> tuple[list[dict[str, Any]], set[str]]:
    """(the shapes of an object, what had to be changed)."""
    segmentation, box, corners = objects.segmentation[i], objects.boxes_xyxy[i], objects.obb[i]
    if segmentation is None and corners is None:
        return [{"points": _places(box.reshape(2, 2)), "shape_type": "rectangle"}], set()
    if segmentation is None or isinstance(segmentation, Rings):
        rings = [corners] if segmentation is None or not isinstance(segmentation, Rings) else list(segmentation.rings)
        around = bounds_of(np.concatenate([ring for ring in rings if ring is not None]))
        areas = [{"points": _places(ring), "shape_type": "polygon"} for ring in rings if ring is not None]
    else:
        bitmap, (x, y) = window_of(segmentation)
        if not bitmap.any():
            return [{"points": _places(box.reshape(2, 2)), "shape_type": "rectangle"}], {"masks without a pixel"}
        h, w = bitmap.shape
        around = np.array([x, y, x + w, y + h], np.float64)
        png = base64.b64encode(encode_raster(bitmap)).decode()
        areas = [{"points": [[x, y], [x + w - 1, y + h - 1]], "shape_type": "mask", "mask": png}]
    same = np.abs(around - box).max() <= _SAME
    return areas, set() if same else {"boxes that are not those around the points"}


def _points(objects: Objects, i: int, category: Category) -> tuple[list[tuple[str, list[float | int]]], bool]:
    """(name and place of each keypoint that is labelled, whether one of them is hidden)."""
    keypoints = objects.keypoints[i]
    if keypoints is None:
        return [], False
    names = [*category.keypoints, *(str(k + 1) for k in range(len(category.keypoints), len(keypoints)))]
    rows = zip(names, keypoints.tolist(), strict=False)
    found = [(name, [whole(x), whole(y)], v) for name, (x, y, v) in rows if v > 0]
    return [(name, place) for name, place, _ in found], any(v == 1 for _, _, v in found)


def _places(points: Any) -> list[list[float | int]]:
    return [[whole(x), whole(y)] for x, y in points.tolist()]


class LabelmeWriter(DatasetWriter):
    """Writes no file of its own: everything stands in the JSONs."""

    own_file = "JSON"
    class_holds = frozenset({"keypoint names"})

    def __init__(self, dataset: Dataset, stage: Stage) -> None:
        super().__init__(dataset, stage)
        self.encoder = LabelmeEncoder(stage.folder / "images", {c.id: c for c in dataset.categories})

    def name_of(self, entry: Entry) -> str:
        return in_split(entry.key, entry.split) if entry.split else entry.key

    def classes_cannot_hold(self) -> dict[str, int]:
        rows = self.categories
        own = {
            "skeletons": sum(bool(c.skeleton) for c in rows),
            "class names with spaces around": sum(c.name != c.name.strip() for c in rows),
        }
        found = {k: n for k, n in super().classes_cannot_hold().items() if k != "keypoint names and skeletons"}
        return found | {what: n for what, n in own.items() if n} | names_again(rows)
