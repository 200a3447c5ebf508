"""What a dataset is to the rest of augpipe: a sorted list of small entries, and a reader that opens one.

An entry says where a picture and its annotations are and nothing more, so a million of them fit in memory and a task
carries its own to a worker. The reader holds no dataset-sized state. Nothing of a source is ever written to.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from augpipe.core.annotations import Annotations, Category
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.formats.catalogue import format_named
from augpipe.storage.byte_range import ByteRange, read_place
from augpipe.storage.fs import place_of, size_of
from augpipe.storage.resolve import ending_of
from augpipe.storage.tree import AnyPath, ArchivePath

PICTURE_ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif", ".jp2",
)  # fmt: skip


class Entry(NamedTuple):
    """One picture of a dataset.

    ``picture`` is ``None`` where none was found; then ``file`` is what was looked for. Only the format's reader
    understands ``annotation``. ``digest`` of the labels and ``size`` of the picture's file are for the dataset's
    fingerprint. ``ending`` is that of the picture's name, where its place does not have it.
    """

    key: str
    picture: ByteRange | None
    annotation: Any
    file: str
    digest: bytes = b""
    size: int = 0
    ending: str = ""

    @classmethod
    def at(cls, key: str, path: AnyPath, annotation: Any, file: str, digest: bytes) -> Entry:
        """The entry of a picture that lies, or should lie, at ``path``."""
        size = size_of(path)
        return cls(source_key(key), place_of(path) if size >= 0 else None, annotation, file, digest, max(size, 0))

    @classmethod
    def listed(cls, key: str, path: AnyPath, annotation: Any, file: str, digest: bytes) -> Entry:
        """The entry of a picture that a folder lists. If it is no file, as a pipe is, reading it fails."""
        return cls(source_key(key), place_of(path), annotation, file, digest, size_of(path))


class Reader(Protocol):
    """Opens entries of one format. It is sent to workers, so it stays small."""

    def annotations(self, entry: Entry) -> Annotations:
        """The labels of an entry as its files state them, in the coordinates of :mod:`augpipe.core.geometry`.

        Raises:
            Reject: if they cannot be read.
        """
        ...


@dataclass(frozen=True)
class Source:
    """What a user has named, and where that is. A pattern or a pipe is no place, so ``where`` is its text's."""

    text: str
    where: AnyPath

    @property
    def is_tar(self) -> bool:
        """Whether it is a single tar, which holds samples or a tree of files."""
        return isinstance(self.where, ArchivePath) and ending_of(self.text) == ".tar"


@dataclass(frozen=True)
class SourceOptions:
    """How a source is to be read, where it does not say so itself.

    Attributes:
        format: name of the format; found by looking if ``None``.
        split: ImageSets list, folder or JSON of that name; ``None`` takes every annotated picture once.
        classes: file with one class name a line, which fixes the ids 1..K.
        images: folder, archive or URL of the pictures of a COCO JSON.
        limit: only the first so many sources in sorted order.
        exif: what labels mean where their size does not tell: ``upright`` or ``stored`` pixels.
        voc_origin: 1 as in the devkit, 0 for files known to count from 0.
        void: value of new ground in semantic masks.
    """

    format: str | None = None
    split: str | None = None
    classes: Path | None = None
    images: Path | str | None = None
    limit: int | None = None
    exif: Literal["upright", "stored"] = "upright"
    voc_origin: Literal[0, 1] = 1
    void: int = 255


@dataclass(frozen=True)
class Dataset:
    """A source that has been indexed; ``entries`` are sorted by key. ``remarks`` are sentences for the user."""

    format: str
    root: AnyPath
    categories: tuple[Category, ...]
    entries: Sequence[Entry]
    reader: Reader
    options: SourceOptions
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        format: str,
        root: AnyPath,
        categories: Iterable[Category],
        entries: Iterable[Entry],
        reader: Reader,
        options: SourceOptions,
        remarks: Iterable[str] = (),
    ) -> Dataset:
        """A dataset of sorted and checked entries.

        Raises:
            DatasetError: no pictures at all, two of one source key, or a name that no record could hold.
        """
        ordered = sorted(entries, key=lambda entry: entry.key)
        if not ordered:
            raise DatasetError(f"{root}: no annotated pictures found; expected {format} data")
        for entry in ordered:
            if not _is_utf8(entry.key + entry.file):
                raise DatasetError(f"{root}: the file name {entry.file!a} is not UTF-8; rename the file")
        for before, after in itertools.pairwise(ordered):
            if before.key == after.key:
                raise DatasetError(
                    f"{root}: two pictures are called '{one_line(after.key)}' ({before.file} and {after.file}); "
                    "keys must be unique, rename or remove one"
                )
        return cls(format, root, tuple(categories), ordered[: options.limit], reader, options, tuple(remarks))

    def labels(self, most: int | None = None) -> Iterator[tuple[str, Annotations]]:
        """(source key, labels) of the pictures whose labels can be read, or of ``most`` spread over the dataset."""
        step = 1 if most is None else max(1, -(-len(self.entries) // most))
        for entry in self.entries[::step]:
            try:
                labels = self.reader.annotations(entry)
            except Reject:
                continue
            yield entry.key, labels

    @property
    def has_places(self) -> bool:
        """Whether its labels lie somewhere in the picture, as tags do not."""
        return format_named(self.format).places

    @property
    def may_lack_keypoint_names(self) -> bool:
        """Whether objects may have keypoints for which their class has no names."""
        return format_named(self.format).unnamed_keypoints

    def fingerprint(self) -> str:
        """See :func:`fingerprint_of`."""
        return fingerprint_of(self.entries)


def fingerprint_of(entries: Iterable[Entry]) -> str:
    """BLAKE2b over (source key, size of the picture's file, digest of its annotations), in the order given."""
    total = hashlib.blake2b()
    for entry in entries:
        total.update(f"{len(entry.key)}:{entry.key},{entry.size},".encode() + entry.digest)
    return total.hexdigest()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def plural(n: int, noun: str) -> str:
    """``1 picture``, ``2 pictures``, for remarks and messages."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def read_picture(entry: Entry) -> bytes:
    """The encoded picture of an entry; raises ``Reject`` if it is missing or cannot be read."""
    if entry.picture is None:
        raise Reject("read", "missing-picture", f"no picture {one_line(entry.file)} was found", file=entry.file)
    return read_place(entry.picture)


def source_key(relative: str | os.PathLike[str]) -> str:
    """A path below the picture root as a source key: POSIX, Unicode NFC."""
    return unicodedata.normalize("NFC", str(relative).replace(os.sep, "/"))


def is_picture(name: str) -> bool:
    """Whether a file name has the ending of a picture."""
    return os.path.splitext(name)[1].lower() in PICTURE_ENDINGS


# --- classes ---------------------------------------------------------------------------------------------------------
