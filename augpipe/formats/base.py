"""What a dataset is to the rest of augpipe: a sorted list of small entries, and a reader that opens one.

An entry says where a picture and its annotations are and nothing more, so a million of them fit in memory and a task
carries its own to a worker. The reader holds no dataset-sized state. Nothing of a source is ever written to.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from augpipe.core.annotations import Annotations, Category
from augpipe.core.errors import DatasetError, Reject, UsageError, fault, one_line
from augpipe.formats.catalogue import format_named
from augpipe.formats.layout.parting import Parting
from augpipe.formats.layout.splits import in_order
from augpipe.formats.limits import MOST_CLASSES, require_few, require_list
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
    fingerprint. ``split`` is that of the dataset, as :mod:`augpipe.formats.layout.splits` calls it, "" if it has none.
    ``ending`` is that of the picture's name, where its place does not have it.
    """

    key: str
    picture: ByteRange | None
    annotation: Any
    file: str
    digest: bytes = b""
    size: int = 0
    split: str = ""
    ending: str = ""

    @classmethod
    def at(cls, key: str, path: AnyPath, annotation: Any, file: str, digest: bytes) -> Entry:
        """The entry of a picture that lies, or should lie, at ``path``."""
        size = size_of(path)
        return cls(source_key(key), place_of(path) if size >= 0 else None, annotation, file, digest, max(size, 0))

    @classmethod
    def listed(cls, key: str, path: AnyPath, annotation: Any, file: str, digest: bytes, split: str = "") -> Entry:
        """The entry of a picture that a folder lists. If it is no file, as a pipe is, reading it fails."""
        return cls(source_key(key), place_of(path), annotation, file, digest, size_of(path), split)


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
        classes: file with one class name a line: the classes that are kept, in their order. Where classes have numbers
            and no names, it names them.
        images: folder, archive or URL of the pictures of a COCO JSON.
        limit: only the first so many sources in sorted order.
        exif: what labels mean where their size does not tell: ``upright`` or ``stored`` pixels.
        voc_origin: 1 as in the devkit, 0 for files known to count from 0.
        void: value of new ground in semantic masks.
        keep: names of the classes that are kept, in their order, instead of ``classes``; ``None`` keeps all.
        rename: name of a class → name; classes that get one name become one.
        parting: how to part a dataset that has no splits.
        crowds: of COCO: whether crowds stay what they are, become objects like any other, or are left out.
        size_mismatch: whether labels that state another size than their picture has are kept, scaled or rejected.
        instances: whether connected components of semantic masks become objects.
    """

    format: str | None = None
    split: str | None = None
    classes: Path | None = None
    images: Path | str | None = None
    limit: int | None = None
    exif: Literal["upright", "stored"] = "upright"
    voc_origin: Literal[0, 1] = 1
    void: int = 255
    keep: tuple[str, ...] | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    parting: Parting | None = None
    crowds: Literal["keep", "instances", "drop"] = "keep"
    size_mismatch: Literal["keep", "scale", "reject"] = "keep"
    instances: Literal["keep", "components"] = "keep"

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if (got := getattr(self, name)) not in known:
                raise UsageError(f"{name}: expected {' or '.join(map(repr, known))}, got {one_line(repr(got), 80)}")
        limit: Any = self.limit
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise UsageError(f"limit: expected a whole number from 0 on, got {one_line(repr(limit), 80)}")
        classes: Any = self.classes
        if isinstance(classes, str):
            object.__setattr__(self, "classes", Path(classes))
        elif not isinstance(classes, Path | None) or isinstance(self.keep, str):
            raise UsageError("classes is a file, a name a line; keep=('cat', 'dog') has names of classes themselves")


_CHOICES: Mapping[str, tuple[str | int, ...]] = {
    "exif": ("upright", "stored"),
    "voc_origin": (1, 0),
    "crowds": ("keep", "instances", "drop"),
    "size_mismatch": ("keep", "scale", "reject"),
    "instances": ("keep", "components"),
}


@dataclass(frozen=True)
class Dataset:
    """A source that has been indexed; ``entries`` are sorted by key. ``remarks`` are sentences for the user.

    ``named`` says that ``options.classes`` has named its classes, which had numbers alone: it chooses none of them.
    """

    format: str
    root: AnyPath
    categories: tuple[Category, ...]
    entries: Sequence[Entry]
    reader: Reader
    options: SourceOptions
    remarks: tuple[str, ...] = ()
    named: bool = False

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
        *,
        named: bool = False,
    ) -> Dataset:
        """A dataset of sorted and checked entries.

        Raises:
            DatasetError: no pictures at all, two of one source key, too many classes, or a name that no record could
                hold.
        """
        classes = tuple(categories)
        require_list(len(classes), MOST_CLASSES, "classes", root)
        ordered = sorted(entries, key=lambda entry: entry.key)
        if not ordered:
            raise DatasetError(f"{root}: no annotated pictures found; expected {format} data")
        for entry in ordered:
            if not _is_utf8(entry.key + entry.file):
                raise DatasetError(f"{root}: the file name {entry.file!a} is not UTF-8; rename the file")
        for before, after in itertools.pairwise(ordered):
            if before.key == after.key:
                one, other = told_apart(*_names_of(before, after))
                raise DatasetError(
                    f"{root}: two pictures are called '{one_line(after.key)}' ({one} and {other}); "
                    "keys must be unique, rename or remove one"
                )
        kept = ordered[: options.limit]
        return cls(format, root, classes, kept, reader, options, tuple(remarks), named)

    def labels(self, most: int | None = None) -> Iterator[tuple[str, Annotations]]:
        """(source key, labels) of the pictures whose labels can be read, or of ``most`` spread over the dataset."""
        step = 1 if most is None else max(1, -(-len(self.entries) // most))
        for entry in self.entries[::step]:
            try:
                labels = read_labels(self.reader, entry)
            except Reject:
                continue
            yield entry.key, labels

    @property
    def splits(self) -> dict[str, int]:
        """Split → how many pictures it has, in the order train, val, test, others; "" is that of pictures in none."""
        counts = Counter(entry.split for entry in self.entries)
        return {name: counts[name] for name in in_order(counts)}

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


def _names_of(one: Entry, other: Entry) -> tuple[str, str]:
    """What tells entries of one key apart: the forms in which their pictures' names are written, else their files."""
    first, second = (e.picture.name or os.path.basename(e.picture.path) if e.picture else "" for e in (one, other))
    return (first, second) if first != second and source_key(first) == source_key(second) else (one.file, other.file)


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


def read_labels(reader: Reader, entry: Entry) -> Annotations:
    """The labels of an entry as its files state them. Whatever they were made to do costs that picture, in any process.

    Work and memory are bounded by counting and not by a clock, so that the same pictures are rejected on every machine:
    readers refuse too many bytes and values before they parse them (:mod:`augpipe.formats.limits`), and here too many
    objects.

    Raises:
        Reject: they cannot be read, for whatever reason.
    """
    try:
        found = reader.annotations(entry)
    except Reject:
        raise
    except Exception as error:  # one picture of a hundred thousand must not end a command
        raise label_fault(error, entry) from error
    require_few(len(found.objects) + len(found.dropped), entry.file)
    return found


def label_fault(error: Exception, entry: Entry) -> Reject:
    """The reject of an entry for an unforeseen error over its labels."""
    reject = fault("labels", error)
    reject.file = entry.file
    return reject


def source_key(relative: str | os.PathLike[str]) -> str:
    """A path below the picture root as a source key: POSIX, Unicode NFC."""
    return unicodedata.normalize("NFC", str(relative).replace(os.sep, "/"))


def told_apart(one: str, other: str) -> tuple[str, str]:
    """Two names for a message; where they look the same, as two Unicode forms of one name do, with escapes."""
    if one != other and unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other):
        return one_line(one.encode("unicode_escape").decode()), one_line(other.encode("unicode_escape").decode())
    return one_line(one), one_line(other)


def is_picture(name: str) -> bool:
    """Whether a file name has the ending of a picture."""
    return os.path.splitext(name)[1].lower() in PICTURE_ENDINGS


# --- classes ---------------------------------------------------------------------------------------------------------
