"""Reading a folder a class: the name of a picture's folder is its one tag."""

from __future__ import annotations

import os
from dataclasses import dataclass

from augpipe.core.annotations import Annotations
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, Entry, Source, SourceOptions, is_picture
from augpipe.formats.indexing import categories_by_name, digest_of, left_out, links_left_out, subfolders
from augpipe.formats.layout.splits import chosen_split, known_split, shown_splits, split_called
from augpipe.storage.fs import below, names_of, row_name, walk_files
from augpipe.storage.tree import AnyPath

_NO_CLASSES = frozenset(
    {"images", "imgs", "img", "jpegimages", "masks", "labels", "annotations", "annotation", "segmentationclass"}
)
_SHOWN_ENDINGS = 5
_OTHER_FORMATS = (".xml", ".json", ".yaml", ".yml", ".names", ".data")


@dataclass(frozen=True)
class TagReader:
    """Reads entries whose ``annotation`` is the class name."""

    def annotations(self, entry: Entry) -> Annotations:
        return Annotations(tags=(entry.annotation,))


def class_folders(src: AnyPath, links: set[str] | None = None) -> dict[str, list[str]]:
    """Class name → pictures in its folder, relative to ``src``; empty unless every folder holds pictures."""
    out: dict[str, list[str]] = {}
    for name, folder in subfolders(src).items():
        pictures = [f"{name}/{f}" for f in walk_files(folder, links) if is_picture(f)]
        if pictures:
            out[name] = pictures
    return out


def looks_like_classes(src: AnyPath) -> bool:
    """Whether folders of pictures are likely classes: two or more of them, and nothing that says otherwise."""
    folders = subfolders(src)
    if any(name.lower() in _NO_CLASSES for name in folders) or _any_ending(src, _OTHER_FORMATS):
        return False
    if any(_any_ending(folder, (*_OTHER_FORMATS, ".txt")) for folder in folders.values()):
        return False  # a label file a picture, as YOLO has them; beside the folders it is a licence or a list
    return sum(any(map(is_picture, names_of(folder))) for folder in folders.values()) > 1


def _any_ending(folder: AnyPath, endings: tuple[str, ...]) -> bool:
    return any(name.lower().endswith(endings) for name in names_of(folder))


def splits_of(src: AnyPath) -> dict[str, AnyPath]:
    """Split folders of a source that is divided into train, val, test."""
    folders = subfolders(src)
    return folders if all(known_split(name) or name.lower() == "trainval" for name in folders) else {}


def detect(source: Source) -> bool:
    """Whether folders of pictures are likely classes, in the source or in its splits."""
    splits = splits_of(source.where)
    return source.where.is_dir() and any(map(looks_like_classes, splits.values() if splits else [source.where]))


def open_source(source: Source, options: SourceOptions) -> Dataset:
    """Index ``root/CLASS/*.jpg``, or ``root/SPLIT/CLASS/*.jpg`` with a split."""
    src, splits = source.where, splits_of(source.where)
    parts = {"": src}
    if options.split is not None:
        if (chosen := chosen_split(options.split, splits)) is None:
            raise DatasetError(f"{src}: no split '{one_line(options.split)}'; there are {shown_splits(splits)}")
        parts = {chosen: splits[chosen]}
    elif splits:
        parts = splits
    names = {name for folder in (splits or parts).values() for name in class_folders(folder)}
    categories = categories_by_name(sorted(names))
    links: set[str] = set()
    root = src if len(parts) > 1 else next(iter(parts.values()))
    entries = [
        Entry.listed(
            below(path, root),
            path,
            name,
            row_name(path, root),
            digest_of(name.encode("utf-8", "surrogateescape")),
            split_called(split),
        )
        for split, part in parts.items()
        for name, pictures in class_folders(part, links).items()
        for path in (part / relative for relative in pictures)
    ]
    remarks = [*(r for part in parts.values() for r in _left_out(part)), *links_left_out(links, src)]
    return Dataset.of("imagefolder", src, categories, entries, TagReader(), options, remarks)


def _left_out(root: AnyPath) -> list[str]:
    """Sentences about what lies in and beside the class folders and is not read; a user may miss it."""
    files = [f for name, folder in subfolders(root).items() for f in walk_files(folder) if not is_picture(f)]
    beside = sum(is_picture(c.name) and c.is_file() and not c.name.startswith(".") for c in root.iterdir())
    endings = sorted({os.path.splitext(f)[1].lower() or "none" for f in files})
    shown = one_line(", ".join(endings[:_SHOWN_ENDINGS]), 100) + (" …" if len(endings) > _SHOWN_ENDINGS else "")
    return [
        *left_out(len(files), "file", f"without the ending of a picture ({shown})"),
        *left_out(beside, "picture", "beside the class folders"),
    ]
