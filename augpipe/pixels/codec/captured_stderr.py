"""What C libraries write to stderr: libjpeg says only there that a picture is damaged.

The descriptor is the process's, so what is heard there is said by any of its threads. Who must know of one picture
listens :func:`alone`; many that mostly have nothing to hear, as sound pictures say nothing, listen :func:`together`, at
the same time, and one that heard something asks again alone.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_MOST = 4000  # bytes that are read of what was said


@dataclass
class Heard:
    """What was said while one listened, and whether nobody else did at any moment of it."""

    text: str = ""
    alone: bool = True


@contextmanager
def alone() -> Iterator[Heard]:
    """Listen to what this thread has C libraries say; it is known at the end.

    Raises:
        OSError: there is no descriptor left; nothing is changed then.
    """
    with _room.entered(by_itself=True) as heard:
        yield heard


@contextmanager
def together() -> Iterator[Heard]:
    """Listen while others do: what is heard may be about any of their pictures.

    Raises:
        OSError: as :func:`alone`.
    """
    with _room.entered(by_itself=False) as heard:
        yield heard


class _Room:
    """Who listens. The first to enter takes stderr away, the last one puts it back.

    The file is a new one each time: one that a fork had copied would be written and emptied by both processes. Who
    waits to be alone comes before those who would enter together, so it is not kept waiting for ever.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = self._waiting = self._entries = 0
        self._by_itself = False
        self._file = -1
        self._saved: int | None = None

    @contextmanager
    def entered(self, *, by_itself: bool) -> Iterator[Heard]:
        heard = Heard()
        first, number, start = self._enter(by_itself)
        try:
            yield heard
        finally:
            with self._changed:
                heard.text = os.pread(self._file, _MOST, start).decode("ascii", "replace")
                heard.alone = first and self._entries == number
                self._inside -= 1
                if not self._inside:
                    self._by_itself = False
                    _put_back(self._file, self._saved)
                self._changed.notify_all()

    def _enter(self, by_itself: bool) -> tuple[bool, int, int]:
        """Whether nobody else is inside, the number of this entry, and the length of what was said before."""
        with self._changed:
            if by_itself:
                self._waiting += 1
                try:
                    self._changed.wait_for(lambda: not self._inside)
                finally:
                    self._waiting -= 1
                    self._changed.notify_all()
            else:
                self._changed.wait_for(lambda: not self._by_itself and not self._waiting)
            first = not self._inside
            if first:
                self._file, self._saved = _taken_away()
            self._inside += 1
            self._entries += 1
            self._by_itself = by_itself
            return first, self._entries, os.fstat(self._file).st_size


_room = _Room()


def _taken_away() -> tuple[int, int | None]:
    """The file that stderr is now, and the way back."""
    saved = _duplicate_of_stderr()
    try:
        file = _nameless_file()
    except OSError:
        if saved is not None:
            os.close(saved)
        raise
    os.dup2(file, 2)
    return file, saved


def _put_back(file: int, saved: int | None) -> None:
    if saved is None:
        os.close(2)
    else:
        os.dup2(saved, 2)
        os.close(saved)
    if file != 2:  # where stderr is closed, the file may have got its number
        os.close(file)


def _nameless_file() -> int:
    """The descriptor of an empty file, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("codecs")
    with tempfile.TemporaryFile() as made:
        return os.dup(made.fileno())


def _duplicate_of_stderr() -> int | None:
    """A descriptor for the way back; ``None`` where stderr is closed, as under some daemons.

    Raises:
        OSError: there is no descriptor left. That must not pass for a closed stderr, which is closed on the way back.
    """
    try:
        return os.dup(2)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        return None
