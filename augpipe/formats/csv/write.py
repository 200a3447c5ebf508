"""Writing a CSV a split: a row an object, in the columns that TensorFlow's and Roboflow's tables have, and four flags.

    filename,width,height,class,xmin,ymin,xmax,ymax,truncated,difficult,occluded,iscrowd

Corners are edges in pixels, so a box from 40 to 120 is 80 wide; a flag that is not known is empty. A picture without
objects has one row, without a box.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from augpipe.core.annotations import Annotations, Objects
from augpipe.core.errors import Reject
from augpipe.formats.base import Dataset, Entry
from augpipe.formats.coco.rows import whole
from augpipe.formats.layout.splits import in_split
from augpipe.formats.writer import (
    ALL,
    Closing,
    DatasetWriter,
    Encoded,
    Picture,
    SampleEncoder,
    Stage,
    WriteOptions,
    names_again,
)

COLUMNS = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")
FLAGS = ("truncated", "difficult", "occluded", "iscrowd")
UNSPLIT = "annotations"
"""The name of the table of pictures that are in no split."""


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
    """Begin the tables."""
    return CsvWriter(dataset, stage)


@dataclass(frozen=True)
class CsvEncoder(SampleEncoder):
    """Makes the rows of a picture; ``names`` is category id → class name."""

    names: Mapping[int, str]
    holds = frozenset({"crowd flags", "truncated, difficult and occluded flags"})

    def encode(self, picture: Picture) -> Encoded:
        name = in_split(picture.name, picture.split) if picture.split else picture.name
        if name != name.strip() or len(name.splitlines()) != 1:
            raise Reject("write", "bad-name", "the name cannot stand in a row", file=repr(picture.name))
        size = picture.size_wh or ("", "")
        objects = picture.annotations.objects
        rows = [[name, *size, *self._cells(objects, i)] for i in range(len(objects))]
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows or [[name, *size, *[""] * 9]])
        return Encoded(len(objects), name=name, rest=text.getvalue().encode())

    def _cells(self, objects: Objects, i: int) -> list[object]:
        facts = objects.facts[i]
        flags = (facts.truncated, facts.difficult, facts.occluded, int(objects.iscrowd[i]))
        corners = map(whole, objects.boxes_xyxy[i].tolist())
        return [self.names[int(objects.category_id[i])], *corners, *("" if f is None else f for f in flags)]

    def unwritable(self, objects: Objects) -> Sequence[str | None]:
        nameless = [not self.names[c] for c in objects.category_id.tolist()]
        return [
            "objects whose class has no name" if none else far
            for none, far in zip(nameless, super().unwritable(objects), strict=True)
        ]

    def cannot_hold(self, annotations: Annotations) -> dict[str, int]:
        degrees = sum(max(f.truncated or 0, f.difficult or 0, f.occluded or 0) > 1 for f in annotations.objects.facts)
        return super().cannot_hold(annotations) | ({"flags that are neither 0 nor 1": degrees} if degrees else {})

    def pack(self, rests: Sequence[bytes]) -> bytes:
        return b"".join(rests)


class CsvWriter(DatasetWriter):
    """Writes the table of each split."""

    def __init__(self, dataset: Dataset, stage: Stage) -> None:
        super().__init__(dataset, stage)
        self.encoder = CsvEncoder({c.id: _cell(c.name) for c in dataset.categories})
        self._file: BinaryIO | None = None

    def name_of(self, entry: Entry) -> str:
        return in_split(entry.key, entry.split) if entry.split else entry.key

    def begin(self, split: str) -> None:
        super().begin(split)
        self.discard()
        name = UNSPLIT if self.split == ALL else self.split
        self._file = open(self.folder / f"{name}.csv", "wb")  # noqa: SIM115 - closed by the next one, and at the end
        self._file.write(f"{','.join((*COLUMNS, *FLAGS))}\n".encode())

    def take(self, packed: bytes) -> None:
        if self._file is None:
            self.begin("")
        assert self._file is not None
        self._file.write(packed)

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> Closing:
        if self._file is None:
            self.begin("")
        self.discard()
        return Closing(self.classes_cannot_hold())

    def classes_cannot_hold(self) -> dict[str, int]:
        changed = sum(_cell(c.name) != c.name for c in self.categories)
        own = {"class names with spaces around or line ends": changed} if changed else {}
        return super().classes_cannot_hold() | own | names_again(self.categories)


def _cell(name: str) -> str:
    return " ".join(name.splitlines()).strip()
