"""Which picture files can be written as they are, byte for byte: every reader of shards has to read them."""

from __future__ import annotations

import struct
import zlib

from augpipe.core.annotations import Header

_MODES = ("L", "RGB")
_GRAY, _RGB = 0, 2  # color types of a PNG
_MARK = b"\x89PNG\r\n\x1a\n"


def ending_of_original(data: bytes, header: Header) -> str | None:
    """``jpg`` or ``png`` if the file is an upright JPEG or PNG of 8-bit gray or RGB; ``None`` if it is to be decoded.

    Whether a JPEG is whole is for decoding it to say.
    """
    if header.orientation != 1 or header.mode not in _MODES or (header.as_rgb and header.mode == "L"):
        return None
    if header.format in ("JPEG", "MPO"):
        return "jpg"
    return "png" if header.format == "PNG" and _is_plain_png(data) else None


def _is_plain_png(data: bytes) -> bool:
    """Whether a PNG is one picture of 8 bits without transparency, and each of its chunks has its checksum.

    OpenCV forgives damage that other readers do not.
    """
    if data[: len(_MARK)] != _MARK or data[24] != 8 or data[25] not in (_GRAY, _RGB):
        return False
    place = len(_MARK)
    while place + 12 <= len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        end = place + 12 + size
        if end > len(data) or name in (b"tRNS", b"acTL"):
            return False
        if zlib.crc32(memoryview(data)[place + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            return False
        if name == b"IEND":
            return True
        place = end
    return False
