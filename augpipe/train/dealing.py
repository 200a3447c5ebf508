"""Who takes which positions of an epoch: units of one batch, round robin to the ranks, then to a rank's workers.

What all ranks have done is then always a beginning of the epoch, and a rank's batches are the same, in the same order,
for any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Even: TypeAlias = Literal["drop", "pad", "keep"]
EVEN = get_args(Even)


@dataclass(frozen=True)
class Deal:
    """Positions ``start`` … ``total`` - 1 for ``ranks`` processes.

    Attributes:
        total: samples of the epoch.
        unit: samples of a batch.
        ranks: processes that share the epoch.
        even: what becomes of samples by which ranks would differ: they are left out (``drop``), some are repeated
            (``pad``), or some ranks have one more (``keep``). With the first two all ranks have as many batches.
        start: samples that are done.
    """

    total: int
    unit: int
    ranks: int
    even: Even
    start: int = 0

    @property
    def added(self) -> int:
        """Samples that all ranks take together beyond those that are there; below 0 those that are left out."""
        over = (self.total - self.start) % self.ranks
        if self.even == "keep" or not over:
            return 0
        return -over if self.even == "drop" else self.ranks - over

    @property
    def rounds(self) -> int:
        """Rounds in which every rank takes a whole batch."""
        return (self.total - self.start + self.added) // (self.unit * self.ranks)

    def count(self, rank: int) -> int:
        """Samples that a rank takes."""
        return self.rounds * self.unit + len(self._last(rank))

    def batches(self, rank: int, worker: int = 0, workers: int = 1) -> Iterator[range]:
        """The positions of a worker's batches; those past ``total`` are of ``pad``, and stand for the first again."""
        for round_ in range(worker, self.rounds, workers):
            first = self.start + (round_ * self.ranks + rank) * self.unit
            yield range(first, first + self.unit)
        if self.rounds % workers == worker and (last := self._last(rank)):
            yield last

    def done(self, taken: int, rank: int) -> int | None:
        """Samples that are done when each rank is as far as this one, which has taken ``taken``.

        ``None`` inside a batch, where ranks interleave.
        """
        if self.ranks == 1 or (taken % self.unit == 0 and taken <= self.rounds * self.unit):
            return min(self.start + taken * self.ranks, self.total)
        return self.total if taken >= self.count(rank) else None

    def _last(self, rank: int) -> range:
        """The last batch of a rank, which is no whole one: its share of what the rounds have left."""
        first = self.start + self.rounds * self.unit * self.ranks
        rest = self.total + self.added - first
        return range(first + rest * rank // self.ranks, first + rest * (rank + 1) // self.ranks)
