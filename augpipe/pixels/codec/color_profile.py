"""Whether a color profile says only that the picture is sRGB, which is what pictures without one are taken for.

Source: ICC.1:2022, the tags of matrix-based display profiles. A profile is read within its own bytes; what is not
understood counts as another color space.
"""

from __future__ import annotations

import struct

_PRIMARIES = {  # IEC 61966-2-1, adapted to D50
    b"rXYZ": (0.4361, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
_OFF = 0.004  # what the profiles of cameras and editors differ in, by rounding and by the way to D50
_MIDDLE = 0.2140  # linear light of sRGB's level 0.5
_MIDDLE_OFF = 0.012  # also a plain gamma of 2.2 is within it
_MOST_TAGS = 200


def is_srgb(profile: bytes) -> bool:
    """Whether a profile has the primaries and, in the middle, the curve of sRGB."""
    try:
        if profile[16:20] != b"RGB ":
            return False
        tags = _tags(profile)
        for name, expected in _PRIMARIES.items():
            found = [value / 65536 for value in struct.unpack_from(">3i", tags[name], 8)]
            if any(abs(a - b) > _OFF for a, b in zip(found, expected, strict=True)):
                return False
        return all(abs(_middle(tags[name]) - _MIDDLE) <= _MIDDLE_OFF for name in (b"rTRC", b"gTRC", b"bTRC"))
    except (struct.error, KeyError, IndexError, ValueError, OverflowError, ZeroDivisionError, TypeError):
        return False


def _tags(profile: bytes) -> dict[bytes, bytes]:
    count = min(struct.unpack_from(">I", profile, 128)[0], _MOST_TAGS)
    rows = (struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(count))
    return {name: profile[offset : offset + size] for name, offset, size in rows}


def _middle(curve: bytes) -> float:
    """Linear light 0..1 of the level 0.5."""
    if curve[:4] == b"curv":
        count = struct.unpack_from(">I", curve, 8)[0]
        if count == 0:
            return 0.5
        if count == 1:
            return float(0.5 ** (struct.unpack_from(">H", curve, 12)[0] / 256))
        place = (count - 1) / 2
        below, above = (struct.unpack_from(">H", curve, 12 + 2 * i)[0] for i in (int(place), int(place + 0.5)))
        return float(below + above) / 2 / 65535
    if curve[:4] == b"para":
        kind = struct.unpack_from(">H", curve, 8)[0]
        gamma, *rest = (value / 65536 for value in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", curve, 12))
        scale, offset = rest[:2] if rest else (1.0, 0.0)
        added = rest[2] if kind == 2 else rest[4] if kind == 4 else 0.0
        return float((scale * 0.5 + offset) ** gamma) + added
    raise ValueError("a curve of another kind")
