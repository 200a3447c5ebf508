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

from augpipe.core.errors import RunError, one_line

_SAFE_PATH = "PYTHONSAFEPATH"
_SAFE_PATH_BEFORE = "AUGPIPE_PYTHONSAFEPATH_BEFORE"
_lock = threading.RLock()


def _restore_environment() -> None:
    """In a process that was started with a safe path: give the processes that it starts the caller's setting."""
    before = os.environ.pop(_SAFE_PATH_BEFORE, None)
    if before is not None:
        del os.environ[_SAFE_PATH]
        if before:
            os.environ[_SAFE_PATH] = before


_restore_environment()


class _MainWithoutFile(ModuleType):
    """Stands in for ``__main__`` with all names but ``__file__``, by which multiprocessing finds the program."""

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
        main = sys.modules["__main__"]
        os.environ[_SAFE_PATH_BEFORE] = os.environ.get(_SAFE_PATH, "")
        os.environ[_SAFE_PATH] = "1"
        sys.modules["__main__"] = _MainWithoutFile(main)
        try:
            yield
        finally:
            sys.modules["__main__"] = main
            _restore_environment()


def leave_working_directory_off_path() -> None:
    """Remove the working directory from ``sys.path``, unless PYTHONPATH names it or pip installs into it."""
    named = {os.path.realpath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry}
    sys.path[:] = [
        entry
        for entry in map(str, sys.path)
        if not _is_working_directory(entry) or (entry and os.path.realpath(entry) in named) or _holds_packages(entry)
    ]


def _holds_packages(entry: str) -> bool:
    """Whether a folder is one that pip installs into."""
    return os.path.basename(os.path.realpath(entry)) in ("site-packages", "dist-packages")


def _is_working_directory(entry: str) -> bool:
    """Whether an entry of ``sys.path`` is the working directory of this process, or was when it started."""
    started_in = process.ORIGINAL_DIR  # type: ignore[attr-defined]
    places = {os.path.realpath(place) for place in (_working_directory(), started_in) if place}
    return not entry or os.path.realpath(entry) in places


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been deleted
        return None


class CleanProcess(ForkServerProcess):
    """A process of :func:`context`."""

    def start(self) -> None:
        with clean_start():
            super().start()

    def run(self) -> None:
        leave_working_directory_off_path()
        super().run()


class _CleanContext(ForkServerContext):
    Process = CleanProcess


def context() -> BaseContext:
    """The context with which :mod:`multiprocessing` and :mod:`concurrent.futures` start clean processes."""
    return _CleanContext()


def start_fork_server(preload: Sequence[str]) -> None:
    """Start the fork server, which imports the modules ``preload``; does nothing if it runs.

    SIGINT is blocked in it and in the workers that come from it: Ctrl-C is for the parent alone.

    Raises:
        RunError: the system starts none.
    """
    from multiprocessing import forkserver, resource_tracker

    forkserver.set_forkserver_preload([__name__, *preload])
    with clean_start():
        try:
            resource_tracker.ensure_running()  # first, since starting it unblocks SIGINT again
        except OSError as error:
            raise not_started(error) from error
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        except OSError as error:
            raise not_started(error) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def not_started(why: object) -> RunError:
    """The error of work for which no process can be started, with the way out."""
    way = "what is finished is kept; --workers 0 takes this process alone"
    return RunError(f"workers do not start: {one_line(why)}\n{way}")


def may_start_processes() -> bool:
    """Whether this process may have children, as daemonic workers of pools and data loaders may not."""
    return not process.current_process().daemon


def python_command(code: str) -> list[str]:
    """The command that runs ``code`` in a Python with the path of this one without the working directory."""
    path = [str(entry) for entry in sys.path]
    working = [entry for entry in path if _is_working_directory(entry)]
    kept = f"[p for p in {path!r} if p in sys.path or p not in {working!r}]"
    return [sys.executable, "-P", "-c", f"import sys; sys.path[:] = {kept}; {code}"]


def import_error(module: str, seconds: float = 60) -> str | None:
    """The last line of Python's error if ``module`` cannot be imported in a process of its own, else ``None``."""
    try:
        done = subprocess.run(
            python_command(f"import {module}"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return one_line(error)
    if done.returncode == 0:
        return None
    said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return said or f"Python ended with {done.returncode}"
