"""Hostile inputs, each made by our own code, and what augpipe is to make of them (the table of docs/hostile.md).

A case writes its input into a folder and says which command reads it. A picture, or the labels of one, must cost that
picture and no other: beside it lies a good one, which must come through. Whatever is wrong with the whole is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from builders import encoded, object_xml, photo, voc_xml

STILL = "version: 1\nsteps:\n- horizontal_flip: {p: 1}\n"
GOOD = encoded(photo((20, 10)))
READ, ERROR = "read", "error"
Build = Callable[[Path], list[str]]


@dataclass(frozen=True)
class Case:
    """One hostile input.

    Attributes:
        group: heading in the table.
        name: what it is, in a few words.
        outcome: ``read``, ``error`` (exit code 2) or ``reject CODE``.
        build: writes it into an empty folder and returns the command, of which ``SRC`` and ``DST`` are that folder's.
        says: what standard error or output must hold.
        long: whether it takes seconds and what it proves a shorter one proves, too: for the page and `make fuzz` alone.
    """

    group: str
    name: str
    outcome: str
    build: Build
    says: str = ""
    long: bool = False


CASES: list[Case] = []


def case(group: str, name: str, outcome: str, says: str = "") -> Callable[[Build], Build]:
    """Enter the decorated function into the table."""

    def enter(build: Build) -> Build:
        CASES.append(Case(group, name, outcome, build, says))
        return build

    return enter


def augment(source: Path, *options: str) -> list[str]:
    """The command that reads a source into ``DST`` beside it."""
    recipe = source.parent / "still.yaml"
    recipe.write_text(STILL)
    return ["augment", str(source), str(source.parent / "DST"), "--recipe", str(recipe), "--workers", "0",
            "--max-rejects", "100%", *options]  # fmt: skip


def command_of(folder: Path, command: Iterable[str]) -> list[str]:
    """``augment``, or another one in which SRC and DST stand for the folders."""
    words = [str(folder / word) if word in ("SRC", "DST") else word for word in command]
    return words or augment(folder / "SRC")


def laughs(levels: int, width: int) -> str:
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * width}">' for i in range(1, levels))
    return f'<!DOCTYPE annotation [<!ENTITY a0 "ha">{entities}]>' + voc_xml(object_xml(f"&a{levels - 1};"))
