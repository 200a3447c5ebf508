"""CSV: the rows of a picture become its objects.

Corners are edges of boxes, so a box from 40 to 120 is 80 wide, as the tools that write such tables and those that read
them have it (Roboflow, VoTT, TensorFlow's ``create_tf_record``, keras-retinanet); nothing is taken for inclusive or
1-based. Fractions are parts of the picture's sides (Open Images: "0 is the leftmost pixel, 1 is the rightmost pixel in
the image"); where no row says its size, the picture does.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from augpipe.core.annotations import Annotations, Dropped, ObjectAttributes, ObjectRow, objects_of
from augpipe.core.errors import one_line
from augpipe.formats.base import Entry, read_picture
from augpipe.formats.coco.read import unpack
from augpipe.formats.csv.columns import Columns
from augpipe.formats.csv.table import CsvTable, parsed
from augpipe.formats.image_header import header_at
from augpipe.formats.limits import FARTHEST, bad_labels, require_small
from augpipe.formats.shapes import number_of
from augpipe.storage.byte_range import read_ranges

NO_CLASS = "object"
"""The class of a table without a column of classes."""

_WHOLE = re.compile(r"-?[0-9]{1,15}")
_DECIMAL = re.compile(r"-?[0-9]{1,15}\.[0-9]{1,15}")
_BITS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1, "no": 0, "yes": 1}


@dataclass(frozen=True)
class CsvReader:
    """Reads entries whose ``annotation`` is packed by :func:`augpipe.formats.coco.read.pack`: where its rows lie.

    ``files`` are paths and how each is read, ``ids`` is what stands in the column of classes → category id.
    """

    files: tuple[tuple[str, CsvTable], ...]
    ids: Mapping[str, int]
    exif: Literal["upright", "stored"] = "upright"

    def annotations(self, entry: Entry) -> Annotations:
        found: list[ObjectRow] = []
        dropped: list[Dropped] = []
        notes: set[str] = set()
        size: tuple[int, int] | None = None
        for index, (columns, row) in enumerate(self._rows(entry)):
            if len(row) != len(columns.names):
                notes.add("row-of-other-length")
                continue
            size = size or _size(columns, row)
            if columns.is_blank(row):
                continue
            category = self._category(columns, row, entry)
            four = columns.four(row)
            if four is None:
                notes.add("row-not-numbers")
                dropped.append(Dropped(index, category, "degenerate"))
                continue
            x0, y0, x1, y1 = columns.box(four)
            if columns.fractions:
                size = size or self._measured(entry)
                x0, y0, x1, y1 = x0 * size[0], y0 * size[1], x1 * size[0], y1 * size[1]
            if not (x0 < x1 and y0 < y1):
                dropped.append(Dropped(index, category, "degenerate"))
                continue
            made = ObjectRow(index, category, (x0, y0, x1, y1))
            made.iscrowd, made.facts = _facts(columns, row)
            found.append(made)
        return Annotations(objects=objects_of(found), size_wh=size, dropped=tuple(dropped), notes=tuple(sorted(notes)))

    def _rows(self, entry: Entry) -> Sequence[tuple[Columns, list[str]]]:
        out: list[tuple[Columns, list[str]]] = []
        for number, (path, table) in enumerate(self.files):
            ranges = [(start, size) for file, start, size in unpack(entry.annotation) if file == number]
            texts = read_ranges(path, ranges)
            require_small(texts, f"\n{table.delimiter}".encode(), entry.file)
            try:
                out += [(table.columns, row) for row in parsed(texts, table.delimiter)]
            except csv.Error as error:
                raise bad_labels("bad-csv", entry.file, f"not CSV: {one_line(error)}") from error
        return out

    def _category(self, columns: Columns, row: Sequence[str], entry: Entry) -> int:
        label = label_of(columns, row)
        if label not in self.ids:
            raise bad_labels("unknown-class", entry.file, f"class '{one_line(label, 80)}' is not known")
        return self.ids[label]

    def _measured(self, entry: Entry) -> tuple[int, int]:
        if entry.picture is None:
            read_picture(entry)  # rejects it
            return 0, 0
        header = header_at(entry.picture)
        return header.upright_wh if self.exif == "upright" else header.stored_wh


def label_of(columns: Columns, row: Sequence[str]) -> str:
    """What a row has for a class."""
    return NO_CLASS if columns.label is None else row[columns.label].strip()


def _size(columns: Columns, row: Sequence[str]) -> tuple[int, int] | None:
    if columns.size is None:
        return None
    width, height = (number_of(row[k]) for k in columns.size)
    if width is None or height is None or not (1 <= width < FARTHEST and 1 <= height < FARTHEST):
        return None
    return int(width), int(height)


def _facts(columns: Columns, row: Sequence[str]) -> tuple[int, ObjectAttributes]:
    """(whether it is a crowd, what else a row says); a flag of −1 is not known, as in Open Images."""
    flags = {name: _BITS.get(row[k].strip().lower()) for k, name in columns.flags.items()}
    fields = {columns.names[k]: _value(row[k].strip()) for k in columns.others if row[k].strip()}
    facts = ObjectAttributes(
        truncated=flags.get("truncated"),
        difficult=flags.get("difficult"),
        occluded=flags.get("occluded"),
        attributes=fields,
    )
    return flags.get("iscrowd") or 0, facts


def _value(text: str) -> Any:
    """A number where a text is one and comes back the same, else the text."""
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
