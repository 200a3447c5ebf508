"""What runs in a worker process: take an order, carry it out, say so.

This file imports nothing that may be missing or fail, and the job comes through the connection, so that a worker can
say why it cannot start.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from augpipe.core.errors import AugpipeError, DeviceError, one_line

if TYPE_CHECKING:
    from augpipe.pixels.factory import WorkerSlot
    from augpipe.run.job import Job

OUT_OF_MEMORY = 71
"""Exit code of a worker that has none left."""

DEVICE_FAILED = 72
"""Exit code of a worker whose device failed."""

_REPORT_EVERY = 0.2


@dataclass(frozen=True)
class Start:
    """The first message to a worker: what all of its orders have in common."""

    job: Job
    seat: WorkerSlot


@dataclass(frozen=True)
class NotStarted:
    """The worker cannot load what it needs, and ends."""

    why: str


@dataclass(frozen=True)
class Ready:
    """The worker has started and can take an order."""


@dataclass(frozen=True)
class TaskProgress:
    """Pictures done and samples rejected since the last report; a sign of life if both are 0."""

    pictures: int
    rejected: int


@dataclass(frozen=True)
class Done:
    """The order is carried out; a shard is committed."""


@dataclass(frozen=True)
class Failed:
    """The order could not be carried out: an error of ours, or a fault in the program with its traceback."""

    error: AugpipeError | None
    trace: str


@dataclass(frozen=True)
class Broken:
    """The device failed under the order, and the worker ends: the order may be carried out by another one."""

    why: str


def serve(connection: Connection) -> None:
    """Receive a :class:`Start`, then carry out orders until ``None`` comes or the other side is gone."""
    # Ctrl-C goes to every process of the terminal; the parent alone decides what it means. A fork server holds it back
    # from the start, other ways to start a process do not.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        threading.Thread(target=_end_with, args=(connection.fileno(),), daemon=True).start()
        received = connection.recv_bytes()  # before anything that takes time, as the parent waits until it is taken
        from augpipe.pixels.factory import backend_for
        from augpipe.run.engine.memory import keep_what_is_freed
        from augpipe.run.engine.retry_policy import RunTask
        from augpipe.run.task import rehearse, run_task

        start: Start = pickle.loads(received)
        keep_what_is_freed()
        backend = backend_for(start.job.device, start.job.backend_options, start.seat)
    except (EOFError, ConnectionResetError):
        return
    except AugpipeError as error:
        connection.send(Failed(error, traceback.format_exc()))
        return
    except BaseException as error:  # of a library that does not load, in any of the ways there are; some exit
        connection.send(NotStarted(f"{type(error).__name__}: {one_line(error)}"))
        return
    job = start.job
    gc.freeze()  # modules stay; looking through them for what can go took 3 % of the time
    reporter = _Reporter(connection)
    try:
        connection.send(Ready())
        while (order := connection.recv()) is not None:
            try:
                if isinstance(order, RunTask):
                    run_task(job, order.task, backend, order.attempt, reporter.add)
                else:
                    rehearse(job, order.task, backend, order.index, reporter.alive)
                result: Done | Failed = Done()
            except DeviceError as error:
                connection.send(Broken(str(error)))
                os._exit(DEVICE_FAILED)  # its threads may wait for the device for ever
            except AugpipeError as error:
                result = Failed(error, traceback.format_exc())
            except (BrokenPipeError, ConnectionResetError):
                return
            except MemoryError:  # a new process has all its memory before it
                os._exit(OUT_OF_MEMORY)
            except Exception:  # the process boundary: whatever it is, the parent must hear of it
                result = Failed(None, traceback.format_exc())
            reporter.flush()
            connection.send(result)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _end_with(connection: int) -> None:
    """End this process at once when the other side of the connection is gone.

    Whoever killed the parent, and went on with another run in its place, must not meet a worker that still writes.
    """
    poll = select.poll()
    poll.register(connection, 0)  # only that the other side has hung up
    while not poll.poll():
        pass
    os._exit(1)


class _Reporter:
    """Sends progress a few times a second, not for every picture."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pictures = self._rejected = 0
        self._last = time.monotonic()

    def add(self, pictures: int, rejected: int) -> None:
        self._pictures += pictures
        self._rejected += rejected
        if time.monotonic() - self._last > _REPORT_EVERY:
            self.flush()

    def alive(self, pictures: int, rejected: int) -> None:
        """Progress that does not count."""
        self.add(0, 0)

    def flush(self) -> None:
        self._connection.send(TaskProgress(self._pictures, self._rejected))
        self._pictures = self._rejected = 0
        self._last = time.monotonic()
