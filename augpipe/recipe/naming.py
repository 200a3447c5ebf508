"""What the steps of a list are called: the names that random numbers and ``--set`` paths hang on.

A step goes by its operation, further ones of the same kind get ``#2``, ``#3``; one with an ``id`` goes by that, counts
for nobody else, and so keeps its numbers whatever comes or goes around it.
"""

from __future__ import annotations

from collections import Counter

from augpipe.recipe.document import Path_


class Siblings:
    """The names that are taken in one list of steps, with the document path of each."""

    def __init__(self) -> None:
        self.taken: dict[str, Path_] = {}
        self._counts: Counter[str] = Counter()

    def name(self, kind: str, own: str | None, where: Path_) -> tuple[str, Path_ | None]:
        """(the name of the next step, the path of an earlier step that has it already)."""
        name = own
        if name is None:
            self._counts[kind] += 1
            count = self._counts[kind]
            name = kind if count == 1 else f"{kind}#{count}"
        earlier = self.taken.get(name)
        self.taken[name] = where
        return name, earlier
