"""The header of a picture where it lies, without reading all of the file.

Formats whose labels are fractions of the picture need its size, and a conversion looks at every picture.
"""

from __future__ import annotations

from augpipe.errors import Reject
from augpipe.formats.base import Place, head_of, read_place
from augpipe.pixels.header import read_header
from augpipe.sample import Header

_HEAD_BYTES = 1 << 18
_NO_LIMIT = 2**62


def header_at(place: Place) -> Header:
    """The header from the first part of a picture, which nearly always holds it; else from all of it.

    Raises:
        Reject: if it cannot be read or is no picture.
    """
    head = head_of(place, _HEAD_BYTES)
    try:
        return read_header(head, _NO_LIMIT)
    except Reject:
        if len(head) < _HEAD_BYTES:
            raise
    return read_header(read_place(place), _NO_LIMIT)
