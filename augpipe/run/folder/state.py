"""The content of run.json: the configuration, the parts of the folder, and the request.

A folder has one part, the copies [0, n); each ``--extend`` adds one. Every part has a task for each group of sources,
and its shards are numbered on from those of the part before. The record of a shard carries the digest of the
configuration with the copies up to the end of its part, so a further part leaves earlier records valid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from augpipe.core.errors import UsageError, one_line
from augpipe.run.config import RUN_SCHEMA, digest_of

_SHARD = re.compile(r"(?P<prefix>[A-Za-z0-9_-]+)-(?P<number>\d{6,})")


def shard_name(prefix: str, index: int) -> str:
    """``all-000000``, without an ending."""
    return f"{prefix}-{index:06d}"


@dataclass(frozen=True)
class CopyRange:
    """Copies ``[first, end)`` of every picture, and the originals if it is the first part of a run that has them."""

    first: int
    end: int
    originals: bool

    @property
    def copies(self) -> tuple[int, ...]:
        """Numbers of the copies, −1 first for the original."""
        return ((-1,) if self.originals else ()) + tuple(range(self.first, self.end))


@dataclass(frozen=True)
class RunState:
    """One run.

    Attributes:
        config: the configuration.
        ends: the number of copies at the end of each part.
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
    def parts(self) -> tuple[CopyRange, ...]:
        firsts = (0, *self.ends[:-1])
        originals = bool(self.config["originals"])
        return tuple(
            CopyRange(first, end, originals and i == 0)
            for i, (first, end) in enumerate(zip(firsts, self.ends, strict=True))
        )

    def digest_of_part(self, part: CopyRange) -> str:
        """Digest of the configuration that the records of a part carry."""
        return digest_of({**self.config, "copies": part.end})

    @property
    def prefix(self) -> str:
        """What the names of the shards begin with."""
        return self.config["split"] or "all"

    @property
    def shards_a_part(self) -> int:
        pictures: int = self.config["source"]["pictures"]
        return -(-pictures // int(self.config["sources_per_shard"]))

    @property
    def shards(self) -> int:
        return self.shards_a_part * len(self.ends)

    def index_of(self, name: str) -> int | None:
        """The number of a shard by its name without an ending; ``None`` if this run has no such shard."""
        match = _SHARD.fullmatch(name)
        if not match or match["prefix"] != self.prefix:
            return None
        index = int(match["number"])
        return index if index < self.shards and shard_name(self.prefix, index) == name else None

    def extended(self, config: Mapping[str, Any]) -> RunState:
        """The run with one more part, up to the copies of ``config``."""
        return replace(self, config=config, ends=(*self.ends, config["copies"]))

    def to_json(self) -> dict[str, Any]:
        """The content of run.json."""
        value: dict[str, Any] = {
            "schema": RUN_SCHEMA,
            "config": self.config,
            "digest": self.digest,
            "parts": [{"copies": [part.first, part.end]} for part in self.parts],
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
        parts = value.get("parts") or [{"copies": [0, config["copies"]]}]
        request = value.get("request", {})
        state = RunState(
            config, tuple(_natural(p["copies"][1]) for p in parts), dict(request), tuple(value.get("accepted", ()))
        )
        per_shard = _natural(config["sources_per_shard"])
        known = state.ends == tuple(sorted(set(state.ends))) and state.ends[-1] == config["copies"]
        if not known or per_shard < 1 or _natural(config["source"]["pictures"]) < 1:
            raise ValueError("copies")
        if not re.fullmatch(r"[A-Za-z0-9_-]+", state.prefix) or not isinstance(config["originals"], bool):
            raise ValueError("split")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UsageError(
            f"{path}: not as docs/format.md has it ({one_line(error, 60)}); choose another DST, or remove the folder"
        ) from error
    return state


def _natural(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} is no count")
    return value
