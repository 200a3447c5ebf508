"""Work in parts on several processes, with the results in the order of the parts: the same for any number of them.

A crew starts its processes when there is work for which that pays, and keeps them until its end. A program of one
thread, as the command line is, forks: its copies have every library loaded. A fork of a program that has threads may
hang, as one of them may hold a lock, so there they come from a fork server.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any, TypeVar

from augpipe.errors import RunError, one_line

WORTH_PROCESSES = 3000
"""Pictures from which on other processes are worth the time that they take to start."""

_PART = 250
_AHEAD = 3  # parts that wait for each process
_SELDOM = (50_000, 20, 50)
_FORKS_AT_ONCE = sys.version_info >= (3, 11)
"""Older executors fork when there is more work, and have a thread by then."""
_PRELOADED = ("augpipe.convert", "augpipe.cli.main")

Part = TypeVar("Part")
Result = TypeVar("Result")


class Crew:
    """Up to ``workers`` processes."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def each(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """``work`` of every part, in order. It is begun at once, whenever the first result is asked for."""
        rest = iter(parts)
        with _told():
            pool = self._started()
            first = [pool.submit(work, part) for part in islice(rest, _AHEAD * self._workers)]
        return self._results(pool, work, deque(first), rest)

    def _results(
        self,
        pool: ProcessPoolExecutor,
        work: Callable[[Part], Result],
        waiting: deque[Future[Result]],
        rest: Iterator[Part],
    ) -> Iterator[Result]:
        """A few parts are ahead; all at once would be the whole index once more."""
        with _told():
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, part) for part in islice(rest, 1))
                yield result

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            method = _method()
            context: Any = multiprocessing.get_context(method)
            if method == "forkserver":
                context.set_forkserver_preload([name for name in _PRELOADED if name in sys.modules])
            self._pool = ProcessPoolExecutor(self._workers, context, initializer=_begin)
        return self._pool

    def close(self) -> None:
        """End the processes; what they have not begun is forgotten."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise RunError(f"a process died ({one_line(error, 80)}); try --workers 0") from error


def _method() -> str:
    """How processes are started. Threads of libraries count too, so it is the system that is asked."""
    try:
        alone = len(os.listdir("/proc/self/task")) == 1
    except OSError:
        alone = False
    if alone and _FORKS_AT_ONCE:
        return "fork"
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def _begin() -> None:
    """Ctrl-C goes to every process of the terminal; the parent alone tells of it. When the parent is gone, so are we:
    what is still written would go into the folder of whoever does it again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _crew.set(None)  # a fork has its parent's, whose processes do not answer it
    gc.freeze()  # what the parent has made stays in the pages that both share
    gc.set_threshold(*_SELDOM)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Within this context the garbage collector looks less often: it would go over a large index again and again."""
    before = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)


_crew: ContextVar[Crew | None] = ContextVar("crew", default=None)


@contextmanager
def crew(workers: int | None) -> Iterator[None]:
    """Within this context :func:`each` may use processes: ``workers`` of them; one a core for ``None``, none for 0."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = (cores if cores > 1 else 0) if workers is None else workers
    made = Crew(count) if count else None
    token = _crew.set(made)
    try:
        with seldom_collected():
            yield
    finally:
        _crew.reset(token)
        if made is not None:
            made.close()


def stop() -> None:
    """Wait until the processes of this context have ended, and forget what they have not begun.

    Whoever takes away what they work on, as after an error, must not do so before.
    """
    if (there := _crew.get()) is not None:
        there.close()


def each(work: Callable[[Part], Result], parts: Iterable[Part], things: int) -> Iterator[Result]:
    """``work`` of every part, in order; by the crew's processes if there are so many ``things`` that it pays, which
    begin while the caller does something else.

    Args:
        work: a function of a module; what it is given and gives back is pickled.
        parts: what it is given.
        things: how many pictures or files all parts have together.

    Raises:
        RunError: a process died, as for want of memory.
    """
    there = _crew.get()
    if there is None or things < WORTH_PROCESSES:
        return map(work, parts)
    return there.each(work, parts)


def parts_of(things: Sequence[Part]) -> Iterator[Sequence[Part]]:
    """Lists of some hundred neighbours."""
    return (things[i : i + _PART] for i in range(0, len(things), _PART))
