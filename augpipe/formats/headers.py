"""The header of a picture where it lies, without reading all of the file.

Formats whose labels are fractions of the picture need its size, and a conversion looks at every picture.
"""

from __future__ import annotations

from augpipe.errors import Reject
from augpipe.formats.base import Place, read_place, size_of
from augpipe.pixels.header import read_header
from augpipe.sample import Header

_HEAD_BYTES = 1 << 18
_NO_LIMIT = 2**62


def header_at(place: Place) -> Header:
    """The header from the first part of a picture, which nearly always holds it; else from all of it.

    Raises:
        Reject: if it cannot be read or is no picture.
    """
    size = place.size if place.size >= 0 else size_of(place.path)
    if size < 0:
        return read_header(read_place(place), _NO_LIMIT)  # which says why it cannot be read
    try:
        return read_header(read_place(place._replace(size=min(size, _HEAD_BYTES))), _NO_LIMIT)
    except Reject:
        if size <= _HEAD_BYTES:
            raise
    return read_header(read_place(place), _NO_LIMIT)
