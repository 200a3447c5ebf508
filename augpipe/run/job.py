"""What a worker needs to know: one frozen Job for the whole run, and a Task for each shard.

Tasks are planned by hashing alone: sources are put in a seeded order and cut into equal parts, so a task is the same
wherever and whenever it is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from augpipe.formats.base import Entry, Reader
from augpipe.pixels.codec import PictureFormat
from augpipe.recipe.model import Recipe
from augpipe.run.store import shard_name
from augpipe.sample import Category
from augpipe.words import rank


@dataclass(frozen=True)
class Job:
    """Everything about a run that every task shares; it is sent to each worker once.

    ``config`` is the digest of the configuration.
    """

    folder: Path
    recipe: Recipe
    reader: Reader
    categories: tuple[Category, ...]
    seed: int
    copies: tuple[int, ...]
    split: str | None
    picture: PictureFormat
    exif: Literal["upright", "stored"]
    void: int
    max_pixels: int
    keep_truncated: bool
    strict: bool
    config: str


@dataclass(frozen=True)
class Task:
    """One shard to be made: ``name`` without an ending, and the sources whose every copy it holds."""

    index: int
    name: str
    entries: tuple[Entry, ...]


def plan_tasks(
    entries: Sequence[Entry], seed: int, per_shard: int, prefix: str, done: frozenset[str] = frozenset()
) -> Iterator[Task]:
    """The tasks of a run in order, without those whose names are ``done``.

    Args:
        entries: sorted by source key.
        seed: of the run.
        per_shard: sources a task.
        prefix: first part of the shards' names.
        done: names of finished shards.
    """
    order = sorted(range(len(entries)), key=lambda i: rank(seed, entries[i].key))
    for index, start in enumerate(range(0, len(order), per_shard)):
        name = shard_name(prefix, index)
        if name not in done:
            yield Task(index, name, tuple(entries[i] for i in order[start : start + per_shard]))
