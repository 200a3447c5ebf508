"""The code of operations of one's own: a file, or the installed package that an entry point names; and its digest.

A file is one file: it is loaded by its bytes, so its digest says all of what it is. Of a package every file of the
top-level package counts.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from augpipe.core.errors import UsageError, one_line
from augpipe.core.paths import StrPath, local_path, real_path

PACKAGE = "package:"
ENTRY_POINTS = "augpipe.ops"
_MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class Code:
    """Code that can be loaded.

    Attributes:
        name: the file's without its folder, or ``package:NAME``; what run.json has.
        place: where another process finds it: a path, or ``package:NAME``.
        digest: SHA-256 of the file, or of all files of the package with their names.
        module: of the package, to be imported; "" for a file.
        text: of the file.
    """

    name: str
    place: str
    digest: str
    module: str = ""
    text: bytes = b""


def read_code(given: StrPath) -> Code:
    """The code of what ``--ops`` names.

    Raises:
        UsageError: there is none.
    """
    text = os.fsdecode(given)
    return _package(text) if text.startswith(PACKAGE) else _file(text)


def _file(given: str) -> Code:
    shown = f"--ops {one_line(given, 4096)}"
    path = real_path(local_path(given, "--ops"))
    if path.suffix != ".py":
        raise UsageError(f"{shown}: expected a Python file that ends in .py, or {PACKAGE}NAME of an installed package")
    if not path.is_file():
        raise UsageError(f"{shown}: there is no such file")
    try:
        with open(path, "rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{shown}: cannot be read: {error.strerror}") from error
    if len(text) > _MOST_BYTES:
        raise UsageError(f"{shown}: has more than {_MOST_BYTES // 10**6} MB; expected a file of Python code")
    return Code(path.name, str(path), hashlib.sha256(text).hexdigest(), text=text)


def _package(given: str) -> Code:
    shown, name = f"--ops {one_line(given, 200)}", given.removeprefix(PACKAGE)
    found = [*importlib.metadata.entry_points(group=ENTRY_POINTS, name=name)]
    if not found:
        known = sorted({entry.name for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)})
        there = f"there are {', '.join(known)}" if known else "there are none"
        raise UsageError(f"{shown}: no installed package has the entry point '{ENTRY_POINTS}: {name}'; {there}")
    modules = sorted({entry.module for entry in found})
    if len(modules) > 1:
        raise UsageError(f"{shown}: several packages have it: {', '.join(modules)}; uninstall the others")
    top = importlib.util.find_spec(modules[0].partition(".")[0])
    if top is None or top.origin is None:
        raise UsageError(f"{shown}: its package {modules[0]} is not there; install it again")
    return Code(given, given, _digest_of(Path(top.origin), folder=bool(top.submodule_search_locations)), modules[0])


def _digest_of(origin: Path, *, folder: bool) -> str:
    """SHA-256 over the files of a package in the order of their names: name, size and content."""
    whole = hashlib.sha256()
    for name, path in sorted(_files_of(origin.parent)) if folder else [(origin.name, origin)]:
        data = path.read_bytes()
        whole.update(b"%s\0%d\0" % (name.encode("utf-8", "surrogatepass"), len(data)) + data)
    return whole.hexdigest()


def _files_of(root: Path) -> Iterator[tuple[str, Path]]:
    for path in root.rglob("*"):
        if path.suffix != ".pyc" and path.is_file():
            yield path.relative_to(root).as_posix(), path
