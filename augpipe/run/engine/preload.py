"""Imported by the fork server: what makes shards, and OpenCV, which is otherwise loaded where it is first used.

A library that does not load fails again in the worker, which reports it; here it must not end the server. What does
end it, as a system that forks no more, its parent notices and tells in one line.
"""

import os
import sys
from contextlib import suppress
from importlib import import_module
from types import TracebackType

_SERVER = os.getpid()


def _say_in_workers(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if os.getpid() != _SERVER:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _say_in_workers

for _name in ("augpipe.run.engine.worker", "augpipe.run.task", "cv2"):
    with suppress(BaseException):
        import_module(_name)
