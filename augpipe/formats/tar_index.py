"""Finding samples in tar shards: headers are read once, then members are read at random like files.

A sample is the members whose names agree up to the first dot of the last part (the webdataset convention); that name
is its source key, whatever the shard is called. Names are only names here: nothing is ever unpacked.
"""

from __future__ import annotations

import itertools
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from braceexpand import braceexpand

from augpipe.errors import DatasetError, one_line
from augpipe.formats.base import Place, source_key

MOST_TARS = 100_000
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tar.lz4")
_BLOCK = 512
_LOOKED_AT = 1 << 16


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
    for name, offset, size in _members(path, remarks):
        head, slash, last = name.rpartition("/")
        stem, dot, ending = last.partition(".")
        own = source_key(f"{head}{slash}{stem}")
        if not dot or not stem:
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


def _members(path: Path, remarks: list[str]) -> Iterator[tuple[str, int, int]]:
    """(name, offset, size) of the regular files of a tar; links and devices have no bytes of their own."""
    try:
        with tarfile.open(path, "r:") as tar:
            place = -1
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep every header
                if member.size < 0 or member.offset_data <= place:  # else a hostile header leads round in circles
                    raise tarfile.ReadError(f"the header at byte {member.offset} leads backwards")
                place = member.offset_data
                if member.isreg() and not member.issparse():
                    yield member.name, member.offset_data, member.size
            end = tar.offset
        _check_end(path, end, remarks)
    except (tarfile.TarError, OSError, ValueError, EOFError, IndexError, RecursionError, OverflowError) as error:
        raise DatasetError(f"{path}: not a tar that can be read: {one_line(error)}") from error


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
