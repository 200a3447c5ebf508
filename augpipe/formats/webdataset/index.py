"""Finding tar shards and the samples in them: headers are read once, then members are read at random like files.

What our own folders say of their tars goes before what lies there, so that no sample is lost, or read twice, unsaid.

A sample is the members whose names agree up to the first dot of the last part (the webdataset convention); that name
is its source key, whatever the shard is called. Names are only names here: nothing is ever unpacked.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from augpipe.core.annotations import Category
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import plural, source_key, told_apart
from augpipe.formats.webdataset.patterns import expanded
from augpipe.formats.webdataset.record import category_from_json
from augpipe.formats.webdataset.safe_parse import object_of
from augpipe.formats.webdataset.schema import MANIFEST, SHARD_NAME, parse_manifest
from augpipe.storage.byte_range import ByteRange, bytes_of
from augpipe.storage.fs import files_in, place_of, size_of
from augpipe.storage.resolve import COMPRESSED, LEFT_OUT, ending_of, file_at, is_pattern, where_of
from augpipe.storage.tar_archive import members_of_tar
from augpipe.storage.tree import AnyPath

_RUN, _RUN_SCHEMA = "run.json", "augpipe-run/1"
_MOST_NAMES = 3


def tar_paths(src: str, where: AnyPath | None = None) -> list[AnyPath]:
    """The tars that ``src`` names: one, a folder of them, or a brace pattern such as ``x-{000..009}.tar``.

    ``where`` is the place of ``src``. Raises ``DatasetError`` for compressed tars, pipes, and missing files of a
    pattern.
    """
    if src.startswith("pipe:"):
        raise DatasetError(f"{one_line(src)}: pipes are not read; save the shards as files first")
    if src.endswith(COMPRESSED):
        raise DatasetError(f"{src}: a compressed tar cannot be read at random; unpack it with 'gunzip' or the like")
    if is_pattern(src):
        paths = [file_at(path) for path in expanded(src)]
        missing = [p for p in paths if not p.is_file()]
        if missing:
            raise DatasetError(f"{missing[0]}: no such file ({len(missing)} of {len(paths)} of the pattern missing)")
        return paths
    if ending_of(src) == ".tar" and not os.path.isdir(src):
        return [file_at(src)]
    folder = where or where_of(src)
    return files_in(folder, "*.tar") if folder.is_dir() else []


@dataclass(frozen=True)
class _Book:
    """What a folder of ours says of its tars: name → bytes, or ``None`` while the run is unfinished."""

    file: AnyPath
    categories: tuple[Category, ...]
    sizes: Mapping[str, int | None] | None


def tars_of_runs(
    whole: AnyPath | None, paths: Sequence[AnyPath], remarks: list[str]
) -> tuple[list[AnyPath], tuple[Category, ...] | None]:
    """(the tars to read, their classes), by the manifest or ``run.json`` beside them; ``None`` where there is neither.

    ``whole`` is the folder that was named, ``None`` if tars were named one by one: these are read of an unfinished run
    too. Of a finished folder the tars of its manifest are read and no others. Raises ``DatasetError`` for an unfinished
    run, a tar that is missing or not as the manifest has it, and two class maps.
    """
    folders = [whole] if whole is not None else list(dict.fromkeys(path.parent for path in paths))
    books = {folder: book for folder in folders if (book := _book_of(folder)) is not None}
    if not books:
        return list(paths), None
    if whole is not None:
        paths = _all_of(books[whole], paths, remarks)
    for folder, book in books.items():
        if book.sizes is None:
            remarks.append(f"{folder}: an unfinished run; only the tars that are named are read")
    for path in paths:
        _check_tar(path, books.get(path.parent))
    first, *others = books.values()
    for other in others:
        if other.categories != first.categories:
            raise DatasetError(f"{other.file} has other classes than {first.file}; read them apart")
    return list(paths), first.categories


def _book_of(folder: AnyPath) -> _Book | None:
    """The manifest, else ``run.json``; ``None`` if there is neither, or others wrote what is called so."""
    for name in (MANIFEST, _RUN):
        file = folder / name
        try:
            data = bytes_of(place_of(file)) if file.is_file() else b""
            schema = str(object_of(data).get("schema", ""))
        except ValueError as error:
            if b'"augpipe/' in data:
                raise DatasetError(f"{file}: not as augpipe writes it: {one_line(error)}") from error
            continue
        if schema.startswith(("augpipe/", "augpipe-run/")):
            try:
                book = object_of(data) if schema == _RUN_SCHEMA else parse_manifest(data)
                categories = tuple(category_from_json(c) for c in book["config"]["categories"])
                return _Book(file, categories, None if schema == _RUN_SCHEMA else _sizes(book))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DatasetError(f"{file}: not as augpipe writes it: {one_line(error)}") from error
    return None


def _sizes(book: Mapping[str, Any]) -> dict[str, int | None]:
    shards = [s for s in book["shards"] if s["samples"]]
    for shard in shards:
        if not SHARD_NAME.fullmatch(shard["name"]):
            raise ValueError(f"{one_line(repr(shard['name']), 80)} is no name of a shard, such as all-000000")
    return {f"{s['name'].removesuffix('.tar')}.tar": s.get("bytes") for s in shards}


def _all_of(book: _Book, there: Sequence[AnyPath], remarks: list[str]) -> list[AnyPath]:
    folder = book.file.parent
    if book.sizes is None:
        again = "run the same augment command again, or name the tars to read one by one"
        raise DatasetError(f"{folder}: an unfinished run; finish it first: {again}")
    extra = [one_line(path.name) for path in there if path.name not in book.sizes]
    if extra:
        more = f" and {len(extra) - _MOST_NAMES} more" if len(extra) > _MOST_NAMES else ""
        names = ", ".join(extra[:_MOST_NAMES])
        remarks.append(f"left out: {names}{more}, which the manifest does not name")
    return [folder / name for name in sorted(book.sizes)]


def _check_tar(path: AnyPath, book: _Book | None) -> None:
    """Whether a tar is as the book of its folder has it."""
    if book is None:
        raise DatasetError(f"{path}: no manifest.json beside it, as there is beside others; read it apart")
    if book.sizes is None:
        if not path.with_suffix(".json").is_file():  # the record comes last; without it a tar may be of another run
            raise DatasetError(f"{path}: the unfinished run in this folder has no record of it; finish the run first")
        return
    if path.name not in book.sizes:
        raise DatasetError(f"{path}: the manifest beside it does not name it; read it apart, from another folder")
    size, expected = size_of(path), book.sizes[path.name]
    mend = f"copy {path.parent} again, or make it again"
    if size < 0:
        raise DatasetError(f"{path}: the manifest names it, but there is no such file; {mend}")
    if expected is not None and size != expected:
        raise DatasetError(f"{path}: {size} bytes, the manifest says {expected}; {mend}")


def samples_of(paths: Iterable[AnyPath], remarks: list[str]) -> Iterator[tuple[str, dict[str, ByteRange]]]:
    """(key, ending → place) of every sample, in the order of the tars; adds to ``remarks``.

    Raises ``DatasetError`` for what is no tar, and for a key or a member that occurs in two places.
    """
    seen: dict[str, AnyPath] = {}
    for path in paths:
        for key, members in _samples(path, remarks):
            if key in seen:
                where = seen[key].name if seen[key] != path else "another place of this tar"
                raise DatasetError(f"{path}: sample '{one_line(key)}' is also in {where}; keys must be unique")
            seen[key] = path
            yield key, members


def _samples(path: AnyPath, remarks: list[str]) -> Iterator[tuple[str, dict[str, ByteRange]]]:
    key = ""
    members: dict[str, ByteRange] = {}
    named: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    size_of(path)  # of a server the place then holds which version of the tar it is
    file = place_of(path)
    for name, offset, size in members_of_tar(file.path, remarks, left_out, file.version):
        head, slash, last = name.rpartition("/")
        stem, dot, ending = last.partition(".")
        own = source_key(f"{head}{slash}{stem}")
        if not dot or not stem:
            left_out["file"] += bool(stem)  # else it is hidden, which is how one says "not this"
            continue
        if own != key:
            if members:
                yield key, members
            key, members, named = own, {}, {}
        if ending.lower() in members:
            before = named[ending.lower()]
            one, other = told_apart(before, name)
            also = f" (also as '{one}')" if before != name and source_key(before) == source_key(name) else ""
            raise DatasetError(f"{path}: the member '{other}' is there twice{also}; names must be unique")
        members[ending.lower()] = ByteRange(file.path, offset, size, version=file.version)
        named[ending.lower()] = name
    if members:
        yield key, members
    counts = ((plural(left_out[kind], kind), way) for kind, way in LEFT_OUT.items() if left_out[kind])
    remarks.extend(f"{one_line(path.name)}: left out: {count}{way}" for count, way in counts)
