"""Reading ahead: a thread reads the next sources while pictures are worked on, which hides a slow disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_HELD_AHEAD = 64 * 1024 * 1024
_AT_A_TIME, _AHEAD = 4, 2  # items that cross between threads together, and how many of those

S = TypeVar("S")
T = TypeVar("T")


def reading_ahead(items: Sequence[S], read: Callable[[S], T], largest: int = 0) -> Iterator[T]:
    """``read(item)`` for each item in order.

    Args:
        items: what to read.
        read: returns its failures; an exception would end the sequence.
        largest: bytes of the largest item; large ones are not read ahead, since a picture needs the memory.
    """
    if largest * _AT_A_TIME * (_AHEAD + 1) > _HELD_AHEAD:
        yield from map(read, items)
        return
    under_way: deque[Future[list[T]]] = deque()
    with ThreadPoolExecutor(1, "augpipe-read") as thread:
        try:
            thread.submit(bool)
        except RuntimeError:  # the system allows no further thread
            yield from map(read, items)
            return
        try:
            for start in range(0, len(items), _AT_A_TIME):
                under_way.append(thread.submit(list, map(read, items[start : start + _AT_A_TIME])))
                if len(under_way) > _AHEAD:
                    yield from under_way.popleft().result()
            while under_way:
                yield from under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
