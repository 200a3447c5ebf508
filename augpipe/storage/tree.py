"""The files of an archive, a bucket or a web server as a tree, and paths in it that formats use like pathlib's.

A listed tree holds names and byte ranges in memory. A web server cannot be listed, so its tree asks for each name and
remembers the answer.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import total_ordering
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeAlias

from augpipe.core.errors import DatasetError, one_line
from augpipe.storage import remote
from augpipe.storage.byte_range import ByteRange, bytes_of
from augpipe.storage.version import NO_FILE, Version

_AT_ONCE = 16
_OF_MACS = "__MACOSX"
_MANY = 100


class Tree(Protocol):
    """Files by path: POSIX, relative, without ``.`` and ``..``; the root is ""."""

    @property
    def mark(self) -> str:
        """What precedes a path in messages and rows: ``voc.tar!``, ``s3://bucket/set/``."""
        ...

    @property
    def home(self) -> Path | None:
        """The archive's own file, if it is a local one."""
        ...

    def place(self, path: str) -> ByteRange:
        """The bytes of a file; reading them fails if there is none."""
        ...

    def size(self, path: str) -> int:
        """Bytes of a file, −1 if there is none."""
        ...

    def is_folder(self, path: str) -> bool:
        """Whether files are known below a path."""
        ...

    def names(self, folder: str) -> list[str]:
        """Sorted names in a folder."""
        ...

    def look_up(self, folder: str, paths: Iterable[str]) -> None:
        """Prepare to be asked for these files below a folder, where one request for all is quicker."""
        ...


@dataclass(frozen=True, eq=False)
class Listed:
    """A tree whose files are all known. A file that is not in it gets a byte range below ``lost``."""

    mark: str
    lost: str
    files: Mapping[str, ByteRange]
    sizes: Mapping[str, int]
    home: Path | None = None
    remarks: list[str] = field(default_factory=list)
    _folders: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._folders[""] = set()
        for path in self.files:
            below = path
            while below:
                above, _, name = below.rpartition("/")
                names = self._folders.setdefault(above, set())
                if name in names:
                    break
                names.add(name)
                below = above
        for path in self.files:
            if path in self._folders:
                raise DatasetError(f"{self.mark}{one_line(path)}: is a file and a folder at once; pack it again")

    def place(self, path: str) -> ByteRange:
        return self.files.get(path) or ByteRange(f"{self.lost}/{path}", name=one_line(f"{self.mark}{path}"))

    def size(self, path: str) -> int:
        return self.sizes.get(path, -1)

    def is_folder(self, path: str) -> bool:
        return path in self._folders

    def names(self, folder: str) -> list[str]:
        return sorted(self._folders.get(folder, ()))

    def look_up(self, folder: str, paths: Iterable[str]) -> None:
        pass


@dataclass(frozen=True, eq=False)
class Asked:
    """A server that is asked for each name. ``known`` is what it said of the files that it was asked for."""

    mark: str
    home: None = None
    known: dict[str, Version] = field(default_factory=dict)

    def place(self, path: str) -> ByteRange:
        url, name = remote.url_of(self.mark, path), one_line(self.mark + path)
        return ByteRange(url, name=name, version=self.known.get(path))

    def size(self, path: str) -> int:
        if path not in self.known:
            self.known[path] = remote.version_of(remote.url_of(self.mark, path))
        return self.known[path].size

    def is_folder(self, path: str) -> bool:
        return False  # unknown

    def names(self, folder: str) -> list[str]:
        return []  # unknown

    def look_up(self, folder: str, paths: Iterable[str]) -> None:
        """A bucket lists its folder; a web server is asked for several files at a time."""
        unknown = [path for path in paths if path not in self.known]
        if len(unknown) > _MANY and remote.lists_folders(self.mark):
            below = f"{folder}/" if folder else ""
            listed = {below + name: version for name, version in remote.listed(self.mark + folder).items()}
            self.known.update((path, listed.get(path, NO_FILE)) for path in unknown if path.startswith(below))
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            versions = pool.map(lambda path: remote.version_of(remote.url_of(self.mark, path)), unknown)
            self.known.update(zip(unknown, versions, strict=True))


# --- paths -----------------------------------------------------------------------------------------------------------


@total_ordering
@dataclass(frozen=True, eq=False)
class ArchivePath:
    """A path in a tree, with the methods of :class:`pathlib.Path` that formats use. It is never sent to a process."""

    tree: Tree
    path: str = ""

    def __truediv__(self, name: str) -> ArchivePath:
        joined = posixpath.normpath(posixpath.join("/", self.path, name)).lstrip("/")
        return ArchivePath(self.tree, joined)

    def __str__(self) -> str:
        return f"{self.tree.mark}{self.path}".rstrip("!")

    def __lt__(self, other: ArchivePath) -> bool:
        return PurePosixPath(self.path) < PurePosixPath(other.path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArchivePath) and (self.tree, self.path) == (other.tree, other.path)

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def name(self) -> str:
        """The last part; of the root the name of the archive."""
        return self.path.rpartition("/")[2] or str(self).rstrip("/").rpartition("/")[2]

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> ArchivePath:
        return ArchivePath(self.tree, self.path.rpartition("/")[0])

    @property
    def parents(self) -> list[ArchivePath]:
        return [ArchivePath(self.tree, "" if str(p) == "." else str(p)) for p in PurePosixPath(self.path).parents]

    def with_suffix(self, ending: str) -> ArchivePath:
        return ArchivePath(self.tree, str(PurePosixPath(self.path).with_suffix(ending)))

    def as_posix(self) -> str:
        return str(self)

    def exists(self) -> bool:
        return self.is_file() or self.is_dir()

    def is_dir(self) -> bool:
        return self.tree.is_folder(self.path)

    def is_file(self) -> bool:
        return self.tree.size(self.path) >= 0

    def is_symlink(self) -> bool:
        return False  # links are left out of trees

    def iterdir(self) -> Iterator[ArchivePath]:
        return (self / name for name in self.tree.names(self.path))

    def glob(self, pattern: str) -> Iterator[ArchivePath]:
        """Paths in the folder, or in one folder of it (``Main/*.txt``), whose names match."""
        folder, _, names = pattern.rpartition("/")
        return (p for p in (self / folder if folder else self).iterdir() if fnmatch.fnmatchcase(p.name, names))

    def read_bytes(self) -> bytes:
        """The bytes of the file, none if it is not there; OSError if it cannot be read."""
        return bytes_of(self.tree.place(self.path))

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self.read_bytes().decode(encoding, errors)


AnyPath: TypeAlias = Path | ArchivePath
"""A file or folder, local or in a tree."""


def only_folder(where: ArchivePath) -> ArchivePath | None:
    """The only thing in a folder, if it is a folder, as archives often have it; hidden names do not count."""
    there = [p for p in where.iterdir() if not p.name.startswith(".") and p.name != _OF_MACS]
    return there[0] if len(there) == 1 and there[0].is_dir() else None


def listed_tree(mark: str, lost: str, members: Iterable[tuple[str, ByteRange, int]], home: Path | None) -> Listed:
    """A tree of (name, byte range, size). Names that lead out of it are left out with a remark.

    Raises:
        DatasetError: a name that is there twice, or that is a file and a folder.
    """
    files: dict[str, ByteRange] = {}
    sizes: dict[str, int] = {}
    outside: list[str] = []
    for name, place, size in members:
        path = path_of(name)
        if path is None:
            outside.append(name)
            continue
        if path in files:
            raise DatasetError(f"{mark}{one_line(path)}: is there twice; names must be unique, pack it again")
        files[path] = place._replace(name=one_line(f"{mark}{path}"))
        sizes[path] = size
        if len(files) > remote.MOST_FILES:
            raise DatasetError(f"{mark.rstrip('!')}: more than {remote.MOST_FILES:,} files; unpack it")
    remarks = []
    if outside:
        more = f" and {len(outside) - 1:,} more" if len(outside) > 1 else ""
        remarks.append(f"{mark.rstrip('!')}: left out: {one_line(outside[0], 80)}{more}, a name that leads out of it")
    return Listed(mark, lost, files, sizes, home, remarks)


def path_of(name: str) -> str | None:
    """The name of a member as a path of a tree; ``None`` if it is absolute, has ``..`` or is empty."""
    if name.startswith("/") or "\0" in name or name[1:2] == ":":
        return None
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if ".." in parts or not parts else "/".join(parts)
