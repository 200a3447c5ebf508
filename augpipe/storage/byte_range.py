"""Some bytes and how to get them: a file, a part of one, a deflated part, a URL or a part of what is there.

A place holds all that is needed to read it, so it may be sent to any process. Every read is bounded beforehand.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from augpipe.core.errors import Reject, one_line
from augpipe.storage import remote

LARGEST_FILE = 1 << 28
"""Bytes of a file, or of a tar's member, that is read at all; a file may be a hole of any size."""
_ABSENT = (errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO)
_ZIP_HEADER = struct.Struct("<4s22xHH")  # of a member: its mark, then lengths of the name and of what else there is
_USUAL_NAMES = 512
_MOST_OPEN = 16
_GAP, _TOGETHER = 512, 1 << 20  # bytes between neighbours, and of all that are read at once
_PLAIN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # to open a pipe must not wait


class ZipMember(NamedTuple):
    """How a member lies in its zip: behind a header of its own, as so many bytes, with a checksum of what they hold."""

    deflated: bool
    size: int
    crc: int


class ByteRange(NamedTuple):
    """Some bytes of a file or URL: all of it, or ``size`` bytes from ``offset`` on.

    ``name`` says in messages what that is where it is no file of its own. Of a zip's member ``offset`` is that of its
    header, and ``size`` that of its content.
    """

    path: str
    offset: int = 0
    size: int = -1
    name: str = ""
    packed: ZipMember | None = None


def name_of(place: ByteRange) -> str:
    """What messages and rows call it; no local folder is in it, as they go into records."""
    return place.name or one_line(os.path.basename(place.path))


def is_file(place: ByteRange) -> bool:
    """Whether a place is a local file and all of it, so that it can be linked to."""
    return place.size < 0 and not remote.is_url(place.path)


def read_place(place: ByteRange) -> bytes:
    """The bytes of a place.

    Raises:
        Reject: ``missing-file`` if it is not there, ``truncated`` if it ends too early, ``too-large``, ``bad-archive``
            if a zip holds something else there, or ``io``, transient, if the system or server cannot read it.
    """
    if place.size > LARGEST_FILE:
        raise _too_large(name_of(place), place.size)
    try:
        if place.packed is not None:
            return _unpacked(place, place.packed, name_of(place), place.size)
        data = _bytes(place, place.offset, place.size)
    except OSError as error:
        raise _refused(error, name_of(place)) from error
    if place.size >= 0 and len(data) != place.size:
        raise Reject("read", "truncated", f"{name_of(place)}: ends before byte {place.offset + place.size}")
    return data


def read_ranges(path: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """The bytes of several (offset, size) of one local file, which is opened once; neighbours are read together.

    Raises:
        Reject: as :func:`read_place`.
    """
    name, out = one_line(os.path.basename(path)), list[bytes]()
    try:
        with _opened(path) as number:
            for start, size, group in _neighbours(ranges):
                if size > LARGEST_FILE:
                    raise _too_large(name, size)
                block = _up_to(number, start, size)
                out += [block[offset - start : offset - start + length] for offset, length in group]
    except OSError as error:
        raise _refused(error, name) from error
    for (offset, size), data in zip(ranges, out, strict=True):
        if len(data) != size:
            raise Reject("read", "truncated", f"{name}: ends before byte {offset + size}")
    return out


_open: ContextVar[dict[str, int] | None] = ContextVar("open", default=None)


@contextmanager
def kept_open() -> Iterator[None]:
    """Within this context files that ranges are read of stay open: for a hundred pictures of one JSON, say."""
    numbers: dict[str, int] = {}
    token = _open.set(numbers)
    try:
        yield
    finally:
        _open.reset(token)
        for number in numbers.values():
            os.close(number)


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """A file's descriptor. Raises OSError if it is none."""
    numbers = _open.get()
    if numbers is not None and path in numbers:
        yield numbers[path]
        return
    number = os.open(path, _PLAIN)
    kept = False
    try:
        _require_file(number)
        if kept := numbers is not None and len(numbers) < _MOST_OPEN:
            numbers[path] = number
        yield number
    finally:
        if not kept:
            os.close(number)


def _neighbours(ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, Sequence[tuple[int, int]]]]:
    """(start, size, ranges) of what is read at once: ranges that follow one another with little between."""
    first = 0
    for i, (offset, _) in enumerate(ranges):
        start, end = ranges[first][0], sum(ranges[i - 1]) if i else 0
        if i > first and not (end <= offset <= end + _GAP and end - start < _TOGETHER):
            yield start, end - start, ranges[first:i]
            first = i
    if ranges:
        yield ranges[first][0], sum(ranges[-1]) - ranges[first][0], ranges[first:]


def head_of(place: ByteRange, most: int) -> bytes:
    """The first ``most`` bytes of a place, or all if there are fewer.

    Raises:
        Reject: as :func:`read_place`, but of what is not there at its end nothing is known.
    """
    size = most if place.size < 0 else min(most, place.size)
    try:
        if place.packed is not None:
            return _unpacked(place, place.packed, name_of(place), size)
        return _bytes(place, place.offset, size)
    except OSError as error:
        raise _refused(error, name_of(place)) from error


def bytes_of(place: ByteRange) -> bytes:
    """The bytes of a place while a source is indexed; none if it is not there, which its reader then rejects.

    Raises:
        OSError: the system cannot read it. Then nothing is known of its classes, and the run would be one of another
            source than when it can be read again.
    """
    try:
        return read_place(place)
    except Reject as reject:
        cause = reject.__cause__
        if isinstance(cause, OSError) and not is_absent(cause):
            raise OSError(cause.errno, cause.strerror, place.path) from None  # reading names no file
        return b""


def is_absent(error: OSError) -> bool:
    """Whether there is no such file, or can be none; anything else that the system says is no answer."""
    return isinstance(error, FileNotFoundError) or error.errno in _ABSENT


def regular_file(path: str, flags: int) -> int:
    """An opener for :func:`open` that does not wait, as a pipe would make one do, and takes nothing but a file."""
    number = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise FileNotFoundError
    return number


def _bytes(place: ByteRange, offset: int, size: int) -> bytes:
    """Up to ``size`` bytes of what ``place`` is in, all of them if it is negative; fewer where they end.

    Raises:
        OSError: as the system or the server has it.
        Reject: ``too-large``.
    """
    path = place.path
    if remote.is_url(path):
        data = remote.read(path, offset, size if size >= 0 else LARGEST_FILE + 1, ranged=size >= 0)
        if len(data) > LARGEST_FILE:
            raise _too_large(name_of(place), len(data))
        return data
    number = os.open(path, _PLAIN)
    try:
        there = _require_file(number)
        if size < 0 and there > LARGEST_FILE:
            raise _too_large(name_of(place), there)
        return _up_to(number, offset, there - offset if size < 0 else size)
    finally:
        os.close(number)


def _require_file(number: int) -> int:
    """The size of an open file.

    Raises:
        FileNotFoundError: it is something else, such as a pipe.
    """
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError
    return status.st_size


def _up_to(number: int, offset: int, size: int) -> bytes:
    """``size`` bytes of an open file, fewer where it ends. One call gives them nearly always."""
    data = os.pread(number, max(size, 0), offset)
    while 0 < len(data) < size and (more := os.pread(number, size - len(data), offset + len(data))):
        data += more
    return data


def _too_large(name: str, size: int) -> Reject:
    most = LARGEST_FILE >> 20
    return Reject("read", "too-large", f"{name}: {size >> 20:,} MiB; expected at most {most} for one file")


def _refused(error: OSError, name: str) -> Reject:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Reject("read", "missing-file", f"{name}: the file is not there")
    return Reject("read", "io", f"{name}: cannot be read: {error.strerror}", transient=True)


# --- zip -------------------------------------------------------------------------------------------------------------


def _unpacked(place: ByteRange, packed: ZipMember, name: str, most: int) -> bytes:
    """Up to ``most`` bytes of a zip's member; all of them are held against its checksum.

    What a stream really holds is never built beyond what the zip says of it. (PKWARE's APPNOTE, 4.3.7.)
    """
    if packed.size > LARGEST_FILE + _USUAL_NAMES:
        raise _too_large(name, packed.size)
    wanted = packed.size if most == place.size else min(packed.size, most + _USUAL_NAMES)
    data = _bytes(place, place.offset, _ZIP_HEADER.size + _USUAL_NAMES + wanted)
    if len(data) < _ZIP_HEADER.size:
        raise Reject("read", "truncated", f"{name}: its archive ends before byte {place.offset + _ZIP_HEADER.size}")
    mark, of_name, of_more = _ZIP_HEADER.unpack_from(data)
    if mark != b"PK\3\4":
        raise _bad_archive(name, f"no member begins at byte {place.offset} of its archive")
    start = _ZIP_HEADER.size + of_name + of_more
    if start + wanted > len(data) and of_name + of_more > _USUAL_NAMES:
        data, start = _bytes(place, place.offset + start, wanted), 0
    content = data[start : start + wanted]
    if len(content) < wanted:
        raise Reject("read", "truncated", f"{name}: its archive ends before byte {place.offset + start + wanted}")
    if packed.deflated:
        content = _inflated(content, most, name)
    if most < place.size:
        return content[:most]
    if len(content) != place.size or zlib.crc32(content) != packed.crc:
        raise _bad_archive(name, "its bytes in the archive are damaged (wrong size or checksum)")
    return content


def start_in_zip(place: ByteRange) -> int:
    """Where in its archive the content of a zip's member begins.

    Raises:
        Reject: no member is there.
        OSError: it cannot be read.
    """
    name = name_of(place)
    data = _bytes(place, place.offset, _ZIP_HEADER.size)
    if data[:4] != b"PK\3\4" or len(data) < _ZIP_HEADER.size:
        raise _bad_archive(name, f"no member begins at byte {place.offset} of its archive")
    _, of_name, of_more = _ZIP_HEADER.unpack_from(data)
    return place.offset + _ZIP_HEADER.size + int(of_name) + int(of_more)


def _inflated(data: bytes, most: int, name: str) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, most + 1)
    except zlib.error as error:
        raise _bad_archive(name, f"its bytes in the archive are damaged ({one_line(error)})") from error


def _bad_archive(name: str, why: str) -> Reject:
    return Reject("read", "bad-archive", f"{name}: {why}; copy the archive again")
