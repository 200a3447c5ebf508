"""Reading ahead: the next sources are read in a thread while the pictures before are worked on.

So a slow disk is not waited for. It is a thread of our own, and not a node of torchdata, whose import brings torch: two
seconds and 220 MB for every process that makes shards. Nodes are for the training side (:mod:`augpipe.train.nodes`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_HELD_AHEAD = 64 * 1024 * 1024
_AT_A_TIME, _AHEAD = 4, 2
"""Items that cross between threads together, since crossing takes as long for one as for four; how many of those."""

S = TypeVar("S")
T = TypeVar("T")


def reading_ahead(items: Sequence[S], read: Callable[[S], T], largest: int = 0) -> Iterator[T]:
    """``read(item)`` for each item in order.

    Args:
        items: what is to be read.
        read: must return its failures, not raise them, as an exception would end the whole sequence.
        largest: bytes that an item may hold; of large ones none is read ahead, as a picture needs that memory.
    """
    if largest * _AT_A_TIME * (_AHEAD + 1) > _HELD_AHEAD:
        yield from map(read, items)
        return
    with ThreadPoolExecutor(1, "augpipe-read") as thread:
        under_way: deque[Future[list[T]]] = deque()
        try:
            for start in range(0, len(items), _AT_A_TIME):
                under_way.append(thread.submit(_read, read, items[start : start + _AT_A_TIME]))
                if len(under_way) > _AHEAD:
                    yield from under_way.popleft().result()
            while under_way:
                yield from under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()


def _read(read: Callable[[S], T], items: Sequence[S]) -> list[T]:
    return [read(item) for item in items]
