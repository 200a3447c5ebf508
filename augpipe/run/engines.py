"""Engines: something that gets tasks done. Today processes on this machine, or this process itself.

A worker is one process with one pipe and a sentinel to wait on, so that one that dies is seen at once: its task is
given to a new worker. (A pool that only notices a broken queue would hang, or lose the whole run.) Workers come from a
fork server that has the libraries loaded, so torch is imported once, not once a worker.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, TypeAlias

from augpipe.errors import RunError, one_line
from augpipe.run.job import Job, Task
from augpipe.run.worker import Done, Failed, Progress, serve

Report: TypeAlias = Callable[[int, int], None]
"""Called with (pictures done, samples rejected) since the last call."""

MOST_ATTEMPTS = 3


class Engine(Protocol):
    """Gets every task of a run done."""

    def run(self, job: Job, tasks: Iterator[Task], report: Report) -> None:
        """Do all tasks.

        Raises:
            RunError: if one cannot be done; those that are finished stay.
        """
        ...


class InProcess:
    """One task after the other, here. For tests, debuggers and callers that must not start processes."""

    def run(self, job: Job, tasks: Iterator[Task], report: Report) -> None:
        """See :class:`Engine`."""
        from augpipe.run.task import run_task

        for task in tasks:
            run_task(job, task, report)


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Task | None = None
    attempts: int = 0


class LocalProcesses:
    """Up to ``workers`` processes on this machine."""

    def __init__(self, workers: int) -> None:
        self._count = workers
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if "forkserver" in methods:
            self._context.set_forkserver_preload(["augpipe.run.task"])
            _start_fork_server()  # it loads torch meanwhile the source is indexed

    def run(self, job: Job, tasks: Iterator[Task], report: Report) -> None:
        """See :class:`Engine`."""
        workers: list[_Worker] = []
        try:
            while True:
                self._hand_out(job, tasks, workers)
                busy = [w for w in workers if w.task is not None]
                if not busy:
                    return
                ready = wait([*(w.connection for w in busy), *(w.process.sentinel for w in busy)])
                for worker in busy:
                    if worker.connection in ready or worker.process.sentinel in ready:
                        self._hear(job, worker, report)
        finally:
            self._stop(workers)

    def _hand_out(self, job: Job, tasks: Iterator[Task], workers: list[_Worker]) -> None:
        """Give idle workers a task each; start one more where there is still work for it."""
        idle = [w for w in workers if w.task is None]
        while len(idle) + sum(w.task is not None for w in workers) < self._count or idle:
            task = next(tasks, None)
            if task is None:
                return
            worker = idle.pop() if idle else self._started(job)
            if worker not in workers:
                workers.append(worker)
            self._give(worker, task)

    def _started(self, job: Job) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, job), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    @staticmethod
    def _give(worker: _Worker, task: Task) -> None:
        worker.task, worker.attempts = task, 1
        worker.connection.send(task)

    def _hear(self, job: Job, worker: _Worker, report: Report) -> None:
        """Take what a worker says, or see that it is dead."""
        try:
            message = worker.connection.recv() if worker.connection.poll() else None
        except (EOFError, ConnectionResetError):
            message = None
        if isinstance(message, Progress):
            report(message.pictures, message.rejected)
        elif isinstance(message, Done):
            worker.task = None
        elif isinstance(message, Failed):
            if message.error is not None:
                raise message.error
            raise _failure(worker.task, message.trace)
        elif not worker.process.is_alive():
            self._replace(job, worker)

    def _replace(self, job: Job, worker: _Worker) -> None:
        """A new process for one that died; its task is done again, a few times at most."""
        task = worker.task
        if task is None:
            return
        if worker.attempts >= MOST_ATTEMPTS:
            code = worker.process.exitcode
            raise RunError(
                f"shard {task.name}: the worker died {MOST_ATTEMPTS} times (exit code {code}); "
                "finished shards are kept, run the same command to go on"
            )
        fresh = self._started(job)
        worker.connection.close()
        worker.process, worker.connection = fresh.process, fresh.connection
        worker.attempts += 1
        worker.connection.send(task)

    @staticmethod
    def _stop(workers: list[_Worker]) -> None:
        """End all workers; one in the middle of a shard is stopped, and leaves nothing but a temporary file."""
        for worker in workers:
            if worker.task is None:
                try:
                    worker.connection.send(None)
                except (BrokenPipeError, OSError):
                    continue
            else:
                worker.process.terminate()
        for worker in workers:
            worker.process.join(timeout=5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()


def _start_fork_server() -> None:
    """Start it with Ctrl-C held back, which it and the workers inherit: the parent alone decides what that means."""
    resource_tracker.ensure_running()  # first, as starting it lets Ctrl-C through again
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _failure(task: Task | None, trace: str) -> RunError:
    """A fault of the program in a worker, in one sentence; its traceback is the cause, for ``--debug``."""
    last = trace.strip().rsplit("\n", 1)[-1]
    error = RunError(
        f"shard {task.name if task else '?'}: {one_line(last)}; finished shards are kept; "
        "--debug shows the traceback, please report it"
    )
    error.__cause__ = RuntimeError(f"in the worker:\n{trace}")
    return error
