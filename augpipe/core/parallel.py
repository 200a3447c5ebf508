"""Work in parts on several processes, with results in the order of the parts, whatever the number of processes.

A program of one thread, as the command line is, forks, so that the copies have every library loaded. Forking a program
with more threads may deadlock, since one of them may hold a lock; its processes come from a fork server.
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
"""Pictures or files from which on other processes are worth their start."""

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
        """``work`` of every part, in order; it begins at once, not with the first result that is asked for."""
        rest = iter(parts)
        first = list(islice(rest, _AHEAD * self._workers))
        if self._executor is None:
            self._workers = min(self._workers, max(1, len(first)))  # forks are made all at once, however few parts
        return self._results(work, deque([self._submit(work, part) for part in first]), rest)

    def _results(
        self, work: Callable[[Item], Result], waiting: deque[Future[Result]], rest: Iterator[Item]
    ) -> Iterator[Result]:
        """Results in order, with a few parts ahead; all at once would be the whole index once more in memory."""
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
        """End the processes and cancel what they have not begun."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)


def _started(workers: int) -> ProcessPoolExecutor:
    """An executor with ``workers`` processes.

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
    """How processes are started. The system counts the threads, as libraries have some too."""
    try:
        alone = len(os.listdir("/proc/self/task")) == 1
    except OSError:
        alone = False
    if alone:
        return multiprocessing.get_context("fork")
    processes.start_fork_server([__name__, *(name for name in _PRELOADED if name in sys.modules)])
    return processes.context()


def _begin() -> None:
    """Prepare a process: leave Ctrl-C to the parent, and end with it, so that nothing is written after it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _pool.set(None)  # a fork has its parent's, whose processes do not answer it
    gc.freeze()  # keeps the parent's objects in shared pages
    gc.set_threshold(*_SELDOM)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextmanager
def rare_collection() -> Iterator[None]:
    """Within this context the garbage collector runs less often, as it would visit a large index again and again."""
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
    """Cancel what the processes of this context have not begun, and wait for their end.

    Call it before deleting their files.
    """
    if (pool := _pool.get()) is not None:
        pool.close()


def parallel_map(work: Callable[[Item], Result], parts: Iterable[Item], size: int | None = None) -> Iterator[Result]:
    """``work`` of every part, in order; it begins at once in the processes of the context, while the caller goes on.

    Args:
        work: a function of a module; arguments and results are pickled.
        parts: its arguments.
        size: pictures or files of all parts together; below :data:`WORTH_PROCESSES` the work is done in this process.
            ``None`` is worth processes.

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
