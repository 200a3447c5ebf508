"""The output of a run as a store of files: what a run asks of it, so that a new kind of store is one more class."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol

from augpipe.core.paths import StrPath, local_path
from augpipe.run.folder.local import LocalStore


class Store(Protocol):
    """Files by name (``all-000000.tar``), without folders.

    A store is sent to workers by pickle, without its locks. Methods raise :class:`RunError` for what cannot be written,
    :class:`UsageError` for a place that cannot be an output at all, and :class:`OSError` for what cannot be read.
    """

    @property
    def folder(self) -> Path | str:
        """The name of the store in messages; a path if it is a local folder."""
        ...

    def names(self) -> list[str]:
        """All names, sorted."""
        ...

    def size(self, name: str) -> int:
        """Bytes of a file, −1 if there is none."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """A file to read; :class:`FileNotFoundError` if there is none."""
        ...

    def put(self, name: str, fill: Callable[[IO[bytes]], object]) -> None:
        """Write a file by ``fill``. It is there whole or not at all, and durable when this returns."""
        ...

    def remove(self, *names: str) -> None:
        """Remove files in this order, durably; a file that is not there is no error."""
        ...

    def discard(self, of: Callable[[str], bool]) -> None:
        """Remove what is left of unfinished :meth:`put` calls, for file names without an ending that ``of`` accepts."""
        ...

    def scratch(self) -> str:
        """A local folder for temporary files of a task."""
        ...

    def free_bytes(self) -> int | None:
        """Room that is left, ``None`` if unknown."""
        ...

    def lock(self, tasks: range) -> bool:
        """Reserve these tasks until :meth:`unlock` or the end of the process; False if one of them is reserved."""
        ...

    def unlock(self, done: bool = False) -> None:
        """Release all tasks; ``done`` says that no run is in progress, so what only such a run needs can go."""
        ...

    def preparing(self) -> AbstractContextManager[None]:
        """A context in which no other process reads or changes run.json."""
        ...


def open_store(folder: StrPath | Store) -> Store:
    """The store of a local folder; a store is returned as it is.

    Raises:
        UsageError: the path is empty or a URL.
    """
    return LocalStore(local_path(folder)) if isinstance(folder, str | os.PathLike) else folder
