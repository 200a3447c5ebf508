"""Byte ranges of files and URLs, also deflated ones, and how to read them.

A byte range holds all that is needed to read it, so any process can. Every read is bounded beforehand.
"""

from __future__ import annotations

import errno
import io
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
from augpipe.storage.version import Version

LARGEST_FILE = 1 << 28
"""The most bytes that are read of a file or member."""
_ABSENT = (errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO)
_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
_ZIP_HEADER = struct.Struct("<4s22xHH")  # of a member: its magic, then lengths of its name and extra field
_USUAL_NAMES = 512
_MOST_OPEN = 16
_GAP, _TOGETHER = 512, 1 << 20  # bytes between neighbours, and of all that are read at once
_PLAIN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # opening a pipe must not wait


class ZipMember(NamedTuple):
    """How a member is stored in its zip, behind a header of its own: stored size, and the CRC of its content."""

    deflated: bool
    size: int
    crc: int


class ByteRange(NamedTuple):
    """All of a file or URL, or ``size`` bytes from ``offset`` on.

    ``name`` is for messages, if it is no file of its own. For a member of a zip, ``offset`` is that of its header and
    ``size`` that of its content. ``version`` is that of the file on a server that was looked at.
    """

    path: str
    offset: int = 0
    size: int = -1
    name: str = ""
    packed: ZipMember | None = None
    version: Version | None = None


def name_of(place: ByteRange) -> str:
    """The name for messages and rows, without local folders."""
    return place.name or one_line(os.path.basename(place.path))


def is_file(place: ByteRange) -> bool:
    """Whether a byte range is a whole local file, which can be linked to."""
    return place.size < 0 and not remote.is_url(place.path)


def read_place(place: ByteRange) -> bytes:
    """The bytes of a byte range.

    Raises:
        Reject: ``missing-file``, ``truncated``, ``too-large``, ``bad-archive`` if a zip holds something else there, or
            ``io``, transient, if the system or server cannot read it, ``changed``, transient, if it is another one
            on the server now.
    """
    if place.size > LARGEST_FILE:
        raise _too_large(name_of(place), place.size)
    try:
        if place.packed is not None:
            return _unpacked(place, place.packed, name_of(place), place.size)
        data = _bytes(place, place.offset, place.size)
    except OSError as error:
        raise _refused(error, place) from error
    if place.size >= 0 and len(data) != place.size:
        raise Reject("read", "truncated", f"{name_of(place)}: ends before byte {place.offset + place.size}")
    return data


def read_ranges(path: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """The bytes of several (offset, size) of one local file, read together where they are neighbors.

    Raises:
        Reject: as :func:`read_place`.
    """
    name, out = one_line(os.path.basename(path)), list[bytes]()
    try:
        with _opened(path) as number:
            for start, size, group in _neighbors(ranges):
                if size > LARGEST_FILE:
                    raise _too_large(name, size)
                block = _up_to(number, start, size)
                out += [block[offset - start : offset - start + length] for offset, length in group]
    except OSError as error:
        raise _refused(error, ByteRange(path)) from error
    for (offset, size), data in zip(ranges, out, strict=True):
        if len(data) != size:
            raise Reject("read", "truncated", f"{name}: ends before byte {offset + size}")
    return out


_open: ContextVar[dict[str, int] | None] = ContextVar("open", default=None)


@contextmanager
def kept_open() -> Iterator[None]:
    """A context in which files that :func:`read_ranges` reads stay open."""
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
    """The descriptor of a file; OSError if it is none."""
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


def _neighbors(ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, Sequence[tuple[int, int]]]]:
    """(start, size, ranges) of groups of ranges with little between them, to be read at once."""
    first = 0
    for i, (offset, _) in enumerate(ranges):
        start, end = ranges[first][0], sum(ranges[i - 1]) if i else 0
        if i > first and not (end <= offset <= end + _GAP and end - start < _TOGETHER):
            yield start, end - start, ranges[first:i]
            first = i
    if ranges:
        yield ranges[first][0], sum(ranges[-1]) - ranges[first][0], ranges[first:]


def head_of(place: ByteRange, most: int) -> bytes:
    """The first ``most`` bytes of a byte range, or all if there are fewer.

    Raises:
        Reject: as :func:`read_place`, but not ``truncated``.
    """
    size = most if place.size < 0 else min(most, place.size)
    try:
        if place.packed is not None:
            return _unpacked(place, place.packed, name_of(place), size)
        return _bytes(place, place.offset, size)
    except OSError as error:
        raise _refused(error, place) from error


def bytes_of(place: ByteRange) -> bytes:
    """The bytes of a byte range while a source is indexed; none if it is not there, which its reader then rejects.

    Raises:
        OSError: the system cannot read it. Going on would index another source than when it can be read again.
    """
    try:
        return read_place(place)
    except Reject as reject:
        cause = reject.__cause__
        if isinstance(cause, OSError) and not is_absent(cause):
            raise OSError(cause.errno, cause.strerror, place.path) from None  # reading names no file
        return b""


def is_absent(error: OSError) -> bool:
    """Whether an error means that there is no such file, or can be none."""
    return isinstance(error, FileNotFoundError) or error.errno in _ABSENT


def regular_file(path: str, flags: int) -> int:
    """An opener for :func:`open` that takes only regular files, and does not wait for a pipe."""
    number = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise FileNotFoundError(errno.ENOENT, "it is no regular file", path)
    return number


class BoundedFile(io.BufferedReader):
    """A file or URL of which a ``part`` has at most ``most`` bytes: a hostile archive may claim any size."""

    def __init__(self, path: str, part: str, most: int, buffer: int, version: Version | None = None) -> None:
        there = remote.Ranges(path, version) if remote.is_url(path) else io.FileIO(path, opener=regular_file)
        super().__init__(there, buffer)
        self._part, self._most = part, most

    def read(self, size: int | None = None, /) -> bytes:
        if size is not None and not 0 <= size <= self._most:
            raise ValueError(f"a {self._part} of {size} bytes")
        return super().read(size)


def _bytes(place: ByteRange, offset: int, size: int) -> bytes:
    """Up to ``size`` bytes of the file or URL of a place, all if negative; fewer at its end.

    Raises:
        OSError: the system or the server cannot read it.
        Reject: ``too-large``.
    """
    path = place.path
    if remote.is_url(path):
        most = size if size >= 0 else LARGEST_FILE + 1
        data = remote.read(path, offset, most, ranged=size >= 0, version=place.version)
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
    """The size of an open file; FileNotFoundError if it is something else, such as a pipe."""
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError
    return status.st_size


def _up_to(number: int, offset: int, size: int) -> bytes:
    """``size`` bytes of an open file, fewer at its end; nearly always one call."""
    data = os.pread(number, max(size, 0), offset)
    while 0 < len(data) < size and (more := os.pread(number, size - len(data), offset + len(data))):
        data += more
    return data


def _too_large(name: str, size: int) -> Reject:
    most = LARGEST_FILE >> 20
    return Reject("read", "too-large", f"{name}: {size >> 20:,} MiB; expected at most {most} for one file")


def kind_of(path: str) -> str | None:
    """What a path leads to if that is no file, for messages; ``None`` if it is a file, or nothing is there."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return "a link that leads to itself" if error.errno == errno.ELOOP else None
    except ValueError:
        return None
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "a device")


def _refused(error: OSError, place: ByteRange) -> Reject:
    name = name_of(place)
    if is_absent(error):
        kind = None if remote.is_url(place.path) else kind_of(place.path)
        why = "the file is not there" if kind is None else f"is {kind}, expected a file"
        return Reject("read", "missing-file", f"{name}: {why}")
    if isinstance(error, remote.Changed):
        return Reject("read", "changed", f"{name}: {error.strerror}", transient=True)
    return Reject("read", "io", f"{name}: cannot be read: {error.strerror}", transient=True)


# --- zip -------------------------------------------------------------------------------------------------------------


def _unpacked(place: ByteRange, packed: ZipMember, name: str, most: int) -> bytes:
    """Up to ``most`` bytes of a member of a zip; if that is all of them, their checksum is compared.

    A stream is never inflated beyond the size that the zip states. Source: PKWARE's APPNOTE, 4.3.7.
    """
    if packed.size > LARGEST_FILE + _USUAL_NAMES:
        raise _too_large(name, packed.size)
    wanted = packed.size if most == place.size else min(packed.size, most + _USUAL_NAMES)
    data = _bytes(place, place.offset, _ZIP_HEADER.size + _USUAL_NAMES + wanted)
    start = _header_size(data, place, name)
    if start + wanted > len(data) and start - _ZIP_HEADER.size > _USUAL_NAMES:
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
    """The offset in its archive of the content of a zip's member; Reject if no member is there."""
    return place.offset + _header_size(_bytes(place, place.offset, _ZIP_HEADER.size), place, name_of(place))


def _header_size(data: bytes, place: ByteRange, name: str) -> int:
    """The size of the header of a zip's member that begins with ``data``."""
    if len(data) < _ZIP_HEADER.size:
        raise Reject("read", "truncated", f"{name}: its archive ends before byte {place.offset + _ZIP_HEADER.size}")
    magic, of_name, of_extra = _ZIP_HEADER.unpack_from(data)
    if magic != b"PK\3\4":
        raise _bad_archive(name, f"no member begins at byte {place.offset} of its archive")
    return _ZIP_HEADER.size + int(of_name) + int(of_extra)


def _inflated(data: bytes, most: int, name: str) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, most + 1)
    except zlib.error as error:
        raise _bad_archive(name, f"its bytes in the archive are damaged ({one_line(error)})") from error


def _bad_archive(name: str, why: str) -> Reject:
    return Reject("read", "bad-archive", f"{name}: {why}; copy the archive again")
