"""Finding tar shards and the samples in them: headers are read once, then members are read at random like files.

What our own folders say of their tars goes before what lies there, so that no sample is lost, or read twice, unsaid.

A sample is the members whose names agree up to the first dot of the last part (the webdataset convention); that name
is its source key, whatever the shard is called. Names are only names here: nothing is ever unpacked.
"""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from braceexpand import braceexpand

from augpipe.errors import DatasetError, one_line
from augpipe.folder import SHARD_NAME
from augpipe.formats.base import Place, is_absent, plural, regular_file, size_of, source_key
from augpipe.formats.records import categories_of_manifest, category_from_json
from augpipe.sample import Category

MOST_TARS = 100_000
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tar.lz4")
_BLOCK = 512
_LOOKED_AT = 1 << 16
_LARGEST_HEADER = 1 << 20
_LEFT_OUT = {
    "device": "",
    "file": " without an ending",
    "link": " (pack it again with --dereference --hard-dereference)",
    "sparse file": " (pack it again without --sparse)",
}
"""What is no member of a sample, and what there is to say of it."""

_RUN_SCHEMA = "augpipe-run/1"
_MOST_NAMES = 3


def tar_paths(src: str) -> list[Path]:
    """The tars that ``src`` names: one, a folder of them, or a brace pattern such as ``x-{000..009}.tar``.

    Raises:
        DatasetError: a compressed tar, a pipe, or a file of the pattern that is not there.
    """
    if src.startswith("pipe:"):
        raise DatasetError(f"{one_line(src)}: pipes are not read; save the shards as files first")
    if src.endswith(COMPRESSED):
        raise DatasetError(f"{src}: a compressed tar cannot be read at random; unpack it with 'gunzip' or the like")
    path = Path(src)
    if is_pattern(src):
        try:
            paths = [Path(p) for p in itertools.islice(braceexpand(src), MOST_TARS + 1)]
        except ValueError as error:
            raise DatasetError(f"{one_line(src)}: the braces do not match") from error
        if len(paths) > MOST_TARS:
            raise DatasetError(f"{one_line(src)}: names more than {MOST_TARS} files")
        missing = [p for p in paths if not p.is_file()]
        if missing:
            raise DatasetError(f"{missing[0]}: no such file ({len(missing)} of {len(paths)} of the pattern missing)")
        return paths
    if path.is_dir():
        return sorted(path.glob("*.tar"))
    return [path] if path.suffix == ".tar" else []


def is_pattern(src: str) -> bool:
    """Whether braces stand for several files; a file may have them in its own name."""
    return "{" in src and not Path(src).exists()


# --- folders of our own ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Book:
    """What a folder of ours says of its tars: name → bytes, or ``None`` while the run is unfinished."""

    file: Path
    categories: tuple[Category, ...]
    sizes: Mapping[str, int | None] | None


def tars_of_runs(src: str, paths: Sequence[Path], remarks: list[str]) -> tuple[list[Path], tuple[Category, ...] | None]:
    """(the tars to read, their classes), as the manifest or ``run.json`` beside them has it.

    The classes are ``None`` where there is neither. Tars that are named one by one are taken of an unfinished run too;
    of a finished folder all are read that the manifest names, and no others.

    Raises:
        DatasetError: an unfinished run, a tar that is missing or not as the manifest has it, or two class maps.
    """
    whole = Path(src).is_dir()
    folders = [Path(src)] if whole else list(dict.fromkeys(path.parent for path in paths))
    books = {folder: book for folder in folders if (book := _book_of(folder)) is not None}
    if not books:
        return list(paths), None
    if whole:
        paths = _all_of(books[Path(src)], paths, remarks)
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


def _book_of(folder: Path) -> _Book | None:
    """The manifest, else ``run.json``; ``None`` if there is neither, or others wrote what is called so."""
    for name in ("manifest.json", "run.json"):
        file = folder / name
        try:
            value = json.loads(file.read_bytes())
        except (ValueError, RecursionError):
            continue
        except OSError as error:
            if is_absent(error):
                continue
            raise
        if isinstance(value, dict) and str(value.get("schema", "")).startswith(("augpipe/", "augpipe-run/")):
            try:
                return _Book(file, _categories(value), _sizes(value))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DatasetError(f"{file}: not as augpipe writes it: {one_line(error)}") from error
    return None


def _categories(book: Mapping[str, Any]) -> tuple[Category, ...]:
    if book["schema"] == _RUN_SCHEMA:
        return tuple(category_from_json(c) for c in book["config"]["categories"])
    return categories_of_manifest(book)


def _sizes(book: Mapping[str, Any]) -> dict[str, int | None] | None:
    if book["schema"] == _RUN_SCHEMA:
        return None
    shards = [s for s in book["shards"] if s["samples"]]
    for shard in shards:
        if not SHARD_NAME.fullmatch(shard["name"]):
            raise ValueError(f"{one_line(repr(shard['name']), 80)} is no name of a shard, such as all-000000")
    return {f"{s['name'].removesuffix('.tar')}.tar": s.get("bytes") for s in shards}


def _all_of(book: _Book, there: Sequence[Path], remarks: list[str]) -> list[Path]:
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


def _check_tar(path: Path, book: _Book | None) -> None:
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


# --- samples ---------------------------------------------------------------------------------------------------------


def samples_of(paths: Iterable[Path], remarks: list[str]) -> Iterator[tuple[str, dict[str, Place]]]:
    """(key, ending → place) of every sample, in the order of the tars; ``remarks`` gains what a user should know.

    Raises:
        DatasetError: not a tar, or a key or a member that occurs in two places.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        for key, members in _samples(path, remarks):
            if key in seen:
                where = seen[key].name if seen[key] != path else "another place of this tar"
                raise DatasetError(f"{path}: sample '{one_line(key)}' is also in {where}; keys must be unique")
            seen[key] = path
            yield key, members


def _samples(path: Path, remarks: list[str]) -> Iterator[tuple[str, dict[str, Place]]]:
    key = ""
    members: dict[str, Place] = {}
    left_out: Counter[str] = Counter()
    for name, offset, size in _members(path, remarks, left_out):
        head, slash, last = name.rpartition("/")
        stem, dot, ending = last.partition(".")
        own = source_key(f"{head}{slash}{stem}")
        if not dot or not stem:
            left_out["file"] += bool(stem)  # else it is hidden, which is how one says "not this"
            continue
        if own != key:
            if members:
                yield key, members
            key, members = own, {}
        if ending.lower() in members:
            raise DatasetError(f"{path}: the member '{one_line(name)}' is there twice; names must be unique")
        members[ending.lower()] = Place(str(path), offset, size)
    if members:
        yield key, members
    told = ((plural(left_out[kind], kind), way) for kind, way in _LEFT_OUT.items() if left_out[kind])
    remarks.extend(f"{one_line(path.name)}: left out: {number}{way}" for number, way in told)


def _members(path: Path, remarks: list[str], left_out: Counter[str]) -> Iterator[tuple[str, int, int]]:
    """(name, offset, size) of the regular files of a tar; ``left_out`` counts links, devices and sparse files, which
    have no bytes of their own, or not at one place."""
    try:
        with _Headers(path, opener=regular_file) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            place = -1
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep every header
                if member.size < 0 or member.offset_data <= place:  # else a hostile header leads round in circles
                    raise tarfile.ReadError(f"the header at byte {member.offset} leads backwards")
                place = member.offset_data
                if member.isreg() and not member.issparse():
                    yield member.name, member.offset_data, member.size
                elif not member.isdir():
                    left_out[_kind_of(member)] += 1
            end = tar.offset
        _check_end(path, end, remarks)
    except (tarfile.TarError, OSError, ValueError, EOFError, IndexError, RecursionError, OverflowError) as error:
        raise DatasetError(f"{path}: not a tar that can be read: {one_line(error)}") from error


def _kind_of(member: tarfile.TarInfo) -> str:
    if member.issparse():
        return "sparse file"
    return "link" if member.issym() or member.islnk() else "device"


class _Headers(io.FileIO):
    """A file of which tarfile reads headers, and never as much at a time as a hostile header asks for."""

    def read(self, size: int | None = -1, /) -> bytes:
        """So many bytes.

        Raises:
            tarfile.ReadError: more than any header has.
        """
        if size is None or not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


def _check_end(path: Path, end: int, remarks: list[str]) -> None:
    """A tar ends with blocks of zeros; without them it may be cut short, and what follows them nobody reads."""
    with open(path, "rb") as file:
        file.seek(end)
        tail = file.read(_LOOKED_AT)
    if not tail:
        remarks.append(f"{path.name} has no end mark; if writing it was interrupted, samples are missing")
    elif len(tail) < _BLOCK or tail[:_BLOCK].strip(b"\0"):
        raise tarfile.ReadError(f"damaged at byte {end}")  # tarfile itself takes this for the end
    elif tail.strip(b"\0"):
        raise DatasetError(
            f"{path}: another tar follows behind its end, as 'cat a.tar b.tar' makes it; give the tars one by one"
        )
