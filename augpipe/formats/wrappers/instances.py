"""Objects of semantic masks, where a user asks for them: each connected part of a class becomes one object.

Where an instance mask lies beside, as CVAT exports it without any XML, there is nothing to guess: each of its values is
an object, of the class that most of its pixels have.

Two things of a class that touch are one object then, and a thing that another parts is two. Only the user knows whether
that is near enough to the truth, so it is never done unasked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from augpipe.core.annotations import Annotations, ObjectRow, Raster, objects_of
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, Entry, Reader
from augpipe.formats.catalogue import format_named
from augpipe.formats.limits import MOST_OBJECTS, bad_labels

Instances = Literal["keep", "components"]


@dataclass(frozen=True)
class InstanceReader:
    """A reader whose semantic masks are objects, too, where a picture states none; ``ids`` are the ids of classes, the
    only values of which there are objects. ``keep`` says whether the masks stay beside them; else void is lost, with a
    note."""

    reader: Reader
    ids: frozenset[int]
    keep: bool = True

    def annotations(self, entry: Entry) -> Annotations:
        labels = self.reader.annotations(entry)
        if labels.semantic is None:
            return labels
        notes = set(labels.notes)
        if len(labels.objects) or labels.dropped:
            notes.add("mask-beside-objects")
            return replace(labels, notes=tuple(sorted(notes)))
        made = replace(labels, objects=objects_of(self._rows(labels.semantic, labels.instance, entry)))
        if self.keep:
            return made
        if not np.isin(labels.semantic, [0, *self.ids]).all():
            notes.add("void-left-out")
        return replace(made, semantic=None, notes=tuple(sorted(notes)))

    def _rows(self, semantic: Raster, instance: Raster | None, entry: Entry) -> list[ObjectRow]:
        from augpipe.labels.components import components_of, numbered_masks  # here, as it loads OpenCV

        matched = instance is not None and instance.shape == semantic.shape
        if instance is not None and matched and (classes := self._classes(semantic, instance)):
            stated = np.where(np.isin(instance, list(classes)), instance, 0)
            rows = [(classes[n], n, mask, box) for n, mask, box in numbered_masks(stated)]
        else:
            try:
                found = components_of(semantic, self.ids, MOST_OBJECTS)
            except ValueError as error:
                message = f"{error} in the mask; expected as many objects at most"
                raise bad_labels("too-large", entry.file, message) from None
            rows = [(value, 0, mask, box) for value, mask, box in found]
        return [
            ObjectRow(index, category, (float(x0), float(y0), float(x1), float(y1)), instance=n, segmentation=mask)
            for index, (category, n, mask, (x0, y0, x1, y1)) in enumerate(rows)
        ]

    def _classes(self, semantic: Raster, instance: Raster) -> dict[int, int]:
        """Value of an instance mask → the class that most of its pixels have, the lower one of two as frequent. Void
        is no instance, nor is what lies on no class."""
        both = instance.astype(np.int64) << 16 | semantic
        codes, counts = np.unique(both, return_counts=True)
        out: dict[int, int] = {}
        for _, code in sorted(zip((-counts).tolist(), codes.tolist(), strict=True)):
            value, category = code >> 16, code & 0xFFFF
            if value not in (0, int(np.iinfo(instance.dtype).max)) and category in self.ids:
                out.setdefault(value, category)
        return out


def with_instances(dataset: Dataset, choice: Instances) -> Dataset:
    """The dataset with objects of its semantic masks, if they are asked for.

    Raises:
        DatasetError: its format has no semantic masks.
    """
    if choice == "keep":
        return dataset
    if not format_named(dataset.format).semantic:
        raise DatasetError(
            f"{one_line(dataset.root)}: --instances makes objects of semantic masks; {dataset.format} has none"
        )
    return replace(dataset, reader=InstanceReader(dataset.reader, frozenset(c.id for c in dataset.categories)))


def instead_of_masks(dataset: Dataset) -> Dataset:
    """The dataset for a format without semantic masks: objects that are made of them take their place."""
    if not isinstance(dataset.reader, InstanceReader):
        return dataset
    return replace(dataset, reader=replace(dataset.reader, keep=False))
