"""stdin, stdout and stderr that end no command: missing ones are opened, and what nobody can take is given up quietly.

A descriptor that is missing would be given to the next file that is opened, and a library's warning would be written
into a shard. A reader that has gone, or a full disk under a report, says nothing of the work, which goes on; who wants
to know is told at the end, by :func:`settled`.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from typing import Any, TextIO

_MISSING = ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY))

_stdout: _Descriptor | None = None
_result_is_printed = True


class _Descriptor(io.RawIOBase):
    """Writes to a descriptor until that fails for the first time; from then on it takes everything and keeps none."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        while self.error is None:
            try:
                return os.write(self._number, data)
            except BlockingIOError:  # another program made it non-blocking
                self._wait()
            except OSError as error:
                self.error = error
        return size

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._number, select.POLLOUT)
        poll.poll()


def make_safe() -> None:
    """Open what is missing, and let :data:`sys.stdout` and :data:`sys.stderr` fail no more."""
    global _stdout
    for number, flags in _MISSING:
        _open_if_missing(number, flags)
    _stdout, stderr = _Descriptor(1), _Descriptor(2)
    sys.stdout = _text(_stdout, sys.stdout, by_line=_stdout.isatty() or getattr(sys.stdout, "write_through", False))
    sys.stderr = _text(stderr, sys.stderr, by_line=True)


def _open_if_missing(number: int, flags: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        with contextlib.suppress(OSError):  # there is no /dev
            opened = os.open(os.devnull, flags)
            os.dup2(opened, number)  # which every process that is started inherits
            if opened != number:
                os.close(opened)


def _text(raw: _Descriptor, before: TextIO | None, *, by_line: bool) -> io.TextIOWrapper:
    """A stream like the one before, which is ``None`` where there was none; no character ends it either."""
    encoding, errors = getattr(before, "encoding", "utf-8"), getattr(before, "errors", "strict")
    with contextlib.suppress(OSError, ValueError):
        if before is not None:
            before.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, "backslashreplace" if errors == "strict" else errors, line_buffering=by_line
    )


def reader_gone() -> bool:
    """Whether nobody reads stdout any more."""
    return _stdout is not None and _stdout.error is not None and _stdout.error.errno == errno.EPIPE


def result_is_printed(yes: bool) -> None:
    """Note whether what is printed is the whole result of the command."""
    global _result_is_printed  # noqa: PLW0603
    _result_is_printed = yes


def settled(code: int) -> int:
    """The exit code of a command that ends with ``code``, once stdout is flushed.

    Where what it printed was lost, to other than a reader who has gone, a line says so; where that was its whole
    result, a command that went well has failed.
    """
    sys.stdout.flush()
    if _stdout is not None and _stdout.error is not None and not reader_gone():
        print(f"augpipe: what was printed is lost: stdout: {_stdout.error.strerror}", file=sys.stderr)
        code = code or int(_result_is_printed)
    sys.stderr.flush()
    return code
