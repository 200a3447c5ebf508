"""What a format that is written is to the rest of augpipe: a maker of what is one picture's, and a writer of the rest.

A maker turns a picture into what is written of it, in any process and in any order, and says what the format has no
place for; files that are that picture's alone it writes itself. A writer takes what was made in the order of the
source, and writes what is the whole dataset's. Neither sees the source, the pictures' bytes or what is at the target
already: those are the conversion's (:mod:`augpipe.conversion`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from augpipe.core.annotations import Annotations, Header, Objects
from augpipe.core.errors import DatasetError, one_line
from augpipe.formats.base import Dataset, is_picture

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture on its way into another format.

    ``name`` is its path below the target's picture folder. ``size_wh`` is the size that its labels state, else that
    of its header, ``None`` where neither tells. ``header`` is ``None`` if no picture was found or it cannot be read.
    """

    name: str
    annotations: Annotations
    header: Header | None
    size_wh: tuple[int, int] | None


@dataclass(frozen=True)
class Loss:
    """What a format has no place for: how many objects, pictures or classes have it, and the index of one of the
    objects in its picture."""

    what: str
    count: int
    index: int | None = None


@dataclass(frozen=True)
class Added:
    """What came of one picture: how many of its objects were written, what of it was not, and the path of its file
    below the target's picture folder, where that is not the picture's name."""

    objects: int
    losses: tuple[Loss, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class Closing:
    """What a writer says at its end: what the format has no place for in the classes, and sentences for the user."""

    losses: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Made:
    """What came of one picture, and ``rest``, of which its writer is still to be told."""

    added: Added
    rest: Any = None


class SampleEncoder(Protocol):
    """Makes what is written of one picture. It is sent to workers, so it stays small, and remembers nothing."""

    def make(self, picture: Picture) -> Made:
        """What is written of a picture, without the objects that cannot be.

        Raises:
            Reject: if nothing of it can be written.
        """
        ...

    def pack(self, rests: Sequence[Any]) -> Any:
        """What the writer takes of some neighbouring pictures, at least one, of which it is given ``Made.rest``."""
        ...


class DatasetWriter(Protocol):
    """Writes what is the whole dataset's."""

    @property
    def maker(self) -> SampleEncoder:
        """Makes what :meth:`take` takes."""
        ...

    def take(self, packed: Any) -> None:
        """Take what the maker has packed of the next pictures."""
        ...

    def discard(self) -> None:
        """Let go of open files: the conversion has failed, and what is written will be removed."""
        ...

    def close(self) -> Closing:
        """Finish the annotations."""
        ...


@dataclass(frozen=True)
class Stage:
    """Where a writer writes: ``folder``, of which everything goes to ``target``; ``json`` is the name of the one file
    where the target takes annotations alone."""

    folder: Path
    target: Path
    json: str | None = None


@dataclass(frozen=True)
class WriteOptions:
    """What the user asks of a target; each concerns the formats that name it in the catalogue.

    Attributes:
        kind: what YOLO's rows are to hold; found by looking if ``None``.
        ids: ``keep`` those of the source in COCO, or count them from 1, ``sequential``.
        pictures: ``copy`` them, ``link`` to them, or only name them where they are, ``reference``.
        strict: whether anything that is lost or odd is an error, and nothing is written then.
    """

    kind: str | None = None
    ids: Literal["keep", "sequential"] = "keep"
    pictures: Literal["copy", "link", "reference"] = "copy"
    strict: bool = False


def split_of(dataset: Dataset) -> str:
    """The name of the split that is converted, ``all`` without one."""
    return (dataset.options.split or "all").replace("/", "_")


# --- what writers have in common -------------------------------------------------------------------------------------

Why: TypeAlias = Callable[[Objects, int], str | None]
"""Why object ``i`` cannot be written, in words that can be counted; ``None`` if it can."""
CannotHold: TypeAlias = Callable[[Annotations], Mapping[str, int]]
"""What a format has no place for in the labels of a picture: what → objects, or pictures, that have it."""


def writable(annotations: Annotations, why: Why) -> tuple[Annotations, tuple[Loss, ...]]:
    """The labels without the objects that cannot be written, and those as losses."""
    objects = annotations.objects
    reasons = [why(objects, i) for i in range(len(objects))]
    if not any(reasons):
        return annotations, ()
    kept = objects.take([i for i, reason in enumerate(reasons) if not reason])
    losses = (Loss(reason, 1, int(objects.index[i])) for i, reason in enumerate(reasons) if reason)
    return annotations.with_objects(kept), tuple(losses)


def losses_of(annotations: Annotations, cannot_hold: CannotHold, told: set[str]) -> Iterator[Loss]:
    """What ``cannot_hold`` finds; for the first of a kind, of which ``told`` gains the name, with an object that has it
    if an object does. ``told`` saves time and no more: another process looks for its own first of a kind."""
    objects = annotations.objects
    for what, count in cannot_hold(annotations).items():
        at = None
        if what not in told:
            alone = (Annotations(objects=objects.take([i])) for i in range(len(objects)))
            at = next((int(objects.index[i]) for i, one in enumerate(alone) if what in cannot_hold(one)), None)
            told.add(what)
        yield Loss(what, count, at)


def write_into(path: str | Path, data: bytes) -> None:
    """Write a file, and make its folder if it is the first in it."""
    try:
        number = os.open(path, _NEW_FILE, 0o666)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        number = os.open(path, _NEW_FILE, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(number, rest) :]
    finally:
        os.close(number)


def stem_of(name: str) -> str:
    """A name without a picture's ending. The dot in a name that has none, as in ``frame.12``, ends no stem."""
    return os.path.splitext(name)[0] if is_picture(name) else name


def require_own_stems(dataset: Dataset, file: str) -> None:
    """Make sure that every picture can have a ``file`` (such as an XML) that is named by its stem.

    Raises:
        DatasetError: naming two that could not.
    """
    stems: dict[str, str] = {}
    for entry in dataset.entries:
        other = stems.setdefault(stem_of(entry.key), entry.key)
        if other != entry.key:
            raise DatasetError(f"'{one_line(other)}' and '{one_line(entry.key)}' would share one {file}; rename one")
