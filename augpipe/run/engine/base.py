"""What an engine has to do, so that a new one is one more class: carry out the tasks of a run, wherever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from augpipe.run.job import Job, Task


class Listener:
    """Receives what happens during a run; each method may be overridden."""

    def progress(self, pictures: int, rejected: int) -> None:
        """More pictures are done, with so many samples rejected; negative numbers take back lost work."""

    def trouble(self, sentence: str) -> None:
        """Something that the run survives, such as a worker that was killed."""


class Engine(Protocol):
    """Carries out each task once by :func:`augpipe.run.task.run_task`, in any order and any process.

    Two attempts at one task may overlap: the later one changes nothing.
    """

    def get_ready(self) -> None:
        """Begin with what takes time and needs no task; optional, since ``run`` does it too."""
        ...

    def run(self, job: Job, tasks: Iterator[Task], listener: Listener) -> None:
        """Carry out all tasks.

        Raises:
            RunError: one of them cannot be done; finished ones stay.
        """
        ...
