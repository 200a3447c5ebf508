"""Writing DOTA: ``images/`` and ``labelTxt/``, a row an object: its corners, its class, its difficulty.

Numbers are written as they are, so oriented boxes come back exactly. An object without an oriented box is written by
the corners of its box, and counted. Classes are words: spaces in their names become hyphens, which is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from augpipe.core.annotations import Annotations, Objects
from augpipe.core.errors import DatasetError, one_line
from augpipe.core.geometry import bounds_of, corners_of
from augpipe.formats.base import Dataset, Entry
from augpipe.formats.dota.read import HEADS, DotaRow, lines_of
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
    stem_of,
)

_SAME = 1e-3  # pixels within which a box is the same


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
    """Begin a DOTA folder; raises ``DatasetError`` if two classes would have one name."""
    words: dict[str, str] = {}
    for category in dataset.categories:
        word = word_of(category.name)
        other = words.setdefault(word, category.name)
        if other != category.name:
            shown = f"'{one_line(other)}' and '{one_line(category.name)}'"
            raise DatasetError(f"the classes {shown} would both be '{one_line(word)}' in DOTA; rename one")
    return DotaWriter(dataset, stage)


def word_of(name: str) -> str:
    """A class name as one word."""
    return "-".join(name.split()) or "-"


@dataclass(frozen=True)
class DotaEncoder(SampleEncoder):
    """Writes the label file of a picture into ``folder``; ``words`` is category id → class name."""

    folder: Path
    words: Mapping[int, str]
    holds = frozenset({"crowd flags", "oriented boxes", "truncated, difficult and occluded flags",
                       "fields of objects", "fields of pictures"})  # fmt: skip

    def encode(self, picture: Picture) -> Encoded:
        picture.require_ending()
        objects, attributes = picture.annotations.objects, picture.annotations.attributes
        changes = [Loss(what, 1, int(objects.index[i])) for i in range(len(objects)) if (what := changed(objects, i))]
        heads = {k: str(v) for k, v in attributes.items() if k in HEADS and _is_line(v)}
        text = lines_of(heads, (row_of(objects, i, self.words) for i in range(len(objects))))
        name = in_split(picture.name, picture.split) if picture.split else picture.name
        write_into(self.folder / f"{stem_of(name)}.txt", text.encode())
        return Encoded(len(objects), tuple(changes), name)

    def unwritable(self, objects: Objects) -> Sequence[str | None]:
        return ["crowds" if c else far for c, far in zip(objects.iscrowd, super().unwritable(objects), strict=True)]

    def cannot_hold(self, annotations: Annotations) -> dict[str, int]:
        facts = annotations.objects.facts
        own = {
            "truncated and occluded flags": sum(f.truncated is not None or f.occluded is not None for f in facts),
            "fields of objects": sum(bool(f.attributes.keys() - {"difficulty"}) for f in facts),
            "fields of pictures": int(bool(annotations.attributes.keys() - set(HEADS))),
        }
        return super().cannot_hold(annotations) | {what: n for what, n in own.items() if n}


class DotaWriter(DatasetWriter):
    """Writes no file of its own: everything stands in the label files."""

    own_file = "label file"

    def __init__(self, dataset: Dataset, stage: Stage) -> None:
        super().__init__(dataset, stage)
        self.encoder = DotaEncoder(stage.folder / "labelTxt", {c.id: word_of(c.name) for c in dataset.categories})

    def name_of(self, entry: Entry) -> str:
        return in_split(entry.key, entry.split) if entry.split else entry.key

    def classes_cannot_hold(self) -> dict[str, int]:
        spaces = sum(word_of(c.name) != c.name for c in self.categories)
        own = {"class names with spaces, written with hyphens": spaces} if spaces else {}
        return super().classes_cannot_hold() | own | names_again(self.categories)


def _is_line(value: object) -> bool:
    return isinstance(value, (str, int, float)) and str(value).isprintable()


def row_of(objects: Objects, i: int, words: Mapping[int, str]) -> DotaRow:
    """The row of an object: its oriented box, else the corners of its box, clockwise from the top left."""
    corners, facts = objects.obb[i], objects.facts[i]
    if corners is None:
        corners = corners_of(objects.boxes_xyxy[i][None])[0]
    degree = facts.attributes.get("difficulty", facts.difficult)
    difficulty = degree if isinstance(degree, int) and 0 <= degree < 10 else facts.difficult
    return DotaRow(tuple(corners.reshape(-1).tolist()), words[int(objects.category_id[i])], difficulty)


def changed(objects: Objects, i: int) -> str | None:
    """What had to be changed in an object."""
    corners = objects.obb[i]
    if corners is None:
        return "boxes that are not oriented, written as oriented ones"
    same = np.abs(bounds_of(corners) - objects.boxes_xyxy[i]).max() <= _SAME
    return None if same else "boxes that are not those around the points"
