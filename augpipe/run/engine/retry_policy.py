"""What to do next with a task whose worker died or hung. Decisions only, no processes.

The task is done again, up to three times. If workers keep dying, or one hangs, each picture is tried alone, twice at
most; those that end a worker again are lost, and the task is done without them. If that fails as well, all its pictures
are lost: the run goes on, and ``retry`` takes them up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from augpipe.core.errors import Reject, RunError
from augpipe.run.job import Attempt, Task

MOST_ATTEMPTS = 3
_MOST_ALONE = 2


@dataclass(frozen=True)
class RunTask:
    """Make the shard."""

    task: Task
    attempt: Attempt


@dataclass(frozen=True)
class ProbeImage:
    """Try one picture of the task and write nothing."""

    task: Task
    index: int


Order: TypeAlias = "RunTask | ProbeImage"


@dataclass
class TaskAttempts:
    """One task and its history. ``order`` is what to do next."""

    task: Task
    attempts: int = 0
    lost: dict[str, Reject] = field(default_factory=dict)
    order: Order = field(init=False)
    _failures: int = 0
    _alone: Counter[int] = field(default_factory=Counter)
    _left: Iterator[int] | None = None

    def __post_init__(self) -> None:
        self._make()

    def done(self) -> bool:
        """Note that the order was carried out. Returns True if the task is done, else ``order`` is the next."""
        if isinstance(self.order, RunTask):
            return True
        self._next_alone()
        return False

    def died(self, why: Reject) -> None:
        """Note that the worker died or was stopped over the order; ``order`` is then the next.

        Raises:
            RunError: it died although no picture is left, so pictures are not the reason.
        """
        if isinstance(self.order, ProbeImage):
            index = self.order.index
            self._alone[index] += 1
            if self._alone[index] < _MOST_ALONE and why.code != "timeout":
                return
            self.lost[self.task.entries[index].key] = why
            self._next_alone()
            return
        self._failures += 1
        if self._failures < MOST_ATTEMPTS and why.code != "timeout":
            self._make()
        elif self._left is None:
            self._left = iter(range(len(self.task.entries)))
            self._next_alone()
        elif len(self.lost) == len(self.task.entries):
            raise RunError(
                f"shard {self.task.name}: {why.message}, even without any of its pictures\n"
                "what is finished is kept; --workers 0 takes this process alone"
            )
        else:
            self.lost.update({entry.key: why for entry in self.task.entries if entry.key not in self.lost})
            self._make()

    def _make(self) -> None:
        self.attempts += 1
        self.order = RunTask(self.task, Attempt(self.attempts, dict(self.lost)))

    def _next_alone(self) -> None:
        index = next(self._left, None) if self._left is not None else None
        if index is None:
            self._failures = 0
            self._make()
        else:
            self.order = ProbeImage(self.task, index)
