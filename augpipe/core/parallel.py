"""Work in parts on several processes, with results in the order of the parts, whatever the number of processes.

A program of one thread, as the command line is, forks, so that the copies have every library loaded. Forking a program
with more threads may deadlock, since one of them may hold a lock; its processes come from a fork server.
"""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, TypeVar

from augpipe.core import processes
from augpipe.core.errors import RunError
from augpipe.core.machine import cores, processes_that_fit

WORTH_PROCESSES = 3000
"""Pictures or files from which on other processes are worth their start."""

_BATCH = 250
_AHEAD = 3  # parts that wait for each process
_MOST_DEATHS = 3  # over one part
_NO_ROOM = 73  # exit code of a process
_SELDOM = (50_000, 20, 50)
_PRELOADED = ("augpipe.conversion", "augpipe.survey", "augpipe.verification")

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class _Worker:
    """A process, our end of its connection, and the numbers of the parts that it has, the first of which it is at."""

    process: BaseProcess
    connection: Connection
    has: deque[int] = field(default_factory=deque)


class _Pool:
    """Up to ``workers`` processes, started with the first work.

    Each has a connection of its own, by whose end its death is known; one that all share would be blocked by a process
    that dies over half a result. What a dead one had is done again by a new one.
    """

    def __init__(self, workers: int) -> None:
        self._count = workers
        self._workers: list[_Worker] = []
        self._numbers = itertools.count()
        self._parts: dict[int, tuple[Callable[[Any], Any], Any]] = {}
        self._waiting: deque[int] = deque()  # numbers of parts that no process has
        self._results: dict[int, tuple[Any, Exception | None]] = {}
        self._deaths: Counter[int] = Counter()
        self._begun = False

    def map(self, work: Callable[[Item], Result], parts: Iterable[Item], ahead: int) -> Iterator[Result]:
        """``work`` of every part, in order; it begins at once, not with the first result that is asked for."""
        rest = iter(parts)
        first = list(islice(rest, _AHEAD * max(1, self._count)))
        if not self._begun:
            self._begin(min(self._count, max(1, len(first))))
        return self._in_order(work, deque([self._submit(work, part, ahead) for part in first]), rest, ahead)

    def _begin(self, workers: int) -> None:
        """Start them all at once, while this process is small.

        Raises:
            RunError: this process may not have any.
        """
        if not processes.may_start_processes():
            raise processes.not_started("this process is a worker of a pool itself, which may have none")
        self._begun, self._count = True, workers
        while len(self._workers) < self._count:
            self._start_one()

    def _start_one(self) -> None:
        """One process more; where the system allows none, those that there are have to do."""
        try:
            context = _context()
            # A fork has all connections of this process, which would keep the others from seeing that they are closed.
            ours = [worker.connection for worker in self._workers] if context.get_start_method() == "fork" else None
            with processes.undisturbed():
                made = processes.connected(context, _serve, restart=_start_server, inherited=ours)
        except (processes.Refused, RunError):
            self._count = len(self._workers)
        else:
            self._workers.append(_Worker(*made))

    def _in_order(
        self, work: Callable[[Item], Result], mine: deque[int], rest: Iterator[Item], ahead: int
    ) -> Iterator[Result]:
        """Results in order, with a few parts ahead; all at once would be the whole index once more in memory."""
        while mine:
            result = self._result(mine.popleft(), ahead)
            mine.extend(self._submit(work, part, ahead) for part in islice(rest, 1))
            yield result

    def _submit(self, work: Callable[[Item], Result], part: Item, ahead: int) -> int:
        number = next(self._numbers)
        self._parts[number] = work, part
        self._waiting.append(number)
        self._hand_out(ahead)
        return number

    def _result(self, number: int, ahead: int) -> Any:
        while number not in self._results:
            self._hand_out(ahead)
            if not self._workers:  # the system allows none
                here = self._waiting.popleft()
                self._results[here] = _done(*self._parts[here])
                continue
            for connection in wait([worker.connection for worker in self._workers if worker.has]):
                self._hear(next(worker for worker in self._workers if worker.connection is connection))
        self._hand_out(ahead)
        del self._parts[number]
        value, error = self._results.pop(number)
        if error is not None:
            raise error
        return value

    def _hand_out(self, ahead: int) -> None:
        """Give each process up to ``ahead`` parts, the idle ones first."""
        while len(self._workers) < self._count and self._waiting:
            self._start_one()
        for most in range(1, ahead + 1):
            for worker in self._workers:
                if self._waiting and len(worker.has) < most:
                    number = self._waiting.popleft()
                    worker.has.append(number)
                    with suppress(BrokenPipeError, ConnectionResetError):  # it is dead, which is noticed
                        worker.connection.send((number, pickle.dumps(self._parts[number])))

    def _hear(self, worker: _Worker) -> None:
        """Take a result, or what a dead process had.

        Raises:
            RunError: processes have died over the same part several times.
        """
        try:
            number, value, error = pickle.loads(worker.connection.recv_bytes())
        except (EOFError, OSError):
            self._bury(worker)
        else:
            worker.has.remove(number)
            self._results[number] = value, error

    def _bury(self, worker: _Worker) -> None:
        worker.process.join(timeout=1.0)
        worker.connection.close()
        self._workers.remove(worker)
        self._waiting.extendleft(reversed(worker.has))
        if worker.process.exitcode == _NO_ROOM:
            self._count = len(self._workers)
            return
        first = worker.has[0]
        self._deaths[first] += 1
        if self._deaths[first] >= _MOST_DEATHS:
            raise RunError(
                f"a process {processes.ending_of(worker.process.exitcode)}, {_MOST_DEATHS} times over one part\n"
                "try fewer --workers, or --workers 0"
            )

    def close(self) -> None:
        """End the processes, whatever they are at."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(timeout=1.0)
            if worker.process.is_alive():  # it was stopped
                worker.process.kill()
                worker.process.join(timeout=1.0)
            worker.connection.close()
        self._workers, self._count = [], 0
        self._waiting.clear()


def _context() -> BaseContext:
    """How processes are started."""
    if processes.is_alone():
        return multiprocessing.get_context("fork")
    _start_server()
    return processes.context()


def _start_server() -> None:
    processes.start_fork_server([__name__, *(name for name in _PRELOADED if name in sys.modules)])


# --- in a process of the pool ---


def _serve(connection: Connection, of_parent: Sequence[Connection] = ()) -> None:
    """Do parts as they come, and end with the parent, so that nothing is written after it is gone."""
    for inherited in of_parent:
        inherited.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what they mean
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _pool.set(None)  # a fork has its parent's, whose processes do not answer it
    gc.freeze()  # keeps the parent's objects in shared pages
    gc.set_threshold(*_SELDOM)
    orders: SimpleQueue[tuple[int, bytes]] = SimpleQueue()
    try:
        threading.Thread(target=_receive, args=(connection, orders), daemon=True).start()
    except RuntimeError:  # the system has room for the process and not for its thread
        os._exit(_NO_ROOM)
    while True:
        number, order = orders.get()
        value, error = _done(*pickle.loads(order))
        try:
            answer = pickle.dumps((number, value, error))
        except Exception as unsent:
            answer = pickle.dumps((number, None, RunError(f"{type(unsent).__name__}: {unsent}")))
        connection.send_bytes(answer)


def _receive(connection: Connection, orders: SimpleQueue[tuple[int, bytes]]) -> None:
    """Take orders off the connection at once, so that the parent never waits for this process to read."""
    with suppress(EOFError, OSError):
        while True:
            orders.put(connection.recv())
    os._exit(1)


def _done(work: Callable[[Any], Any], part: Any) -> tuple[Any, Exception | None]:
    """The result of a part, or its error, with its traceback as a note."""
    try:
        return work(part), None
    except Exception as error:  # at the boundary of the process everything is reported
        error.add_note(traceback.format_exc())
        return None, error


@contextmanager
def rare_collection() -> Iterator[None]:
    """Within this context the garbage collector runs less often, as it would visit a large index again and again."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _SELDOM[0]), *_SELDOM[1:])
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
    """End the processes of this context, whatever they are at.

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
        RunError: processes died over one part several times, as for want of memory.
    """
    pool = _pool.get()
    if pool is None or (size is not None and size < WORTH_PROCESSES):
        return map(work, parts)
    # Parts of no known size may take long, and none shall wait behind such a one while a process is idle.
    return pool.map(work, parts, 1 if size is None else _AHEAD)


def batches_of(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """``items`` in slices of 250."""
    return (items[i : i + _BATCH] for i in range(0, len(items), _BATCH))
