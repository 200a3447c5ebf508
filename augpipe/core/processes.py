"""Start processes that import nothing from the working directory and do not run the caller's program again.

``python -c``, by which :mod:`multiprocessing` starts its fork server and its resource tracker, puts the working
directory first on ``sys.path``: a user's ``random.py`` or a checkout's ``augpipe/`` would be imported in place of the
real one. ``PYTHONSAFEPATH`` leaves it out (https://docs.python.org/3/using/cmdline.html, Python 3.11).

:mod:`multiprocessing` also imports the caller's ``__main__`` into each worker, so a script without
``if __name__ == "__main__"`` would start itself again. No work of augpipe is defined there, so a stand-in without a
file is shown while a process is started.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import process
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext, ForkServerContext, ForkServerProcess
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from augpipe.core.errors import RunError, one_line

_SAFE_PATH = "PYTHONSAFEPATH"
_SAFE_PATH_BEFORE = "AUGPIPE_PYTHONSAFEPATH_BEFORE"
_SERVERS = 3  # fork servers in a row that may end before a process has come from them
_GOING = 0.05  # seconds for one that is going to be gone
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
    """Within this context, Python processes start with a safe path and without the caller's ``__main__``.

    A resource tracker that was killed is started again without the warning that nobody can do anything about.
    """
    with _lock, _somewhere(), warnings.catch_warnings(action="ignore"):
        main = sys.modules["__main__"]
        os.environ[_SAFE_PATH_BEFORE] = os.environ.get(_SAFE_PATH, "")
        os.environ[_SAFE_PATH] = "1"
        sys.modules["__main__"] = _MainWithoutFile(main)
        try:
            yield
        finally:
            sys.modules["__main__"] = main
            _restore_environment()


@contextmanager
def _somewhere() -> Iterator[None]:
    """Within this context there is a working directory, which processes are told: / where it has been deleted."""
    if _working_directory() is not None:
        yield
        return
    gone = os.open(".", os.O_RDONLY)
    os.chdir("/")
    try:
        yield
    finally:
        os.fchdir(gone)
        os.close(gone)


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

    SIGINT and SIGHUP are blocked in it and in the workers that come from it: they are for the parent alone.

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
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            forkserver.ensure_running()
        except OSError as error:
            raise not_started(error) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class Refused(Exception):
    """The system starts no further process; the message says why."""


def connected(
    context: BaseContext,
    target: Callable[..., None],
    *,
    restart: Callable[[], None],
    inherited: Sequence[Connection] | None = None,
) -> tuple[BaseProcess, Connection]:
    """A new process, which calls ``target`` with a connection, and our end of that.

    Args:
        context: how it is started.
        target: a function of a module.
        restart: starts the fork server, called where that has ended.
        inherited: for a fork, connections that it is to close; ``target`` gets them and ours as a second argument.

    Raises:
        Refused: the system starts none.
    """
    for _ in range(_SERVERS):
        try:
            if isinstance(context, ForkServerContext):
                _require_room()
            ours, theirs = context.Pipe()
        except OSError as error:
            raise Refused(one_line(error.strerror)) from error
        arguments = (theirs,) if inherited is None else (theirs, [ours, *inherited])
        made: BaseProcess = context.Process(target=target, args=arguments, daemon=True)  # type: ignore[attr-defined]
        try:
            made.start()
        except (EOFError, ConnectionError, FileNotFoundError):  # the server is gone, or just going
            ours.close()
            time.sleep(_GOING)
            restart()
        except OSError as error:
            ours.close()
            raise Refused(one_line(error.strerror or error)) from error
        else:
            return made, ours
        finally:
            theirs.close()
    raise Refused("the fork server ended")


def _require_room() -> None:
    """Raise OSError if the system has no room for a process and its thread, which it counts like threads of this one.

    A fork server that is refused one ends, and then nothing can be learnt of its workers any more.
    """
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(2)]
    started = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    finally:
        done.set()
        for thread in started:
            thread.join()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold back Ctrl-C, SIGTERM and SIGHUP: a process that got half of what it needs would end with a traceback."""
    if threading.current_thread() is not threading.main_thread():  # signals arrive there only
        yield
        return
    arrived: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: arrived.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not None  # set by another language, so it could not be given back
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for missed in arrived:
            os.kill(os.getpid(), missed)


def ending_of(code: int | None) -> str:
    """How a process ended, as far as its exit code tells."""
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}{', perhaps by the system for want of memory' if -code == signal.SIGKILL else ''}"


def not_started(why: object) -> RunError:
    """The error of work for which no process can be started, with the way out."""
    way = "what is finished is kept; --workers 0 takes this process alone"
    return RunError(f"workers do not start: {one_line(why)}\n{way}")


def is_alone() -> bool:
    """Whether this process has one thread, so that it can fork. The system counts them, as libraries have some too."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


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
