"""The exception tree: one class a kind of outcome, so that the command line maps them in one place.

    AugpipeError
    ├── UsageError        the user asked for something that cannot work; nothing was done (exit 2)
    │   ├── RecipeError   the recipe at fault: file, line, what was expected, the nearest name
    │   ├── DatasetError  the source at fault: which file or folder, what was expected
    │   └── MissingLibrary  a library that is not installed or does not load; an ImportError, too
    ├── RunError          work had begun and could not be finished (exit 1)
    │   └── DeviceError    the device failed; this process can do nothing more with it
    └── Reject            one picture cannot be used; the run goes on and writes a row (see docs/format.md)

A message is one or two lines, or one for each mistake of a recipe. It names the file, says what was expected and what
came, and the way out.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AugpipeError(Exception):
    """Base of every error that augpipe raises on purpose."""

    exit_code = 1


class UsageError(AugpipeError):
    """The request itself cannot work; nothing was done."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe that cannot be read or does not make sense."""


class DatasetError(UsageError):
    """A source that cannot be read as a dataset."""


class MissingLibrary(UsageError, ImportError):
    """A library that is needed and cannot be imported; the message says how to install it."""


class RunError(AugpipeError):
    """A run that had begun and could not be finished."""


class DeviceError(RunError):
    """A GPU that failed; only another process can use it again."""


class Reject(AugpipeError):
    """One picture, or one of its copies, that cannot be used.

    Args:
        stage: read | decode | labels | plan | pixels | encode | write.
        code: short name of the reason, such as ``missing-picture`` or ``truncated``.
        message: one line for a person.
        file: path below SRC of the annotation or picture at fault, if it is not the picture itself.
        line: line in that file, if known.
        transient: a crash, a time-out, no memory or an I/O error: trying again may help.
    """

    def __init__(
        self,
        stage: str,
        code: str,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        transient: bool = False,
    ) -> None:
        super().__init__(message)
        self.stage = stage
        self.code = code
        self.message = message
        self.file = file
        self.line = line
        self.transient = transient

    def bare(self) -> Reject:
        """A copy without traceback and causes, whose frames would keep pictures in memory."""
        return _rebuild_reject(self.stage, self.code, self.message, self.file, self.line, self.transient)

    def __reduce__(self) -> tuple[object, ...]:  # keyword arguments survive the way between processes
        return _rebuild_reject, (self.stage, self.code, self.message, self.file, self.line, self.transient)


def _rebuild_reject(stage: str, code: str, message: str, file: str | None, line: int | None, transient: bool) -> Reject:
    return Reject(stage, code, message, file=file, line=line, transient=transient)


def of_system(error: BaseException) -> bool:
    """Whether the system refused something, which may pass; the OSError of a damaged file has no errno."""
    return isinstance(error, OSError) and error.errno is not None


def fault(stage: str, error: Exception) -> Reject:
    """The reject of a picture for an unforeseen error: transient if the system refused something, else a bug.

    Raises:
        MissingLibrary: that is the error; it is no picture's, and would cost every one of them.
    """
    if isinstance(error, MissingLibrary):
        raise error
    if isinstance(error, MemoryError):
        return Reject(stage, "memory", "not enough memory for this picture", transient=True)
    if isinstance(error, OSError) and of_system(error):
        return Reject(stage, "io", f"the system refused: {error.strerror}", transient=True)
    place = traceback.extract_tb(error.__traceback__)[-1]
    message = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno}); please report this"
    return Reject(stage, "fault", message)


def one_line(text: object, limit: int = 300) -> str:
    """``text`` on one line with control characters escaped and cut to ``limit``, safe for a terminal or a log."""
    plain = str(text)
    if plain.isprintable() and len(plain) <= limit:
        return plain
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain)
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


# --- errors of the system that end a run -----------------------------------------------------------------------------


@contextmanager
def refusals_told(folder: Path | str) -> Iterator[None]:
    """Within this context, an OSError or MemoryError becomes a :class:`RunError` about its file or ``folder``."""
    try:
        yield
    except BrokenPipeError:  # the reader of our output has gone; nothing was refused
        raise
    except MemoryError as error:
        raise RunError(
            f"{folder}: not enough memory; what is finished is kept\n"
            "make room, or take fewer --workers, and run the same command to go on"
        ) from error
    except OSError as error:
        raise refused(error.filename or folder, error) from error


def refused(path: Path | str, error: OSError, what: str = "") -> RunError:
    """The error that ends a run, with the way out; ``what`` says what was tried."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return RunError(
        f"{one_line(path)}: {what}{error.strerror or one_line(error)}\n"
        f"what is finished is kept; {'make room' if full else 'mend that'} and run the same command to go on"
    )
