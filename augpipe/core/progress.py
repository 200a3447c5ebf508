"""Progress of a piece of work, reported by the library to its caller."""

from __future__ import annotations


class Progress:
    """Receives progress; this base class ignores it. Counts are of pictures, or of shards in ``verify``."""

    def begin(self, total: int | None, done: int = 0) -> None:
        """Work begins on ``total`` things (``None``: unknown), of which ``done`` are done already."""

    def update(self, count: int, rejected: int = 0) -> None:
        """``count`` more are done, with ``rejected`` samples; negative if work was lost."""
