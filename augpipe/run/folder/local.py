"""A local folder as the store of a run.

A file is written under a temporary name in the subfolder ``.augpipe``, flushed to the disk and renamed; then its folder
is flushed. The lock is a file in the same subfolder.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import IO, Any

from augpipe.core.errors import UsageError, refused
from augpipe.core.paths import real_path
from augpipe.formats.webdataset.safe_parse import open_file
from augpipe.run.folder.lock import FolderLock
from augpipe.storage.fs import size_of

WORK = ".augpipe"


class LocalStore:
    """See :class:`augpipe.run.folder.store.Store`. Files lie in ``place``, which messages call ``folder``."""

    def __init__(self, place: Path, folder: Path | None = None) -> None:
        self.place, self.folder = place, folder or place
        self._work = place / WORK
        self._lock = FolderLock(self._work / "lock", self.folder)

    def __reduce__(self) -> tuple[Any, ...]:  # a worker may have another working directory
        return LocalStore, (real_path(self.place), real_path(self.folder))

    def names(self) -> list[str]:
        if not self.place.exists():
            return []
        if not self.place.is_dir():
            raise UsageError(f"{self.folder}: is a file; expected a folder to write to")
        return sorted(name for name in os.listdir(self.place) if name != WORK)

    def size(self, name: str) -> int:
        return size_of(self.place / name)

    def open(self, name: str) -> IO[bytes]:
        return open_file(self.place / name)

    def put(self, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        path = self.place / name
        temporary = self._work / f"{name}.{socket.gethostname()}.{os.getpid()}.{threading.get_ident()}.tmp"
        try:
            with open(temporary, "wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(self.place)
        except OSError as error:
            raise refused(path, error, "cannot be written: ") from error
        finally:
            with suppress(OSError):
                temporary.unlink()

    def remove(self, *names: str) -> None:
        removed = False
        path = self.place
        try:
            for name in names:
                path = self.place / name
                with suppress(FileNotFoundError):
                    path.unlink()
                    removed = True
            if removed:
                sync_folder(self.place)
        except OSError as error:
            raise refused(path, error, "cannot be removed: ") from error

    def discard(self, of: Callable[[str], bool]) -> None:
        for path in self._work.glob("*.tmp"):
            if of(path.name.partition(".")[0]):
                path.unlink(missing_ok=True)

    def scratch(self) -> str:
        return str(self._work)

    def free_bytes(self) -> int | None:
        there = next(path for path in (self.place, *real_path(self.place).parents) if path.exists())
        try:
            status = os.statvfs(there)
        except OSError:  # an estimate of room must not stop a run
            return None
        return status.f_bavail * status.f_frsize

    def lock(self, tasks: range) -> bool:
        return self._lock.take(tasks)

    def unlock(self, done: bool = False) -> None:
        try:
            if done:
                shutil.rmtree(self._work, ignore_errors=True)
        finally:
            self._lock.drop()

    def preparing(self) -> AbstractContextManager[None]:
        return self._lock.preparing()


def sync_folder(folder: Path) -> None:
    """Flush a folder, so that a rename or removal in it survives a loss of power.

    Some file systems of networks and user space do not know that of folders, and say EINVAL: there is nothing to flush.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
