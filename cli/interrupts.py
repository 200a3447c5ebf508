"""Ctrl-C and SIGTERM end a command in the same way: it tidies up and prints a line; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_asked = False


@contextmanager
def heard() -> Iterator[None]:
    """A context in which SIGINT and SIGTERM raise KeyboardInterrupt, and a second one ends the process."""
    global _asked  # noqa: PLW0603 - signals are of the whole process
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        global _asked  # noqa: PLW0603
        _asked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise KeyboardInterrupt

    _asked = False
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check() -> None:
    """Raise KeyboardInterrupt if it was raised before and lost, as in a library that catches everything while it loads.

    Commands call this on every sign of progress.
    """
    if _asked:
        raise KeyboardInterrupt
