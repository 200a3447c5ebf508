"""The members of a tar in a file or at a URL; headers are read once and nothing is unpacked."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

from augpipe.core.errors import DatasetError, one_line
from augpipe.storage import remote
from augpipe.storage.byte_range import BoundedFile
from augpipe.storage.version import Version

_BLOCK = 512
_LOOKED_AT = 1 << 16
_LARGEST_HEADER = 1 << 20
_BUFFER = 1 << 20  # of a file on a server


def members_of_tar(
    path: str, remarks: list[str], left_out: Counter[str], version: Version | None = None
) -> Iterator[tuple[str, int, int]]:
    """(name, offset, size) of the regular files of a tar; ``left_out`` counts links, devices and sparse files.

    ``version`` is that of a tar on a server that all of it is read of.

    Raises:
        DatasetError: not a tar, or several behind one another.
    """
    shown = remote.shown(path) if remote.is_url(path) else path
    try:
        file = BoundedFile(path, "header", _LARGEST_HEADER, _BUFFER if remote.is_url(path) else _BLOCK, version)
        with closing(file), tarfile.open(fileobj=file, mode="r:") as tar:
            place = -1
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep every header
                if member.size < 0 or member.offset_data <= place:  # a hostile header would lead round in circles
                    raise tarfile.ReadError(f"the header at byte {member.offset} leads backwards")
                place = member.offset_data
                if member.isreg() and not member.issparse():
                    yield member.name, member.offset_data, member.size
                elif not member.isdir():
                    left_out[_kind_of(member)] += 1
            _check_end(shown, file, tar.offset, remarks)
    except OSError as error:
        if error.errno is not None and remote.is_url(path):  # the server, not the tar
            raise
        raise DatasetError(f"{shown}: not a tar that can be read: {one_line(_why(error))}") from error
    except (tarfile.TarError, ValueError, EOFError, IndexError, RecursionError, OverflowError) as error:
        raise DatasetError(f"{shown}: not a tar that can be read: {one_line(error)}") from error


def _why(error: BaseException) -> object:
    return error.strerror if isinstance(error, OSError) and error.errno is not None and error.filename else error


def _kind_of(member: tarfile.TarInfo) -> str:
    if member.issparse():
        return "sparse file"
    return "link" if member.issym() or member.islnk() else "device"


def _check_end(shown: str, file: BoundedFile, end: int, remarks: list[str]) -> None:
    """Check the blocks of zeros that end a tar: without them it may be cut short, and no reader looks behind them."""
    file.seek(end)
    tail = file.read(_LOOKED_AT)
    if not tail:
        name = shown.rpartition("/")[2]
        remarks.append(f"{name} has no end mark; if writing it was interrupted, samples are missing")
    elif len(tail) < _BLOCK or tail[:_BLOCK].strip(b"\0"):
        raise tarfile.ReadError(f"damaged at byte {end}")  # tarfile itself takes this for the end
    elif tail.strip(b"\0"):
        raise DatasetError(
            f"{shown}: another tar follows behind its end, as 'cat a.tar b.tar' makes it; give the tars one by one"
        )
