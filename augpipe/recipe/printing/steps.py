"""Steps as YAML: an operation or a group, its values, and remarks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_ODD = re.compile("[\x7f-\xa0\u2028\u2029\ufeff]")
"""What YAML takes for the end of a line, or for no text."""
_BARE = re.compile(r"(?!(?i:true|false|null|yes|no|on|off)$)[A-Za-z][A-Za-z_0-9-]*", re.ASCII)
"""Texts that YAML reads as themselves."""


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
        return "{" + ", ".join(f"{_text(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return _text(value)
    return json.dumps(value)


def _text(value: str) -> str:
    if _BARE.fullmatch(value):
        return value
    return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


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
