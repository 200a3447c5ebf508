"""Engines on this machine: worker processes, or this process itself.

A worker is one process with one pipe and a sentinel to wait on, so a dead one is seen at once, and a silent one is
stopped; :mod:`augpipe.run.engine.retry_policy` decides what becomes of its task. (A pool that only notices a broken
queue would hang, or lose the whole run.) Workers are forked from a server that has the libraries loaded. Where that
server dies, it is started again, and so are the tasks of its workers, of which nothing could be learnt any more. Where
the system allows fewer processes than were asked for, those that there are do the work. Where a number was not asked
for and there is little to do, one fork of this process has done it before a server has loaded the libraries.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from augpipe.core.errors import Reject, RunError, one_line
from augpipe.core.processes import (
    Refused,
    connected,
    context,
    ending_of,
    import_error,
    is_alone,
    may_start_processes,
    not_started,
    undisturbed,
)
from augpipe.pixels.factory import WorkerSlot, backend_for
from augpipe.run.engine import fork_server
from augpipe.run.engine.base import Listener
from augpipe.run.engine.little_work import MOST_BYTES
from augpipe.run.engine.retry_policy import RunTask, TaskAttempts
from augpipe.run.engine.worker import (
    OUT_OF_MEMORY,
    Broken,
    Done,
    Failed,
    NotStarted,
    Ready,
    Start,
    TaskProgress,
    serve,
    serve_forked,
)
from augpipe.run.job import Job, Task

_TICK = 1.0
_FALSE_STARTS = 3
_STARTING = 120.0  # seconds that a worker may take to load its libraries
_STOPPING = 3.0
_SERVER_ENDED = 255  # what multiprocessing gives as the exit code of a process whose fork server is gone
_MOST_ORPHANS = 5  # a worker, without a shard in between
_FEW_TASKS = 100


class InProcess:
    """One task after the other in this process, for tests, debuggers and callers that must not start processes."""

    def get_ready(self) -> None:
        pass

    def run(self, job: Job, tasks: Iterator[Task], listener: Listener) -> None:
        from augpipe.run.task import run_task

        backend = backend_for(job.device, job.backend_options)
        for task in tasks:
            run_task(job, task, backend, progress=listener.progress)


@dataclass
class _Worker:
    """A worker process; idle without ``attempts``. ``pictures`` and ``rejected`` are the progress of its order."""

    process: BaseProcess
    connection: Connection
    slot: WorkerSlot
    ready: bool = False
    attempts: TaskAttempts | None = None
    silent: float = 0.0  # seconds since its last message
    pictures: int = 0
    rejected: int = 0


class LocalProcesses:
    """Up to ``workers`` processes on this machine; for ``patience`` see :class:`Execution`.

    ``may_fork``: one fork of this process is enough where there is little to do.
    """

    def __init__(self, workers: int, patience: float | None = None, *, may_fork: bool = False) -> None:
        self._count = self._slots = workers
        self._may_fork = may_fork
        self._patience = patience
        self._false_starts = self._orphans = 0
        self._again: deque[TaskAttempts] = deque()  # tasks that have lost their worker
        self._why_fewer = ""
        self._context: Any = context()

    def get_ready(self) -> None:
        """Let the fork server load the libraries, which takes half a second."""
        if may_start_processes():
            fork_server.start()

    def run(self, job: Job, tasks: Iterator[Task], listener: Listener) -> None:
        if not may_start_processes():
            raise not_started("this process is a worker of a pool itself, which may have none")
        first = list(islice(tasks, _FEW_TASKS))
        if self._may_fork and is_alone() and _are_little(first):
            self._count = self._slots = 1
            self._context = get_context("fork")
        else:
            self.get_ready()
        tasks = chain(first, tasks)
        workers: list[_Worker] = []
        try:
            while True:
                self._hand_out(job, tasks, workers)
                self._tell_if_fewer(workers, listener)
                busy = [w for w in workers if w.attempts is not None]
                if not busy:
                    return
                before = time.monotonic()
                ready = wait([*(w.connection for w in busy), *(w.process.sentinel for w in busy)], _TICK)
                # The time in which this process itself was stopped does not count.
                waited = min(time.monotonic() - before, 2 * _TICK)
                for worker in busy:
                    worker.silent += waited
                    if worker.connection in ready or worker.process.sentinel in ready:
                        self._hear(worker, workers, listener)
                    elif worker.silent > self._limit(worker):
                        self._give_up(worker, workers, listener)
        finally:
            _stop(workers)

    def _hand_out(self, job: Job, tasks: Iterator[Task], workers: list[_Worker]) -> None:
        """Give idle workers a task each; start one more where there is still work for it."""
        idle = [w for w in workers if w.attempts is None]
        while idle or len(workers) < self._count:
            attempts = self._next(tasks)
            if attempts is None:
                return
            if idle:
                worker = idle.pop()
            else:
                try:
                    worker = self._started(job, self._free_slot(workers))
                except Refused as error:
                    self._again.appendleft(attempts)
                    self._do_with(workers, str(error))
                    return
                workers.append(worker)
            worker.attempts = attempts
            self._send_order(worker)

    def _next(self, tasks: Iterator[Task]) -> TaskAttempts | None:
        if self._again:
            return self._again.popleft()
        task = next(tasks, None)
        return None if task is None else TaskAttempts(task)

    def _free_slot(self, workers: list[_Worker]) -> WorkerSlot:
        taken = {worker.slot.number for worker in workers}
        return WorkerSlot(next(i for i in range(len(taken) + 1) if i not in taken), self._slots)

    def _do_with(self, workers: list[_Worker], why: str) -> None:
        """Go on with the workers that there are.

        Raises:
            RunError: there are none.
        """
        if not workers:
            raise not_started(why)
        self._count, self._why_fewer = len(workers), why

    def _tell_if_fewer(self, workers: list[_Worker], listener: Listener) -> None:
        if self._why_fewer and any(worker.ready for worker in workers):
            listener.trouble(f"{self._count} of {self._slots} workers could be started: {self._why_fewer}")
            self._why_fewer = ""

    def _started(self, job: Job, slot: WorkerSlot) -> _Worker:
        """A new process that has received the job. Raises :class:`Refused` if the system starts none."""
        forks = self._may_fork and self._context.get_start_method() == "fork"
        with undisturbed():
            process, ours = connected(
                self._context,
                serve_forked if forks else serve,
                restart=fork_server.start,
                inherited=() if forks else None,
            )
            try:
                ours.send(Start(job, slot))
            except (BrokenPipeError, ConnectionResetError):
                pass  # it is dead already, which is noticed
            except BaseException:
                process.kill()
                raise
        return _Worker(process, ours, slot)

    def _send_order(self, worker: _Worker) -> None:
        """Send a worker its next order; a dead one is noticed and replaced later."""
        worker.silent, worker.pictures, worker.rejected = 0.0, 0, 0
        if worker.attempts is not None:
            with suppress(BrokenPipeError, ConnectionResetError):
                worker.connection.send(worker.attempts.order)

    def _limit(self, worker: _Worker) -> float:
        """Seconds of silence after which a worker is taken to hang."""
        if not worker.ready or worker.attempts is None:
            return _STARTING
        return self._patience or 60.0 + 2.0 * len(worker.attempts.task.copies)

    def _hear(self, worker: _Worker, workers: list[_Worker], listener: Listener) -> None:
        """Handle a message of a worker, or its death."""
        hung_up = False
        try:
            message = worker.connection.recv() if worker.connection.poll() else None
        except (EOFError, ConnectionResetError):
            message, hung_up = None, True
            worker.process.join(timeout=_TICK)  # it is on its way out
        worker.silent = 0.0
        if isinstance(message, Ready):
            worker.ready, self._false_starts = True, 0
        elif isinstance(message, TaskProgress):
            worker.pictures += message.pictures
            worker.rejected += message.rejected
            listener.progress(message.pictures, message.rejected)
        elif isinstance(message, Done):
            self._orphans = 0
            if worker.attempts is not None and worker.attempts.done():
                worker.attempts = None
            else:
                self._send_order(worker)
        elif isinstance(message, Broken):
            worker.process.join(timeout=_STOPPING)
            why = Reject("pixels", "crash", f"the device failed: {message.why}", transient=True)
            self._take_back(worker, workers, why, listener)
        elif isinstance(message, NotStarted):
            self._drop(worker, workers)
            self._do_with(workers, message.why)
        elif isinstance(message, Failed):
            if message.error is not None:
                raise message.error
            raise _failure(worker.attempts, message.trace)
        elif not worker.process.is_alive():
            if worker.process.exitcode == _SERVER_ENDED and not hung_up:
                self._take_from_orphan(worker, workers, listener)
            else:
                self._take_back(worker, workers, _crash(worker.process.exitcode), listener)

    def _give_up(self, worker: _Worker, workers: list[_Worker], listener: Listener) -> None:
        """Kill a worker that hangs."""
        seconds = self._limit(worker)
        worker.process.kill()
        worker.process.join(timeout=_STOPPING)
        why = Reject("pixels", "timeout", f"a worker did nothing for {seconds:.0f} seconds over it", transient=True)
        self._take_back(worker, workers, why, listener)

    def _take_back(self, worker: _Worker, workers: list[_Worker], why: Reject, listener: Listener) -> None:
        """Give up a worker that is gone; its task goes on with its next order.

        Raises:
            RunError: workers do not even start.
        """
        attempts = worker.attempts
        if attempts is not None and worker.ready:
            attempts.died(why)
            listener.trouble(f"{attempts.task.name}: {why.message}; {_next_step(attempts)}")
        self._drop(worker, workers)
        listener.progress(-worker.pictures, -worker.rejected)
        if attempts is not None and not worker.ready:
            self._false_starts += 1
            if self._false_starts >= _FALSE_STARTS:
                others = workers if any(other.ready for other in workers) else []
                self._do_with(others, import_error("augpipe.run.task") or why.message)

    def _take_from_orphan(self, worker: _Worker, workers: list[_Worker], listener: Listener) -> None:
        """Give up a worker whose fork server has ended, which is no fault of its task.

        Raises:
            RunError: that happens again and again.
        """
        _kill_orphan(worker)
        self._orphans += 1
        if self._orphans > _MOST_ORPHANS * self._slots:
            raise not_started("the fork server ended again and again")
        if worker.attempts is not None:
            listener.trouble(f"{worker.attempts.task.name}: the process that starts workers ended; it is done again")
        self._drop(worker, workers)
        listener.progress(-worker.pictures, -worker.rejected)

    def _drop(self, worker: _Worker, workers: list[_Worker]) -> None:
        workers.remove(worker)
        worker.connection.close()
        if worker.attempts is not None:
            self._again.append(worker.attempts)


def _are_little(tasks: Sequence[Task]) -> bool:
    """Whether the first tasks are all that there are, and are done sooner than a fork server is started."""
    samples = ((entry.size, len(task.copies)) for task in tasks for entry in task.entries)
    return len(tasks) < _FEW_TASKS and sum(size * copies for size, copies in samples) <= MOST_BYTES


def _next_step(attempts: TaskAttempts) -> str:
    if not isinstance(attempts.order, RunTask):
        return f"its pictures are tried one by one ({attempts.order.index + 1} of {len(attempts.task.entries)})"
    lost = f" without {len(attempts.lost)} of its pictures" if attempts.lost else ""
    return f"it is done again{lost}"


def _crash(code: int | None) -> Reject:
    """Why a process ended, as far as its exit code tells."""
    if code == OUT_OF_MEMORY:
        return Reject("pixels", "memory", "the worker had no memory left", transient=True)
    return Reject("pixels", "crash", f"the worker {ending_of(code)}", transient=True)


def _stop(workers: list[_Worker]) -> None:
    """End all workers within seconds; an interrupted shard leaves a temporary file at most."""
    for worker in workers:
        if worker.attempts is not None:
            worker.process.terminate()
            continue
        try:
            worker.connection.send(None)
        except (BrokenPipeError, OSError):
            continue
    end = time.monotonic() + _STOPPING
    for worker in workers:
        worker.process.join(timeout=max(0.0, end - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join(timeout=1.0)  # one that waits for a disk cannot even be killed
        if worker.process.exitcode == _SERVER_ENDED:
            _kill_orphan(worker)
        worker.connection.close()


def _kill_orphan(worker: _Worker) -> None:
    """End a worker of which only the connection tells whether it is alive, as its fork server is gone."""
    end = time.monotonic() + _STOPPING
    with suppress(EOFError, OSError):
        while worker.connection.poll() or time.monotonic() < end:
            if worker.connection.poll(_TICK / 20):
                worker.connection.recv()  # raises EOFError when it is gone
            elif worker.process.pid is not None:
                os.kill(worker.process.pid, signal.SIGKILL)


def _failure(attempts: TaskAttempts | None, trace: str) -> RunError:
    """A fault of the program in a worker as one sentence; its traceback is the cause, for ``--debug``."""
    last = trace.strip().rsplit("\n", 1)[-1]
    error = RunError(
        f"shard {attempts.task.name if attempts else '?'}: {one_line(last)}; finished shards are kept; "
        "--debug shows the traceback, please report it"
    )
    error.__cause__ = RuntimeError(f"in the worker:\n{trace}")
    return error
