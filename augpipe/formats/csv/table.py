"""The rows of a CSV file and where in its bytes they lie, in bounded memory.

A row may be longer than a line, as quoted text may hold line ends. A file is UTF-8, with or without a mark.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.csv.columns import Columns, columns_of, without_header
from augpipe.storage.fs import start_of
from augpipe.storage.tree import AnyPath

_MARK = b"\xef\xbb\xbf"
_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_BYTES, _SNIFFED_ROWS = 1 << 16, 50
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class CsvTable:
    """A CSV of boxes: the delimiter, the columns, and the byte at which its rows begin."""

    delimiter: str
    columns: Columns
    start: int


def table_of(path: AnyPath) -> CsvTable | None:
    """How a CSV is to be read, ``None`` if it is no table of boxes."""
    head = start_of(path, _SNIFFED_BYTES)
    if not head or b"\0" in head:
        return None
    mark = len(_MARK) if head.startswith(_MARK) else 0
    text = head[mark:].decode("utf-8", "replace")
    for delimiter in _DELIMITERS:
        rows = [row for row in _first_rows(text, delimiter) if row]
        if rows and (columns := columns_of(rows[0], delimiter)) is not None:
            return CsvTable(delimiter, columns, mark)
        named = [without_header(row) for row in rows]
        if rows and (columns := named[0]) is not None and all(named) and len(set(map(len, rows))) == 1:
            return CsvTable(delimiter, columns, mark)
    return None


def _first_rows(text: str, delimiter: str) -> list[list[str]]:
    """The first rows, the last of which may be cut, so it is left out where there are others."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            rows.append(row)
            if len(rows) == _SNIFFED_ROWS:
                return rows
    except csv.Error:
        return rows[:-1]
    return rows[:-1] if len(text) >= _SNIFFED_BYTES - len(_MARK) and len(rows) > 1 else rows


def rows_of(path: Path, table: CsvTable, shown: object) -> Iterator[tuple[int, int, int, list[str]]]:
    """(first byte, byte behind the last, line, fields) of each row that is not empty, but for the header.

    Raises ``DatasetError`` for a quote that is not closed, and for a line beyond all measure.
    """
    with open(path, "rb") as file:
        file.seek(table.start)
        lines = _Lines(file, table.start, shown)
        reader = csv.reader(lines, delimiter=table.delimiter, strict=True)
        header, columns = table.columns.header, table.columns
        places = {columns.picture, *columns.numbers, columns.label}
        start, line = table.start, 1
        try:
            for row in reader:
                if row and not header:
                    if reader.line_num > line and any("\n" in text for k, text in enumerate(row) if k in places):
                        raise csv.Error("a line ends within a name or a number")
                    yield start, lines.at, line, row
                header = header and not row
                start, line = lines.at, reader.line_num + 1
        except csv.Error as error:
            raise DatasetError(
                f"{shown}:{line}: {one_line(error)}; a quote that is not closed, or one too many"
            ) from error


class _Lines:
    """The lines of a file as text, and the byte at which the next one begins."""

    def __init__(self, file: BinaryIO, at: int, shown: object) -> None:
        self._file, self.at, self._shown = file, at, shown

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE:
                message = f"{self._shown}: a line of more than {_LONGEST_LINE >> 20} MiB; expected a row a line"
                raise DatasetError(message)
            self.at += len(line)
            yield line.decode("utf-8", "replace")


def parsed(texts: Iterable[bytes], delimiter: str) -> Iterator[list[str]]:
    """The rows of some pieces of a file, each of which begins with a row; raises ``csv.Error`` if they are none."""
    for text in texts:
        lines = io.StringIO(text.decode("utf-8", "replace"), newline="")
        yield from (row for row in csv.reader(lines, delimiter=delimiter, strict=True) if row)
