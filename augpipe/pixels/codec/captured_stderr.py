"""What C libraries write to stderr: libjpeg reports damage nowhere else.

The descriptor belongs to the process, so text may come from any thread. :func:`alone` listens to one picture;
:func:`together` lets several threads listen at once, which suffices while sound pictures say nothing. Where something
was said, the picture is decoded again alone.
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
    """Set at the end of listening: the text, and whether no other thread listened meanwhile."""

    text: str = ""
    alone: bool = True


@contextmanager
def alone() -> Iterator[Heard]:
    """Listen while no other thread does.

    Raises:
        OSError: there is no descriptor left; nothing is changed then.
    """
    with _lock.entered(exclusive=True) as heard:
        yield heard


@contextmanager
def together() -> Iterator[Heard]:
    """Listen while others may; the text may be about any of their pictures.

    Raises:
        OSError: as :func:`alone`.
    """
    with _lock.entered(exclusive=False) as heard:
        yield heard


class _RedirectLock:
    """Shared/exclusive lock around redirecting descriptor 2; exclusive waiters go first.

    The first to enter redirects it to a new file, the last to leave restores it. A file that a fork had copied would be
    written and emptied by both processes, hence a new one each time.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = self._waiting = self._entries = 0
        self._exclusive = False
        self._file = -1
        self._saved: int | None = None

    @contextmanager
    def entered(self, *, exclusive: bool) -> Iterator[Heard]:
        heard = Heard()
        first, number, start = self._enter(exclusive)
        try:
            yield heard
        finally:
            with self._changed:
                heard.text = os.pread(self._file, _MOST, start).decode("ascii", "replace")
                heard.alone = first and self._entries == number
                self._inside -= 1
                if not self._inside:
                    self._exclusive = False
                    _restore(self._file, self._saved)
                self._changed.notify_all()

    def _enter(self, exclusive: bool) -> tuple[bool, int, int]:
        """(whether nobody else is inside, number of this entry, length of the text before it)."""
        with self._changed:
            if exclusive:
                self._waiting += 1
                try:
                    self._changed.wait_for(lambda: not self._inside)
                finally:
                    self._waiting -= 1
                    self._changed.notify_all()
            else:
                self._changed.wait_for(lambda: not self._exclusive and not self._waiting)
            first = not self._inside
            if first:
                self._file, self._saved = _redirect()
            self._inside += 1
            self._entries += 1
            self._exclusive = exclusive
            return first, self._entries, os.fstat(self._file).st_size


_lock = _RedirectLock()


def _redirect() -> tuple[int, int | None]:
    """The file that descriptor 2 is now, and the duplicate of what it was."""
    saved = _duplicate_of_stderr()
    try:
        file = _nameless_file()
    except OSError:
        if saved is not None:
            os.close(saved)
        raise
    os.dup2(file, 2)
    return file, saved


def _duplicate_of_stderr() -> int | None:
    """``None`` where stderr is closed, as in some daemons; it is closed again afterwards.

    Raises:
        OSError: there is no descriptor left.
    """
    try:
        return os.dup(2)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        return None


def _restore(file: int, saved: int | None) -> None:
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
        try:
            return os.memfd_create("codecs")
        except (
            OSError
        ) as error:  # a sandbox may forbid it; where there is no descriptor left, none is for a file either
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise
    with tempfile.TemporaryFile() as made:
        return os.dup(made.fileno())
