"""What the markers of a JPEG 2000 say: its depth, and whether it has all its tiles, which OpenJPEG else leaves black.

Source: ISO/IEC 15444-1, annex A: SIZ (A.5.1) has size and tiles, SOT (A.4.2) begins each tile-part with its length,
COD (A.6.1) names the transform.
"""

from __future__ import annotations

import struct

_START = b"\xff\x4f\xff\x51"  # SOC and SIZ, which always comes first
_TILE_PART, _END, _CODING = 0xFF90, 0xFFD9, 0xFF52
_COMPONENTS = 40  # from SOC on: their number; then three bytes each, of which the first is the depth less one
_TRANSFORM = 13  # from COD on; 1 is the reversible 5-3


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


def depth_of(data: bytes) -> int:
    """Bits of the deepest component, 8 or more; 8 if nothing tells."""
    start = data.find(_START)
    try:
        count = struct.unpack_from(">H", data, start + _COMPONENTS)[0] if start >= 0 else 0
        depths = [(data[start + _COMPONENTS + 2 + 3 * i] & 0x7F) + 1 for i in range(count)]
        return max(depths, default=8)
    except (struct.error, IndexError):
        return 8


def is_reversible(data: bytes) -> bool:
    """Whether the main header names the transform that loses nothing."""
    place = data.find(_START) + 2
    try:
        while place > 1 and (marker := struct.unpack_from(">H", data, place)[0]) not in (_TILE_PART, _END):
            if marker == _CODING:
                return data[place + _TRANSFORM] == 1
            place += struct.unpack_from(">H", data, place + 2)[0] + 2
    except (struct.error, IndexError):
        return False
    return False
