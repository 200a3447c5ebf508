"""The header of a picture where it lies, from as few bytes of its file as tell the same as all of them.

Formats whose labels are fractions of the picture need its size, and a conversion looks at every picture. Plain JPEGs,
which are most of them, are understood here; Pillow reads all others. A test compares the two.
"""

from __future__ import annotations

from augpipe.core.annotations import Header
from augpipe.core.errors import Reject
from augpipe.formats.base import Entry, read_picture
from augpipe.pixels.codec.jpeg_segments import (
    APP0,
    COM,
    DHT,
    DQT,
    DRI,
    PROGRESSIVE_FRAMES,
    SOF0,
    SOF1,
    frame_of,
    has_byte_tables,
    header_segments,
)
from augpipe.storage.byte_range import ByteRange, head_of, read_place

_FIRST_BYTES = 1 << 12
_HEAD_BYTES = 1 << 18
_NO_LIMIT = 2**62
_JFIF_BYTES = 14  # without a thumbnail
_MODES = {1: "L", 3: "RGB"}

_RUN_HEAD_BYTES = 1 << 16
_MODEST_BYTES = 1 << 22  # a larger file counts towards what decoding takes


def header_at(place: ByteRange) -> Header:
    """The header of a picture, from its first bytes where they hold it; raises ``Reject`` if it has none."""
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
    """The header of a baseline JFIF file of one or three channels without orientation, profiles or the like.

    ``None`` for everything else, for damaged files, and if the pixels do not begin within ``head``.
    """
    found = header_segments(head)
    if found is None:
        return None
    first, *tables = found
    if first.marker != APP0 or first.content[:5] != b"JFIF\0" or len(first.content) < _JFIF_BYTES:
        return None
    header: Header | None = None
    for marker, content, _, _ in tables[:-1]:
        if marker in (SOF0, SOF1) and header is None:
            frame = frame_of(content)
            if frame is None or frame.bits != 8 or 0 in frame.size_wh or len(frame.components) not in _MODES:
                return None
            header = Header("JPEG", frame.size_wh, 1, _MODES[len(frame.components)])
        elif not (marker in (DHT, DRI, COM) or (marker == DQT and has_byte_tables(content))):
            return None
    return header


def start_and_header(entry: Entry) -> tuple[bytes, Header]:
    """(the first bytes of the picture or all of them, the header that a run reads of it).

    Raises ``Reject`` if it cannot be read.
    """
    if entry.picture is not None and _RUN_HEAD_BYTES < entry.size <= _MODEST_BYTES:
        data = head_of(entry.picture, _RUN_HEAD_BYTES)
        header = _header_in(data)
        if header is not None:
            return data, header
    from augpipe.pixels.codec.header import read_header

    data = read_picture(entry)
    return data, read_header(data)


def _header_in(head: bytes) -> Header | None:
    """The header if it is a JPEG that the rest of the file cannot say more about."""
    if head[:2] != b"\xff\xd8" or any(bytes((0xFF, frame)) in head for frame in PROGRESSIVE_FRAMES):
        return None
    from augpipe.pixels.codec.header import read_header

    try:
        header = read_header(head)
    except Reject:
        return None
    return header if header.format in ("JPEG", "MPO") else None
