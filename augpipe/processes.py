"""Work in parts on several processes, with the results in the order of the parts: the same for any number of them.

Part k always goes to process k mod n, so what a process has kept of a part is there when the same part comes again.
Processes come from a fork server, as a fork of a program that has threads may hang. A crew starts them when there is
work for which that pays, and keeps them until its end.
"""

from __future__ import annotations

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
_PRELOADED = ("augpipe.convert", "augpipe.cli.main")

Part = TypeVar("Part")
Result = TypeVar("Result")


class Crew:
    """Up to ``workers`` processes, one executor each, so that it is known which of them does what."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pools: list[ProcessPoolExecutor] = []

    def each(self, work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
        """``work`` of every part, in order, a few of them ahead: all at once would be the whole index once more."""
        self._start()
        numbered = enumerate(parts)
        waiting: deque[Future[Result]] = deque()

        def submit(count: int) -> None:
            for k, part in islice(numbered, count):
                waiting.append(self._pools[k % self._workers].submit(work, part))

        submit(_AHEAD * self._workers)
        try:
            while waiting:
                result = waiting.popleft().result()
                submit(1)
                yield result
        except BrokenProcessPool as error:
            raise RunError(f"a process died ({one_line(error, 80)}); try --workers 0") from error

    def _start(self) -> None:
        if self._pools:
            return
        methods = multiprocessing.get_all_start_methods()
        context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if "forkserver" in methods:
            context.set_forkserver_preload([name for name in _PRELOADED if name in sys.modules])
        self._pools = [ProcessPoolExecutor(1, context, initializer=_begin) for _ in range(self._workers)]

    def close(self) -> None:
        """End the processes; what they have not begun is forgotten."""
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in self._pools:
            pool.shutdown()


def _begin() -> None:
    """Ctrl-C goes to every process of the terminal; the parent alone tells of it. When the parent is gone, so are we:
    what is still written would go into the folder of whoever does it again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


_crew: ContextVar[Crew | None] = ContextVar("crew", default=None)


@contextmanager
def crew(workers: int | None) -> Iterator[None]:
    """Within this context :func:`each` may use processes: ``workers`` of them; one a core for ``None``, none for 0."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = (cores if cores > 1 else 0) if workers is None else workers
    made = Crew(count) if count else None
    token = _crew.set(made)
    try:
        yield
    finally:
        _crew.reset(token)
        if made is not None:
            made.close()


def each(work: Callable[[Part], Result], parts: Iterable[Part], things: int) -> Iterator[Result]:
    """``work`` of every part, in order; by the crew's processes if there are so many ``things`` that it pays.

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
