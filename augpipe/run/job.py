"""What a worker needs to know: one frozen Job for the whole run, and a Task for each shard.

Tasks are planned by hashing alone: sources are sorted by a seeded hash and cut into equal groups, so a task is the same
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
from augpipe.pixels.codec.pixel_reading import PixelReading
from augpipe.pixels.cuda.select import Device
from augpipe.recipe.nodes import Recipe
from augpipe.run.folder.state import RunState
from augpipe.run.folder.store import Store
from augpipe.run.outputs import Outputs


@dataclass(frozen=True)
class Job:
    """What all tasks of a run share; sent to each worker once.

    Attributes:
        store: the output.
        outputs: which samples a picture gives, and by which plans.
        reading: how pixels are read.
        roots: files and folders without which the source is gone.
        versions: what makes the shards, if it differs from the configuration's versions.
    """

    store: Store
    recipe: Recipe
    outputs: Outputs
    reader: Reader
    categories: tuple[Category, ...]
    seed: int
    picture: PictureFormat
    exif: Literal["upright", "stored"]
    void: int
    max_pixels: int
    keep_truncated: bool
    strict: bool
    reading: PixelReading = field(default_factory=PixelReading)
    roots: tuple[Path, ...] = ()
    versions: Mapping[str, str] | None = None
    device: Device = field(default_factory=Device)

    @property
    def backend_options(self) -> BackendOptions:
        return BackendOptions(self.picture, self.keep_truncated)


@dataclass(frozen=True)
class Task:
    """One shard to be made.

    Attributes:
        index: number of the shard.
        name: of the shard, without an ending.
        entries: its sources.
        copies: made of every source, where the outputs of the run ask for no others; −1 is the original.
        config: digest of the configuration, for the record.
        split: of its sources; "" if they are in none.
        replaces: sha256 of the record that is to be replaced, if there is one.
    """

    index: int
    name: str
    entries: tuple[Entry, ...]
    copies: tuple[int, ...]
    config: str
    split: str = ""
    replaces: str | None = None


@dataclass(frozen=True)
class Attempt:
    """The number of an attempt at a task, and source keys → why they are left out: each alone has ended a worker."""

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
    for part in state.parts:
        digest = state.digest_of_part(part)
        mine = [i for i in order if entries[i].split == part.split] if state.has_splits else order
        for group, index in enumerate(part.tasks):
            if wanted(index):
                chosen = tuple(entries[i] for i in mine[group * size : (group + 1) * size])
                yield Task(index, part.name_of(index), chosen, part.copies, digest, part.split)
