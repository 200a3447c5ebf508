"""From the source that a user names (a path, an archive or a URL) to a path that formats walk over."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

from augpipe.core.errors import DatasetError, one_line
from augpipe.storage import remote
from augpipe.storage.byte_range import ByteRange, kind_of
from augpipe.storage.tar_archive import members_of_tar
from augpipe.storage.tree import AnyPath, ArchivePath, Asked, Listed, listed_tree
from augpipe.storage.zip_archive import members_of_zip

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tar.lz4")
LEFT_OUT = {
    "device": "",
    "file": " without an ending",
    "link": " (pack it again with --dereference --hard-dereference)",
    "sparse file": " (pack it again without --sparse)",
}
"""What is left out of an archive → what a user can do about it."""


def is_archive(path: str) -> bool:
    """Whether a path or URL has the name of an archive whose members can be read at random."""
    return ending_of(path) in (".tar", ".zip")


def require_possible(src: str) -> None:
    """Raise :class:`DatasetError` for what looks like a URL and is none, and for a path to no file or folder.

    What is not there at all is no error here.
    """
    if remote.is_url(src):
        remote.require_url(src)
        return
    shown = one_line(src)
    if not os.path.isabs(src):
        try:
            os.getcwd()
        except FileNotFoundError as error:
            raise DatasetError(
                f"{shown}: the working directory has been deleted; go to another one, and run the same command again"
            ) from error
    kind = kind_of(src)
    if kind not in (None, "a folder"):
        raise DatasetError(f"{shown}: is {kind}, expected a file or a folder")


def is_pattern(src: str) -> bool:
    """Whether braces stand for several files, and are not part of the name of a file."""
    return "{" in src and (remote.is_url(src) or not os.path.exists(src))


def ending_of(path: str) -> str:
    """The ending of a path or URL, in lower case."""
    return os.path.splitext(urlsplit(path).path if remote.is_url(path) else path)[1].lower()


def where_of(source: str | os.PathLike[str]) -> AnyPath:
    """The path of a source. Archives and buckets are listed here, once.

    Raises:
        DatasetError: a URL that cannot be read, or an archive that is damaged or cannot be read at random.
        OSError: the system or the server cannot read it.
    """
    text = str(source)
    if not remote.is_url(text):
        path = Path(text)
        return ArchivePath(archive_tree(text)) if is_archive(text) and path.is_file() else path
    remote.require_known(text)
    if urlsplit(text).path.lower().endswith(COMPRESSED):
        raise DatasetError(
            f"{one_line(remote.shown(text))}: a compressed tar cannot be read at random; unpack it first"
        )
    if is_archive(text):
        return ArchivePath(archive_tree(text))
    if "?" in text or "#" in text:
        raise DatasetError(f"{one_line(remote.shown(text))}: a URL with '?' names a single archive or nothing")
    if ending_of(text):
        return file_at(text)
    if not remote.lists_folders(text):
        raise DatasetError(
            f"{one_line(text)}: a web server does not list its folders; expected the URL of a .json, .zip or .tar"
        )
    return ArchivePath(_bucket(text))


def file_at(text: str) -> AnyPath:
    """A file by its path or URL; DatasetError if the URL cannot be read."""
    if not remote.is_url(text):
        return Path(text)
    remote.require_known(text)
    parts = urlsplit(text)
    path = parts.path if remote.lists_folders(text) else unquote(parts.path)
    return ArchivePath(Asked(f"{parts.scheme}://{parts.netloc}/"), path.strip("/"))


def _bucket(url: str) -> Listed:
    folder = url.rstrip("/") + "/"
    found = remote.listed(folder)
    if not found:
        raise DatasetError(f"{one_line(url)}: nothing is there; expected a folder with files")
    members = ((name, ByteRange(folder + name, version=version), version.size) for name, version in found.items())
    return listed_tree(folder, folder.rstrip("/"), members, None)


def archive_tree(path: str) -> Listed:
    """The files of a tar or zip; DatasetError if it cannot be read."""
    version = remote.version_of(path) if remote.is_url(path) else None
    local = None if remote.is_url(path) else Path(path)
    name = os.path.basename(path) if local is not None else remote.shown(path)
    left_out: Counter[str] = Counter()
    remarks: list[str] = []
    if ending_of(path) == ".zip":
        rows = (
            (n, ByteRange(path, at, size, "", packed, version), size)
            for n, at, size, packed in members_of_zip(path, left_out, version)
        )
    else:
        rows = (
            (n, ByteRange(path, at, size, version=version), size)
            for n, at, size in members_of_tar(path, remarks, left_out, version)
        )
    tree = listed_tree(f"{name}!", path, rows, local)
    for kind, way in LEFT_OUT.items():
        if count := left_out[kind]:
            remarks.append(f"{name}: left out: {count:,} {kind}{'' if count == 1 else 's'}{way}")
    tree.remarks.extend(remarks)
    return tree
