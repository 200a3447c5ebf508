"""A process that stops dead before it changes a file, played in this one: by the N-th change below a folder it is over.

From then on nothing below the folder is changed any more, so what `finally` would tidy stays as a killed process leaves
it. What is heard are CPython's audit events, so a change that the code learns to make is among them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Stop(BaseException):
    """The process is over."""


class _Changes:
    def __init__(self) -> None:
        self.folder, self.left, self.seen = "", -1, 0

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.folder or not (event in _CHANGES or (event == "open" and arguments[2] & _WRITES)):
            return
        if not any(isinstance(a, (str, bytes, Path)) and os.fsdecode(a).startswith(self.folder) for a in arguments[:2]):
            return
        if self.seen == self.left:
            raise Stop
        self.seen += 1


_changes = _Changes()
_hooked: list[bool] = []


@contextmanager
def stopping(folder: Path, after: int) -> Iterator[_Changes]:
    """Within this context ``after`` changes below a folder are made, and the next one raises :class:`Stop`; −1: never.

    ``seen`` of what is returned counts the changes that were made.
    """
    if not _hooked:
        sys.addaudithook(_changes.hear)
        _hooked.append(True)
    _changes.folder, _changes.left, _changes.seen = str(folder), after, 0
    try:
        yield _changes
    finally:
        _changes.folder = ""
