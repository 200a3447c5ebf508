"""Reading semantic masks: folders of pictures and of masks, joined by stem; the values that occur are the classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from augpipe.core.annotations import Annotations, Category, Raster
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, is_picture
from augpipe.formats.indexing import categories_in, digest_of, left_out, links_left_out, subfolders
from augpipe.formats.layout.splits import chosen_split, known_split, shown_splits, split_called, split_in
from augpipe.formats.limits import bad_labels
from augpipe.pixels.codec.image import bands
from augpipe.pixels.codec.label_png import decode_raster
from augpipe.storage.byte_range import bytes_of, read_place
from augpipe.storage.fs import below, place_of, row_name, walk_files
from augpipe.storage.tree import AnyPath

_MASK_ENDINGS = (".png", ".tif", ".tiff", ".bmp")
_PICTURE_FOLDERS = ("images", "imgs", "img_dir")
_MASK_FOLDERS = ("masks", "labels_png", "ann_dir", "annotations")
_OF_MASKS = ("annot", "_annot", "_masks", "_labels", "masks")
"""What follows the name of a split in that of the folder of its masks."""


@dataclass(frozen=True)
class MaskReader:
    """Reads entries whose ``annotation`` is the :class:`ByteRange` of a semantic mask.

    ``values`` maps values of masks to category ids where they differ, as in black-and-white masks.
    """

    values: Mapping[int, int]

    def annotations(self, entry: Entry) -> Annotations:
        raster = gray_of(decode_raster(read_place(entry.annotation), entry.file))
        if raster is None:
            raise bad_labels("bad-mask", entry.file, "the mask is colored; expected gray values or palette indexes")
        if self.values:
            raster = _replaced(raster, self.values)
        return Annotations(semantic=raster, size_wh=(raster.shape[1], raster.shape[0]))


def gray_of(raster: Raster) -> Raster | None:
    """A mask's values, also where gray was saved as RGB; ``None`` for colors, which stand for no number."""
    if raster.dtype != np.uint32:
        return raster
    gray = raster & 255
    return gray.astype(np.uint8) if np.array_equal(raster, gray * 0x010101) else None


def _replaced(raster: Raster, values: Mapping[int, int]) -> Raster:
    table = np.arange(int(np.iinfo(raster.dtype).max) + 1, dtype=raster.dtype)
    for before, after in values.items():
        table[before] = after
    out: Raster = table[raster]
    return out


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
    return [MaskFolders(split_called(name), path, masks) for name, path, masks in beside if masks is not None]


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
    return any(f.endswith(_MASK_ENDINGS) for f in files) and not any(f.endswith((".json", ".xml")) for f in files)


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
    for pair in pairs:
        stems = _masks_by_stem(pair.masks, found.links)
        digests, values = _survey(pair.masks, stems.values())
        found.values |= values
        _gather(pair, src, stems, digests, asked, found)
    categories, changed, remarks = _mask_categories(found.values, options, src)
    remarks += left_out(found.bare, "picture", "without a mask")
    remarks += links_left_out(found.links, src)
    remarks += left_out(found.alone, "mask", "without a picture")
    return Dataset.of("masks", src, categories, found.entries, MaskReader(changed), options, remarks)


@dataclass
class _Found:
    """What all folders have; ``bare`` counts pictures without a mask, ``alone`` masks without a picture."""

    entries: list[Entry] = field(default_factory=list)
    values: set[int] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    bare: int = 0
    alone: int = 0


def _masks_by_stem(masks: AnyPath, links: set[str]) -> dict[str, str]:
    contents: dict[str, str] = {}
    for file in (f for f in walk_files(masks, links) if f.lower().endswith(_MASK_ENDINGS)):
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


def _survey(masks: AnyPath, files: Iterable[str]) -> tuple[dict[str, bytes], set[int]]:
    """(digest of each mask, all values that occur)."""
    digests: dict[str, bytes] = {}
    values: set[int] = set()
    for file in files:
        data = bytes_of(place_of(masks / file))
        digests[file] = digest_of(data)
        values |= _values(data, file)
    return digests, values


def _stem(picture: str, masks: Mapping[str, str]) -> str:
    """The stem under which a picture's mask is listed, "" if it has none."""
    stem = os.path.splitext(picture)[0]
    return next((s for s in (stem, f"{stem}_mask", f"{stem}-mask") if s in masks), "")


def _values(data: bytes, file: str) -> set[int]:
    """The values that occur in a mask; a broken one is rejected when it is read."""
    try:
        raster = gray_of(decode_raster(data, file))
    except Reject:
        return set()
    return set() if raster is None else {int(v) for rows in bands(*raster.shape) for v in np.unique(raster[rows])}


def _mask_categories(
    values: set[int], options: SourceOptions, src: AnyPath
) -> tuple[tuple[Category, ...], dict[int, int], list[str]]:
    """(a category a value, values to change, remarks). ``--classes`` names the values 1..K by line."""
    changed: dict[int, int] = {}
    remarks = []
    if values in ({0, 255}, {255}):
        values, changed = {1}, {255: 1}
        remarks.append("the masks hold only 0 and 255: 255 is read as a class, 'foreground' (id 1), not as void")
    ids = sorted(values - {0, options.void})
    if options.classes is not None:
        named = categories_in(options.classes)
        beyond = [v for v in ids if v > len(named)]
        if beyond:
            message = f"lists {len(named)} names for the values from 1 on, but the masks hold {beyond[0]}"
            raise DatasetError(f"{options.classes}: {message}")
        return named, changed, remarks
    if changed:
        return (Category(id=1, label=1, name="foreground"),), changed, remarks
    return tuple(Category(id=v, label=k, name=f"class_{v}") for k, v in enumerate(ids, start=1)), changed, remarks
