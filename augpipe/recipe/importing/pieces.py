"""The steps that an import makes, and how they are written as YAML with remarks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Written:
    """A step, a group with its children, or with no name a remark alone.

    ``values`` are the parameters of an operation, or what stands beside the list of a group.
    """

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[Written, ...] = ()
    remark: str = ""


def real(pieces: Iterable[Written]) -> list[Written]:
    """Those that are steps, and not remarks alone."""
    return [piece for piece in pieces if piece.name]


def all_of(pieces: Sequence[Written], **beside: Any) -> Written:
    """A group that takes all of them."""
    return Written("all_of", beside, tuple(pieces))


def taking_part(pieces: list[Written], p: float) -> list[Written]:
    """The pieces with a probability that they take part together."""
    steps = real(pieces)
    if p >= 1.0 or not steps:
        return pieces
    if len(steps) > 1 or "p" in steps[0].values:
        return [all_of(pieces, p=p)]
    return [replace(piece, values={**piece.values, "p": p}) if piece.name else piece for piece in pieces]


def weighing(pieces: list[Written], weight: float | None) -> list[Written]:
    """The pieces as one child of a group that chooses; no weight is that of all others."""
    steps = real(pieces)
    own = {} if weight is None else {"weight": weight}
    if len(steps) > 1 or "p" in steps[0].values:
        return [all_of(pieces, **own)]
    return [replace(piece, values={**piece.values, **own}) if piece.name else piece for piece in pieces]


def depth(pieces: Iterable[Written]) -> int:
    """How deep groups are nested."""
    return max((1 + depth(piece.children) for piece in pieces if piece.children), default=0)


# --- YAML ------------------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A value as YAML reads it again: lists, and numbers of six digits."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        short = float(f"{value:.6g}")
        return int(short) if short == int(short) else short
    return value


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return value if value.replace("_", "").isalpha() and value.isascii() else json.dumps(value, ensure_ascii=False)
    return json.dumps(plain(value))


def written(piece: Written) -> str:
    """A piece on one line, as reports show it."""
    if piece.children:
        inside = ", ".join(map(written, real(piece.children)))
        return f"{piece.name}: [{inside}]" + "".join(f", {k}: {flow(v)}" for k, v in piece.values.items())
    return f"{piece.name}: {flow(piece.values)}" if piece.values else piece.name


def lines_of(pieces: Iterable[Written], indent: str = "  ") -> Iterator[str]:
    """The lines of a list of steps."""
    for piece in pieces:
        if piece.remark:
            yield f"{indent}# {piece.remark}"
        if piece.children:
            yield f"{indent}- {piece.name}:"
            yield from lines_of(piece.children, indent + "    ")
            yield from (f"{indent}  {key}: {flow(value)}" for key, value in piece.values.items())
        elif piece.name:
            yield f"{indent}- {written(piece)}"
