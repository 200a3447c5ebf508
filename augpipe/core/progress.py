"""How far a piece of work is, told by the library to whoever calls it."""

from __future__ import annotations


class Progress:
    """Is told how the work goes; this base class says nothing. Counts are of pictures, or of shards in ``verify``."""

    def begin(self, total: int | None, done: int = 0) -> None:
        """Work begins on ``total`` things, ``None`` if it is not known how many, of which ``done`` are done already."""

    def update(self, count: int, rejected: int = 0) -> None:
        """So many more are done, with so many samples rejected; fewer than none if work was lost."""
