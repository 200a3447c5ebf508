"""Finding a VIA file, the regions of each picture, the pictures and the classes.

A JSON is mapped into memory and split into pictures; what is kept of one is where its value lies. A CSV is turned into
such a JSON, in a temporary file.
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions
from augpipe.formats.coco.json_ranges import ranges_of
from augpipe.formats.coco.read import decoded, key_of
from augpipe.formats.indexing import categories_by_name, digest_of, is_wrapper, left_out, of_split, split_of, subfolders
from augpipe.formats.layout.picture_paths import pictures_of
from augpipe.formats.layout.splits import split_called
from augpipe.formats.limits import MOST_ATTRIBUTES, require_list
from augpipe.formats.via.read import AREAS, NO_CLASS, ViaReader, attributes_of, class_of, regions_of, shape_of
from augpipe.storage.byte_range import LARGEST_FILE, ByteRange
from augpipe.storage.fs import files_in, relative_to, size_of, start_of
from augpipe.storage.temp_copy import copied, spooled
from augpipe.storage.tree import AnyPath

_SNIFFED_BYTES = 1 << 16
_JSON = re.compile(rb'"(_via_img_metadata|region_attributes|shape_attributes)"')
_PICTURE = (b'"filename"', b'"regions"', b'"file_attributes"')
_CSV_HEAD = re.compile(rb"^(\xef\xbb\xbf)?#?\"?filename\"?,\"?file_size\"?,\"?file_attributes\"?,")
_COLUMNS = ("filename", "file_size", "file_attributes", "region_count", "region_id")
_CLASS_NAMES = ("class", "label", "name", "category", "type", "object", "object_name", "class_name")
_MARK = b"\xef\xbb\xbf"


def via_files(src: AnyPath) -> dict[str, AnyPath]:
    """Relative path → VIA file, of a source that is one, or of a folder and the folders in it."""
    if src.is_file():
        return {src.name: src} if _looks_like_via(src) else {}
    if not src.is_dir():
        return {}
    found = _in(src, "")
    for name, folder in subfolders(src).items() if not found else ():
        found |= _in(folder, f"{name}/")
    return found


def _in(folder: AnyPath, prefix: str) -> dict[str, AnyPath]:
    """The VIA JSONs of a folder; its CSVs where there is none, as they mostly say the same."""
    for pattern in ("*.json", "*.csv"):
        if found := {f"{prefix}{path.name}": path for path in files_in(folder, pattern) if _looks_like_via(path)}:
            return found
    return {}


def _looks_like_via(path: AnyPath) -> bool:
    ending = path.suffix.lower()
    head = start_of(path, _SNIFFED_BYTES) if ending in (".json", ".csv") else b""
    if ending == ".csv":
        return _CSV_HEAD.match(head) is not None
    return _JSON.search(head) is not None or all(key in head for key in _PICTURE)


def detect(source: Source) -> bool:
    """Whether there is a VIA JSON or CSV."""
    return not is_wrapper(source.where) and bool(via_files(source.where))


@dataclass
class _Found:
    """What the regions of all files say together."""

    values: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    example: str = ""

    def see(self, name: str, regions: Iterable[Mapping[str, Any]]) -> None:
        for region in regions:
            kind = shape_of(region).get("name")
            if kind in AREAS:
                self.values.update(key for key, value in attributes_of(region).items() if value not in ("", None, {}))
                require_list(len(self.values), MOST_ATTRIBUTES, "attributes of regions", one_line(name, 80))
            else:
                self.left[one_line(kind or "none", 20)] += 1
                self.example = self.example or one_line(name, 80)


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index the VIA file of a source, or of its split."""
    src, files = source.where, via_files(source.where)
    if not files:
        raise DatasetError(f"{src}: no VIA file; expected a JSON or CSV with the regions of pictures")
    root = src.parent if src.is_file() else src
    splits = {file: split_of(file) or (file if len(files) > 1 else "") for file in files}
    chosen = set(of_split(src, splits, options.split))
    pictures = pictures_of(root, options)
    found, entries, used = _Found(), list[Entry](), 0
    local = {file: _local(path) for file, path in files.items()}
    places = {file: _ranges(local[file], path) for file, path in files.items()}
    for file, path in local.items():
        text = path.read_bytes()
        for start, size in places[file]:
            data = text[start : start + size]
            name, regions = _glance(data)
            found.see(name, regions)
            if file not in chosen:
                continue
            shown, at = relative_to(files[file], root), ByteRange(str(path), start, size, file)
            picture = pictures.find(name, posixpath.dirname(file))
            used += picture is not None
            if picture is not None:
                entry = Entry.at(picture, pictures.root / picture, at, shown, digest_of(data))
            else:
                key = key_of(name).replace("\0", "?") or "?"
                entry = Entry(key, None, at, one_line(key), digest_of(data))
            entries.append(entry._replace(split=split_called(splits[file])))
    attribute = _attribute(found, src)
    names = {n for file, path in local.items() for n in _classes(path.read_bytes(), places[file], attribute)}
    categories = categories_by_name(sorted(names))
    alone = 0 if options.split is not None or src.is_file() else len(pictures.paths) - used
    remarks = left_out(alone, "picture", "that the file does not list")
    kinds = one_line(", ".join(f"{kind} {n:,}" for kind, n in sorted(found.left.items())), 100)
    remarks += left_out(found.left.total(), "region", f"that enclose no area ({kinds}), as in {found.example}")
    if NO_CLASS in names and attribute == "":
        remarks.append(f"no region says a class; all are of the class '{NO_CLASS}'")
    elif NO_CLASS in names:
        remarks.append(f"regions without a value of '{one_line(attribute, 40)}' are of the class '{NO_CLASS}'")
    if len(found.values) > 1:
        others = one_line(", ".join(sorted(set(found.values) - {attribute})), 80)
        remarks.append(f"the class is the region attribute '{one_line(attribute, 40)}'; kept in attributes: {others}")
    reader = ViaReader({c.name: c.id for c in categories}, attribute)
    return Dataset.of("via", src, categories, entries, reader, options, remarks)


def _glance(data: bytes) -> tuple[str, list[Mapping[str, Any]]]:
    """(file name, regions) of a picture's value; nothing of one that is damaged, which reading rejects."""
    try:
        value = decoded(data, "")
    except Reject:
        return "", []
    if not isinstance(value, dict):
        return "", []
    name = value.get("filename")
    return name if isinstance(name, str) else "", regions_of(value)


def _classes(text: bytes, places: Iterable[tuple[int, int]], attribute: str) -> set[str]:
    regions = (region for start, size in places for region in _glance(text[start : start + size])[1])
    return {class_of(region, attribute) for region in regions if shape_of(region).get("name") in AREAS}


def _attribute(found: _Found, src: AnyPath) -> str:
    """The region attribute that is the class: the only one, or the one that is called so; "" if there is none.

    Raises ``DatasetError`` where several are there and none is called like a class.
    """
    names = sorted(found.values)
    if len(names) < 2:
        return names[0] if names else ""
    named = {name.lower().replace(" ", "_"): name for name in reversed(names)}
    chosen = next((named[name] for name in _CLASS_NAMES if name in named), None)
    if chosen is None:
        listed = one_line(", ".join(names), 100)
        raise DatasetError(f"{src}: which region attribute is the class? There are {listed}; call it 'class' in VIA")
    return chosen


def _ranges(path: Path, shown: AnyPath) -> list[tuple[int, int]]:
    """Where in a JSON the value of each picture lies: (start, size)."""
    size = size_of(path)
    if not 0 < size <= LARGEST_FILE:
        raise DatasetError(f"{shown}: {max(size, 0):,} bytes; expected a VIA JSON of at most {LARGEST_FILE >> 20} MiB")
    text = path.read_bytes()
    view = memoryview(text)[len(_MARK) if text.startswith(_MARK) else 0 :]
    try:
        values = msgspec.json.decode(view, type=dict[str, msgspec.Raw])
        if "_via_img_metadata" in values:
            values = msgspec.json.decode(values["_via_img_metadata"], type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise DatasetError(f"{shown}: not a VIA JSON: {one_line(error)}") from error
    pictures = [value for value in values.values() if bytes(memoryview(value)[:1]) == b"{"]
    if not pictures:
        raise DatasetError(f"{shown}: no pictures in this VIA JSON")
    return [(row[0], row[1]) for row in ranges_of(pictures, np.frombuffer(text, np.uint8)).tolist()]


def _local(path: AnyPath) -> Path:
    """A local JSON of a VIA file."""
    if path.suffix.lower() != ".csv":
        return spooled(path)
    local = spooled(path)
    if size_of(local) > LARGEST_FILE:
        raise DatasetError(f"{path}: expected a VIA CSV of at most {LARGEST_FILE >> 20} MiB")
    pictures: dict[str, dict[str, Any]] = {}
    text = local.read_bytes().decode("utf-8-sig", "replace")
    try:
        for line, row in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True), start=1):
            if line == 1 or not row:
                continue
            if len(row) != len(_COLUMNS) + 2:
                raise DatasetError(f"{path}: row {line}: expected seven fields, got {len(row)}")
            fields, shape, attributes = (_value(row[k]) for k in (2, 5, 6))
            picture = {"filename": row[0], "file_attributes": fields, "regions": []}
            regions = pictures.setdefault(row[0], picture)["regions"]
            if shape:
                regions.append({"shape_attributes": shape, "region_attributes": attributes})
    except (csv.Error, msgspec.MsgspecError, RecursionError) as error:
        raise DatasetError(f"{path}: row {line}: not a VIA CSV: {one_line(error)}") from error
    return copied(msgspec.json.encode(pictures))


def _value(text: str) -> Any:
    return msgspec.json.decode(text) if text.strip() else {}
