"""Writing KITTI: image_2/ and label_2/, a text file a picture, a row of fifteen words an object.

What is not known of an object has KITTI's own marks: −1 for truncated and occluded, −10 for angles, −1 and −1000 for
the size and place in space. A crowd is a region ``DontCare``, which KITTI's evaluation ignores. A type is a word and no
number, so spaces become hyphens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augpipe.core.annotations import Annotations, ObjectAttributes, Objects
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, Entry
from augpipe.formats.kitti.read import IGNORED
from augpipe.formats.layout.splits import in_split
from augpipe.formats.losses import Loss
from augpipe.formats.output import lines_of, write_into
from augpipe.formats.shapes import number_of, numbers_of
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

FIELDS = frozenset({"truncation", "occlusion", "alpha", "dimensions", "location", "rotation_y", "score"})
"""Fields of objects that have a place in a row, as :mod:`augpipe.formats.kitti.read` calls them."""


def open_writer(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
    """Begin a KITTI folder; raises ``DatasetError`` if two classes would have one name."""
    words: dict[str, str] = {}
    for category in dataset.categories:
        word = word_of(category.name)
        other = words.setdefault(word, category.name)
        if other != category.name:
            shown = f"'{one_line(other)}' and '{one_line(category.name)}'"
            raise DatasetError(f"the classes {shown} would both be '{one_line(word)}' in KITTI; rename one")
    return KittiWriter(dataset, stage)


def word_of(name: str) -> str:
    """A class name as one word that is no number."""
    word = "-".join(name.split()) or "-"
    return f"class-{word}" if number_of(word) is not None else word


@dataclass(frozen=True)
class KittiEncoder(SampleEncoder):
    """Writes the label file of a picture into ``folder``; ``words`` is category id → type."""

    folder: Path
    words: Mapping[int, str]
    holds = frozenset({"crowd flags", "truncated, difficult and occluded flags", "fields of objects"})

    def encode(self, picture: Picture) -> Encoded:
        picture.require_ending()
        objects = picture.annotations.objects
        types = [self.words[c] for c in objects.category_id.tolist()]
        crowds, indexes = objects.iscrowd.tolist(), objects.index.tolist()
        losses = [
            Loss("crowds, written as DontCare without their class", 1, index)
            for word, crowd, index in zip(types, crowds, indexes, strict=True)
            if crowd and word != IGNORED
        ]
        losses += [
            Loss("objects called DontCare, which KITTI ignores", 1, index)
            for word, crowd, index in zip(types, crowds, indexes, strict=True)
            if not crowd and word == IGNORED
        ]
        lines = [row_of(objects, i, IGNORED if crowds[i] else types[i]) for i in range(len(objects))]
        name = in_split(picture.name, picture.split) if picture.split else picture.name
        write_into(self.folder / f"{stem_of(name)}.txt", lines_of(lines))
        return Encoded(len(objects), tuple(losses), name)

    def cannot_hold(self, annotations: Annotations) -> dict[str, int]:
        facts = annotations.objects.facts
        own = {
            "difficult flags": sum(f.difficult is not None for f in facts),
            "fields of objects": sum(any(k not in FIELDS or _field(f, k) is None for k in f.attributes) for f in facts),
        }
        return super().cannot_hold(annotations) | {what: n for what, n in own.items() if n}


class KittiWriter(DatasetWriter):
    """Writes no file of its own: everything stands in the label files."""

    own_file = "label file"

    def __init__(self, dataset: Dataset, stage: Stage) -> None:
        super().__init__(dataset, stage)
        self.encoder = KittiEncoder(stage.folder / "label_2", {c.id: word_of(c.name) for c in dataset.categories})

    def name_of(self, entry: Entry) -> str:
        return in_split(entry.key, entry.split) if entry.split else entry.key

    def classes_cannot_hold(self) -> dict[str, int]:
        changed = sum(word_of(c.name) != c.name for c in self.categories)
        own = {"class names that are no word, written as one": changed} if changed else {}
        return super().classes_cannot_hold() | own | names_again(self.categories)


def row_of(objects: Objects, i: int, word: str) -> str:
    """The row of an object: type, truncated, occluded, alpha, box, size, place, rotation_y, and its score if it has
    one."""
    facts = objects.facts[i]
    truncated = _one(facts, "truncation") or (-1.0 if facts.truncated is None else float(facts.truncated))
    occluded = _one(facts, "occlusion") or (-1.0 if facts.occluded is None else float(facts.occluded))
    numbers = [
        -10.0 if (alpha := _one(facts, "alpha")) is None else alpha,
        *objects.boxes_xyxy[i].tolist(),
        *(_field(facts, "dimensions") or [-1.0] * 3),
        *(_field(facts, "location") or [-1000.0] * 3),
        -10.0 if (turn := _one(facts, "rotation_y")) is None else turn,
        *(_field(facts, "score") or []),
    ]
    return " ".join((word, text_of(truncated), f"{occluded:.0f}", *map(text_of, numbers)))


def text_of(number: float) -> str:
    """A number with two decimals, as KITTI has them, and with more where it has more."""
    text = f"{number:.9f}".rstrip("0")
    whole, _, part = text.partition(".")
    return f"{whole}.{part:0<2}" if float(text) else "0.00"


def _one(facts: ObjectAttributes, name: str) -> float | None:
    found = _field(facts, name)
    return found[0] if found else None


def _field(facts: ObjectAttributes, name: str) -> list[float] | None:
    """The numbers of a field that KITTI has; ``None`` if they are not what its place takes."""
    value: Any = facts.attributes.get(name)
    values = list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]
    numbers = numbers_of(values) if not any(isinstance(v, (str, bool)) for v in values) else None
    if numbers is None or len(numbers) != (3 if name in ("dimensions", "location") else 1):
        return None
    if (name == "truncation" and not 0 < numbers[0] < 1) or (name == "occlusion" and numbers[0] not in (2, 3)):
        return None
    return numbers
