"""What a format that is written is to the rest of augpipe: a writer that takes one picture after the other.

A writer writes annotations into a folder of its own and says what it has no place for. It never sees the source, the
pictures' bytes or what is at the target already: those are the conversion's (:mod:`augpipe.convert`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from augpipe.catalogue import Writable
from augpipe.formats.base import Dataset
from augpipe.sample import Annotations, Header, Objects


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
class Closing:
    """What a writer says at its end: what the format has no place for in the classes, and sentences for the user."""

    losses: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


class Writer(Protocol):
    """Writes the annotations of one dataset."""

    def unwritable(self, objects: Objects, i: int) -> str | None:
        """Why object ``i`` cannot be written, in words that can be counted; ``None`` if it can."""
        ...

    def cannot_hold(self, picture: Picture) -> Mapping[str, int]:
        """What the format has no place for in the labels of a picture: what → objects, or pictures, that have it."""
        ...

    def add(self, picture: Picture) -> None:
        """Write a picture, of which every object can be written.

        Raises:
            Reject: if it cannot be; then nothing of it is.
        """
        ...

    def discard(self) -> None:
        """Let go of open files: the conversion has failed, and what is written will be removed."""
        ...

    def close(self) -> Closing:
        """Finish the annotations."""
        ...


@dataclass(frozen=True)
class Stage:
    """Where a writer writes: ``folder``, of which everything goes to the target; ``json`` is the name of the one file
    where the target takes annotations alone."""

    folder: Path
    json: str | None = None


@dataclass(frozen=True)
class Target:
    """A format that is written: what it is called and which folders it fills, and how its writer begins.

    ``open`` raises a ``DatasetError`` for a dataset that cannot be written as a whole.
    """

    kind: Writable
    open: Callable[[Dataset, Stage], Writer]


def split_of(dataset: Dataset) -> str:
    """The name of the split that is converted, ``all`` without one."""
    return (dataset.options.split or "all").replace("/", "_")
