"""KITTI: a text file a picture, a row an object: fifteen words, and a score in files of results.

    Car 0.00 0 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56
    type truncated occluded alpha  left top right bottom  height width length  x y z  rotation_y

"2D bounding box of object in the image (0-based index): contains left, top, right, bottom pixel coordinates" (readme of
the object development kit). They are fractions of pixels, and KITTI's own evaluation has the width as right − left, so
they are edges in the convention of :mod:`augpipe.core.geometry`. ``DontCare`` marks regions in which objects were not
labelled: they are crowds, which training and evaluation ignore. The 3D fields are those of the camera, and stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from augpipe.core.annotations import Annotations, Dropped, ObjectAttributes, ObjectRow, objects_of
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, plural
from augpipe.formats.indexing import categories_by_name, is_wrapper, left_out
from augpipe.formats.layout.text_folders import TextFolders, entries_of, first_lines, folders_of
from augpipe.formats.limits import bad_labels, require_small
from augpipe.formats.shapes import numbers_of
from augpipe.storage.byte_range import read_place
from augpipe.storage.tree import AnyPath

IGNORED = "DontCare"

_LABELS = ("label_2", "label_02", "labels", "label")
_PICTURES = ("image_2", "image_02", "images", "image", "data")
_WORDS = (15, 16)
_BETWEEN = b" \t\n"
_UNKNOWN_SIZE, _UNKNOWN_PLACE, _UNKNOWN_ANGLE = [-1.0] * 3, [-1000.0] * 3, -10.0


@dataclass(frozen=True)
class KittiReader:
    """Reads entries whose ``annotation`` is the :class:`ByteRange` of a label file. ``ids`` is type → category id."""

    ids: Mapping[str, int]

    def annotations(self, entry: Entry) -> Annotations:
        data = read_place(entry.annotation)
        require_small([data], _BETWEEN, entry.file)
        found: list[ObjectRow] = []
        dropped: list[Dropped] = []
        notes: set[str] = set()
        for index, words in enumerate(rows_of(data)):
            if len(words) not in _WORDS:
                notes.add("row-of-other-length")
                continue
            if words[0] not in self.ids:
                raise bad_labels("unknown-class", entry.file, f"class '{one_line(words[0], 80)}' is not known")
            category = self.ids[words[0]]
            numbers = numbers_of(words[1:])
            if numbers is None:
                notes.add("row-not-numbers")
                dropped.append(Dropped(index, category, "degenerate"))
                continue
            x0, y0, x1, y1 = numbers[3:7]
            if not (x0 < x1 and y0 < y1):
                dropped.append(Dropped(index, category, "degenerate"))
                continue
            crowd = int(words[0] == IGNORED)
            found.append(ObjectRow(index, category, (x0, y0, x1, y1), iscrowd=crowd, facts=_facts(numbers)))
        return Annotations(objects=objects_of(found), dropped=tuple(dropped), notes=tuple(sorted(notes)))


def rows_of(data: bytes) -> list[list[str]]:
    """The words of each line that is not empty."""
    return [words for line in data.decode("utf-8-sig", "replace").splitlines() if (words := line.split())]


def _facts(numbers: list[float]) -> ObjectAttributes:
    """What a row says besides its box; what it marks as unknown (−1, −10, −1000) is absent."""
    truncated, occluded, alpha = numbers[:3]
    fields: dict[str, Any] = {}
    if 0 < truncated < 1:
        fields["truncation"] = truncated
    if occluded in (2, 3):
        fields["occlusion"] = int(occluded)
    space = {"alpha": alpha, "dimensions": numbers[7:10], "location": numbers[10:13], "rotation_y": numbers[13]}
    unknown = (_UNKNOWN_SIZE, _UNKNOWN_PLACE, _UNKNOWN_ANGLE)
    fields |= {name: value for name, value in space.items() if value not in unknown}
    if len(numbers) > 14:
        fields["score"] = numbers[14]
    return ObjectAttributes(
        truncated=None if truncated < 0 else int(truncated > 0),
        occluded=None if occluded not in (0, 1, 2) else int(occluded > 0),
        attributes=fields,
    )


def is_row(line: str) -> bool:
    """Whether a line is a row of KITTI's: a name, and fourteen or fifteen numbers."""
    words = line.split()
    if len(words) not in _WORDS or numbers_of(words[:1]) is not None:
        return False
    return numbers_of(words[1:]) is not None


def kitti_folders(src: AnyPath) -> list[TextFolders]:
    """The folders of KITTI's label files and pictures in a source, or in its splits."""
    if not src.is_dir():
        return []
    return [pair for pair in folders_of(src, _LABELS, _PICTURES) if any(map(is_row, first_lines(pair.labels)))]


def detect(source: Source) -> bool:
    """Whether there are label files with rows of KITTI's."""
    return not is_wrapper(source.where) and bool(kitti_folders(source.where))


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index ``image_2/`` beside ``label_2/``, in the source or in its folders."""
    src, pairs = source.where, kitti_folders(source.where)
    if not pairs:
        raise DatasetError(f"{src}: no KITTI data; expected image_2/ beside label_2/*.txt with fifteen words a row")
    names: Counter[str] = Counter()
    odd: list[str] = []

    def see(data: bytes, file: str) -> None:
        rows = rows_of(data)
        names.update(words[0] for words in rows if len(words) in _WORDS)
        odd.extend(file for words in rows if len(words) not in _WORDS)

    entries, remarks = entries_of(src, pairs, options, see)
    remarks += left_out(len(odd), "row", f"of other than fifteen or sixteen words, as in {odd[0] if odd else ''}")
    ordered = sorted(names, key=lambda name: (name == IGNORED, name))
    categories = categories_by_name(ordered)
    if names[IGNORED]:
        remarks.append(f"read as crowds, to be ignored: {plural(names[IGNORED], 'region')} of the class {IGNORED}")
    reader = KittiReader({c.name: c.id for c in categories})
    return Dataset.of("kitti", src, categories, entries, reader, options, remarks)
