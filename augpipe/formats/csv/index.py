"""Finding CSVs of boxes, the rows of each picture, the pictures and the classes.

Where a row lies is all that is kept of it, so a million rows cost some ten bytes each.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import os
import posixpath
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, is_picture, plural
from augpipe.formats.coco.read import key_of, pack
from augpipe.formats.csv.columns import Columns
from augpipe.formats.csv.read import NO_CLASS, CsvReader
from augpipe.formats.csv.table import CsvTable, rows_of, table_of
from augpipe.formats.indexing import (
    categories_by_name,
    digest_of,
    is_wrapper,
    left_out,
    of_split,
    split_of,
)
from augpipe.formats.layout.picture_paths import PicturePaths, pictures_of
from augpipe.formats.layout.splits import is_split, split_called
from augpipe.storage.byte_range import bytes_of, kept_open, read_ranges
from augpipe.storage.fs import names_of, place_of, size_of
from augpipe.storage.temp_copy import spooled
from augpipe.storage.tree import AnyPath

_MOST_FILES = 64
_MOST_CLASSES = 1 << 16
_DESCRIPTIONS = re.compile(r".*class-descriptions.*\.csv|classes\.csv", re.IGNORECASE)
_MID = "/"  # what a class begins with in Open Images: /m/01g317
_LARGEST_DESCRIPTIONS = 1 << 24
_TOKENS = re.compile(r"[-_. ]+")


def tables_in(src: AnyPath) -> tuple[dict[str, CsvTable], list[str]]:
    """(relative path → how it is read, of the CSVs of boxes; paths of the others) at most two folders deep."""
    if src.is_file():
        table = table_of(src) if src.suffix.lower() == ".csv" else None
        return ({src.name: table} if table is not None else {}), []
    found: dict[str, CsvTable] = {}
    others: list[str] = []
    for name in _csv_files(src):
        table = table_of(src / name)
        if table is None:
            others.append(name)
        else:
            found[name] = table
    return found, others


def _csv_files(src: AnyPath) -> list[str]:
    out: list[str] = []
    folders = [("", src)] if src.is_dir() else []
    for depth in range(3):
        deeper: list[tuple[str, AnyPath]] = []
        for prefix, folder in folders:
            names = [name for name in names_of(folder) if not name.startswith(".") and not is_picture(name)]
            out += [f"{prefix}{name}" for name in names if name.lower().endswith(".csv")]
            if depth < 2:
                deeper += [(f"{prefix}{name}/", folder / name) for name in names if (folder / name).is_dir()]
        folders = deeper
    return sorted(out)[:_MOST_FILES]


def detect(source: Source) -> bool:
    """Whether a CSV has columns of pictures and boxes."""
    return not is_wrapper(source.where) and bool(tables_in(source.where)[0])


@dataclass
class _Found:
    """What the rows of all files say together; where they lie is in columns of one length."""

    pictures: dict[tuple[str, str], int] = field(default_factory=dict)
    numbers: array[int] = field(default_factory=lambda: array("q"))
    files: array[int] = field(default_factory=lambda: array("q"))
    starts: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    labels: set[str] = field(default_factory=set)
    blank: int = 0
    odd: int = 0
    odd_example: str = ""

    def add(self, key: tuple[str, str], file: int, start: int, end: int) -> None:
        """One more row of a picture; ``key`` is its name and the folder of its table."""
        number = self.pictures.setdefault(key, len(self.pictures))
        if self.numbers and self.numbers[-1] == number and self.starts[-1] + self.sizes[-1] == start:
            self.sizes[-1] += end - start  # rows of a picture mostly stand together
            return
        for column, value in ((self.numbers, number), (self.files, file), (self.starts, start)):
            column.append(value)
        self.sizes.append(end - start)

    def ranges(self) -> Iterator[list[tuple[int, int, int]]]:
        """(file, start, size) of the rows of each picture, in the order of the pictures."""
        numbers = np.array(self.numbers, np.int64)
        order = np.argsort(numbers, kind="stable")
        bounds = np.searchsorted(numbers[order], np.arange(len(self.pictures) + 1)).tolist()
        table = np.column_stack([np.array(c, np.int64) for c in (self.files, self.starts, self.sizes)])[order]
        for first, last in itertools.pairwise(bounds):
            yield [(row[0], row[1], row[2]) for row in table[first:last].tolist()]

    def remarks(self) -> list[str]:
        out = left_out(self.odd, "row", f"of another number of fields than the header, as {self.odd_example}")
        if self.blank:
            out.append(f"{plural(self.blank, 'row')} without a box: their pictures are read without objects")
        return out


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index the CSVs of a source, or of its split; classes come from all of them."""
    src = source.where
    tables, others = tables_in(src)
    if not tables:
        raise DatasetError(f"{src}: no CSV of boxes; expected a header such as filename,xmin,ymin,xmax,ymax,class")
    root = src.parent if src.is_file() else src
    pictures = pictures_of(root, options)
    splits = _splits(tables)
    chosen = set(of_split(src, splits, options.split))
    found, labels, files, remarks = _Found(), set[str](), list[tuple[str, CsvTable]](), list[str]()
    for number, (file, table) in enumerate(tables.items()):
        mine = found if file in chosen else _Found()
        local = spooled(root / file)
        columns = _read(local, table, number, file, posixpath.dirname(file) or splits[file], mine)
        remarks += _of_columns(file, columns) if file in chosen else []
        files.append((str(local), replace(table, columns=columns)))
        labels |= mine.labels
    names = _names(root, others, labels)
    categories = categories_by_name(sorted(set(names.values()), key=_by_number))
    ids = {c.name: c.id for c in categories}
    reader = CsvReader(tuple(files), {label: ids[name] for label, name in names.items()}, options.exif)
    entries, used = _entries(root, files, [split_called(splits[file]) for file in tables], found, pictures)
    remarks += found.remarks()
    alone = 0 if options.split is not None or src.is_file() else len(pictures.paths) - used
    remarks += left_out(alone, "picture", "without a row")
    strange = [file for file in others if not _is_descriptions(file)]
    why = f"without columns of a picture and a box, as {one_line(min(strange, default=''), 100)}"
    remarks += left_out(len(strange), "CSV", why)
    return Dataset.of("csv", src, categories, entries, reader, options, remarks)


def _splits(files: Iterable[str]) -> dict[str, str]:
    """File → its split: a folder, or a word of its name; of several without one the names."""
    out = {file: split_of(file) or _token(file) for file in files}
    nameless = [file for file, split in out.items() if not split]
    if len(nameless) > 1:
        out |= {file: os.path.splitext(posixpath.basename(file))[0] for file in nameless}
    return out


def _token(file: str) -> str:
    stem = os.path.splitext(posixpath.basename(file))[0]
    return next((word for word in _TOKENS.split(stem) if is_split(word)), "")


def _read(local: Path, table: CsvTable, number: int, file: str, beside: str, found: _Found) -> Columns:
    """Add the rows of a file, and return its columns with what only all of the rows tell.

    Raises ``DatasetError`` for a table without a header whose rows are no two corners.
    """
    columns = table.columns
    picture, width, label, first = columns.picture, len(columns.names), columns.label, columns.numbers[0]
    lowest, highest, parts, seen = math.inf, -math.inf, False, set[str]()  # parts: of a pixel, or of a side
    for start, end, line, row in rows_of(local, table, file):
        if len(row) != width:
            found.odd += 1
            found.odd_example = found.odd_example or f"{one_line(file, 100)}:{line}"
            if len(row) > picture:
                found.add((row[picture].strip(), beside), number, start, end)
            continue
        found.add((row[picture].strip(), beside), number, start, end)
        if not row[first][:1].isdigit() and columns.is_blank(row):
            found.blank += 1
            continue
        if label is not None and row[label] not in seen and len(seen) < _MOST_CLASSES:
            seen.add(row[label])
        if (highest > 1 and columns.header) or (four := columns.four(row)) is None:
            continue  # the former are pixels, whatever is still to come
        lowest, highest = min(lowest, *four), max(highest, *four)
        parts = parts or highest > 1 or not all(map(float.is_integer, four))
        if not columns.header and not (four[0] < four[2] and four[1] < four[3]):
            message = f"{file}:{line}: has no header, and is no x1,y1,x2,y2; put a line with names of the columns first"
            raise DatasetError(f"{message}, such as image,x,y,w,h,label")
    found.labels |= {NO_CLASS} if label is None else {text.strip() for text in seen}
    return replace(columns, fractions=True) if lowest >= 0 and highest <= 1 and parts else columns


def _of_columns(file: str, columns: Columns) -> list[str]:
    """What is not written in a file but taken from its rows."""
    shown = one_line(file, 100)
    out = []
    if not columns.header:
        out.append(f"{shown}: has no header; the columns are taken for {','.join(columns.names)}, as in RetinaNet")
    if columns.fractions and "ImageID" not in columns.names:
        out.append(f"{shown}: all numbers are from 0 to 1, so they are taken for parts of the picture's sides")
    if len(columns.numbers) == 1:
        out.append(f"{shown}: {one_line(columns.names[columns.numbers[0]], 40)} is taken for [x, y, width, height]")
    if columns.label is None:
        out.append(f"{shown}: has no column of classes; all objects are of the class '{NO_CLASS}'")
    return out


def _names(root: AnyPath, others: Sequence[str], labels: Iterable[str]) -> dict[str, str]:
    """What stands in the column of classes → class name: Open Images keeps the names in a file of their own."""
    names: dict[str, str] = {}
    for file in others:
        if _is_descriptions(file) and size_of(root / file) <= _LARGEST_DESCRIPTIONS:
            text = bytes_of(place_of(root / file)).decode("utf-8-sig", "replace")
            with suppress(csv.Error):
                rows = csv.reader(io.StringIO(text, newline=""))
                names |= {row[0]: row[1] for row in rows if len(row) == 2 and row[0].startswith(_MID)}
    return {label: names.get(label, label) for label in labels}


def _is_descriptions(file: str) -> bool:
    return _DESCRIPTIONS.fullmatch(posixpath.basename(file)) is not None


def _by_number(name: str) -> tuple[int, str]:
    """Classes that are numbers stand in their order."""
    return (int(name), "") if name.isdecimal() and len(name) < 10 else (1 << 30, name)


def _entries(
    root: AnyPath,
    files: Sequence[tuple[str, CsvTable]],
    splits: Sequence[str],
    found: _Found,
    pictures: PicturePaths,
) -> tuple[list[Entry], int]:
    """(an entry a picture, how many pictures are there); rows that name one picture in two ways are put together.

    ``splits`` are those of the files; a picture of two belongs to that of its first row.
    """
    together: dict[str, list[tuple[int, int, int]]] = {}
    there: set[str] = set()
    for (name, beside), ranges in zip(found.pictures, found.ranges(), strict=True):
        path = pictures.find(name, beside, stem=not is_picture(name))
        key = path if path is not None else key_of(name) or "?"
        there.update([key] if path is not None else [])
        together.setdefault(key, []).extend(ranges)
    entries = []
    with kept_open():
        for key, ranges in together.items():
            rows = [text for file, start, size in ranges for text in read_ranges(files[file][0], [(start, size)])]
            digest, at = digest_of(*rows), pack(ranges)
            if key in there:
                entry = Entry.at(key, pictures.root / key, at, key, digest)
            else:
                entry = Entry(key.replace("\0", "?"), None, at, one_line(key), digest)
            entries.append(entry._replace(split=splits[ranges[0][0]]))
    return entries, len(there)
