"""Finding out which format a source has, and opening it.

The formats themselves are listed in :mod:`augpipe.formats.catalogue`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from augpipe.core.errors import DatasetError, UsageError, one_line
from augpipe.formats.base import Dataset, Source, SourceOptions, is_picture, plural
from augpipe.formats.catalogue import FORMATS
from augpipe.formats.class_choice import as_asked
from augpipe.formats.format import Format
from augpipe.formats.layout.parted import plain_name
from augpipe.formats.layout.splits import shown_splits
from augpipe.formats.signatures import Signature, signature_of
from augpipe.formats.wrappers.sizes import with_sizes
from augpipe.storage import remote
from augpipe.storage.fs import walk_files
from augpipe.storage.patience import waited
from augpipe.storage.resolve import COMPRESSED, ending_of, file_at, is_pattern, require_possible, where_of
from augpipe.storage.tree import AnyPath, ArchivePath, Listed, only_folder

_MOST_NAMES = 10_000


def recognised(src: str) -> list[str]:
    """Names of the formats that a source can be read as."""
    return _reading(_source(src))[1]


def open_dataset(src: str | os.PathLike[str], options: SourceOptions | None = None) -> Dataset:
    """Index a source of any format.

    Args:
        src: a file, a folder, or a brace pattern of tars.
        options: how to read it; ``options.format`` decides where two readings are possible.

    Raises:
        DatasetError: nothing there, no format that fits, two that do, or something that the system cannot read.
    """
    src = os.fspath(src)
    before = waited()
    try:
        options = options or SourceOptions()
        dataset = _parted(with_sizes(as_asked(_opened(src, options)), options.size_mismatch))
        if dataset.options.crowds != "keep" and not dataset.format.startswith("coco"):
            raise DatasetError(f"{one_line(remote.shown(src))}: --crowds is for COCO, this is {dataset.format}")
    except MemoryError as error:
        raise DatasetError(f"{one_line(src)}: not enough memory to look through it; nothing was done") from error
    except OSError as error:
        file = one_line(error.filename or remote.shown(src))
        mend = "mend the disk or the rights, or take it out of the source"
        if remote.is_url(src):
            mend = "see that the server has it and answers"
        why = error.strerror or one_line(error)
        raise DatasetError(f"{file}: cannot be read: {why}\n{mend}, and run the same command again") from error
    waits = waited().since(before)
    if waits.times:
        said = f"the server asked to wait {plural(waits.times, 'time')}, {waits.seconds:,.0f} s in all"
        dataset = replace(dataset, remarks=(*dataset.remarks, said))
    return dataset


def _parted(dataset: Dataset) -> Dataset:
    """The dataset in the splits that the options ask for; raises ``UsageError`` where it cannot be parted."""
    parting = dataset.options.parting
    if parting is None:
        return dataset
    parting.check()
    if dataset.options.split is not None:
        raise UsageError("--val and --test part a whole set, --split takes one split of it; choose one")
    if set(dataset.splits) not in ({""}, {"train"}):
        raise UsageError(
            f"{one_line(dataset.root)}: has splits already ({shown_splits(filter(None, dataset.splits))}); "
            "--val and --test part sets without\nleave them out; --augment-split and --pass-split choose among splits"
        )
    splits = parting.splits_of(plain_name(entry.key, entry.split) for entry in dataset.entries)
    for name in ("train", *(["val"] if parting.val else []), *(["test"] if parting.test else [])):
        if name not in splits:
            raise UsageError(
                f"{one_line(dataset.root)}: of {plural(len(splits), 'picture')} none would be in {name}; "
                "choose other shares with --val and --test, or groups that are smaller"
            )
    entries = [entry._replace(split=split) for entry, split in zip(dataset.entries, splits, strict=True)]
    return replace(dataset, entries=entries)


def _source(src: str) -> Source:
    if is_pattern(src) or src.startswith("pipe:"):
        return Source(src, Path(src))
    return Source(src, where_of(src))


def _asked_format(options: SourceOptions) -> Format | None:
    """The format that the options name, as ``NAME`` or ``NAME:KIND``."""
    if options.format is None:
        return None
    name, _, kind = options.format.partition(":")
    format = FORMATS.get(name)
    if format is None or (kind and not format.kinds):
        raise DatasetError(f"unknown format '{one_line(options.format)}'; known are {', '.join(FORMATS)}")
    if kind and kind not in format.kinds:
        raise DatasetError(f"unknown kind '{name}:{one_line(kind, 40)}'; known are {', '.join(format.kinds)}")
    return format


def _opened(src: str, options: SourceOptions) -> Dataset:
    asked = _asked_format(options)
    for named in (src, options.images):
        if named is not None:
            require_possible(os.fspath(named))
    needs_tree = asked is None or not asked.reads_archives or ending_of(src) != ".tar"
    source = _source(src) if needs_tree else Source(src, file_at(src))
    if not is_pattern(src) and not src.startswith("pipe:") and not source.where.exists():
        raise DatasetError(f"{one_line(remote.shown(src))}: no such file or folder")
    if asked is not None:
        return _with_remarks(source, asked, _open_as(asked, source, options))
    inner, names = _reading(source)
    shown = one_line(remote.shown(src))
    if not names and (like := signature_of(source.where)) is not None:
        raise DatasetError(f"{shown}: {_named(like)}")
    if not names:
        *most, last = (f.looks_like for f in FORMATS.values())
        expected = f"expected {', '.join(most)}, or {last}{_advice(source.where)}"
        raise DatasetError(f"{shown}: no dataset that is known; {expected}")
    if len(names) > 1:
        raise DatasetError(f"{shown}: can be read as {' or as '.join(names)}; choose with --from")
    format = FORMATS[names[0]]
    return _with_remarks(source, format, format.open(inner, options))


def _open_as(format: Format, source: Source, options: SourceOptions) -> Dataset:
    inner = next((folder for folder in _folders(source) if format.detect(folder)), source)
    try:
        return format.open(inner, options)
    except DatasetError as error:
        others = [] if format.detect(inner) else [name for name in _reading(source)[1] if name != format.name]
        like = None if others or format.detect(inner) else signature_of(source.where)
        if like is not None:
            raise DatasetError(f"{str(error).splitlines()[0]}\n{_named(like)}") from error
        if not others:
            raise
        raise DatasetError(f"{error}\nit can be read as {' or as '.join(others)}") from error


def _with_remarks(source: Source, format: Format, dataset: Dataset) -> Dataset:
    """The dataset with the remarks of listing its archive, unless the reader has listed it itself."""
    tree = source.where.tree if isinstance(source.where, ArchivePath) else None
    if not isinstance(tree, Listed) or format.reads_archives:
        return dataset
    return replace(dataset, remarks=(*tree.remarks, *dataset.remarks))


def _reading(source: Source) -> tuple[Source, list[str]]:
    """(the source, or the folder of its archive that holds the dataset; names of its formats)."""
    for folder in _folders(source):
        if names := _detected(folder):
            return folder, names
    if source.is_tar:
        return source, [f.name for f in FORMATS.values() if f.reads_archives]
    named = source.where.suffix == ".json" and source.where.is_file() and signature_of(source.where) is None
    return source, ["coco"] if named else []  # whose error says what is missing in it


def _folders(source: Source) -> Iterator[Source]:
    """The source, and in an archive the folder that holds everything, and the one in that."""
    where: AnyPath | None = source.where
    while where is not None:
        yield replace(source, where=where)
        where = only_folder(where) if isinstance(where, ArchivePath) and where.is_dir() else None


def _detected(source: Source) -> list[str]:
    for fallback in sorted({f.fallback for f in FORMATS.values()}):
        if names := [f.name for f in FORMATS.values() if f.fallback == fallback and f.detect(source)]:
            return names
    return []


def _named(like: Signature) -> str:
    """What is said of a dataset that is known and not read."""
    return f"looks like {like.name}, which is not read: {like.way_out}"


def _advice(src: AnyPath) -> str:
    """A second line about data that users bring and that is not read: what it looks like, and the way out."""
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
