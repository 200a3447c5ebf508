"""A file on a server as one that can be sought in, for what reads the directory of an archive."""

from __future__ import annotations

import errno
import io
import os

from augpipe.sources import remote


class Ranges(io.RawIOBase):
    """Reads parts of a URL as they are asked for; put a buffer of a megabyte or so before it.

    ``failure`` is what a read has raised, which not every user of a file lets through.

    Raises:
        OSError: there is no such file, or the server does not say its size or does not send parts.
    """

    def __init__(self, url: str) -> None:
        self._url, self._at = url, 0
        self.failure: OSError | None = None
        self._size = remote.size_of(url)
        if self._size < 0:
            raise FileNotFoundError(errno.ENOENT, "not found", remote.shown(url))
        if self._size == 0:
            raise OSError(errno.EOPNOTSUPP, "it is empty, or the server does not say its size", remote.shown(url))

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a byte."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, "before the beginning of the file")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill a buffer with what comes next."""
        most = min(len(buffer), self._size - self._at)
        if most <= 0:
            return 0
        try:
            data = remote.read(self._url, self._at, most, ranged=True)
            if len(data) != most:
                said = f"the server sent {len(data)} bytes where {most} were asked for"
                raise OSError(errno.EIO, said, remote.shown(self._url))
        except OSError as error:
            self.failure = error
            raise
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
