"""A temporary local copy of a text that is read at random but lies in an archive or on a server.

A COCO JSON is mapped into memory, and workers read ranges of it. In a zip it is deflated, and on a server each range
would be a request. The copy is made once and removed when its process ends.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path

from augpipe.core.errors import DatasetError, Reject
from augpipe.storage import remote
from augpipe.storage.byte_range import LARGEST_FILE, ByteRange, bytes_of, start_in_zip
from augpipe.storage.fs import place_of, size_of
from augpipe.storage.tree import AnyPath, ArchivePath, Tree

LARGEST_TEXT = 1 << 33
_LARGEST_RATIO = 300
"""How much a JSON may shrink in a zip; real ones shrink 5 to 50 times, a bomb 1,000 times."""
_CHUNK = 1 << 20
_made: weakref.WeakKeyDictionary[Tree, dict[str, Path]] = weakref.WeakKeyDictionary()


def spooled(where: AnyPath) -> Path:
    """A local file with the text of ``where``: itself, if it is one.

    Raises:
        DatasetError: it is larger than any such text, damaged, or there is no room for it.
        OSError: it cannot be read.
    """
    if not isinstance(where, ArchivePath):
        return where
    made = _made.setdefault(where.tree, {})
    if where.path not in made:
        made[where.path] = _written(where)
    return made[where.path]


def copied(data: bytes) -> Path:
    """A temporary local file of some bytes, which lie in another file in a form that cannot be read at random.

    Raises:
        DatasetError: there is no room for it.
    """
    folder = _folder_of_copies(os.getpid())
    if len(data) > shutil.disk_usage(folder).free:
        raise DatasetError(f"{folder}: no room for {len(data) >> 20:,} MiB more; set TMPDIR to a place with more")
    number, path = tempfile.mkstemp(dir=folder)
    with open(number, "wb") as file:
        file.write(data)
    return Path(path)


@functools.cache
def _folder_of_copies(process: int) -> str:
    folder = tempfile.mkdtemp(prefix="augpipe-copies-")
    atexit.register(_remove, process, folder)
    return folder


def end_of(where: AnyPath, most: int) -> bytes:
    """The last bytes of a text, none if it is not there; OSError if it cannot be read."""
    size = size_of(where)
    if size <= 0:
        return b""
    place = place_of(where)
    if isinstance(where, ArchivePath) and (place.packed is not None or remote.is_url(place.path)):
        place = ByteRange(str(spooled(where)))
    return bytes_of(place._replace(offset=place.offset + max(0, size - most), size=min(size, most)))


def _written(where: ArchivePath) -> Path:
    place, size = place_of(where), where.tree.size(where.path)
    shrunk = size if place.packed is None else max(1, place.packed.size)
    if size > LARGEST_TEXT or (size > LARGEST_FILE and size > shrunk * _LARGEST_RATIO):
        raise DatasetError(f"{where}: {size >> 20:,} MiB in {shrunk >> 20:,}; expected no JSON of that size")
    folder = tempfile.mkdtemp(prefix="augpipe-text-")
    atexit.register(_remove, os.getpid(), folder)
    if size > shutil.disk_usage(folder).free:
        raise DatasetError(
            f"{where}: {size >> 20:,} MiB, for which {folder} has no room; set TMPDIR to a place with more"
        )
    path = Path(folder) / os.path.basename(where.path)
    written = 0
    with open(path, "wb") as file:
        for chunk in _chunks(where, place, size):
            written += file.write(chunk)
            if written > (size or LARGEST_TEXT):
                break
    if size and written != size:
        raise DatasetError(f"{where}: damaged in its archive, or cut on its way; copy it again")
    return path


def _remove(process: int, folder: str) -> None:
    if os.getpid() == process:  # not a forked child
        shutil.rmtree(folder, ignore_errors=True)


def _chunks(where: ArchivePath, place: ByteRange, size: int) -> Iterator[bytes]:
    try:
        if place.packed is None:
            if remote.is_url(place.path):
                yield from remote.streamed(place.path, place.offset, size, place.version)
                return
            with open(place.path, "rb") as file:
                file.seek(place.offset)
                left = place.size
                while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
            return
        yield from _inflated(place, size)
    except (Reject, zlib.error) as error:
        raise DatasetError(f"{where}: damaged in its archive: {error}; copy it again") from error


def _inflated(place: ByteRange, size: int) -> Iterator[bytes]:
    packed = place.packed
    if packed is None:
        return
    start = start_in_zip(place)
    inflate = zlib.decompressobj(-zlib.MAX_WBITS) if packed.deflated else None
    crc, at, end = 0, start, start + packed.size
    while at < end:
        part = bytes_of(place._replace(offset=at, size=min(_CHUNK, end - at), packed=None))
        if not part:
            return
        at += len(part)
        while part:
            chunk = part if inflate is None else inflate.decompress(part, _CHUNK)
            part = b"" if inflate is None else inflate.unconsumed_tail
            crc = zlib.crc32(chunk, crc)
            size -= len(chunk)
            if size < 0:
                raise Reject("read", "bad-archive", "it holds more than its directory says")
            yield chunk
    if crc != packed.crc:
        raise Reject("read", "bad-archive", "its checksum is wrong")
