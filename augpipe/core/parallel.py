"""Work in parts on several processes, with the results in the order of the parts: the same for any number of them.

The pool starts its processes when there is work for which that pays, and keeps them until its end. A program of one
thread, as the command line is, forks: the copies have every library loaded. Forking a program with more threads may
deadlock, since one of them may hold a lock, so there the processes come from a fork server.
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
from multiprocessing.context import BaseContext
from typing import TypeVar

from augpipe.core import processes
from augpipe.core.errors import RunError, one_line
from augpipe.core.machine import cores, processes_that_fit

WORTH_PROCESSES = 3000
"""Pictures or files from which on other processes are worth the time that they take to start."""

_BATCH = 250
_AHEAD = 3  # parts that wait for each process
_SELDOM = (50_000, 20, 50)
_PRELOADED = ("augpipe.conversion", "augpipe.survey", "augpipe.verification")

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Pool:
    """Up to ``workers`` processes, started with the first work."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._executor: ProcessPoolExecutor | None = None

    def map(self, work: Callable[[Item], Result], parts: Iterable[Item]) -> Iterator[Result]:
        """``work`` of every part, in order. It is begun at once, whenever the first result is asked for."""
        rest = iter(parts)
        first = list(islice(rest, _AHEAD * self._workers))
        if self._executor is None:
            self._workers = min(self._workers, max(1, len(first)))  # forks are made all at once, however few parts
        return self._results(work, deque([self._submit(work, part) for part in first]), rest)

    def _results(
        self, work: Callable[[Item], Result], waiting: deque[Future[Result]], rest: Iterator[Item]
    ) -> Iterator[Result]:
        """A few parts are ahead; all at once would be the whole index once more."""
        while waiting:
            with _death_reported():
                result = waiting.popleft().result()
            waiting.extend(self._submit(work, part) for part in islice(rest, 1))
            yield result

    def _submit(self, work: Callable[[Item], Result], part: Item) -> Future[Result]:
        with _death_reported():
            if self._executor is None:
                self._executor = _started(self._workers)
            return self._executor.submit(work, part)

    def close(self) -> None:
        """End the processes; what they have not begun is forgotten."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)


def _started(workers: int) -> ProcessPoolExecutor:
    """An executor with so many processes.

    Raises:
        RunError: this process may not have any, or the system starts none.
    """
    if not processes.may_start_processes():
        raise processes.not_started("this process is a worker of a pool itself, which may have none")
    try:
        return ProcessPoolExecutor(workers, _context(), initializer=_begin)
    except OSError as error:
        raise processes.not_started(error) from error


@contextmanager
def _death_reported() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise RunError(
            f"a process died ({one_line(error, 80)}), perhaps for want of memory; try fewer --workers, or --workers 0"
        ) from error


def _context() -> BaseContext:
    """How processes are started. Threads of libraries count too, so the system is asked how many there are."""
    try:
        alone = len(os.listdir("/proc/self/task")) == 1
    except OSError:
        alone = False
    if alone:
        return multiprocessing.get_context("fork")
    processes.start_fork_server([__name__, *(name for name in _PRELOADED if name in sys.modules)])
    return processes.context()


def _begin() -> None:
    """Ctrl-C goes to every process of the terminal; the parent alone tells of it. When the parent is gone, so are we:
    what is still written would go into the folder of whoever does it again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _pool.set(None)  # a fork has its parent's, whose processes do not answer it
    gc.freeze()  # what the parent has made stays in the pages that both share
    gc.set_threshold(*_SELDOM)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextmanager
def rare_collection() -> Iterator[None]:
    """Within this context the garbage collector looks less often: it would go over a large index again and again."""
    before = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)


_pool: ContextVar[_Pool | None] = ContextVar("pool", default=None)


@contextmanager
def worker_pool(workers: int | None) -> Iterator[None]:
    """Within this context :func:`parallel_map` may use ``workers`` processes; one a core for ``None``, none for 0."""
    if workers is None:
        fitting = processes_that_fit(cores())
        count = fitting if fitting > 1 and processes.may_start_processes() else 0
    else:
        count = workers
    made = _Pool(count) if count else None
    token = _pool.set(made)
    try:
        with rare_collection():
            yield
    finally:
        _pool.reset(token)
        if made is not None:
            made.close()


def stop() -> None:
    """Wait until the processes of this context have ended, and forget what they have not begun.

    Call it before files are removed that they work on, as after an error.
    """
    if (pool := _pool.get()) is not None:
        pool.close()


def parallel_map(work: Callable[[Item], Result], parts: Iterable[Item], size: int | None = None) -> Iterator[Result]:
    """``work`` of every part, in order; begun at once in the processes of the context, while the caller goes on.

    Args:
        work: a function of a module; what it is given and gives back is pickled.
        parts: what it is given.
        size: how many pictures or files all parts have together; of less than :data:`WORTH_PROCESSES` the work is done
            here, part by part. ``None`` is worth processes.

    Raises:
        RunError: a process died, as for want of memory.
    """
    pool = _pool.get()
    if pool is None or (size is not None and size < WORTH_PROCESSES):
        return map(work, parts)
    return pool.map(work, parts)


def batches_of(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """``items`` in slices of 250."""
    return (items[i : i + _BATCH] for i in range(0, len(items), _BATCH))
