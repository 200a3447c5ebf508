"""Reading the files of a finished folder (docs/format.md), which may be damaged or made to do harm, within bounds.

Training and verification both read by these functions. They hold no more memory than they have checked.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from augpipe.core.errors import one_line
from augpipe.storage.byte_range import regular_file

MOST_JSON = 64 << 20
"""Bytes of a JSON document."""
MOST_MEMBER = 256 << 20
"""Bytes of a picture or mask in a tar."""

_BLOCK = 512
_END = bytes(_BLOCK)


# --- JSON ------------------------------------------------------------------------------------------------------------


def object_of(data: bytes) -> dict[str, Any]:
    """A JSON object whose numbers are all finite.

    Raises:
        ValueError: it is none, or too large or too deep.
    """
    if len(data) > MOST_JSON:
        raise ValueError(f"{len(data):,} bytes of JSON, expected at most {MOST_JSON:,}")
    try:
        value = json.loads(data.decode(), parse_constant=_no_number, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {one_line(value, 40)}")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{one_line(text, 40)} is too large a number")
    return value


def _whole(text: str) -> int:
    return int(text) if len(text) < 64 else int(_finite(text))


def read_document(path: Path) -> bytes:
    """The bytes of a JSON file; OSError if it is no file or cannot be read, ValueError if it is too large."""
    with open_file(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > MOST_JSON:
            raise ValueError(f"{size:,} bytes, expected at most {MOST_JSON:,}")
        return bounded(file)


def open_file(path: str | Path) -> io.BufferedReader:
    """A file to read; OSError for anything else, such as a pipe, on which nobody may wait."""
    return open(path, "rb", opener=regular_file)


def bounded(file: IO[bytes]) -> bytes:
    """The rest of an open file; ValueError if that is more than any of our documents has."""
    data = file.read(MOST_JSON + 1)
    if len(data) > MOST_JSON:
        raise ValueError(f"more than {MOST_JSON:,} bytes of JSON")
    return data


# --- tars ------------------------------------------------------------------------------------------------------------


class MemberRange(NamedTuple):
    """Where the content of a member is in its tar."""

    offset: int
    size: int


def samples_of(file: int) -> Iterator[tuple[str, dict[str, MemberRange]]]:
    """(KEY, ending → range) of every run of members with one KEY in a tar, by the descriptor of its file.

    Raises:
        ValueError: not a tar as docs/format.md has it: plain files with ustar headers, no member twice.
        OSError: it cannot be read.
    """
    key, ranges = "", dict[str, MemberRange]()
    for name, place in _members(lambda offset: os.pread(file, _BLOCK, offset), os.fstat(file).st_size):
        stem, _, ending = name.partition(".")
        if stem != key and ranges:
            yield key, ranges
            ranges = {}
        if ending in ranges:
            raise ValueError(f"at byte {place.offset - _BLOCK}: {one_line(name, 100)} is there twice")
        key, ranges[ending] = stem, place
    if ranges:
        yield key, ranges


def start_of(ranges: Mapping[str, MemberRange]) -> int:
    """The first byte of a sample in its tar, that of its first header."""
    return min(place.offset for place in ranges.values()) - _BLOCK


def end_of(ranges: Mapping[str, MemberRange]) -> int:
    """The byte past a sample in its tar."""
    return max(place.offset + _padded(place.size) for place in ranges.values())


def members_of(sample: memoryview) -> tuple[str, dict[str, memoryview]]:
    """(KEY, ending → content) of a stretch of a tar that holds one sample; ValueError if it does not."""
    key, contents = "", dict[str, memoryview]()
    for name, place in _members(lambda offset: bytes(sample[offset : offset + _BLOCK]) or _END, len(sample)):
        stem, _, ending = name.partition(".")
        if contents and stem != key:
            raise ValueError(f"expected one sample, got {one_line(key, 100)} and {one_line(stem, 100)}")
        key = stem
        contents[ending] = sample[place.offset : place.offset + place.size]
    return key, contents


def require_modest(ranges: Mapping[str, MemberRange]) -> None:
    """Raise ValueError for a member that is larger than any of ours: a sparse file claims any size for nothing."""
    for ending, place in ranges.items():
        most = MOST_JSON if ending == "json" else MOST_MEMBER
        if place.size > most:
            raise ValueError(f"its {one_line(ending, 40)} has {place.size:,} bytes, expected at most {most:,}")


def members_at(file: int, ranges: Mapping[str, MemberRange]) -> dict[str, bytes]:
    """Ending → content of a sample; ValueError as :func:`require_modest`."""
    require_modest(ranges)
    return {ending: os.pread(file, place.size, place.offset) for ending, place in ranges.items()}


def _members(read: Callable[[int], bytes], end: int) -> Iterator[tuple[str, MemberRange]]:
    """(name, range) of the members of a tar of ``end`` bytes; ``read`` gives the block at an offset.

    Raises:
        ValueError: a member is damaged, naming its byte.
    """
    offset = 0
    while (header := read(offset)) != _END:
        try:
            name, size = _parsed(header)
            if offset + _BLOCK + size > end:
                raise ValueError(f"{one_line(name, 100)} is cut short")
        except ValueError as error:
            raise ValueError(f"at byte {offset}: {error}") from None
        yield name, MemberRange(offset + _BLOCK, size)
        offset += _BLOCK + _padded(size)


def _parsed(header: bytes) -> tuple[str, int]:
    """(name, size) of the ustar header of a plain file."""
    if len(header) < _BLOCK:
        raise ValueError("ends in the middle of a member, or without its last two blocks")
    try:
        checksum = int(header[148:156].strip(b"\0 ") or b"0", 8)
        size = int(header[124:136].strip(b"\0 ") or b"0", 8)
        name = header[:100].partition(b"\0")[0].decode("ascii")
    except ValueError:
        raise ValueError("a header that is none of a tar") from None
    if checksum != sum(header[:148]) + 8 * 32 + sum(header[156:]) or size < 0:
        raise ValueError("a header that is none of a tar")
    if header[156:157] not in (b"0", b"\0") or header[257:262] != b"ustar" or header[345:500].strip(b"\0"):
        raise ValueError(f"{one_line(name, 100)} is no plain file of a ustar tar")
    return name, size


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
