"""Whether a JPEG 2000 has all its tiles; OpenJPEG leaves missing ones black without an error.

Source: ISO/IEC 15444-1, annex A: SIZ (A.5.1) has size and tiles, SOT (A.4.2) begins each tile-part with its length.
"""

from __future__ import annotations

import struct

_START = b"\xff\x4f\xff\x51"  # SOC and SIZ, which always comes first
_TILE_PART, _END = 0xFF90, 0xFFD9


def is_whole(data: bytes) -> bool:
    """Whether every tile that the header announces begins in the file, a bare codestream or one in boxes."""
    start = data.find(_START)
    try:
        wide, high, left, top, across, down, from_left, from_top = struct.unpack_from(">8I", data, start + 8)
        tiles = -(-(wide - from_left) // across) * -(-(high - from_top) // down)
        found, place = set[int](), start + 4 + struct.unpack_from(">H", data, start + 4)[0]
        while place + 2 <= len(data) and (marker := struct.unpack_from(">H", data, place)[0]) != _END:
            length = struct.unpack_from(">H", data, place + 2)[0] + 2
            if marker == _TILE_PART:
                tile, length = struct.unpack_from(">HI", data, place + 4)
                found.add(tile)
                if length == 0:  # the last one: up to the end
                    break
            place += length
    except (struct.error, ZeroDivisionError):
        return False
    return start >= 0 and left < wide and top < high and len(found) >= tiles
