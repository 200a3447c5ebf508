"""Reading semantic masks: ``images/`` and ``masks/``, joined by stem; the values that occur are the classes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from augpipe.core.annotations import Annotations, Category, Raster
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, is_picture
from augpipe.formats.indexing import categories_by_name, digest_of, left_out, links_left_out, subfolders
from augpipe.formats.limits import bad_labels
from augpipe.pixels.codec.image import bands
from augpipe.pixels.codec.label_png import decode_raster
from augpipe.storage.byte_range import bytes_of, read_place
from augpipe.storage.fs import place_of, row_name, walk_files
from augpipe.storage.tree import AnyPath

_MASK_ENDINGS = (".png", ".tif", ".tiff", ".bmp")


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


def mask_folders(src: AnyPath) -> tuple[AnyPath, AnyPath] | None:
    """(pictures, masks) if ``src`` has the two folders."""
    folders = {name.lower(): path for name, path in subfolders(src).items()}
    pictures = folders.get("images") or folders.get("imgs")
    masks = folders.get("masks") or folders.get("labels_png")
    return (pictures, masks) if pictures and masks else None


def detect(source: Source) -> bool:
    """Whether there are folders of pictures and of masks."""
    return mask_folders(source.where) is not None


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index ``images/`` and ``masks/``, joined by stem; the values that occur become the classes.

    A split is a folder in both. The values of all masks count, so that splits have the same classes.
    """
    src, folders = source.where, mask_folders(source.where)
    if folders is None:
        raise DatasetError(f"{src}: expected the folders images/ and masks/")
    pictures, masks = folders
    prefix = f"{options.split}/" if options.split else ""
    if not (pictures / prefix).is_dir() or not (masks / prefix).is_dir():
        raise DatasetError(f"{src}: no split '{one_line(options.split or '')}' in images/ and masks/")
    contents: dict[str, str] = {}
    links: set[str] = set()
    for file in (f for f in walk_files(masks, links) if f.lower().endswith(_MASK_ENDINGS)):
        other = contents.setdefault(os.path.splitext(file)[0], file)
        if other != file:
            shown = f"{one_line(other)} and {one_line(file)}"
            raise DatasetError(f"{masks}: two masks for one picture, {shown}; remove one")
    digests, values = _survey(masks, contents.values())
    categories, changed, remarks = _mask_categories(values, options, src)
    entries, used, without = [], set(), 0
    for picture in (f for f in walk_files(pictures, links) if is_picture(f) and f.startswith(prefix)):
        mask = contents.get(_stem(picture, contents))
        if mask is None:
            without += 1
            continue
        used.add(mask)
        key, shown = picture.removeprefix(prefix), row_name(masks / mask, src)
        entries.append(Entry.listed(key, pictures / picture, place_of(masks / mask), shown, digests[mask]))
    remarks += left_out(without, "picture", "without a mask")
    remarks += links_left_out(links, src)
    alone = sum(mask.startswith(prefix) and mask not in used for mask in contents.values())
    remarks += left_out(alone, "mask", "without a picture")
    return Dataset.of("masks", src, categories, entries, MaskReader(changed), options, remarks)


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
        named = categories_by_name((), options, src)
        beyond = [v for v in ids if v > len(named)]
        if beyond:
            message = f"lists {len(named)} names for the values from 1 on, but the masks hold {beyond[0]}"
            raise DatasetError(f"{options.classes}: {message}")
        return named, changed, remarks
    if changed:
        return (Category(id=1, label=1, name="foreground"),), changed, remarks
    return tuple(Category(id=v, label=k, name=f"class_{v}") for k, v in enumerate(ids, start=1)), changed, remarks
