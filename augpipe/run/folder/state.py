"""The content of run.json: the configuration, the parts of the folder, and the request.

A folder has a part for each split of the source: the copies [0, n) of its pictures, or their originals alone if the
split is passed through. Each ``--extend`` adds one part for each split that is augmented. Every part has a task for
each group of its sources. Tasks are numbered through; shards are named by their split and count within it. The record
of a shard carries the digest of the configuration with the copies that the run had when its part was added, so a
further part leaves earlier records valid.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from augpipe.core.errors import UsageError, one_line
from augpipe.formats.layout.splits import in_order
from augpipe.run.config import RUN_SCHEMA, digest_of
from augpipe.run.folder.shard_names import prefixes_of, shard_name

_SHARD = re.compile(r"(?P<prefix>[A-Za-z0-9_-]+)-(?P<number>\d{6,})")

_UNEVEN = frozenset({"window", "balance"})
"""Fields of a configuration by which pictures give different numbers of samples."""


@dataclass(frozen=True)
class Part:
    """Some samples of the pictures of one split, and the shards with them.

    Attributes:
        split: of its pictures; "" if they are in none.
        prefix: what the names of its shards begin with.
        first: number of the first copy of each picture.
        end: number after the last copy.
        originals: whether each picture is also written as it is.
        pictures: of the split.
        start: number of its first task.
        first_shard: number of its first shard within the split.
        shards: how many there are, and tasks.
        until: the copies of the run when the part was added.
    """

    split: str
    prefix: str
    first: int
    end: int
    originals: bool
    pictures: int
    start: int
    first_shard: int
    shards: int
    until: int

    @property
    def copies(self) -> tuple[int, ...]:
        """Numbers of the copies, −1 first for the original."""
        return ((-1,) if self.originals else ()) + tuple(range(self.first, self.end))

    @property
    def tasks(self) -> range:
        """Numbers of its tasks."""
        return range(self.start, self.start + self.shards)

    def name_of(self, index: int) -> str:
        """The name of the shard of one of its tasks, without an ending."""
        return shard_name(self.prefix, self.first_shard + index - self.start)


@dataclass(frozen=True)
class RunState:
    """One run.

    Attributes:
        config: the configuration.
        ends: the number of copies at the end of each range of them: [0, n), and one more after each ``--extend``.
        request: how the source and the recipe were given; see :mod:`augpipe.run.request`.
        accepted: versions other than the configuration's that made some of the shards.
    """

    config: Mapping[str, Any]
    ends: tuple[int, ...]
    request: Mapping[str, Any] = field(default_factory=dict)
    accepted: tuple[Mapping[str, str], ...] = ()

    @property
    def digest(self) -> str:
        """Digest of the configuration."""
        return digest_of(self.config)

    @property
    def has_splits(self) -> bool:
        """Whether the run tells apart the splits of its source; else it has one or none."""
        return "splits" in self.config

    @cached_property
    def splits(self) -> dict[str, int]:
        """Split → its pictures, in the order train, val, test, others; "" is that of pictures in none."""
        if not self.has_splits:
            return {self.config["split"] or "": self.config["source"]["pictures"]}
        splits = self.config["splits"]
        return {name: splits[name]["pictures"] for name in in_order(splits)}

    @property
    def is_even(self) -> bool:
        """Whether every picture of a part gives as many samples; else each record says how many were planned."""
        return not _UNEVEN & self.config.keys()

    @property
    def augmented(self) -> tuple[str, ...]:
        """The splits that are augmented; the others are passed through."""
        chosen = self.config.get("augmented", list(self.splits)) if self.has_splits else self.splits
        return tuple(name for name in self.splits if name in chosen)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        originals, size = bool(self.config["originals"]), int(self.config["sources_per_shard"])
        prefixes = prefixes_of(self.splits) if self.has_splits else {name: name or "all" for name in self.splits}
        named: Counter[str] = Counter()
        parts: list[Part] = []
        start = 0
        for first, end in zip((0, *self.ends[:-1]), self.ends, strict=True):
            for split, pictures in self.splits.items():
                passed = split not in self.augmented
                if passed and first > 0:
                    continue
                shards = -(-pictures // size)
                copies = (0, 0) if passed else (first, end)
                kept = passed or (originals and first == 0)
                parts.append(
                    Part(split, prefixes[split], *copies, kept, pictures, start, named[split], shards, until=end)
                )
                named[split] += shards
                start += shards
        return tuple(parts)

    def digest_of_part(self, part: Part) -> str:
        """Digest of the configuration that the records of a part carry."""
        return digest_of({**self.config, "copies": part.until})

    @property
    def shards(self) -> int:
        """Shards of the whole run, which are as many as tasks."""
        return sum(part.shards for part in self.parts)

    def part_of(self, index: int) -> Part:
        """The part with the task of that number."""
        return next(part for part in self.parts if index in part.tasks)

    def name_of(self, index: int) -> str:
        """The name of the shard of a task, without an ending."""
        return self.part_of(index).name_of(index)

    def index_of(self, name: str) -> int | None:
        """The number of a task by the name of its shard without an ending; ``None`` if this run has no such shard."""
        match = _SHARD.fullmatch(name)
        for part in self.parts if match else ():
            if match and match["prefix"] == part.prefix:
                index = int(match["number"]) - part.first_shard + part.start
                if index in part.tasks and part.name_of(index) == name:
                    return index
        return None

    def extended(self, config: Mapping[str, Any]) -> RunState:
        """The run with one more part a split that is augmented, up to the copies of ``config``."""
        return replace(self, config=config, ends=(*self.ends, config["copies"]))

    def part_json(self, part: Part) -> dict[str, Any]:
        """A part in run.json and manifest.json."""
        copies = {"copies": [part.first, part.end]}
        return {"split": part.split, **copies} if self.has_splits else copies

    def to_json(self) -> dict[str, Any]:
        """The content of run.json."""
        value: dict[str, Any] = {
            "schema": RUN_SCHEMA,
            "config": self.config,
            "digest": self.digest,
            "parts": [self.part_json(part) for part in self.parts],
            "request": self.request,
        }
        return {**value, "accepted": list(self.accepted)} if self.accepted else value


def state_from(value: Mapping[str, Any], path: str) -> RunState:
    """The run that a run.json describes.

    Raises:
        UsageError: another schema, or fields that are not as docs/format.md has them.
    """
    if value.get("schema") != RUN_SCHEMA:
        came = one_line(value["schema"], 40) if "schema" in value else "none"
        raise UsageError(
            f"{path}: expected the schema {RUN_SCHEMA}, got {came}\n"
            "go on with the version of augpipe that has begun the run; or choose another DST, or remove the folder"
        )
    config = value.get("config")
    try:
        if not isinstance(config, Mapping):
            raise TypeError("config")
        if _natural(config["sources_per_shard"]) < 1 or not isinstance(config["originals"], bool):
            raise ValueError("sources_per_shard")
        state = RunState(config, _ends_in(value), dict(value.get("request", {})), tuple(value.get("accepted", ())))
        _require_splits(state)
        if state.ends != tuple(sorted(set(state.ends))) or state.ends[-1] != config["copies"]:
            raise ValueError("copies")
        there = [{name: part.get(name) for name in ("split", "copies") if name in part} for part in _parts_in(value)]
        if there != [state.part_json(part) for part in state.parts]:
            raise ValueError("parts")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UsageError(
            f"{path}: not as docs/format.md has it ({one_line(error, 60)}); choose another DST, or remove the folder"
        ) from error
    return state


def _parts_in(value: Mapping[str, Any]) -> list[Any]:
    """The parts of a run.json; the first versions wrote none."""
    config = value["config"]
    parts: list[Any] = value.get("parts") or RunState(config, (config["copies"],)).to_json()["parts"]
    return parts


def _ends_in(value: Mapping[str, Any]) -> tuple[int, ...]:
    """:attr:`RunState.ends` by the parts of a split that is augmented."""
    first = RunState(value["config"], ()).augmented[0]
    return tuple(_natural(part["copies"][1]) for part in _parts_in(value) if part.get("split", first) == first)


def _require_splits(state: RunState) -> None:
    """Raise for splits that no run has."""
    pictures = _natural(state.config["source"]["pictures"])
    if not state.has_splits and not re.fullmatch(r"[A-Za-z0-9_-]+", state.config["split"] or "all"):
        raise ValueError("split")
    if pictures < 1 or any(_natural(n) < 1 for n in state.splits.values()) or sum(state.splits.values()) != pictures:
        raise ValueError("pictures")
    if not state.augmented:
        raise ValueError("augmented")


def _natural(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} is no count")
    return value
