"""Tar members to the byte: POSIX ustar, nothing in a header that depends on the machine or the time.

``tarfile`` would do it, but pads archives to 10,240 bytes and spends longer on a header than augpipe does on a
picture's labels. Source: POSIX.1-1988 ustar interchange format, as in IEEE Std 1003.1, pax.
"""

from __future__ import annotations

BLOCK = 512
END = bytes(2 * BLOCK)

_MODE = b"0000644\0"
_NUMBER = b"0000000\0"
_BLANK_SUM = b"        "
_MOST_BYTES = 8**11


def member(name: str, data: bytes) -> bytes:
    """Header, content and padding of one regular file.

    Raises:
        ValueError: a name over 100 bytes or not ASCII, or a file of 8 GiB or more.
    """
    encoded = name.encode("ascii")
    if not 0 < len(encoded) <= 100:
        raise ValueError(f"tar member name of {len(encoded)} bytes; at most 100 fit")
    if len(data) >= _MOST_BYTES:
        raise ValueError(f"tar member of {len(data)} bytes; the format ends below 8 GiB")
    head = encoded.ljust(100, b"\0") + _MODE + _NUMBER + _NUMBER + b"%011o\0" % len(data) + b"00000000000\0"
    # The rest: kind "0", no link, magic and version, no user, no group, no device, no prefix.
    tail = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + _NUMBER + _NUMBER + bytes(167)
    checksum = b"%06o\0 " % (sum(head) + sum(_BLANK_SUM) + sum(tail))
    return head + checksum + tail + data + bytes(-len(data) % BLOCK)
