"""VisDrone-DET: a text file a picture, a row an object, eight numbers with commas between.

    684,8,273,116,0,0,0,0
    bbox_left,bbox_top,bbox_width,bbox_height,score,object_category,truncation,occlusion

(README of the VisDrone2018-DET-toolkit.) A corner and a size in whole pixels are in the convention of
:mod:`augpipe.core.geometry`. Categories are 0 for ignored regions, 1 to 10 for classes, 11 for others. Ignored regions
are crowds, which training and evaluation ignore; their class stands last, so that 1 to 10 keep their numbers. A score
of 0 says that a box is not to be counted; it is kept in ``attributes``, as are degrees of occlusion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from augpipe.core.annotations import Annotations, Dropped, ObjectAttributes, ObjectRow, objects_of
from augpipe.core.errors import DatasetError
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, plural
from augpipe.formats.indexing import categories_by_name, is_wrapper, left_out
from augpipe.formats.layout.text_folders import TextFolders, entries_of, first_lines, folders_of
from augpipe.formats.limits import require_small
from augpipe.formats.shapes import box_of_size, numbers_of
from augpipe.storage.byte_range import read_place
from augpipe.storage.tree import AnyPath

IGNORED = "ignored regions"
CLASSES = (
    "pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle", "awning-tricycle", "bus", "motor", "others",
)  # fmt: skip

_NUMBERS = 8
_BETWEEN = b",\n"


@dataclass(frozen=True)
class VisdroneReader:
    """Reads entries whose ``annotation`` is the :class:`ByteRange` of a label file.

    ``ids`` is VisDrone's category → category id.
    """

    ids: Mapping[int, int]

    def annotations(self, entry: Entry) -> Annotations:
        data = read_place(entry.annotation)
        require_small([data], _BETWEEN, entry.file)
        found: list[ObjectRow] = []
        dropped: list[Dropped] = []
        notes: set[str] = set()
        for index, words in enumerate(rows_of(data)):
            category = category_of(words)
            if category is None or category not in self.ids:
                notes.add("row-of-other-length" if len(words) != _NUMBERS else "row-not-numbers")
                continue
            numbers = numbers_of(words)
            box = None if numbers is None else box_of_size(*numbers[:4])
            if numbers is None or box is None:
                if numbers is None:
                    notes.add("row-not-numbers")
                dropped.append(Dropped(index, self.ids[category], "degenerate"))
                continue
            crowd = int(category == 0)
            found.append(ObjectRow(index, self.ids[category], box, iscrowd=crowd, facts=_facts(numbers, crowd)))
        return Annotations(objects=objects_of(found), dropped=tuple(dropped), notes=tuple(sorted(notes)))


def rows_of(data: bytes) -> list[list[str]]:
    """The words of each line that is not empty; some files have a comma at the end of a line."""
    lines = data.decode("utf-8-sig", "replace").splitlines()
    return [[word.strip() for word in line.strip().rstrip(",").split(",")] for line in lines if line.strip()]


def category_of(words: list[str]) -> int | None:
    """The category of a row, 0 to 11; ``None`` if it is no row."""
    if len(words) != _NUMBERS or not words[5].isdecimal() or len(words[5]) > 2:
        return None
    return int(words[5]) if int(words[5]) <= len(CLASSES) else None


def _facts(numbers: list[float], crowd: int) -> ObjectAttributes:
    score, truncation, occlusion = numbers[4], numbers[6], numbers[7]
    fields: dict[str, Any] = {}
    if score != 1 and not crowd:
        fields["score"] = int(score) if score.is_integer() else score
    if occlusion == 2:
        fields["occlusion"] = 2
    return ObjectAttributes(
        truncated=int(truncation > 0) if truncation >= 0 else None,
        occluded=int(occlusion > 0) if occlusion >= 0 else None,
        attributes=fields,
    )


def visdrone_folders(src: AnyPath) -> list[TextFolders]:
    """The folders of VisDrone's label files and pictures in a source, or in its splits."""
    if not src.is_dir():
        return []
    pairs = folders_of(src, ("annotations",), ("images",))
    return [pair for pair in pairs if any(map(_is_row, first_lines(pair.labels)))]


def _is_row(line: str) -> bool:
    (words,) = rows_of(line.encode("utf-8", "replace")) or [[]]
    return category_of(words) is not None and numbers_of(words) is not None


def detect(source: Source) -> bool:
    """Whether there are label files with rows of VisDrone's."""
    return not is_wrapper(source.where) and bool(visdrone_folders(source.where))


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index ``images/`` beside ``annotations/``, in the source or in its folders."""
    src, pairs = source.where, visdrone_folders(source.where)
    if not pairs:
        raise DatasetError(f"{src}: no VisDrone data; expected images/ beside annotations/*.txt, eight numbers a row")
    seen: Counter[int] = Counter()
    odd: list[str] = []

    def see(data: bytes, file: str) -> None:
        for line, words in enumerate(rows_of(data), start=1):
            category = category_of(words)
            if category is None:
                odd.append(f"{file}:{line}")
            else:
                seen[category] += 1

    entries, remarks = entries_of(src, pairs, options, see)
    names = {**dict(enumerate(CLASSES, start=1)), **({0: IGNORED} if seen[0] else {})}
    categories = categories_by_name(names.values())
    ids = {c.name: c.id for c in categories}
    remarks += left_out(len(odd), "row", f"of other than eight numbers or of no category, as {odd[0] if odd else ''}")
    if seen[0]:
        remarks.append(f"read as crowds, to be ignored: {plural(seen[0], 'region')} of the category 0")
    reader = VisdroneReader({number: ids[name] for number, name in names.items()})
    return Dataset.of("visdrone", src, categories, entries, reader, options, remarks)
