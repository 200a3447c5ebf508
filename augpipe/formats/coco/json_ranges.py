"""The byte ranges of the objects of a JSON list.

Fast path: if the separators are identical, as programs write them, offsets follow from sizes. Otherwise each object is
asked for its offset, which takes longer than splitting the list.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from augpipe.core.annotations import I64, U8

_BETWEEN = b" \t\r\n,"


def ranges_of(texts: Sequence[msgspec.Raw], base: U8) -> I64:
    """Where the objects of a list lie: (start, size), int64 (n, 2), in the order of the list.

    Args:
        texts: the objects, as msgspec splits a list into views of ``base``; each begins with its brace.
        base: all the bytes that were split.
    """
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    if len(texts) > 1:
        first, last = _start(texts[0], base), _start(texts[-1], base)
        gap, odd = divmod(last - first - int(sizes[:-1].sum()), len(texts) - 1)
        starts = first + np.concatenate([[0], np.cumsum(sizes[:-1] + gap)])
        between = base[first + sizes[0] : first + sizes[0] + gap]
        if not odd and bytes(between).strip(_BETWEEN) == b"" and _all_between(base, starts, gap):
            return np.column_stack([starts, sizes])
    return np.column_stack([np.fromiter((_start(t, base) for t in texts), np.int64, len(texts)), sizes])


def _all_between(base: U8, starts: I64, gap: int) -> bool:
    """Whether the ``gap`` bytes before each object but the first are the same, and an object begins there."""
    if not (base[starts] == ord("{")).all():
        return False
    return all((base[starts[1:] - k] == base[starts[1] - k]).all() for k in range(1, gap + 1))


def _start(text: msgspec.Raw, base: U8) -> int:
    """Where in the mapped file the text of an object lies; msgspec gives it as a view into the file."""
    view = np.frombuffer(text, np.uint8)
    start: int = view.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return start
