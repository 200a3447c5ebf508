"""Ctrl-C, SIGTERM and SIGHUP: a command tidies up, says so and ends by the signal; a second one ends it now.

Ending by the signal is what tells a shell's loop to stop, and gives 130, 143 or 129
(https://www.cons.org/cracauer/sigint.html). A signal that is ignored, as SIGHUP under nohup, stays ignored.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_HEARD = (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM))

_asked: int | None = None
_end: int | None = None


@contextmanager
def heard() -> Iterator[None]:
    """A context in which the signals raise KeyboardInterrupt, and a second one ends the process."""
    global _asked  # noqa: PLW0603 - signals are of the whole process
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        global _asked  # noqa: PLW0603
        _asked = number
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        raise KeyboardInterrupt

    _asked = None
    before = {number: signal.getsignal(number) for number in _HEARD if signal.getsignal(number) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check() -> None:
    """Raise KeyboardInterrupt if it was raised before and lost, as in a library that catches everything while it loads.

    Commands call this on every sign of progress, and at their end.
    """
    if _asked is not None:
        raise KeyboardInterrupt


def asked() -> int | None:
    """The signal that has asked this command to stop."""
    return _asked


def end_by(number: int) -> int:
    """Let the process end by a signal when all else is done; gives the exit code that a shell has for that."""
    global _end  # noqa: PLW0603
    _end = number
    return 128 + number


def end_as_asked() -> None:
    """End this process by the signal that was chosen, if one was; called when all else is done."""
    if _end is not None:
        signal.signal(_end, signal.SIG_DFL)
        os.kill(os.getpid(), _end)
