"""What all formats that are written have in common: an encoder for one picture, a writer for the whole dataset.

A :class:`SampleEncoder` turns one picture into its part of the output, in any process and in any order; it writes the
files of that picture alone and counts what the format cannot hold. A :class:`DatasetWriter` takes what the encoder made
in the order of the source, and writes the files of the whole dataset. Neither sees the source, the bytes of pictures or
the files that are at the target already: those are the conversion's (:mod:`augpipe.conversion`).
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from augpipe.core.annotations import Annotations, Category, Header, Objects
from augpipe.core.errors import DatasetError, Reject, one_line
from augpipe.formats.base import Dataset, Entry, is_picture
from augpipe.formats.limits import FARTHEST
from augpipe.formats.losses import CLASSES_COUNTED, COUNTED, Loss, kinds_of

ALL = "all"
"""What a file of pictures that are in no split is called."""


@dataclass(frozen=True)
class WriteOptions:
    """What the user asks of a target.

    Attributes:
        kind: what rows hold, of the ``kinds`` of the format; found by looking if ``None``.
        ids: ``keep`` the ids of the source, or count from 1, ``sequential``; of formats with ``ids``.
        pictures: ``copy`` them, ``link`` to them, or only name them where they are, ``reference``.
        strict: whether anything that is lost or odd is an error, and nothing is written then.
    """

    kind: str | None = None
    ids: Literal["keep", "sequential"] = "keep"
    pictures: Literal["copy", "link", "reference"] = "copy"
    strict: bool = False


@dataclass(frozen=True)
class Stage:
    """Where a writer writes: ``folder``, of which everything goes to ``target``; ``json`` is the name of the one file
    where the target takes annotations alone."""

    folder: Path
    target: Path
    json: str | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture on its way into another format.

    ``name`` is its path below the target's picture folder. ``size_wh`` is the size that its labels state, else that
    of its header, ``None`` where neither tells. ``header`` is ``None`` if no picture was found or it cannot be read.
    ``split`` is that of its entry.
    """

    name: str
    annotations: Annotations
    header: Header | None
    size_wh: tuple[int, int] | None
    split: str = ""

    @property
    def stem(self) -> str:
        """The name without a picture's ending."""
        return stem_of(self.name)

    def require_ending(self) -> None:
        """Make sure that a format which finds labels by the picture's name would find them.

        Raises:
            Reject: ``bad-name``.
        """
        if not is_picture(self.name):
            raise Reject("write", "bad-name", "the name has no ending of a picture, so its labels would not be found")


def require_size(size_wh: tuple[int, int] | None) -> tuple[int, int]:
    """The size of a picture for a format that cannot do without.

    Raises:
        Reject: ``no-size``.
    """
    if size_wh is None:
        raise Reject("write", "no-size", "neither the labels nor a picture tell its size")
    return size_wh


@dataclass(frozen=True)
class Encoded:
    """What was written of one picture.

    ``objects`` is how many of its objects, ``name`` the path of its file below the target's picture folder where that
    is not the picture's name, ``rest`` what the dataset's writer is still to be given. ``left_out`` is what the objects
    had that were not written: kind of :data:`COUNTED` → how many.
    """

    objects: int
    losses: tuple[Loss, ...] = ()
    name: str | None = None
    rest: Any = None
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Closing:
    """The end of a target: what the format cannot hold of the classes, and sentences for the user."""

    losses: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


# --- one picture -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SampleEncoder(ABC):
    """Writes what is one picture's, and counts what of it is lost. It goes to workers, so it holds little.

    ``holds`` names what of :data:`COUNTED` the format holds; everything else is counted as lost. ``reported`` has the
    losses of which an example was looked for, which only saves time: every process looks for its own first one.
    """

    reported: set[str] = field(default_factory=set, kw_only=True)
    holds: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def encode(self, picture: Picture) -> Encoded:
        """Write one picture, of which ``annotations`` has only objects that can be written.

        Raises:
            Reject: if nothing of it can be written.
        """

    def make(self, picture: Picture) -> Encoded:
        """Write one picture without the objects that cannot be written; ``losses`` has everything that is lost.

        Raises:
            Reject: if nothing of it can be written.
        """
        annotations = self.prepared(picture)
        reasons = self.unwritable(annotations.objects)
        left_out: tuple[Loss, ...] = ()
        of_others: dict[str, int] = {}
        if any(reasons):
            indexes = annotations.objects.index.tolist()
            left_out = tuple(Loss(why, 1, i) for why, i in zip(reasons, indexes, strict=True) if why)
            kept = annotations.objects.take([i for i, why in enumerate(reasons) if not why])
            of_others = kinds_of(
                Annotations(objects=annotations.objects.take([i for i, why in enumerate(reasons) if why]))
            )
            annotations = annotations.with_objects(kept)
        encoded = self.encode(replace(picture, annotations=annotations))
        losses = (*left_out, *encoded.losses, *self._losses(annotations))
        return replace(encoded, losses=losses, left_out=of_others)

    def prepared(self, picture: Picture) -> Annotations:
        """The labels in the coordinates of the format; those of the picture itself unless overridden."""
        return picture.annotations

    def unwritable(self, objects: Objects) -> Sequence[str | None]:
        """Why each object cannot be written, in words that can be counted; ``None`` if it can.

        Here, a box that is so far out that it is a mistake, whose numbers may be none of the format.
        """
        near = np.abs(objects.boxes_xyxy).max(axis=1, initial=0.0) < FARTHEST  # false for NaN too
        return [None if is_near else "objects too far from the picture" for is_near in near.tolist()]

    def cannot_hold(self, annotations: Annotations) -> dict[str, int]:
        """What the format cannot hold of labels → in how many objects, or pictures, they have it."""
        return {what: n for what, count in COUNTED.items() if what not in self.holds and (n := count(annotations))}

    def pack(self, rests: Sequence[Any]) -> Any:
        """What the writer takes of neighbouring pictures, at least one, of which it is given ``Encoded.rest``."""
        return rests

    def _losses(self, annotations: Annotations) -> list[Loss]:
        """What is lost of labels; the first loss of a kind has the index of an object that has it, if one does."""
        objects = annotations.objects
        found = []
        for what, count in self.cannot_hold(annotations).items():
            index = None
            if what not in self.reported:
                self.reported.add(what)
                alone = (Annotations(objects=objects.take([i])) for i in range(len(objects)))
                index = next((int(one.objects.index[0]) for one in alone if what in self.cannot_hold(one)), None)
            found.append(Loss(what, count, index))
        return found


# --- a dataset -------------------------------------------------------------------------------------------------------


class DatasetWriter:
    """Writes what is the whole dataset's. A format sets ``encoder``, and overrides what it needs.

    ``own_file`` is the kind of file, such as an XML, that each picture gets by its stem, "" if there is none.
    ``class_holds`` names what of :data:`CLASSES_COUNTED` the format holds. ``split`` is what files of the split that
    has begun are called by.
    """

    own_file: ClassVar[str] = ""
    class_holds: frozenset[str] = frozenset({"keypoint names", "skeletons"})
    encoder: SampleEncoder

    def __init__(self, dataset: Dataset, stage: Stage) -> None:
        self.folder, self.target = stage.folder, stage.target
        self.categories = sorted(dataset.categories, key=lambda c: c.label)
        self.split = ALL
        if self.own_file:
            _require_own_stems(dataset, self.own_file, self.name_of)

    def name_of(self, entry: Entry) -> str:
        """What the picture of an entry will be called; its key unless overridden."""
        return entry.key

    def begin(self, split: str) -> None:
        """Begin a split: until the next call ``take`` is given its pictures. "" is that of pictures in none."""
        self.split = split.replace("/", "_") or ALL

    def take(self, packed: Any) -> None:
        """Take what the encoder has packed of the next pictures, in the order of the source."""

    def discard(self) -> None:
        """Close open files: the conversion has failed, and what is written will be removed."""

    def close(self) -> Closing:
        """Finish the annotations."""
        return Closing(self.classes_cannot_hold())

    def classes_cannot_hold(self) -> dict[str, int]:
        """What the format cannot hold of the classes → how many classes have it."""
        rows = self.categories
        return {
            what: n for what, count in CLASSES_COUNTED.items() if what not in self.class_holds and (n := count(rows))
        }


def one_a_name(categories: Sequence[Category]) -> tuple[list[Category], dict[int, int]]:
    """(the first class of each name, id of every class → its place among them from 0), for formats in which a name is
    the class: two classes of one name become one."""
    first: dict[str, Category] = {}
    for category in categories:
        first.setdefault(category.name, category)
    places = {name: place for place, name in enumerate(first)}
    return list(first.values()), {c.id: places[c.name] for c in categories}


def names_again(categories: Sequence[Category]) -> dict[str, int]:
    """As a loss: how many classes have the name of another one, so that they are written as that."""
    again = len(categories) - len({c.name for c in categories})
    return {"classes of a name that another has, written as one": again} if again else {}


def stem_of(name: str) -> str:
    """A name without a picture's ending. The dot in a name that has none, as in ``frame.12``, ends no stem."""
    return os.path.splitext(name)[0] if is_picture(name) else name


def _require_own_stems(dataset: Dataset, file: str, name_of: Callable[[Entry], str]) -> None:
    stems: dict[str, str] = {}
    for entry in dataset.entries:
        other = stems.setdefault(stem_of(name_of(entry)), entry.key)
        if other != entry.key:
            raise DatasetError(f"'{one_line(other)}' and '{one_line(entry.key)}' would share one {file}; rename one")
