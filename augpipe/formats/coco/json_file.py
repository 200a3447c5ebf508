"""One COCO JSON: where in its bytes each picture's annotations are.

The file is read into memory and split into its objects without building them; what is kept is the byte range of each,
sorted by picture. So a JSON of half a gigabyte costs a few bytes an annotation, and any worker reads just its own.
"""

from __future__ import annotations

import mmap
import re
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from augpipe.core.annotations import I64, Category
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import plural, told_apart
from augpipe.formats.coco.fields import category_of, identity_of, whole_number
from augpipe.formats.coco.json_ranges import ranges_of
from augpipe.formats.coco.json_text import held, require_utf8, text_of
from augpipe.formats.coco.not_kept import not_kept, outside
from augpipe.formats.coco.read import key_of, panoptic_pngs
from augpipe.formats.indexing import left_out
from augpipe.formats.limits import MOST_CLASSES, MOST_KEYPOINTS, require_list
from augpipe.storage.fs import size_of
from augpipe.storage.temp_copy import spooled
from augpipe.storage.tree import AnyPath

_NOTHING = msgspec.Raw()


_NOT_JSON = re.compile(rb"(?<=[:\[,\s])(?:NaN|-?Infinity)(?=\s*[,\]}])")
"""What Python's json module writes for a number that is none."""
_Value = TypeVar("_Value")


class _Image(msgspec.Struct):
    id: Any = None
    file_name: Any = None


class _Row(msgspec.Struct):
    image_id: Any = None
    file_name: msgspec.Raw = _NOTHING
    segments_info: msgspec.Raw = _NOTHING


class _Known(msgspec.Struct):
    """What is kept of each object. It is read first, since reading a list of something else, such as millions of zeros,
    ends at its first value, whereas :class:`_Texts` would fill the memory."""

    images: list[_Image]
    annotations: list[_Row] | dict[str, _Row] = []
    categories: list[Any] = []


class _Classes(msgspec.Struct):
    """Of a JSON of another split no more is asked; the other lists are stepped over."""

    categories: list[Any] = []


class _Texts(msgspec.Struct):
    """The texts of the objects, as views into the file."""

    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw] | dict[str, msgspec.Raw] = []


class _ClassRow(msgspec.Struct):
    category_id: Any = None


class _ClassRows(msgspec.Struct):
    """What is read of a file without categories."""

    annotations: list[_ClassRow] | dict[str, _ClassRow] = []


@dataclass(frozen=True, eq=False)
class CocoFile:
    """The index of one JSON.

    ``keys`` is image id, as text, → source key; ``images`` (start, size) has a row an image in that order, ``rows``
    (image number, start, size) a row an annotation, sorted by image. ``panoptic`` is image id → its PNGs. ``text`` is
    the file that the ranges are of: the JSON, or a copy out of its archive. ``remarks`` are about this file alone.
    """

    path: AnyPath
    text: Path
    keys: dict[str, str]
    images: I64
    rows: I64
    panoptic: dict[str, list[AnyPath]]
    categories: tuple[Category, ...]
    remarks: tuple[str, ...] = ()

    def ranges(self, ids: Iterable[str]) -> Iterator[I64]:
        """The (start, size) rows of each image's annotations, in the order of ``ids``."""
        numbers = {identity: number for number, identity in enumerate(self.keys)}
        bounds = np.searchsorted(self.rows[:, 0], np.arange(len(numbers) + 1))
        for identity in ids:
            number = numbers[identity]
            yield self.rows[bounds[number] : bounds[number + 1], 1:]


def index_file(path: AnyPath) -> CocoFile:
    """Split a JSON into the byte ranges of its objects; raises ``DatasetError`` if it is no COCO JSON."""
    return _read(path, lambda file, text: _index(path, file, text))


def categories_in(path: AnyPath) -> tuple[Category, ...]:
    """The categories of a JSON of another split; raises ``DatasetError`` if it has none that can be read."""
    return _read(
        path, lambda _, text: _own_categories(path, msgspec.json.decode(text_of(text), type=_Classes).categories)
    )


def _read(path: AnyPath, use: Callable[[Path, mmap.mmap | bytes], _Value]) -> _Value:
    """What ``use`` makes of (the file with the text of a JSON, the same in memory).

    If it is no JSON for NaN alone, the text in memory gets numbers in their places. Raises ``DatasetError`` if it is
    none otherwise.
    """
    file = spooled(path)
    try:
        if size_of(file) == 0:
            raise DatasetError(f"{path}: the file is empty; expected a COCO JSON")
        with held(file) as mapped:
            require_utf8(path, mapped)
            try:
                return use(file, mapped)
            except msgspec.MsgspecError as error:
                if _NOT_JSON.search(mapped) is None:
                    raise DatasetError(f"{path}: not a COCO JSON: {one_line(error)}") from error
            try:
                return use(file, _NOT_JSON.sub(_some_number, mapped))
            except msgspec.MsgspecError as error:
                raise DatasetError(f"{path}: not a COCO JSON: {one_line(error)}") from error
    except RecursionError as error:
        raise DatasetError(f"{path}: nested too deep for a COCO JSON") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read: {one_line(error)}") from error


def _some_number(found: re.Match[bytes]) -> bytes:
    """As many bytes as NaN or Infinity takes, so that all else stays where it is, and the id of no image."""
    return b"9e9".ljust(len(found[0]))


def _index(path: AnyPath, file: Path, content: mmap.mmap | bytes) -> CocoFile:
    base = np.frombuffer(content, np.uint8)
    text = text_of(content)
    document = msgspec.json.decode(text, type=_Known)
    keys, places, remarks = _keys(path, document.images)
    numbers = {identity: number for number, identity in enumerate(keys)}
    image_of, panoptic = _rows(path, _list(document.annotations), numbers)
    categories = _own_categories(path, document.categories)
    del document  # before there are as many texts
    if not categories and len(image_of):
        categories = _named_by_id(_list(msgspec.json.decode(text, type=_ClassRows).annotations))
        if categories:
            names = one_line(", ".join(c.name for c in categories), 100)
            remarks.append(f"{path.name} has no categories: its classes are called by their ids, {names}")
    texts = msgspec.json.decode(text, type=_Texts)
    of_rows, of_images = ranges_of(_list(texts.annotations), base), ranges_of(texts.images, base)
    remarks += not_kept(path.name, outside(text, len(content) - len(text), of_images, of_rows))
    rows = np.column_stack([image_of, of_rows])
    listed = rows[np.argsort(image_of, kind="stable")][(image_of < 0).sum() :]
    if len(rows) and not len(listed):
        raise DatasetError(f"{path}: no annotation is for an image that it lists; do the ids of 'images' agree?")
    if unlisted := len(rows) - len(listed):
        left = plural(unlisted, "annotation")
        remarks.append(f"{path.name}: {left} of images that it does not list are left out")
    images = of_images[places]
    return CocoFile(path, file, keys, images, listed, panoptic, categories, tuple(remarks))


def _list(values: list[_Value] | dict[str, _Value]) -> list[_Value]:
    """The rows of a file; some tools write them as an object, by id."""
    return values if isinstance(values, list) else list(values.values())


def _keys(path: AnyPath, images: Iterable[_Image]) -> tuple[dict[str, str], list[int], list[str]]:
    """(image id, as text, → source key; the places of these images in the list; remarks on the others)."""
    keys: dict[str, str] = {}
    places: list[int] = []
    written: dict[str, str] = {}
    odd: list[str] = []
    twice: list[str] = []
    for place, image in enumerate(images):
        identity = identity_of(image.id)
        key = key_of(image.file_name) if isinstance(image.file_name, str) else ""
        if identity is None or not key or "\0" in key:
            odd.append(f"id {one_line(repr(image.id), 40)}, file_name {one_line(repr(image.file_name), 60)}")
            continue
        text = str(identity)
        if not key.isascii() and (other := written.setdefault(key, image.file_name)) != image.file_name:
            _require_one_form(path, other, image.file_name)
        if text not in keys:
            keys[text] = key
            places.append(place)
        elif keys[text] == key:
            twice.append(text)
        else:
            names = f"'{one_line(keys[text], 60)}' and '{one_line(key, 60)}'"
            raise DatasetError(f"{path}: image id {one_line(text)} is given twice, for {names}; give each its own")
    remarks = left_out(len(odd), f"image of {path.name}", f"without an id or a file name: {odd[0]}") if odd else []
    if twice:
        remarks.append(f"{path.name}: {plural(len(twice), 'image')} listed twice, taken once: id {one_line(twice[0])}")
    if odd and not keys:
        raise DatasetError(f"{path}: no image has an id and a file name: {odd[0]}")
    return keys, places, remarks


def _require_one_form(path: AnyPath, one: str, other: str) -> None:
    """Raise ``DatasetError`` for two Unicode forms of one name, which may be two files."""
    if unicodedata.is_normalized("NFC", one) != unicodedata.is_normalized("NFC", other):
        names = "' and '".join(told_apart(one, other))
        why = "one name in two Unicode forms; keys must be unique, rename one"
        raise DatasetError(f"{path}: two pictures are called '{names}', {why}")


def _rows(path: AnyPath, rows: Iterable[_Row], numbers: Mapping[str, int]) -> tuple[I64, dict[str, list[AnyPath]]]:
    """(image number or −1 of each annotation, the panoptic PNGs of each image)."""
    out = array("q")
    known: dict[int | str, int] = {}
    panoptic: dict[str, list[AnyPath]] = {}
    for row in rows:
        # 7, 7.0 and "7", which different tools write for one picture, are the same; true is not 1.
        image_id = row.image_id if type(row.image_id) is int else identity_of(row.image_id)
        if image_id is not None and image_id not in known:
            known[image_id] = numbers.get(str(image_id), -1)
        out.append(-1 if image_id is None else known[image_id])
        if len(row.segments_info):
            fields = {"segments_info": _value(row.segments_info), "file_name": _value(row.file_name)}
            panoptic.setdefault(str(image_id), []).extend(panoptic_pngs(path, [fields]))
    return np.array(out, np.int64), panoptic


def _value(raw: msgspec.Raw) -> Any:
    return msgspec.json.decode(raw) if len(raw) else None


def _named_by_id(rows: Iterable[_ClassRow]) -> tuple[Category, ...]:
    """The categories of a file that lists none, as its annotations use them."""
    ids = {number for row in rows if (number := whole_number(row.category_id)) is not None}
    return tuple(Category(id=number, label=0, name=str(number)) for number in sorted(ids))


def _own_categories(path: AnyPath, values: Sequence[Any]) -> tuple[Category, ...]:
    require_list(len(values), MOST_CLASSES, "categories", path)
    for value in values:
        for what in ("keypoints", "skeleton"):
            listed = value.get(what) if isinstance(value, dict) else None
            require_list(len(listed) if isinstance(listed, list) else 0, MOST_KEYPOINTS, f"{what} of a category", path)
    try:
        return tuple(category_of(value, path.name) for value in values)
    except ValueError as error:
        raise DatasetError(f"{path.parent}/{error}") from error
