"""How a run is carried out: everything that must not change a byte of its shards."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from augpipe.errors import UsageError, one_line


@dataclass(frozen=True)
class Slice:
    """Pieces ``[first, end)`` of a run that is cut into ``pieces`` equal ones, for one of several machines."""

    first: int
    end: int
    pieces: int

    def of(self, tasks: int) -> range:
        """The numbers of these pieces' tasks."""
        return range(self.first * tasks // self.pieces, self.end * tasks // self.pieces)


def parse_slice(text: str) -> Slice:
    """``0..1/4`` is the first quarter; pieces count from 0, and the end is the first that is not taken.

    Raises:
        UsageError: it is none.

    >>> parse_slice("0..2/4").of(16)
    range(0, 8)
    """
    match = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})/(\d{1,9})", text)
    if match:
        found = Slice(*map(int, match.groups()))
        if found.first < found.end <= found.pieces:
            return found
    raise UsageError(
        f"--tasks {one_line(text, 40)}: expected FIRST..END/PIECES with 0 <= FIRST < END <= PIECES; "
        "0..1/4 is the first quarter, 3..4/4 the last"
    )


@dataclass(frozen=True)
class Execution:
    """Ways to carry out a run.

    Attributes:
        workers: processes; ``None`` is one a core, 0 works in this process.
        overwrite: delete the run in the folder first.
        check: hash the shards that are there, and make those again that have changed.
        accept_version: go on with a run that other versions of augpipe or of its libraries have begun.
        extend: add copies to the run in the folder, up to those that are asked for.
        tasks: only these.
        patience: seconds in which a worker has to finish a picture; ``None`` is a minute and two seconds a copy.
    """

    workers: int | None = None
    overwrite: bool = False
    check: bool = False
    accept_version: bool = False
    extend: bool = False
    tasks: Slice | None = None
    patience: float | None = None

    def require_possible(self) -> None:
        """Raise :class:`UsageError` for what cannot be done, or not together."""
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"--workers {self.workers}: expected 0 (in this process) or more")
        if self.patience is not None and not 1.0 <= self.patience < math.inf:
            raise UsageError(f"--time-limit {self.patience:g}: expected 1 or more seconds")
        for other, name in ((self.extend, "--extend"), (self.tasks, "--tasks"), (self.check, "--check")):
            if self.overwrite and other:
                raise UsageError(f"--overwrite deletes the run in DST, {name} goes on with it; choose one")
