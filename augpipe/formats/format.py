"""What a dataset format is: one :class:`Format`, which its package exports as ``FORMAT``.

A format says in data what the command line and the documentation need, and names the modules that read and write it.
They are imported when a source may be of that format, so ``augpipe --help`` loads none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from augpipe.formats.base import Dataset, Source, SourceOptions
    from augpipe.formats.writer import DatasetWriter, Stage, WriteOptions

LABELS = (
    "boxes", "polygons", "masks", "crowds", "keypoints", "oriented boxes", "semantic masks", "panoptic masks",
    "flags and pose", "parts", "captions and tags", "classes", "ids", "fields of its own",
)  # fmt: skip
"""What labels may hold: the rows of the table of docs/convert.md."""
NO = "no"


class ReaderModule(Protocol):
    """What the module ``Format.reader`` defines."""

    def detect(self, source: Source) -> bool:
        """Whether a source looks like this format."""
        ...

    def open_source(self, source: Source, options: SourceOptions) -> Dataset:
        """Index a source. Raises ``DatasetError`` if it is not of this format, or damaged."""
        ...


class WriterModule(Protocol):
    """What the module ``Target.writer`` defines."""

    def open_writer(self, dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
        """Begin a target. Raises ``DatasetError`` for a dataset that cannot be written as a whole."""
        ...


@dataclass(frozen=True)
class Target:
    """How a format is written.

    Attributes:
        writer: name of the module that writes it, a :class:`WriterModule`.
        folders: the folders of the target that a conversion fills.
        pictures: the one of them that holds the pictures.
        holds: label of :data:`LABELS` → how the format holds it, in words; labels without an entry are lost.
        alone: whether a target that ends in ``.json`` takes the annotations without the pictures.
        ids: whether ``--ids`` chooses the ids that are written.
        by_split: whether pictures lie in a folder for each split; else in one for all.
    """

    writer: str
    folders: tuple[str, ...]
    pictures: str
    holds: Mapping[str, str]
    alone: bool = False
    ids: bool = False
    by_split: bool = False

    def open(self, dataset: Dataset, stage: Stage, options: WriteOptions) -> DatasetWriter:
        """See :meth:`WriterModule.open_writer`."""
        return cast(WriterModule, import_module(self.writer)).open_writer(dataset, stage, options)


@dataclass(frozen=True)
class Format:
    """A dataset format.

    Attributes:
        name: its name in ``--from NAME`` and ``NAME-to-coco``.
        looks_like: its full name and the file or folder that it is known by.
        reader: name of the module that reads it, a :class:`ReaderModule`.
        source: what SRC of a conversion may be; "" if no other format could hold anything of it.
        stays: a sentence about what no other format can hold.
        kinds: what its rows may hold, where files do not say so; chosen by ``--kind``, or as ``NAME:KIND``.
        fallback: it is taken only where no format of a lower number fits.
        places: whether labels lie somewhere in the picture, as tags do not.
        numbered: whether classes have ids in the source, which stay where some of them are chosen.
        unnamed_keypoints: whether objects may have keypoints for which their class has no names.
        images: whether ``--images`` says where the pictures are.
        reads_archives: whether the reader opens archives itself rather than a tree of their files.
        target: how it is written, ``None`` if it is only read.
    """

    name: str
    looks_like: str
    reader: str
    source: str = ""
    stays: str = ""
    kinds: tuple[str, ...] = ()
    fallback: int = 0
    places: bool = True
    numbered: bool = False
    unnamed_keypoints: bool = False
    images: bool = False
    reads_archives: bool = False
    target: Target | None = None

    def detect(self, source: Source) -> bool:
        """See :meth:`ReaderModule.detect`."""
        return cast(ReaderModule, import_module(self.reader)).detect(source)

    def open(self, source: Source, options: SourceOptions) -> Dataset:
        """See :meth:`ReaderModule.open_source`."""
        return cast(ReaderModule, import_module(self.reader)).open_source(source, options)
