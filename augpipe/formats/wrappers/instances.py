"""Objects of semantic masks, where a user asks for them: each connected part of a class becomes one object.

Two things of a class that touch are one object then, and a thing that another parts is two. Only the user knows whether
that is near enough to the truth, so it is never done unasked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from augpipe.core.annotations import Annotations, ObjectRow, objects_of
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
        from augpipe.labels.components import components_of  # here, as it loads OpenCV

        try:
            found = components_of(labels.semantic, self.ids, MOST_OBJECTS)
        except ValueError as error:
            raise bad_labels(
                "too-large", entry.file, f"{error} in the mask; expected as many objects at most"
            ) from None
        rows = [
            ObjectRow(index, value, (float(x0), float(y0), float(x1), float(y1)), segmentation=mask)
            for index, (value, mask, (x0, y0, x1, y1)) in enumerate(found)
        ]
        made = replace(labels, objects=objects_of(rows))
        if self.keep:
            return made
        if not np.isin(labels.semantic, [0, *self.ids]).all():
            notes.add("void-left-out")
        return replace(made, semantic=None, notes=tuple(sorted(notes)))


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
