"""Finding labelme JSONs, their pictures and their classes.

The picture of a JSON is the one that its ``imagePath`` names, else the one beside it with its stem, else the one in the
JSON itself (``imageData``), of which a temporary copy is made.
"""

from __future__ import annotations

import base64
import binascii
import os
import posixpath
import re
from collections import Counter
from dataclasses import dataclass, field, replace

from augpipe.core.annotations import Category
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, is_picture, plural, source_key
from augpipe.formats.indexing import categories_by_name, digest_of, is_wrapper, links_left_out, of_split, split_of
from augpipe.formats.indexing import left_out as remark_of
from augpipe.formats.labelme.read import Drawing, LabelmeReader, drawing_of, left_out, objects_in
from augpipe.formats.layout.picture_paths import PicturePaths, pictures_of
from augpipe.formats.layout.splits import split_called
from augpipe.labels.keypoints import flip_pairs_of
from augpipe.storage.byte_range import ByteRange, bytes_of
from augpipe.storage.fs import place_of, row_name, size_of, start_of, walk_files
from augpipe.storage.temp_copy import copied
from augpipe.storage.tree import AnyPath

_SNIFFED_FILES, _SNIFFED_BYTES = 20, 1 << 16
_SHAPES = re.compile(rb'"shapes"\s*:\s*\[')
_OTHERS = re.compile(rb'"(imagePath|imageData|imageHeight|shape_type|flags|lineColor|version)"\s*:')


def looks_like_labelme(path: AnyPath) -> bool:
    """Whether a JSON begins as labelme writes it."""
    head = start_of(path, _SNIFFED_BYTES)
    return _SHAPES.search(head) is not None and _OTHERS.search(head) is not None


def _files(src: AnyPath, links: set[str] | None = None) -> list[str]:
    """Relative paths of the JSONs of a source that is a folder, or the name of one that is a file."""
    if src.is_file():
        return [src.name] if src.suffix.lower() == ".json" else []
    return [f for f in walk_files(src, links) if f.lower().endswith(".json")] if src.is_dir() else []


def detect(source: Source) -> bool:
    """Whether one of the first JSONs is labelme's."""
    return not is_wrapper(source.where) and holds_labelme(source.where, _SNIFFED_FILES)


def holds_labelme(where: AnyPath, most: int) -> bool:
    """Whether one of the first ``most`` JSONs of a folder, or the one that is named, is labelme's."""
    folder = where.parent if where.is_file() else where
    return any(looks_like_labelme(folder / file) for file in _files(where)[:most])


@dataclass
class _Found:
    """What the JSONs say together."""

    names: set[str] = field(default_factory=set)
    keypoints: dict[str, dict[str, None]] = field(default_factory=dict)
    left: Counter[str] = field(default_factory=Counter)
    example: str = ""
    others: int = 0
    embedded: int = 0

    def see(self, drawing: Drawing, file: str) -> None:
        for members, points in objects_in(drawing.shapes):
            self.names.add(members[0].label)
            if points:
                self.keypoints.setdefault(members[0].label, {}).update(dict.fromkeys(p.label for p in points))
        for shape in left_out(drawing.shapes):
            self.left[shape.kind] += 1
            self.example = self.example or f"'{one_line(shape.label, 40)}' in {one_line(file, 100)}"

    def remarks(self) -> list[str]:
        kinds = one_line(", ".join(f"{kind} {n:,}" for kind, n in sorted(self.left.items())), 100)
        why = f"of types that enclose no area, or points without an object of their group ({kinds}), as {self.example}"
        out = remark_of(self.left.total(), "shape", why)
        out += remark_of(self.others, "JSON", "without 'shapes'")
        if self.embedded:
            out.append(f"{plural(self.embedded, 'picture')} taken from the JSONs themselves (imageData)")
        return out


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index the JSONs of a source and of its folders."""
    src, links = source.where, set[str]()
    root = src.parent if src.is_file() else src
    files = _files(src, links)
    if not any(looks_like_labelme(root / file) for file in files):
        raise DatasetError(f"{src}: no labelme JSON; expected files with 'shapes' and 'imagePath'")
    splits = {file: split_of(file) for file in files}
    chosen = set(of_split(src, splits, options.split))
    pictures = pictures_of(root, options, links)
    found, used, entries = _Found(), set[str](), list[Entry]()
    for file in files:
        data = bytes_of(place_of(root / file))
        try:
            drawing = drawing_of(data, file)
        except Reject:
            drawing = Drawing((), "", "", None, {})  # reading says what is wrong
        if drawing is None:
            found.others += 1
            continue
        found.see(drawing, file)
        path = _picture(drawing, file, pictures)
        used.update([path] if path else [])
        if file in chosen:
            entry = _entry(root, file, path, pictures, drawing, digest_of(data))
            found.embedded += path is None and entry.picture is not None
            entries.append(entry._replace(split=split_called(splits[file])))
    categories = tuple(_with_keypoints(c, found) for c in categories_by_name(sorted(found.names)))
    reader = LabelmeReader({c.name: c.id for c in categories}, {c.name: c.keypoints for c in categories if c.keypoints})
    alone = 0 if options.split or src.is_file() else len(pictures.paths) - len(used)
    remarks = [*remark_of(alone, "picture", "without a JSON"), *found.remarks(), *links_left_out(links, src)]
    return Dataset.of("labelme", src, categories, entries, reader, options, remarks)


def _with_keypoints(category: Category, found: _Found) -> Category:
    names = tuple(found.keypoints.get(category.name, ()))
    return replace(category, keypoints=names, flip_pairs=flip_pairs_of(names)) if names else category


def _picture(drawing: Drawing, file: str, pictures: PicturePaths) -> str | None:
    """The picture of a JSON, below the folder of pictures; ``None`` if there is none."""
    folder, stem = posixpath.dirname(file), os.path.splitext(posixpath.basename(file))[0]
    named = pictures.find(drawing.path, folder) if drawing.path else None
    return named or pictures.find(stem, folder, stem=True)


def _entry(
    root: AnyPath, file: str, path: str | None, pictures: PicturePaths, drawing: Drawing, digest: bytes
) -> Entry:
    place, shown = place_of(root / file), row_name(root / file, root)
    if path is not None:
        return Entry.at(path, pictures.root / path, place, shown, digest)
    ending = os.path.splitext(drawing.path)[1] if is_picture(drawing.path) else ".jpg"
    key = os.path.splitext(file)[0] + ending  # by the JSON's own name, as several may name one picture
    try:
        embedded = base64.b64decode(drawing.embedded, validate=True)
    except (binascii.Error, ValueError):
        embedded = b""
    if not embedded:
        return Entry(source_key(key), None, place, key, digest)
    copy = copied(embedded)
    return Entry(source_key(key), ByteRange(str(copy)), place, shown, digest, size_of(copy))
