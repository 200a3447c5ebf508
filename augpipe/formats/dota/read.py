"""DOTA: oriented boxes in aerial pictures, a text file a picture, a row an object: four corners, class, difficulty.

    imagesource:GoogleEarth
    gsd:0.146343590398
    398.0 716.0 398.0 694.0 464.0 698.0 465.0 718.0 plane 0

The first two lines may be missing; what they say travels with the picture. Corners are pixels in the convention of
:mod:`augpipe.core.geometry`, in the order of the file, any four-sided outline. The box of an object is that around
them.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from augpipe.core.annotations import Annotations, Dropped, ObjectAttributes, ObjectRow, objects_of
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.core.geometry import bounds_of
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, is_picture
from augpipe.formats.indexing import categories_by_name, digest_of, left_out, names_in, require_as_indexed
from augpipe.formats.layout.splits import chosen_split, known_split, split_in
from augpipe.formats.limits import FARTHEST, bad_labels, require_small
from augpipe.storage.byte_range import bytes_of, read_place
from augpipe.storage.fs import below, children, place_of, row_name, walk_files
from augpipe.storage.tree import AnyPath

HEADS = ("imagesource", "gsd")
_LABEL_FOLDER = re.compile(r"labeltxt.*|annfiles", re.IGNORECASE)


@dataclass(frozen=True)
class DotaRow:
    """A row of a label file: eight numbers, of which any may be NaN, the class, and the difficulty if it is stated."""

    corners: tuple[float, ...]
    name: str
    difficulty: int | None


@dataclass(frozen=True)
class DotaReader:
    """Reads entries whose ``annotation`` is the :class:`Place` of a label file. ``ids`` is name → category id."""

    ids: Mapping[str, int]

    def annotations(self, entry: Entry) -> Annotations:
        data = read_place(entry.annotation)
        require_as_indexed(entry, data)
        require_small([data], b" \t\n", entry.file)
        heads, rows = parsed(data)
        found: list[ObjectRow] = []
        dropped: list[Dropped] = []
        notes: set[str] = set()
        for index, row in enumerate(rows):
            if row is None:
                notes.add("row-of-other-length")
                continue
            if row.name not in self.ids:
                raise bad_labels("unknown-class", entry.file, f"class '{one_line(row.name)}' is not known")
            made = _object(index, self.ids[row.name], row, notes)
            if made is None:
                dropped.append(Dropped(index, self.ids[row.name], "degenerate"))
            else:
                found.append(made)
        return Annotations(
            objects=objects_of(found), attributes=heads, dropped=tuple(dropped), notes=tuple(sorted(notes))
        )


def _object(index: int, category_id: int, row: DotaRow, notes: set[str]) -> ObjectRow | None:
    corners = np.array(row.corners).reshape(4, 2)
    if not (np.abs(corners) < FARTHEST).all():  # false for NaN too
        notes.add("row-not-numbers")
        return None
    x0, y0, x1, y1 = bounds_of(corners).tolist()
    if not (x0 < x1 and y0 < y1):
        return None
    plain = row.difficulty in (None, 0, 1)
    facts = ObjectAttributes(
        difficult=None if row.difficulty is None else int(row.difficulty != 0),
        attributes={} if plain else {"difficulty": row.difficulty},  # DOTA 2.0 has a third degree
    )
    return ObjectRow(index, category_id, (x0, y0, x1, y1), obb=corners, facts=facts)


def names_of(data: bytes) -> set[str]:
    """The classes of a label file; none of one that is too large, as reading will reject it."""
    try:
        require_small([data], b" \t\n", "")
    except Reject:
        return set()
    return {row.name for row in parsed(data)[1] if row is not None}


def parsed(data: bytes) -> tuple[dict[str, str], list[DotaRow | None]]:
    """(what the lines at the top say, rows) of a label file; ``None`` for a row that is none."""
    heads: dict[str, str] = {}
    rows: list[DotaRow | None] = []
    for raw in data.decode("utf-8-sig", "replace").splitlines():
        line = raw.strip()
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() in HEADS and not rows:
            heads[name.strip().lower()] = value.strip()
        elif line:
            rows.append(_row(line.split()))
    return heads, rows


def _row(tokens: list[str]) -> DotaRow | None:
    if len(tokens) not in (9, 10):
        return None
    difficulty = tokens[9] if len(tokens) == 10 else None
    if difficulty is not None and not difficulty.isdecimal():
        return None
    corners = tuple(map(_number, tokens[:8]))
    return DotaRow(corners, tokens[8], None if difficulty is None else int(difficulty[:9]))


def _number(token: str) -> float:
    try:
        return float(token) if "_" not in token else math.nan
    except ValueError:
        return math.nan


def label_folders(src: AnyPath) -> list[AnyPath]:
    """Folders of label files (``labelTxt``, ``labelTxt-v1.5``, ``annfiles``) in a source or in a folder of it."""
    if not src.is_dir():
        return []
    places = [src, *(child for child in children(src) if child.is_dir() and not child.name.startswith("."))]
    named = [place / name for place in places for name in names_in(place) if _LABEL_FOLDER.fullmatch(name)]
    return [folder for folder in named if folder.is_dir() and any(n.endswith(".txt") for n in walk_files(folder))]


def detect(source: Source) -> bool:
    """Whether there are folders of label files."""
    return bool(label_folders(source.where))


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index ``images/`` beside ``labelTxt/``, in the source or in a folder a split."""
    src, folders = source.where, label_folders(source.where)
    if not folders:
        raise DatasetError(f"{src}: no DOTA data; expected images/ beside labelTxt/*.txt, or such folders a split")
    names: set[str] = set()
    entries: list[Entry] = []
    unlabelled = 0
    for folder in folders:
        pictures = _pictures(folder.parent)
        stems = {os.path.splitext(name)[0]: name for name in pictures}
        used: set[str] = set()
        own = folder.parent.name if folder.parent != src else ""
        chosen = options.split is None or (own != "" and chosen_split(options.split, [own]) is not None)
        for file in (name for name in walk_files(folder) if name.endswith(".txt")):
            data = bytes_of(place_of(folder / file))
            names |= names_of(data)
            stem = os.path.splitext(file)[0]
            if chosen or (options.split is not None and _is_in(stem, options.split)):
                entry = _entry(src, folder, file, stems.get(stem), data)
                entries.append(entry._replace(split=known_split(own) or split_in(stem)))
            used.add(stem)
        unlabelled += sum(stem not in used for stem in stems)
    if options.split is not None and not entries:
        raise DatasetError(f"{src}: no split '{one_line(options.split)}'; expected a folder of that name")
    if any(entry.split for entry in entries):
        entries = [e if e.split else e._replace(split=_own_split(e.key, src, folders)) for e in entries]
    remarks = left_out(unlabelled, "picture", "without a label file")
    categories = categories_by_name(sorted(names))
    reader = DotaReader({c.name: c.id for c in categories})
    return Dataset.of("dota", src, categories, entries, reader, options, remarks)


def _is_in(stem: str, split: str) -> bool:
    """Whether a label file lies in the folder of a split."""
    top, below, _ = stem.partition("/")
    return bool(below) and chosen_split(split, [top]) is not None


def _own_split(key: str, src: AnyPath, folders: Sequence[AnyPath]) -> str:
    """The split of a picture beside others that are in train, val or test: its first folder, as DOTA has no lists."""
    parts = key.split("/")[:-1]
    whole = len(folders) == 1 and folders[0].parent == src
    named = [part for part in parts if whole or part != "images"]
    return named[0] if named else ""


def _pictures(place: AnyPath) -> list[str]:
    images = place / "images"
    return [name for name in walk_files(images) if is_picture(name)] if images.is_dir() else []


def _entry(src: AnyPath, folder: AnyPath, file: str, picture: str | None, data: bytes) -> Entry:
    """Keys start at ``images/`` of a source with one pair of folders, else at the source."""
    images = folder.parent / "images"
    path = images / (picture or os.path.splitext(file)[0] + ".png")
    key = below(path, images if folder.parent == src else src)
    shown = key if picture is None else row_name(folder / file, src)
    return Entry.at(key, path, place_of(folder / file), shown, digest_of(data))


def lines_of(heads: Mapping[str, str], rows: Iterable[DotaRow]) -> str:
    """The text of a label file."""
    lines = [f"{name}:{heads[name]}" for name in HEADS if name in heads]
    for row in rows:
        lines.append(" ".join([*map(repr, row.corners), row.name, str(row.difficulty or 0)]))
    return "".join(f"{line}\n" for line in lines)
