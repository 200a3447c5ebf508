"""Faults at one operation of a process: the n-th write, rename, read, decode … fails, half happens, or is the last one.

Everything that augpipe asks of the system and of its codecs goes through names of `os`, `io`, `builtins`, `cv2` and the
like; they are replaced here in a process that has been forked for one run, so nothing has to be put back. Operations
are counted by place in memory that forked workers share, which is how a schedule learns how many there are, and why a
fault strikes once although a worker that dies of it is started again.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import mmap
import os
import random
import signal
import stat
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from PIL import Image

_ROOM = ("ENOSPC", "EDQUOT", "EIO", "EROFS")
_ENDS = ("kill", "power", "term", "int")
_READ = ("EIO", "EACCES", "EMFILE", "ESTALE", "memory", *_ENDS)

PLACES: dict[str, tuple[str, ...]] = {
    "open to write": (*_ROOM, "EACCES", "EMFILE", *_ENDS),
    "write": (*_ROOM, *_ENDS),
    "half a write": (*_ROOM, *_ENDS),
    "flush": ("ENOSPC", "EIO", *_ENDS),
    "fsync": ("ENOSPC", "EIO", *_ENDS),
    "close": ("EDQUOT", "EIO", *_ENDS),
    "rename": (*_ROOM, "EACCES", *_ENDS),
    "open folder": ("EMFILE", "EACCES", "EIO", *_ENDS),
    "fsync folder": ("EIO", *_ENDS),
    "unlink": ("EIO", "EROFS", "EACCES", *_ENDS),
    "rmdir": ("EIO", "EROFS", "EACCES", *_ENDS),
    "mkdir": ("ENOSPC", "EROFS", "EACCES", *_ENDS),
    "lock": ("ENOLCK", "EIO", *_ENDS),
    "open lock": ("EMFILE", "ENOSPC", "EROFS", "EACCES", *_ENDS),
    "list folder": ("EIO", "EACCES", "EMFILE", *_ENDS),
    "stat": ("EIO", "EACCES", *_ENDS),
    "statvfs": ("EIO", *_ENDS),
    "read own file": ("EIO", "EMFILE", "memory", *_ENDS),
    "list source": ("EIO", "EACCES", "EMFILE", "memory", *_ENDS),
    "stat source": ("EIO", "EACCES", "ESTALE", *_ENDS),
    "open picture": _READ,
    "read picture": _READ,
    "open annotation": _READ,
    "read annotation": _READ,
    "header": ("memory", *_ENDS),
    "decode": ("memory", "cv2", *_ENDS),
    "encode": ("memory", "cv2", *_ENDS),
    "memory file": ("EMFILE", "ENOMEM", *_ENDS),
    "descriptor": ("EMFILE", *_ENDS),
    "open spool": ("EMFILE", "ENOSPC", *_ENDS),
    "write spool": ("ENOSPC", "EIO", *_ENDS),
    "read spool": ("EIO", *_ENDS),
    "draw": ("memory", *_ENDS),
}
"""Place → what can happen there."""

_NAMES = list(PLACES)
_PICTURES = (".jpg", ".png")


@dataclass(frozen=True)
class Fault:
    """The ``number``-th operation of a place, from 1 on; with ``lasting`` all later ones too, ``times`` in all."""

    place: str
    number: int
    kind: str
    lasting: bool = False
    times: int = 1

    def __str__(self) -> str:
        return f"{self.kind} at {self.place} {self.number}{' and after' if self.lasting else ''}"


class Meter:
    """Counts of each place, and of the faults that struck, in memory that forked processes share."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8 * (len(_NAMES) + 1))

    def add(self, place: str) -> int:
        return self._add(_NAMES.index(place))

    def struck(self) -> int:
        """One more; gives how many there were before."""
        return self._add(len(_NAMES)) - 1

    def _add(self, slot: int) -> int:
        value = self[slot] + 1
        struct.pack_into("q", self._memory, 8 * slot, value)
        return value

    def __getitem__(self, slot: int) -> int:
        (value,) = struct.unpack_from("q", self._memory, 8 * slot)
        return int(value)

    @property
    def strikes(self) -> int:
        return self[len(_NAMES)]

    def counts(self) -> dict[str, int]:
        return {name: self[slot] for slot, name in enumerate(_NAMES) if self[slot]}


class _Disk:
    """What a loss of power would undo: names since their folder was flushed, content since its file was."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self._stash, self._rng, self._kept = folder, rng, 0
        self._names: list[Callable[[], None]] = []
        self._flushed: set[int] = set()

    def begin(self, folder: Path) -> None:
        """What is there now is on the disk."""
        self._flushed = {path.stat().st_ino for path in folder.rglob("*")}

    def before_naming(self, *paths: Any) -> None:
        """Remember what stands under some names that are going to change."""
        for path in map(os.fspath, paths):
            if not os.path.lexists(path):
                self._names.append(lambda path=path: _gone(path))
            elif os.path.isfile(path):
                self._kept += 1
                kept = self._stash / str(self._kept)
                os.link(path, kept)
                self._names.append(lambda path=path, kept=kept: _back(kept, path))

    def folder_flushed(self) -> None:
        self._names.clear()

    def file_flushed(self, handle: int) -> None:
        self._flushed.add(os.fstat(handle).st_ino)

    def lose(self, folder: Path) -> None:
        """Undo the latest changes of names, as far back as chance has it, and content that was never flushed."""
        for undo in reversed(self._names[self._rng.randint(0, len(self._names)) :]):
            undo()
        for path in (p for p in folder.rglob("*") if p.is_file()):
            found = path.stat()
            if found.st_ino not in self._flushed:
                os.truncate(path, self._rng.randint(0, found.st_size))


def _gone(path: str) -> None:
    if os.path.isfile(path):
        _real.unlink(path)


def _back(kept: Path, path: str) -> None:
    _gone(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.link(kept, path)


class _Real:
    """The functions as they were."""

    open, os_open, fsync, replace, unlink, rmdir = builtins.open, os.open, os.fsync, os.replace, os.unlink, os.rmdir
    mkdir, listdir, scandir, stat, statvfs, dup = os.mkdir, os.listdir, os.scandir, os.stat, os.statvfs, os.dup
    fcntl, pread = fcntl.fcntl, os.pread
    memfd_create = getattr(os, "memfd_create", None)
    imdecode, imencode, image_open, temporary = cv2.imdecode, cv2.imencode, Image.open, tempfile.TemporaryFile


_real = _Real


class Injector:
    """Replaces the functions of this process.

    Args:
        meter: counts operations.
        fault: what is to happen, if anything.
        folder: DST.
        source: SRC.
        stash: for what a loss of power brings back.
    """

    def __init__(self, meter: Meter, fault: Fault | None, folder: Path, source: Path, stash: Path) -> None:
        self._meter, self._fault, self._main = meter, fault, os.getpid()
        self._folder, self._source = str(folder), str(source)
        self._disk = _Disk(stash, random.Random(str(fault)))
        self._reading: dict[int, str] = {}  # descriptor → place

    # --- what happens ---

    def at(self, place: str, part: Callable[[], Any] | None = None) -> None:
        """An operation begins; ``part`` does half of it."""
        number, fault = self._meter.add(place), self._fault
        if fault is None or fault.place != place or number < fault.number:
            return
        if (number > fault.number and not fault.lasting) or self._meter.struck() >= fault.times:
            return
        if part is not None and fault.kind not in ("term", "int"):  # after those, all of it follows
            part()
        self._strike(fault.kind, place)

    def _strike(self, kind: str, place: str) -> None:
        if kind == "power":
            self._disk.lose(Path(self._folder))
        if kind in ("kill", "power"):
            os.kill(os.getpid(), signal.SIGKILL)
        if kind in ("term", "int"):
            os.kill(self._main, signal.SIGTERM if kind == "term" else signal.SIGINT)
            return
        if kind == "memory":
            raise MemoryError(f"injected at {place}")
        if kind == "cv2":
            error = cv2.error(f"injected at {place}: Insufficient memory")
            error.code = -4  # cv::Error::StsNoMem
            raise error
        number = getattr(errno, kind)
        raise OSError(number, os.strerror(number))

    # --- where ---

    def _is_own(self, path: Any) -> bool:
        return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self._folder)

    def _is_source(self, path: Any) -> bool:
        return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self._source)

    def _read_place(self, path: Any) -> str | None:
        if self._is_source(path):
            return "picture" if str(path).endswith(_PICTURES) else "annotation"
        return "own file" if self._is_own(path) else None

    def install(self) -> None:
        """From now on."""
        self._disk.begin(Path(self._folder))
        builtins.open = io.open = self._open  # type: ignore[assignment]
        os.open, os.fsync, os.replace = self._os_open, self._fsync, self._replace
        os.pread = self._pread
        os.unlink = self._naming("unlink", _real.unlink)
        os.rmdir = self._naming("rmdir", _real.rmdir)
        os.mkdir = self._naming("mkdir", _real.mkdir)
        os.listdir, os.scandir = self._looking("list", _real.listdir), self._looking("list", _real.scandir)
        os.stat = self._looking("stat", _real.stat)
        os.statvfs = self._plain("statvfs", _real.statvfs)
        os.dup = self._plain("descriptor", _real.dup)
        if _real.memfd_create is not None:
            os.memfd_create = self._plain("memory file", _real.memfd_create)
        fcntl.fcntl = self._plain("lock", _real.fcntl)  # type: ignore[assignment]
        cv2.imdecode = self._plain("decode", _real.imdecode)  # type: ignore[assignment]
        cv2.imencode = self._plain("encode", _real.imencode)  # type: ignore[assignment]
        Image.open = self._plain("header", _real.image_open)  # type: ignore[assignment]
        tempfile.TemporaryFile = self._temporary  # type: ignore[assignment]
        from augpipe.run import outputs

        outputs.draw = self._plain("draw", outputs.draw)  # type: ignore[attr-defined]

    def _plain(self, place: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            self.at(place)
            return real(*args, **named)

        return call

    def _looking(self, what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        places = ("list source", "list folder") if what == "list" else ("stat source", "stat")

        def call(path: Any = ".", *args: Any, **named: Any) -> Any:
            if self._is_source(path) or self._is_own(path):
                self.at(places[self._is_own(path)])
            return real(path, *args, **named)

        return call

    def _naming(self, place: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **named: Any) -> Any:
            if self._is_own(path) or named.get("dir_fd") is not None:
                self.at(place)
                if place == "unlink" and named.get("dir_fd") is None:
                    self._disk.before_naming(path)
            return real(path, *args, **named)

        return call

    def _replace(self, source: Any, target: Any) -> None:
        self.at("rename")
        self._disk.before_naming(target)
        _real.replace(source, target)

    def _fsync(self, handle: int) -> None:
        """Counts only: what a killed process has written is there, and what a loss of power takes is made up here."""
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            self.at("fsync folder")
            self._disk.folder_flushed()
        else:
            self.at("fsync")
            self._disk.file_flushed(handle)

    def _os_open(self, path: Any, flags: int, *args: Any, **named: Any) -> int:
        place = self._read_place(path)
        if self._is_own(path) and flags & os.O_RDWR:
            self.at("open lock")
        elif self._is_own(path):
            self.at("open folder")
        elif place is not None:
            self.at(f"open {place}")
        number = _real.os_open(path, flags, *args, **named)
        self._reading[number] = f"read {place}"  # a number is used again after it was closed
        return number

    def _pread(self, number: int, size: int, offset: int) -> bytes:
        if (place := self._reading.get(number)) in PLACES:
            self.at(place)
        return _real.pread(number, size, offset)

    def _open(self, path: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
        place = self._read_place(path)
        if place is None:
            return _real.open(path, mode, *args, **named)
        if "r" not in mode:
            self.at("open to write")
            return _Written(_real.open(path, mode, *args, **named), self, "")
        if place == "own file":
            self.at("read own file")
            return _real.open(path, mode, *args, **named)
        return _Read(_real.open(path, mode, *args, **named), self, f"read {place}")

    def _temporary(self, *args: Any, **named: Any) -> Any:
        self.at("open spool")
        return _Written(_real.temporary(*args, **named), self, " spool")


class _Read:
    """A file of the source."""

    def __init__(self, file: Any, injector: Injector, place: str) -> None:
        self._file, self._injector, self._place = file, injector, place

    def __enter__(self) -> _Read:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, *args: Any) -> Any:
        self._injector.at(self._place)
        return self._file.read(*args)


class _Written(_Read):
    """A file of DST, or the spool beside it."""

    def __exit__(self, *_: object) -> None:
        try:
            if not self._place:
                self._injector.at("close")
        finally:
            self._file.close()

    def read(self, *args: Any) -> Any:
        self._injector.at("read spool")
        return self._file.read(*args)

    def _half(self, data: bytes) -> None:
        self._file.write(data[: len(data) // 2])
        self._file.flush()

    def write(self, data: bytes) -> int:
        self._injector.at(f"write{self._place}")
        if not self._place:
            self._injector.at("half a write", lambda: self._half(data))
        written: int = self._file.write(data)
        return written

    def flush(self) -> None:
        if not self._place:
            self._injector.at("flush")
        self._file.flush()
