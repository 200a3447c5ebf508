"""Engines on this machine: worker processes, or this process itself.

A worker is one process with one pipe and a sentinel to wait on, so a dead one is seen at once, and a silent one is
stopped; :mod:`augpipe.run.engine.retry_policy` decides what becomes of its task. (A pool that only notices a broken
queue would hang, or lose the whole run.) Workers are forked from a server that has the libraries loaded.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from augpipe.core.errors import Reject, RunError, one_line
from augpipe.core.processes import context, import_error, may_start_processes, not_started
from augpipe.pixels.factory import WorkerSlot, backend_for
from augpipe.run.engine import fork_server
from augpipe.run.engine.base import Listener
from augpipe.run.engine.retry_policy import RunTask, TaskAttempts
from augpipe.run.engine.worker import OUT_OF_MEMORY, Broken, Done, Failed, NotStarted, Ready, Start, TaskProgress, serve
from augpipe.run.job import Job, Task

_TICK = 1.0
_FALSE_STARTS = 3
_STARTING = 120.0  # seconds that a worker may take to load its libraries
_STOPPING = 3.0


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
    """Up to ``workers`` processes on this machine; for ``patience`` see :class:`Execution`."""

    def __init__(self, workers: int, patience: float | None = None) -> None:
        self._count = workers
        self._patience = patience
        self._false_starts = 0
        self._context: Any = context()

    def get_ready(self) -> None:
        """Let the fork server load the libraries, which takes half a second."""
        if may_start_processes():
            fork_server.start()

    def run(self, job: Job, tasks: Iterator[Task], listener: Listener) -> None:
        if not may_start_processes():
            raise not_started("this process is a worker of a pool itself, which may have none")
        self.get_ready()
        workers: list[_Worker] = []
        try:
            while True:
                self._hand_out(job, tasks, workers)
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
                        self._hear(job, worker, listener)
                    elif worker.silent > self._limit(worker):
                        self._give_up(job, worker, listener)
        finally:
            _stop(workers)

    def _hand_out(self, job: Job, tasks: Iterator[Task], workers: list[_Worker]) -> None:
        """Give idle workers a task each; start one more where there is still work for it."""
        idle = [w for w in workers if w.attempts is None]
        while idle or len(workers) < self._count:
            task = next(tasks, None)
            if task is None:
                return
            if idle:
                worker = idle.pop()
            else:
                worker = self._started(job, WorkerSlot(len(workers), self._count))
                workers.append(worker)
            worker.attempts = TaskAttempts(task)
            self._send_order(worker)

    def _started(self, job: Job, slot: WorkerSlot) -> _Worker:
        """A new process that has received the job. Raises RunError if the system starts none."""
        with _undisturbed():
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=serve, args=(theirs,), daemon=True)
            try:
                process.start()
            except (OSError, EOFError) as error:  # EOFError: the fork server itself is gone
                raise not_started(one_line(error) or "the fork server ended") from error
            theirs.close()
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

    def _hear(self, job: Job, worker: _Worker, listener: Listener) -> None:
        """Handle a message of a worker, or its death."""
        try:
            message = worker.connection.recv() if worker.connection.poll() else None
        except (EOFError, ConnectionResetError):
            message = None
            worker.process.join(timeout=_TICK)  # it is on its way out
        worker.silent = 0.0
        if isinstance(message, Ready):
            worker.ready, self._false_starts = True, 0
        elif isinstance(message, TaskProgress):
            worker.pictures += message.pictures
            worker.rejected += message.rejected
            listener.progress(message.pictures, message.rejected)
        elif isinstance(message, Done):
            if worker.attempts is not None and worker.attempts.done():
                worker.attempts = None
            else:
                self._send_order(worker)
        elif isinstance(message, Broken):
            worker.process.join(timeout=_STOPPING)
            why = Reject("pixels", "crash", f"the device failed: {message.why}", transient=True)
            self._replace(job, worker, why, listener)
        elif isinstance(message, NotStarted):
            raise not_started(message.why)
        elif isinstance(message, Failed):
            if message.error is not None:
                raise message.error
            raise _failure(worker.attempts, message.trace)
        elif not worker.process.is_alive():
            self._replace(job, worker, _crash(worker.process.exitcode), listener)

    def _give_up(self, job: Job, worker: _Worker, listener: Listener) -> None:
        """Kill a worker that hangs."""
        seconds = self._limit(worker)
        worker.process.kill()
        worker.process.join(timeout=_STOPPING)
        why = Reject("pixels", "timeout", f"a worker did nothing for {seconds:.0f} seconds over it", transient=True)
        self._replace(job, worker, why, listener)

    def _replace(self, job: Job, worker: _Worker, why: Reject, listener: Listener) -> None:
        """Start a new process for one that is gone, with the next order.

        Raises:
            RunError: workers do not even start.
        """
        attempts = worker.attempts
        worker.connection.close()
        if attempts is None:
            return
        if worker.ready:
            attempts.died(why)
            listener.progress(-worker.pictures, -worker.rejected)
            listener.trouble(f"{attempts.task.name}: {why.message}; {_next_step(attempts)}")
        else:
            self._false_starts += 1
            if self._false_starts >= _FALSE_STARTS:
                raise not_started(import_error("augpipe.run.task") or why.message)
        fresh = self._started(job, worker.slot)
        worker.process, worker.connection, worker.ready = fresh.process, fresh.connection, False
        self._send_order(worker)


def _next_step(attempts: TaskAttempts) -> str:
    if not isinstance(attempts.order, RunTask):
        return f"its pictures are tried one by one ({attempts.order.index + 1} of {len(attempts.task.entries)})"
    lost = f" without {len(attempts.lost)} of its pictures" if attempts.lost else ""
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
        worker.connection.close()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM meanwhile: a worker that got half of its job would end with a traceback."""
    if threading.current_thread() is not threading.main_thread():  # signals arrive there only
        yield
        return
    arrived: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: arrived.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not None  # set by another language, so it could not be given back
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for missed in arrived:
            os.kill(os.getpid(), missed)


def _failure(attempts: TaskAttempts | None, trace: str) -> RunError:
    """A fault of the program in a worker as one sentence; its traceback is the cause, for ``--debug``."""
    last = trace.strip().rsplit("\n", 1)[-1]
    error = RunError(
        f"shard {attempts.task.name if attempts else '?'}: {one_line(last)}; finished shards are kept; "
        "--debug shows the traceback, please report it"
    )
    error.__cause__ = RuntimeError(f"in the worker:\n{trace}")
    return error
