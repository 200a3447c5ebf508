"""What runs in a worker process: take a task, make the shard, say so.

The parent imports this file to name :func:`serve`, so what makes shards (and loads torch) is imported by the worker
alone, or by the fork server that it comes from.
"""

from __future__ import annotations

import signal
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection

from augpipe.errors import AugpipeError
from augpipe.run.job import Job, Task

_REPORT_EVERY = 0.2


@dataclass(frozen=True)
class Progress:
    """Pictures done and samples rejected since the last report."""

    pictures: int
    rejected: int


@dataclass(frozen=True)
class Done:
    """The task is finished and committed."""


@dataclass(frozen=True)
class Failed:
    """The task could not be finished: an error of ours, or a fault in the program with its traceback."""

    error: AugpipeError | None
    trace: str


def serve(connection: Connection, job: Job) -> None:
    """Work on tasks from ``connection`` until ``None`` comes or the other side is gone."""
    # Ctrl-C goes to every process of the terminal; the parent alone decides what it means. A fork server holds it back
    # from the start, other ways to start a process do not.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reporter = _Reporter(connection)
    try:
        while (task := connection.recv()) is not None:
            connection.send(_outcome(job, task, reporter))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _outcome(job: Job, task: Task, reporter: _Reporter) -> Done | Failed:
    from augpipe.run.task import run_task

    try:
        run_task(job, task, reporter.add)
    except AugpipeError as error:
        return Failed(error, traceback.format_exc())
    except Exception:  # the process boundary: whatever it is, the parent must hear of it
        return Failed(None, traceback.format_exc())
    finally:
        reporter.flush()
    return Done()


class _Reporter:
    """Sends progress a few times a second, not for every picture."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pictures = self._rejected = 0
        self._last = 0.0

    def add(self, pictures: int, rejected: int) -> None:
        self._pictures += pictures
        self._rejected += rejected
        if time.monotonic() - self._last > _REPORT_EVERY:
            self.flush()

    def flush(self) -> None:
        if self._pictures or self._rejected:
            self._connection.send(Progress(self._pictures, self._rejected))
        self._pictures = self._rejected = 0
        self._last = time.monotonic()
