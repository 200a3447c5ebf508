"""Engines: something that gets tasks done. Today processes on this machine, or this process itself.

A worker is one process with one pipe and a sentinel to wait on, so that one that dies is seen at once, and one from
which nothing is heard is stopped; what becomes of its task is decided in :mod:`augpipe.run.engine.retry_policy`. (A
pool that only notices a broken queue would hang, or lose the whole run.) Workers come from a fork server that has the
libraries loaded, so they are imported once, not once a worker.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from augpipe.core.errors import Reject, RunError, one_line
from augpipe.core.processes import context, import_error, may_start_processes, not_started
from augpipe.pixels.factory import WorkerSlot, backend_for
from augpipe.run.engine import fork_server
from augpipe.run.engine.retry_policy import RunTask, TaskAttempts
from augpipe.run.engine.worker import OUT_OF_MEMORY, Broken, Done, Failed, NotStarted, Ready, Start, TaskProgress, serve
from augpipe.run.job import Job, Task

_TICK = 1.0
_FALSE_STARTS = 3
_STARTING = 120.0  # seconds that a worker may take to load its libraries
_STOPPING = 3.0


class Listener(Protocol):
    """Is told how the work goes."""

    def progress(self, pictures: int, rejected: int) -> None:
        """So many more pictures are done, with so many samples rejected."""

    def trouble(self, sentence: str) -> None:
        """Something that the run goes on after."""


class Engine(Protocol):
    """Gets every task of a run done."""

    def get_ready(self) -> None:
        """Begin with what takes time and needs no task; a run does it too."""
        ...

    def run(self, job: Job, tasks: Iterator[Task], listener: Listener) -> None:
        """Do all tasks.

        Raises:
            RunError: if one cannot be done; those that are finished stay.
        """
        ...


class InProcess:
    """One task after the other, here. For tests, debuggers and callers that must not start processes."""

    def get_ready(self) -> None:
        """Nothing takes time."""

    def run(self, job: Job, tasks: Iterator[Task], listener: Listener) -> None:
        """See :class:`Engine`."""
        from augpipe.run.task import run_task

        backend = backend_for(job.device, job.backend_options)
        for task in tasks:
            run_task(job, task, backend, progress=listener.progress)


@dataclass
class _Worker:
    """``silent`` are the seconds since it was last heard of, ``counted`` the pictures of this order's progress."""

    process: BaseProcess
    connection: Connection
    seat: WorkerSlot
    ready: bool = False
    case: TaskAttempts | None = None
    silent: float = 0.0
    counted: int = 0
    rejected: int = 0


class LocalProcesses:
    """Up to ``workers`` processes on this machine.

    Args:
        workers: at least 1.
        patience: seconds in which a worker has to finish a picture; ``None`` is a minute and two seconds a copy.
    """

    def __init__(self, workers: int, patience: float | None = None) -> None:
        self._count = workers
        self._patience = patience
        self._false_starts = 0
        self._context: Any = context()

    def get_ready(self) -> None:
        """Let the fork server load the libraries, in half a second that the caller has better use for."""
        if may_start_processes():
            fork_server.start()

    def run(self, job: Job, tasks: Iterator[Task], listener: Listener) -> None:
        """See :class:`Engine`."""
        if not may_start_processes():
            raise not_started("this process is a worker of a pool itself, which may have none")
        self.get_ready()
        workers: list[_Worker] = []
        try:
            while True:
                self._hand_out(job, tasks, workers)
                busy = [w for w in workers if w.case is not None]
                if not busy:
                    return
                before = time.monotonic()
                ready = wait([*(w.connection for w in busy), *(w.process.sentinel for w in busy)], _TICK)
                # While this process itself is stopped, nobody's time runs.
                waited = min(time.monotonic() - before, 2 * _TICK)
                for worker in busy:
                    worker.silent += waited
                    if worker.connection in ready or worker.process.sentinel in ready:
                        self._hear(job, worker, listener)
                    elif worker.silent > self._limit(worker):
                        self._give_up(job, worker, listener)
        finally:
            _stop(workers)

    def _hand_out(self, job: Job, tasks: Iterator[Task], workers: list[_Worker]) -> None:
        """Give idle workers a task each; start one more where there is still work for it."""
        idle = [w for w in workers if w.case is None]
        while idle or len(workers) < self._count:
            task = next(tasks, None)
            if task is None:
                return
            if idle:
                worker = idle.pop()
            else:
                worker = self._started(job, WorkerSlot(len(workers), self._count))
                workers.append(worker)
            worker.case = TaskAttempts(task)
            self._order(job, worker)

    def _started(self, job: Job, seat: WorkerSlot) -> _Worker:
        """A process that has been given the job.

        Raises:
            RunError: the system starts none.
        """
        with _undisturbed():
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=serve, args=(theirs,), daemon=True)
            try:
                process.start()
            except (OSError, EOFError) as error:  # EOFError: the fork server itself is gone
                raise not_started(one_line(error) or "the fork server ended") from error
            theirs.close()
            try:
                ours.send(Start(job, seat))
            except (BrokenPipeError, ConnectionResetError):
                pass  # it is dead already, which is noticed
            except BaseException:
                process.kill()
                raise
        return _Worker(process, ours, seat)

    def _order(self, job: Job, worker: _Worker) -> None:
        """Tell a worker what to do next; one that is dead already is replaced when that is noticed."""
        worker.silent, worker.counted, worker.rejected = 0.0, 0, 0
        if worker.case is not None:
            try:
                worker.connection.send(worker.case.order)
            except (BrokenPipeError, ConnectionResetError):
                return

    def _limit(self, worker: _Worker) -> float:
        """Seconds without a sign of life after which a worker hangs."""
        if not worker.ready:
            return _STARTING
        if self._patience is not None or worker.case is None:
            return self._patience or _STARTING
        return 60.0 + 2.0 * len(worker.case.task.copies)

    def _hear(self, job: Job, worker: _Worker, listener: Listener) -> None:
        """Take what a worker says, or see that it is dead."""
        try:
            message = worker.connection.recv() if worker.connection.poll() else None
        except (EOFError, ConnectionResetError):
            message = None
            worker.process.join(timeout=_TICK)  # it is on its way out
        worker.silent = 0.0
        if isinstance(message, Ready):
            worker.ready, self._false_starts = True, 0
        elif isinstance(message, TaskProgress):
            worker.counted += message.pictures
            worker.rejected += message.rejected
            listener.progress(message.pictures, message.rejected)
        elif isinstance(message, Done):
            if worker.case is not None and worker.case.done():
                worker.case = None
            else:
                self._order(job, worker)
        elif isinstance(message, Broken):
            worker.process.join(timeout=_STOPPING)
            why = Reject("pixels", "crash", f"the device failed: {message.why}", transient=True)
            self._replace(job, worker, why, listener)
        elif isinstance(message, NotStarted):
            raise not_started(message.why)
        elif isinstance(message, Failed):
            if message.error is not None:
                raise message.error
            raise _failure(worker.case, message.trace)
        elif not worker.process.is_alive():
            self._replace(job, worker, _crash(worker.process.exitcode), listener)

    def _give_up(self, job: Job, worker: _Worker, listener: Listener) -> None:
        """Stop a worker that hangs."""
        seconds = self._limit(worker)
        worker.process.kill()
        worker.process.join(timeout=_STOPPING)
        why = Reject("pixels", "timeout", f"a worker did nothing for {seconds:.0f} seconds over it", transient=True)
        self._replace(job, worker, why, listener)

    def _replace(self, job: Job, worker: _Worker, why: Reject, listener: Listener) -> None:
        """A new process for one that is gone, and the next order for it.

        Raises:
            RunError: workers do not even start.
        """
        case = worker.case
        worker.connection.close()
        if case is None:
            return
        if worker.ready:
            case.died(why)
            listener.progress(-worker.counted, -worker.rejected)
            listener.trouble(f"{case.task.name}: {why.message}; {_going_on(case)}")
        else:
            self._false_starts += 1
            if self._false_starts >= _FALSE_STARTS:
                raise not_started(import_error("augpipe.run.task") or why.message)
        fresh = self._started(job, worker.seat)
        worker.process, worker.connection, worker.ready = fresh.process, fresh.connection, False
        self._order(job, worker)


def _going_on(case: TaskAttempts) -> str:
    if not isinstance(case.order, RunTask):
        return f"its pictures are tried one by one ({case.order.index + 1} of {len(case.task.entries)})"
    lost = f" without {len(case.lost)} of its pictures" if case.lost else ""
    return f"it is done again{lost}"


def _crash(code: int | None) -> Reject:
    """Why a process ended, as far as its exit code tells."""
    if code == OUT_OF_MEMORY:
        return Reject("pixels", "memory", "the worker had no memory left", transient=True)
    if code is not None and code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = ", perhaps by the system for want of memory" if -code == signal.SIGKILL else ""
        how = f"was ended by {name}{hint}"
    else:
        how = f"ended with exit code {code}"
    return Reject("pixels", "crash", f"the worker {how}", transient=True)


def _stop(workers: list[_Worker]) -> None:
    """End all workers within seconds; one in the middle of a shard leaves nothing but a temporary file."""
    for worker in workers:
        if worker.case is not None:
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
        worker.connection.close()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until a worker has all it needs: one that got half of it would end with a traceback."""
    if threading.current_thread() is not threading.main_thread():  # where signals are not heard anyway
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not None  # set by another language, so it could not be given back
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for missed in came:
            os.kill(os.getpid(), missed)


def _failure(case: TaskAttempts | None, trace: str) -> RunError:
    """A fault of the program in a worker, in one sentence; its traceback is the cause, for ``--debug``."""
    last = trace.strip().rsplit("\n", 1)[-1]
    error = RunError(
        f"shard {case.task.name if case else '?'}: {one_line(last)}; finished shards are kept; "
        "--debug shows the traceback, please report it"
    )
    error.__cause__ = RuntimeError(f"in the worker:\n{trace}")
    return error
