"""Writing DOTA: ``images/`` and ``labelTxt/``, a row an object: its corners, its class, its difficulty.

Numbers are written as they are, so oriented boxes come back exactly. An object that has none is written by the corners
of its box, and counted. Classes are words: spaces in their names become hyphens, which is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from augpipe.core.annotations import Annotations, Category, Objects
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.core.geometry import bounds_of, corners_of
from augpipe.formats.base import Dataset, is_picture
from augpipe.formats.coco import write
from augpipe.formats.dota.read import HEADS, DotaRow, lines_of
from augpipe.formats.writer import (
    Added,
    Closing,
    DatasetWriter,
    Loss,
    Made,
    Picture,
    Stage,
    WriteOptions,
    losses_of,
    require_own_stems,
    writable,
    write_into,
)

_SAME = 1e-3  # pixels within which a box is the same


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
    """Begin a DOTA folder.

    Raises:
        DatasetError: two pictures would share a label file, or two classes would have one name.
    """
    require_own_stems(dataset, "label file")
    words: dict[str, str] = {}
    for category in dataset.categories:
        word = word_of(category.name)
        other = words.setdefault(word, category.name)
        if other != category.name:
            shown = f"'{one_line(other)}' and '{one_line(category.name)}'"
            raise DatasetError(f"the classes {shown} would both be '{one_line(word)}' in DOTA; rename one")
    return _Writer(dataset, stage)


def word_of(name: str) -> str:
    """A class name as one word."""
    return "-".join(name.split()) or "-"


@dataclass(frozen=True)
class _Encoder:
    """See :class:`augpipe.formats.writer.SampleEncoder`."""

    folder: Path
    categories: Mapping[int, Category]
    told: set[str] = field(default_factory=set)

    def make(self, picture: Picture) -> Made:
        if not is_picture(picture.name):
            raise Reject("write", "bad-name", "the name has no ending of a picture, so its labels would not be found")
        annotations, losses = writable(picture.annotations, _unwritable)
        objects = annotations.objects
        changes = list(losses)
        for i in range(len(objects)):
            changes += (Loss(what, 1, int(objects.index[i])) for what in changed(objects, i))
        heads = {k: str(v) for k, v in annotations.attributes.items() if k in HEADS and _is_line(v)}
        text = lines_of(heads, (row_of(objects, i, self.categories) for i in range(len(objects))))
        path = self.folder / f"{os.path.splitext(picture.name)[0]}.txt"
        write_into(path, text.encode())
        return Made(Added(len(objects), (*changes, *losses_of(annotations, cannot_hold, self.told))))

    def pack(self, rests: Sequence[None]) -> None:
        pass


class _Writer:
    """See :class:`augpipe.formats.writer.DatasetWriter`."""

    def __init__(self, dataset: Dataset, stage: Stage) -> None:
        self.maker = _Encoder(stage.folder / "labelTxt", {c.id: c for c in dataset.categories})

    def take(self, packed: None) -> None:
        pass

    def discard(self) -> None:
        pass

    def close(self) -> Closing:
        return Closing(categories_cannot_hold(self.maker.categories.values()))


def _is_line(value: object) -> bool:
    return isinstance(value, (str, int, float)) and str(value).isprintable()


def _unwritable(objects: Objects, i: int) -> str | None:
    return "crowds" if objects.iscrowd[i] else write.unwritable(objects, i, {})


def row_of(objects: Objects, i: int, categories: Mapping[int, Category]) -> DotaRow:
    """The row of an object: its oriented box, else the corners of its box, clockwise from the top left."""
    corners, facts = objects.obb[i], objects.facts[i]
    if corners is None:
        corners = corners_of(objects.boxes_xyxy[i][None])[0]
    degree = facts.attributes.get("difficulty", facts.difficult)
    difficulty = degree if isinstance(degree, int) and 0 <= degree < 10 else facts.difficult
    return DotaRow(
        tuple(corners.reshape(-1).tolist()), word_of(categories[int(objects.category_id[i])].name), difficulty
    )


def changed(objects: Objects, i: int) -> list[str]:
    """What had to be changed in an object."""
    corners = objects.obb[i]
    if corners is None:
        return ["boxes that are not oriented, written as oriented ones"]
    same = np.abs(bounds_of(corners) - objects.boxes_xyxy[i]).max() <= _SAME
    return [] if same else ["boxes that are not those around the points"]


def cannot_hold(annotations: Annotations) -> dict[str, int]:
    """What DOTA has no place for in these labels: what → objects, or pictures, that have it."""
    objects = annotations.objects
    counts = {
        "object ids": sum(f.id is not None for f in objects.facts),
        "segmentations": sum(s is not None for s in objects.segmentation),
        "keypoints": sum(k is not None for k in objects.keypoints),
        "truncated and occluded flags": sum(f.truncated is not None or f.occluded is not None for f in objects.facts),
        "poses": sum(f.pose is not None for f in objects.facts),
        "parts": sum(map(len, objects.parts)),
        "fields of objects": sum(bool(f.attributes.keys() - {"difficulty"}) for f in objects.facts),
        "fields of pictures": int(bool(annotations.attributes.keys() - set(HEADS))),
        "image ids": int(annotations.image_id is not None),
        "semantic masks": int(annotations.semantic is not None),
        "instance masks": int(annotations.instance is not None and not objects.instance.any()),
        "panoptic masks": int(annotations.panoptic is not None or bool(annotations.segments_info)),
        "captions": len(annotations.captions),
        "tags": len(annotations.tags),
    }
    return {name: n for name, n in counts.items() if n}


def categories_cannot_hold(categories: Iterable[Category]) -> dict[str, int]:
    """What DOTA has no place for in the classes: what → classes that have it."""
    rows = list(categories)
    counts = {
        "class ids": sum(c.id != c.label for c in rows),
        "class names with spaces, written with hyphens": sum(word_of(c.name) != c.name for c in rows),
        "supercategories": sum(c.supercategory is not None for c in rows),
        "keypoint names and skeletons": sum(bool(c.keypoints or c.skeleton) for c in rows),
    }
    return {name: n for name, n in counts.items() if n}
