"""COCO: the JSON objects of one picture become annotations.

A JSON holds images, annotations and categories; this module reads what belongs to one picture, of one file or of
several that speak of the same pictures (instances, keypoints, captions, panoptic). What a single object holds is in
:mod:`augpipe.formats.coco.fields`, where a picture's JSON lies in :mod:`augpipe.formats.coco.index`.
"""

from __future__ import annotations

import itertools
import json
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from augpipe.core.annotations import Annotations, Category, Dropped, ObjectRow, objects_of
from augpipe.core.errors import Reject, one_line
from augpipe.formats.base import Entry, source_key
from augpipe.formats.coco.fields import identity_of, numbers_of, object_of, whole_number
from augpipe.formats.coco.not_kept import gives_twice
from augpipe.formats.indexing import require_as_indexed
from augpipe.formats.limits import (
    DEEPEST,
    FARTHEST,
    bad_labels,
    is_deep,
    require_few,
    require_size,
    require_small,
)
from augpipe.storage.byte_range import ByteRange, name_of, read_place, read_ranges
from augpipe.storage.fs import place_of
from augpipe.storage.tree import AnyPath

_MARKS = b"[{"
_PICTURE_FIELDS = frozenset({"id", "width", "height", "file_name"})


@dataclass(frozen=True)
class CocoReader:
    """Reads entries whose ``annotation`` is packed by :func:`pack`: the byte ranges of the picture's image object and
    of its annotations, file by file. With a JSON out of an archive, a tuple of that and the place of a panoptic PNG.
    """

    files: tuple[str, ...]
    categories: Mapping[int, Category]
    panoptic: bool = False  # then PNGs, too, are in the digests of entries

    def annotations(self, entry: Entry) -> Annotations:
        packed, *elsewhere = entry.annotation if isinstance(entry.annotation, tuple) else (entry.annotation,)
        (first, *image_at), *ranges = unpack(packed)
        places: dict[int, list[tuple[int, int]]] = {first: [(image_at[0], image_at[1])]}
        for file, start, size in ranges:
            places.setdefault(file, []).append((start, size))
        texts = self._texts(places, entry)
        if not self.panoptic:
            require_as_indexed(entry, *itertools.chain.from_iterable(texts.values()))
        groups = {file: _objects(texts[file], of_file, entry) for file, of_file in places.items()}
        twice = any(any(map(gives_twice, texts[file], values)) for file, values in groups.items())
        image, groups[first] = groups[first][0], groups[first][1:]
        labels = annotations_of(image, merged(list(groups.values())), self.categories, entry.file)
        if twice:
            labels = replace(labels, notes=tuple(sorted({*labels.notes, "name-twice"})))
        png = elsewhere[0] if elsewhere else self._panoptic(groups)
        if png is None:
            return labels
        from augpipe.pixels.codec.label_png import decode_raster

        try:
            raster = decode_raster(read_place(png), name_of(png))
        except Reject as reject:
            if reject.code != "missing-file":
                raise
            return replace(labels, notes=tuple(sorted({*labels.notes, "panoptic-missing"})))
        return replace(labels, panoptic=raster.astype(np.uint32))

    def _texts(self, places: Mapping[int, Sequence[tuple[int, int]]], entry: Entry) -> dict[int, list[bytes]]:
        """The JSON texts of each file, which together are no more than one picture may have."""
        require_few(max(map(len, places.values())) - 1, entry.file)  # of several files they are the same objects
        require_size(sum(size for ranges in places.values() for _, size in ranges), entry.file)
        texts = {file: read_ranges(self.files[file], ranges) for file, ranges in places.items()}
        require_small([text for of_file in texts.values() for text in of_file], _MARKS, entry.file)
        return texts

    def _panoptic(self, groups: Mapping[int, list[dict[str, Any]]]) -> ByteRange | None:
        pngs = [png for file, rows in groups.items() for png in panoptic_pngs(Path(self.files[file]), rows)]
        return place_of(pngs[0]) if pngs else None


def _objects(texts: Sequence[bytes], ranges: Sequence[tuple[int, int]], entry: Entry) -> list[dict[str, Any]]:
    values = [_decoded(text, entry.file, start, _by(text)) for text, (start, _) in zip(texts, ranges, strict=True)]
    for value, (start, _) in zip(values, ranges, strict=True):
        if not isinstance(value, dict):
            raise bad_labels("bad-json", entry.file, f"expected an object at byte {start}")
    return values


def pack(ranges: Iterable[tuple[int, int, int]]) -> bytes:
    """(file number, start, size) of each object in 24 bytes: there are many."""
    return array("q", itertools.chain.from_iterable(ranges)).tobytes()


def unpack(packed: bytes) -> list[tuple[int, int, int]]:
    """What :func:`pack` packed."""
    numbers = array("q", packed)
    return list(zip(numbers[0::3], numbers[1::3], numbers[2::3], strict=True))


def decoded(data: bytes, file: str, offset: int = 0) -> Any:
    """The value of a JSON text at byte ``offset`` of ``file``; raises ``Reject``: ``bad-json`` or ``too-large``."""
    require_small([data], _MARKS, file)
    return _decoded(data, file, offset)


def _by(text: bytes) -> Callable[[bytes], Any]:
    return _without_nan if b"NaN" in text or b"Infinity" in text else msgspec.json.decode


def _without_nan(data: bytes) -> Any:
    """The value of a text as Python's json module writes it, in which NaN and Infinity are unknown."""
    return json.loads(data, parse_constant=lambda _: None)


def _decoded(data: bytes, file: str, offset: int, by: Callable[[bytes], Any] = msgspec.json.decode) -> Any:
    try:
        value = by(data)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise bad_labels("bad-json", file, f"not JSON at byte {offset}: {one_line(error)}") from error
    if data.count(b"[") + data.count(b"{") > DEEPEST and is_deep(value):
        raise bad_labels("bad-json", file, f"JSON nested in more than {DEEPEST} levels")
    return value


def panoptic_pngs(file: AnyPath, rows: Iterable[Mapping[str, Any]]) -> list[AnyPath]:
    """The panoptic PNGs that rows of a JSON name; they lie in the folder beside the JSON that has its name."""
    named = [row.get("file_name") for row in rows if isinstance(row.get("segments_info"), list)]
    return [file.with_suffix("") / key_of(name) for name in named if isinstance(name, str) and key_of(name)]


def key_of(file_name: str) -> str:
    """A COCO ``file_name`` as a path below the picture root, POSIX, Unicode NFC; the source key.

    It stays in the root: of an absolute path the last part is taken, of one with ``..`` what follows it.
    """
    text = file_name.replace("\\", "/")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if text.startswith("/") or text[1:3] == ":/":
        parts = parts[-1:]
    if ".." in parts:
        parts = parts[len(parts) - parts[::-1].index("..") :]
    return source_key("/".join(parts))


def annotations_of(
    image: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], categories: Mapping[int, Category], file: str
) -> Annotations:
    """The labels of one picture from its decoded JSON: the image object and its annotations, one an object.

    Raises ``Reject``: ``unknown-class``, naming ``file``.
    """
    size = _size(image)
    tags: list[str] = []
    captions: list[str] = []
    segments: list[Mapping[str, Any]] = []
    found: list[ObjectRow] = []
    dropped: list[Dropped] = []
    notes: set[str] = set()
    before: dict[int | str, Mapping[str, Any]] = {}
    for row in rows:
        has_geometry = bool(row.get("bbox") or row.get("segmentation") or row.get("keypoints"))
        if not has_geometry and isinstance(row.get("caption"), str):
            captions.append(row["caption"])
        elif not has_geometry and isinstance(row.get("segments_info"), list):
            segments.extend(segments_of(row["segments_info"], notes))
        else:
            category = _category(row, categories, file)
            if not has_geometry:
                tags.append(category.name)
                continue
            index = len(found) + len(dropped)
            identity = identity_of(row.get("id"))
            if identity is not None and before.setdefault(identity, row) is not row and before[identity] == row:
                dropped.append(Dropped(index, category.id, "merged", None, identity))  # the same row, listed twice
                continue
            made = object_of(row, index, category, size, notes)
            (dropped if isinstance(made, Dropped) else found).append(made)  # type: ignore[arg-type]
    return Annotations(
        objects=objects_of(found),
        segments_info=tuple(segments),
        tags=tuple(tags),
        captions=tuple(captions),
        size_wh=size,
        image_id=whole_number(image.get("id")),
        attributes={k: v for k, v in image.items() if k not in _PICTURE_FIELDS},
        dropped=tuple(dropped),
        notes=tuple(sorted(notes)),
    )


def merged(groups: Sequence[Sequence[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """The rows of several files about one picture; instances and person_keypoints share their annotation ids.

    Rows of different files are one object if id, category and box agree; of one file never: real files repeat ids.
    """
    if len(groups) == 1:
        return list(groups[0])
    out: list[Mapping[str, Any]] = []
    places: dict[tuple[Any, int], int] = {}
    for group in groups:
        before = dict(places)
        for row in group:
            joint = _joint(row)
            place = None if joint is None else before.get(joint)
            if place is not None and _agree(out[place].get("bbox"), row.get("bbox")):
                out[place] = {**row, **out[place]}
                continue
            if joint is not None:
                places.setdefault(joint, len(out))
            out.append(row)
    return out


def _joint(row: Mapping[str, Any]) -> tuple[int | str, int] | None:
    identity, category = identity_of(row.get("id")), whole_number(row.get("category_id"))
    return None if identity is None or category is None else (identity, category)


def _agree(one: Any, other: Any) -> bool:
    return not one or not other or one == other


def segments_of(values: Iterable[Any], notes: set[str]) -> list[Mapping[str, Any]]:
    """The entries of ``segments_info`` that name a segment; others are left out and noted."""
    out: list[Mapping[str, Any]] = []
    for value in values:
        if isinstance(value, dict) and whole_number(value.get("id")) is not None:
            out.append(value)
        else:
            notes.add("segment-left-out")
    return out


def _category(row: Mapping[str, Any], categories: Mapping[int, Category], file: str) -> Category:
    number = whole_number(row.get("category_id"))
    category = None if number is None else categories.get(number)
    if category is None:
        shown = one_line(repr(row.get("category_id")), 40)
        raise bad_labels("unknown-class", file, f"category_id {shown} is in no categories list")
    return category


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    numbers = numbers_of([image.get("width"), image.get("height")], 2)
    if numbers is None or not all(1.0 <= n < FARTHEST for n in numbers):
        return None
    return int(numbers[0]), int(numbers[1])
