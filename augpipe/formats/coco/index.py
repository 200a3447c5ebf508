"""Finding COCO data: a JSON or a folder of them, and where in its bytes each picture's annotations are.

The file is mapped into memory and split into its objects without building them; what is kept is the byte range of each,
sorted by picture. So a JSON of half a gigabyte costs a few bytes an annotation, and any worker reads just its own.
"""

from __future__ import annotations

import mmap
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from augpipe.core.annotations import I64, Category
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, plural
from augpipe.formats.coco.fields import category_of, identity_of
from augpipe.formats.coco.image_paths import finder, picture_root
from augpipe.formats.coco.json_ranges import ranges_of
from augpipe.formats.coco.read import CocoReader, key_of, pack, panoptic_pngs
from augpipe.formats.indexing import digest_of, labelled_by_id, listed_classes
from augpipe.formats.webdataset.samples import has_samples, is_of_sample
from augpipe.storage.byte_range import bytes_of
from augpipe.storage.fs import children, files_in, place_of, row_name, size_of, start_of
from augpipe.storage.temp_copy import end_of, spooled
from augpipe.storage.tree import AnyPath, ArchivePath

_MARK = b"\xef\xbb\xbf"  # what Windows puts before UTF-8
_SNIFFED = 1 << 16
_RUN_BYTES = 1 << 20
_NOTHING = msgspec.Raw()


class _Image(msgspec.Struct, gc=False):
    id: int | float | str
    file_name: str


class _Row(msgspec.Struct, gc=False):
    image_id: int | float | str
    file_name: msgspec.Raw = _NOTHING
    segments_info: msgspec.Raw = _NOTHING


class _Known(msgspec.Struct):
    """What is kept of each object. It is read first, since reading a list of something else, such as millions of zeros,
    ends at its first value, whereas :class:`_Texts` would fill the memory."""

    images: list[_Image]
    annotations: list[_Row] = []
    categories: list[Any] = []


class _Classes(msgspec.Struct):
    """Of a JSON of another split no more is asked; the other lists are stepped over."""

    categories: list[Any] = []


class _Texts(msgspec.Struct):
    """The texts of the objects, as views into the file."""

    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw] = []


@dataclass(frozen=True, eq=False)
class CocoFile:
    """The index of one JSON.

    ``keys`` is image id, as text, → source key; ``images`` (start, size) has a row an image in that order, ``rows``
    (image number, start, size) a row an annotation, sorted by image. ``panoptic`` is image id → its PNGs; ``unlisted``
    counts annotations of unknown images. ``text`` is the file that the ranges are of: the JSON, or a copy out of its
    archive.
    """

    path: AnyPath
    text: Path
    keys: dict[str, str]
    images: I64
    rows: I64
    panoptic: dict[str, list[AnyPath]]
    categories: tuple[Category, ...]
    unlisted: int

    def ranges(self, ids: Iterable[str]) -> Iterator[I64]:
        """The (start, size) rows of each image's annotations, in the order of ``ids``."""
        numbers = {identity: number for number, identity in enumerate(self.keys)}
        bounds = np.searchsorted(self.rows[:, 0], np.arange(len(numbers) + 1))
        for identity in ids:
            number = numbers[identity]
            yield self.rows[bounds[number] : bounds[number + 1], 1:]


def looks_like_coco(path: AnyPath) -> bool:
    """Whether a JSON file has a list of COCO's near its top or its end."""
    head = start_of(path, _SNIFFED)
    if not head and size_of(path) > 0:
        return True  # damaged in its archive, which is reported when it is read
    if head.removeprefix(_MARK).lstrip()[:1] != b"{":
        return False
    return _names_lists(head) or (len(head) == _SNIFFED and _names_lists(head + end_of(path, _SNIFFED)))


def _names_lists(text: bytes) -> bool:
    return b'"images"' in text or (b'"annotations"' in text and b'"image_id"' in text)


def json_files(src: AnyPath) -> dict[str, list[AnyPath]]:
    """Split name → the COCO JSONs of it. ``""`` holds those that stand together without a split folder."""
    if src.is_file():
        return {"": [src]} if src.suffix == ".json" else {}
    if not src.is_dir():
        return {}
    folders = [src, src / "annotations"]
    together = [f for folder in folders if folder.is_dir() for f in files_in(folder, "*.json") if looks_like_coco(f)]
    if together:
        return {"": together}
    out = {}
    for child in children(src):
        jsons = [f for f in files_in(child, "*.json") if looks_like_coco(f)] if child.is_dir() else []
        if jsons:
            out[child.name] = jsons
    return out


def detect(source: Source) -> bool:
    """Whether there are COCO JSONs: not the records of a run, and not those of samples in a tar."""
    where = source.where
    if where.is_dir() and b'"augpipe-run/' in start_of(where / "run.json", _RUN_BYTES):
        return False
    if where.is_file():
        return where.suffix == ".json" and looks_like_coco(where)
    files = [file for files in json_files(where).values() for file in files]
    if files and source.is_tar and has_samples(where):
        return not all(map(is_of_sample, files))
    return bool(files)


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index the JSONs of a source, or of its split, which must be about the same images."""
    src, groups = source.where, json_files(source.where)
    if not groups:
        raise DatasetError(f"{src}: no COCO JSON; expected a .json with 'images', or a folder of them")
    chosen = _chosen(src, groups, options.split)
    indexed = {path: index_file(path) for path in sorted(chosen)}
    files = [indexed[path] for path in chosen]
    _require_same_images(src, files)
    every = sorted({path for paths in groups.values() for path in paths})
    listed = {path: indexed[path].categories if path in indexed else categories_in(path) for path in every}
    categories = _categories(listed, options)
    root = picture_root(files[0].path, list(files[0].keys.values()), options)
    reader = CocoReader(tuple(str(f.text) for f in files), {c.id: c for c in categories})
    entries = list(_entries(src, root, files))
    return Dataset.of("coco", src, categories, entries, reader, options, _remarks(files, entries))


def _chosen(src: AnyPath, groups: Mapping[str, list[AnyPath]], split: str | None) -> list[AnyPath]:
    """The files to read. A split is a folder's name, a JSON's name, or the end of one."""
    if split is None:
        if len(groups) > 1:
            raise DatasetError(f"{src}: several splits, {', '.join(groups)}; choose one with --split")
        return next(iter(groups.values()))
    if split in groups:
        return groups[split]
    ending = [f for paths in groups.values() for f in paths if f.stem == split or f.stem.endswith(f"_{split}")]
    if not ending:
        there = sorted({*filter(None, groups), *(f.stem for paths in groups.values() for f in paths)})
        raise DatasetError(f"{src}: no split '{one_line(split)}'; there are {', '.join(there[:8])}")
    return ending


def _require_same_images(src: AnyPath, files: list[CocoFile]) -> None:
    if any(file.keys != files[0].keys for file in files[1:]):
        listed = ", ".join(f"{f.path.name} ({plural(len(f.keys), 'image')})" for f in files)
        raise DatasetError(f"{src}: these files are not about the same images: {listed}; name one, or use --split")


def _remarks(files: Sequence[CocoFile], entries: Sequence[Entry]) -> list[str]:
    out = []
    for file in files:
        if file.unlisted:
            left = plural(file.unlisted, "annotation")
            out.append(f"{file.path.name}: {left} of images that it does not list are left out")
    if all(entry.picture is None for entry in entries):
        out.append(f"none of the pictures of {files[0].path.name} was found; say where they are with --images DIR")
    return out


# --- one file --------------------------------------------------------------------------------------------------------


def index_file(path: AnyPath) -> CocoFile:
    """Split a JSON into the byte ranges of its objects; raises ``DatasetError`` if it is no COCO JSON."""
    with _open(path) as (file, mapped):
        return _index(path, file, mapped)


def categories_in(path: AnyPath) -> tuple[Category, ...]:
    """The categories of a JSON of another split; raises ``DatasetError`` if it has none that can be read."""
    with _open(path) as (_, mapped):
        return _own_categories(path, msgspec.json.decode(_text(mapped), type=_Classes).categories)


@contextmanager
def _open(path: AnyPath) -> Iterator[tuple[Path, mmap.mmap]]:
    """(the file with the text of a JSON, the same in memory)."""
    file = spooled(path)
    try:
        if size_of(file) == 0:
            raise DatasetError(f"{path}: the file is empty; expected a COCO JSON")
        with _mapped(file) as mapped:
            try:
                yield file, mapped
            except msgspec.MsgspecError as error:
                hint = _not_a_number(mapped, str(error))
                raise DatasetError(f"{path}: not a COCO JSON: {one_line(error)}{hint}") from error
    except RecursionError as error:
        raise DatasetError(f"{path}: nested too deep for a COCO JSON") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read: {one_line(error)}") from error


def _text(mapped: mmap.mmap) -> memoryview:
    return memoryview(mapped)[len(_MARK) if mapped[: len(_MARK)] == _MARK else 0 :]


def _not_a_number(mapped: mmap.mmap, message: str) -> str:
    """Advice where Python's json module has written NaN, which is not JSON."""
    place = re.search(r"\(byte (\d+)\)", message)
    near = b"" if place is None else mapped[max(0, int(place[1]) - 1) : int(place[1]) + 8]
    return "; NaN and Infinity are not JSON, write null" if b"NaN" in near or b"Infinity" in near else ""


def _index(path: AnyPath, file: Path, mapped: mmap.mmap) -> CocoFile:
    base = np.frombuffer(mapped, np.uint8)
    text = _text(mapped)
    document = msgspec.json.decode(text, type=_Known)
    keys = _keys(path, document.images)
    numbers = {identity: number for number, identity in enumerate(keys)}
    image_of, panoptic = _rows(path, document.annotations, numbers)
    categories = _own_categories(path, document.categories)
    del document  # before there are as many texts
    texts = msgspec.json.decode(text, type=_Texts)
    rows = np.column_stack([image_of, ranges_of(texts.annotations, base)])[np.argsort(image_of, kind="stable")]
    listed = rows[rows[:, 0] >= 0]
    if len(rows) and not len(listed):
        raise DatasetError(f"{path}: no annotation is for an image that it lists; do the ids of 'images' agree?")
    images = ranges_of(texts.images, base)
    return CocoFile(path, file, keys, images, listed, panoptic, categories, unlisted=len(rows) - len(listed))


def _keys(path: AnyPath, images: Iterable[_Image]) -> dict[str, str]:
    """Image id, as text, → source key."""
    keys: dict[str, str] = {}
    for image in images:
        identity, key = _text_of(path, image.id), key_of(image.file_name)
        if identity in keys:
            raise DatasetError(f"{path}: image id {one_line(identity)} is given twice")
        if not key or "\0" in key:
            raise DatasetError(f"{path}: image id {one_line(identity)} has no file name that can be one")
        keys[identity] = key
    return keys


def _rows(path: AnyPath, rows: Iterable[_Row], numbers: Mapping[str, int]) -> tuple[I64, dict[str, list[AnyPath]]]:
    """(image number or −1 of each annotation, the panoptic PNGs of each image)."""
    out = array("q")
    known: dict[int | float | str, int] = {}
    panoptic: dict[str, list[AnyPath]] = {}
    for row in rows:
        number = known.get(row.image_id)
        if number is None:
            number = known[row.image_id] = numbers.get(_text_of(path, row.image_id), -1)
        out.append(number)
        if len(row.segments_info):
            fields = {"segments_info": _value(row.segments_info), "file_name": _value(row.file_name)}
            panoptic.setdefault(_text_of(path, row.image_id), []).extend(panoptic_pngs(path, [fields]))
    return np.array(out, np.int64), panoptic


def _value(raw: msgspec.Raw) -> Any:
    return msgspec.json.decode(raw) if len(raw) else None


def _text_of(path: AnyPath, value: int | float | str) -> str:
    """An image id as text, so that 7, 7.0 and "7", which different tools write for one picture, are the same."""
    identity = identity_of(value)
    if identity is None:
        raise DatasetError(f"{path}: image id {value}; expected a whole number or a text")
    return str(identity)


def _own_categories(path: AnyPath, values: Iterable[Any]) -> tuple[Category, ...]:
    try:
        return tuple(category_of(value, path.name) for value in values)
    except ValueError as error:
        raise DatasetError(f"{path.parent}/{error}") from error


# --- the whole -------------------------------------------------------------------------------------------------------


def _categories(files: Mapping[AnyPath, Iterable[Category]], options: SourceOptions) -> tuple[Category, ...]:
    """The categories of all files together; a richer entry of an id (with keypoints) wins."""
    found: dict[int, Category] = {}
    named: dict[int, AnyPath] = {}
    for path, own in files.items():
        seen: set[int] = set()
        for category in own:
            if category.id in seen:
                raise DatasetError(f"{path}: category id {category.id} is given twice")
            seen.add(category.id)
            before = found.get(category.id)
            if before is not None and before.name != category.name:
                raise DatasetError(
                    f"{path}: category {category.id} is '{one_line(category.name)}' here and "
                    f"'{one_line(before.name)}' in {named[category.id].name}; "
                    "files of one dataset have one list, read them apart"
                )
            if before is None or (category.keypoints and not before.keypoints):
                found[category.id] = category
                named[category.id] = path
    if options.classes is not None:
        listed_classes(options.classes, (c.name for c in found.values()), next(iter(files)))
    return labelled_by_id(found.values())


def _entries(src: AnyPath, root: AnyPath, files: Sequence[CocoFile]) -> Iterator[Entry]:
    shown = row_name(files[0].path, src if src.is_dir() else src.parent)
    keys = files[0].keys
    if isinstance(root, ArchivePath):
        root.tree.look_up(root.path, [(root / key).path for key in keys.values()])
    look_for = finder(root)
    archived = isinstance(files[0].path, ArchivePath)
    images = files[0].images.tolist()
    with ExitStack() as stack:
        texts = [stack.enter_context(_mapped(file.text)) for file in files]
        for (identity, key), image, *ranges in zip(keys.items(), images, *(f.ranges(keys) for f in files), strict=True):
            start, size = image
            places = [(k, *place) for k, rows in enumerate(ranges) for place in rows.tolist()]
            pngs = [place_of(png) for file in files for png in file.panoptic.get(identity, ())]
            packed = pack([(0, start, size), *places])
            picture = look_for(key)
            yield Entry(
                key,
                None if picture is None else picture[0],
                (packed, pngs[0]) if pngs and archived else packed,
                shown if picture is not None else one_line(key),
                digest_of(
                    texts[0][start : start + size], *[texts[k][s : s + n] for k, s, n in places], *map(bytes_of, pngs)
                ),
                0 if picture is None else picture[1],
            )


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    with open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        yield mapped
    finally:
        with suppress(BufferError):  # an error's traceback may still look into it; then it closes with the traceback
            mapped.close()
