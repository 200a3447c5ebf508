"""Arguments of datasets, checked, and which of several processes this one is."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from typing import TypeVar

import torch.distributed as dist

from augpipe.core.errors import UsageError

_Value = TypeVar("_Value")


def is_distributed() -> bool:
    """Whether this process is in a process group of torch."""
    return dist.is_available() and dist.is_initialized()


def rank_and_world_size() -> tuple[int, int]:
    """By torch.distributed if it is initialized, else by RANK and WORLD_SIZE in the environment, else 0 of 1."""
    if is_distributed():
        return dist.get_rank(), dist.get_world_size()
    rank, world_size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if rank is None or world_size is None:
        return 0, 1
    valid = rank.isdecimal() and world_size.isdecimal() and int(rank) < int(world_size)
    require(valid, "RANK", f"0 … WORLD_SIZE - 1, with WORLD_SIZE={world_size}, in the environment", rank)
    return int(rank), int(world_size)


def whole(name: str, value: object, least: int | None = None) -> int:
    """An integer argument, also of NumPy or torch; raises :class:`UsageError` for others."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        behind = "" if least is None else f", {least} or more"
        raise UsageError(f"{name} must be a whole number{behind}, got {value!r}") from None
    require(least is None or number >= least, name, f"{least} or more", number)
    return number


def one_of(name: str, value: _Value, values: Sequence[_Value]) -> _Value:
    """An argument that has only some values; raises :class:`UsageError` for others."""
    require(any(value is one or value == one for one in values), name, " or ".join(map(repr, values)), repr(value))
    return value


def require(condition: bool, name: str, expected: str, got: object) -> None:
    """Raise :class:`UsageError` unless the condition holds."""
    if not condition:
        raise UsageError(f"{name} must be {expected}, got {got}")
