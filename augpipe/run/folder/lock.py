"""Who may write to a folder: a lock over ranges of its tasks, which the system takes back from a process that dies.

A whole run holds every task; ``--tasks`` holds its own, so that several machines can work in one shared folder and two
that would make the same shard are refused. Byte 0 of the file is held while run.json is looked at and changed, byte
1 + i stands for task i. The locks are those of the open file (Linux), which also keep two threads of one process
apart; elsewhere they are POSIX record locks, which belong to the process.
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
"""All tasks that a folder may ever have."""

_PREPARING = 30.0  # seconds to wait for another process that reads or writes run.json
_OFD = getattr(fcntl, "F_OFD_SETLK", None)


class FolderLock:
    """The lock of one folder, kept in the file ``path``; nothing is held at first. Errors name ``folder``."""

    def __init__(self, path: Path, folder: Path | None = None) -> None:
        self._path = path
        self._folder = folder or path.parent.parent
        self._file = -1

    def take(self, tasks: range) -> bool:
        """Hold these tasks; ``False`` if somebody holds one of them.

        Raises:
            UsageError: the file cannot be made or locked.
        """
        return self._hold(1 + tasks.start, len(tasks))

    def drop(self) -> None:
        """Let go of everything."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """While it holds, no other process looks at run.json or changes it.

        Raises:
            UsageError: somebody else does so for too long.
        """
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
        """Hold some bytes of the file that is there, not of one that a run which ends has just removed."""
        while True:
            if self._file < 0:
                self._open()
            # To the system no bytes are all bytes.
            if count and not self._set(fcntl.F_WRLCK, first, count):
                return False
            if self._file >= 0 and _is_at(self._file, self._path):
                return True
            self.drop()

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
        """Change some bytes of the lock at once, or not at all."""
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
