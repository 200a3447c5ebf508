"""What the system refuses, as the one sentence that ends a run: where, what, and that the same command goes on.

Writing a shard says so itself (:mod:`augpipe.run.store`). Listing a folder, deleting, asking for a size and planning
can fail as well, anywhere, and no caller of the library should have to know the exceptions of the system.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from augpipe.errors import RunError, one_line


@contextmanager
def refusals_told(folder: Path) -> Iterator[None]:
    """Turn what the system refuses meanwhile into a :class:`RunError` about ``folder``, or the file that it names."""
    try:
        yield
    except BrokenPipeError:  # whoever listens to the run has gone; nothing was refused
        raise
    except MemoryError as error:
        raise RunError(
            f"{folder}: not enough memory; what is finished is kept\n"
            "make room, or take fewer --workers, and run the same command to go on"
        ) from error
    except OSError as error:
        raise refused(error.filename or folder, error) from error


def refused(path: Path | str, error: OSError, what: str = "") -> RunError:
    """The end of a run, with the way out; ``what`` says what was tried."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return RunError(
        f"{one_line(path)}: {what}{error.strerror or one_line(error)}\n"
        f"what is finished is kept; {'make room' if full else 'mend that'} and run the same command to go on"
    )
