"""How a sample is stored: its KEY = SLUG-HASH-COPY, safe in a tar, a shell and webdataset, and its members of a tar.

``tarfile`` pads archives to 10,240 bytes and spends longer on a header than augpipe does on a picture's labels.
Source: POSIX.1-1988 ustar interchange format, as in IEEE Std 1003.1, pax. Nothing in a header depends on the machine or
the time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from augpipe.core.errors import DatasetError, one_line
from augpipe.recipe.planner import ORIGINAL

END = bytes(1024)
"""The last two blocks of a tar."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_SLUG = 60
_BLOCK = 512
_MODE, _ZERO, _BLANK_CHECKSUM = b"0000644\0", b"0000000\0", b"        "
_BEFORE_SIZE, _TIME = _MODE + _ZERO + _ZERO, b"00000000000\0"
# Kind "0", no link, magic and version, no user, no group, no device, no prefix.
_TAIL = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + _ZERO + _ZERO + bytes(167)
_SUM_OF_THE_REST = sum(_BEFORE_SIZE + _TIME + _BLANK_CHECKSUM + _TAIL)
_MOST_BYTES = 8**11


def sample_key(source_key: str, copy: int) -> str:
    """KEY of one sample; ``orig`` stands for the unchanged picture.

    >>> sample_key("cats/tom.jpg", 3)
    'tom-6e79337812-c003'
    """
    return f"{stem_of_samples(source_key)}-{'orig' if copy == ORIGINAL else f'c{copy:03d}'}"


def stem_of_samples(source_key: str) -> str:
    """SLUG-HASH of a source key, with which the KEYs of all its samples begin."""
    name = source_key.rpartition("/")[2]
    slug = _UNSAFE.sub("_", name.rpartition(".")[0] or name)[:_LONGEST_SLUG]
    return f"{slug}-{hashlib.blake2b(source_key.encode('utf-8', 'surrogateescape')).hexdigest()[:10]}"


def require_unique(source_keys: Iterable[str]) -> None:
    """Raise :class:`DatasetError` if two source keys give one KEY."""
    seen: dict[str, str] = {}
    for key in source_keys:
        stem = stem_of_samples(key)
        if stem in seen:
            raise DatasetError(f"'{one_line(seen[stem])}' and '{one_line(key)}' would get one KEY; rename one of them")
        seen[stem] = key


def tar_member(name: str, data: bytes) -> bytes:
    """Header, content and padding of one regular file.

    Raises:
        ValueError: a name over 100 bytes or not ASCII, or a file of 8 GiB or more.
    """
    encoded = name.encode("ascii")
    if not 0 < len(encoded) <= 100:
        raise ValueError(f"tar member name of {len(encoded)} bytes; at most 100 fit")
    if len(data) >= _MOST_BYTES:
        raise ValueError(f"tar member of {len(data)} bytes; the format ends below 8 GiB")
    size = b"%011o\0" % len(data)
    checksum = b"%06o\0 " % (sum(encoded) + sum(size) + _SUM_OF_THE_REST)
    padding = bytes(-len(data) % _BLOCK)
    return b"".join((encoded.ljust(100, b"\0"), _BEFORE_SIZE, size, _TIME, checksum, _TAIL, data, padding))
