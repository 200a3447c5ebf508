"""Which epoch an iteration is, and how much of it is done: numbers that programs and their workers share.

Nobody sees an iteration of a DataLoader with workers begin but its workers, each for itself and in any order. The first
of them enters it in a table, where the others find it by the number that torch draws for each iteration.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch

try:
    import fcntl
except ImportError:  # pragma: no cover  # Windows; there two loaders of one dataset must not start together
    fcntl = None  # type: ignore[assignment]

_PROGRAMS = 256  # ranks that share the memory, because a launcher gave all of them one dataset
_PROCESS, _EPOCH, _SEEN, _BEGUN, _NOW_EPOCH, _NOW_SEEN, _BY_WORKERS = range(7)  # of a program
_ITERATIONS = 64
_DRAWN, _NUMBER, _OF_EPOCH, _OF_SEEN = range(4)  # of an iteration
_MOST_WORKERS = 1024


class Epochs:
    """The iterations of each program since it set an epoch. A program is a process that is no worker of torch's."""

    def __init__(self) -> None:
        self._programs = _shared((_PROGRAMS, 7), torch.int64)
        self._iterations = _shared((_ITERATIONS, 4), torch.int64)
        self._joined = _shared((_ITERATIONS, _MOST_WORKERS), torch.bool)
        self._newest = _shared((2,), torch.int64)  # rows that were written last in the two tables
        self._programs[0, _PROCESS] = _program()
        self._own: Counter[tuple[int, int]] = Counter()  # iterations that this worker has begun
        self._loaded: tuple[int, int] | None = None  # in a worker

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if not self._programs.is_shared():  # type: ignore[no-untyped-call]  # a copy
            for name in ("_programs", "_iterations", "_joined", "_newest"):
                state[name].share_memory_()
            self._programs[0] = self._row()
            self._programs[0, _PROCESS] = _program()

    def set(self, epoch: int, seen: int = 0) -> None:
        """Make ``epoch`` the next one, of which ``seen`` samples are done."""
        with _alone():
            _set(self._row(), epoch, seen)

    def set_in_worker(self, epoch: int, seen: int) -> None:
        """As :meth:`set`, said by each of an iteration's workers with the same numbers before it begins."""
        self._loaded = epoch, seen

    def begin(self, worker: int | None = None, drawn: int = 0) -> tuple[int, int]:
        """The epoch that begins, and the samples of it that are done; the one after comes next.

        Args:
            worker: of torch's; ``None`` in the program itself.
            drawn: a number that only the workers of one loader have.
        """
        loaded, self._loaded = self._loaded, None
        with _alone():
            row = self._row()
            if worker is None:
                return _begun(row, by_workers=False)
            number = self._own[drawn, worker]
            self._own[drawn, worker] += 1
            at = self._found(drawn, number, worker)
            if at is None:
                if loaded is not None:
                    _set(row, *loaded)
                at = (int(self._newest[1]) + 1) % _ITERATIONS
                self._newest[1] = at
                self._iterations[at] = torch.tensor([drawn, number, *_begun(row, by_workers=True)])
                self._joined[at] = False
            self._joined[at, worker % _MOST_WORKERS] = True
            return int(self._iterations[at, _OF_EPOCH]), int(self._iterations[at, _OF_SEEN])

    def next(self) -> tuple[int, int]:
        """What :meth:`begin` would return if an iteration began now."""
        with _alone():
            return _next(self._row()) if self._loaded is None else self._loaded

    def now(self) -> tuple[int, int]:
        """The epoch that began last, and what was done of it then; else the next."""
        with _alone():
            row = self._row()
            return (int(row[_NOW_EPOCH]), int(row[_NOW_SEEN])) if row[_BEGUN] else _next(row)

    def has_begun(self, *, by_workers: bool = False) -> bool:
        """Whether an iteration has begun since an epoch was set, or one of workers was the last that did."""
        with _alone():
            row = self._row()
            return bool(row[_BEGUN] and (row[_BY_WORKERS] or not by_workers))

    def _found(self, drawn: int, number: int, worker: int) -> int | None:
        """Where the iteration is that a worker belongs to, unless it is the first to begin it."""
        same = (self._iterations[:, _DRAWN] == drawn) & (self._iterations[:, _NUMBER] == number)
        same &= ~self._joined[:, worker % _MOST_WORKERS] & self._joined.any(1)
        rows = same.nonzero()[:, 0].tolist()
        return max(rows, key=lambda at: (at - int(self._newest[1]) - 1) % _ITERATIONS, default=None)

    def _row(self) -> torch.Tensor:
        """The numbers of this process's program; those of a new one begin as the first's stand."""
        rows = (self._programs[:, _PROCESS] == _program()).nonzero()[:, 0].tolist()
        if not rows:
            at = int(self._newest[0]) % (_PROGRAMS - 1) + 1
            self._newest[0] = at
            self._programs[at] = self._programs[0]
            self._programs[at, _PROCESS] = _program()
            rows = [at]
        return self._programs[rows[0]]


def _shared(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype).share_memory_()  # type: ignore[no-untyped-call,no-any-return]


def _program() -> int:
    """The process of this program, also in its workers."""
    parent = multiprocessing.parent_process()
    in_worker = torch.utils.data.get_worker_info() is not None
    return parent.pid if in_worker and parent is not None and parent.pid is not None else os.getpid()


def _set(row: torch.Tensor, epoch: int, seen: int) -> None:
    row[_EPOCH], row[_SEEN], row[_BEGUN] = epoch, seen, 0


def _next(row: torch.Tensor) -> tuple[int, int]:
    begun = int(row[_BEGUN])
    return int(row[_EPOCH]) + begun, 0 if begun else int(row[_SEEN])


def _begun(row: torch.Tensor, *, by_workers: bool) -> tuple[int, int]:
    epoch, seen = _next(row)
    row[_BEGUN] += 1
    row[_NOW_EPOCH], row[_NOW_SEEN], row[_BY_WORKERS] = epoch, seen, by_workers
    return epoch, seen


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let no other process or thread in: by a lock on this file, which is everywhere and needs no cleaning up."""
    with contextlib.ExitStack() as opened:
        with contextlib.suppress(OSError):  # a file system without locks, as some NFS: it is a matter of microseconds
            file = opened.enter_context(open(__file__, "rb"))
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
                opened.callback(fcntl.flock, file, fcntl.LOCK_UN)  # a process forked meanwhile has the file open too
        yield
