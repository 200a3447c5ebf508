"""Ids of pictures and objects in COCO.

An id that the source has is kept. A new one is 53 bits of the BLAKE2b of what it names, which is what a float still
holds, so nothing moves when a picture is added. Equal ids are made different in the order of the source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from augpipe.core.rng import encode

Rule: TypeAlias = Literal["keep", "new", "sequential"]


def stable_id(*names: str | int) -> int:
    """A positive id of 53 bits for what ``names`` name."""
    return id_of(encode(*names))


def id_of(encoded: bytes) -> int:
    """:func:`stable_id` of names that are encoded already (:func:`augpipe.core.rng.encode`)."""
    digest = hashlib.blake2b(encoded, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) or 1


@dataclass
class IdGiver:
    """Gives each id once: one that is taken becomes the stable one of what it names, and is counted.

    ``rule`` says what becomes of the source's own ids: ``keep`` them, ``new`` stable ones, or ``sequential`` from 1.
    """

    taken: set[int | str] = field(default_factory=set)
    collisions: int = 0
    rule: Rule = "keep"

    def settle(self, wished: int | str, *names: str | int) -> int | str:
        """``wished``, or what is given in its place."""
        if self.rule == "sequential":
            self.taken.add(len(self.taken) + 1)
            return len(self.taken)
        number = wished
        if number in self.taken:
            self.collisions += 1
            number = stable_id(*names)
            while number in self.taken:
                number += 1
        self.taken.add(number)
        return number

    def settle_all(
        self, wished: list[int | str], names_of: Callable[[int], tuple[str | int, ...]]
    ) -> Sequence[int | str]:
        """:meth:`settle` of each; ``names_of`` says what the one at a place names."""
        fresh = set(wished)
        if self.rule != "sequential" and len(fresh) == len(wished) and self.taken.isdisjoint(fresh):
            self.taken |= fresh
            return wished
        return [self.settle(number, *names_of(i)) for i, number in enumerate(wished)]
