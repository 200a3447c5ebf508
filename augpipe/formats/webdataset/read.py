"""Tar shards: our own, and foreign ones with a picture beside ``.xml`` (VOC), ``.json`` (COCO-style) or ``.cls``.

Our own record says everything (docs/format.md). A foreign ``.json`` holds COCO-style objects, ``bbox`` as
[x, y, width, height], in a list, or under ``annotations`` or ``objects``, with ``category_id`` or a class name in
``category``; width and height may stand beside it. A ``.cls`` is a class number.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from augpipe.core.annotations import Annotations, Category, Raster
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, plural
from augpipe.formats.coco.fields import whole_number
from augpipe.formats.coco.read import annotations_of, decoded
from augpipe.formats.indexing import (
    categories_by_name,
    categories_in,
    digest_of,
    labelled_by_id,
    left_out,
    read_classes,
)
from augpipe.formats.labelme.index import holds_labelme
from augpipe.formats.layout.splits import chosen_split, known_split, split_called
from augpipe.formats.limits import bad_labels
from augpipe.formats.voc.read import TWENTY, VocReader
from augpipe.formats.voc.xml_reader import read_xml
from augpipe.formats.webdataset.index import samples_of, tar_paths, tars_of_runs
from augpipe.formats.webdataset.record import annotations_of_record
from augpipe.formats.webdataset.samples import LABELS, PICTURES, has_samples
from augpipe.formats.webdataset.schema import SCHEMA
from augpipe.pixels.codec.label_png import decode_raster
from augpipe.storage.byte_range import ByteRange, bytes_of, read_place
from augpipe.storage.fs import place_of, relative_to
from augpipe.storage.resolve import COMPRESSED, ending_of, is_pattern
from augpipe.storage.tree import ArchivePath

_LONGEST_NUMBER = 5  # digits; all classes below the highest are listed, so it must not be just any number
_RASTERS = ("semantic.png", "instance.png", "panoptic.png")
_PUT_IT_BACK = "put manifest.json beside the tars"
_NUMBER = re.compile(r"[-_]?\d*\.tar$")


@dataclass(frozen=True)
class ShardReader:
    """Reads entries whose ``annotation`` is ending → :class:`ByteRange` of a sample's label members."""

    categories: Mapping[int, Category]
    voc_origin: int = 1

    def annotations(self, entry: Entry) -> Annotations:
        members: Mapping[str, ByteRange] = entry.annotation
        if "xml" in members:
            ids = {c.name: c.id for c in self.categories.values()}
            return VocReader(ids, self.voc_origin).parse(read_place(members["xml"]), entry.file)
        value: Any = decoded(read_place(members["json"]), entry.file) if "json" in members else None
        if "cls" in members and not is_own(value):
            return Annotations(tags=(self._class(members["cls"], entry),))
        if is_own(value):
            rasters = {name: self._raster(members.get(name), name, entry) for name in _RASTERS}
            return annotations_of_record(value, rasters, self.categories, entry.file)
        image, rows = coco_style(value, entry.file)
        ids = {c.name: c.id for c in self.categories.values()}
        return annotations_of(image, [with_id(row, ids, entry.file) for row in rows], self.categories, entry.file)

    def _class(self, place: ByteRange, entry: Entry) -> str:
        number = class_number(read_place(place), entry.file)
        if number not in self.categories:
            raise bad_labels("unknown-class", entry.file, f"class {number} is not known")
        return self.categories[number].name

    def _raster(self, place: ByteRange | None, name: str, entry: Entry) -> Raster | None:
        return None if place is None else decode_raster(read_place(place), f"{entry.file}.{name}")


def is_own(value: Any) -> bool:
    """Whether a JSON document is augpipe's own."""
    return isinstance(value, dict) and str(value.get("schema", "")).startswith("augpipe/")


def class_number(data: bytes, file: str) -> int:
    """The number in a ``.cls`` member; raises ``Reject``: ``bad-class``."""
    text = data.strip()
    if text.isdigit() and len(text) <= _LONGEST_NUMBER:
        return int(text)
    shown = one_line(repr(data[:20]))
    raise bad_labels("bad-class", file, f"expected a class number from 0 on, got {shown}")


def coco_style(value: Any, file: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(image fields, objects) of a foreign JSON member; raises ``Reject`` if it has no list of objects."""
    image: dict[str, Any] = {}
    rows = value
    if isinstance(value, dict):
        rows = value.get("annotations", value.get("objects"))
        inner = value.get("image")
        image = dict(inner) if isinstance(inner, dict) else {}
        image |= {k: v for k, v in value.items() if k not in ("annotations", "objects", "image", "categories")}
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        message = f"{file}: expected a list of COCO-style objects, alone or under 'annotations' or 'objects'"
        raise Reject("labels", "bad-json", message, file=file)
    return image, rows


def class_name(row: Mapping[str, Any]) -> str | None:
    """The class name that a foreign object states, if it does."""
    names = (row.get(k) for k in ("category", "category_name", "class", "label", "name"))
    return next((n for n in names if isinstance(n, str)), None)


def with_id(row: Mapping[str, Any], ids: Mapping[str, int], file: str) -> dict[str, Any]:
    """A foreign object with the ``category_id`` that its class name has."""
    if whole_number(row.get("category_id")) is not None:
        return dict(row)
    name = class_name(row)
    if name is None or name not in ids:
        shown = one_line(repr(name), 60)
        raise bad_labels("unknown-class", file, f"the class {shown} is not known")
    return {**row, "category_id": ids[name]}


# --- index -----------------------------------------------------------------------------------------------------------


def detect(source: Source) -> bool:
    """Whether a source is one tar of samples, a folder of tars, or a pattern of them."""
    if source.is_tar:
        return has_samples(source.where) and not holds_labelme(source.where, 1)
    text, where = source.text, source.where
    named = text.startswith("pipe:") or text.endswith((".tar", *COMPRESSED)) or is_pattern(text)
    in_zip = isinstance(where, ArchivePath) and ending_of(text) == ".zip"
    return named or (where.is_dir() and not in_zip and any(where.glob("*.tar")))


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index the samples of tars."""
    src, where = source.text, source.where
    remarks: list[str] = []
    found = tar_paths(src, where)
    named = is_pattern(src) or (ending_of(src) == ".tar" and not os.path.isdir(src))
    whole = None if named else where
    paths, categories = tars_of_runs(whole, found, remarks)
    prefixes = {place_of(p).path: _NUMBER.sub("", p.name) for p in paths}
    wanted = None if options.split is None else chosen_split(options.split, set(prefixes.values())) or options.split
    chosen = {path for path, prefix in prefixes.items() if wanted is None or f"{prefix}-".startswith(f"{wanted}-")}
    split_of = {path: _split_of(prefix, own=categories is not None) for path, prefix in prefixes.items()}
    if not chosen:
        split = f" of split '{one_line(options.split)}'" if options.split else ""
        raise DatasetError(f"{one_line(src)}: no tar shards{split}")
    base = paths[0].parent if whole is None else whole
    entries: list[Entry] = []
    classes = _Classes(options)  # of all shards, so that splits agree
    unlabelled = 0
    for key, members in samples_of(paths, remarks):
        tar = next(iter(members.values())).path
        labels = {e: p for e, p in members.items() if e in (*LABELS, *_RASTERS)}
        if not any(e in labels for e in LABELS):
            unlabelled += tar in chosen
            continue
        file = f"{relative_to(tar, base)}/{key}"
        data = [bytes_of(place) for place in labels.values()]
        if categories is None:
            classes.note(labels, data, file)
        if tar in chosen:
            ending = next((e for e in PICTURES if e in members), "")
            picture = members.get(ending)
            size = picture.size if picture else 0
            digest = digest_of(*data)
            said = split_of[tar] if categories is None else _split_said(labels, data, split_of[tar])
            entries.append(Entry(key, picture, labels, file, digest, size, said, f".{ending}"))
    if unlabelled and not entries:
        without = plural(unlabelled, "sample")
        raise DatasetError(f"{src}: {without}, none with .json, .xml or .cls beside the picture")
    remarks += left_out(unlabelled, "sample", "without .json, .xml or .cls")
    if categories is None:
        categories = classes.categories(src, remarks)
    reader = ShardReader({c.id: c for c in categories}, options.voc_origin)
    return Dataset.of("shards", base, categories, entries, reader, options, remarks, named=classes.named)


def _split_of(prefix: str, own: bool) -> str:
    """The split of a shard by what stands before its number; of one that is not our own, if that is a known name."""
    known = known_split(prefix) or known_split(prefix.rpartition("-")[2])
    return known or (prefix if own and prefix != "all" else "")


class _Origin(msgspec.Struct, frozen=True):
    split: str = ""


class _Said(msgspec.Struct, frozen=True):
    source: _Origin


_said = msgspec.json.Decoder(_Said)


def _split_said(labels: Iterable[str], data: Sequence[bytes], otherwise: str) -> str:
    """The split that one of our records says its source is in, else that of its shard."""
    try:
        record = _said.decode(next(content for name, content in zip(labels, data, strict=True) if name == "json"))
    except (StopIteration, ValueError):  # its reader says what is wrong
        return otherwise
    return split_called(record.source.split) if record.source.split else otherwise


class _Classes:
    """Gathers the classes of shards while they are indexed."""

    def __init__(self, options: SourceOptions) -> None:
        self.named = False  # by ``options.classes``
        self._options = options
        self._names: set[str] = set()  # of objects that state no id
        self._numbers: set[int] = set()  # of .cls members
        self._named: dict[int, str] = {}  # id → name, "" while no object has stated it
        self._xml = False
        self._own = _OwnRecords()

    def note(self, members: Mapping[str, ByteRange], data: Sequence[bytes], file: str) -> None:
        """Gather the classes of a sample; raises ``DatasetError`` for an id with two names."""
        is_ours = False  # then its cls repeats what its json says
        for ending, content in sorted(zip(members, data, strict=True), key=lambda pair: pair[0] != "json"):
            try:
                if ending == "xml":
                    self._xml = self._own.others = True
                    self._names |= {name for name in read_xml(content, file).names if name}
                elif ending == "cls" and not is_ours:
                    self._own.others = True
                    self._numbers.add(class_number(content, file))
                elif ending == "json":
                    value = decoded(content, file)
                    self._json(value, file)
                    is_ours = is_own(value)
            except Reject:
                continue

    def _json(self, value: Any, file: str) -> None:
        own = is_own(value)
        if own and value["schema"] != SCHEMA:
            self._own.there = True
            return
        rows = coco_style({"objects": value.get("objects")} if own else value, file)[1]
        if own:
            self._own.note(value, rows, file)
        else:
            self._own.others = True
        for row in rows:
            name, number = class_name(row), whole_number(row.get("category_id"))
            if number is None:
                self._names |= {name} if name else set()
                continue
            before = self._named.setdefault(number, name or "")
            if name and before and name != before:
                shown = f"'{one_line(name)}' here and '{one_line(before)}' in another sample"
                raise DatasetError(f"{file}: category {number} is {shown}; an id must have one name")
            self._named[number] = before or name or ""

    def categories(self, src: str, remarks: list[str]) -> tuple[Category, ...]:
        """The class map, as far as the samples tell; raises ``DatasetError`` if the manifest is needed."""
        if self._own.there:
            return self._of_records(src, remarks)
        if self._named:
            return self._by_id(src)
        if self._numbers:
            if self._options.classes is None:
                listed = [str(n) for n in range(max(self._numbers) + 1)]
            else:
                listed, self.named = read_classes(self._options.classes), True
            return labelled_by_id(Category(n, 0, name) for n, name in enumerate(listed))
        devkit = self._xml and self._names <= set(TWENTY)
        return categories_by_name(TWENTY if devkit else sorted(self._names))

    def _of_records(self, src: str, remarks: list[str]) -> tuple[Category, ...]:
        self._own.check(src, set(self._named.values()), by_name=self._options.classes is not None and not self._named)
        remarks.append(
            "no manifest.json of augpipe beside the tars: classes are those that the records name, with their ids and "
            "labels; others are called unknown_N"
        )
        if not self._named:
            if (file := self._options.classes) is None:
                return ()
            self.named = True
            return categories_in(file, self._own.tags, src)
        return self._own.labelled(self._named, src)

    def _by_id(self, src: str) -> tuple[Category, ...]:
        """Ids as the objects state them; names that came without an id follow behind."""
        names = {number: name or f"class_{number}" for number, name in self._named.items()}
        more = sorted(self._names - set(names.values()))
        names |= dict(enumerate(more, start=max(names) + 1))
        return labelled_by_id(Category(number, 0, name) for number, name in names.items())


class _OwnRecords:
    """What our records tell of a class map while their manifest is not there: part of it, and no names of keypoints."""

    def __init__(self) -> None:
        self.there = False
        self.others = False  # samples that are not ours
        self.tags: set[str] = set()
        self._labels: dict[int, int] = {}  # by id
        self._keypoints: str | None = None  # the first sample that has some

    def note(self, record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], file: str) -> None:
        """Gather from one record; raises ``DatasetError`` for a class without a label, or with two."""
        self.there = True
        tags = record.get("tags")
        self.tags.update(tag for tag in (tags if isinstance(tags, list) else ()) if isinstance(tag, str))
        for row in rows:
            number, label = whole_number(row.get("category_id")), whole_number(row.get("label"))
            if number is None:
                continue
            if label is None or not 0 < label < 10**_LONGEST_NUMBER:
                raise DatasetError(f"{file}: category {number} has no label; {_PUT_IT_BACK}")
            before = self._labels.setdefault(number, label)
            if label != before:
                said = f"the label of category {number} is {label} here and {before} in another sample"
                raise DatasetError(f"{file}: {said}; tars of one run have one class map, read others apart")
            if row.get("keypoints") and self._keypoints is None:
                self._keypoints = file

    def check(self, src: str, names: set[str], by_name: bool) -> None:
        """Refuse what cannot be read without the manifest: keypoints, tags without labels, samples of others."""
        if self.others:
            raise DatasetError(f"{src}: samples of augpipe and others together; read them apart")
        if self._keypoints is not None:
            why = "keypoints, whose names and left/right pairs only the manifest knows"
            raise DatasetError(f"{self._keypoints}: has {why}; {_PUT_IT_BACK}")
        unknown = sorted(self.tags - names)
        if unknown and not by_name:
            way = _PUT_IT_BACK if names else f"{_PUT_IT_BACK}, or list the classes with --classes"
            raise DatasetError(f"{src}: the tag '{one_line(unknown[0])}' has no label; {way}")

    def labelled(self, names: Mapping[int, str], src: str) -> tuple[Category, ...]:
        """The classes with the labels of the records; a label between that no object has gets an id between.

        Raises ``DatasetError`` for labels that no class map can have.
        """
        out: list[Category] = []
        by_label = sorted(names, key=lambda number: self._labels[number])
        if by_label != sorted(names) and [self._labels[n] for n in by_label] == [*range(1, len(names) + 1)]:
            return tuple(Category(n, self._labels[n], names[n] or f"class_{n}") for n in sorted(names))
        for number, name in sorted(names.items()):
            label, first = self._labels[number], len(out) + 1
            known = Category(number, label, name or f"class_{number}")
            between = [Category(number - (label - n), n, f"unknown_{n}") for n in range(first, label)]
            if label < first or (out and (*between, known)[0].id <= out[-1].id):
                raise DatasetError(f"{src}: labels are not in the order of the ids; tars of one run have one class map")
            out += [*between, known]
        return tuple(out)
