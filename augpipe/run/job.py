"""What a worker needs to know: one frozen Job for the whole run, and a Task for each shard.

Tasks are planned by hashing alone: sources are put in a seeded order and cut into equal groups, so a task is the same
wherever and whenever it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from augpipe.core.annotations import Category
from augpipe.core.errors import Reject
from augpipe.core.rng import rank
from augpipe.formats.base import Entry, Reader
from augpipe.pixels.backend import BackendOptions
from augpipe.pixels.codec.image import PictureFormat
from augpipe.pixels.cuda.select import Device
from augpipe.recipe.compile import Recipe
from augpipe.run.folder.state import RunState, shard_name


@dataclass(frozen=True)
class Job:
    """Everything about a run that every task shares; it is sent to each worker once.

    ``roots`` are the files and folders without which there is no source any more, ``versions`` what makes the shards,
    if it is not what the configuration says.
    """

    folder: Path
    recipe: Recipe
    reader: Reader
    categories: tuple[Category, ...]
    seed: int
    split: str | None
    picture: PictureFormat
    exif: Literal["upright", "stored"]
    void: int
    max_pixels: int
    keep_truncated: bool
    strict: bool
    roots: tuple[Path, ...] = ()
    versions: Mapping[str, str] | None = None
    device: Device = field(default_factory=Device)

    @property
    def backend_options(self) -> BackendOptions:
        """What every backend needs to know of the run."""
        return BackendOptions(self.picture, self.keep_truncated)


@dataclass(frozen=True)
class Task:
    """One shard to be made.

    ``name`` is without an ending; the shard holds ``copies`` (−1: the original) of every entry. ``config`` is the
    digest that its record carries, ``replaces`` the sha256 of the record that is to be replaced, if there is one.
    """

    index: int
    name: str
    entries: tuple[Entry, ...]
    copies: tuple[int, ...]
    config: str
    replaces: str | None = None


@dataclass(frozen=True)
class Attempt:
    """What is known of a task from attempts before: their number with this one, and pictures that must not be touched.

    ``lost`` maps source keys to why they are lost: each of them alone has brought a worker down.
    """

    number: int = 1
    lost: Mapping[str, Reject] = field(default_factory=dict)


def plan_tasks(state: RunState, entries: Sequence[Entry], wanted: Callable[[int], bool]) -> Iterator[Task]:
    """The tasks of a run in order.

    Args:
        state: the run.
        entries: of its source, sorted by source key.
        wanted: whether the shard of that number is to be made.
    """
    seed, size = state.config["seed"], int(state.config["sources_per_shard"])
    order = sorted(range(len(entries)), key=lambda i: rank(seed, entries[i].key))
    for number, part in enumerate(state.parts):
        digest = state.digest_of_part(part)
        for group in range(state.shards_a_part):
            index = number * state.shards_a_part + group
            if wanted(index):
                chosen = tuple(entries[i] for i in order[group * size : (group + 1) * size])
                yield Task(index, shard_name(state.prefix, index), chosen, part.copies, digest)
