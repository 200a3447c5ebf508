"""Writing the files of a target."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def write_into(path: str | Path, data: bytes) -> None:
    """Write a file, and make its folder if it is the first in it."""
    try:
        number = os.open(path, _NEW_FILE, 0o666)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        number = os.open(path, _NEW_FILE, 0o666)
    with open(number, "wb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]


def lines_of(lines: Iterable[str]) -> bytes:
    """Lines of text as the bytes of a file, each with its end."""
    return "".join([f"{line}\n" for line in lines]).encode()
