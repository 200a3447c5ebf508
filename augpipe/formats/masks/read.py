"""Finding semantic masks: folders of pictures and of masks, joined by stem, and their classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, is_picture
from augpipe.formats.indexing import digest_of, left_out, links_left_out, subfolders
from augpipe.formats.layout.splits import chosen_split, known_split, shown_splits, split_called, split_in
from augpipe.formats.masks.classes import MaskTable, classes_of, table_beside
from augpipe.formats.masks.pairs import MASK_ENDINGS, TABLE, holds_both, is_beside, named_pairs, names_in_table
from augpipe.formats.masks.reader import MaskReader, numbers_in
from augpipe.pixels.codec.image import bands
from augpipe.storage.byte_range import bytes_of
from augpipe.storage.fs import below, place_of, row_name, walk_files
from augpipe.storage.tree import AnyPath

_PICTURE_FOLDERS = ("images", "imgs", "img_dir")
_MASK_FOLDERS = ("masks", "labels_png", "ann_dir", "annotations")
_OF_MASKS = ("annot", "_annot", "_masks", "_labels", "masks")
"""What follows the name of a split in that of the folder of its masks."""


class MaskFolders(NamedTuple):
    """A folder of pictures and that of their masks; ``split`` is "" where folders of splits lie in both, or none."""

    split: str
    pictures: AnyPath
    masks: AnyPath


def mask_folders(src: AnyPath) -> list[MaskFolders]:
    """The pairs of folders of a source: ``images/`` and ``masks/`` in it or in folders of splits, or pairs such as
    ``train/`` and ``trainannot/``."""
    if (pair := _pair_in(src, "")) is not None:
        return [pair]
    folders = subfolders(src)
    splits = {name: path for name, path in folders.items() if known_split(name) is not None}
    pairs = [pair for name, path in splits.items() if (pair := _pair_in(path, name)) is not None]
    if pairs:
        return pairs
    lower = {name.lower(): path for name, path in folders.items()}
    beside = ((name, path, next((lower[n] for e in _OF_MASKS if (n := f"{name.lower()}{e}") in lower), None))
              for name, path in splits.items())  # fmt: skip
    pairs = [MaskFolders(split_called(name), path, masks) for name, path, masks in beside if masks is not None]
    pairs = pairs or [MaskFolders(*pair) for pair in named_pairs(folders)]
    mixed = {split_called(name): path for name, path in splits.items() if holds_both(path)} if splits else {"": src}
    return pairs or [MaskFolders(split, path, path) for split, path in mixed.items() if splits or holds_both(path)]


def _pair_in(place: AnyPath, split: str) -> MaskFolders | None:
    folders = {name.lower(): path for name, path in subfolders(place).items()}
    pictures = next((folders[name] for name in _PICTURE_FOLDERS if name in folders), None)
    masks = next((folders[name] for name in _MASK_FOLDERS if name in folders and _holds_masks(folders[name])), None)
    return None if pictures is None or masks is None else MaskFolders(split_called(split), pictures, masks)


def _holds_masks(folder: AnyPath) -> bool:
    """Whether a folder is for masks: ``annotations/`` may also hold XML or JSON, beside which PNGs are theirs."""
    if folder.name.lower() != "annotations":
        return True
    files = [file.lower() for file in walk_files(folder)]
    return any(f.endswith(MASK_ENDINGS) for f in files) and not any(f.endswith((".json", ".xml")) for f in files)


def detect(source: Source) -> bool:
    """Whether there are folders of pictures and of masks."""
    return bool(mask_folders(source.where))


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index folders of pictures and masks, joined by stem; the values that occur become the classes.

    The values of all masks count, so that splits have the same classes.
    """
    src, pairs = source.where, mask_folders(source.where)
    if not pairs:
        raise DatasetError(f"{src}: expected the folders images/ and masks/")
    there = {pair.split or name for pair in pairs for name in ([] if pair.split else subfolders(pair.pictures))}
    there |= {pair.split for pair in pairs if pair.split}
    asked = None if options.split is None else chosen_split(options.split, there)
    if options.split is not None and asked is None:
        raise DatasetError(f"{src}: no split '{one_line(options.split)}'; there are {shown_splits(there)}")
    found = _Found()
    table, told = table_beside(src, options)
    for pair in pairs:
        stems = _masks_by_stem(pair.masks, found.links)
        if pair.masks == pair.pictures:
            stems = {stem: file for stem, file in stems.items() if is_beside(file)}
            found.names |= names_in_table(pair.masks)
        digests = _survey(pair.masks, stems.values(), table, found)
        _gather(pair, src, stems, digests, asked, found)
    if found.names and not table.names and options.classes is None:
        table = MaskTable(TABLE, {v: name for v, name in found.names.items() if v not in (0, options.void)})
    classes = classes_of(found.values, table, found.colored, options, src)
    remarks = [*told, *classes.remarks]
    remarks += left_out(found.bare, "picture", "without a mask")
    remarks += links_left_out(found.links, src)
    remarks += left_out(found.alone, "mask", "without a picture")
    reader = MaskReader(classes.changed, table.colors)
    return Dataset.of("masks", src, classes.categories, found.entries, reader, options, remarks)


@dataclass
class _Found:
    """What all folders have; ``bare`` counts pictures without a mask, ``alone`` masks without a picture; ``colored`` is
    whether a mask has colors of the table, ``names`` are classes by value, where a table lies beside the masks."""

    entries: list[Entry] = field(default_factory=list)
    values: set[int] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    bare: int = 0
    alone: int = 0
    colored: bool = False
    names: dict[int, str] = field(default_factory=dict)


def _masks_by_stem(masks: AnyPath, links: set[str]) -> dict[str, str]:
    contents: dict[str, str] = {}
    for file in (f for f in walk_files(masks, links) if f.lower().endswith(MASK_ENDINGS)):
        other = contents.setdefault(os.path.splitext(file)[0], file)
        if other != file:
            shown = f"{one_line(other)} and {one_line(file)}"
            raise DatasetError(f"{masks}: two masks for one picture, {shown}; remove one")
    return contents


def _gather(
    pair: MaskFolders, src: AnyPath, contents: Mapping[str, str], digests: Mapping[str, bytes], asked: str | None,
    found: _Found,
) -> None:  # fmt: skip
    """The entries of one pair of folders, of the split that is asked for. Keys begin where splits do."""
    if asked is not None and pair.split not in ("", asked):
        return
    prefix = f"{asked}/" if asked is not None and not pair.split else ""
    start = below(pair.pictures, src) + "/" if pair.split and asked is None else ""
    used = set()
    for picture in (f for f in walk_files(pair.pictures, found.links) if is_picture(f) and f.startswith(prefix)):
        if pair.masks == pair.pictures and is_beside(picture):
            continue
        mask = contents.get(_stem(picture, contents))
        if mask is None:
            found.bare += 1
            continue
        used.add(mask)
        key, shown = start + picture.removeprefix(prefix), row_name(pair.masks / mask, src)
        split = pair.split or (split_called(asked) if asked is not None else split_in(picture))
        place = place_of(pair.masks / mask)
        found.entries.append(Entry.listed(key, pair.pictures / picture, place, shown, digests[mask], split))
    found.alone += sum(mask.startswith(prefix) and mask not in used for mask in contents.values())


def _survey(masks: AnyPath, files: Iterable[str], table: MaskTable, found: _Found) -> dict[str, bytes]:
    """The digest of each mask; adds the values that occur. A broken mask is rejected when it is read."""
    digests: dict[str, bytes] = {}
    for file in files:
        data = bytes_of(place_of(masks / file))
        digests[file] = digest_of(data)
        try:
            raster, by_color = numbers_in(data, file, table.colors)
        except Reject:
            continue
        found.colored |= by_color
        found.values |= {int(v) for rows in bands(*raster.shape) for v in np.unique(raster[rows])}
    return digests


def _stem(picture: str, masks: Mapping[str, str]) -> str:
    """The stem under which a picture's mask is listed, "" if it has none."""
    stem = os.path.splitext(picture)[0]
    return next((s for s in (stem, f"{stem}_mask", f"{stem}-mask") if s in masks), "")
