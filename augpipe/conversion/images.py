"""Reading a source picture by picture for a conversion: labels as they are, the header, and a name in the target."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from augpipe.conversion.filtering import UNWANTED, LeftOut
from augpipe.conversion.report import ConversionReport
from augpipe.core.annotations import Header
from augpipe.core.errors import Reject, UsageError, one_line
from augpipe.formats.base import Dataset, Entry, Reader, is_picture, read_labels
from augpipe.formats.image_header import header_at
from augpipe.formats.writer import Picture
from augpipe.storage.byte_range import is_file, read_place

_LONGEST_PART, _LONGEST_NAME = 255, 2048  # bytes, of a name and of all of a path below the target


def pictures(reader: Reader, entries: Iterable[Entry], report: ConversionReport) -> Iterator[tuple[Entry, Picture]]:
    """Every entry with the picture of it; those whose labels cannot be read are in the report alone."""
    for entry in entries:
        report.pictures_in += 1
        try:
            annotations = read_labels(reader, entry)
            header = _header(entry, report)
            name = _name_of(entry, header)
        except LeftOut as unwanted:
            report.objects_in += unwanted.objects
            report.set_apart(f"pictures {unwanted.message}", entry.key)
            if unwanted.objects:
                report.set_apart("objects of pictures that are left out", entry.key, count=unwanted.objects)
            continue
        except Reject as reject:
            report.lost.append(f"{one_line(entry.key)}: {one_line(reject.message)}")
            continue
        report.objects_in += len(annotations.objects) + len(annotations.dropped)
        for dropped in annotations.dropped:
            if dropped.reason in UNWANTED:
                report.set_apart(f"objects {UNWANTED[dropped.reason]}", entry.key, dropped.index)
            else:
                report.dropped += 1
        if annotations.notes:
            report.notes.update(annotations.notes)
        size = annotations.size_wh or (header.upright_wh if header else None)
        if header is not None and size not in (header.stored_wh, header.upright_wh):
            report.notes["size-mismatch"] += 1
        yield entry, Picture(name, annotations, header, size, entry.split)


def _name_of(entry: Entry, header: Header | None) -> str:
    """Where a picture goes. Members of a tar have keys without an ending, and any name at all.

    Raises:
        Reject: for a name that leads out of the target, or that no file system takes, as archives may have it.
    """
    if entry.key.startswith("/") or ".." in entry.key.split("/") or "\0" in entry.key:
        raise Reject("read", "bad-name", "the name leads out of the target; rename that picture")
    encoded = os.fsencode(entry.key)
    if len(encoded) > _LONGEST_NAME or max(map(len, encoded.split(b"/"))) > _LONGEST_PART:
        raise Reject("read", "bad-name", "the name is longer than that of a file may be; rename that picture")
    if is_picture(entry.key) or header is None:
        return entry.key
    return f"{entry.key}.{'jpg' if header.format in ('JPEG', 'MPO') else header.format.lower()}"


def _header(entry: Entry, report: ConversionReport) -> Header | None:
    if entry.picture is None:
        report.unseen.append(f"{one_line(entry.key)}: no picture of that name was found")
        return None
    try:
        return header_at(entry.picture)
    except Reject as reject:
        report.unseen.append(f"{one_line(entry.key)}: {one_line(reject.message)}")
        return None


def put_picture(entry: Entry, path: Path, link: bool, report: ConversionReport) -> None:
    """Copy the file as it is, byte for byte, or link to it."""
    if entry.picture is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if link:
        path.symlink_to(os.path.abspath(entry.picture.path))
        return
    try:
        data = read_place(entry.picture)
    except Reject as reject:
        line = f"{one_line(entry.key)}: {one_line(reject.message)}"
        if line not in report.unseen[-1:]:  # its header was no better
            report.unseen.append(line)
        return
    path.write_bytes(data)


def require_linkable(dataset: Dataset) -> None:
    """Make sure that every picture is a file of its own.

    Raises:
        UsageError: if one is a part of a file, as in a tar, or on a server.
    """
    if any(entry.picture is not None and not is_file(entry.picture) for entry in dataset.entries):
        raise UsageError("pictures in an archive or on a server cannot be linked to or named; leave --pictures copy")


def folder_of(dataset: Dataset) -> str | None:
    """The folder that the names in a JSON start from, if the pictures are files below one."""
    for entry in dataset.entries:
        if entry.picture is not None and is_file(entry.picture) and entry.picture.path.endswith(f"{os.sep}{entry.key}"):
            return entry.picture.path[: -len(entry.key) - 1]
    return None
