"""The formats: a table of what is read, one of what is written, and finding out which one a source is.

Each format has a file that reads (and, where it is written, writes) it; the command line and the documentation are
made from the table below. A format's file is imported when a source may be of that format: one that is named needs no
other.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, SourceOptions, is_picture
from augpipe.formats.catalogue import READABLE, WRITABLE
from augpipe.formats.writer import DatasetWriter, Stage, Target, WriteOptions
from augpipe.storage import remote
from augpipe.storage.fs import start_of, walk_files
from augpipe.storage.resolve import COMPRESSED, ending_of, file_at, is_pattern, where_of
from augpipe.storage.tree import AnyPath, ArchivePath, Listed, only_folder

_MOST_NAMES = 10_000
_RUN_BYTES = 1 << 20


@dataclass(frozen=True)
class Source:
    """What a user has named, and where that is. A pattern or a pipe is no place, so ``where`` is its text's."""

    text: str
    where: AnyPath


@dataclass(frozen=True)
class Format:
    """One readable format: its name, what it looks like, whether a source looks so, and how to index it."""

    name: str
    looks_like: str
    recognises: Callable[[Source], bool]
    open: Callable[[Source, SourceOptions], Dataset]


def _is_voc(src: Source) -> bool:
    from augpipe.formats.voc import index

    roots = index.find_roots(src.where)
    if _is_tar(src) and _has_samples(src):
        # Pictures beside their XML are samples, whose labels are the same; a tree has them in folders of their own.
        return any(root.xml != root.pictures for root in roots)
    return bool(roots)


def _is_coco(src: Source) -> bool:
    from augpipe.formats.coco import index

    # A run of augpipe has records that are JSON too.
    own = src.where.is_dir() and b'"augpipe-run/' in start_of(src.where / "run.json", _RUN_BYTES)
    if own:
        return False
    groups = index.json_files(src.where)
    if groups and _is_tar(src) and _has_samples(src):
        from augpipe.formats.webdataset import read

        # A JSON beside a picture of its name is what that sample shows, also where it is written as COCO has it.
        return not all(read.is_of_sample(file) for files in groups.values() for file in files)
    return bool(groups)


def _is_tar(src: Source) -> bool:
    """Whether a source is a single tar, which holds samples or a tree of files."""
    return isinstance(src.where, ArchivePath) and ending_of(src.text) == ".tar"


def _has_samples(src: Source) -> bool:
    from augpipe.formats.webdataset import read

    return read.has_samples(src.where)


def _is_shards(src: Source) -> bool:
    if _is_tar(src):
        return _has_samples(src)
    named = src.text.startswith("pipe:") or src.text.endswith((".tar", *COMPRESSED)) or is_pattern(src.text)
    in_archive = isinstance(src.where, ArchivePath) and ending_of(src.text) == ".zip"
    return named or (src.where.is_dir() and not in_archive and any(src.where.glob("*.tar")))


def _is_yolo(src: Source) -> bool:
    from augpipe.formats.yolo import index

    return index.is_yolo(src.where)


def _is_dota(src: Source) -> bool:
    from augpipe.formats.dota import read

    return bool(read.label_folders(src.where))


def _is_masks(src: Source) -> bool:
    from augpipe.formats import folders

    return folders.mask_folders(src.where) is not None


def _is_imagefolder(src: Source) -> bool:
    if not src.where.is_dir() or _is_masks(src):
        return False
    from augpipe.formats import folders

    splits = folders.splits_of(src.where)
    return any(map(folders.looks_like_classes, splits.values() if splits else [src.where]))


def _opener(module: str, function: str) -> Callable[[Source, SourceOptions], Dataset]:
    def opened(src: Source, options: SourceOptions) -> Dataset:
        found: Dataset = getattr(import_module(f"augpipe.formats.{module}"), function)(src.where, options)
        return found

    return opened


def _open_shards(src: Source, options: SourceOptions) -> Dataset:
    from augpipe.formats.webdataset import read

    return read.open_shards(src.text, options, src.where)


_READERS: dict[str, tuple[Callable[[Source], bool], Callable[[Source, SourceOptions], Dataset]]] = {
    "voc": (_is_voc, _opener("voc.index", "open_voc")),
    "coco": (_is_coco, _opener("coco.index", "open_coco")),
    "yolo": (_is_yolo, _opener("yolo.index", "open_yolo")),
    "dota": (_is_dota, _opener("dota.read", "open_dota")),
    "shards": (_is_shards, _open_shards),
    "masks": (_is_masks, _opener("folders", "open_masks")),
    "imagefolder": (_is_imagefolder, _opener("folders", "open_imagefolder")),
}

FORMATS: dict[str, Format] = {name: Format(name, known.looks_like, *_READERS[name]) for name, known in READABLE.items()}


def recognised(src: str) -> list[str]:
    """Names of the formats that a source can be read as."""
    return _reading(_source(src))[1]


def _source(src: str) -> Source:
    if is_pattern(src) or src.startswith("pipe:"):
        return Source(src, Path(src))
    return Source(src, where_of(src))


def _folders(source: Source) -> Iterator[Source]:
    """The source, and in an archive the folder that holds everything, and the one in that."""
    where: AnyPath | None = source.where
    while where is not None:
        yield replace(source, where=where)
        where = only_folder(where) if isinstance(where, ArchivePath) and where.is_dir() else None


def _recognised(src: Source) -> list[str]:
    found = [f.name for f in FORMATS.values() if f.recognises(src)]
    # A folder of pictures beside annotations is not a class; only where nothing else fits are folders classes.
    return found[:-1] if len(found) > 1 and found[-1] == "imagefolder" else found


def open_dataset(src: str | os.PathLike[str], options: SourceOptions | None = None) -> Dataset:
    """Index a source of any format.

    Args:
        src: a file, a folder, or a brace pattern of tars.
        options: how to read it; ``options.format`` decides where two readings are possible.

    Raises:
        DatasetError: nothing there, no format that fits, two that do, or something that the system cannot read.
    """
    src = os.fspath(src)
    try:
        return _opened(src, options or SourceOptions())
    except MemoryError as error:
        raise DatasetError(f"{one_line(src)}: not enough memory to look through it; nothing was done") from error
    except OSError as error:
        file = one_line(error.filename or remote.shown(src))
        mend = (
            "see that the server has it and answers"
            if remote.is_url(src)
            else ("mend the disk or the rights, or take it out of the source")
        )
        why = error.strerror or one_line(error)
        raise DatasetError(f"{file}: cannot be read: {why}\n{mend}, and run the same command again") from error


def _opened(src: str, options: SourceOptions) -> Dataset:
    name, _, kind = (options.format or "").partition(":")
    if options.format is not None and (name not in FORMATS or (kind and name != "yolo")):
        raise DatasetError(f"unknown format '{one_line(options.format)}'; known are {', '.join(FORMATS)}")
    needs_tree = not (name == "shards" and ending_of(src) == ".tar")
    source = _source(src) if needs_tree else Source(src, file_at(src))
    if not is_pattern(src) and not src.startswith("pipe:") and not source.where.exists():
        raise DatasetError(f"{one_line(remote.shown(src))}: no such file or folder")
    if options.format is not None:
        return _with_remarks(source, _open_as(FORMATS[name], source, options))
    inner, names = _reading(source)
    shown = one_line(remote.shown(src))
    if not names:
        raise DatasetError(
            f"{shown}: no dataset that is known; expected Pascal VOC (Annotations/), COCO (.json), YOLO (data.yaml), "
            f"DOTA (labelTxt/), tar shards, images/ with masks/, or a folder a class{_advice(source.where)}"
        )
    if len(names) > 1:
        raise DatasetError(f"{shown}: can be read as {' or as '.join(names)}; choose with --from")
    return _with_remarks(source, FORMATS[names[0]].open(inner, options))


def _with_remarks(source: Source, dataset: Dataset) -> Dataset:
    """The dataset with what there was to say of its archive."""
    tree = source.where.tree if isinstance(source.where, ArchivePath) else None
    if not isinstance(tree, Listed) or dataset.format == "shards":
        return dataset
    return replace(dataset, remarks=(*tree.remarks, *dataset.remarks))


def _open_as(format: Format, src: Source, options: SourceOptions) -> Dataset:
    inner = next((folder for folder in _folders(src) if format.recognises(folder)), src)
    try:
        return format.open(inner, options)
    except DatasetError as error:
        others = [] if format.recognises(inner) else _reading(src)[1]
        if not others:
            raise
        raise DatasetError(f"{error}\nit can be read as {' or as '.join(others)}") from error


def _reading(src: Source) -> tuple[Source, list[str]]:
    """(the source, or the folder of its archive that is one; names of its formats). A tar may always be shards."""
    for folder in _folders(src):
        if names := _recognised(folder):
            return folder, names
    return src, ["shards"] if _is_tar(src) else []


def _advice(src: AnyPath) -> str:
    """A second line for what users bring that is not read: what it looks like, and the way out."""
    if isinstance(src, ArchivePath):
        names: Iterable[str] = (name for path in walk_files(src) for name in path.split("/"))
    else:
        names = [src.name] if src.is_file() else (f for _, folders, files in os.walk(src) for f in (*folders, *files))
    lower = [name.lower() for name in itertools.islice(names, _MOST_NAMES)]

    def there(*endings: str) -> bool:
        return any(name.endswith(endings) for name in lower)

    if there(".zip", ".tar"):
        return "\nthere is an archive; name it as SRC, or unpack it first"
    if there(*COMPRESSED):
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


# --- writing ---------------------------------------------------------------------------------------------------------


def _target(name: str, module: str) -> Target:
    def start(dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
        writer: DatasetWriter = import_module(module).open_writer(dataset, stage, options)
        return writer

    return Target(WRITABLE[name], start)


WRITERS: Mapping[str, Target] = {
    name: _target(name, f"augpipe.formats.{name}.write") for name in ("coco", "voc", "yolo", "dota")
}
