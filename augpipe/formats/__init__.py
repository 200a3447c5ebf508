"""Formats: a table of what can be read, and finding out which one a source is.

Each format has a file that reads (and, where it is written, writes) it; the command line and the documentation are
made from the table below.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from augpipe.catalogue import READABLE
from augpipe.errors import DatasetError, one_line
from augpipe.formats import coco_index, dota, folders, shards, tar_index, voc_index, yolo_index
from augpipe.formats.base import Dataset, SourceOptions, is_absent, is_picture

__all__ = ["FORMATS", "Dataset", "Format", "SourceOptions", "open_dataset", "recognised"]


_MOST_NAMES = 10_000


@dataclass(frozen=True)
class Format:
    """One readable format: its name, what it looks like, whether a source looks so, and how to index it."""

    name: str
    looks_like: str
    recognises: Callable[[str], bool]
    open: Callable[[str, SourceOptions], Dataset]


def _is_voc(src: str) -> bool:
    return bool(voc_index.find_roots(Path(src)))


def _is_coco(src: str) -> bool:
    return not _is_own(Path(src)) and bool(coco_index.json_files(Path(src)))


def _is_own(folder: Path) -> bool:
    """Whether a folder is a run of augpipe, whose records are JSON too."""
    try:
        return b'"augpipe-run/' in (folder / "run.json").read_bytes()
    except OSError as error:
        if is_absent(error):
            return False
        raise


def _is_shards(src: str) -> bool:
    named = src.startswith("pipe:") or src.endswith((".tar", *tar_index.COMPRESSED)) or tar_index.is_pattern(src)
    return named or (Path(src).is_dir() and any(Path(src).glob("*.tar")))


def _is_masks(src: str) -> bool:
    return folders.mask_folders(Path(src)) is not None


def _is_imagefolder(src: str) -> bool:
    path = Path(src)
    if not path.is_dir() or _is_masks(src):
        return False
    splits = folders.splits_of(path)
    return any(map(folders.looks_like_classes, splits.values() if splits else [path]))


_READERS: dict[str, tuple[Callable[[str], bool], Callable[[str, SourceOptions], Dataset]]] = {
    "voc": (_is_voc, lambda src, options: voc_index.open_voc(Path(src), options)),
    "coco": (_is_coco, lambda src, options: coco_index.open_coco(Path(src), options)),
    "yolo": (lambda src: yolo_index.is_yolo(Path(src)), lambda src, options: yolo_index.open_yolo(Path(src), options)),
    "dota": (
        lambda src: bool(dota.label_folders(Path(src))),
        lambda src, options: dota.open_dota(Path(src), options),
    ),
    "shards": (_is_shards, shards.open_shards),
    "masks": (_is_masks, lambda src, options: folders.open_masks(Path(src), options)),
    "imagefolder": (_is_imagefolder, lambda src, options: folders.open_imagefolder(Path(src), options)),
}

FORMATS: dict[str, Format] = {name: Format(name, known.looks_like, *_READERS[name]) for name, known in READABLE.items()}


def recognised(src: str) -> list[str]:
    """Names of the formats that a source can be read as."""
    found = [f.name for f in FORMATS.values() if f.recognises(src)]
    # A folder of pictures beside annotations is not a class; only where nothing else fits are folders classes.
    return found[:-1] if len(found) > 1 and found[-1] == "imagefolder" else found


def open_dataset(src: str, options: SourceOptions | None = None) -> Dataset:
    """Index a source of any format.

    Args:
        src: a file, a folder, or a brace pattern of tars.
        options: how to read it; ``options.format`` decides where two readings are possible.

    Raises:
        DatasetError: nothing there, no format that fits, two that do, or something that the system cannot read.
    """
    try:
        return _opened(src, options or SourceOptions())
    except MemoryError as error:
        raise DatasetError(f"{one_line(src)}: not enough memory to look through it; nothing was done") from error
    except OSError as error:
        raise DatasetError(
            f"{one_line(error.filename or src)}: cannot be read: {error.strerror or one_line(error)}\n"
            "mend the disk or the rights, or take it out of the source, and run the same command again"
        ) from error


def _opened(src: str, options: SourceOptions) -> Dataset:
    if not tar_index.is_pattern(src) and not src.startswith("pipe:") and not Path(src).exists():
        raise DatasetError(f"{one_line(src)}: no such file or folder")
    if options.format is not None:
        name, _, kind = options.format.partition(":")
        if name not in FORMATS or (kind and name != "yolo"):
            raise DatasetError(f"unknown format '{one_line(options.format)}'; known are {', '.join(FORMATS)}")
        return _open_as(FORMATS[name], src, options)
    names = recognised(src)
    if not names:
        raise DatasetError(
            f"{one_line(src)}: no dataset that is known; expected Pascal VOC (Annotations/), COCO (.json), YOLO "
            f"(data.yaml), DOTA (labelTxt/), tar shards, images/ with masks/, or a folder a class{_advice(Path(src))}"
        )
    if len(names) > 1:
        raise DatasetError(f"{one_line(src)}: can be read as {' or as '.join(names)}; choose with --from")
    return FORMATS[names[0]].open(src, options)


def _open_as(format: Format, src: str, options: SourceOptions) -> Dataset:
    try:
        return format.open(src, options)
    except DatasetError as error:
        others = [] if format.recognises(src) else recognised(src)
        if not others:
            raise
        raise DatasetError(f"{error}\nit can be read as {' or as '.join(others)}") from error


def _advice(src: Path) -> str:
    """A second line for what users bring that is not read: what it looks like, and the way out."""
    names = [src.name] if src.is_file() else (f for _, folders, files in os.walk(src) for f in (*folders, *files))
    lower = [name.lower() for name in itertools.islice(names, _MOST_NAMES)]

    def there(*endings: str) -> bool:
        return any(name.endswith(endings) for name in lower)

    if there(".zip", *tar_index.COMPRESSED):
        return "\nthere is an archive; unpack it first"
    if there("data.yaml", ".names") or ("labels" in lower and there(".txt")):
        return "\nit looks like YOLO; expected a data.yaml with train or val and names, or images/ beside labels/*.txt"
    if there(".xml"):
        return "\nthe XML files are not Pascal VOC (no <annotation>); export them as COCO or Pascal VOC"
    if src.is_dir() and not lower:
        return "\nthe folder is empty"
    if any(map(is_picture, lower)):
        return "\nthere are pictures, but no labels that are known; a folder a class is read with --from imagefolder"
    return ""
