"""A worker process: it receives an order, carries it out and reports.

This file imports nothing that may be missing or fail, and the job comes through the connection, so that a worker can
report why it cannot start.
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
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from augpipe.core.errors import AugpipeError, DeviceError, one_line
from augpipe.core.processes import leave_working_directory_off_path

if TYPE_CHECKING:
    from augpipe.pixels.factory import WorkerSlot
    from augpipe.run.job import Job

OUT_OF_MEMORY, DEVICE_FAILED = 71, 72
"""Exit codes of a worker."""

_REPORT_EVERY = 0.2  # seconds
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h
_LARGEST_KEPT = 32 << 20  # the most that glibc accepts
_MOST_KEPT = 128 << 20


# --- messages ---


@dataclass(frozen=True)
class Start:
    """The first message to a worker."""

    job: Job
    slot: WorkerSlot


@dataclass(frozen=True)
class NotStarted:
    """The worker cannot load its libraries, and ends."""

    why: str


@dataclass(frozen=True)
class Ready:
    """The worker can take an order."""


@dataclass(frozen=True)
class TaskProgress:
    """Pictures done and samples rejected since the last report; both 0 is a sign of life."""

    pictures: int
    rejected: int


@dataclass(frozen=True)
class Done:
    """The order is carried out."""


@dataclass(frozen=True)
class Failed:
    """The order failed: with an error of augpipe, or ``None`` and the traceback of a fault in the program."""

    error: AugpipeError | None
    trace: str


@dataclass(frozen=True)
class Broken:
    """The device failed, and the worker ends; another one may carry out the order."""

    why: str


# --- the process ---


def serve_forked(connection: Connection, of_parent: Sequence[Connection]) -> None:
    """As :func:`serve`, in a fork of the process of the run itself, which has that one's connections and signals."""
    for inherited in of_parent:
        inherited.close()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    leave_working_directory_off_path()
    serve(connection)


def serve(connection: Connection) -> None:
    """Receive a :class:`Start`, then carry out orders until ``None`` comes or the other side is gone."""
    # Ctrl-C goes to every process of the terminal, but the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        threading.Thread(target=_end_with, args=(connection.fileno(),), daemon=True).start()
        received = connection.recv_bytes()  # first of all, as the parent waits until it is taken
        from augpipe.pixels.factory import backend_for
        from augpipe.run.engine.retry_policy import RunTask
        from augpipe.run.task import probe_picture, run_task

        start: Start = pickle.loads(received)
        keep_freed_memory()
        backend = backend_for(start.job.device, start.job.backend_options, start.slot)
    except (EOFError, ConnectionResetError):
        return
    except AugpipeError as error:
        connection.send(Failed(error, traceback.format_exc()))
        return
    except BaseException as error:  # libraries that do not load fail in many ways; some exit
        connection.send(NotStarted(f"{type(error).__name__}: {one_line(error)}"))
        return
    job = start.job
    gc.freeze()  # modules stay; collecting garbage among them took 3 % of the time
    reporter = _Reporter(connection)
    try:
        connection.send(Ready())
        while (order := connection.recv()) is not None:
            try:
                if isinstance(order, RunTask):
                    run_task(job, order.task, backend, order.attempt, reporter.add)
                else:
                    probe_picture(job, order.task, backend, order.index, reporter.alive)
                result: Done | Failed = Done()
            except DeviceError as error:
                connection.send(Broken(str(error)))
                os._exit(DEVICE_FAILED)  # its threads may wait for the device forever
            except AugpipeError as error:
                result = Failed(error, traceback.format_exc())
            except (BrokenPipeError, ConnectionResetError):
                return
            except MemoryError:  # a new process starts with none in use
                os._exit(OUT_OF_MEMORY)
            except Exception:  # at the boundary of the process everything is reported
                result = Failed(None, traceback.format_exc())
            reporter.flush()
            connection.send(result)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _end_with(connection: int) -> None:
    """End this process when the other side of the connection is gone, so that it never writes beside the next run."""
    poll = select.poll()
    poll.register(connection, 0)  # reports only that the other side has hung up
    while not poll.poll():
        pass
    os._exit(1)


def keep_freed_memory() -> bool:
    """Make the C library of this process keep freed memory; False where it is not glibc.

    glibc returns the memory of a picture to the system when it is freed, so that each page is made and cleared anew
    when it is next touched: 40 % of the time of a warp on a virtual machine. The peak of memory stays the same.
    """
    try:
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT) and mallopt(_TRIM_THRESHOLD, _MOST_KEPT))


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
        """A sign of life without progress."""
        self.add(0, 0)

    def flush(self) -> None:
        self._connection.send(TaskProgress(self._pictures, self._rejected))
        self._pictures = self._rejected = 0
        self._last = time.monotonic()
