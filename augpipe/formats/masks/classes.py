"""What the values of masks are: a list of names or a table of colors that lies beside them, else the values that occur.

    class_names.txt, classes.txt   a name a line, of which the first is background, so a line's place is its value
    labelmap.txt                   name:r,g,b:: a line, as CVAT and Datumaro have it; a line's place is its value
    class_dict.csv                 name,r,g,b under a header, as CamVid is handed round
    label_colors.txt               r g b, then the name, as CamVid has it

In the last two a color is all that a class has; the classes are numbered from 1 as they come. What they call background
is 0, and what they call void or unlabelled is void.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from augpipe.core.annotations import Category
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import SourceOptions
from augpipe.formats.indexing import categories_in, read_classes
from augpipe.formats.voc.masks import read_labelmap
from augpipe.storage.byte_range import bytes_of
from augpipe.storage.fs import place_of, size_of
from augpipe.storage.tree import AnyPath

_LISTS = ("class_names.txt", "classes.txt")
_LABELMAP, _CSV, _COLORS = "labelmap.txt", "class_dict.csv", "label_colors.txt"
_VOID = frozenset({"void", "unlabelled", "unlabeled", "ignore", "ignored", "unknown"})
_BACKGROUND = frozenset({"background", "_background_", "__background__"})
_LARGEST = 1 << 20  # bytes of such a file


class MaskClasses(NamedTuple):
    """``changed`` is value in masks → category id where they differ, ``colors`` packed color → value."""

    categories: tuple[Category, ...]
    changed: Mapping[int, int]
    remarks: Sequence[str]


@dataclass(frozen=True)
class MaskTable:
    """A list of classes: ``names`` is value → name, ``colors`` packed color → value. ``by_color`` says that values are
    known by their colors alone."""

    file: str = ""
    names: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[int, int] = field(default_factory=dict)
    by_color: bool = False


def table_beside(folder: AnyPath, options: SourceOptions) -> tuple[MaskTable, list[str]]:
    """(the list or table in a folder, an empty one if there is none that can be used; remarks). A list of names is not
    looked for where ``--classes`` has one."""
    for name in (_LABELMAP, _CSV, _COLORS, *(_LISTS if options.classes is None else ())):
        path = folder / name
        if not path.is_file():
            continue
        try:
            if size_of(path) > _LARGEST:
                raise DatasetError(f"more than {_LARGEST >> 20} MiB")
            return _table(name, path, options.void), []
        except DatasetError as error:
            return MaskTable(), [f"{name} is not used: {one_line(error, 200)}"]
    return MaskTable(), []


def _table(name: str, path: AnyPath, void: int) -> MaskTable:
    """What a file says; raises ``DatasetError`` if that is nothing, or not which value its first line is."""
    if name in _LISTS:
        listed = read_classes(path)
        if listed[0].lower() not in _BACKGROUND:
            raise DatasetError(
                "its first line is not 'background'; --classes FILE takes its lines for the values from 1"
            )
        return MaskTable(name, {value: listed[value] for value in range(1, len(listed))})
    data = bytes_of(place_of(path))
    if name == _LABELMAP:
        listed, colors = read_labelmap(data)
        if len(listed) > 255:
            raise DatasetError(f"{len(listed):,} lines; expected at most 255")
        _require_different(listed)
        none = {i: void for i, n in enumerate(listed) if n.lower() in _VOID}
        none |= {i: 0 for i, n in enumerate(listed) if n.lower() in _BACKGROUND}
        names = {i: n for i, n in enumerate(listed) if i and i not in none}
        return MaskTable(name, names, {color: none.get(i, i) for color, i in colors.items()})
    rows = _colors_in(data.decode("utf-8-sig", "replace"), name)
    return _numbered(name, rows, void)


def _numbered(file: str, rows: Sequence[tuple[str, int]], void: int) -> MaskTable:
    """The table of (name, packed color), classes numbered as they come, without the value of void."""
    _require_different([name for name, _ in rows])
    names: dict[int, str] = {}
    colors: dict[int, int] = {}
    free = (number for number in range(1, 256) if number != void)
    for name, color in rows:
        if name.lower() in _BACKGROUND or name.lower() in _VOID:
            number = 0 if name.lower() in _BACKGROUND else void
        else:
            number = next(free, -1)
            if number < 0:
                raise DatasetError("more than 254 classes")
            names[number] = name
        if colors.setdefault(color, number) != number:
            raise DatasetError(f"'{one_line(name, 80)}' has the color of another class")
    return MaskTable(file, names, colors, by_color=True)


def _colors_in(text: str, file: str) -> list[tuple[str, int]]:
    if file == _CSV:
        try:
            table = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
        except csv.Error as error:
            raise DatasetError(f"not CSV: {one_line(error)}") from error
        texts = [(row[0].strip(), row[1:4]) for row in table if len(row) >= 4]
        texts = [row for k, row in enumerate(texts) if k or all(n.strip().isdecimal() for n in row[1])]  # the header
    else:
        lines = [line.split(None, 3) for line in text.splitlines() if line.strip()]
        texts = [(words[3].strip(), words[:3]) for words in lines if len(words) == 4]
    rows = []
    for name, numbers in texts:
        levels = [int(n) for n in numbers if n.strip().isdecimal() and len(n.strip()) < 4]
        if len(levels) != 3 or max(levels) > 255:
            raise DatasetError(f"'{one_line(name, 80)}': expected three numbers from 0 to 255")
        rows.append((name, levels[0] | levels[1] << 8 | levels[2] << 16))
    if not rows:
        raise DatasetError("no rows of a name and a color")
    return rows


def _require_different(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise DatasetError(f"lists '{one_line(twice, 80)}' twice")


def classes_of(values: set[int], table: MaskTable, colored: bool, options: SourceOptions, src: AnyPath) -> MaskClasses:
    """The classes of masks with these ``values``, of which some are ``colored``. ``--classes`` names the values 1..K by
    line where no list does.

    Raises:
        DatasetError: ``--classes`` has fewer lines than the masks have values.
    """
    remarks: list[str] = []
    if table.by_color and not colored:
        remarks.append(f"{table.file} is not used: the masks hold numbers and no colors")
        table = MaskTable()
    ids = sorted(values - {0, options.void})
    only_void = values in ({0, 255}, {255})
    if table.names and not (only_void and len(table.names) == 1):
        strange = [v for v in ids if v not in table.names]
        rows = {**{v: n for v, n in table.names.items() if v != options.void}, **{v: f"class_{v}" for v in strange}}
        if strange:
            remarks.append(
                f"{table.file} does not list the value {strange[0]} of the masks: it is 'class_{strange[0]}'"
            )
        return MaskClasses(_numbered_as(rows), {}, remarks)
    changed: dict[int, int] = {}
    if only_void:
        number, name = next(iter(table.names.items()), (1, "foreground"))
        ids, changed = [number], {255: number}
        remarks.append(
            f"the masks hold only 0 and 255: 255 is read as a class, '{one_line(name, 80)}' (id {number}), not as void"
        )
        if table.names:
            return MaskClasses(_numbered_as(table.names), changed, remarks)
    if options.classes is not None:
        named = categories_in(options.classes)
        beyond = [v for v in ids if v > len(named)]
        if beyond:
            message = f"lists {len(named)} names for the values from 1 on, but the masks hold {beyond[0]}"
            raise DatasetError(f"{options.classes}: {message}")
        return MaskClasses(named, changed, remarks)
    if changed:
        return MaskClasses(_numbered_as({1: "foreground"}), changed, remarks)
    return MaskClasses(_numbered_as({v: f"class_{v}" for v in ids}), changed, remarks)


def _numbered_as(names: Mapping[int, str]) -> tuple[Category, ...]:
    rows: Iterable[tuple[int, str]] = sorted(names.items())
    return tuple(Category(id=v, label=k, name=name) for k, (v, name) in enumerate(rows, start=1))
