"""The bytes of a JSON in memory, whatever becomes of its file meanwhile, and the encodings that are none of JSON's."""

from __future__ import annotations

import codecs
import mmap
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from augpipe.core.errors import DatasetError
from augpipe.storage.byte_range import regular_file
from augpipe.storage.tree import AnyPath

MARK = codecs.BOM_UTF8
"""What Windows puts before UTF-8."""

_IN_MEMORY = 2 << 30
_AT_ONCE = 1 << 20


@contextmanager
def held(path: Path) -> Iterator[mmap.mmap]:
    """The bytes of a file in memory of our own.

    A map of the file itself would end the process (SIGBUS) if somebody cuts the file meanwhile. A file that is too
    large to be read into memory is copied to a temporary one that has no name.

    Raises:
        OSError: it cannot be read, or there is no room for its copy.
        ValueError: it was cut while it was read.
    """
    with open(path, "rb", opener=regular_file) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _IN_MEMORY:
            mapped = mmap.mmap(-1, max(size, 1))
            read = file.readinto(mapped)
        else:
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(file, copy, _AT_ONCE)
                copy.flush()
                read = os.fstat(copy.fileno()).st_size
                mapped = mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ)
    if read != size:
        raise ValueError(f"{read:,} of {size:,} bytes were there: it was changed while it was read; run it again")
    try:
        yield mapped
    finally:
        with suppress(BufferError):  # an error's traceback may still look into it; then it closes with the traceback
            mapped.close()


def text_of(mapped: mmap.mmap | bytes) -> memoryview:
    """The text without a mark before it."""
    return memoryview(mapped)[len(MARK) if mapped[: len(MARK)] == MARK else 0 :]


def require_utf8(path: AnyPath, mapped: mmap.mmap) -> None:
    """Raise :class:`DatasetError`, with the way out, for the encodings that tools of Windows write beside UTF-8."""
    if encoding := encoding_of(mapped[:4]):
        way = f"iconv -f {encoding} -t UTF-8 {shlex.quote(str(path))} > utf8.json"
        raise DatasetError(f"{path}: is {encoding}, and JSON is UTF-8; save it as that: {way}")


def encoding_of(head: bytes) -> str:
    """UTF-16 or UTF-32 by a byte order mark, or UTF-16 by the zero beside its first brace; empty for anything else."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    return {b"{\0": "UTF-16LE", b"\0{": "UTF-16BE"}.get(head[:2], "")
