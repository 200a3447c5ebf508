"""The steps that an import makes, put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from augpipe.recipe.printing.steps import Written, plain, real


def all_of(pieces: Sequence[Written], **beside: Any) -> Written:
    """A group that takes all of them."""
    return Written("all_of", beside, tuple(pieces))


def taking_part(pieces: list[Written], p: float) -> list[Written]:
    """The pieces with a probability that they take part together."""
    steps = real(pieces)
    if p >= 1.0 or not steps:
        return pieces
    if len(steps) > 1 or "p" in steps[0].values:
        return [all_of(pieces, p=plain(p))]
    return [replace(piece, values={**piece.values, "p": plain(p)}) if piece.name else piece for piece in pieces]


def weighing(pieces: list[Written], weight: float | None) -> list[Written]:
    """The pieces as one child of a group that chooses; no weight is that of all others."""
    steps = real(pieces)
    own = {} if weight is None else {"weight": plain(weight)}
    if len(steps) > 1 or "p" in steps[0].values:
        return [all_of(pieces, **own)]
    return [replace(piece, values={**piece.values, **own}) if piece.name else piece for piece in pieces]


def depth(pieces: Iterable[Written]) -> int:
    """How deep groups are nested."""
    return max((1 + depth(piece.children) for piece in pieces if piece.children), default=0)
