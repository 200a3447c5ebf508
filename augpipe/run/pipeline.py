"""Pipelines of torchdata nodes; the only file that imports torchdata.

Reading goes on in a thread while the pictures before are worked on, so a slow disk is not waited for. Order is kept
and the position can be saved and restored, as nodes have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from torchdata.nodes import BaseNode, Batcher, Mapper, Prefetcher, Unbatcher

_HELD_AHEAD = 64 * 1024 * 1024
S = TypeVar("S")
T = TypeVar("T")

_POSITION = "position"
_AT_A_TIME, _AHEAD = 4, 2
"""Items that cross between threads together, since crossing costs 70 µs, whatever it carries; and how many of those."""


class SequenceNode(BaseNode[S], Generic[S]):  # type: ignore[misc]  # torchdata has no types
    """The items of a sequence in order; the state is one number."""

    def __init__(self, items: Sequence[S]) -> None:
        super().__init__()
        self._items = items
        self._position = 0

    def reset(self, initial_state: dict[str, Any] | None = None) -> None:
        """Start at the beginning, or where ``initial_state`` was saved."""
        super().reset(initial_state)
        self._position = 0 if initial_state is None else int(initial_state[_POSITION])

    def next(self) -> S:
        """The next item."""
        if self._position >= len(self._items):
            raise StopIteration
        self._position += 1
        return self._items[self._position - 1]

    def get_state(self) -> dict[str, Any]:
        """Where the sequence stands."""
        return {_POSITION: self._position}


def reading_ahead(items: Sequence[S], read: Callable[[S], T], largest: int = 0) -> BaseNode[T]:
    """A node that gives ``read(item)`` for each item in order, reading ahead in a thread.

    ``read`` must return its failures, not raise them: an exception would end the whole sequence. ``largest`` are the
    bytes that an item may hold; of large ones none is read ahead, as a picture needs that memory.
    """
    if largest * _AT_A_TIME * (_AHEAD + 1) > _HELD_AHEAD:
        return Mapper(SequenceNode(items), read)
    # Not ParallelMapper: it makes semaphores of the system, which a process that is killed leaves behind.
    read_in_order = Batcher(Mapper(SequenceNode(items), read), _AT_A_TIME, drop_last=False)
    return Unbatcher(Prefetcher(read_in_order, prefetch_factor=_AHEAD))


def iterate(node: BaseNode[T]) -> Iterator[T]:
    """The items of a node from its beginning."""
    node.reset()
    yield from node
