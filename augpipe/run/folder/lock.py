"""The lock of an output folder, over ranges of tasks; the system releases it when a process dies.

Byte 0 of the lock file is locked while run.json is read and changed, byte 1 + i stands for task i. So several machines
can work in one shared folder with ``--tasks``, and two that would make the same shard are refused. Locks are those of
the open file (Linux), which also separate threads of one process; elsewhere they are POSIX record locks, which belong
to the process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from augpipe.core.errors import UsageError

WHOLE = range(1 << 40)
"""All tasks of any run."""

_PREPARING = 30.0  # seconds to wait for another process that reads or writes run.json
_MOST_TRIES = 1000  # to make a folder that other runs remove
_OFD = getattr(fcntl, "F_OFD_SETLK", None)


class FolderLock:
    """The lock in the file ``path``, initially released. Errors name ``folder``."""

    def __init__(self, path: Path, folder: Path | None = None) -> None:
        self._path = path
        self._folder = folder or path.parent.parent
        self._file = -1

    def take(self, tasks: range) -> bool:
        """Lock these tasks. Returns False if one of them is locked; raises UsageError if the file cannot be."""
        return self._hold(1 + tasks.start, len(tasks))

    def drop(self) -> None:
        """Release everything."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """A context in which no other process reads or changes run.json; raises UsageError if one does for long."""
        end = time.monotonic() + _PREPARING
        while not self._hold(0, 1):
            if time.monotonic() > end:
                raise UsageError(f"{self._folder}: another run is preparing it; try again")
            time.sleep(0.02)
        try:
            yield
        finally:
            self._set(fcntl.F_UNLCK, 0, 1)

    def _hold(self, first: int, count: int) -> bool:
        """Lock some bytes of the file at the path, not of one that a run which ends has just removed."""
        for _ in range(_MOST_TRIES):
            if self._file < 0:
                self._open()
            # To the system a count of 0 means all bytes.
            if count and not self._set(fcntl.F_WRLCK, first, count):
                return False
            if self._file >= 0 and _is_at(self._file, self._path):
                return True
            self.drop()
        raise UsageError(f"{self._folder}: no folder can be made there; choose another DST")

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:  # the folder went between these two lines
            return
        except FileExistsError as error:
            why = "its folder is a file, or a link that leads nowhere"
            raise UsageError(f"{self._folder}: cannot be written to: {why}; choose another DST") from error
        except OSError as error:
            raise UsageError(f"{self._folder}: cannot be written to: {error.strerror}; choose another DST") from error

    def _set(self, kind: int, first: int, count: int) -> bool:
        """Change the lock of some bytes, all or none. Returns whether it did."""
        if self._file < 0:
            return True
        try:
            if _OFD is None:
                operation = fcntl.LOCK_UN if kind == fcntl.F_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB
                fcntl.lockf(self._file, operation, count, first)
            else:
                fcntl.fcntl(self._file, _OFD, struct.pack("@hhqqi", kind, os.SEEK_SET, first, count, 0))
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise UsageError(
                f"{self._path}: cannot be locked: {error.strerror}; choose a DST on another disk"
            ) from error
        return True


def _is_at(file: int, path: Path) -> bool:
    opened = os.fstat(file)
    try:
        there = path.stat()
    except OSError:
        return False
    return (opened.st_dev, opened.st_ino) == (there.st_dev, there.st_ino)
