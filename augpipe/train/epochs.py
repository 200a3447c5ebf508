"""Which epoch the next iteration is, and how much of it is done: numbers that a program and its workers share."""

from __future__ import annotations

import torch

_MOST_WORKERS = 128
_EPOCH, _SEEN, _COUNTS = 0, 1, 2  # places in the memory that is shared


class Epochs:
    """Counts the iterations since an epoch was set.

    Every worker of an iteration begins it once, and nobody sees that but the worker. So each has a counter of its own
    for each number of workers, and they agree without asking one another.
    """

    def __init__(self) -> None:
        size = _COUNTS + _counter(0, _MOST_WORKERS + 1)
        self._shared = torch.zeros(size, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    def __setstate__(self, state: dict[str, torch.Tensor]) -> None:
        self.__dict__.update(state)
        self._shared.share_memory_()

    def set(self, epoch: int, seen: int = 0) -> None:
        """Make ``epoch`` the next one, of which ``seen`` samples are done."""
        self._shared.zero_()
        self._shared[_EPOCH], self._shared[_SEEN] = epoch, seen

    def set_for_worker(self, worker: int, workers: int, epoch: int, seen: int) -> None:
        """As :meth:`set`, said by each of an iteration's workers with the same numbers."""
        self._shared[_EPOCH], self._shared[_SEEN] = epoch, seen
        self._shared[_COUNTS + _counter(worker, workers)] = 0

    def begin(self, worker: int, workers: int) -> tuple[int, int]:
        """The epoch that begins in this process, and the samples of it that are done; the one after comes next."""
        epoch, seen = self._next(worker, workers)
        if workers <= _MOST_WORKERS:
            self._shared[_COUNTS + _counter(worker, workers)] += 1
        return epoch, seen

    def next(self) -> tuple[int, int]:
        """What :meth:`begin` would return if a program without workers began now."""
        return self._next(0, 0)

    def now(self) -> tuple[int, int]:
        """The epoch whose iteration, with any number of workers, began last; else the next."""
        begun = int(self._shared[_COUNTS:].max())
        epoch, seen = int(self._shared[_EPOCH]), int(self._shared[_SEEN])
        return epoch + max(0, begun - 1), seen if begun <= 1 else 0

    def has_begun(self) -> bool:
        """Whether an iteration has begun since an epoch was set."""
        return bool(self._shared[_COUNTS:].any())

    def _next(self, worker: int, workers: int) -> tuple[int, int]:
        counts = self._shared[_COUNTS:]
        own = int(counts[_counter(worker, workers)]) if workers <= _MOST_WORKERS else 0
        before, after = counts[: _counter(0, workers)], counts[_counter(0, workers + 1) :]
        fresh = own == 0 and not before.any() and not after.any()
        return int(self._shared[_EPOCH]) + own, int(self._shared[_SEEN]) if fresh else 0


def _counter(worker: int, workers: int) -> int:
    """Where the counter of a worker of ``workers`` is; 0 workers is the program itself."""
    return 0 if workers == 0 else 1 + workers * (workers - 1) // 2 + worker
