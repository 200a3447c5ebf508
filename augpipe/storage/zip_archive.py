"""The members of a zip in a file or at a URL; its directory is read once and nothing is unpacked.

Python's zipfile reads the directory. What it leaves open is refused here: members that overlap, as in bombs, passwords,
and rare compression methods.
"""

from __future__ import annotations

import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing

from augpipe.core.errors import DatasetError, one_line
from augpipe.storage import remote
from augpipe.storage.byte_range import BoundedFile, ZipMember
from augpipe.storage.remote import Ranges
from augpipe.storage.version import Version

_HEADER = 30  # bytes of a member's own header, without its name
_LARGEST_DIRECTORY = 1 << 29
_BUFFER = 1 << 18
_LONGEST_NAME = 4096
_ENCRYPTED, _UTF8 = 0x1, 0x800
_WAYS = {zipfile.ZIP_STORED: False, zipfile.ZIP_DEFLATED: True}


def members_of_zip(
    path: str, left_out: Counter[str], version: Version | None = None
) -> Iterator[tuple[str, int, int, ZipMember]]:
    """(name, offset of its header, size, how it is stored) of the files of a zip; ``left_out`` counts links.

    ``version`` is that of a zip on a server that all of it is read of.

    Raises:
        DatasetError: not a zip, or one that is refused.
    """
    shown = remote.shown(path) if remote.is_url(path) else path
    for info in _checked(shown, _directory(path, shown, version)):
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir():
            continue
        if kind not in (0, stat.S_IFREG):
            left_out["link" if kind == stat.S_IFLNK else "device"] += 1
            continue
        packed = ZipMember(_WAYS[info.compress_type], info.compress_size, info.CRC)
        yield _name_of(info), info.header_offset, info.file_size, packed


def _directory(path: str, shown: str, version: Version | None) -> list[zipfile.ZipInfo]:
    file = BoundedFile(path, "directory", _LARGEST_DIRECTORY, _BUFFER, version)
    try:
        with closing(file), zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OverflowError, RecursionError) as error:
        if isinstance(file.raw, Ranges) and file.raw.failure is not None:
            raise file.raw.failure from error
        raise DatasetError(f"{shown}: not a zip that can be read: {one_line(error)}; copy it again") from error


def _checked(shown: str, infos: list[zipfile.ZipInfo]) -> Sequence[zipfile.ZipInfo]:
    """The members in the order of their bytes. Raises DatasetError for the first that cannot be read."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    end, before = 0, ""
    for info in ordered:
        name = one_line(info.filename, 120)
        if info.flag_bits & _ENCRYPTED:
            raise DatasetError(f"{shown}: '{name}' is encrypted; unpack the zip with its password and give the folder")
        if info.compress_type not in _WAYS and not info.is_dir():
            way = zipfile.compressor_names.get(info.compress_type, str(info.compress_type))  # type: ignore[attr-defined]
            raise DatasetError(f"{shown}: '{name}' is packed with {way}; unpack it, or pack it with plain 'zip -r'")
        if "\0" in info.orig_filename or len(info.filename) > _LONGEST_NAME:
            raise DatasetError(f"{shown}: not a zip that can be read: '{name}' is no name; copy it again")
        if info.header_offset < end:
            raise DatasetError(f"{shown}: '{name}' lies in '{before}', as in no zip that tools make; pack it again")
        end, before = info.header_offset + _HEADER + info.compress_size, name
    return ordered


def _name_of(info: zipfile.ZipInfo) -> str:
    """A name as UTF-8, which many tools write without its flag; Windows' separators become slashes."""
    name = info.filename
    if not info.flag_bits & _UTF8:
        name = name.encode("cp437", "replace").decode("utf-8", "surrogateescape")
    return name.replace("\\", "/")
