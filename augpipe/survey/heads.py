"""A picture's header from as few bytes of its file as tell the same as all of them.

Of a JPEG that is not progressive the first 64 KiB do; a run decides by the whole file in all other cases, and so it is
read. That a picture is refused or not must not depend on who asks.
"""

from __future__ import annotations

from augpipe.errors import Reject
from augpipe.formats.base import Entry, read_picture
from augpipe.pixels.header import read_header
from augpipe.sample import Header
from augpipe.sources.place import head_of as first_of

_HEAD = 1 << 16
_PROGRESSIVE = (b"\xff\xc2", b"\xff\xc6", b"\xff\xca", b"\xff\xce")
_MODEST = 1 << 22  # bytes; a file beyond this counts into what decoding takes


def head_of(entry: Entry) -> tuple[bytes, Header]:
    """(the first bytes of the picture or all of them, its header).

    Raises:
        Reject: as reading and the header of a run.
    """
    if entry.picture is not None and _HEAD < entry.size <= _MODEST:
        data = first_of(entry.picture, _HEAD)
        header = _plain_jpeg(data)
        if header is not None:
            return data, header
    data = read_picture(entry)
    return data, read_header(data)


def _plain_jpeg(head: bytes) -> Header | None:
    """The header if it is a JPEG that the rest of the file cannot say more about."""
    if head[:2] != b"\xff\xd8" or any(frame in head for frame in _PROGRESSIVE):
        return None
    try:
        header = read_header(head)
    except Reject:
        return None
    return header if header.format in ("JPEG", "MPO") else None
