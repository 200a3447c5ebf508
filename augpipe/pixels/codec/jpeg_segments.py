"""The marker segments of a JPEG, for everything that looks into a file without decoding it.

Source: ITU-T T.81, annex B. Imports nothing, since a conversion asks for thousands of headers before it needs Pillow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

SOF0, SOF1, DHT, EOI, SOS, DQT, DRI, APP0, APP14, COM = 0xC0, 0xC1, 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xE0, 0xEE, 0xFE
FRAMES = frozenset(range(0xC0, 0xD0)) - {DHT, 0xC8, 0xCC}
PROGRESSIVE_FRAMES = frozenset({0xC2, 0xC6, 0xCA, 0xCE})

_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd8\xff])")  # those that a length follows, and EOI
_WITH_LENGTH = frozenset(range(0x02, 0xFF)) - frozenset(range(0xD0, EOI + 1))


class Segment(NamedTuple):
    """``start`` is the offset of its marker, ``end`` that of what follows its content."""

    marker: int
    content: bytes
    start: int
    end: int


class JpegFrame(NamedTuple):
    """A frame header. ``components`` has (identifier, sampling, quantisation table) of each channel."""

    bits: int
    size_wh: tuple[int, int]
    components: tuple[tuple[int, int, int], ...]


def segments(jpeg: bytes) -> Iterator[Segment]:
    """All segments up to the end of the image. Entropy-coded data and stray bytes between them are skipped."""
    place = 0
    while (found := _MARKER.search(jpeg, place)) is not None and found[1][0] != EOI:
        after = found.end()
        place = after + int.from_bytes(jpeg[after : after + 2], "big")
        yield Segment(found[1][0], jpeg[after + 2 : place], after - 2, place)


def header_segments(jpeg: bytes) -> list[Segment] | None:
    """The segments up to and including the first scan header, which must follow each other without a gap.

    ``None`` if something else lies between them, one leaves the data, or there is no scan.
    """
    # By bytes, not by `segments`: a conversion asks this of every picture, and does little else with it.
    found: list[Segment] = []
    place = 2 if jpeg[:2] == b"\xff\xd8" else len(jpeg)
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF and jpeg[place + 1] in _WITH_LENGTH:
        start, marker = place, jpeg[place + 1]
        place = start + 2 + (jpeg[start + 2] << 8 | jpeg[start + 3])
        if place < start + 4 or place > len(jpeg):
            return None
        found.append(Segment(marker, jpeg[start + 4 : place], start, place))
        if marker == SOS:
            return found
    return None


def frame_of(content: bytes) -> JpegFrame | None:
    """The content of a frame segment; ``None`` if its length does not suit its number of components."""
    if len(content) < 6 or len(content) != 6 + 3 * content[5]:
        return None
    height, width = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
    components = tuple((content[i], content[i + 1], content[i + 2]) for i in range(6, len(content), 3))
    return JpegFrame(content[0], (width, height), components)


def has_byte_tables(content: bytes) -> bool:
    """Whether a quantisation segment holds whole tables of 8-bit numbers."""
    return len(content) >= 65 and len(content) % 65 == 0 and all(first < 16 for first in content[::65])
