"""The header of a picture where it lies, without reading all of the file.

Formats whose labels are fractions of the picture need its size, and a conversion looks at every picture. So most of
them, JPEGs that only their own tables stand in front of the pixels of, are understood here; all others by Pillow. That
both say the same is tested.
"""

from __future__ import annotations

from augpipe.core.annotations import Header
from augpipe.core.errors import Reject
from augpipe.formats.base import Entry, read_picture
from augpipe.storage.byte_range import ByteRange, head_of, read_place

_FIRST_BYTES = 1 << 12
_HEAD_BYTES = 1 << 18
_NO_LIMIT = 2**62
_FRAMES = (0xC0, 0xC1)
_SCAN, _QUANTISATION = 0xDA, 0xDB
_SKIPPED = (0xC4, 0xDD, 0xFE)  # Huffman's tables, the restart interval, a comment
_JFIF = 16  # bytes of its segment without a thumbnail
_MODES = {1: "L", 3: "RGB"}


def header_at(place: ByteRange) -> Header:
    """The header from the first part of a picture, which nearly always holds it; else from all of it.

    Raises:
        Reject: if it cannot be read or is no picture.
    """
    for most in (_FIRST_BYTES, _HEAD_BYTES):
        head = head_of(place, most)
        if (plain := plain_jpeg(head)) is not None:
            return plain
    from augpipe.pixels.codec.header import read_header  # here, as few files need Pillow

    try:
        return read_header(head, _NO_LIMIT)
    except Reject:
        if len(head) < _HEAD_BYTES:
            raise
    return read_header(read_place(place), _NO_LIMIT)


def plain_jpeg(head: bytes) -> Header | None:
    """The header of a baseline JPEG of one or three channels that says nothing of orientation, profiles or the like.

    ``None`` for everything else, also for what is damaged, and where its pixels do not begin within ``head``.
    Source: ITU-T T.81, annex B.
    """
    if head[:4] != b"\xff\xd8\xff\xe0" or head[6:11] != b"JFIF\0" or head[4] << 8 | head[5] < _JFIF:
        return None
    found: Header | None = None
    place = 4 + (head[4] << 8 | head[5])
    while place + 4 <= len(head) and head[place] == 0xFF:
        kind, start, place = head[place + 1], place + 4, place + 2 + (head[place + 2] << 8 | head[place + 3])
        if place < start or place > len(head):
            return None
        if kind == _SCAN:
            return found
        if kind in _FRAMES and found is None:
            found = _frame(head[start:place])
            if found is None:
                return None
        elif kind == _QUANTISATION:
            if not _is_quantisation(head[start:place]):
                return None
        elif kind not in _SKIPPED:
            return None
    return None


def _is_quantisation(segment: bytes) -> bool:
    """Whether it holds whole tables of 8 bits."""
    return len(segment) % 65 == 0 and all(first < 16 for first in segment[::65])


def _frame(segment: bytes) -> Header | None:
    if len(segment) < 6:
        return None
    height, width, channels = segment[1] << 8 | segment[2], segment[3] << 8 | segment[4], segment[5]
    if segment[0] != 8 or not height or not width or channels not in _MODES or len(segment) != 6 + 3 * channels:
        return None
    return Header("JPEG", (width, height), 1, _MODES[channels])


# --- A picture's header from as few bytes of its file as tell the same as all of them ---------------------------------


_HEAD = 1 << 16
_PROGRESSIVE = (b"\xff\xc2", b"\xff\xc6", b"\xff\xca", b"\xff\xce")
_MODEST = 1 << 22  # bytes; a file beyond this counts into what decoding takes


def start_and_header(entry: Entry) -> tuple[bytes, Header]:
    """(the first bytes of the picture or all of them, its header).

    Raises:
        Reject: as reading and the header of a run.
    """
    if entry.picture is not None and _HEAD < entry.size <= _MODEST:
        data = head_of(entry.picture, _HEAD)
        header = _told_by(data)
        if header is not None:
            return data, header
    from augpipe.pixels.codec.header import read_header

    data = read_picture(entry)
    return data, read_header(data)


def _told_by(head: bytes) -> Header | None:
    """The header if it is a JPEG that the rest of the file cannot say more about."""
    if head[:2] != b"\xff\xd8" or any(frame in head for frame in _PROGRESSIVE):
        return None
    from augpipe.pixels.codec.header import read_header

    try:
        header = read_header(head)
    except Reject:
        return None
    return header if header.format in ("JPEG", "MPO") else None
