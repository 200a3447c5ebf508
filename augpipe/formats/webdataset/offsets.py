"""Where the samples of a shard are, as its commit record says it, so that nobody has to walk over the tar."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from augpipe.formats.webdataset.safe_parse import MOST_MEMBER, read_document

_BLOCK = 512
_END = 2 * _BLOCK


class _Indexed(Struct, frozen=True):
    index: list[tuple[int, int]] = []


_decoder = msgspec.json.Decoder(_Indexed)


def indexed_starts(shard: Path, samples: int, size: int) -> list[int] | None:
    """The first byte of every sample of a tar, then the byte past the last one.

    Args:
        shard: the tar; its record stands beside it.
        samples: how many it has.
        size: its bytes.

    Returns:
        ``None`` if the record does not say it, as that of an earlier version, or says what no tar of ours can be.
    """
    try:
        index = _decoder.decode(read_document(shard.with_suffix(".json"))).index
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None
    starts, end = [], 0
    for first, length in index:
        if first != end or length % _BLOCK or not 0 < length <= MOST_MEMBER:
            return None
        starts.append(first)
        end += length
    return [*starts, end] if len(starts) == samples and end + _END == size else None
