"""Start processes that import nothing from the working directory and do not run the caller's program again.

``python -c``, by which :mod:`multiprocessing` starts its fork server and its resource tracker, puts the working
directory first on ``sys.path``: a user's ``random.py`` or a checkout's ``augpipe/`` would be imported in place of the
real one. ``PYTHONSAFEPATH`` leaves it out (https://docs.python.org/3/using/cmdline.html, Python 3.11).

:mod:`multiprocessing` also imports the caller's ``__main__`` into each worker, so a script without
``if __name__ == "__main__"`` would start itself again. No work of augpipe is defined there, so a stand-in without a
file is shown while a process is started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import process
from multiprocessing.context import BaseContext, ForkServerContext, ForkServerProcess
from types import ModuleType
from typing import Any

_SAFE_PATH = "PYTHONSAFEPATH"
_BASE_PATH = tuple(sys.path)
"""In a fork server, which is started with a safe path: what its workers may keep, wherever the working directory is."""

_lock = threading.RLock()


class _MainWithoutFile(ModuleType):
    """Stands in for ``__main__``: has all of its names but those by which multiprocessing finds the program."""

    def __init__(self, main: ModuleType) -> None:
        super().__init__("__main__")
        self._main = main

    def __getattr__(self, name: str) -> Any:
        if name == "__file__":
            raise AttributeError(name)
        return getattr(self._main, name)


@contextmanager
def clean_start() -> Iterator[None]:
    """Within this context, Python processes start with a safe path and without the caller's ``__main__``."""
    with _lock:
        main, before = sys.modules["__main__"], os.environ.get(_SAFE_PATH)
        os.environ[_SAFE_PATH] = "1"
        sys.modules["__main__"] = _MainWithoutFile(main)
        try:
            yield
        finally:
            sys.modules["__main__"] = main
            if before is None:
                del os.environ[_SAFE_PATH]
            else:
                os.environ[_SAFE_PATH] = before


def leave_working_directory_off_path() -> None:
    """Take out of ``sys.path`` what the parent had there for its working directory."""
    working = {"", os.getcwd(), process.ORIGINAL_DIR}  # type: ignore[attr-defined]
    sys.path[:] = [entry for entry in sys.path if entry in _BASE_PATH or entry not in working]


class CleanProcess(ForkServerProcess):
    """A process of :func:`context`."""

    def start(self) -> None:
        """As its base class does, within :func:`clean_start`."""
        with clean_start():
            super().start()

    def run(self) -> None:
        """Do the work in the new process."""
        leave_working_directory_off_path()
        super().run()


class _CleanContext(ForkServerContext):
    Process = CleanProcess


def context() -> BaseContext:
    """What :mod:`multiprocessing` and :mod:`concurrent.futures` take to start clean processes."""
    return _CleanContext()


def start_fork_server(preload: Sequence[str]) -> None:
    """Start the fork server, and let it import the modules ``preload``; nothing happens where it runs.

    SIGINT is blocked in it, and so in the workers that come from it: the parent alone decides what Ctrl-C means.
    """
    from multiprocessing import forkserver, resource_tracker

    forkserver.set_forkserver_preload([__name__, *preload])
    with clean_start():
        resource_tracker.ensure_running()  # first, since starting it unblocks SIGINT again
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def python_command(code: str) -> list[str]:
    """The command that runs ``code`` in a Python with this one's path, less the working directory."""
    working = ("", os.getcwd())
    path = f"[p for p in {sys.path!r} if p in sys.path or p not in {working!r}]"
    return [sys.executable, "-P", "-c", f"import sys; sys.path[:] = {path}; {code}"]


def import_error(module: str, seconds: float = 60) -> str | None:
    """Why ``module`` cannot be imported in a process of its own: the last line that Python says; ``None`` if it can."""
    try:
        done = subprocess.run(
            python_command(f"import {module}"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return said or f"Python ended with {done.returncode}"
