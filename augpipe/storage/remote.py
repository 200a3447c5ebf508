"""Files on web servers and in buckets, through fsspec, which is imported on first use.

Connecting and each read have a time limit, a download has a size limit, and what a server fails to do is tried three
times. Whatever a library raises becomes an OSError: FileNotFoundError where the server says that there is nothing, else
a transient one. HTTP is streamed, so that no server can fill the memory.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from augpipe.core.errors import DatasetError, one_line
from augpipe.core.extras import install_command
from augpipe.storage.http_client import Elsewhere, client_options
from augpipe.storage.patience import asked_for, count
from augpipe.storage.version import NO_FILE, Version, version_of_answer, version_of_info

SCHEMES = {"http": "http", "https": "http", "s3": "s3", "gs": "gs", "gcs": "gs"}
"""Scheme of a URL → the extra that reads it."""
CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS = 10.0, 30.0, 600.0
TRIES = 3
MOST_FILES = 4_000_000
_PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 30.0
"""How long a request waits in all for a server that asks for it; well below what a worker may take for a picture."""
_PART = 1 << 24
_SMALL, _AHEAD, _MOST_WINDOWS = 1 << 16, 1 << 20, 8
_windows: dict[str, tuple[int, bytes, Version | None]] = {}
"""URL → offset, bytes and version of the last read: labels in an archive are small neighbors, one request each would be
slow."""
_GONE = (404, 410)
_HOST = re.compile(r"[^\s\x00-\x20\x7f]+$")
_T = TypeVar("_T")
_sleep = time.sleep


class Changed(OSError):
    """A file on a server is no longer the one that was looked at."""

    def __init__(self, url: str) -> None:
        super().__init__(errno.ESTALE, "it has been changed on the server meanwhile", shown(url))


def is_url(path: str) -> bool:
    """Whether a source, or the path of a place, is on a server."""
    return "://" in path


def require_known(url: str) -> None:
    """Raise :class:`DatasetError` for what is no URL, an unknown scheme, a password in it, or a missing library."""
    require_url(url)
    scheme = urlsplit(url).scheme.lower()
    if scheme not in SCHEMES:
        raise DatasetError(f"{one_line(shown(url))}: {scheme}:// is not read; known are {', '.join(SCHEMES)}")
    if "@" in urlsplit(url).netloc:
        raise DatasetError(f"{one_line(shown(url))}: a password in SRC would be written into run.json; use ~/.netrc")
    _filesystem(scheme)


def require_url(url: str) -> None:
    """Raise :class:`DatasetError` for what looks like a URL and is none."""
    try:
        parts = urlsplit(url)
        has_host = parts.hostname and parts.port != 0 and _HOST.match(parts.netloc)
        why = "" if has_host or parts.scheme not in SCHEMES else "expected a host behind ://"
    except ValueError as error:
        why = str(error)
    if why:
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        named = f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
        raise DatasetError(f"{one_line(named)}: is no URL: {one_line(why, 120)}")


def shown(url: str) -> str:
    """A URL for messages, without user, password and query, which may be a signature; paths are unchanged."""
    if not is_url(url):
        return url
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def url_of(base: str, path: str) -> str:
    """The URL of a path on a server, with characters quoted that are special on a web server."""
    if lists_folders(base):
        return base + path
    return base + path.replace("%", "%25").replace("?", "%3F").replace("#", "%23")


@functools.lru_cache(maxsize=8)
def _filesystem(scheme: str) -> Any:
    try:
        import fsspec

        return fsspec.filesystem(scheme, **_options(scheme))
    except ImportError as error:
        raise DatasetError(
            f"{scheme}:// needs a library that is not installed: {one_line(error, 120)}\n"
            f"{install_command(SCHEMES[scheme])}; then run the same command again"
        ) from error


def _options(scheme: str) -> dict[str, Any]:
    if SCHEMES[scheme] == "http":
        return {"client_kwargs": client_options(CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS)}
    if SCHEMES[scheme] == "s3":
        seconds = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS, "retries": {"max_attempts": 1}}
        return {"config_kwargs": seconds, "use_listings_cache": False}
    return {"use_listings_cache": False}


# --- asking ----------------------------------------------------------------------------------------------------------


def version_of(url: str) -> Version:
    """What the server says of a file; OSError if it fails."""
    _windows.pop(url, None)  # of what may be another version
    try:
        info = _tried(url, lambda files: files.info(url))
    except FileNotFoundError:
        return NO_FILE
    return NO_FILE if info.get("type") == "directory" else version_of_info(info)


def listed(url: str) -> dict[str, Version]:
    """Path below ``url`` → what is said of it, for all files in a folder of a bucket.

    Raises:
        OSError: the server fails.
        DatasetError: more files than an index holds.
    """
    found = _tried(url, lambda files: files.find(url, detail=True))
    if len(found) > MOST_FILES:
        raise DatasetError(f"{shown(url)}: more than {MOST_FILES:,} files; name a folder with fewer")
    base = _filesystem(urlsplit(url).scheme)._strip_protocol(url).rstrip("/") + "/"
    return _without_markers({p[len(base) :]: version_of_info(info) for p, info in found.items() if p.startswith(base)})


def _without_markers(files: dict[str, Version]) -> dict[str, Version]:
    """The files without the empty ones by which consoles and tools mark a folder: ``a/``, or ``a`` beside ``a/b``."""
    empty = {name for name, version in files.items() if not version.size}
    if not empty:
        return files
    markers = {name for name in empty if not name or name.endswith("/")}
    for name in files:
        while name := name.rpartition("/")[0]:
            if name in empty:
                markers.add(name)
    return {name: version for name, version in files.items() if name not in markers}


def lists_folders(url: str) -> bool:
    """Whether folders can be listed: in buckets, not on web servers."""
    return SCHEMES.get(urlsplit(url).scheme.lower()) != "http"


def read(url: str, offset: int, most: int, ranged: bool, version: Version | None = None) -> bytes:
    """Up to ``most`` bytes of a file from ``offset`` on, which is 0 unless ``ranged``; fewer at its end.

    Raises:
        Changed: by what the server says, it is not the ``version`` of the file that was looked at.
        OSError: it is not there, or the server does not send it.
    """
    if not ranged or most > _SMALL:
        return _fetched(url, offset, most, ranged, version)
    begin, window, of = _windows.get(url, (0, b"", version))
    if of != version or not begin <= offset <= offset + most <= begin + len(window):
        follows = 0 <= offset - (begin + len(window)) < _SMALL and len(window) > 0
        window = _fetched(url, offset, _AHEAD if follows else most, ranged, version)
        begin, _windows[url] = offset, (offset, window, version)
        while len(_windows) > _MOST_WINDOWS:
            _windows.pop(next(iter(_windows)))
    return window[offset - begin : offset - begin + most]


def _fetched(url: str, offset: int, most: int, ranged: bool, version: Version | None) -> bytes:
    if lists_folders(url):
        return _tried(url, lambda files: _of_bucket(files, url, offset, offset + most, version))
    return _tried(url, lambda files: _streamed(files, url, offset, most, ranged, version))


def _of_bucket(files: Any, url: str, start: int, end: int, version: Version | None) -> bytes:
    try:
        if version is None or not version.etag or not hasattr(files, "call_s3"):
            return bytes(files.cat_file(url, start=start, end=end))
        return _matching(files, url, start, end, version.etag)
    except Exception as error:
        answers = [_answer(e) for e in _causes(error)]
        if "PreconditionFailed" in answers:
            raise Changed(url) from error
        if "InvalidRange" in answers or 416 in answers:
            return b""  # the range begins behind the end
        raise


def _matching(files: Any, url: str, start: int, end: int, etag: str) -> bytes:
    """A part of a file on S3 if it has that ETag still, which fsspec itself cannot ask for."""
    from fsspec.asyn import sync

    bucket, key, _ = files.split_path(url)
    answer = files.call_s3("get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}", IfMatch=etag)
    try:
        return bytes(sync(files.loop, answer["Body"].read))
    finally:
        answer["Body"].close()


def _answer(error: BaseException) -> object:
    """The answer of a bucket's server in an error of its library: a name (S3) or a number (Google)."""
    response = getattr(error, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else getattr(error, "code", None)


def streamed(url: str, offset: int, size: int, version: Version | None) -> Iterator[bytes]:
    """``size`` bytes of a file in chunks; all of it from a web server that does not say how many there are.

    Raises:
        OSError: as :func:`read`.
    """
    if lists_folders(url) or offset:
        for at in range(offset, offset + size, _PART):
            yield read(url, at, min(_PART, offset + size - at), ranged=True, version=version)
        return
    with contextlib.closing(_tried(url, lambda files: files.open(url, block_size=0, size=1))) as stream:
        _require_same(url, stream, version)
        try:
            while chunk := stream.read(1 << 20):
                yield chunk
        except Exception as error:  # as in _tried
            raise _failure(error, url) from error


def _require_same(url: str, stream: Any, version: Version | None) -> None:
    if version is not None and version.differs(version_of_answer(stream.r.status, stream.r.headers)):
        raise Changed(url)


def _streamed(files: Any, url: str, offset: int, most: int, ranged: bool, version: Version | None) -> bytes:
    headers = {"Range": f"bytes={offset}-{offset + most - 1}"} if ranged else {}
    if ranged and most == 0:
        return b""
    # With a block size of 0 fsspec asks nothing beforehand and streams; it does not use the size then.
    with contextlib.closing(files.open(url, block_size=0, size=1, headers=headers)) as stream:
        status = stream.r.status
        if status == 416:  # the range begins behind the end
            return b""
        _require_same(url, stream, version)
        if ranged and status != 206 and offset:
            raise OSError(
                errno.EOPNOTSUPP, "the server does not send parts of files (no byte ranges); download it", shown(url)
            )
        out = bytearray()
        while len(out) < most and (chunk := stream.read(min(1 << 20, most - len(out)))):
            out += chunk
        return bytes(out)


# --- failures --------------------------------------------------------------------------------------------------------


def _tried(url: str, call: Callable[[Any], _T]) -> _T:
    """The result of a call, tried again after a transient failure; OSError if it fails."""
    files = _filesystem(urlsplit(url).scheme.lower())
    tries, patience = 0, PATIENCE_SECONDS
    while True:
        try:
            return call(files)
        except (DatasetError, Changed):
            raise
        except Exception as error:  # each library has errors of its own
            failure = _failure(error, url)
            asked = asked_for(_causes(error))
            if asked is not None:
                pause = max(asked, _PAUSE_SECONDS)
                if pause > patience:
                    raise _impatient(failure, asked, url) from error
                patience -= pause
                count(pause)
            else:
                tries += 1
                if tries == TRIES or not _may_pass(failure):
                    raise failure from error
                pause = _PAUSE_SECONDS * tries
            _sleep(pause)


def _impatient(failure: OSError, seconds: float, url: str) -> OSError:
    wait = f"{seconds:,.0f} s" if seconds < 1e6 else "very long"
    why = f"{failure.strerror} and asks to wait {wait}; run the same command again after that"
    return OSError(errno.EAGAIN, why, shown(url))


def _may_pass(failure: OSError) -> bool:
    return not isinstance(failure, (FileNotFoundError, PermissionError)) and failure.errno != errno.EOPNOTSUPP


def _failure(error: BaseException, url: str) -> OSError:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, Elsewhere):
            return PermissionError(errno.EACCES, str(cause), shown(url))
        if type(cause).__name__ == "TooManyRedirects":
            return PermissionError(errno.EACCES, "the server sends it round in a circle", shown(url))
    statuses = [s for e in causes if isinstance(s := getattr(e, "status", None), int)]
    if statuses:  # HTTP: fsspec calls everything "not found"
        if statuses[0] in _GONE:
            return FileNotFoundError(errno.ENOENT, "not found", shown(url))
        if statuses[0] in (401, 403):
            return PermissionError(errno.EACCES, f"the server refuses it ({statuses[0]})", shown(url))
        return OSError(errno.EIO, f"the server answers {statuses[0]}", shown(url))
    import asyncio  # slow to import

    if any(isinstance(e, (asyncio.TimeoutError, TimeoutError)) for e in causes):
        return TimeoutError(errno.ETIMEDOUT, "the server does not answer in time", shown(url))
    if isinstance(error, FileNotFoundError) and (len(causes) == 1 or lists_folders(url)):
        return FileNotFoundError(errno.ENOENT, "not found", shown(url))
    if isinstance(error, PermissionError):
        return PermissionError(errno.EACCES, f"the server refuses it ({one_line(error, 120)})", shown(url))
    if isinstance(error, OSError) and error.errno == errno.EOPNOTSUPP:
        return error
    if any(type(e).__name__ == "ClientPayloadError" for e in causes):
        return OSError(errno.EIO, "the server breaks off", shown(url))
    last = causes[-1]
    return OSError(errno.EIO, f"{one_line(last, 160) or type(last).__name__}", shown(url))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


class Ranges(io.RawIOBase):
    """A URL as a file that can be sought in, to read the directory of an archive; put a buffer before it.

    ``failure`` is the error of a read, which not every user of a file lets through.

    Raises:
        OSError: there is no such file, or the server does not say its size or does not send parts.
    """

    def __init__(self, url: str, version: Version | None = None) -> None:
        self._url, self._at = url, 0
        self.failure: OSError | None = None
        self._version = version or version_of(url)
        self._size = self._version.size
        if self._size < 0:
            raise FileNotFoundError(errno.ENOENT, "not found", shown(url))
        if self._size == 0:
            raise OSError(errno.EOPNOTSUPP, "it is empty, or the server does not say its size", shown(url))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, "before the beginning of the file")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        most = min(len(buffer), self._size - self._at)
        if most <= 0:
            return 0
        try:
            data = read(self._url, self._at, most, ranged=True, version=self._version)
            if len(data) != most:
                said = f"the server sent {len(data)} bytes where {most} were asked for"
                raise OSError(errno.EIO, said, shown(self._url))
        except OSError as error:
            self.failure = error
            raise
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
